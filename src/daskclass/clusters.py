"""Which cluster am I on, and how do I start one?

The class cluster is two workers of one thread each. A lab connects to the cluster that the environment names
(Dask's own ``DASK_SCHEDULER_ADDRESS``), else to such a one of its own.
"""

from __future__ import annotations

import asyncio
import gc
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import dask
from distributed import Client, LocalCluster
from distributed.comm import connect as connect_comm
from distributed.security import Security

from daskclass import sizes
from daskclass.errors import Problem

WORKERS = 2
_SAME = ("python", "dask", "distributed", "cloudpickle", "msgpack", "numpy", "pandas", "pyarrow", "daskclass")


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
        with dask.config.set({"scheduler-address": None}):  # an empty one is one to Client
            return Client(
                n_workers=WORKERS,
                threads_per_worker=1,
                memory_limit=sizes.current().worker_memory,
                dashboard_address="127.0.0.1:0",
            )
    try:
        return reach(str(address))
    except Problem as problem:
        raise Problem(
            f"DASK_SCHEDULER_ADDRESS names a cluster, but {problem}; or unset the variable and restart the kernel "
            "for a cluster of your own"
        ) from problem


def reach(address: str) -> Client:
    """A client of the cluster whose scheduler is at `address`, which has workers.

    Raises
    ------
    Problem
        If no scheduler answers there within ten seconds, it has no worker within a minute, or scheduler, workers and
        this process differ in Python or a package that data and functions travel by.
    """
    refusal = None
    try:
        _greet(address)
        client = Client(address, timeout=10)
    except Exception as error:  # each kind of address has errors of its own, down to a websocket's
        refusal = str(error) or type(error).__name__
    if refusal is not None:
        # A client that failed to start stops its event loop when it is collected; if that happens while another
        # client starts one, both wait for the same lock for ever. So: now.
        gc.collect()
        raise Problem(f"no Dask scheduler answers at {address}: {refusal}. Start that cluster")
    try:
        client.wait_for_workers(1, timeout=60)
        if differences := _differences(client):
            raise Problem(
                f"the cluster at {address} does not run what runs here: {'; '.join(differences)}. Rebuild it from this "
                "checkout (`docker compose up --build`, or requirements.lock on its machines)"
            )
    except TimeoutError as error:
        client.close()
        hint = "start some (of the containers: `docker compose up -d --scale worker=2`)"
        raise Problem(f"the scheduler at {address} has no workers; {hint}") from error
    except BaseException:
        client.close()
        raise
    return client


def _greet(address: str) -> None:
    """Say hello to whoever listens there, and give up in time.

    `Client` waits for ever for a greeting from something that takes connections and is no Dask, such as a dashboard.
    """
    connection = {"timeout": 5, **Security().get_connection_args("client")}

    async def greet() -> None:
        (await connect_comm(address, **connection)).abort()

    async def in_time() -> None:
        try:
            await asyncio.wait_for(greet(), 8)
        except TimeoutError as error:
            raise OSError(
                f"what listens there does not speak as Dask does ({error or 'no greeting in 8 s'})"
            ) from error

    with ThreadPoolExecutor(1) as pool:  # in a notebook, this thread has a loop that runs
        pool.submit(asyncio.run, in_time()).result()


def _differences(client: Client) -> list[str]:
    """In which versions a cluster and this process differ, a phrase for each package."""
    found = client.get_versions(packages=[name for name in _SAME if name != "python"])
    here = _versions(found["client"])
    there = {"the scheduler": _versions(found["scheduler"])}
    there |= {f"worker {address}": _versions(worker) for address, worker in found["workers"].items()}
    phrases = []
    for name in _SAME:
        others: dict[str, list[str]] = {}
        for who, versions in there.items():
            if versions[name] != here[name]:
                others.setdefault(versions[name], []).append(who)
        phrases += [
            f"{name} {version} on {whose[0]}{f' and {len(whose) - 1} more' if whose[1:] else ''}, {here[name]} here"
            for version, whose in others.items()
        ]
    return phrases


def _versions(said: dict) -> dict[str, str]:
    """By package; of Python the minor one, because what is pickled differs from one to the next."""
    packages = said["packages"]
    short = {"python": ".".join(packages["python"].split(".")[:2])}
    return {name: short.get(name) or packages.get(name) or "missing" for name in _SAME}


def workers(client: Client) -> dict[str, dict]:
    """What the scheduler knows of each worker, by address: name, status, limits, and more.

    `Client.scheduler_info` says the same, but now and then without any worker: the client's own update, which comes
    every two seconds and asks for none, can replace the answer before the caller sees it.
    """
    return client.sync(client.scheduler.identity, n_workers=-1)["workers"]


def until(client: Client, workers: int, seconds: float = 60) -> int:
    """Wait until the cluster has so many workers, fewer or more than now; say how many it has in the end.

    Parameters
    ----------
    workers : int
        How many there should be.
    seconds : float
        After which what there is counts.
    """
    end = time.monotonic() + seconds
    while (there := len(client.nthreads())) != workers and time.monotonic() < end:
        time.sleep(0.05)
    return there


def dashboard(client: Client) -> str:
    """The address of the dashboard as the scheduler itself serves it, without a page: ``http://host:port``.

    `Client.dashboard_link` is the address for a person's browser, which may lead through a proxy.
    """
    port = client.scheduler_info()["services"].get("dashboard")
    if port is None:
        raise Problem("this cluster's scheduler serves no dashboard")
    return f"http://{urlsplit(client.scheduler.address).hostname}:{port}"
