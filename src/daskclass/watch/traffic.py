"""How many bytes went through the scheduler while this block ran?"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from distributed import Client, Scheduler

from daskclass.watch import dask_internals


@dataclass
class Traffic:
    """The bytes that a scheduler received and sent on all its connections. Complete when the block has ended.

    This includes the messages that the counting itself needs: a few thousand bytes.
    """

    received: int = 0
    sent: int = 0


@contextlib.contextmanager
def through_scheduler(client: Client) -> Iterator[Traffic]:
    """Count the bytes that go through the scheduler of `client` while the block runs.

    This counts all bytes of messages over TCP and TLS, on all connections of the scheduler, whichever side opened them.
    If a scheduler shares a process with its client (`LocalCluster`), only the scheduler's
    connections count. Blocks may overlap, and end in any order.

    Parameters
    ----------
    client : Client

    Yields
    ------
    Traffic
        Both numbers are zero until the block has ended.

    Raises
    ------
    UpstreamChanged
        If this release of Dask lacks an interface that counting needs.

    Examples
    --------
    `client` is connected to a cluster of two workers. An argument travels inside its task, so it goes through the
    scheduler.

    >>> import random
    >>> from daskclass.watch import traffic
    >>> with traffic.through_scheduler(client) as passed:
    ...     client.submit(len, random.randbytes(1_000_000)).result()
    1000000
    >>> passed.received > 1_000_000
    True
    >>> passed.sent > 1_000_000
    True

    Scattered data goes to a worker directly:

    >>> with traffic.through_scheduler(client) as passed:
    ...     future = client.scatter(random.randbytes(1_000_000), direct=True)
    >>> passed.received < 100_000
    True
    """
    traffic, block = Traffic(), uuid.uuid4().hex
    try:
        client.run_on_scheduler(_begin, block=block)
        yield traffic
    finally:
        counted = client.run_on_scheduler(dask_internals.end_counting, block=block)
        if counted is not None:  # otherwise, the error on its way explains why
            traffic.received, traffic.sent = counted


def _begin(dask_scheduler: Scheduler, block: str) -> None:
    dask_internals.begin_counting(dask_scheduler, block)
