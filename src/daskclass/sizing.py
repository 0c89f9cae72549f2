"""How many workers, how long, how much money?

A model that adds up: starting, the scheduler's work for each task, and the workers' for each task and each byte, which
they share; for the bytes, the network's, where that is slower. It knows nothing of skew, shuffles, spilling or
failures: it is for jobs that read their data once, in partitions of one size. A scheduler that has cores of its own
works while the workers do; then adding up says too much, at most twice.
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

MARGIN = 0.3  # the same run differs by that much from one minute to the next on a laptop
RUNS = ("bytes", "tasks", "workers", "seconds")
_TOO_MUCH = 1e30  # of bytes, seconds and money
_SPILLS_FROM = 0.7  # `distributed.worker.memory.spill`: *target*, at 0.6, does not count what a running task holds
_TAKES_MOST = {
    "start": "starting takes most of the time: nothing here needs a cluster",
    "scheduler": "the scheduler's work for each task takes most of the time: larger partitions make fewer tasks",
    "cores": "computing takes most of the time: more or faster cores, or less to compute",
    "network": "reading takes most of the time: more or faster network, or fewer bytes (columns, Parquet)",
}


_Bottleneck = Literal["start", "scheduler", "cores", "network"]


@dataclass(frozen=True)
class Model:
    """What a job costs in time: ``start + per_task · tasks + (handling · tasks + per_byte · bytes) / workers``.

    Attributes
    ----------
    start : float
        Seconds before anything happens.
    per_task : float
        Seconds that each task costs the scheduler, which no further worker makes shorter.
    handling : float
        Seconds of a worker's thread for each task, whatever is in it.
    per_byte : float
        Seconds of a worker's thread for each byte.
    """

    start: float
    per_task: float
    handling: float
    per_byte: float

    def seconds(self, nbytes: float, tasks: float, workers: float) -> float:
        """How long a job takes, from its bytes, its tasks, and the threads of the workers.

        Parameters
        ----------
        nbytes : float
            Of the data, in the format that the model was fitted to.
        tasks : float
        workers : float
            Threads of workers.

        Returns
        -------
        float
            In seconds.

        Examples
        --------
        Twice the threads halve what the workers do, and nothing else: 2 s to start and 2 s of the scheduler stay.

        >>> from daskclass import sizing
        >>> model = sizing.Model(start=2, per_task=0.002, handling=0, per_byte=5e-9)
        >>> model.seconds(8e9, tasks=1000, workers=4)
        14.0
        >>> model.seconds(8e9, tasks=1000, workers=8)
        9.0
        """
        return self.start + self.per_task * tasks + (self.handling * tasks + self.per_byte * nbytes) / workers

    def interval(self, nbytes: float, tasks: float, workers: float) -> tuple[float, float]:
        """The prediction less 30 %, and the prediction plus 30 %.

        Parameters
        ----------
        nbytes, tasks, workers : float
            As for `seconds`.

        Returns
        -------
        tuple of float
            The two ends, in seconds.

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
    """Fit the model to measured runs, by least squares of the relative errors; no term is negative.

    Parameters
    ----------
    runs : DataFrame
        A row for each run: ``bytes``, ``tasks``, ``workers`` (threads of workers) and ``seconds``. Of equal runs,
        the fastest counts, because whatever disturbs a run makes it slower.
    overhead : bool
        Whether starting and each task take time. If not, the time is proportional to the bytes for each thread.

    Returns
    -------
    Model
        Without `overhead`, all of its terms but ``per_byte`` are 0.

    Raises
    ------
    Problem
        If the runs lack a column, are too few or too much alike to tell the terms apart, or hold something that is no
        number or not positive.

    Examples
    --------
    Two sizes, each in few and in many tasks, on one thread and on two. The times here come from a model, which the fit
    finds again.

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
        raise Problem(f"the runs should hold numbers: {error}") from error
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
            f"{len(best)} different runs do not tell the terms apart: measure two sizes, each in few and in "
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
        Threads of workers on it.
    memory : str or int
        For the workers on it, in bytes or as Dask writes them (``"16 GiB"``).
    hourly : float
        What an hour costs, in any currency.
    network : str or int
        Bytes a second that it reads from where the data is.

    Examples
    --------
    Four threads and 16 GiB for 20 cents an hour; what isn't said is a network of 1 GB a second.

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
    """What one scheduler bears.

    Attributes
    ----------
    memory : str or int
        Bytes of its machine that may be used.
    task_bytes : int
        Bytes of it that a task takes up, from ``benchmarks/scheduler.py``; tasks with dependencies take more.
    """

    memory: str | int = "16 GiB"
    task_bytes: int = 5_000


@dataclass(frozen=True)
class Plan:
    """An answer, or why there is none.

    Attributes
    ----------
    bytes : int
        Of the data.
    tasks : int
        Partitions, each a task.
    machines : int
        For the workers: the fewest that meet the deadline with so few schedulers (more clusters can be cheaper);
        where no number does, as many as one scheduler keeps busy.
    seconds : float
        How long the job takes on machines that are there already.
    money : float
        By the second, for these machines and one of their kind for each scheduler.
    bottleneck : str
        What takes most of the time: ``start``, ``scheduler``, ``cores`` or ``network``; ``scheduler`` also where one
        does not suffice.
    schedulers : int
        Clusters of their own among which the data must be split; 1 where one scheduler suffices.
    in_time : bool
        Whether the deadline is met.
    why : str
        What decided, in a sentence.
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
    """The fewest schedulers, and with those the fewest machines, that work through the data in time.

    Parameters
    ----------
    nbytes : str or int
        Of the data, in the format that the model was fitted to.
    machine : Machine
    deadline : str or float
        Seconds, or as Dask writes them (``"1 hour"``).
    model : Model
    partition : str or int
        Bytes of a partition; each is a task.
    in_memory : float
        Bytes that a worker holds at most for each byte of the partition that it works on.
    scheduler : Scheduler

    Returns
    -------
    Plan
        Also where no number of machines is in time: then its ``in_time`` is False, and ``why`` says what would help.

    Raises
    ------
    Problem
        If something cannot be read as a number, or as bytes or a time with their unit; if it is not above 0 (a term of
        the model may be 0); or if a partition does not fit into the memory of a thread.

    Examples
    --------
    Three machines work through a terabyte in ten minutes. None do in the two seconds that starting takes.

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
    """Tasks that are shared by clusters of equal size.

    Attributes
    ----------
    model : Model
    tasks : int
        Of all clusters together.
    threads : int
        Of one machine.
    one_task : float
        Seconds of a thread for one of them.
    bound : str
        What the time for its bytes depends on: ``cores`` or ``network``.
    """

    model: Model
    tasks: int
    threads: int
    one_task: float
    bound: _Bottleneck

    def terms(self, machines: int, schedulers: int) -> dict[_Bottleneck, float]:
        """Seconds of each kind, if each of so many clusters has so many machines."""
        own = math.ceil(self.tasks / schedulers)
        rounds = math.ceil(own / (machines * self.threads))
        return {"start": self.model.start, "scheduler": self.model.per_task * own, self.bound: rounds * self.one_task}

    def seconds(self, machines: int, schedulers: int) -> float:
        """The same, added up."""
        return sum(self.terms(machines, schedulers).values())

    def most(self, schedulers: int) -> int:
        """Machines of each of so many clusters beyond which another one has nothing to do.

        More threads than that finish tasks faster than one scheduler hands them out, or there are no more tasks.
        """
        kept_busy = self.tasks
        if self.model.per_task:
            kept_busy = max(1, int(self.one_task / self.model.per_task / self.threads))
        return min(kept_busy, math.ceil(math.ceil(self.tasks / schedulers) / self.threads))


def _job(size: int, piece: int, machine: Machine, model: Model) -> _Job:
    """So many bytes in pieces; a Problem if the model or the machine makes no sense."""
    for term in ("start", "per_task", "handling", "per_byte"):
        if not 0 <= getattr(model, term) < math.inf:
            raise Problem(f"the model's {term} should be 0 or more, and is {getattr(model, term)}")
    threads, network = _threads(machine), _bytes("its network", machine.network)
    tasks = math.ceil(size / piece)
    bound: _Bottleneck = "network" if threads / network > model.per_byte else "cores"
    one_task = model.handling + max(model.per_byte, threads / network) * size / tasks
    return _Job(model, tasks, threads, one_task, bound)


def _threads(machine: Machine) -> int:
    return int(_read("the machine's threads", machine.threads, int, "4"))


def _require_room(piece: int, machine: Machine, in_memory: float) -> None:
    """A Problem if a thread of this machine has no room for a partition that is worked on."""
    share = _bytes("the machine's memory", machine.memory) / _threads(machine)
    fitting = share * _SPILLS_FROM / in_memory
    if piece > fitting:
        raise Problem(
            f"a partition of {format_bytes(piece)} takes {format_bytes(int(piece * in_memory))} to work on, and a "
            f"thread of this machine has {format_bytes(int(share))}, of which Dask spills from {_SPILLS_FROM:.0%} on: "
            f"partitions of {format_bytes(int(fitting))} would fit"
        )


def _why(
    in_time: bool, schedulers: int, remembered: int, bottleneck: str, model: Model, tasks: int, one_task: float
) -> str:
    if not in_time:
        return (
            f"no number of machines is in time: starting takes {format_time(model.start)}, and a single task "
            f"{format_time(one_task + model.per_task)}; smaller partitions or a later deadline"
        )
    if schedulers == 1:
        return _TAKES_MOST[bottleneck]
    if schedulers == remembered:
        return f"one scheduler no longer suffices: it has no room for {tasks:,} tasks; larger partitions make fewer"
    return (
        f"one scheduler no longer suffices: {tasks:,} tasks take it {format_time(model.per_task * tasks)}, and it "
        f"keeps {math.ceil(one_task / model.per_task):,} threads busy, however many there are; larger partitions help"
    )


def _fewest(most: int, enough: Callable[[int], bool]) -> int:
    """The smallest number up to `most` that is enough; from it on, all are."""
    return bisect.bisect_left(range(1, most), True, key=enough) + 1


def _bytes(what: str, said: str | float) -> int:
    return int(_read(what, said, parse_bytes, '"128 MiB"'))


def _read(what: str, said: str | float, parse: Callable[[str | float], float], such_as: str) -> float:
    try:
        number = parse(float(said) if isinstance(said, Real) else said)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise Problem(f"{what} should be something such as {such_as}, and is {said!r}") from error
    if not 0 < number < _TOO_MUCH:
        raise Problem(f"{what} should be above 0 and of this world, and is {said!r}")
    return number
