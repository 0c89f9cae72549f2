"""What if this dies, slows down or fills up? Faults on purpose, in processes of one's own cluster."""

from __future__ import annotations

import os

import psutil
from distributed import Client, Worker

from daskclass import watch
from daskclass.errors import UsageProblem
from daskclass.watch import dask_internals

_FILE = 64 * 2**10  # bytes that a file may have on a full disk: enough for a log, and too few for data


def full_disk(client: Client) -> str:
    """Let every worker of `client` fail to spill from now on, as on a full disk: with an error of the system.

    Returns
    -------
    str
        How it was done: by ``RLIMIT_FSIZE``, which keeps the process from writing more than 64 KiB to any file; or,
        where the system has no such limit (Windows), by taking the folder away that is spilled to.
    """
    return " and ".join(sorted(set(client.run(_refuse).values())))


def _refuse(dask_worker: Worker) -> str:
    try:
        import resource
    except ImportError:
        storage = dask_internals.spill_folder(dask_worker)
        storage.rename(storage.with_name("taken-away"))
        return "the folder to spill to was taken away"
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE, hard))
    return "RLIMIT_FSIZE is 64 KiB"


def kill(client: Client, address: str) -> int:
    """Kill the process of a worker as a power failure does: without a good-bye. Returns when the scheduler has noticed.

    Parameters
    ----------
    client : distributed.Client
        Of a cluster whose processes are on this machine.
    address : str
        The worker's, as in ``client.scheduler_info()["workers"]``.

    Returns
    -------
    int
        The process's number.

    Raises
    ------
    UsageProblem
        If there is no such worker, or it lives in this very process.
    Problem
        If the scheduler has not noticed within a minute.

    Examples
    --------
    `client` is connected to a cluster of two workers. The nanny of the one that is killed starts another.

    >>> from daskclass import clusters, faults
    >>> victim = min(client.nthreads())
    >>> pid = faults.kill(client, victim)
    >>> victim in client.nthreads()
    False
    >>> clusters.until(client, workers=2)
    2
    """
    if address not in client.nthreads():
        raise UsageProblem(f"there is no worker {address!r} on this cluster")
    pid: int = client.run(os.getpid, workers=[address])[address]
    if pid == os.getpid():
        raise UsageProblem(f"worker {address} lives in this very process; start the cluster with processes=True")
    psutil.Process(pid).kill()
    watch.until(lambda: address not in client.nthreads(), f"the loss of {address}")
    return pid
