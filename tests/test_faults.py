"""Faults are real: what they break is broken, and only there."""

import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster, wait

from daskclass import faults, watch
from daskclass.errors import UsageProblem


@pytest.fixture
def spilling(tmp_path):
    """A worker that would spill all it has."""
    import dask

    options = {"n_workers": 1, "threads_per_worker": 1, "memory_limit": "1 GiB", "dashboard_address": "127.0.0.1:0"}
    with (
        dask.config.set({"distributed.worker.memory.target": 0.001}),
        LocalCluster(**options, local_directory=str(tmp_path), silence_logs="CRITICAL") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def where(client) -> tuple[int, int]:
    [place] = client.run(lambda dask_worker: (len(dask_worker.data.memory), len(dask_worker.data.disk))).values()
    return place


def noise(number):
    return np.random.default_rng(number).random(2**19)  # 4 MiB that do not compress


noise.__module__ = "__main__"  # travels with all that is in it: workers cannot import the tests


def make(client):
    made = client.map(noise, range(3), pure=False)
    with client.as_current():
        wait(made)
    return made


def test_on_a_full_disk_nothing_is_spilled_and_nothing_is_lost(spilling):
    before = make(spilling)
    assert where(spilling) == (0, len(before))
    assert faults.full_disk(spilling) == "RLIMIT_FSIZE is 64 KiB"
    after = make(spilling)
    assert where(spilling) == (3, 3)
    assert all((array == noise(n)).all() for n, array in enumerate(spilling.gather(after)))


def test_where_files_have_no_limit_the_folder_is_taken_away(spilling, monkeypatch):
    def without_resource(dask_worker):
        import sys

        sys.modules["resource"] = None  # as where there is no such module

    without_resource.__module__ = "__main__"
    spilling.run(without_resource)
    assert faults.full_disk(spilling) == "we moved the spill folder away"
    made = make(spilling)
    watch.until(lambda: where(spilling)[0] == 3, "the arrays' staying in memory", seconds=5)
    assert all((array == noise(n)).all() for n, array in enumerate(spilling.gather(made)))


def test_a_killed_worker_is_gone_and_its_nanny_starts_another():
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "silence_logs": "CRITICAL"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        victim, other = sorted(client.nthreads())
        pids = client.run(lambda dask_worker: psutil.Process().pid)
        assert faults.kill(client, victim) == pids[victim]
        assert victim not in client.nthreads()
        # Its connections close a moment before it's gone, and its nanny asks for its status after that.
        watch.until(lambda: not psutil.pid_exists(pids[victim]), "the end of its process")
        client.wait_for_workers(2, timeout=240)
        assert other in client.nthreads()
        with pytest.raises(UsageProblem, match="this cluster has no worker"):
            faults.kill(client, victim)


def test_this_process_is_not_killed():
    options = {"n_workers": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        (here,) = client.nthreads()
        with pytest.raises(UsageProblem, match="runs in this process itself"):
            faults.kill(client, here)
