"""Exercises of lab 03: a path for everyone, a module for one worker, and which worker is behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cloudpickle
from dask.typing import Key
from distributed import Client, Future, Scheduler
from distributed.client import FutureCancelledError

from daskclass import clusters
from daskclass.errors import Problem
from daskclass.exercises import kinds
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.system import pace
from daskclass.watch import dask_internals

LINES = 40
REMEMBERED = "(If you've fixed that already: Dask remembers the earlier call. With `pure=False`, you make a new one.)"
_PATIENCE = 10.0  # seconds


def _on_every_worker(client: Client, function: Callable[..., object], *arguments: object) -> list[object]:
    """What a call returns on each worker, or the exception that it ends with."""
    futures = [
        client.submit(function, *arguments, workers=[worker], allow_other_workers=False, pure=False)
        for worker in client.nthreads()
    ]
    limit = pace.Limit(_PATIENCE + 5)  # a function with a limit of its own meets that first

    def outcome(future: Future[Any]) -> object:
        return limit.within(lambda left: future.exception(timeout=left)) or future.result(timeout=5)

    try:
        return [outcome(future) for future in futures]
    except TimeoutError:
        raise TryNext("We tried it, but the workers are busy. Check again when they're idle.") from None
    finally:
        client.cancel(futures)


def _judge_path(answer: object, client: Client) -> str:
    if not isinstance(answer, str | os.PathLike):
        raise TryNext("It should be a string that a task can open.")
    answer = str(os.fspath(answer))
    target = answer.rpartition("::")[2]  # as in "simplecache::file:///…"
    scheme = urlsplit(target).scheme
    if scheme == "memory":
        raise TryNext("`memory://` is a disk within one process. Every other process has its own, and it's empty.")
    if scheme in ("", "file", "local") or len(scheme) == 1:  # a single letter is a disk of Windows
        kind = "absolute" if scheme or Path(target).is_absolute() else "relative"
        raise TryNext(
            f"This {kind} path names a file on a disk. It names nothing on a machine without that disk. "
            "What else could the remedies open?"
        )

    def count(url: str, seconds: float) -> int:
        """Read in a thread, so that a server that never answers doesn't block the worker's own thread."""
        from threading import Thread

        import fsspec

        found: list[int | Exception] = []

        def read() -> None:
            try:
                with fsspec.open(url, "rt") as file:
                    found.append(sum(1 for _line in file))
            except Exception as error:
                found.append(error)

        reader = Thread(target=read, daemon=True)
        reader.start()
        reader.join(seconds)
        if not found:
            raise TimeoutError(f"no answer within {seconds:g} seconds")
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]

    for outcome in _on_every_worker(client, count, answer, _PATIENCE):
        if isinstance(outcome, Exception):
            raise TryNext(f"A worker couldn't open it: {outcome!r}")
        if outcome != LINES:
            raise TryNext(f"A worker opened it and found {outcome} lines, not {LINES}. Is it the right file?")
    return "Every worker opened it, and none of them needed your disk."


def _solve_path(url):
    return f"{url}/stores.csv"


path = Exercise(
    variable="path",
    judge=_judge_path,
    solve=_solve_path,
    hints=(
        "One remedy sent the file, one relied on a shared disk, and one read over the network.",
        "The office serves its folder at `url`. Add the name of the file.",
    ),
)


def _judge_in_cents(answer: object, client: Client) -> str:
    if isinstance(answer, list | tuple) and len(answer) == 1 and isinstance(answer[0], Future):
        raise TryNext("That's a list with a future in it. Take the future out with `[0]`.")
    if not isinstance(answer, Future):
        raise TryNext("That's a value, not a future. `client.submit(…)` returns a future; drop the `.result()`.")
    try:
        limit = pace.Limit(_PATIENCE)
        error = limit.within(lambda left: answer.exception(timeout=left))
        cents = None if error else answer.result(timeout=5)
    except TimeoutError:
        raise TryNext(
            f"It's still pending after {limit.elapsed:.0f} seconds. Is there a worker of that name, and is it idle?"
        ) from None
    except FutureCancelledError:
        raise TryNext("That future was canceled. Submit the call again.") from None
    if error is not None:
        cause = error.__cause__ or error
        raise TryNext(
            f"It failed with {type(cause).__name__}: {cause}. Which other processes need the module? {REMEMBERED}"
        )
    names = {address: worker["name"] for address, worker in clusters.workers(client).items()}
    # Where it ran is in its story. Who has the result is another question: another task may have fetched it.
    ran = {
        names.get(where, where)
        for where, _key, before, after, *_ in client.story(answer.key)
        if (before, after) == ("executing", "memory")
    }
    called, allowed, others = client.run_on_scheduler(_told, key=answer.key)
    if not called:
        raise TryNext("It should be the future of a call of `rounding.to_cents`.")
    if cents != 999:
        raise TryNext(f'It\'s {cents!r} and should be 999. Call `rounding.to_cents` with the string "9.99".')
    if ran != {"west"}:
        raise TryNext(
            f"The result is right, but it ran on {', '.join(sorted(map(str, ran)))}. Give `submit` the worker's name. "
            f"{REMEMBERED}"
        )
    if {names.get(address, address) for address in allowed} != {"west"}:
        raise TryNext("The result is right, but it ran on west by chance. Tell `submit` which worker has to run it.")
    if others:
        raise TryNext("The result is right, but `allow_other_workers` also lets it run elsewhere. Drop that argument.")
    return "999, on west. `workers=` takes names and addresses. Use it sparingly: it ties the scheduler's hands."


def _told(dask_scheduler: Scheduler, key: Key) -> tuple[bool, list[str], bool]:
    """Whether a task calls `to_cents`, which workers may run it, and whether others may if those are gone.

    Runs in the scheduler. The key doesn't tell which function runs, because the learner may choose it.
    """
    task = dask_scheduler.tasks[key]
    calls = all(name in cloudpickle.dumps(dask_internals.call_of(task)) for name in (b"rounding", b"to_cents"))
    return calls, sorted(task.worker_restrictions or ()), task.loose_restrictions


def _solve_in_cents(client):
    import rounding

    client.upload_file("rounding.py")
    return client.submit(rounding.to_cents, "9.99", workers=["west"], pure=False)


in_cents = Exercise(
    variable="in_cents",
    judge=_judge_in_cents,
    solve=_solve_in_cents,
    hints=(
        "First `import rounding` here. Then give the module to all other processes, as you did with `prices`.",
        'Then `client.submit(rounding.to_cents, "9.99", workers=["west"], pure=False)`.',
    ),
)


def _judge_versions(answer: object, client: Client) -> str:
    def ask() -> object:
        import bonus

        return bonus.VERSION

    try:
        right = client.run(ask)
    except ImportError as error:
        raise Problem(f"A worker has no `bonus` ({error}). Run the cells above, then this one again.") from error
    given = kinds.mapping(answer)
    if given is None:
        raise TryNext("It should be a dictionary from address to number, the way `client.run` returns it.")
    workers = clusters.workers(client)
    if set(given) == {worker["name"] for worker in workers.values()}:
        raise TryNext("Its keys are names. Use the addresses that `client.run` returns: no two workers share one.")
    if set(given) != set(right):
        raise TryNext(f"Its keys should be the {len(right)} addresses of the workers.")
    if given != right:
        raise TryNext(
            "The workers have other versions. Import `bonus` inside the function, so that each worker does it."
        )
    behind = [workers[address]["name"] for address, version in right.items() if version == 1]
    return f"{' and '.join(behind)} is behind. Check your own package this way before any long job."


def _solve_versions(client):
    def version():
        import bonus

        return bonus.VERSION

    return client.run(version)


versions = Exercise(
    variable="versions",
    judge=_judge_versions,
    solve=_solve_versions,
    hints=(
        "Write a function that imports `bonus` and returns `bonus.VERSION`. Run it on all workers at once.",
        "`client.run(function)`, without parentheses after the function's name.",
    ),
)
