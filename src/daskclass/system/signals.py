"""How does everything stop in order, and only once? Handles Ctrl-C, SIGTERM and a closed terminal at any time."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def name(number: int) -> str:
    """The name of a signal, or ``signal 35`` if it has no name, like real-time signals."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextlib.contextmanager
def _handled(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Use `handler` for every terminating signal while the block runs."""
    before = {number: signal.signal(number, handler) for number in _ENDING}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextlib.contextmanager
def until_terminated() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal end the block the same way, in order, and only once."""

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        for number in _ENDING:  # a second Ctrl-C must not interrupt the cleanup
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    with _handled(stop):
        yield


@contextlib.contextmanager
def held_back(*, deaf_children: bool = False) -> Iterator[None]:
    """Delay terminating signals until the block is done, so that we don't lose track of a process that it starts.

    With `deaf_children`, processes that the block starts ignore Ctrl-C, because this process stops them, in order.
    (They inherit a signal mask, on systems that have one.)
    """
    held: list[int] = []
    real = signal.getsignal(signal.SIGINT)
    masked = deaf_children and hasattr(signal, "pthread_sigmask")
    if masked:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _handled(lambda number, _frame: held.append(number)):
            yield
    finally:
        if masked:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if held and callable(real):
        real(held[0], None)
