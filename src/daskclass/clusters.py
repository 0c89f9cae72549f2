"""Which cluster am I on, and how do I start one?

The class cluster has two workers with one thread each. A lab connects to the cluster that the environment names with
Dask's own ``DASK_SCHEDULER_ADDRESS``. If none is named, the lab starts a class cluster.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import dask
from distributed import Client, LocalCluster
from distributed.security import Security
from tornado.websocket import WebSocketError

from daskclass import sizes
from daskclass.errors import Problem
from daskclass.watch import dask_internals
from daskclass.watch.dask_internals import workers as workers

if TYPE_CHECKING:
    from distributed.client import VersionsDict

WORKERS = 2
_CANNOT_CONNECT = (OSError, ValueError, WebSocketError)
"""What connecting raises. `distributed.comm.core.Connector` promises the first two, and a malformed message is a
ValueError as well; `distributed.comm.ws` passes Tornado's error on where a page answers that is no websocket."""

SAME = ("python", "dask", "distributed", "cloudpickle", "msgpack", "numpy", "pandas", "pyarrow", "daskclass")
"""Python and the packages by which data and functions travel: the same everywhere in one cluster."""


def start(size: sizes.Size | None = None, *, dashboard_address: str = "127.0.0.1:0") -> LocalCluster:
    """Start the class cluster on this machine: two workers with one thread each, and the memory that the size sets.

    Parameters
    ----------
    size : sizes.Size, optional
        By default, the value of ``DASKCLASS_SIZE``, else ``class``.
    dashboard_address : str
        Where the dashboard listens. By default, on a free port of this machine only.

    Returns
    -------
    LocalCluster
        Close it, or use it in a ``with`` block.

    Raises
    ------
    Problem
        If Dask's settings give no valid dashboard link.
    UsageProblem
        If ``DASKCLASS_SIZE`` is not a size.

    Examples
    --------
    At size ``smoke``, each worker has a memory limit of 500 MiB.

    >>> from distributed import Client
    >>> from daskclass import clusters, sizes
    >>> with clusters.start(sizes.SMOKE) as cluster, Client(cluster) as client:
    ...     [worker["memory_limit"] // 2**20 for worker in client.scheduler_info()["workers"].values()]
    [500, 500]
    """
    require_dashboard_link()
    return LocalCluster(
        n_workers=WORKERS,
        threads_per_worker=1,
        memory_limit=(size or sizes.current()).worker_memory,
        dashboard_address=dashboard_address,
    )


def connect() -> Client:
    """Connect to the cluster that ``DASK_SCHEDULER_ADDRESS`` names, or start a class cluster and connect to it.

    Closing the client also closes a cluster that it started. Any other cluster keeps running.

    Returns
    -------
    Client
        A connected client. It becomes Dask's default, so ``.compute()`` runs on its cluster.

    Raises
    ------
    Problem
        If no scheduler answers at the address, if its cluster has no workers or other versions (see `reach`), or if
        Dask's settings give no valid dashboard link.
    UsageProblem
        If it has to start a cluster, and ``DASKCLASS_SIZE`` is not a size.

    Examples
    --------
    `client` is connected to a running cluster. We put its address where Dask keeps that variable.

    >>> import dask
    >>> from daskclass import clusters
    >>> with dask.config.set({"scheduler-address": client.scheduler.address}):
    ...     mine = clusters.connect()
    >>> mine.submit(sum, [1, 2, 3]).result()
    6

    Closing this client leaves the cluster running:

    >>> mine.close()
    >>> client.submit(sum, [1, 2, 3]).result()
    6
    """
    require_dashboard_link()
    address = named()
    if address is None:
        with dask.config.set({"scheduler-address": None}):  # to Client, an empty string is an address
            return Client(
                n_workers=WORKERS,
                threads_per_worker=1,
                memory_limit=sizes.current().worker_memory,
                dashboard_address="127.0.0.1:0",
            )
    try:
        return reach(address)
    except Problem as problem:
        raise Problem(
            f"{named_by()} names a cluster, but {problem}; or {_unname()} and restart the kernel to use a local cluster"
        ) from problem


def named() -> str | None:
    """The address of the cluster that Dask's settings name, in the environment or in a settings file."""
    return str(dask.config.get("scheduler-address", None) or "") or None


def named_by() -> str:
    """The setting that names the cluster, for messages."""
    file = _settings_file()
    return "DASK_SCHEDULER_ADDRESS" if file is None else f"`scheduler-address` in {file}"


def _unname() -> str:
    return "unset the variable" if _settings_file() is None else "remove that line"


def _settings_file() -> str | None:
    """The file that names the cluster; None if the environment does, because it takes precedence."""
    if os.environ.get("DASK_SCHEDULER_ADDRESS"):
        return None
    found = dask.config.collect_yaml(dask.config.paths, return_paths=True)
    naming = [str(path) for path, settings in found if dask.config.get("scheduler-address", None, config=settings)]
    return naming[-1] if naming else None


def require_dashboard_link() -> None:
    """Check that Dask can build the dashboard's address. Its template may use variables of a JupyterHub.

    Raises
    ------
    Problem
        Names the setting, and the variable if that isn't set.
    """
    template, wrong = dask.config.get("distributed.dashboard.link"), None
    try:
        dask_internals.dashboard_link("127.0.0.1", 8787)
    except KeyError as missing:
        wrong = f"the variable {missing.args[0]} in {template!r} isn't set"
    except (AttributeError, IndexError, ValueError) as error:
        wrong = f"{template!r} isn't a valid template ({error})"
    if wrong is not None:
        raise Problem(
            f"Dask's setting distributed.dashboard.link doesn't give a valid address: {wrong}. Unset "
            "DASK_DISTRIBUTED__DASHBOARD__LINK, or remove `link` from your Dask settings"
        )


def reach(address: str) -> Client:
    """Connect to the cluster whose scheduler is at `address`, and wait until it has a worker.

    Raises
    ------
    Problem
        If no scheduler answers there within ten seconds, if it has no worker within a minute, or if scheduler, workers
        and this process have different versions of Python or of a package in `SAME`.
    """
    _require_certificates(address)
    refusal = None
    try:
        _greet(address)
        client = Client(address, timeout=10)
    except _CANNOT_CONNECT as error:
        refusal = str(error) or type(error).__name__
    if refusal is not None:
        # A client that failed to start stops its event loop when it is garbage-collected. If that happens while another
        # client starts one, both wait for the same lock forever. So collect it now.
        gc.collect()
        raise Problem(f"no Dask scheduler answers at {address}: {refusal}. Start that cluster")
    try:
        client.wait_for_workers(1, timeout=60)
        if differences := _differences(client):
            raise Problem(
                f"the cluster at {address} has other versions than this process: {'; '.join(differences)}. Rebuild it "
                "from this checkout (`docker compose up --build`, or install requirements.lock on its machines)"
            )
    except TimeoutError as error:
        client.close()
        hint = "start some (in containers: `docker compose up -d --scale worker=2`)"
        raise Problem(f"the scheduler at {address} has no workers; {hint}") from error
    except BaseException:
        client.close()
        raise
    return client


def _require_certificates(address: str) -> None:
    """Check the certificates for ``tls`` and ``wss``. Otherwise connecting would fail without naming a setting."""
    scheme, security = dask_internals.scheme(address), Security()
    if scheme in ("tls", "wss"):
        try:
            context = security.get_connection_args("client")["ssl_context"]
        except OSError as error:  # no such file, or no certificate in it
            raise Problem(f"can't read the certificates in distributed.comm.tls of Dask's settings: {error}") from error
        if context is None:
            raise Problem(
                f"{address} needs certificates: in distributed.comm.tls, set ca-file and the client's cert and key"
            )
    elif security.require_encryption:
        raise Problem(
            f"{address} isn't encrypted, but Dask's setting distributed.comm.require-encryption requires it: "
            "use tls://…, or turn the setting off"
        )


def _greet(address: str) -> None:
    """Check that a Dask process listens there, and give up in time.

    If something else accepts the connection, such as a dashboard, `Client` waits forever for its greeting.
    """
    connection = {"timeout": 5, **Security().get_connection_args("client")}

    async def greet() -> None:
        try:
            await dask_internals.greet(address, **connection)
        except OSError:
            raise
        except Exception as error:  # whatever reading a stranger's bytes as Dask's can raise, a MemoryError included
            reason = str(error) or type(error).__name__
            raise OSError(f"the program that listens there isn't Dask ({reason})") from error

    async def in_time() -> None:
        try:
            await asyncio.wait_for(greet(), 8)
        except TimeoutError as error:
            raise OSError(f"the program that listens there isn't Dask ({error or 'no greeting in 8 s'})") from error

    with ThreadPoolExecutor(1) as pool:  # in a notebook, this thread has a loop that runs
        pool.submit(asyncio.run, in_time()).result()


def _differences(client: Client) -> list[str]:
    """How the versions of a cluster and of this process differ, as a phrase for each package."""
    # Not a coroutine, because this client isn't asynchronous.
    found = cast("VersionsDict", client.get_versions(packages=[name for name in SAME if name != "python"]))
    here = _versions(found["client"])
    there = {"the scheduler": _versions(found["scheduler"])}
    there |= {f"worker {address}": _versions(worker) for address, worker in found["workers"].items()}
    phrases = []
    for name in SAME:
        others: dict[str, list[str]] = {}
        for who, versions in there.items():
            if versions[name] != here[name]:
                others.setdefault(versions[name], []).append(who)
        phrases += [
            f"{name} {version} on {whose[0]}{f' and {len(whose) - 1} more' if whose[1:] else ''}, {here[name]} here"
            for version, whose in others.items()
        ]
    return phrases


def _versions(said: dict[str, Any]) -> dict[str, str]:
    """Versions by package. For Python, the minor version, because pickles of functions differ between those."""
    packages = said["packages"]
    short = {"python": ".".join(packages["python"].split(".")[:2])}
    return {name: short.get(name) or packages.get(name) or "missing" for name in SAME}


def until(client: Client, workers: int, seconds: float = 60) -> int:
    """Wait until the cluster has this many workers, and return how many it has.

    Parameters
    ----------
    workers : int
        The number to wait for, above or below the present one.
    seconds : float
        How long to wait. After that, return the number as it is.
    """
    end = time.monotonic() + seconds
    while (there := len(client.nthreads())) != workers and time.monotonic() < end:
        time.sleep(0.05)
    return there


def dashboard(client: Client) -> str:
    """The address at which the scheduler itself serves the dashboard: ``http://host:port``.

    `Client.dashboard_link` is the address for a browser, which may go through a proxy.
    """
    port = client.scheduler_info()["services"].get("dashboard")
    if port is None:
        raise Problem("this cluster's scheduler has no dashboard")
    address: str = cast(Any, client.scheduler).address  # which a client that is connected has
    return f"http://{urlsplit(address).hostname}:{port}"


def visit(url: str, seconds: float = 30) -> tuple[int, str]:
    """Open a page of a cluster, and return its status and text. A missing page has a status, too.

    This ignores a proxy that the environment names, because the proxy leads to the internet and clusters are inside.

    Parameters
    ----------
    url : str
    seconds : float
        How long to wait for an answer, and for each piece of it.

    Returns
    -------
    status : int
        HTTP status: 200 if the page exists.
    text : str
        The page; empty if the status is an error (400 and more).

    Raises
    ------
    OSError
        If there is no answer.

    Examples
    --------
    `client` is connected to a cluster whose scheduler serves a dashboard.

    >>> from daskclass import clusters
    >>> clusters.visit(clusters.dashboard(client) + "/health")
    (200, 'ok')
    >>> clusters.visit(clusters.dashboard(client) + "/nothing-here")
    (404, '')
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=seconds) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, ""
