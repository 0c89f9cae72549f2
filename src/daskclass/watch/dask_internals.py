"""What do our instruments use of Dask beyond its documented interfaces?

Each function names the file of distributed that it leans on. If a release of Dask has changed that, the function raises
`UpstreamChanged`, which names the release. It doesn't return a default. It can't notice an event that has a new name,
because a quiet cluster logs no events. But the claims of labs 02 and 11 need restarts and steals, and turn false then.
Functions that take a worker, a nanny or a scheduler run in its process, where `Client.run` and plugins put them.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

import distributed
from dask.typing import Key
from distributed import Client, Nanny, Scheduler, Worker
from distributed.comm import tcp
from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.protocol import pickle
from distributed.spill import SpillBuffer
from distributed.stealing import WorkStealing
from tornado.ioloop import PeriodicCallback
from tornado.iostream import IOStream

from daskclass.errors import Problem

if TYPE_CHECKING:
    from distributed.core import rpc
    from distributed.scheduler import TaskState, TaskStateState


class UpstreamChanged(Problem):
    """This release of Dask lacks an internal interface that the class relies on."""


@contextlib.contextmanager
def leaning_on(file: str) -> Iterator[None]:
    """If something in `file` of distributed is missing, raise an `UpstreamChanged`."""
    try:
        yield
    except (AttributeError, ImportError, KeyError, IndexError, TypeError, ValueError) as error:
        raise UpstreamChanged(
            f"distributed {distributed.__version__} has changed {file} ({type(error).__name__}: {error}), and the "
            "class was written for 2026.8: install the versions of requirements.lock"
        ) from error


def workers(client: Client) -> dict[str, dict[str, Any]]:
    """What the scheduler knows about each worker, by address: name, status, limits, and more.

    `Client.scheduler_info` returns the same, but sometimes without any worker: the client's own update, which comes
    every two seconds without workers, can replace the answer before the caller sees it.

    Leans on ``Scheduler.identity`` (distributed/scheduler.py).
    """
    if client.status != "running":
        raise Problem(f"this client is {client.status}; connect again")
    with leaning_on("distributed/scheduler.py"):
        ask = cast("rpc", client.scheduler).identity
        # Releases of 2024 have no such argument, and tell about all workers. The drift report asks them, too.
        everyone = {"n_workers": -1} if "n_workers" in inspect.signature(Scheduler.identity).parameters else {}
    identity: dict[str, Any] = client.sync(ask, **everyone)
    with leaning_on("distributed/scheduler.py"):
        found: dict[str, dict[str, Any]] = identity["workers"]
        return found


class Memory(NamedTuple):
    """A worker's memory in bytes: its process's resident memory, results in memory, and results on disk."""

    process: int
    managed: int
    spilled: int


def memory(worker: Worker) -> Memory:
    """The memory of `worker` now. Leans on ``Worker.data`` (distributed/worker_memory.py) and distributed/spill.py."""
    with leaning_on("distributed/spill.py"):
        spill = _spill_buffer(worker)
        # The results on disk, as Dask estimated them while they were in memory, and as they are on disk.
        estimated, on_disk = spill.spilled_total if spill is not None else (0, 0)
        return Memory(worker.monitor.get_process_memory(), worker.state.nbytes - estimated, on_disk)


def results_on_disk(worker: Worker) -> int:
    """How many results `worker` has on disk. Leans on ``SpillBuffer.slow`` (distributed/spill.py)."""
    with leaning_on("distributed/spill.py"):
        spill = _spill_buffer(worker)
        return len(spill.slow) if spill is not None else 0


def bytes_ever_spilled(worker: Worker) -> int:
    """Bytes that `worker` has written to its disk so far. Leans on ``cumulative_metrics`` (distributed/spill.py)."""
    with leaning_on("distributed/spill.py"):
        spill = _spill_buffer(worker)
        if spill is None:
            return 0
        written, label = dict(spill.cumulative_metrics), ("disk-write", "bytes")
        if label not in written and spill.slow:
            raise KeyError(label)
        return int(written.get(label, 0))


def _spill_buffer(worker: Worker) -> SpillBuffer | None:
    """The spill buffer with the results of `worker`; None if it never spills, because then they are in a dict."""
    if isinstance(worker.data, SpillBuffer):
        return worker.data
    if type(worker.data) is dict:
        return None
    raise TypeError(f"results are in a {type(worker.data).__name__}")


def running(client: Client, seconds: float) -> set[tuple[str, Key]]:
    """Which worker runs which task now, also if the scheduler has already forgotten the task.

    `Client.call_stack` knows the same, but waits forever for a worker that doesn't reply. This raises a `TimeoutError`
    after `seconds`.

    Leans on ``Scheduler.get_call_stack`` (distributed/scheduler.py).
    """
    with leaning_on("distributed/scheduler.py"):
        ask = cast("rpc", client.scheduler).call_stack
    stacks: dict[str, dict[Key, object]] = client.sync(ask, keys=None, callback_timeout=seconds)
    return {(address, key) for address, keys in stacks.items() for key in keys}


def call_of(task: TaskState) -> tuple[object, object] | None:
    """The function and the arguments that a task calls; None if it calls nothing, as data does.

    Runs in the scheduler. Leans on ``Task`` (dask/_task_spec.py).
    """
    with leaning_on("dask/_task_spec.py"):
        from dask._task_spec import Task

        plan = task.run_spec
        return (plan.func, plan.args) if isinstance(plan, Task) else None


def restarts_for_memory(client: Client) -> int:
    """How often a nanny has restarted its worker because of memory, on the cluster of `client`.

    Leans on the events that distributed/worker_memory.py logs.
    """
    return len(client.get_events("worker-restart-memory"))


def is_paused(worker: Worker) -> bool:
    """Whether `worker` starts no tasks because its memory is full. Leans on ``Status`` (distributed/core.py)."""
    with leaning_on("distributed/core.py"):
        from distributed.core import Status

        paused: bool = worker.status == Status.paused
        return paused


def hear_failures_of_spilling(handler: logging.Handler) -> None:
    """Send `handler` the log records about spills that failed in this process. Leans on distributed/spill.py."""
    with leaning_on("distributed/spill.py"):
        from distributed.spill import logger

        logger.addHandler(handler)


def look_regularly(worker: Worker, name: str, look: Callable[[], None], seconds: float) -> None:
    """Call `look` every `seconds` seconds, for as long as the worker's own periodic callbacks run.

    Leans on ``Server.periodic_callbacks`` (distributed/core.py).
    """
    with leaning_on("distributed/core.py"):
        worker.periodic_callbacks[name] = PeriodicCallback(look, seconds * 1000)


async def take_plugin_away(worker: Worker, name: str) -> None:
    """Remove a plugin from a worker that may still be joining, and gets its plugins near the end of that.

    Leans on ``Worker.plugin_remove`` and the callback ``heartbeat``, which starts after that (distributed/worker.py).
    A worker that is closing doesn't wait for it.
    """
    with leaning_on("distributed/worker.py"):
        heartbeat = worker.periodic_callbacks["heartbeat"]
        while not heartbeat.is_running() and worker.status in (Status.init, Status.running, Status.paused):
            await asyncio.sleep(0.01)
        if name in worker.plugins:
            await worker.plugin_remove(name=name)


async def take_plugin_away_from_nanny(nanny: Nanny, name: str) -> None:
    """Remove a plugin from a nanny that has it.

    Leans on ``Nanny.plugin_remove`` (distributed/nanny.py).
    """
    with leaning_on("distributed/nanny.py"):
        if name in nanny.plugins:
            await nanny.plugin_remove(name=name)


async def take_plugins_away(scheduler: Scheduler, name: str) -> None:
    """Remove the plugins of this name from the scheduler, its workers and their nannies.

    Leans on ``unregister_worker_plugin`` and its kin (distributed/scheduler.py).
    """
    with leaning_on("distributed/scheduler.py"):
        ways = (
            scheduler.unregister_scheduler_plugin,
            partial(scheduler.unregister_worker_plugin, None),
            partial(scheduler.unregister_nanny_plugin, None),
        )
    for remove in ways:
        with contextlib.suppress(ValueError, OSError):  # it isn't registered, or a worker dies and takes it along
            await remove(name=name)


def spill_folder(worker: Worker) -> Path:
    """The folder that `worker` spills to. Leans on a name in distributed/worker_memory.py."""
    with leaning_on("distributed/worker_memory.py"):
        return Path(worker.local_directory) / "storage"


def incoming_transfers(worker: Worker) -> list[dict[str, Any]]:
    """The latest messages with data that `worker` received from other workers, as dicts.

    Returns
    -------
    list of dict
        ``start`` and ``stop`` (seconds since 1970), ``source`` and ``destination`` (addresses), ``bytes``, ``keys``
        (how many).

    Leans on ``Worker.transfer_incoming_log`` (distributed/worker.py).
    """
    with leaning_on("distributed/worker.py"):
        return [
            {
                "start": moved["start"],
                "stop": moved["stop"],
                "source": moved["who"],
                "destination": worker.address,
                "bytes": moved["total"],
                "keys": len(moved["keys"]),
            }
            for moved in list(worker.transfer_incoming_log)
        ]


def bytes_sent_to_workers(worker: Worker) -> int:
    """Bytes of data that `worker` has sent to others. Leans on ``transfer_outgoing_bytes_total`` (worker.py)."""
    with leaning_on("distributed/worker.py"):
        return int(worker.transfer_outgoing_bytes_total)


def worker_of(nanny: Nanny) -> tuple[int, str] | None:
    """ID of the process that `nanny` watches, and the worker's address; None while there is none.

    Leans on ``Nanny.process`` (distributed/nanny.py).
    """
    with leaning_on("distributed/nanny.py"):
        watched, address = nanny.process, nanny.worker_address
        if watched is None or watched.process is None or address is None:  # it is about to be started
            return None
        pid = watched.process.pid
        return None if pid is None else (pid, address)


def clock() -> float:
    """The time now in seconds since 1970, by the clock that distributed uses for a worker's actions.

    Leans on ``time`` in distributed/metrics.py.
    """
    with leaning_on("distributed/metrics.py"):
        from distributed.metrics import time

        return time()


def prefix(key: Key) -> str:
    """The name that Dask gives to all tasks of the same kind. Leans on ``key_split`` (distributed/utils.py)."""
    with leaning_on("distributed/utils.py"):
        from distributed.utils import key_split

        name: str = key_split(key)
        return name


def plugin_of(scheduler: Scheduler, name: str) -> SchedulerPlugin:
    """The plugin that was registered under `name`. Leans on ``Scheduler.plugins`` (distributed/scheduler.py).

    Raises
    ------
    KeyError
        If there is none.
    """
    with leaning_on("distributed/scheduler.py"):
        plugins: dict[str, SchedulerPlugin] = scheduler.plugins
    return plugins[name]


class Steal(NamedTuple):
    """A work-stealing request and its answer: ``confirm`` if the task moved, empty if no answer came in time.

    ``when`` is in seconds since 1970. ``level`` and ``cost`` come from the scheduler.
    """

    when: float
    key: str
    level: int
    cost: float
    victim: str
    thief: str
    answer: str


_PLACE_OF_KEY = {"confirm": 0, "already-computing": 0, "already-aborted": 0, "stale-response": 0, "reschedule": 1}
"""The position of the task's key in each kind of answer."""


def steals(client: Client, since: float) -> list[Steal]:
    """Requests of work stealing from `since` on (seconds since 1970), each with the next answer about its task.

    Leans on the events that distributed/stealing.py logs.
    """
    found: list[Steal] = []
    waiting: dict[str, int] = {}
    with leaning_on("distributed/stealing.py"):
        for when, (what, *rest) in client.get_events("stealing"):
            if when < since:
                continue
            if what == "request":
                for _start, level, key, cost, victim, _occupied, thief, _occupied_too in rest[0]:
                    waiting[str(key)] = len(found)
                    found.append(Steal(when, str(key), level, cost, victim, thief, ""))
            else:
                key = str(rest[_PLACE_OF_KEY[what]])
                if key in waiting:
                    place = waiting.pop(key)
                    found[place] = found[place]._replace(answer=what)
    return found


def level_of_stealing(nbytes: int, seconds: float, bandwidth: float) -> int | None:
    """How expensive distributed thinks it is to steal a task: 0 to 14, or None if it never would.

    Parameters
    ----------
    nbytes : int
        Size of the task's input, which would have to move.
    seconds : float
        Expected duration of the task.
    bandwidth : float
        Bytes per second.

    Leans on ``WorkStealing.steal_time_ratio`` (distributed/stealing.py).
    """
    with leaning_on("distributed/stealing.py"):
        scheduler = SimpleNamespace(bandwidth=bandwidth, _get_prefix_duration=lambda prefix: seconds)
        task = SimpleNamespace(
            prefix=SimpleNamespace(name="task"), dependencies={"input"}, get_nbytes_deps=lambda: nbytes
        )
        stealing = SimpleNamespace(scheduler=scheduler, cost_multipliers=WorkStealing.cost_multipliers)
        level: int | None = WorkStealing.steal_time_ratio(stealing, task)[1]  # type: ignore[arg-type]  # stand-ins
        return level


class Step(NamedTuple):
    """A change of a task's state: where (``scheduler`` or a worker's address), from what to what, and when."""

    where: str
    start: str
    finish: str
    when: float


def steps(client: Client, key: Key) -> list[Step]:
    """A task's state changes, in no particular order. Leans on the result of ``Client.story`` (client.py)."""
    told, found = client.story(key), []
    with leaning_on("distributed/client.py"):
        for where, _key, *entry, when in told:
            if where == "scheduler":
                found.append(Step(where, entry[0], entry[1], when))
            elif len(entry) == 5:  # start, what was recommended, finish, what followed from it, the cause
                found.append(Step(where, entry[0], entry[2], when))
            elif len(entry) > 3:  # notes, such as "compute-task", have two or three
                raise ValueError(f"a worker's story has entries of {len(entry)} fields")
    return found


def keys_that_wait(scheduler: Scheduler, worker: str) -> list[Key]:
    """Tasks that run or wait on the worker at that address; empty if the worker has left.

    Leans on ``WorkerState.processing`` (distributed/scheduler.py).
    """
    if (state := scheduler.workers.get(worker)) is None:
        return []
    with leaning_on("distributed/scheduler.py"):
        return [task.key for task in state.processing]


def keys_without_worker(scheduler: Scheduler) -> list[Key]:
    """Tasks that wait for a worker, or for a worker with room.

    Leans on ``Scheduler.queued`` and ``Scheduler.unrunnable`` (distributed/scheduler.py).
    """
    with leaning_on("distributed/scheduler.py"):
        return [task.key for task in (*scheduler.queued, *scheduler.unrunnable)]


def fail_tasks(scheduler: Scheduler, keys: Iterable[Key], error: Exception, name: str) -> None:
    """Make tasks fail with `error`, as the scheduler itself does after its no-workers-timeout.

    Leans on ``Scheduler.transition`` (distributed/scheduler.py). The story of the tasks calls it `name`.
    """
    with leaning_on("distributed/scheduler.py"):
        recommendations: dict[Key, TaskStateState] = {}
        for key in keys:
            recommendations |= scheduler.transition(
                key, "erred", stimulus_id=name, exception=pickle.dumps(error), cause=key
            )
        scheduler.transitions(recommendations, stimulus_id=name)


class Bytes:
    """Bytes that one scheduler has received and sent since counting started."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler, self.received, self.sent = scheduler, 0, 0

    def covers(self, stream: IOStream) -> bool:
        """Whether `stream` is a connection of this scheduler, whichever side opened it."""
        with leaning_on("distributed/core.py"):
            if stream.socket.getsockname()[1] == urlsplit(self.scheduler.address).port:
                return True
            pool = self.scheduler.rpc
            made = [comm for comms in (*pool.available.values(), *pool.occupied.values()) for comm in comms]
            return any(isinstance(comm, tcp.TCP) and comm.stream is stream for comm in made)


# In the scheduler's process. Blocks may end in any order, so they all share one wrapper, and the last block to end
# removes it. Several schedulers in one process may each have their own thread.
_counts: dict[str, Bytes] = {}
_originals: list[tuple[Callable[..., Any], Callable[..., Any]]] = []
_lock = threading.Lock()


def begin_counting(scheduler: Scheduler, block: str) -> None:
    """Count the bytes that `scheduler` receives and sends over TCP and TLS until `end_counting` of the same block.

    Wraps ``TCP.write`` and ``read_bytes_rw`` (distributed/comm/tcp.py) from outside, because distributed doesn't count
    a scheduler's bytes.
    """
    with _lock, leaning_on("distributed/comm/tcp.py"):
        if not _counts:
            _originals.append((tcp.TCP.write, tcp.read_bytes_rw))
            tcp.TCP.write, tcp.read_bytes_rw = _wrapped(*_originals[0])  # type: ignore[method-assign]  # counts bytes
        _counts[block] = Bytes(scheduler)


def end_counting(block: str) -> tuple[int, int] | None:
    """Bytes received and sent in `block`; None if it never began."""
    with _lock:
        count = _counts.pop(block, None)
        if count is None:
            return None
        if not _counts:
            tcp.TCP.write, tcp.read_bytes_rw = _originals.pop()  # type: ignore[method-assign]  # puts back
        return count.received, count.sent


def _wrapped(write: Callable[..., Any], read: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`write` and `read` that also add the bytes to every running block of that connection's scheduler."""

    async def counted_write(comm: tcp.TCP, *arguments: Any, **more: Any) -> int:
        concerned = _concerned(comm.stream)
        number: int = await write(comm, *arguments, **more)
        for count in concerned:
            count.sent += number
        return number

    async def counted_read(stream: IOStream, number: int) -> Any:
        concerned = _concerned(stream)
        read_bytes = await read(stream, number)
        for count in concerned:
            count.received += number
        return read_bytes

    return counted_write, counted_read


def _concerned(stream: IOStream | None) -> list[Bytes]:
    """The running blocks whose scheduler has `stream`. Call this before using `stream`, which may close it."""
    if stream is None or stream.closed():  # distributed will report that
        return []
    with _lock:
        running = list(_counts.values())
    return [count for count in running if count.covers(stream)]


class Report(NamedTuple):
    """What a worker did for a task, and the result.

    ``thread`` is Python's thread identifier, or None if the task failed before it ran. ``bytes`` is the size of the
    result, or 0 if there is none. ``spans`` have ``action``, ``start`` and ``stop``.
    """

    worker: str
    thread: int | None
    bytes: int
    spans: list[dict[str, Any]]


def report(outcome: str, told: Mapping[str, Any]) -> Report | None:
    """Read the arguments that a scheduler plugin gets when a task is done.

    Parameters
    ----------
    outcome : str
        ``memory`` or ``erred``.
    told : mapping
        The keywords of the plugin's ``transition``.

    Returns
    -------
    Report, optional
        None if no worker reported: the scheduler itself ends a task whose workers died.

    Leans on distributed/worker_state_machine.py.
    """
    if "thread" not in told and "startstops" not in told:
        return None
    with leaning_on("distributed/worker_state_machine.py"):
        spans = [{name: span[name] for name in ("action", "start", "stop")} for span in told["startstops"]]
        size = int(told["nbytes"]) if outcome == "memory" else 0
        return Report(told["worker"], told["thread"], size, spans)


async def greet(address: str, **connection: Any) -> None:
    """Connect to `address` as Dask does, and hang up. Leans on ``connect`` (distributed/comm/core.py)."""
    with leaning_on("distributed/comm/core.py"):
        from distributed.comm import connect

    (await connect(address, **connection)).abort()


def scheme(address: str) -> str:
    """The scheme of `address`; if it has none, Dask's default (``distributed.comm.default-scheme``).

    Leans on ``parse_address`` (distributed/comm/addressing.py).
    """
    with leaning_on("distributed/comm/addressing.py"):
        from distributed.comm import parse_address

    return parse_address(address)[0]


def dashboard_link(host: str, port: int) -> str:
    """The address of a dashboard, from Dask's setting. Leans on ``format_dashboard_link`` (distributed/utils.py).

    Raises
    ------
    KeyError
        If the setting names a variable that isn't set.
    AttributeError, IndexError, ValueError
        If the setting isn't a valid template.
    """
    with leaning_on("distributed/utils.py"):
        from distributed.utils import format_dashboard_link

    link: str = format_dashboard_link(host, port)
    return link


def cores() -> int:
    """How many cores Dask may use on this machine. Leans on ``CPU_COUNT`` (dask/system.py)."""
    with leaning_on("dask/system.py"):
        from dask.system import CPU_COUNT

        return CPU_COUNT


def memory_of_machine() -> int:
    """Bytes that Dask may use on this machine. Leans on ``MEMORY_LIMIT`` (distributed/system.py)."""
    with leaning_on("distributed/system.py"):
        from distributed.system import MEMORY_LIMIT

        return MEMORY_LIMIT
