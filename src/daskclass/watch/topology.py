"""Which processes make up the cluster, and which of them are connected? Reads the live system."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import psutil
from distributed import Client

from daskclass.errors import Problem
from daskclass.watch.dask_internals import workers as workers_of

if TYPE_CHECKING:
    from psutil._ntuples import addr as Address


@dataclass(frozen=True)
class Topology:
    """The processes of a cluster on this machine, and their connections at one moment.

    Attributes
    ----------
    processes : DataFrame
        A row for each process: ``who`` (``client``, ``scheduler``, ``nanny east``, ``worker east``; joined by ``+`` if
        several share a process), ``pid``, ``parent`` (its pid), ``listens`` (a list of ``address:port``).
    connections : DataFrame
        A row for each direction in which two processes are connected: ``caller`` and ``called`` (as in ``who``),
        ``port`` (of the called process), ``count``.
    """

    processes: pd.DataFrame
    connections: pd.DataFrame


def topology(client: Client) -> Topology:
    """The topology of the cluster that `client` is connected to.

    Parameters
    ----------
    client : Client
        A client of a cluster whose processes run on this machine.

    Returns
    -------
    Topology

    Raises
    ------
    Problem
        If a part of the cluster runs on another machine, so that we can't see its processes.

    Examples
    --------
    `client` is connected to a `LocalCluster` of two workers. Each worker has its own process. Scheduler and nannies run
    in the client's process.

    >>> from daskclass.watch.topology import topology
    >>> seen = topology(client)
    >>> sorted(seen.processes.who)[1:]
    ['worker 0', 'worker 1']
    >>> sorted(seen.processes.who)[0].split(" + ")[:2]
    ['client', 'scheduler']
    >>> calls = seen.connections[seen.connections.caller == "worker 0"]
    >>> bool(calls.called.str.contains("scheduler").any())
    True
    """
    workers = workers_of(client)
    names = {address: str(worker["name"]) for address, worker in workers.items()}
    pids = {"client": os.getpid(), "scheduler": client.run_on_scheduler(os.getpid)}
    with_nanny = [address for address, worker in workers.items() if worker["nanny"]]
    for role, nanny, whose in (("nanny", True, with_nanny), ("worker", False, list(workers))):
        found = client.run(os.getpid, nanny=nanny, workers=whose) if whose else {}
        pids |= {f"{role} {names[address]}": pid for address, pid in found.items()}

    listens: dict[str, list[Address]] = {}
    ends: dict[tuple[Address, Address], str] = {}
    together: dict[int, list[str]] = {}
    for who, pid in pids.items():
        together.setdefault(pid, []).append(who)
    rows = []
    for pid, several in together.items():
        who = " + ".join(several)
        try:
            process = psutil.Process(pid)
            connections = process.net_connections("tcp")
        except psutil.Error as error:
            raise Problem(f"can't inspect the process of {who} on this machine: {error}") from error
        listens[who] = [one.laddr for one in connections if one.status == psutil.CONN_LISTEN]
        ends |= {(one.laddr, one.raddr): who for one in connections if one.status == psutil.CONN_ESTABLISHED}
        rows.append((who, pid, process.ppid(), [f"{address}:{port}" for address, port in listens[who]]))

    talks: dict[tuple[str, str, int], int] = {}
    for (here, there), called in ends.items():
        caller = ends.get((there, here))
        if caller not in (None, called) and here.port in {port for _address, port in listens[called]}:
            talks[caller, called, here.port] = talks.get((caller, called, here.port), 0) + 1
    return Topology(
        pd.DataFrame(rows, columns=["who", "pid", "parent", "listens"]),
        pd.DataFrame([(*key, count) for key, count in talks.items()], columns=["caller", "called", "port", "count"]),
    )
