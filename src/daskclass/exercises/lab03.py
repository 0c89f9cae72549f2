"""Exercises of lab 03: a path for everybody, a module for one worker, and who is behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from dask.typing import Key
from distributed import Client, Future, Scheduler

from daskclass import clusters
from daskclass.exercises.exercise import Exercise, TryNext

LINES = 40
REMEMBERED = "(If that is mended already: Dask remembers the earlier call. With `pure=False` it is a new one.)"
_PATIENCE = 30.0  # seconds


def _on_every_worker(client: Client, function: Callable[..., object], *arguments: object) -> list[object]:
    """What a call returns on each worker, or the exception that it ends with."""
    futures = [
        client.submit(function, *arguments, workers=[worker], allow_other_workers=False, pure=False)
        for worker in client.nthreads()
    ]
    return [future.exception(timeout=_PATIENCE) or future.result() for future in futures]


def _judge_path(answer: object, client: Client) -> str:
    if not isinstance(answer, str | os.PathLike):
        raise TryNext("It should be a string that a task can open.")
    answer = os.fspath(answer)
    scheme = urlsplit(answer).scheme
    if scheme == "memory":
        raise TryNext("memory:// is a disk of one process. Another process has another one, and it is empty.")
    if scheme in ("", "file") or len(scheme) == 1:  # a single letter is a disk of Windows
        kind = "absolute" if scheme or Path(answer).is_absolute() else "relative"
        raise TryNext(
            f"This {kind} path names a file on a disk. On a machine that does not have this disk, it names nothing. "
            "What else did the remedies open?"
        )

    def count(url: str) -> int:
        import fsspec

        with fsspec.open(url, "rt") as file:
            return sum(1 for _line in file)

    for outcome in _on_every_worker(client, count, answer):
        if isinstance(outcome, Exception):
            raise TryNext(f"A worker could not open it: {outcome!r}")
        if outcome != LINES:
            raise TryNext(f"A worker opened it and found {outcome} lines, not {LINES}. Is it the right file?")
    return "Every worker opened it, and none of them needed a disk of yours."


def _solve_path(url):
    return f"{url}/stores.csv"


path = Exercise(
    variable="path",
    judge=_judge_path,
    solve=_solve_path,
    hints=(
        "Of the three remedies, one sent the file, one relied on a shared disk, and one asked over the network.",
        "`url` is where the office serves its folder. The name of the file comes after it.",
    ),
)


def _judge_in_cents(answer: object, client: Client) -> str:
    if not isinstance(answer, Future):
        raise TryNext("That is a value and no future. `client.submit(…)` returns one; leave `.result()` away.")
    try:
        error = answer.exception(timeout=_PATIENCE)
    except TimeoutError:
        raise TryNext(f"It is still pending after {_PATIENCE:g} seconds. Is there a worker of that name?") from None
    if error is not None:
        cause = error.__cause__ or error
        raise TryNext(
            f"It failed: {type(cause).__name__}: {cause}. Who has to have the module, besides you? {REMEMBERED}"
        )
    if not cast(str, answer.key).startswith("to_cents"):
        raise TryNext("It should be the future of the call of `rounding.to_cents` itself.")
    if answer.result() != 999:
        raise TryNext(f'It is {answer.result()!r} and should be 999: call `rounding.to_cents` with the string "9.99".')
    names = {address: worker["name"] for address, worker in clusters.workers(client).items()}
    ran = {names.get(address, address) for address in client.who_has([answer])[answer.key]}
    if ran != {"west"}:
        raise TryNext(
            f"It is right, and it is on {', '.join(sorted(map(str, ran)))}. `submit` takes the worker's name. "
            f"{REMEMBERED}"
        )
    allowed, others = client.run_on_scheduler(_allowed, key=answer.key)
    if {names.get(address, address) for address in allowed} != {"west"}:
        raise TryNext(
            "It is right, but it ran on west by chance. `submit` takes the name of a worker that has to run it."
        )
    if others:
        raise TryNext("It is right, but `allow_other_workers` also lets it run elsewhere. Leave that out.")
    return (
        "999, on west. `workers=` takes names and addresses; use it sparingly, because it ties the scheduler's hands."
    )


def _allowed(dask_scheduler: Scheduler, key: Key) -> tuple[list[str], bool]:
    """On which workers a task may run, and whether it may run elsewhere when they are gone. Runs in the scheduler."""
    task = dask_scheduler.tasks[key]
    return sorted(task.worker_restrictions or ()), task.loose_restrictions


def _solve_in_cents(client):
    import rounding

    client.upload_file("rounding.py")
    return client.submit(rounding.to_cents, "9.99", workers=["west"], pure=False)


in_cents = Exercise(
    variable="in_cents",
    judge=_judge_in_cents,
    solve=_solve_in_cents,
    hints=(
        "First `import rounding` here, and give the module to everybody else, as with `prices`.",
        'Then `client.submit(rounding.to_cents, "9.99", workers=["west"], pure=False)`.',
    ),
)


def _judge_versions(answer: object, client: Client) -> str:
    def ask() -> object:
        import bonus

        return bonus.VERSION

    right = client.run(ask)
    if not isinstance(answer, dict):
        raise TryNext("It should be a dictionary from address to number, as `client.run` returns it.")
    names = {worker["name"] for worker in clusters.workers(client).values()}
    if set(answer) == names:
        raise TryNext("Its keys are names. `client.run` gives addresses, which never mean two workers.")
    if set(answer) != set(right):
        raise TryNext(f"Its keys should be the {len(right)} addresses of the workers.")
    if answer != right:
        raise TryNext(
            "These are not the versions that the workers have. Import `bonus` inside the function, over there."
        )
    behind = [clusters.workers(client)[address]["name"] for address, version in right.items() if version == 1]
    return f"Behind is {', '.join(behind)}. Do that with your own package, before anything long."


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
        "A function that imports `bonus` and returns `bonus.VERSION`; and then on every worker at once.",
        "`client.run(function)`, without brackets behind the function.",
    ),
)
