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
    itself. Blocks may overlap, and end in any order.
    """
    traffic, block = Traffic(), uuid.uuid4().hex
    try:
        client.run_on_scheduler(_begin, block=block)
        yield traffic
    finally:
        traffic.received, traffic.sent = client.run_on_scheduler(dask_internals.end_counting, block=block)


def _begin(dask_scheduler: Scheduler, block: str) -> None:
    dask_internals.begin_counting(dask_scheduler, block)
