"""Exercises of lab 11: work that is shared out before anybody has to steal it, and what a move costs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING

from distributed import Client, Future, Scheduler, wait

from daskclass import watch
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.watch.dask_internals import level_of_stealing

if TYPE_CHECKING:
    import numpy as np
    from dask.typing import Key

PIECES = 40
_FEW = 15
_NAP, _SECONDS = 0.05, 60.0


def _look_up(prices: np.ndarray) -> float:
    time.sleep(_NAP)
    return float(prices.max())


def _inputs(dask_scheduler: Scheduler, keys: list[Key]) -> dict[Key, set[Key]]:
    """Keys of the tasks that each of `keys` takes the results of."""
    return {key: {task.key for task in dask_scheduler.tasks[key].dependencies} for key in keys}


def _judge_even(answer: object, client: Client, piece: Callable[[int], np.ndarray]) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the client, the futures of the pieces and `look_up`.")
    workers = sorted(client.nthreads())
    if len(workers) != 2:
        raise TryNext(f"This cluster has {len(workers)} workers, and the question needs 2: start the lab anew.")
    pieces = client.map(piece, range(PIECES), workers=workers[:1], pure=False)
    expected = [float(one.max()) for one in client.gather(pieces)]
    with watch.record(client) as recording:
        try:
            futures = answer(client, pieces, _look_up)
        except Exception as error:
            raise TryNext(f"It raised {type(error).__name__}: {error}") from error
        if not isinstance(futures, list | tuple) or not all(isinstance(future, Future) for future in futures):
            raise TryNext("It should return a list of futures, as `client.map` does.")
        try:
            with client.as_current():
                wait(futures, timeout=_SECONDS)
            results = client.gather(list(futures))
        except TimeoutError:
            raise TryNext(f"The tasks were not done within {_SECONDS:g} seconds. May a worker run them?") from None
        except Exception as error:
            raise TryNext(f"A task raised {type(error).__name__}: {error}") from error
    if len(results) != len(expected):
        raise TryNext(f"It should return {PIECES} futures, one for each piece, and returned {len(results)}.")
    if any(not isinstance(got, float) or got != right for got, right in zip(results, expected, strict=True)):
        raise TryNext("The results are not those of `look_up` of each piece, in order.")
    keys = {future.key for future in futures}
    inputs = client.run_on_scheduler(_inputs, keys=sorted(keys))
    ran = recording.tasks[(recording.tasks.action == "compute") & recording.tasks.key.isin(keys)]
    if len(ran) < PIECES:
        raise TryNext(f"Only {len(ran)} of the look-ups ran as tasks. Let the cluster do them.")
    if sum(bool(names & {future.key for future in pieces}) for names in inputs.values()) < PIECES:
        raise TryNext("Some of the look-ups were given a piece and not its future: the notebook fetched it first.")
    share = Counter({worker: 0 for worker in workers})
    share.update(ran.worker)
    stolen = recording.steals[(recording.steals.answer == "confirm") & recording.steals.key.isin(keys)]
    if min(share.values()) < _FEW:
        raise TryNext(
            f"On the two workers ran {share[workers[0]]} and {share[workers[1]]}. At least {_FEW} on each. "
            "(`rebalance` moves nothing while a worker's memory is hardly used.)"
        )
    # Where the scheduler sent each one first. A few may still be stolen at the end, from a worker that fell behind.
    first = ran.set_index("key").worker.to_dict() | stolen.groupby("key").victim.first().to_dict()
    sent = Counter({worker: 0 for worker in workers})
    sent.update(first.values())
    if min(sent.values()) < _FEW:
        raise TryNext(f"It is even, because {len(stolen)} of them were stolen. Have the data where the work is to be.")
    return f"The scheduler sent {sent[workers[0]]} to one worker and {sent[workers[1]]} to the other."


def _solve_even(client, pieces, look_up):
    client.replicate(pieces)
    return client.map(look_up, pieces, pure=False)


even = Exercise(
    variable="even",
    judge=_judge_even,
    solve=_solve_even,
    hints=(
        "The scheduler asks the workers that have the input. Who could have it, before the tasks are handed over?",
        "`client.replicate(pieces)` copies results to every worker.",
    ),
    is_function=True,
)

_BANDWIDTH = 100_000_000
_MOVES = {
    "a few bytes, long work": (1_000, 10.0),
    "a few bytes, short work": (1_000, 0.05),
    "no bytes to speak of, an hour": (1, 3600.0),
    "20 MB, short work": (20_000_000, 0.05),
    "1 GB, work of a minute": (1_000_000_000, 60.0),
    "20 MB, hardly any work": (20_000_000, 0.0001),
    "the last level": (1_000, 0.0003),
    "one beyond": (1_000, 0.0002),
}


def _judge_level(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function of bytes, seconds and bandwidth.")
    for bandwidth in (_BANDWIDTH, 10 * _BANDWIDTH):
        for name, (nbytes, seconds) in _MOVES.items():
            try:
                got = answer(nbytes, seconds, bandwidth)
            except Exception as error:
                raise TryNext(f"For {name} it raised {type(error).__name__}: {error}") from error
            right = level_of_stealing(nbytes, seconds, bandwidth)
            call = f"`level({nbytes}, {seconds}, {bandwidth})`"
            if got is not None and (isinstance(got, bool) or not isinstance(got, Integral)):
                raise TryNext(f"{call} should be a whole number or `None`, and is a {type(got).__name__}.")
            if got is None and right is not None:
                raise TryNext(f"{call}, {name}, is `None`; such a task may be stolen.")
            if right is None and got is not None:
                raise TryNext(f"{call}, {name}, is {got}; beyond 14 it is never stolen.")
            if got != right:
                raise TryNext(
                    f"{call}, {name}, is {got}, and Dask says otherwise. Is the tenth of a second in it, "
                    "the move above the work, `round` and not `int`, and nothing below 1?"
                )
    return f"{2 * len(_MOVES)} moves, and Dask's own scheduler says the same of each."


def _solve_level(nbytes, seconds, bandwidth):
    from math import log2

    ratio = (nbytes / bandwidth + 0.1) / seconds
    level = max(1, round(log2(ratio) + 6))
    return level if level <= 14 else None


level = Exercise(
    variable="level",
    judge=_judge_level,
    solve=_solve_level,
    hints=(
        "The ratio is the time to move, `nbytes / bandwidth` and a tenth of a second, by the time of the work.",
        "`max(1, round(log2(ratio) + 6))`, and `None` if that is more than 14.",
    ),
    is_function=True,
)
