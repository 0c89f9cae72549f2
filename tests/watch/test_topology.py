"""Who runs where, read from live clusters."""

import os

import psutil
import pytest
from distributed import Client, LocalCluster

from daskclass.errors import Problem
from daskclass.watch.topology import topology


def test_a_cluster_made_by_hand_has_processes_of_their_own(by_hand):
    by_hand.run(os.getpid, nanny=True)  # so that the scheduler has called the nannies
    seen = topology(by_hand)
    rows = seen.processes.set_index("who")
    assert set(rows.index) == {"client", "scheduler", "nanny east", "nanny west", "worker east", "worker west"}
    assert rows.pid["client"] == os.getpid()
    for name in ("east", "west"):
        assert rows.parent[f"worker {name}"] == rows.pid[f"nanny {name}"]
        assert psutil.Process(rows.pid[f"worker {name}"]).ppid() == rows.pid[f"nanny {name}"]
    assert by_hand.scheduler.address.removeprefix("tcp://") in rows.listens["scheduler"]
    pairs = set(zip(seen.connections.caller, seen.connections.called, strict=True))
    assert {("client", "scheduler"), ("worker east", "scheduler"), ("scheduler", "nanny west")} <= pairs
    assert ("scheduler", "client") not in pairs
    assert (seen.connections["count"] > 0).all()


def test_workers_that_exchanged_data_are_connected(by_hand):
    made = by_hand.submit(bytes, 1000, workers=["east"], pure=False)
    assert by_hand.submit(len, made, workers=["west"], pure=False).result() == 1000
    connections = topology(by_hand).connections
    assert ("worker west", "worker east") in set(zip(connections.caller, connections.called, strict=True))


def test_who_shares_a_process_is_told_in_one_row(cluster, client):
    seen = topology(client)
    shared = next(who for who in seen.processes.who if "client" in who)
    assert shared.startswith("client + scheduler")
    assert (seen.connections.caller != seen.connections.called).all()
    assert seen.processes.pid.is_unique


def test_without_nannies_there_are_none():
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as alone,
    ):
        assert list(topology(alone).processes.who) == ["client + scheduler + worker 0"]


def test_a_process_that_is_not_of_this_machine_is_said(client, monkeypatch):
    monkeypatch.setattr(client, "run_on_scheduler", lambda _function: 2**22 + 1)  # beyond any process number
    with pytest.raises(Problem, match="can't inspect the process of scheduler"):
        topology(client)
