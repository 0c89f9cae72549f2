"""How does a judge try an answer on the notebook's own cluster? With a time limit, and leaving nothing behind."""

from __future__ import annotations

import contextvars
import ctypes
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

from distributed import Client, Future

from daskclass.exercises.apart import TryNext, reason
from daskclass.system import pace
from daskclass.watch import dask_internals

_GRACE, _REPLY, _RESTART = 1.0, 4.0, 2.0  # seconds for a task to end, a worker to reply, and a worker to restart
_BACK = 5.0  # seconds for restarted workers to come back
_ENDED = "It ended the program with {error!r}. Let it return."


class TooSlow(Exception):
    """A call didn't return within the trial's time."""


class _Stop(BaseException):
    """Ends a thread whose result no longer matters. An answer with `except Exception` doesn't catch it."""


class Trial:
    """Calls that share one time limit (`pace.Limit`). They run in a thread: an answer may never return."""

    def __init__(self, client: Client, seconds: float) -> None:
        self.client = client
        self._limit = pace.Limit(seconds)

    @property
    def seconds(self) -> str:
        """The whole seconds that have passed, for messages."""
        return f"{self._limit.elapsed:.0f}"

    def within(self, function: Callable[..., Any], *arguments: object) -> Any:
        """What `function` returns or raises, or `TooSlow`."""
        results: list[Any] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                results.append(function(*arguments))
            except BaseException as error:  # handed on below; a thread would print it
                errors.append(error)

        context = contextvars.copy_context()  # in which Dask keeps its current client
        thread = threading.Thread(target=context.run, args=(run,), daemon=True)
        thread.start()
        while thread.is_alive() and (left := self._limit.left()):
            thread.join(left)
        if errors:
            raise errors[0]
        if not results:
            _end(thread)
            raise TooSlow(f"no result within {self.seconds} seconds")
        return results[0]

    def call(self, answer: Callable[..., object], *arguments: object, most: int) -> object:
        """What the learner's function returns; an iterable as a list of at most `most` and one items."""

        def listed() -> object:
            got = answer(*arguments)
            if hasattr(got, "__dask_graph__"):
                raise TryNext("It returned a plan, and nothing has run. Compute it.")
            # Sets have no order, and a mapping's keys aren't what anyone wants to return.
            if isinstance(got, Iterable) and not isinstance(got, str | bytes | Mapping | Set | Future):
                return list(islice(got, most + 1))  # a generator may never end
            return got

        try:
            return self.within(listed)
        except TooSlow:
            raise TryNext(f"It was still running after {self.seconds} seconds. Is it waiting for something?") from None
        except TryNext:
            raise
        except Exception as error:
            raise TryNext(f"It raised `{reason(error)}`.") from error
        except (SystemExit, GeneratorExit) as error:
            raise TryNext(_ENDED.format(error=error)) from error

    def gather(self, futures: list[Future[Any]]) -> list[Any]:
        """The results of the learner's tasks."""
        try:
            results: list[Any] = self.within(self.client.gather, futures)
        except TooSlow:
            raise TryNext(
                f"The tasks weren't done within {self.seconds} seconds. Is there a worker that may run them?"
            ) from None
        except Exception as error:
            raise TryNext(f"A task raised `{reason(error)}`.") from error
        return results


def _end(thread: threading.Thread) -> None:
    """Raise `_Stop` in a thread, or else an endless loop would slow down the notebook from now on."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Stop))


def wait_for_workers(client: Client, workers: int) -> None:
    """Give workers that an earlier check has restarted some seconds to come back."""
    with suppress(TimeoutError):
        pace.Limit(_BACK).within(lambda left: client.wait_for_workers(workers, timeout=left))


@contextmanager
def trial(client: Client, seconds: float) -> Iterator[Trial]:
    """Try an answer for at most `seconds`, or longer on a slow machine.

    Cancels every future that was made meanwhile, also by a judge.

    Dask can't cancel a task that is running. If one doesn't end, this restarts its worker.
    """
    futures, tasks = set(client.futures), _running(client) or set()
    try:
        yield Trial(client, seconds)
    finally:
        if client.status == "running":  # else the learner's function has closed it
            made: list[Future[Any]] = [Future(key, client) for key in set(client.futures) - futures]
            client.cancel(made)
            if stuck := _stuck(client, tasks):
                client.restart_workers(stuck, timeout=_RESTART, raise_for_error=False)


def _stuck(client: Client, before: Set[tuple[str, object]]) -> list[str]:
    """The workers that still run a task which they didn't run before."""
    end = time.monotonic() + _GRACE
    while True:
        running = _running(client)
        if running is None:
            return list(client.nthreads())
        left = {address for address, _key in running - before}
        if not left or time.monotonic() > end:
            return sorted(left)
        time.sleep(0.02)


def _running(client: Client) -> Set[tuple[str, object]] | None:
    """Which worker runs which task; None if a worker doesn't reply, as when a task never releases the GIL."""
    limit = pace.Limit(_REPLY)
    while left := limit.left():
        try:
            return dask_internals.running(client, left)
        except TimeoutError:
            continue
        except OSError:  # a worker ended while it was asked; soon the scheduler knows
            time.sleep(0.02)
    return None


def growth(before: Mapping[str, int], after: Mapping[str, int]) -> int:
    """How much the workers' counts grew. A worker that was restarted counts from zero, so its count says nothing."""
    if set(before) != set(after):
        raise TryNext("A worker was restarted, or died, while your function ran. Let the workers run.")
    return sum(after.values()) - sum(before.values())
