"""How does a judge try an answer on the notebook's own cluster? With a time limit, and leaving nothing behind."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from itertools import islice
from typing import Any

from distributed import Client, Future

from daskclass.exercises.apart import TryNext, reason

_ENDED = "It ended the program with {error!r}. Let it return."


class TooSlow(Exception):
    """A call didn't return within the trial's time."""


class Trial:
    """Calls that share one time limit. They run in a thread, because a learner's function may never return."""

    def __init__(self, client: Client, seconds: float) -> None:
        self.client = client
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self._end - time.monotonic())

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
        thread.join(self.left)
        if errors:
            raise errors[0]
        if not results:
            raise TooSlow(f"no result within {self.seconds:g} seconds")
        return results[0]

    def call(self, answer: Callable[..., object], *arguments: object, most: int) -> object:
        """What the learner's function returns; an iterable as a list of at most `most` and one items."""

        def listed() -> object:
            got = answer(*arguments)
            # Sets have no order, and a mapping's keys aren't what anyone wants to return.
            if isinstance(got, Iterable) and not isinstance(got, str | bytes | Mapping | Set | Future):
                return list(islice(got, most + 1))  # a generator may never end
            return got

        try:
            return self.within(listed)
        except TooSlow:
            raise TryNext(
                f"It was still running after {self.seconds:g} seconds. Is it waiting for something?"
            ) from None
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
                f"The tasks weren't done within {self.seconds:g} seconds. Is there a worker that may run them?"
            ) from None
        except Exception as error:
            raise TryNext(f"A task raised `{reason(error)}`.") from error
        return results


@contextmanager
def trial(client: Client, seconds: float) -> Iterator[Trial]:
    """Try an answer for at most `seconds`. Cancels every future that was made meanwhile, also by a judge."""
    before = set(client.futures)
    try:
        yield Trial(client, seconds)
    finally:
        made: list[Future[Any]] = [Future(key, client) for key in set(client.futures) - before]
        client.cancel(made)
