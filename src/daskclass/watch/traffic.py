"""How many bytes went through the scheduler while this block ran?"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from distributed import Client, Scheduler
from distributed.comm import tcp
from tornado.iostream import IOStream


@dataclass
class Traffic:
    """What a scheduler received and sent on all of its connections, in bytes; complete when the block has ended.

    The questions and answers by which this is counted are in it, too: a few thousand bytes.
    """

    received: int = 0
    sent: int = 0


@contextlib.contextmanager
def through_scheduler(client: Client) -> Iterator[Traffic]:
    """Count what goes through the scheduler of `client` while the block runs.

    Counted are messages over TCP and TLS with everything in them: on connections that others made to the scheduler,
    and on those that it made itself. A scheduler that shares a process with its client (`LocalCluster`) is counted by
    itself.
    """
    traffic, block = Traffic(), uuid.uuid4().hex
    try:
        client.run_on_scheduler(_begin, block=block)
        yield traffic
    finally:
        traffic.received, traffic.sent = client.run_on_scheduler(_end, block=block)


@dataclass
class _Count:
    """What one block has counted so far of one scheduler."""

    scheduler: Scheduler
    received: int = 0
    sent: int = 0

    def covers(self, stream: IOStream) -> bool:
        """Whether `stream` is a connection of this scheduler: one that others made to it, or one of its own."""
        if stream.socket.getsockname()[1] == urlsplit(self.scheduler.address).port:
            return True
        pool = self.scheduler.rpc
        made = [comm for comms in (*pool.available.values(), *pool.occupied.values()) for comm in comms]
        return any(getattr(comm, "stream", None) is stream for comm in made)


# In a scheduler's process. Blocks may end in any order, so all of them share one wrapper, and the last one to end
# takes it away. Several schedulers of one process may have threads of their own.
_counts: dict[str, _Count] = {}
_originals: list[tuple[Callable, Callable]] = []
_lock = threading.Lock()


def _begin(dask_scheduler: Scheduler, block: str) -> None:
    """Wrap what reads and writes, from the outside: distributed counts no bytes of a scheduler's."""
    with _lock:
        if not _counts:
            _originals.append((tcp.TCP.write, tcp.read_bytes_rw))
            tcp.TCP.write, tcp.read_bytes_rw = _wrapped(*_originals[0])
        _counts[block] = _Count(dask_scheduler)


def _wrapped(write: Callable, read: Callable) -> tuple[Callable, Callable]:
    """`write` and `read` that tell every running block of what passed on its scheduler's connections."""

    async def counted_write(comm: tcp.TCP, *arguments: Any, **more: Any) -> int:
        concerned = _concerned(comm.stream)
        number = await write(comm, *arguments, **more)
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


def _concerned(stream: IOStream) -> list[_Count]:
    """The running blocks whose scheduler has `stream`; asked before it is used, since it may be closed afterwards."""
    with _lock:
        running = list(_counts.values())
    return [count for count in running if count.covers(stream)]


def _end(dask_scheduler: Scheduler, block: str) -> tuple[int, int]:
    with _lock:
        count = _counts.pop(block, None)
        if count is not None and not _counts:
            tcp.TCP.write, tcp.read_bytes_rw = _originals.pop()
    return (count.received, count.sent) if count is not None else (0, 0)  # None if the block could not even begin
