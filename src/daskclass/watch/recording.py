"""What did the cluster do while this block ran? Records it, and changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import dask.config
import pandas as pd
import psutil
from dask.typing import Key
from distributed import Client, Nanny, Scheduler, Worker
from distributed.diagnostics.plugin import NannyPlugin, SchedulerPlugin, WorkerPlugin
from tornado.ioloop import PeriodicCallback

from daskclass.errors import UsageProblem
from daskclass.watch import dask_internals
from daskclass.watch.process import peak_bytes

_INTERVAL = 100  # milliseconds between a worker's memory reports; a heartbeat comes twice a second
_numbers = itertools.count(1)

_MEMORY = {"seconds": float, "worker": str, "process": int, "managed": int, "spilled": int}
_TASKS = {
    "key": str,
    "prefix": str,
    "worker": str,
    "thread": int,
    "action": str,
    "start": float,
    "stop": float,
    "bytes": int,
    "outcome": str,
}
_WORKERS = {"seconds": float, "workers": int}
_OF_MEMORY = "distributed.worker.memory"
_SHARES = ("target", "spill", "pause", "terminate")
_STEALS = {"seconds": float, "key": str, "level": int, "cost": float, "victim": str, "thief": str, "answer": str}
_TRANSFERS = {"start": float, "stop": float, "source": str, "destination": str, "bytes": int, "keys": int}


@dataclass
class Recording:
    """What a cluster did while a block ran. Times are seconds since the block started.

    Attributes
    ----------
    seconds : float
        How long the block took.
    memory : pandas.DataFrame
        ``seconds``, ``worker`` (address), and in bytes ``process`` (resident), ``managed`` (by Dask, in memory) and
        ``spilled`` (by Dask, on disk), ten times a second. If a worker is too busy to report, its nanny still reports
        ``process``. The other two columns then repeat the worker's last report.
    tasks : pandas.DataFrame
        A row for each action of a worker for a task: ``key``, ``prefix``, ``worker``, ``thread`` (number of the
        thread on its worker), ``action`` (``compute``, ``transfer``, ``deserialize``, ``disk-read``, …), ``start``,
        ``stop``, ``bytes`` of the result, ``outcome`` (``memory`` or ``erred``).
    transfers : pandas.DataFrame
        A row for each message with data from worker to worker: ``start``, ``stop``, ``source``, ``destination``,
        ``bytes``, ``keys`` (how many). Messages to a worker that died meanwhile are lost.
    steals : pandas.DataFrame
        A row for each time that work stealing asked a worker for a task: ``seconds``, ``key``, ``level`` (0 to 14: how
        expensive the move is relative to the work), ``cost`` (seconds that the victim would save), ``victim`` and
        ``thief`` (addresses), ``answer`` (``confirm`` if the task moved, ``already-computing``, …; empty if no answer
        came in time).
    workers : pandas.DataFrame
        A row for the start and for each change: ``seconds``, ``workers`` (the number of workers from then on).
    limits : dict
        Memory limit of each worker in bytes; 0 if it has none.
    thresholds : dict
        The four shares of that limit, ``target``, ``spill``, ``pause`` and ``terminate``, in the configuration of the
        workers alive at the end. Thresholds that are switched off are missing.
    peaks : dict
        The most resident memory that each worker process alive at the end has ever held, in bytes, as its system
        counts it.
    peaks_before : dict
        The same for each worker at the start. If a peak isn't above this value, it is older than the block.
    restarts : int
        How often a nanny restarted its worker because of memory.
    """

    seconds: float = 0.0
    memory: pd.DataFrame = field(default_factory=lambda: _frame([], _MEMORY), repr=False)
    tasks: pd.DataFrame = field(default_factory=lambda: _frame([], _TASKS), repr=False)
    transfers: pd.DataFrame = field(default_factory=lambda: _frame([], _TRANSFERS), repr=False)
    steals: pd.DataFrame = field(default_factory=lambda: _frame([], _STEALS), repr=False)
    workers: pd.DataFrame = field(default_factory=lambda: _frame([], _WORKERS), repr=False)
    limits: dict[str, int] = field(default_factory=dict)
    thresholds: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    peaks_before: dict[str, int] = field(default_factory=dict)
    restarts: int = 0


@contextlib.contextmanager
def record(client: Client) -> Iterator[Recording]:
    """Record what `client`'s cluster does while the block runs.

    The recording is complete when the block has ended, even with an error. If the client's process ends before that,
    the cluster drops the recording.

    Parameters
    ----------
    client : Client

    Yields
    ------
    Recording
        Until the block has ended, its tables have columns but no rows.

    Raises
    ------
    UsageProblem
        If the client is no longer connected.
    UpstreamChanged
        If this release of Dask lacks an interface that recording needs.
    RuntimeError
        From distributed, if the scheduler is gone when the block ends.

    Examples
    --------
    `client` is connected to a cluster of two workers; one of them adds up three numbers.

    >>> from daskclass import watch
    >>> with watch.record(client) as recording:
    ...     client.submit(sum, [1, 2, 3], pure=False).result()
    6
    >>> computed = recording.tasks[recording.tasks.action == "compute"]
    >>> computed[["prefix", "outcome"]].values.tolist()
    [['sum', 'memory']]
    >>> len(recording.limits)
    2
    """
    if client.status != "running":
        raise UsageProblem(f"this client is {client.status}; run the lab's first cell again for a new one")
    recording, name = Recording(), f"daskclass-recorder-{os.getpid()}-{next(_numbers)}"
    restarts_before = dask_internals.restarts_for_memory(client)
    recording.peaks_before = client.run(peak_bytes)
    registered = _register(client, name)
    try:
        yield recording
    finally:
        with registered:
            found = client.run_on_scheduler(_collect, name=name)
        _complete(recording, client, name, found, restarts_before)


def _register(client: Client, name: str) -> contextlib.ExitStack:
    """Register the three recording plugins. Closing the result removes them.

    If registering fails, or Ctrl-C interrupts it, none of them stays.
    """
    with contextlib.ExitStack() as registered:
        for plugin, remove in (
            (_Recorder(name, client.id), client.unregister_scheduler_plugin),
            (_Teller(name), partial(_unregister_from_workers, client)),
            (_NannyTeller(name), partial(_unregister_from_nannies, client)),
        ):
            registered.callback(_unregister, remove, name)  # first: it may be half registered when it fails
            client.register_plugin(plugin, name=name)
        return registered.pop_all()


def _unregister(remove: Callable[[str], Any], name: str) -> None:
    with contextlib.suppress(ValueError):  # distributed's answer if it was never registered
        remove(name)


def _unregister_from_workers(client: Client, name: str) -> None:
    """Remove the plugin also if a worker is joining and gets it in a moment, or dies now. Both make Dask fail."""
    try:
        client.unregister_worker_plugin(name)
    except (KeyError, OSError):
        client.run(_take_away, name, on_error="ignore")  # a worker that dies takes it along


def _unregister_from_nannies(client: Client, name: str) -> None:
    try:
        client.unregister_worker_plugin(name, nanny=True)
    except (KeyError, OSError):
        client.run(_take_away_from_nanny, name, nanny=True, on_error="ignore")


async def _take_away(name: str, dask_worker: Worker) -> None:
    await dask_internals.take_plugin_away(dask_worker, name)


async def _take_away_from_nanny(name: str, dask_worker: Nanny) -> None:  # what `Client.run` calls a nanny, too
    await dask_internals.take_plugin_away_from_nanny(dask_worker, name)


def _complete(recording: Recording, client: Client, name: str, found: dict[str, Any], restarts_before: int) -> None:
    """Fill in the plugins' data, and the data that the scheduler and the workers have anyway."""
    told = [{"seconds": when - found["started"], **message} for when, message in client.get_events(name)]
    recording.seconds = found["stopped"] - found["started"]
    recording.limits = found["limits"]
    recording.memory = _memory([row for row in told if row["seconds"] <= recording.seconds])
    recording.tasks = _frame(found["tasks"], _TASKS)
    recording.workers = _frame(found["workers"], _WORKERS)
    stolen = [steal._asdict() for steal in dask_internals.steals(client, found["started"])]
    recording.steals = _frame([steal | {"seconds": steal["when"] - found["started"]} for steal in stolen], _STEALS)
    recording.restarts = dask_internals.restarts_for_memory(client) - restarts_before
    on_workers = client.run(_of_worker, since=found["started"], on_error="ignore")
    recording.peaks = {address: worker["peak"] for address, worker in on_workers.items()}
    recording.thresholds = next((worker["thresholds"] for worker in on_workers.values()), {})
    moved = [row for worker in on_workers.values() for row in worker["transfers"]]
    recording.transfers = _frame(sorted(moved, key=lambda row: row["start"]), _TRANSFERS)


class _Recorder(SchedulerPlugin):
    """Runs on the scheduler during the block."""

    def __init__(self, name: str, client: str) -> None:
        self.name, self.client = name, client
        self.tasks: list[dict[str, Any]] = []
        self.workers: list[dict[str, float]] = []
        self.limits: dict[str, int] = {}
        self.threads: dict[str, dict[int | None, int]] = {}
        self.changed: dask_internals.UpstreamChanged | None = None

    async def start(self, scheduler: Scheduler) -> None:
        self.started = dask_internals.clock()
        self.limits = {address: worker.memory_limit for address, worker in scheduler.workers.items()}
        self.count(scheduler)

    async def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        self.limits[worker] = scheduler.workers[worker].memory_limit
        self.count(scheduler)

    def remove_worker(self, scheduler: Scheduler, worker: str, **kwargs: Any) -> None:
        self.count(scheduler)

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """If the client goes away within its block, as when its kernel restarts, it can't remove the plugins."""
        if client == self.client:
            self.leaving = asyncio.ensure_future(dask_internals.take_plugins_away(scheduler, self.name))

    def count(self, scheduler: Scheduler) -> None:
        there = len(scheduler.workers)
        if not self.workers or self.workers[-1]["workers"] != there:  # two workers that arrive together make one row
            self.workers.append({"seconds": dask_internals.clock() - self.started, "workers": there})

    def transition(self, key: Key, start: str, finish: str, *args: Any, **told: Any) -> None:
        if start != "processing" or finish not in ("memory", "erred"):
            return
        try:
            report = dask_internals.report(finish, told)
        except dask_internals.UpstreamChanged as error:  # the scheduler only logs a plugin's errors
            self.changed = error
            return
        if report is None:
            return
        threads = self.threads.setdefault(report.worker, {})
        number = threads.setdefault(report.thread, len(threads))
        for span in report.spans:
            self.tasks.append(
                {
                    "key": str(key),
                    "prefix": dask_internals.prefix(key),
                    "worker": report.worker,
                    "thread": number,
                    "action": span["action"],
                    "start": span["start"] - self.started,
                    "stop": span["stop"] - self.started,
                    "bytes": report.bytes,
                    "outcome": finish,
                }
            )


class _Teller(WorkerPlugin):
    """Runs on every worker during the block, also on workers that a nanny starts meanwhile.

    It reports to the scheduler, which keeps the reports when the worker dies.
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic

    def setup(self, worker: Worker) -> None:
        self.worker = worker
        self.callback = PeriodicCallback(self.tell, _INTERVAL)
        self.callback.start()
        self.tell()

    def teardown(self, worker: Worker) -> None:
        self.tell()
        self.callback.stop()

    def tell(self) -> None:
        held = dask_internals.memory(self.worker)
        self.worker.log_event(self.topic, {"worker": self.worker.address, **held._asdict()})


class _NannyTeller(NannyPlugin):
    """Runs on every nanny during the block. It reports a worker's memory even while the worker is too busy."""

    def __init__(self, topic: str) -> None:
        self.topic = topic

    def setup(self, nanny: Nanny) -> None:
        self.nanny = nanny
        self.known: dict[str, int] = {}  # by address, because a new process has no address for its first second
        self.callback = PeriodicCallback(self.tell, _INTERVAL)
        self.callback.start()
        self.tell()  # an error here reaches `record`'s caller; an error in the callback only reaches the nanny's log

    def teardown(self, nanny: Nanny) -> None:
        self.callback.stop()

    def tell(self) -> None:
        watched = dask_internals.worker_of(self.nanny)
        if watched is None:
            return
        pid, address = watched
        try:
            held = psutil.Process(pid).memory_info().rss
        except psutil.Error:  # it has just died
            return
        if self.known.setdefault(address, pid) == pid:
            self.nanny.log_event(self.topic, {"worker": address, "process": held})


def _memory(told: list[dict[str, Any]]) -> pd.DataFrame:
    """The reports of workers and nannies, in order. Columns that nannies don't know repeat the worker's report."""
    frame = pd.DataFrame(told, columns=list(_MEMORY)).sort_values("seconds", kind="stable", ignore_index=True)
    known = ["managed", "spilled"]
    frame[known] = frame.groupby("worker")[known].ffill().fillna(0)
    return frame.astype(_MEMORY)


def _collect(dask_scheduler: Scheduler, name: str) -> dict[str, Any]:
    recorder = cast(_Recorder, dask_internals.plugin_of(dask_scheduler, name))
    if recorder.changed is not None:
        raise recorder.changed
    return {
        "started": recorder.started,
        "stopped": dask_internals.clock(),
        "tasks": recorder.tasks,
        "workers": recorder.workers,
        "limits": recorder.limits,
    }


def _of_worker(dask_worker: Worker, since: float) -> dict[str, Any]:
    """The data that only the worker itself has."""
    return {
        "peak": peak_bytes(),
        "thresholds": {name: share for name in _SHARES if (share := dask.config.get(f"{_OF_MEMORY}.{name}"))},
        "transfers": [
            moved | {"start": moved["start"] - since, "stop": moved["stop"] - since}
            for moved in dask_internals.incoming_transfers(dask_worker)
            if moved["stop"] >= since
        ],
    }


def _frame(rows: list[dict[str, Any]], columns: dict[str, type]) -> pd.DataFrame:
    """A DataFrame with these columns, even if there are no rows."""
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)
