"""Exercises of lab 02: how much memory pandas needs, how busy each worker was, and how large a block may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import pandas as pd

from daskclass.exercises import kinds
from daskclass.exercises.exercise import Exercise, TryNext

if TYPE_CHECKING:
    from daskclass.limits import Run
    from daskclass.sales import Sales
    from daskclass.watch import Recording

WORKER = 4_000_000_000


def _bytes(answer: object) -> float:
    number = kinds.number(answer)
    if number is None:
        raise TryNext("It should be a number of bytes.")
    return number


def _judge_needed(answer: object, parts: Mapping[int, Run], sales: Sales) -> str:
    number = _bytes(answer)
    fewer, more = sorted(parts, reverse=True)
    low, high = parts[fewer].peak, parts[more].peak
    right = low + (high - low) * (fewer - 1)

    def near(other: float, share: float = 0.02) -> bool:
        return math.isclose(number, other, rel_tol=share)

    if not near(right, 1e-6):  # where pandas itself hardly counts, a wrong number can be near the right one
        if near(high * more) or near(low * fewer):
            raise TryNext(
                "That also multiplies pandas itself, which is there only once. How much do the rows alone cost?"
            )
        if near(right / 2**20):
            raise TryNext("These are MiB. The peaks are in bytes, so give the answer in bytes, too.")
        if near((high - low) * fewer, 0.001):
            raise TryNext("That's the cost of the rows. Add pandas itself.")
        if not near(right):
            raise TryNext(
                "The larger part needed more memory because it had more rows. How many times do those extra rows fit "
                "into all rows?"
            )
    times = right / cast(int, sales.bytes)  # labs have the CSV
    return (
        f"About {right / 1e9:.1f} GB, or {times:.1f} times the file. The whole file probably needs a bit more. "
        "Keep that factor in mind for choosing a blocksize."
    )


def _solve_needed(parts, sales):
    return parts[max(parts)].peak + (parts[min(parts)].peak - parts[max(parts)].peak) * (max(parts) - 1)


needed = Exercise(
    variable="needed",
    judge=_judge_needed,
    solve=_solve_needed,
    hints=(
        "The larger part has twice as many rows. The difference in memory is the price of those extra rows.",
        "With parts of 1/16 and 1/32, the difference between the peaks is the price of 1/32 of the rows. All rows take "
        "the smaller peak plus 31 times that difference.",
    ),
)


def _judge_busy(answer: object, recording: Recording) -> str:
    tasks, computing = recording.tasks, recording.tasks[recording.tasks.action == "compute"]
    workers = pd.Index(tasks.worker.unique())  # also those that computed nothing
    right = _seconds(computing).reindex(workers, fill_value=0)
    given = kinds.mapping(answer)
    if given is None:
        raise TryNext("It should be a dictionary from worker to seconds.")
    if not set(computing.worker) <= set(given) <= set(workers):
        raise TryNext(f"Its keys should be the {len(right)} addresses in the column `worker`.")
    said = {worker: kinds.number(given.get(worker, 0)) for worker in workers}
    busy = {worker: seconds for worker, seconds in said.items() if seconds is not None}
    if len(busy) < len(said):
        raise TryNext("Its values should be seconds.")

    def near(other: pd.Series, **within: float) -> bool:
        return all(math.isclose(busy[worker], other.get(worker, 0), **within) for worker in busy)

    is_exact = near(right, rel_tol=1e-6)
    if not is_exact and near(computing.groupby("worker").size(), rel_tol=1e-6):
        raise TryNext("These are counts of tasks. How long did each task take?")
    if not is_exact and near(_seconds(tasks), rel_tol=1e-6):
        raise TryNext("That's everything they did, including transfers. Keep the rows whose `action` is `compute`.")
    if not near(right, rel_tol=1e-6, abs_tol=0.0051):  # rounded to a hundredth
        raise TryNext("A row took `stop - start` seconds. Add these up for each worker.")
    share = right.max() / recording.seconds
    rest = "it hardly waited" if share > 0.8 else "the rest went into the start, the scheduling and the end"
    return f"The busiest worker computed for {share:.0%} of the time; {rest}."


def _seconds(tasks: pd.DataFrame) -> pd.Series:
    return (tasks.stop - tasks.start).groupby(tasks.worker).sum()


def _solve_busy(recording):
    return {
        worker: (tasks.stop - tasks.start).sum()
        for worker, tasks in recording.tasks[recording.tasks.action == "compute"].groupby("worker")
    }


busy = Exercise(
    variable="busy",
    judge=_judge_busy,
    solve=_solve_busy,
    hints=(
        "This is pandas: filter the rows by `action`, then group them by `worker`.",
        "For each group, compute `(tasks.stop - tasks.start).sum()`.",
    ),
)


def _judge_largest(answer: object, needed: object, sales: Sales) -> str:
    if needed is ...:
        raise TryNext("This exercise uses `needed` from the first one. Do that one first.")
    factor = (kinds.number(needed) or 0) / cast(int, sales.bytes)  # labs have the CSV
    if not 1 <= factor <= 20:
        raise TryNext("`needed` from the first exercise isn't right yet. Fix that one first.")
    number, right = _bytes(answer), WORKER / 2 / factor
    if math.isclose(number, right, rel_tol=0.05):
        return f"About {right / 1e6:.0f} MB. With two threads, which read two blocks at the same time, half of that."
    if math.isclose(number, WORKER / factor, rel_tol=0.02):
        raise TryNext("That takes all of the worker's memory. The question asks for half of it.")
    if math.isclose(number, WORKER / 2, rel_tol=0.02):
        raise TryNext("That's the memory. While pandas reads it, a block takes several times the size of its text.")
    if math.isclose(number, right / 1e6, rel_tol=0.02):
        raise TryNext("These are MB. Give the answer in bytes.")
    raise TryNext("In memory, a block takes `factor` times its bytes, and that may be 2 GB at most.")


def _solve_largest(needed, sales):
    return 4_000_000_000 / 2 / (needed / sales.bytes)


largest = Exercise(
    variable="largest",
    judge=_judge_largest,
    solve=_solve_largest,
    hints=(
        "`factor = needed / sales.bytes` is how much memory each byte of CSV takes while pandas reads it.",
        "Divide half of the worker's memory by the factor.",
    ),
)
