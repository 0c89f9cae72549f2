"""Exercises of lab 10: a computation that keeps nothing, and a cluster with room for what is kept."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Mapping

import numpy as np
from dask.utils import format_bytes, parse_bytes
from distributed import Client, LocalCluster, Worker, get_worker

from daskclass import clusters, watch
from daskclass.errors import Problem
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.watch import dask_internals

ARRAYS = 48
KEPT = 24
BUDGET = 1536 * 2**20  # bytes, for all workers together
_LEAST = 128 * 2**20  # bytes of a worker, of which an empty one takes more than half
_SECONDS = 60.0


def _mean(array: np.ndarray) -> float:
    return float(array.mean())


def _written(client: Client) -> int:
    """Bytes that the workers have ever written to their disks."""
    return sum(client.run(_ever_written).values())


def _ever_written(dask_worker: Worker) -> int:
    return dask_internals.bytes_ever_spilled(dask_worker)


def _judge_no_disk(answer: object, client: Client, draw: Callable[[int], np.ndarray]) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the client, `draw` and `mean`.")
    before = _written(client)
    shift = secrets.randbelow(1000)  # what was computed with another function is of no use

    def draw_in_a_task(number: int) -> np.ndarray:
        try:
            get_worker()
        except ValueError:
            raise RuntimeError("`draw` was called in the notebook; let tasks call it") from None
        return draw(number) + shift

    try:
        means = answer(client, draw_in_a_task, _mean)
    except Exception as error:
        raise TryNext(f"It raised {type(error).__name__}: {error}") from error
    written = _written(client) - before
    if not isinstance(means, list | tuple) or len(means) != ARRAYS:
        raise TryNext(f"It should return a list of {ARRAYS} means.")
    if not all(isinstance(mean, float | np.floating) for mean in means):
        raise TryNext(f"Each of them should be a number; the first is a {type(means[0]).__name__}.")
    if not np.allclose(means, [_mean(draw(number) + shift) for number in range(ARRAYS)], rtol=1e-12, atol=0):
        raise TryNext(
            f"They are not the means of `draw(0)` to `draw({ARRAYS - 1})`, in this order; use the `draw` it is given."
        )
    if written:
        raise TryNext(
            f"The means are right, and {format_bytes(int(written))} were written to disk. (What is read back into a "
            "full memory pushes others out, which are written once more.)"
        )
    return f"{ARRAYS} means, and not a byte was written."


def _solve_no_disk(client, draw, mean):
    def mean_of(number):
        return mean(draw(number))

    return client.gather(client.map(mean_of, range(48), pure=False))


no_disk = Exercise(
    variable="no_disk",
    judge=_judge_no_disk,
    solve=_solve_no_disk,
    hints=(
        "Nobody needs the arrays. Which task could make one, use it, and return only the mean?",
        "A function of one number that calls `draw` and `mean`, and one `client.map` of it.",
    ),
    is_function=True,
)


def _judge_room(answer: object, draw: Callable[[int], np.ndarray]) -> str:
    workers, limit = _options(answer)
    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "silence_logs": "CRITICAL"}
    with (
        tempfile.TemporaryDirectory(prefix="daskclass-room-") as place,
        LocalCluster(n_workers=workers, memory_limit=limit, local_directory=place, **options) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(workers, timeout=_SECONDS)
        addresses = list(client.nthreads())
        # In turn: a verdict on the room must not hang on which worker was quicker that day.
        turns = [addresses[number % len(addresses)] for number in range(KEPT)]
        arrays = [client.submit(draw, number, workers=turn, pure=False) for number, turn in enumerate(turns)]

        def lost() -> bool:  # whoever is started in its place has another address
            return set(client.nthreads()) != set(addresses)

        try:
            watch.until(lambda: all(f.done() for f in arrays) or lost(), "the last of them", seconds=_SECONDS)
        except Problem:
            raise TryNext(f"After {_SECONDS:.0f} seconds the arrays are not all there. {_how_it_is(client)}") from None
        if lost():
            raise TryNext("A worker was killed by its nanny on the way.")
        if failed := [future for future in arrays if future.status != "finished"]:
            raise TryNext(f"{len(failed)} of the arrays were lost: {type(failed[0].exception()).__name__}.")
        if written := _written(client):
            raise TryNext(
                f"{format_bytes(int(written))} were written to disk. Think of 60 % for results, of 70 % for the whole "
                "process, and of what each process needs before it holds anything."
            )
        events = [event for address in addresses for _when, event in client.get_events(address)]
        if any(event.get("status") == "paused" for event in events):
            raise TryNext("A worker paused on the way.")
        held = {address: len(keys) for address, keys in client.has_what().items()}
    return f"{KEPT} arrays on {workers} worker{'s' * (workers > 1)} ({sorted(held.values())}), and all are in memory."


def _how_it_is(client: Client) -> str:
    states = [worker["status"] for worker in clusters.workers(client).values()]
    return f"The workers are {' and '.join(sorted(set(states)))}." if states else "There is no worker."


def _options(answer: object) -> tuple[int, int]:
    if not isinstance(answer, Mapping):
        raise TryNext('It should be a dict such as `{"n_workers": 6, "memory_limit": "256 MiB"}`.')
    if set(answer) != {"n_workers", "memory_limit"}:
        raise TryNext("It should say `n_workers` and `memory_limit`, and nothing else.")
    workers = answer["n_workers"]
    if isinstance(workers, bool) or not isinstance(workers, int | np.integer) or workers < 1:
        raise TryNext("`n_workers` should be a whole number from 1.")
    try:
        limit = parse_bytes(answer["memory_limit"])
    except (TypeError, ValueError, AttributeError) as error:
        raise TryNext('`memory_limit` should be a size such as `"256 MiB"`.') from error
    if limit < _LEAST:
        raise TryNext(
            f"`memory_limit` is {format_bytes(limit)} for each worker, which is less than its libraries need. Say "
            f"{format_bytes(_LEAST)} or more."
        )
    if workers * limit > BUDGET:
        total = format_bytes(int(workers * limit))
        raise TryNext(f"{workers} times {format_bytes(limit)} is {total}; you have {format_bytes(BUDGET)}.")
    return int(workers), limit


def _solve_room():
    return {"n_workers": 2, "memory_limit": "768 MiB"}


room = Exercise(
    variable="room",
    judge=_judge_room,
    solve=_solve_room,
    hints=(
        "768 MiB have to be less than 60 % of the limits together, and each process needs some 60 MiB for itself.",
        "Few large workers hold more than many small ones. Try one, or two.",
    ),
)
