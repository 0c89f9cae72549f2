"""Which cluster am I on, and how do I start one?

The class cluster is two workers of one thread each. A lab connects to the cluster that the environment names
(Dask's own ``DASK_SCHEDULER_ADDRESS``), else to such a one of its own.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import dask
from distributed import Client, LocalCluster

from daskclass import sizes
from daskclass.errors import Problem

WORKERS = 2


def start(dashboard_address: str = "127.0.0.1:0") -> LocalCluster:
    """Start the class cluster on this machine: two workers, one thread each, memory as the size says.

    Parameters
    ----------
    dashboard_address : str
        Where the dashboard listens; by default on a free port, on this machine only.
    """
    return LocalCluster(
        n_workers=WORKERS,
        threads_per_worker=1,
        memory_limit=sizes.current().worker_memory,
        dashboard_address=dashboard_address,
    )


def connect() -> Client:
    """A client of the cluster that ``DASK_SCHEDULER_ADDRESS`` names, else of a class cluster of its own.

    Closing the client closes a cluster of its own and leaves any other alone.

    Raises
    ------
    Problem
        If no scheduler answers at the address.
    """
    address = dask.config.get("scheduler-address", None)
    if not address:
        return Client(
            n_workers=WORKERS,
            threads_per_worker=1,
            memory_limit=sizes.current().worker_memory,
            dashboard_address="127.0.0.1:0",
        )
    try:
        client = Client(str(address), timeout=10)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise Problem(
            f"no Dask scheduler answers at {address}, which DASK_SCHEDULER_ADDRESS names: {error}. "
            "Start that cluster, or unset the variable and restart the kernel for a cluster of your own"
        ) from error
    try:
        client.wait_for_workers(1, timeout=60)
    except TimeoutError as error:
        client.close()
        raise Problem(f"the scheduler at {address} has no workers; start some, and run this again") from error
    except BaseException:
        client.close()
        raise
    return client


def dashboard(client: Client) -> str:
    """The address of the dashboard as the scheduler itself serves it, without a page: ``http://host:port``.

    `Client.dashboard_link` is the address for a person's browser, which may lead through a proxy.
    """
    port = client.scheduler_info()["services"].get("dashboard")
    if port is None:
        raise Problem("this cluster's scheduler serves no dashboard")
    return f"http://{urlsplit(client.scheduler.address).hostname}:{port}"
