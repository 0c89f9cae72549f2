"""Exercises of lab 02: how much memory, which worker, how large a block."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from daskclass.exercises.exercise import Exercise, TryNext

if TYPE_CHECKING:
    from daskclass.limits import Run
    from daskclass.sales import Sales
    from daskclass.watch import Recording

WORKER = 4_000_000_000


def _is_number(answer: object) -> bool:
    try:
        return isinstance(answer, Real) and not isinstance(answer, bool) and math.isfinite(answer)
    except OverflowError:  # more digits than a float has room for
        return False


def _number(answer: Any) -> float:
    if not _is_number(answer):
        raise TryNext("It should be a number of bytes.")
    return float(answer)


def _judge_needed(answer: object, parts: Mapping[int, Run], sales: Sales) -> str:
    answer = _number(answer)
    fewer, more = sorted(parts, reverse=True)
    low, high = parts[fewer].peak, parts[more].peak
    right = low + (high - low) * (fewer - 1)
    if math.isclose(answer, high * more, rel_tol=0.02) or math.isclose(answer, low * fewer, rel_tol=0.02):
        raise TryNext("That multiplies pandas itself, too, which is there only once. What do the rows alone cost?")
    if math.isclose(answer, right / 2**20, rel_tol=0.02):
        raise TryNext("These are MiB. The peaks are bytes, and so should the answer be.")
    if math.isclose(answer, (high - low) * fewer, rel_tol=0.001):
        raise TryNext("That is what the rows cost. pandas itself comes on top.")
    if not math.isclose(answer, right, rel_tol=0.02):
        raise TryNext("What the larger part needed more was for the rows it had more. How often do those go into all?")
    times = right / cast(int, sales.bytes)  # labs have the CSV
    return (
        f"About {right / 1e9:.1f} GB, {times:.1f} times the file, and all at once rather more than less. "
        "Keep that factor for when you choose a blocksize."
    )


def _solve_needed(parts, sales):
    return parts[max(parts)].peak + (parts[min(parts)].peak - parts[max(parts)].peak) * (max(parts) - 1)


needed = Exercise(
    variable="needed",
    judge=_judge_needed,
    solve=_solve_needed,
    hints=(
        "The larger part has twice the rows of the smaller one. What it needed more is the price of those rows.",
        "With parts of 1/16 and 1/32, the difference of the peaks is the price of 1/32 of the rows. All rows take the "
        "smaller peak, and 31 times that.",
    ),
)


def _judge_busy(answer: object, recording: Recording) -> str:
    computing = recording.tasks[recording.tasks.action == "compute"]
    right = (computing.stop - computing.start).groupby(computing.worker).sum()
    everything = (recording.tasks.stop - recording.tasks.start).groupby(recording.tasks.worker).sum()
    if isinstance(answer, pd.Series):
        answer = answer.to_dict()
    if not isinstance(answer, dict):
        raise TryNext("It should be a dictionary from worker to seconds.")
    if set(answer) != set(right.index):
        raise TryNext(f"Its keys should be the {len(right)} addresses in the column `worker`.")
    if not all(_is_number(seconds) for seconds in answer.values()):
        raise TryNext("Its values should be seconds.")

    def near(other: pd.Series) -> bool:
        return all(math.isclose(answer[worker], other[worker], rel_tol=1e-6) for worker in other.index)

    if near(computing.groupby("worker").size()):
        raise TryNext("These are counts of tasks. How long did each take?")
    if near(right):
        share = right.max() / recording.seconds
        rest = "hardly any waiting" if share > 0.8 else "the rest went into the start, the scheduling and the end"
        return f"The busiest one computed for {share:.0%} of the time; {rest}."
    if near(everything):
        raise TryNext("That is everything they did, also fetching. Keep the rows whose `action` is `compute`.")
    raise TryNext("For each row, `stop - start`; add these up for each worker.")


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
        "It is pandas: choose rows by `action`, group them by `worker`.",
        "Of each group, `(tasks.stop - tasks.start).sum()`.",
    ),
)


def _judge_largest(answer: object, needed: object, sales: Sales) -> str:
    if needed is ...:
        raise TryNext("This one needs `needed` from the first exercise; do that one before.")
    factor = _number(needed) / cast(int, sales.bytes)  # labs have the CSV
    if not 1 <= factor <= 20:
        raise TryNext("`needed` from the first exercise is not right yet; mend that one before.")
    answer = _number(answer)
    right = WORKER / 2 / factor
    if math.isclose(answer, WORKER / factor, rel_tol=0.02):
        raise TryNext("That takes all of the worker's memory. Half of it was the question.")
    if math.isclose(answer, WORKER / 2, rel_tol=0.02):
        raise TryNext("That is the memory. A block of text takes several times its size while it is read.")
    if math.isclose(answer, right / 1e6, rel_tol=0.02):
        raise TryNext("These are MB. Say it in bytes.")
    if not math.isclose(answer, right, rel_tol=0.05):
        raise TryNext("A block of so many bytes takes `factor` times as many in memory, and that may be 2 GB.")
    return f"About {right / 1e6:.0f} MB; and with two threads, which read two blocks at a time, half of that."


def _solve_largest(needed, sales):
    return 4_000_000_000 / 2 / (needed / sales.bytes)


largest = Exercise(
    variable="largest",
    judge=_judge_largest,
    solve=_solve_largest,
    hints=(
        "`factor = needed / sales.bytes` is how many bytes of memory a byte of CSV takes while it is read.",
        "Half of the worker's memory, divided by the factor.",
    ),
)
