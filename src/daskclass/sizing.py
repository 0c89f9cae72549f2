"""How many workers, how long, how much money?

The model adds up three kinds of time: starting; the scheduler's work for each task; and the workers' time for each task
and each byte, which the workers share. For the bytes, it uses the network's time if that is longer. The model ignores
skew, shuffles, spilling and failures. It is for jobs that read their data once, in partitions of the same size. If the
scheduler has cores of its own, it works at the same time as the workers. Then the sum is too high, by a factor of two
at most.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Literal

import numpy as np
import pandas as pd
from dask.utils import format_bytes, format_time, parse_bytes, parse_timedelta
from scipy.optimize import nnls

from daskclass.errors import Problem

MARGIN = 0.3  # on a laptop, the same run varies by that much from one minute to the next
RUNS = ("bytes", "tasks", "workers", "seconds")
_TOO_MUCH = 1e30  # of bytes, seconds and money
_SPILLS_FROM = 0.7  # `distributed.worker.memory.spill`: *target*, at 0.6, ignores the memory of a running task
_TAKES_MOST = {
    "start": "starting takes most of the time; this job doesn't need a cluster",
    "scheduler": "the scheduler's work for each task takes most of the time; use larger partitions and so fewer tasks",
    "cores": "computing takes most of the time; use more or faster cores, or compute less",
    "network": "reading takes most of the time; use more or faster network, or read fewer bytes (columns, Parquet)",
}


_Bottleneck = Literal["start", "scheduler", "cores", "network"]


@dataclass(frozen=True)
class Model:
    """How long a job takes: ``start + per_task · tasks + (handling · tasks + per_byte · bytes) / workers``.

    Attributes
    ----------
    start : float
        Seconds before anything happens.
    per_task : float
        Seconds that each task costs the scheduler. More workers don't reduce it.
    handling : float
        Seconds of a worker's thread for each task, regardless of its data.
    per_byte : float
        Seconds of a worker's thread for each byte.
    """

    start: float
    per_task: float
    handling: float
    per_byte: float

    def seconds(self, nbytes: float, tasks: float, workers: float) -> float:
        """How long a job takes, given its bytes, its tasks, and the workers' threads.

        Parameters
        ----------
        nbytes : float
            Size of the data, in the format that the model was fitted to.
        tasks : float
        workers : float
            Number of worker threads.

        Returns
        -------
        float
            The time in seconds.

        Examples
        --------
        Twice the threads halve the workers' time, and nothing else: 2 s of starting and 2 s of the scheduler remain.

        >>> from daskclass import sizing
        >>> model = sizing.Model(start=2, per_task=0.002, handling=0, per_byte=5e-9)
        >>> model.seconds(8e9, tasks=1000, workers=4)
        14.0
        >>> model.seconds(8e9, tasks=1000, workers=8)
        9.0
        """
        return self.start + self.per_task * tasks + (self.handling * tasks + self.per_byte * nbytes) / workers

    def interval(self, nbytes: float, tasks: float, workers: float) -> tuple[float, float]:
        """The prediction minus 30%, and the prediction plus 30%.

        Parameters
        ----------
        nbytes, tasks, workers : float
            As for `seconds`.

        Returns
        -------
        tuple of float
            Both ends, in seconds.

        Examples
        --------
        Around a prediction of 10 s:

        >>> from daskclass import sizing
        >>> model = sizing.Model(start=0, per_task=0, handling=0, per_byte=5e-9)
        >>> [round(end, 1) for end in model.interval(8e9, tasks=1000, workers=4)]
        [7.0, 13.0]
        """
        seconds = self.seconds(nbytes, tasks, workers)
        return seconds * (1 - MARGIN), seconds * (1 + MARGIN)


def fit(runs: pd.DataFrame, overhead: bool = True) -> Model:
    """Fit the model to measured runs, by least squares of the relative errors. No term is negative.

    Parameters
    ----------
    runs : DataFrame
        A row for each run: ``bytes``, ``tasks``, ``workers`` (worker threads) and ``seconds``. If runs are equal,
        the fastest counts, because disturbances only make a run slower.
    overhead : bool
        Whether starting and tasks take time. If False, the time is proportional to the bytes per thread.

    Returns
    -------
    Model
        Without `overhead`, all terms except ``per_byte`` are 0.

    Raises
    ------
    Problem
        If the runs lack a column, if there are too few or they are too similar to tell the terms apart, or if a value
        isn't a positive number.

    Examples
    --------
    We use two sizes, each in few and in many tasks, on one thread and on two. The times here come from a model, and the
    fit recovers that model.

    >>> import itertools
    >>> import pandas as pd
    >>> from daskclass import sizing
    >>> true = sizing.Model(start=2, per_task=0.002, handling=0.001, per_byte=5e-9)
    >>> runs = pd.DataFrame(
    ...     [(*run, true.seconds(*run)) for run in itertools.product((20e6, 50e6), (8, 80), (1, 2))],
    ...     columns=["bytes", "tasks", "workers", "seconds"],
    ... )
    >>> model = sizing.fit(runs)
    >>> round(model.start, 3), round(model.per_task, 6), round(model.per_byte * 1e9, 3)
    (2.0, 0.002, 5.0)
    """
    if missing := [name for name in RUNS if name not in runs]:
        raise Problem(f"the runs have no column {', '.join(missing)}; they need {', '.join(RUNS)}")
    try:
        numbers = runs[list(RUNS)].astype(float)
    except (TypeError, ValueError) as error:
        raise Problem(f"the runs must contain numbers: {error}") from error
    if not (np.isfinite(numbers) & (numbers > 0)).all(axis=None):
        raise Problem("each run needs bytes, tasks, workers and seconds above 0")
    best = numbers.groupby(list(RUNS[:3]), as_index=False).seconds.min()
    columns = [best.bytes / best.workers]
    if overhead:
        columns = [np.ones(len(best)), best.tasks, best.tasks / best.workers, *columns]
    terms = np.column_stack(columns)
    weighted = terms / best.seconds.to_numpy()[:, None]
    scale = weighted.max(axis=0, initial=0)
    if len(best) < terms.shape[1] or np.linalg.matrix_rank(weighted / scale, tol=1e-3) < terms.shape[1]:
        raise Problem(
            f"{len(best)} different runs aren't enough to tell the terms apart; measure two sizes, each in few and in "
            "many tasks, on one worker and on more"
        )
    found = nnls(weighted / scale, np.ones(len(best)))[0] / scale
    return Model(*map(float, found)) if overhead else Model(0.0, 0.0, 0.0, float(found[0]))


@dataclass(frozen=True)
class Machine:
    """A type of machine that you can rent by the hour.

    Attributes
    ----------
    threads : int
        Worker threads on it.
    memory : str or int
        Memory for its workers, in bytes or as Dask writes it (``"16 GiB"``).
    hourly : float
        Price of an hour, in any currency.
    network : str or int
        Bytes per second that it can read from the data's storage.

    Examples
    --------
    Four threads and 16 GiB for 20 cents an hour. By default, the network reads 1 GB per second.

    >>> from daskclass import sizing
    >>> sizing.Machine(threads=4, memory="16 GiB", hourly=0.20)
    Machine(threads=4, memory='16 GiB', hourly=0.2, network='1 GB')
    """

    threads: int
    memory: str | int
    hourly: float
    network: str | int = "1 GB"


@dataclass(frozen=True)
class Scheduler:
    """The limits of one scheduler.

    Attributes
    ----------
    memory : str or int
        Bytes of its machine's memory that it may use.
    task_bytes : int
        Bytes per task, from ``benchmarks/scheduler.py``. Tasks with dependencies take more.
    """

    memory: str | int = "16 GiB"
    task_bytes: int = 5_000


@dataclass(frozen=True)
class Plan:
    """A plan, or the reason why there is none.

    Attributes
    ----------
    bytes : int
        Size of the data.
    tasks : int
        Number of partitions. Each is a task.
    machines : int
        Machines for the workers: the fewest that meet the deadline with that many schedulers (more clusters can be
        cheaper). If no number meets it, as many as one scheduler keeps busy.
    seconds : float
        How long the job takes on machines that are already running.
    money : float
        The cost, billed by the second, of these machines and of one more such machine for each scheduler.
    bottleneck : str
        What takes most of the time: ``start``, ``scheduler``, ``cores`` or ``network``. Also ``scheduler`` if one
        isn't enough.
    schedulers : int
        The number of separate clusters among which you must split the data; 1 if one scheduler is enough.
    in_time : bool
        Whether the plan meets the deadline.
    why : str
        The reason, in a sentence.
    """

    bytes: int
    tasks: int
    machines: int
    seconds: float
    money: float
    bottleneck: _Bottleneck
    schedulers: int
    in_time: bool
    why: str


def plan(
    nbytes: str | int,
    machine: Machine,
    deadline: str | float,
    model: Model,
    partition: str | int = "128 MiB",
    in_memory: float = 4.0,
    scheduler: Scheduler = Scheduler(),
) -> Plan:
    """Find the fewest schedulers, and with those the fewest machines, that process the data in time.

    Parameters
    ----------
    nbytes : str or int
        Size of the data, in the format that the model was fitted to.
    machine : Machine
    deadline : str or float
        Seconds, or as Dask writes them (``"1 hour"``).
    model : Model
    partition : str or int
        Bytes per partition. Each partition is a task.
    in_memory : float
        The most bytes that a worker holds for each byte of the partition that it works on.
    scheduler : Scheduler

    Returns
    -------
    Plan
        Also if no number of machines is enough. Then ``in_time`` is False, and ``why`` says what would help.

    Raises
    ------
    Problem
        If a value isn't a number, or bytes or a time with a unit; if it is not above 0 (a term of the model may be 0);
        or if a partition doesn't fit into a thread's memory.

    Examples
    --------
    Three machines process a terabyte in ten minutes. No number of machines can do it in the two seconds of starting.

    >>> from daskclass import sizing
    >>> model = sizing.Model(start=2, per_task=0.002, handling=0.001, per_byte=5e-9)
    >>> machine = sizing.Machine(threads=4, memory="16 GiB", hourly=0.20)
    >>> plan = sizing.plan("1 TB", machine, "10 minutes", model)
    >>> plan.tasks, plan.machines, round(plan.seconds), round(plan.money, 2)
    (7451, 3, 434, 0.1)
    >>> plan.bottleneck
    'cores'
    >>> sizing.plan("1 TB", machine, "2 s", model).in_time
    False
    """
    size, piece = _bytes("the data", nbytes), _bytes("a partition", partition)
    limit = _read("the deadline", deadline, parse_timedelta, '"10 minutes"')
    hourly = _read("the price of an hour", machine.hourly, float, "0.20")
    _require_room(piece, machine, _read("in_memory", in_memory, float, "4.0"))
    job = _job(size, piece, machine, model)
    task_bytes = _bytes("a task's memory at the scheduler", scheduler.task_bytes)
    remembered = math.ceil(job.tasks * task_bytes / _bytes("the scheduler's memory", scheduler.memory))
    in_time = job.seconds(job.most(job.tasks), job.tasks) <= limit
    schedulers = _fewest(job.tasks, lambda n: job.seconds(job.most(n), n) <= limit) if in_time else 1
    schedulers = max(schedulers, remembered)
    each = job.most(schedulers)
    if in_time:
        each = _fewest(each, lambda n: job.seconds(n, schedulers) <= limit)
    parts = job.terms(each, schedulers)
    total = sum(parts.values())
    bottleneck: _Bottleneck = "scheduler" if schedulers > 1 else max(parts, key=parts.__getitem__)
    machines = each * schedulers
    return Plan(
        bytes=size,
        tasks=job.tasks,
        machines=machines,
        seconds=total,
        money=(machines + schedulers) * hourly * total / 3600,
        bottleneck=bottleneck,
        schedulers=schedulers,
        in_time=in_time,
        why=_why(in_time, schedulers, remembered, bottleneck, model, job.tasks, job.one_task),
    )


@dataclass(frozen=True)
class _Job:
    """Tasks that clusters of equal size share.

    Attributes
    ----------
    model : Model
    tasks : int
        Tasks of all clusters together.
    threads : int
        Threads of one machine.
    one_task : float
        Seconds that one task takes a thread.
    bound : str
        What limits the time for its bytes: ``cores`` or ``network``.
    """

    model: Model
    tasks: int
    threads: int
    one_task: float
    bound: _Bottleneck

    def terms(self, machines: int, schedulers: int) -> dict[_Bottleneck, float]:
        """Seconds of each kind, for `schedulers` clusters of `machines` machines each."""
        own = math.ceil(self.tasks / schedulers)
        rounds = math.ceil(own / (machines * self.threads))
        return {"start": self.model.start, "scheduler": self.model.per_task * own, self.bound: rounds * self.one_task}

    def seconds(self, machines: int, schedulers: int) -> float:
        """The sum of the terms."""
        return sum(self.terms(machines, schedulers).values())

    def most(self, schedulers: int) -> int:
        """The most machines per cluster that have work to do.

        With more threads, one scheduler can't hand out tasks fast enough, or there are no more tasks.
        """
        kept_busy = self.tasks
        if self.model.per_task:
            kept_busy = max(1, int(self.one_task / self.model.per_task / self.threads))
        return min(kept_busy, math.ceil(math.ceil(self.tasks / schedulers) / self.threads))


def _job(size: int, piece: int, machine: Machine, model: Model) -> _Job:
    """Split the bytes into tasks. Raises a Problem if a value of the model or the machine is invalid."""
    for term in ("start", "per_task", "handling", "per_byte"):
        if not 0 <= getattr(model, term) < math.inf:
            raise Problem(f"the model's {term} should be 0 or more, but is {getattr(model, term)}")
    threads, network = _threads(machine), _bytes("the machine's network", machine.network)
    tasks = math.ceil(size / piece)
    bound: _Bottleneck = "network" if threads / network > model.per_byte else "cores"
    one_task = model.handling + max(model.per_byte, threads / network) * size / tasks
    return _Job(model, tasks, threads, one_task, bound)


def _threads(machine: Machine) -> int:
    return int(_read("the machine's threads", machine.threads, int, "4"))


def _require_room(piece: int, machine: Machine, in_memory: float) -> None:
    """Raise a Problem if a thread of this machine has too little memory to work on a partition."""
    share = _bytes("the machine's memory", machine.memory) / _threads(machine)
    fitting = share * _SPILLS_FROM / in_memory
    if piece > fitting:
        raise Problem(
            f"a partition of {format_bytes(piece)} needs {format_bytes(int(piece * in_memory))} in memory, but a "
            f"thread of this machine has {format_bytes(int(share))}, and Dask starts to spill at {_SPILLS_FROM:.0%} of "
            f"that; partitions of {format_bytes(int(fitting))} would fit"
        )


def _why(
    in_time: bool, schedulers: int, remembered: int, bottleneck: str, model: Model, tasks: int, one_task: float
) -> str:
    if not in_time:
        return (
            f"no number of machines is fast enough: starting takes {format_time(model.start)}, and a single task "
            f"{format_time(one_task + model.per_task)}; use smaller partitions or a later deadline"
        )
    if schedulers == 1:
        return _TAKES_MOST[bottleneck]
    if schedulers == remembered:
        return (
            f"one scheduler isn't enough: {tasks:,} tasks don't fit into its memory; larger partitions make fewer tasks"
        )
    return (
        f"one scheduler isn't enough: it needs {format_time(model.per_task * tasks)} for {tasks:,} tasks, and can keep "
        f"only {math.ceil(one_task / model.per_task):,} threads busy; larger partitions help"
    )


def _fewest(most: int, enough: Callable[[int], bool]) -> int:
    """The smallest number up to `most` that is enough. All larger numbers are enough, too."""
    return bisect.bisect_left(range(1, most), True, key=enough) + 1


def _bytes(what: str, said: str | float) -> int:
    return int(_read(what, said, parse_bytes, '"128 MiB"'))


def _read(what: str, said: str | float, parse: Callable[[str | float], float], such_as: str) -> float:
    try:
        number = parse(float(said) if isinstance(said, Real) else said)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise Problem(f"{what} should look like {such_as}, but is {said!r}") from error
    if not 0 < number < _TOO_MUCH:
        raise Problem(f"{what} should be above 0 and below 1e30, but is {said!r}")
    return number
