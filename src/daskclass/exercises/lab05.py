"""Exercises of lab 05: the shape of a cluster, and the size of a job."""

from __future__ import annotations

import contextlib
from numbers import Integral
from typing import Any

from dask.utils import format_bytes, parse_bytes

from daskclass import sizing
from daskclass.errors import Problem
from daskclass.exercises import kinds
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.sizing import Machine, Model, Plan

CORES, MEMORY, PROCESS = 8, 32_000_000_000, 3_100_000_000
SPILLS_FROM = 0.7  # `distributed.worker.memory.spill` looks at the process; *target* counts stored results only
ARGUMENTS = ("n_workers", "threads_per_worker", "memory_limit")


def _is_count(number: Any) -> bool:
    is_whole = isinstance(number, Integral) and number is not True
    return is_whole and number > 0


def _judge_shape(answer: object) -> str:
    if not isinstance(answer, dict) or not set(ARGUMENTS) <= set(answer):
        raise TryNext(f"It should be a dictionary with {', '.join(ARGUMENTS)}.")
    workers, threads = (answer[name] for name in ARGUMENTS[:2])
    if not (_is_count(workers) and _is_count(threads)):
        raise TryNext("`n_workers` and `threads_per_worker` should be whole numbers above 0.")
    if answer["memory_limit"] in (None, 0, "0", "auto"):
        raise TryNext(
            "To Dask, no limit and 0 mean the same, and `auto` is a share of this machine's memory. Say how much each "
            'worker may take, such as "1 GB".'
        )
    try:
        limit = _limit(answer["memory_limit"])
    except (AttributeError, OverflowError, TypeError, ValueError):
        raise TryNext('`memory_limit` should be bytes in a form that Dask reads, such as "1 GB".') from None
    if threads > 1 or answer.get("processes", True) is not True:
        raise TryNext("Parsing in Python holds the GIL. How many threads of one process can do that at the same time?")
    if limit * SPILLS_FROM < PROCESS:
        raise TryNext(f"A worker spills from {limit * SPILLS_FROM / 1e9:.2f} GB on, and its process reaches 3.1 GB.")
    if workers * limit > MEMORY:
        raise TryNext(
            f"Together, the workers may take {workers * limit / 1e9:.1f} GB (a GiB is 1.07 GB). The machine has 32 GB."
        )
    most = int(MEMORY * SPILLS_FROM // PROCESS)
    if workers < most:
        raise TryNext("It works, but there's room for more workers. How little memory is enough for one?")
    return (
        f"{most} processes with one thread each. Memory is the limit here, so one of the {CORES} cores is left for the "
        "system and the scheduler. With smaller partitions, a worker could use that core."
    )


def _limit(said: Any) -> int:
    """A memory limit in bytes. To Dask, a number up to 1 is a share of the machine's memory."""
    if isinstance(said, str):
        with contextlib.suppress(ValueError):  # not "0.14" but "4.5 GB"
            said = float(said)
    number = kinds.number(said)
    if number is None:
        return int(parse_bytes(said))
    return int(number * MEMORY if number <= 1 else number)


def _solve_shape():
    return {"n_workers": 7, "threads_per_worker": 1, "memory_limit": "4.5 GB"}


shape = Exercise(
    variable="shape",
    judge=_judge_shape,
    solve=_solve_shape,
    hints=(
        "Answer three questions in order. Can threads of one process parse at the same time? How large must a worker's "
        "limit be, so that 3.1 GB is at most 70% of it? How many such limits fit into 32 GB?",
        "One thread per worker. 3.1 GB / 0.7 is 4.43 GB. Divide.",
    ),
)

BYTES, DEADLINE, BUDGET = 40 * 10**12, 7200, 3.95


def _judge_job(answer: object, machines: dict[str, Machine], colleagues: Model) -> str:
    if not isinstance(answer, Plan):
        raise TryNext("It should be the result of `sizing.plan`. Remove the `...` and the `#` in front of the call.")
    if answer.bytes != BYTES:
        raise TryNext(f"It's a plan for {format_bytes(answer.bytes)}. The job has 40 TB.")
    if not answer.in_time or answer.seconds > DEADLINE:
        raise TryNext("It takes longer than two hours.")
    if answer.schedulers > 1:
        raise TryNext("It needs more than one scheduler. `job.why` says what would help.")
    if answer.money > BUDGET:
        advice = {
            "cores": "Which machine has the cheapest thread? You also pay for every machine while the scheduler hands "
            "out tasks, so fewer tasks cost less.",
            "network": "You also pay while machines wait for the network. Which machine has the most network for each "
            "thread?",
        }
        raise TryNext(f"It costs {answer.money:.3f}. {advice.get(answer.bottleneck, advice['cores'])}")
    if not any(_same(answer, machine, colleagues) for machine in machines.values()):
        raise TryNext("It isn't a plan for one of these machines with the colleague's model.")
    return (
        f"{answer.machines} machines, {answer.seconds / 3600:.1f} hours, {answer.money:.2f}. Small machines, because "
        "the cores decide and theirs cost least. And large partitions, because you pay for every task."
    )


def _same(answer: Plan, machine: Machine, model: Model) -> bool:
    """Whether this machine makes the same plan for as many tasks and as little time."""
    try:
        again = sizing.plan(BYTES, machine, answer.seconds, model, partition=-(-BYTES // answer.tasks))
    except Problem:
        return False
    return (again.machines, round(again.money, 2)) == (answer.machines, round(answer.money, 2))


def _solve_job(machines, colleagues):
    return sizing.plan("40 TB", machines["small"], "2 hours", colleagues, partition="256 MiB")


job = Exercise(
    variable="job",
    judge=_judge_job,
    solve=_solve_job,
    hints=(
        "Try each machine with the default partition, and look at `bottleneck` and `money`.",
        "How much does an hour of one *thread* cost on each of the three machines?",
        "Take the small machine. Larger partitions mean fewer tasks. If one is too large, the error says what fits.",
    ),
)
