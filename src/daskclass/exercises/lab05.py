"""Exercises of lab 05: the shape of a cluster, and the size of a job."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from dask.utils import format_bytes, parse_bytes

from daskclass import sizing
from daskclass.errors import Problem
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.sizing import Machine, Model, Plan

CORES, MEMORY, PROCESS = 8, 32_000_000_000, 3_100_000_000
SPILLS_FROM = 0.7  # `distributed.worker.memory.spill`, which looks at the process; *target* counts stored results only
ARGUMENTS = ("n_workers", "threads_per_worker", "memory_limit")


def _is_count(number: Any) -> bool:
    is_whole = isinstance(number, Integral) and number is not True
    return is_whole and number > 0


def _judge_shape(answer: object) -> str:
    if not isinstance(answer, dict) or set(answer) != set(ARGUMENTS):
        raise TryNext(f"It should be a dictionary with {', '.join(ARGUMENTS)}.")
    workers, threads = (answer[name] for name in ARGUMENTS[:2])
    if not (_is_count(workers) and _is_count(threads)):
        raise TryNext("`n_workers` and `threads_per_worker` should be whole numbers above 0.")
    try:
        said = answer["memory_limit"]
        limit = parse_bytes(float(said) if isinstance(said, Real) else said)
    except (AttributeError, OverflowError, TypeError, ValueError):
        raise TryNext('`memory_limit` should be bytes as Dask reads them, such as "1 GB".') from None
    if threads > 1:
        raise TryNext("Parsing in Python holds the GIL: how many threads of one process can do that at once?")
    if limit * SPILLS_FROM < PROCESS:
        raise TryNext(f"It spills from {limit * SPILLS_FROM / 1e9:.2f} GB on, and the process reaches 3.1 GB.")
    if workers * limit > MEMORY:
        raise TryNext(
            f"Together they may take {workers * limit / 1e9:.1f} GB (a GiB is 1.07 GB), but the machine has 32 GB."
        )
    most = int(MEMORY * SPILLS_FROM // PROCESS)
    if workers < most:
        raise TryNext("It works, but there is room for more workers. How little memory is enough for one?")
    return (
        f"{most} processes with one thread each. Memory is the limit here, so one of the {CORES} cores is left for the "
        "system and the scheduler. With smaller partitions, a worker could use it."
    )


def _solve_shape():
    return {"n_workers": 7, "threads_per_worker": 1, "memory_limit": "4.5 GB"}


shape = Exercise(
    variable="shape",
    judge=_judge_shape,
    solve=_solve_shape,
    hints=(
        "Three questions, in this order. Can threads of one process parse at the same time? How large must a worker's "
        "limit be, so that 3.1 GB is at most 70 % of it? How many such limits fit into 32 GB?",
        "One thread per worker. 3.1 GB / 0.7 is 4.43 GB. Divide.",
    ),
)

BYTES, DEADLINE, BUDGET = 40 * 10**12, 7200, 3.95


def _judge_job(answer: object, machines: dict[str, Machine], colleagues: Model) -> str:
    if not isinstance(answer, Plan):
        raise TryNext("It should be what `sizing.plan` returns: take away the `...` and the `#` in front of it.")
    if answer.bytes != BYTES:
        raise TryNext(f"It is a plan for {format_bytes(answer.bytes)}; the job has 40 TB.")
    if not answer.in_time or answer.seconds > DEADLINE:
        raise TryNext("It takes longer than two hours.")
    if answer.schedulers > 1:
        raise TryNext("It needs more than one scheduler. `job.why` says what would help.")
    if answer.money > BUDGET:
        advice = {
            "cores": "Which machine has the cheapest thread? And while the scheduler hands out tasks, every machine is "
            "paid for: fewer tasks cost less.",
            "network": "Waiting for the network is paid for, too. Which machine has the most network for each thread?",
        }
        raise TryNext(f"It costs {answer.money:.2f}. {advice.get(answer.bottleneck, advice['cores'])}")
    if not any(_same(answer, machine, colleagues) for machine in machines.values()):
        raise TryNext("It is no plan for one of these machines, two hours and the colleague's model.")
    return (
        f"{answer.machines} machines, {answer.seconds / 3600:.1f} hours, {answer.money:.2f}. Small machines, because "
        "the cores decide and theirs cost least; and partitions as large as their memory allows without spilling, or "
        "nearly."
    )


def _same(answer: Plan, machine: Machine, model: Model) -> bool:
    """Whether this machine, with as many tasks, makes the same plan."""
    try:
        again = sizing.plan(BYTES, machine, DEADLINE, model, partition=-(-BYTES // answer.tasks))
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
        "What does an hour of one *thread* cost on each of the three?",
        "The small machine. The larger its partitions the fewer tasks; too large ones are refused, with what fits.",
    ),
)
