"""A LocalCluster gives a worker up that it misses at the wrong moment; labs in which workers die twice keep theirs."""

import re
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster

from daskclass import faults, watch

ROOT = Path(__file__).parents[2]
EXERCISES = ROOT / "src" / "daskclass" / "exercises"
SETTING = "distributed.deploy.lost-worker-timeout"
KILLS = re.compile(r"restart_workers\(|\.kill\(|faults\.kill")
TRIES = re.compile(r"exercises\.trials import .*\btrial\b")


@pytest.mark.parametrize(("timeout", "left"), [("1 ms", 1), ("1 day", 2)])
def test_a_cluster_that_looks_while_the_worker_is_away_gives_it_up(timeout, left):
    options = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "600 MiB", "dashboard_address": "127.0.0.1:0"}
    with (
        dask.config.set({SETTING: timeout}),
        LocalCluster(**options, silence_logs="CRITICAL") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        victim, other = client.nthreads()
        faults.kill(client, victim)
        if left == 1:
            watch.until(lambda: len(cluster.workers) == 1, "the cluster to look")
            assert list(client.nthreads()) == [other]
        else:
            client.wait_for_workers(2, timeout=240)
        assert len(cluster.workers) == left


def test_labs_whose_local_clusters_lose_workers_keep_their_nannies(numbered):
    sources = {number: lab.code for number, lab in numbered.items()}
    judging = {path.stem[-2:] for path in EXERCISES.glob("lab*.py") if TRIES.search(path.read_text("utf-8"))}
    losing = {
        lab for lab, source in sources.items() if "LocalCluster(" in source and (lab in judging or KILLS.search(source))
    }
    losing -= {"15"}  # what it kills is a job in a terminal
    assert losing >= {"09", "11", "12", "13", "14"}  # a judge restarts the workers of lab 11 when a task doesn't end
    assert [lab for lab in sorted(losing) if f'"{SETTING}": "1 day"' not in sources[lab]] == []


def test_the_job_keeps_its_nannies():
    assert f'"{SETTING}": "1 day"' in (ROOT / "labs" / "materials" / "score_all.py").read_text()
