"""What we ask of Dask beyond its documented interfaces has the shapes that we expect, or an error that says so."""

import asyncio
import logging
import operator
import os
import socket
import sys
import time
from types import SimpleNamespace

import dask
import distributed
import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster
from distributed.comm import tcp
from distributed.spill import SpillBuffer
from tornado.iostream import IOStream

from daskclass import watch
from daskclass.errors import Problem
from daskclass.system import waiting
from daskclass.watch import dask_internals
from daskclass.watch.dask_internals import Memory, Step, UpstreamChanged


@pytest.fixture(scope="module")
def two():
    """Two workers, of which the first holds an array, and the second one fetched it."""
    options = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "1 GB", "dashboard_address": "127.0.0.1:0"}
    with (
        # Or else one of the two copies is dropped after some seconds, perhaps the first worker's.
        dask.config.set({"distributed.scheduler.active-memory-manager.start": False}),
        LocalCluster(**options) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        began = time.time()
        first, second = sorted(client.nthreads())
        held = client.submit(np.ones, 1_000_000, workers=[first], key="held")
        total = client.submit(np.sum, held, workers=[second], key="total")
        assert total.result() == 1_000_000
        yield SimpleNamespace(client=client, first=first, second=second, held=held, total=total, began=began)


def on(worker: str, ask, client: Client):
    """What `ask` returns in the process of a worker."""
    return client.run(_asked, ask.__name__, workers=[worker])[worker]


def _asked(name: str, dask_worker):
    return getattr(dask_internals, name)(dask_worker)


_asked.__module__ = "__main__"  # pickled by value: workers cannot import the tests


def test_workers_are_known_by_their_addresses(two):
    found = dask_internals.workers(two.client)
    assert sorted(found) == [two.first, two.second]
    wanted = {"name", "status", "nthreads", "memory_limit", "nanny", "local_directory", "host"}
    assert all(worker.keys() >= wanted for worker in found.values())
    assert found[two.first]["nanny"].startswith("tcp://")


def test_a_task_is_known_while_it_runs(two):
    nap = two.client.submit(time.sleep, 0.5, workers=[two.first], key="nap")
    watch.until(lambda: dask_internals.running(two.client, 5) == {(two.first, "nap")}, "the task")
    nap.result()
    watch.until(lambda: dask_internals.running(two.client, 5) == set(), "its end")


def test_memory_is_of_process_results_and_disk(two):
    held = Memory(*on(two.first, dask_internals.memory, two.client))
    assert held.process > held.managed >= 8_000_000
    assert held.spilled == 0
    assert on(two.first, dask_internals.results_on_disk, two.client) == 0
    assert on(two.first, dask_internals.bytes_ever_spilled, two.client) == 0


def test_what_is_spilled_is_on_disk_and_not_in_memory():
    options = {"n_workers": 1, "threads_per_worker": 1, "memory_limit": "1 GB", "dashboard_address": "127.0.0.1:0"}
    with (
        # Spilling begins far from the worker's end, and does not go on between two looks.
        dask.config.set({"distributed.worker.memory.target": 0.1, "distributed.worker.memory.spill": False}),
        LocalCluster(**options) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        [worker] = client.nthreads()
        held = client.map(np.random.default_rng(0).random, [2_500_000] * 8, pure=False)
        with client.as_current():
            distributed.wait(held)
        memory = Memory(*on(worker, dask_internals.memory, client))
        results = on(worker, dask_internals.results_on_disk, client)
        assert 1 <= results < 8
        assert memory.spilled == pytest.approx(results * 20_000_000, rel=0.01)
        assert memory.managed == pytest.approx((8 - results) * 20_000_000, rel=0.01)
        assert on(worker, dask_internals.bytes_ever_spilled, client) >= memory.spilled
        folder = on(worker, dask_internals.spill_folder, client)
        assert len([path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 1_000]) == results


def test_a_worker_that_may_not_spill_has_nothing_on_disk():
    worker = SimpleNamespace(
        data={}, monitor=SimpleNamespace(get_process_memory=lambda: 7), state=SimpleNamespace(nbytes=3)
    )
    assert dask_internals.memory(worker) == (7, 3, 0)
    assert dask_internals.results_on_disk(worker) == dask_internals.bytes_ever_spilled(worker) == 0


def test_a_transfer_is_told_by_both_sides(two):
    [moved] = on(two.second, dask_internals.incoming_transfers, two.client)
    assert (moved["source"], moved["destination"], moved["keys"]) == (two.first, two.second, 1)
    assert moved["bytes"] >= 8_000_000
    assert two.began - 1 < moved["start"] <= moved["stop"] < time.time() + 1
    assert on(two.first, dask_internals.bytes_sent_to_workers, two.client) >= 8_000_000
    assert on(two.second, dask_internals.bytes_sent_to_workers, two.client) < 1_000  # the sum


def test_a_nanny_knows_its_worker(two):
    found = two.client.run(_asked, "worker_of", nanny=True)
    assert {address for _pid, address in found.values()} == {two.first, two.second}
    assert {pid for pid, _address in found.values()} == set(two.client.run(os.getpid).values())
    assert dask_internals.worker_of(SimpleNamespace(process=None, worker_address=None)) is None


def test_a_story_has_the_steps_of_scheduler_and_workers(two):
    steps = sorted(dask_internals.steps(two.client, "total"), key=operator.attrgetter("when"))
    assert all(isinstance(step, Step) for step in steps)
    of_scheduler = [(step.start, step.finish) for step in steps if step.where == "scheduler"]
    assert of_scheduler[-1] == ("processing", "memory")
    assert ("ready", "executing") in [(step.start, step.finish) for step in steps if step.where == two.second]


def test_an_answer_goes_with_the_request_before_it():
    def ask(key):
        return ("request", [(0.0, 3, key, 0.5, "v", 1.0, "t", 0.0)])

    events = [
        (9.0, ask("early")),
        (10.5, ask("a")),
        (10.6, ("already-computing", "a", "executing", "v", "t", "steal-1")),
        (10.7, ask("a")),
        (10.8, ("reschedule", True, "a", "ready", "v", "t", "steal-2")),
        (10.9, ask("b")),
        (11.0, ("stale-response", "c", "ready", "v", "steal-3")),
    ]
    steals = dask_internals.steals(SimpleNamespace(get_events=lambda topic: events), since=10.0)
    assert [(steal.key, steal.answer, steal.when) for steal in steals] == [
        ("a", "already-computing", 10.5),
        ("a", "reschedule", 10.7),
        ("b", "", 10.9),
    ]


def test_the_level_of_a_steal_is_distributeds():
    assert dask_internals.level_of_stealing(1_000, 10.0, 100e6) == 1
    assert dask_internals.level_of_stealing(1_000, 0.0002, 100e6) is None


def test_what_a_worker_reports_is_read_and_what_the_scheduler_ends_by_itself_is_none():
    spans = [{"action": "compute", "start": 1.0, "stop": 2.0, "source": "elsewhere"}]
    told = {"worker": "tcp://a", "thread": 7, "startstops": spans}
    read = [{"action": "compute", "start": 1.0, "stop": 2.0}]
    assert dask_internals.report("memory", told | {"nbytes": 12}) == ("tcp://a", 7, 12, read)
    assert dask_internals.report("erred", told) == ("tcp://a", 7, 0, read)
    failed_before_it_ran = dask_internals.report("erred", told | {"thread": None})
    assert failed_before_it_ran == ("tcp://a", None, 0, read)  # after a transfer
    assert dask_internals.report("erred", {"exception": b"KilledWorker", "worker": "tcp://a"}) is None


def test_a_scheduler_knows_what_waits_for_one_worker_and_what_for_any():
    with (
        dask.config.set({"distributed.scheduler.worker-saturation": 1.0}),
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        begun, go_on = distributed.Event(client=client), distributed.Event(client=client)

        def wait():
            begun.set()
            go_on.wait(60)

        blocked = client.submit(wait, key="blocked")
        begun.wait(60)
        later = client.submit(wait, key="later", workers=list(client.nthreads()))  # so it is sent at once
        queued = client.map(operator.neg, range(3), key="queued", pure=False)
        elsewhere = client.submit(wait, key="elsewhere", workers=["tcp://127.0.0.9:9"])
        [address] = client.nthreads()
        scheduler = cluster.scheduler
        waiting.until(lambda: len(dask_internals.keys_without_worker(scheduler)) == 4, "that all tasks arrive")
        assert sorted(dask_internals.keys_that_wait(scheduler, address)) == ["blocked", "later"]
        expected = {elsewhere.key, *(future.key for future in queued)}
        assert set(dask_internals.keys_without_worker(scheduler)) == expected
        go_on.set()
        client.gather([blocked, later, *queued])
        elsewhere.release()


def test_a_worker_that_pauses_says_so():
    with LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster:
        [worker] = cluster.workers.values()
        assert not dask_internals.is_paused(worker)
        worker.status = distributed.core.Status.paused
        assert dask_internals.is_paused(worker)
        worker.status = distributed.core.Status.running


def test_a_worker_that_has_left_and_a_plugin_that_is_not_there_are_no_change_upstream():
    scheduler = SimpleNamespace(workers={}, plugins={})
    assert dask_internals.keys_that_wait(scheduler, "tcp://gone") == []
    with pytest.raises(KeyError, match="gone"):
        dask_internals.plugin_of(scheduler, "gone")


def test_a_module_that_is_gone_is_a_change_upstream(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed.system", None)
    with pytest.raises(UpstreamChanged, match=r"has changed distributed/system\.py \(ModuleNotFoundError"):
        dask_internals.memory_of_machine()


def test_what_spilling_logs_is_heard():
    heard = []
    handler = logging.Handler()
    handler.emit = heard.append
    dask_internals.hear_failures_of_spilling(handler)
    try:
        distributed.spill.logger.error("Spill to disk failed")
    finally:
        distributed.spill.logger.removeHandler(handler)
    assert [record.getMessage() for record in heard] == ["Spill to disk failed"]


def test_kinds_of_tasks_and_times_are_dasks(two):
    assert dask_internals.prefix("sum-0123456789abcdef0123456789abcdef") == "sum"
    [moved] = on(two.second, dask_internals.incoming_transfers, two.client)
    assert moved["stop"] < dask_internals.clock() < moved["stop"] + 3600


def test_this_machine_has_cores_and_memory():
    assert 1 <= dask_internals.cores() <= os.cpu_count()
    assert 0 < dask_internals.memory_of_machine() <= psutil.virtual_memory().total


CLIENT = SimpleNamespace(status="running", sync=lambda ask, **_: {}, scheduler=SimpleNamespace(identity=None))


class Spilled(SpillBuffer):
    """A buffer with a result on disk, whose writing is told under no name that we know."""

    def __init__(self) -> None:
        self.cumulative_metrics, self.slow = {("written", "bytes"): 7.0}, {"key": 1}

    def __del__(self) -> None:
        """Nothing was opened."""


def test_a_client_that_is_closed_is_no_change_upstream():
    with pytest.raises(Problem, match="this client is closed; connect again") as raised:
        dask_internals.workers(SimpleNamespace(status="closed"))
    assert not isinstance(raised.value, UpstreamChanged)


@pytest.mark.parametrize(
    ("ask", "file"),
    [
        (lambda: dask_internals.workers(CLIENT), "scheduler.py"),
        (lambda: dask_internals.memory(SimpleNamespace(data=type("Other", (dict,), {})())), "spill.py"),
        (lambda: dask_internals.results_on_disk(SimpleNamespace(data=[])), "spill.py"),
        (lambda: dask_internals.bytes_ever_spilled(SimpleNamespace(data=None)), "spill.py"),
        (lambda: dask_internals.bytes_ever_spilled(SimpleNamespace(data=Spilled())), "spill.py"),
        (lambda: dask_internals.spill_folder(SimpleNamespace()), "worker_memory.py"),
        (lambda: dask_internals.incoming_transfers(SimpleNamespace()), "worker.py"),
        (lambda: dask_internals.incoming_transfers(SimpleNamespace(transfer_incoming_log=[{}])), "worker.py"),
        (lambda: dask_internals.bytes_sent_to_workers(SimpleNamespace()), "worker.py"),
        (lambda: dask_internals.worker_of(SimpleNamespace()), "nanny.py"),
        (
            lambda: dask_internals.steps(SimpleNamespace(story=lambda key: [("scheduler", 1.0)]), "key"),
            "client.py",
        ),
        (
            lambda: dask_internals.steals(
                SimpleNamespace(get_events=lambda topic: [(1.0, ("request", [("short",)]))]), since=0.0
            ),
            "stealing.py",
        ),
        (lambda: dask_internals.level_of_stealing("many", 1.0, 1.0), "stealing.py"),
        (lambda: dask_internals.fail_tasks(SimpleNamespace(), ["key"], ValueError(), "name"), "scheduler.py"),
        (lambda: dask_internals.is_paused(SimpleNamespace()), "core.py"),
        (lambda: dask_internals.look_regularly(SimpleNamespace(), "name", print, 1.0), "core.py"),
        (lambda: asyncio.run(dask_internals.take_plugin_away(SimpleNamespace(), "name")), "worker.py"),
        (lambda: dask_internals.plugin_of(SimpleNamespace(), "name"), "scheduler.py"),
        (lambda: dask_internals.keys_that_wait(SimpleNamespace(workers={"tcp://a": 1}), "tcp://a"), "scheduler.py"),
        (lambda: dask_internals.keys_without_worker(SimpleNamespace(queued=[])), "scheduler.py"),
        (lambda: dask_internals.report("memory", {"thread": 7}), "worker_state_machine.py"),
        (lambda: dask_internals.report("erred", {"startstops": []}), "worker_state_machine.py"),
        (
            lambda: dask_internals.report("memory", {"worker": "tcp://a", "thread": 7, "startstops": []}),
            "worker_state_machine.py",
        ),
    ],
)
def test_what_upstream_no_longer_has_is_an_error_that_names_the_release(ask, file):
    with pytest.raises(UpstreamChanged, match=rf"distributed {distributed.__version__} has changed \S*{file}"):
        ask()


def test_counting_without_the_functions_it_wraps_is_an_error_and_wraps_nothing(monkeypatch):
    monkeypatch.delattr(tcp, "read_bytes_rw")
    write = tcp.TCP.write
    with pytest.raises(UpstreamChanged, match=r"comm/tcp\.py"):
        dask_internals.begin_counting(SimpleNamespace(), "block")
    assert tcp.TCP.write is write
    assert dask_internals.end_counting("block") is None


def test_a_connection_that_is_closed_is_nobodys():
    near, far = socket.socketpair()
    far.close()

    async def closed() -> IOStream:
        stream = IOStream(near)
        stream.close()
        return stream

    dask_internals.begin_counting(SimpleNamespace(address="tcp://127.0.0.1:1"), "block")
    try:
        assert dask_internals._concerned(None) == []
        assert dask_internals._concerned(asyncio.run(closed())) == []
    finally:
        dask_internals.end_counting("block")
