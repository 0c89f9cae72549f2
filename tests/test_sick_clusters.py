"""Five sicknesses, each with a sign that the healthy cluster does not have, and none by its name."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from distributed import Client, LocalCluster

from daskclass import charts
from daskclass import sick_clusters as room
from daskclass.errors import Problem


@pytest.fixture(scope="module")
def named(ward):
    signs = ward.signs()
    return signs.set_axis([ward.names[letter] for letter in signs.index])


def test_all_six_are_there_under_letters(ward):
    assert list(ward.patients) == list(ward.names) == list("ABCDEF")
    assert set(ward.names.values()) == {"healthy", *room.SICKNESSES}


def test_nothing_that_is_shown_says_the_name(ward):
    shown = repr(ward) + "".join(ward.patients["A"].recording.tasks.prefix)
    for patient in ward.patients.values():
        assert set(patient.recording.tasks.prefix) == {"draw"}
        shown += charts.tasks(patient.recording).summary + charts.memory(patient.recording).summary
    assert not [name for name in room.SICKNESSES if name in shown]


def test_skew_has_half_of_its_work_in_few_tasks(named):
    assert named.half["skew"] < 0.2
    assert 1.5 * named.half["skew"] < named.half["healthy"]
    assert named.longest["skew"] > 8 > named.slowest["skew"]


def test_tiny_tasks_are_many_and_short(named):
    assert named.tasks["tiny tasks"] > 20 * named.tasks["healthy"]
    assert named.median_ms["tiny tasks"] < named.median_ms["healthy"] / 10
    assert named.busy["tiny tasks"] < named.busy["healthy"] / 4


def test_only_where_an_object_is_shipped_does_the_scheduler_send_much(named):
    sent = named.sent.drop("object shipped")
    assert named.sent["object shipped"] > 3_900_000 > 100 * sent.max()


def test_only_where_memory_is_tight_does_anything_go_to_disk(named):
    spilled = named.spilled.drop("memory tight")
    assert named.spilled["memory tight"] > 10_000_000 > spilled.max()


def test_one_worker_is_slow_at_everything(ward, named):
    assert named.slowest["slow worker"] > 1.5 * named.slowest["healthy"]
    letter = next(letter for letter, name in ward.names.items() if name == "slow worker")
    tasks = ward.patients[letter].recording.tasks
    computed = tasks[tasks.action == "compute"]
    fast, slow = sorted(
        (rows.stop - rows.start for _worker, rows in computed.groupby("worker")), key=lambda it: it.sum()
    )
    assert (slow > fast.median()).mean() > 0.7


def test_the_slow_worker_recovers(client):
    def is_held(holder=room.HOLDER) -> bool:
        return any(thread.name == holder for thread in threading.enumerate())

    with room._one_slow_worker(client):
        during = client.run(is_held)
    assert sum(during.values()) == 1
    assert not any(client.run(is_held).values())


def test_a_cluster_of_one_worker_is_refused(small_sales):
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
        pytest.raises(Problem, match="at least two workers"),
    ):
        room.admit(client, small_sales)


def test_sales_without_parquet_are_refused(small_sales, client):
    with pytest.raises(Problem, match="daskclass data"):
        room.admit(client, replace(small_sales, manifest={"files": ["sales_data.csv"]}))
