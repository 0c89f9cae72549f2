"""Exercises of lab 11: work that is spread evenly before any worker has to steal, and the cost of a move."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from distributed import Client, Future, Scheduler

from daskclass import watch
from daskclass.errors import Problem
from daskclass.exercises import kinds
from daskclass.exercises.apart import reason
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.exercises.trials import TooSlow, trial, wait_for_workers
from daskclass.watch.dask_internals import level_of_stealing

if TYPE_CHECKING:
    import numpy as np
    from dask.typing import Key

PIECES = 40
_FEW = 15
_NAP = 0.05
_PREPARE, _SECONDS = 5.0, 12.0  # time limits, for the pieces and for the answer


def _look_up(prices: np.ndarray) -> float:
    time.sleep(_NAP)
    return float(prices.max())


def _derived(dask_scheduler: Scheduler, keys: list[Key], pieces: set[Key]) -> int:
    """How many of `keys` get a piece, or something that other tasks made of one."""

    def has_a_piece(key: Key) -> bool:
        seen: set[Key] = set()
        left = [dask_scheduler.tasks[key]]
        while left:
            for task in left.pop().dependencies:
                if task.key in pieces:
                    return True
                if task.key not in seen:
                    seen.add(task.key)
                    left.append(task)
        return False

    return sum(map(has_a_piece, keys))


def _judge_even(answer: object, client: Client, piece: Callable[[int], np.ndarray]) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the client, the futures of the pieces and `look_up`.")
    wait_for_workers(client, 2)
    workers = sorted(client.nthreads())
    if len(workers) != 2:
        count = f"{len(workers)} worker{'s' * (len(workers) != 1)}"
        raise Problem(f"This cluster has {count}, and the question needs 2. Restart the lab.")
    with trial(client, _PREPARE) as prepared:
        pieces = client.map(piece, range(PIECES), workers=workers[:1], pure=False)
        try:
            expected = [float(one.max()) for one in prepared.within(client.gather, pieces)]
        except TooSlow:
            raise Problem(
                f"The pieces weren't ready after {prepared.seconds} seconds. Check again when the workers are idle."
            ) from None
        # The trial ends first: it restarts a worker whose task doesn't end, and the recording asks all of them.
        with watch.record(client) as recording, trial(client, _SECONDS) as tried:
            futures = tried.call(answer, client, list(pieces), _look_up, most=PIECES)
            if not isinstance(futures, list) or not all(isinstance(future, Future) for future in futures):
                raise TryNext("It should return a list of futures, as `client.map` does.")
            if len(futures) > PIECES:
                raise TryNext(f"It should return {PIECES} futures, one for each piece, and it returned more.")
            results = tried.gather(futures)
            if len(results) != len(expected):
                raise TryNext(f"It should return {PIECES} futures, one for each piece, and it returned {len(results)}.")
            if [kinds.number(result) for result in results] != expected:
                raise TryNext("The results should be those of `look_up` for each piece, in order.")
            keys = list({future.key for future in futures})
            given = client.run_on_scheduler(_derived, keys=keys, pieces={future.key for future in pieces})
    ran = recording.tasks[(recording.tasks.action == "compute") & recording.tasks.key.isin(keys)]
    if len(ran) < PIECES:
        raise TryNext(f"Only {len(ran)} of the look-ups ran as tasks. Let the cluster run them.")
    if given < PIECES:
        raise TryNext(
            "Some of the look-ups don't use the pieces on the cluster, so the notebook fetched them first. Leave them "
            "there."
        )
    share = Counter({worker: 0 for worker in workers})
    share.update(ran.worker)
    stolen = recording.steals[(recording.steals.answer == "confirm") & recording.steals.key.isin(keys)]
    if min(share.values()) < _FEW:
        raise TryNext(
            f"{share[workers[0]]} look-ups ran on one worker and {share[workers[1]]} on the other. It should be at "
            f"least {_FEW} on each. (`rebalance` moves nothing while a worker's memory is almost empty.)"
        )
    # Where the scheduler sent each one first. A few may still be stolen at the end, from a worker that fell behind.
    first = ran.set_index("key").worker.to_dict() | stolen.groupby("key").victim.first().to_dict()
    sent = Counter({worker: 0 for worker in workers})
    sent.update(first.values())
    if min(sent.values()) < _FEW:
        raise TryNext(
            f"It's even, but only because the idle worker stole {len(stolen)} of them. Put the data where the work "
            "should run, before you submit it."
        )
    return f"The scheduler sent {sent[workers[0]]} to one worker and {sent[workers[1]]} to the other."


def _solve_even(client, pieces, look_up):
    client.replicate(pieces)
    return client.map(look_up, pieces, pure=False)


even = Exercise(
    variable="even",
    judge=_judge_even,
    solve=_solve_even,
    hints=(
        "The scheduler prefers workers that have the input. Which workers could have it before you submit the tasks?",
        "`client.replicate(pieces)` copies results to every worker.",
    ),
    is_function=True,
)

_BANDWIDTH = 100_000_000
_MOVES = {
    "a few bytes, long work": (1_000, 10.0),
    "a few bytes, short work": (1_000, 0.05),
    "a single byte, work of an hour": (1, 3600.0),
    "20 MB, short work": (20_000_000, 0.05),
    "1 GB, work of a minute": (1_000_000_000, 60.0),
    "20 MB, hardly any work": (20_000_000, 0.0001),
    "the last level": (1_000, 0.0003),
    "one level too many": (1_000, 0.0002),
}


def _judge_level(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function of bytes, seconds and bandwidth.")
    for bandwidth in (_BANDWIDTH, 10 * _BANDWIDTH):
        for name, (nbytes, seconds) in _MOVES.items():
            call = f"`level({nbytes}, {seconds}, {bandwidth})` ({name})"
            try:
                got = answer(nbytes, seconds, bandwidth)
            except Exception as error:
                raise TryNext(f"{call} raised `{reason(error)}`.") from error
            right = level_of_stealing(nbytes, seconds, bandwidth)
            if got is None:
                if right is not None:
                    raise TryNext(f"{call} returned `None`, but another worker may steal such a task.")
                continue
            whole = kinds.whole(got)
            if whole is None:
                raise TryNext(f"{call} should be a whole number or `None`, and it returned a {type(got).__name__}.")
            if right is None:
                raise TryNext(f"{call} returned {whole}. Beyond level 14, no worker steals a task.")
            if whole != right:
                raise TryNext(
                    f"{call} returned {whole}, and Dask says otherwise. Check four things: you add a tenth of a second "
                    "to the move, you divide the move by the work, you use `round` and not `int`, and no level is "
                    "below 1."
                )
    return f"{2 * len(_MOVES)} moves, and Dask's own scheduler gives each of them the same level."


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
        "The ratio is the time of the move divided by the time of the work. A move takes `nbytes / bandwidth` plus a "
        "tenth of a second.",
        "`max(1, round(log2(ratio) + 6))`, and `None` if that's more than 14.",
    ),
    is_function=True,
    apart=True,
)
