"""What if this dies, slows down or fills up? Causes faults on purpose, in processes of your own cluster."""

from __future__ import annotations

import os

import psutil
from distributed import Client, Worker

from daskclass import watch
from daskclass.errors import UsageProblem
from daskclass.watch import dask_internals

_FILE = 64 * 2**10  # the most bytes in a file on a full disk: enough for a log, too few for data


def full_disk(client: Client) -> str:
    """Make every worker of `client` fail to spill from now on, with a system error, as on a full disk.

    Returns
    -------
    str
        How we did it: with ``RLIMIT_FSIZE``, which keeps the process from writing more than 64 KiB to any file; or, on
        a system without that limit (Windows), by moving the spill folder away.
    """
    return " and ".join(sorted(set(client.run(_refuse).values())))


def _refuse(dask_worker: Worker) -> str:
    try:
        import resource
    except ImportError:
        storage = dask_internals.spill_folder(dask_worker)
        storage.rename(storage.with_name("taken-away"))
        return "we moved the spill folder away"
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE, hard))
    return "RLIMIT_FSIZE is 64 KiB"


def kill(client: Client, address: str) -> int:
    """Kill a worker's process without a goodbye, as a power failure does. Return once the scheduler has noticed.

    Parameters
    ----------
    client : distributed.Client
        A client of a cluster whose processes run on this machine.
    address : str
        The worker's address, as in ``client.scheduler_info()["workers"]``.

    Returns
    -------
    int
        The process ID.

    Raises
    ------
    UsageProblem
        If there is no such worker, or it runs in this process itself.
    Problem
        If the scheduler doesn't notice within a minute.

    Examples
    --------
    `client` is connected to a cluster of two workers. After the kill, the nanny starts a new worker.

    >>> from daskclass import clusters, faults
    >>> victim = min(client.nthreads())
    >>> pid = faults.kill(client, victim)
    >>> victim in client.nthreads()
    False
    >>> clusters.until(client, workers=2)
    2
    """
    if address not in client.nthreads():
        raise UsageProblem(f"this cluster has no worker {address!r}")
    pid: int = client.run(os.getpid, workers=[address])[address]
    if pid == os.getpid():
        raise UsageProblem(f"worker {address} runs in this process itself; start the cluster with processes=True")
    psutil.Process(pid).kill()
    watch.until(lambda: address not in client.nthreads(), f"the loss of {address}")
    return pid
