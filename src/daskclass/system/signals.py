"""How does it all end in good order, and only once? Ctrl-C, SIGTERM and a closed terminal, whenever they come."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def name(number: int) -> str:
    """What a signal is called; ``signal 35`` for one without a name, such as those for real time."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextlib.contextmanager
def _handled(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Have `handler` for every signal to end while the block runs."""
    before = {number: signal.signal(number, handler) for number in _ENDING}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextlib.contextmanager
def until_terminated() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal end the block the same way, in good order, and only once."""

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        for number in _ENDING:  # whoever is impatient now waits until all has ended
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    with _handled(stop):
        yield


@contextlib.contextmanager
def held_back(*, deaf_children: bool = False) -> Iterator[None]:
    """Hold a signal to end back until the block is done, so that nothing is started and then lost sight of.

    With `deaf_children`, processes that the block starts never hear of Ctrl-C (where the system has signal masks,
    which they inherit): this process ends them, in order.
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
