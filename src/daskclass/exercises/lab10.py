"""Exercises of lab 10: a computation that keeps nothing, and a cluster with room for 24 arrays."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable

import numpy as np
from dask.utils import format_bytes, parse_bytes
from distributed import Client, LocalCluster, Worker, get_worker

from daskclass import clusters, watch
from daskclass.errors import Problem
from daskclass.exercises import kinds
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.exercises.trials import TooSlow, Trial, growth, trial, wait_for_workers
from daskclass.system import pace
from daskclass.watch import dask_internals

ARRAYS = 48
KEPT = 24
BUDGET = 1536 * 2**20  # bytes, for all workers together
_LEAST = 256 * 2**20  # bytes of a worker; more than six workers take longer to start than a verdict may take
_SECONDS = 14.0
_ANSWERS = 4.0  # seconds for a worker to say how much it wrote; one that doesn't release the GIL never does


def _mean(array: np.ndarray) -> float:
    return float(array.mean())


def _written(client: Client) -> dict[str, int]:
    """The bytes that each worker has written to its disk since it started."""
    written: dict[str, int] = client.run(_ever_written)
    return written


def _ever_written(dask_worker: Worker) -> int:
    return dask_internals.bytes_ever_spilled(dask_worker)


def _judge_no_disk(answer: object, client: Client, draw: Callable[[int], np.ndarray]) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the client, `draw` and `mean`.")
    wait_for_workers(client, 1)
    before = _written(client)
    expected = [secrets.randbelow(10**6) / 1000 for _ in range(ARRAYS)]  # results of an earlier call are of no use

    def require_task(name: str) -> None:
        try:
            get_worker()
        except ValueError:
            raise RuntimeError(f"`{name}` ran in the notebook; let tasks call it") from None

    def mean_in_a_task(array: np.ndarray) -> float:
        require_task("mean")
        return _mean(array)

    def draw_in_a_task(number: int) -> np.ndarray:
        require_task("draw")
        array = draw(number)
        shifted: np.ndarray = array + (expected[number] - array.mean())
        return shifted

    with trial(client, _SECONDS) as tried:
        try:
            means = tried.call(answer, client, draw_in_a_task, mean_in_a_task, most=ARRAYS)
        except TryNext as advice:
            if isinstance(advice.__cause__, BaseException):
                raise
            try:
                written = growth(before, Trial(client, _ANSWERS).within(_written, client))
            except TooSlow:
                raise advice from None
            if not written:
                raise
            raise TryNext(
                f"It was still running after {tried.seconds} seconds, and the workers wrote {format_bytes(written)} to "
                "disk meanwhile. Which arrays does it keep?"
            ) from None
        if not isinstance(means, list) or len(means) != ARRAYS:
            raise TryNext(f"It should return a list of {ARRAYS} means.")
        numbers = [number for mean in means if (number := kinds.number(mean)) is not None]
        if len(numbers) < ARRAYS:
            [other, *_more] = [mean for mean in means if kinds.number(mean) is None]
            raise TryNext(f"Each of them should be a number, but one is a {type(other).__name__}.")
        written = growth(before, _written(client))
    if not np.allclose(numbers, expected, rtol=0, atol=1e-9):
        raise TryNext(
            f"They should be the means of `draw(0)` to `draw({ARRAYS - 1})`, in this order. Call the `draw` that your "
            "function gets."
        )
    if written:
        raise TryNext(
            f"The means are right, but the workers wrote {format_bytes(written)} to disk. (An array that is read back "
            "into a full memory pushes out others, so Dask writes those again.)"
        )
    return f"{ARRAYS} means, and the workers spilled nothing."


def _solve_no_disk(client, draw, mean):
    def mean_of(number):
        return mean(draw(number))

    return client.gather(client.map(mean_of, range(48), pure=False))


no_disk = Exercise(
    variable="no_disk",
    judge=_judge_no_disk,
    solve=_solve_no_disk,
    hints=(
        "You only need the means. Can one task make an array, use it, and return only its mean?",
        "Write a function of one number that calls `draw` and `mean`. One `client.map` of it does the rest.",
    ),
    is_function=True,
)


def _judge_room(answer: object, draw: Callable[[int], np.ndarray]) -> str:
    workers, limit = _options(answer)
    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "silence_logs": "CRITICAL"}
    with (
        tempfile.TemporaryDirectory(prefix="daskclass-room-") as place,
        LocalCluster(n_workers=0, memory_limit=limit, local_directory=place, **options) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        patience = pace.Limit(_SECONDS)
        cluster.scale(workers)
        _wait_for(client, workers, patience)
        addresses = list(client.nthreads())
        # In turn, so that the verdict doesn't depend on which worker is faster today.
        turns = [addresses[number % len(addresses)] for number in range(KEPT)]
        arrays = [client.submit(draw, number, workers=turn, pure=False) for number, turn in enumerate(turns)]

        def lost() -> bool:  # the worker that the nanny starts in its place has another address
            return set(client.nthreads()) != set(addresses)

        def wait(left: float) -> None:
            try:
                watch.until(lambda: all(f.done() for f in arrays) or lost(), "the last of them", seconds=left)
            except Problem as waited:
                raise TimeoutError from waited

        try:
            patience.within(wait)
        except TimeoutError:
            raise TryNext(
                f"After {patience.elapsed:.0f} seconds, some arrays are still missing. {_how_it_is(client)}"
            ) from None
        if lost():
            raise TryNext("A nanny killed its worker on the way.")
        if failed := [future for future in arrays if future.status != "finished"]:
            raise TryNext(f"{len(failed)} of the arrays failed: {type(failed[0].exception()).__name__}.")
        if written := sum(_written(client).values()):
            raise TryNext(
                f"The workers wrote {format_bytes(written)} to disk. Think of the 60% for results, the 70% for the "
                "whole process, and the memory that each process needs before it holds anything."
            )
        events = [event for address in addresses for _when, event in client.get_events(address)]
        if any(event.get("status") == "paused" for event in events):
            raise TryNext("A worker paused on the way.")
        held = {address: len(keys) for address, keys in client.has_what().items()}
    each = " and ".join(map(str, sorted(held.values())))
    return f"{KEPT} arrays on {workers} worker{'s' * (workers > 1)} ({each}), and all of them are in memory."


def _wait_for(client: Client, workers: int, patience: pace.Limit) -> None:
    try:
        patience.within(lambda left: client.wait_for_workers(workers, timeout=left))
    except TimeoutError:
        seconds = f"{patience.elapsed:.0f}"
        raise TryNext(f"After {seconds} seconds, some of the {workers} workers were still missing.") from None


def _how_it_is(client: Client) -> str:
    states = [worker["status"] for worker in clusters.workers(client).values()]
    return f"The workers are {' and '.join(sorted(set(states)))}." if states else "There's no worker."


def _options(answer: object) -> tuple[int, int]:
    given = kinds.mapping(answer)
    if given is None:
        raise TryNext('It should be a dictionary such as `{"n_workers": 6, "memory_limit": "256 MiB"}`.')
    if set(given) != {"n_workers", "memory_limit"}:
        raise TryNext("It should have `n_workers` and `memory_limit`, and nothing else.")
    workers = kinds.whole(given["n_workers"])
    if workers is None or workers < 1:
        raise TryNext("`n_workers` should be a whole number, at least 1.")
    typed = given["memory_limit"]
    size = typed if isinstance(typed, str) else kinds.number(typed)
    try:
        limit = parse_bytes("not a size" if size is None else size)
    except (TypeError, ValueError, AttributeError) as error:
        raise TryNext('`memory_limit` should be a size such as `"256 MiB"`.') from error
    if kinds.number(typed) is not None and limit <= 1:
        raise TryNext(
            "To Dask, a number up to 1 is a share of the machine's memory. Give `memory_limit` in bytes, or as text "
            'such as `"256 MiB"`.'
        )
    if limit < _LEAST:
        raise TryNext(
            f"`memory_limit` is {format_bytes(limit)} for each worker, which is less than its libraries and a few "
            f"arrays need. Give each worker {format_bytes(_LEAST)} or more."
        )
    if workers * limit > BUDGET:
        total = format_bytes(workers * limit)
        raise TryNext(f"{workers} times {format_bytes(limit)} is {total}; you have {format_bytes(BUDGET)}.")
    return workers, limit


def _solve_room():
    return {"n_workers": 2, "memory_limit": "768 MiB"}


room = Exercise(
    variable="room",
    judge=_judge_room,
    solve=_solve_room,
    hints=(
        "768 MiB have to be less than 60% of all limits together, and each process needs about 100 MiB for itself.",
        "A few large workers hold more than many small ones. Try one or two.",
    ),
)
