"""What a recording holds, against what is known to have happened."""

import io
import mmap
import os
import subprocess
import sys
import threading
import time

import dask
import dask.dataframe as dd
import fsspec
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from fsspec.implementations import local

from daskclass import charts, clusters, limits, watch
from daskclass.errors import UsageProblem
from daskclass.watch import dask_internals


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Forty tasks on two workers, and one task on the first worker that fetches from the second."""

    def share_a_clock(dask_worker):
        """With each heartbeat, Dask estimates how a worker's clock differs. Here, only the estimate would be wrong."""
        dask_worker.periodic_callbacks["heartbeat"].stop()
        dask_worker.scheduler_delay = 0

    with Client(n_workers=2, threads_per_worker=1, memory_limit="500 MB", dashboard_address="127.0.0.1:0") as client:
        client.run(share_a_clock)
        before = client.submit(np.full, 1_000_000, 0, pure=False)
        before.result()
        with watch.record(client) as recording:
            first, second = sorted(client.nthreads())
            made = client.map(np.full, [1_000_000] * 20, range(20), workers=[second], pure=False)
            sums = client.map(np.sum, made, workers=[first], pure=False)
            failed = client.submit(lambda: 1 / 0, key="failing")
            assert client.gather(sums) == [number * 1_000_000 for number in range(20)]
            assert isinstance(failed.exception(), ZeroDivisionError)
        after = client.submit(np.full, 1_000_000, 1, pure=False)
        after.result()
        plugins = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.plugins))
        on_workers = client.run(lambda dask_worker: list(dask_worker.plugins))
    return recording, first, second, plugins, on_workers


def test_tasks_are_those_of_the_block(recorded):
    recording, first, second, *_ = recorded
    computed = recording.tasks[recording.tasks.action == "compute"]
    assert computed[computed.prefix == "full"].worker.tolist() == [second] * 20
    assert computed[computed.prefix == "sum"].worker.tolist() == [first] * 20
    assert computed[computed.outcome == "erred"].key.tolist() == ["failing"]
    assert (computed[computed.prefix == "full"].bytes >= 8_000_000).all()
    assert (recording.tasks.start <= recording.tasks.stop).all()
    assert recording.tasks.start.min() > 0
    assert recording.tasks.stop.max() < recording.seconds
    assert set(recording.tasks.thread) == {0}


def test_transfers_are_every_byte_that_moved(recorded):
    recording, first, second, *_ = recorded
    assert set(recording.transfers.source) == {second}
    assert set(recording.transfers.destination) == {first}
    assert recording.transfers["keys"].sum() == 20
    assert recording.transfers.bytes.sum() == pytest.approx(20 * 8_000_000, rel=0.001)


def test_memory_is_told_by_every_worker(recorded):
    recording, first, second, *_ = recorded
    assert set(recording.memory.worker) == {first, second} == set(recording.limits) == set(recording.peaks)
    assert set(recording.limits.values()) == {500_000_000}
    assert recording.memory.seconds.is_monotonic_increasing
    assert (recording.memory.process > 30e6).all()
    most = recording.memory.groupby("worker").managed.max()
    assert 8_000_000 <= most[second] <= 21 * 8_001_000
    assert (recording.memory.spilled == 0).all()
    most = recording.memory.groupby("worker").process.max()
    # Linux keeps a thread's latest pages out of the one number and not out of the other.
    assert all(most[worker] <= peak + 2**20 for worker, peak in recording.peaks.items())
    assert recording.restarts == 0


def test_workers_are_counted_when_they_come_and_go():
    cluster = LocalCluster(
        n_workers=1, threads_per_worker=1, memory_limit="300 MB", dashboard_address="127.0.0.1:0", processes=False
    )
    with cluster, Client(cluster, set_as_default=False) as client:
        with watch.record(client) as recording:
            for number in (2, 3):
                cluster.scale(number)
                assert clusters.until(client, workers=number) == number
            cluster.scale(2)
            assert clusters.until(client, workers=2) == 2
        cluster.scale(1)
        assert clusters.until(client, workers=1) == 1
        assert clusters.until(client, workers=2, seconds=0.2) == 1
    assert recording.workers.workers.tolist() == [1, 2, 3, 2]
    assert recording.workers.seconds.is_monotonic_increasing
    assert recording.workers.seconds.iloc[0] >= 0
    assert recording.workers.seconds.iloc[-1] <= recording.seconds


BURN = """
import threading, time
from daskclass import watch


def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(1000))


"""


def said_by(program: str) -> str:
    return subprocess.run([sys.executable, "-c", BURN + program], check=True, capture_output=True, text=True).stdout


def core_seconds_of(work: str) -> float:
    """What `work` takes in a process that does nothing else."""
    return float(said_by(f"before = watch.core_seconds()\n{work}\nprint(watch.core_seconds() - before)"))


def test_page_faults_are_the_pages_that_are_touched_for_the_first_time():
    pages = 1_000
    with mmap.mmap(-1, pages * mmap.PAGESIZE) as memory:
        if hasattr(mmap, "MADV_NOHUGEPAGE"):  # Linux: one fault could bring many
            memory.madvise(mmap.MADV_NOHUGEPAGE)
        before = watch.page_faults()
        for page in range(pages):
            memory[page * mmap.PAGESIZE] = 1
        first = watch.page_faults()
        for page in range(pages):
            memory[page * mmap.PAGESIZE] = 2
        second = watch.page_faults()
    assert pages <= first - before < 2 * pages
    assert second - first < pages / 2


def test_core_seconds_are_what_was_used_and_no_less():
    assert core_seconds_of("burn(0.3)") >= 0.3


def test_what_a_thread_used_that_has_ended_counts():
    assert core_seconds_of("one = threading.Thread(target=burn, args=[0.3]); one.start(); one.join()") >= 0.3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says it of each thread")
def test_core_seconds_of_some_threads_are_those_of_no_others():
    program = (
        "burnt, ended = threading.Event(), threading.Event()\n"
        "def work(): burn(0.3); burnt.set(); ended.wait()\n"
        "threading.Thread(target=work, name='Burner-1').start()\n"
        "threading.Thread(target=ended.wait, name='Rester-1').start()\n"
        "burn(0.8)\n"
        "burnt.wait()\n"
        "print(*map(watch.core_seconds, ['Burner', 'Rester', 'No one', '']))\n"
        "ended.set()"
    )
    burner, rester, no_one, everyone = map(float, said_by(program).split())
    assert burner >= 0.3
    assert everyone >= burner + 0.8
    assert rester < 0.1
    assert no_one == 0


def test_core_seconds_of_a_sleeper_are_none():
    assert core_seconds_of("time.sleep(0.3)") < 0.1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells who waited for a core")
def test_who_waits_for_a_core_could_use_it():
    """Two processes on one core: each has half of it, and could use all of it."""
    program = (
        "import os, sys, time; from daskclass import watch\n"
        "os.sched_setaffinity(0, {int(sys.argv[1])}); print('up', flush=True); input()\n"
        "a, c, t = watch.core_seconds(), time.process_time(), time.monotonic()\n"
        "while time.monotonic() < t + 1: pass\n"
        "print(watch.core_seconds() - a, time.process_time() - c)"
    )
    core = str(min(os.sched_getaffinity(0)))
    pair = [
        subprocess.Popen(
            [sys.executable, "-c", program, core], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert [process.stdout.readline() for process in pair] == ["up\n"] * 2
    for process in pair:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in pair:
        could, had = map(float, process.communicate()[0].split())
        assert could > 0.85
        assert had < 0.8


def test_nothing_of_the_recorder_stays(recorded):
    *_, plugins, on_workers = recorded
    assert not [name for name in plugins if "daskclass" in name]
    assert not [name for names in on_workers.values() for name in names if "daskclass" in name]


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_recorder_that_cannot_begin_leaves_nothing(client, monkeypatch, number, when):
    register, asked = client.register_plugin, []

    def interrupted(plugin, name):
        asked.append(name)
        if when == "after" or len(asked) != number:
            register(plugin, name=name)
        if len(asked) == number:
            raise KeyboardInterrupt

    def ours(dask_scheduler):
        known = (dask_scheduler.plugins, dask_scheduler.worker_plugins, dask_scheduler.nanny_plugins)
        return [name for names in known for name in names if "daskclass-recorder" in name]

    monkeypatch.setattr(client, "register_plugin", interrupted)
    with pytest.raises(KeyboardInterrupt), watch.record(client):
        pytest.fail("it began to record")
    assert client.run_on_scheduler(ours) == []
    on_workers = client.run(lambda dask_worker: [name for name in dask_worker.plugins if "daskclass" in name])
    assert set(map(tuple, on_workers.values())) == {()}


def test_columns_and_types_are_there_without_rows(client):
    with watch.record(client) as recording:
        pass
    assert recording.tasks.dtypes.astype(str).to_dict() | {"key": "str"} == recording.tasks.dtypes.astype(str).to_dict()
    assert recording.tasks.empty
    assert recording.transfers.empty
    assert list(recording.memory.columns) == ["seconds", "worker", "process", "managed", "spilled"]
    assert "0 tasks" in charts.tasks(recording).summary


def test_a_block_that_fails_is_recorded_too(client):
    with pytest.raises(ValueError, match="half-way"), watch.record(client) as recording:  # noqa: PT012
        client.submit(pow, 2, 5, pure=False).result()
        raise ValueError("half-way")
    assert recording.tasks.key.nunique() == 1


def test_the_peak_is_this_process_alone():
    """Not the peak of whoever started it, with which a child of fork begins on Linux."""
    big = np.ones(100_000_000, dtype=np.uint8)
    run = limits.run("from daskclass.watch import peak_bytes; print(peak_bytes())", None)
    assert big.sum() == 100_000_000
    assert 10e6 < int(run.output) < watch.peak_bytes()


@pytest.mark.parametrize("how", ["read", "readinto", "readall", "lines", "pandas"])
def test_a_counted_file_counts_what_is_read(tmp_path, how):
    path = tmp_path / "some.csv"
    path.write_text("a,b\n" + "1,2\n" * 1000)
    with watch.CountedFile(path) as file:
        if how == "read":
            assert len(file.read(100)) == file.bytes_read == 100
            file.seek(0)
            file.read(50)
            assert file.bytes_read == 150  # twice read counts twice
            return
        if how == "readinto":
            assert file.readinto(bytearray(64)) == file.bytes_read == 64
            return
        if how == "readall":
            file.readall()
        elif how == "lines":
            assert len(io.BufferedReader(file).readlines()) == 1001
            return
        else:
            assert len(pd.read_csv(file)) == 1000
        assert file.bytes_read == os.path.getsize(path)  # noqa: PTH202


def test_file_reads_sees_what_dask_reads_here_and_only_inside(small_sales):
    with watch.file_reads() as reads:
        frame = dd.read_csv(small_sales.csv)
        sample = reads.bytes
        rows = len(frame.compute(scheduler="synchronous"))
    assert 0 < sample < small_sales.bytes
    assert rows == small_sales.rows
    assert reads.bytes >= sample + small_sales.bytes
    before = reads.bytes
    len(frame.compute(scheduler="synchronous"))
    assert reads.bytes == before


def test_file_reads_may_overlap_and_end_in_any_order(tmp_path):
    def read(name, content):
        (tmp_path / name).write_bytes(content)
        with fsspec.open(str(tmp_path / name)) as file:
            assert file.read() == content

    first, second = watch.file_reads(), watch.file_reads()
    early = first.__enter__()
    read("one", b"1")
    late = second.__enter__()
    read("two", b"22")
    first.__exit__(None, None, None)
    read("three", b"333")
    second.__exit__(None, None, None)
    read("four", b"4444")
    assert (early.bytes, late.bytes) == (1 + 2, 2 + 3)
    assert "open" not in vars(local)


def test_a_closed_client_cannot_be_recorded():
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as cluster:
        client = Client(cluster, set_as_default=False)
        client.close()
        with pytest.raises(UsageProblem, match="this client is closed"), watch.record(client):
            pytest.fail("it began to record")


def test_thresholds_are_those_of_the_workers(recorded):
    recording = recorded[0]
    assert recording.thresholds == {"target": 0.6, "spill": 0.7, "pause": 0.8, "terminate": 0.95}


def test_an_old_peak_is_known_as_such(client):
    def hold(megabytes):
        return len(bytes(range(250)) * (megabytes * 4_000))

    client.restart()  # a worker that an earlier test had killed for its memory may be on its way back
    with watch.record(client) as first:
        client.gather(client.map(hold, [200, 200], pure=False))
    with watch.record(client) as second:
        client.gather(client.map(hold, [1, 1], pure=False))
    assert any(peak > first.peaks_before[worker] for worker, peak in first.peaks.items())
    assert all(peak - second.peaks_before[worker] < 20_000_000 for worker, peak in second.peaks.items())
    assert second.peaks_before.keys() == second.peaks.keys()


@pytest.fixture(scope="module")
def stolen():
    """Thirty tasks whose inputs are all on the first of two workers, with stealing and without."""
    seen = {}
    for stealing in (True, False):
        config = {
            "distributed.scheduler.work-stealing": stealing,
            "distributed.scheduler.work-stealing-interval": "0.1s",
        }
        with (
            dask.config.set(config),
            Client(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", set_as_default=False) as client,
        ):
            first, second = sorted(client.nthreads())
            made = client.map(int, range(30), workers=[first], pure=False)
            client.gather(made)
            with watch.record(client) as recording:
                client.gather(client.map(lambda number: time.sleep(0.05), made, key="nap", pure=False))
            seen[stealing] = recording, first, second
    return seen


def test_steals_are_what_ran_elsewhere_than_it_was_sent(stolen):
    recording, first, second = stolen[True]
    steals = recording.steals
    moved = steals[steals.answer == "confirm"]
    ran = recording.tasks[recording.tasks.action == "compute"]
    assert 0 < len(moved) < 30
    assert set(moved.key) == set(ran.key[ran.worker == second])
    assert set(moved.victim) == {first}
    assert set(moved.thief) == {second}
    assert moved.level.between(1, 14).all()
    assert (moved.cost > 0).all()
    assert moved.seconds.between(0, recording.seconds).all()


def test_without_stealing_there_is_none(stolen):
    recording, *_ = stolen[False]
    assert len(recording.steals) == 0
    assert list(recording.steals.columns) == ["seconds", "key", "level", "cost", "victim", "thief", "answer"]


def test_what_a_process_took_while_a_block_ran_is_seen_when_it_is_let_go_of():
    with watch.memory_rise() as rise:
        held = np.ones(25_000_000)
        watch.until(lambda: rise.bytes > 180_000_000, "a look at all of it")
        del held
    assert 180_000_000 < rise.bytes < 260_000_000


def test_what_was_taken_before_does_not_count():
    held = np.ones(25_000_000)
    with pytest.raises(KeyError), watch.memory_rise() as rise:
        raise KeyError(held.sum())
    assert rise.bytes < 60_000_000
    assert "daskclass-memory-rise" not in {thread.name for thread in threading.enumerate()}


def test_a_report_that_dask_has_changed_is_an_error_and_no_empty_table(client, monkeypatch):
    def changed(outcome, told):
        raise dask_internals.UpstreamChanged("distributed 9999.1.0 has changed something")

    # the scheduler of `LocalCluster` runs here
    monkeypatch.setattr(dask_internals, "report", changed)
    with (
        pytest.raises(dask_internals.UpstreamChanged, match=r"distributed 9999\.1\.0"),
        watch.record(client),
    ):
        client.submit(abs, -1, pure=False).result()


def test_a_worker_that_joins_as_the_block_ends_keeps_no_plugin():
    """It is among the workers before it has the plugins, and asked to remove one, it fails."""

    async def not_yet(dask_worker):
        [name] = [name for name in dask_worker.plugins if name.startswith("daskclass-recorder")]
        plugin, heartbeat = dask_worker.plugins.pop(name), dask_worker.periodic_callbacks["heartbeat"]
        plugin.teardown(dask_worker)
        heartbeat.stop()
        remove = dask_worker.handlers["plugin-remove"]

        async def join():
            await dask_worker.plugin_add(plugin=plugin, name=name)
            heartbeat.start()

        async def asked(**what):
            dask_worker.handlers["plugin-remove"] = remove
            dask_worker.loop.add_callback(join)
            return await remove(**what)

        dask_worker.handlers["plugin-remove"] = asked

    with clusters.start() as cluster, Client(cluster) as client:
        with watch.record(client):
            client.run(not_yet, workers=[min(client.nthreads())])
        asked = client.run(lambda dask_worker: dask_worker.handlers["plugin-remove"].__name__ != "asked")
        left = client.run(lambda dask_worker: [name for name in dask_worker.plugins if "recorder" in name])
    assert all(asked.values())
    assert list(left.values()) == [[], []]


def test_a_worker_that_dies_as_the_block_ends_does_not_end_the_recording():
    """Dask asks all workers to remove the plugin, and fails as a whole if one is gone before it has answered."""

    def dies_when_asked(dask_worker):
        dask_worker.handlers["plugin-remove"] = lambda name: os._exit(1)

    def plugins(dask_worker):
        return [name for name in dask_worker.plugins if "recorder" in name]

    with clusters.start() as cluster, Client(cluster) as client:
        first, second = sorted(client.nthreads())
        with watch.record(client) as recording:
            client.run(dies_when_asked, workers=[first])
        assert set(recording.limits) == {first, second}
        assert client.run(plugins, workers=[second]) == {second: []}
        nannies = client.run(plugins, nanny=True, on_error="ignore")
    assert set(map(len, nannies.values())) == {0}


def test_a_nanny_that_dies_as_the_block_ends_does_not_end_the_recording():
    def lost(dask_worker):
        async def closes(comm, name):
            comm.abort()

        dask_worker.handlers["plugin_remove"] = closes

    def plugins(dask_worker):
        return [name for name in dask_worker.plugins if "recorder" in name]

    with clusters.start() as cluster, Client(cluster) as client:
        one, _other = sorted(client.run(os.getpid, nanny=True))
        with watch.record(client) as recording:
            client.run(lost, workers=[one], nanny=True)
        assert recording.seconds
        assert set(map(len, client.run(plugins, nanny=True).values())) == {0}


RECORDS = """
import sys, time
from distributed import Client
from daskclass import watch

with Client(sys.argv[1]) as client, watch.record(client):
    print("recording", flush=True)
    time.sleep(600)
"""


def test_a_client_that_dies_while_it_records_leaves_no_plugin():
    """As when somebody restarts a kernel: the cluster of the class lives on."""

    def plugins(dask_scheduler):
        return [name for name in dask_scheduler.plugins if "recorder" in name]

    def on_worker(dask_worker):
        return [name for name in dask_worker.plugins if "recorder" in name]

    options = {"threads_per_worker": 1, "memory_limit": "500 MB", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=1, **options) as cluster, Client(cluster, set_as_default=False) as client:
        guest = subprocess.Popen([sys.executable, "-c", RECORDS, cluster.scheduler_address], stdout=subprocess.PIPE)
        try:
            assert guest.stdout.readline() == b"recording\n"
            assert len(client.run_on_scheduler(plugins)) == 1
            assert [len(names) for names in client.run(on_worker).values()] == [1]
        finally:
            guest.kill()
            guest.wait()
            guest.stdout.close()
        watch.until(lambda: client.run_on_scheduler(plugins) == [], "the end of the scheduler's plugin")
        watch.until(lambda: set(map(len, client.run(on_worker).values())) == {0}, "the end of the worker's plugin")
        nannies = client.run(lambda dask_worker: list(dask_worker.plugins), nanny=True)
        assert not [name for names in nannies.values() for name in names if "recorder" in name]
