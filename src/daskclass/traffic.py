"""How many bytes went through the scheduler while this block ran?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from distributed import Client


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
    traffic = Traffic()
    client.run_on_scheduler(_begin)
    try:
        yield traffic
    finally:
        traffic.received, traffic.sent = client.run_on_scheduler(_end)


def _begin(dask_scheduler) -> None:
    """Wrap what reads and writes, from the outside: distributed counts no bytes of a scheduler's."""
    from urllib.parse import urlsplit

    from distributed.comm import tcp

    port = urlsplit(dask_scheduler.address).port
    write, read = tcp.TCP.write, tcp.read_bytes_rw
    counted = [0, 0]

    def is_schedulers(stream) -> bool:
        own = stream.socket.getsockname()
        if own[1] == port:
            return True
        pool = dask_scheduler.rpc
        made = [comm for comms in (*pool.available.values(), *pool.occupied.values()) for comm in comms]
        return any(getattr(comm, "stream", None) is stream for comm in made)

    async def counted_write(comm, *arguments, **more):
        own = is_schedulers(comm.stream)
        number = await write(comm, *arguments, **more)
        counted[1] += number if own else 0
        return number

    async def counted_read(stream, number):
        own = is_schedulers(stream)
        read_bytes = await read(stream, number)
        counted[0] += number if own else 0
        return read_bytes

    stack = vars(dask_scheduler).setdefault("_daskclass_traffic", [])
    stack.append((counted, write, read))
    tcp.TCP.write, tcp.read_bytes_rw = counted_write, counted_read


def _end(dask_scheduler) -> tuple[int, int]:
    from distributed.comm import tcp

    counted, tcp.TCP.write, tcp.read_bytes_rw = dask_scheduler._daskclass_traffic.pop()
    return counted[0], counted[1]
