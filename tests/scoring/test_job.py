"""The job of lab 14 as a scheduler of jobs starts it: what it was given is wrong, or a source is."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil
import pyarrow.parquet as pq
import pytest
from distributed import Client, LocalCluster
from filelock import FileLock
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from daskclass import scoring, watch
from daskclass.errors import UsageProblem

JOB = Path(__file__).parents[2] / "labs" / "materials" / "score_all.py"


@pytest.fixture
def orders(sales, tmp_path):
    """Three files of a thousand orders, in a folder with a space in its name."""
    folder = tmp_path / "my orders"
    folder.mkdir()
    table = pq.read_table(sales.parts[0])
    for number in range(3):
        pq.write_table(table.slice(number * 1_000, 1_000), folder / f"part-{number}.parquet")
    return folder


def run(*arguments: object, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(JOB), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | (environment or {}),
    )


def loaded():
    """The script as a module; nothing runs."""
    spec = importlib.util.spec_from_file_location("score_all", JOB)
    job = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(job)
    return job


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen]:
    """The job, which has said its process; it is ended with the block."""
    words = [sys.executable, "-u", str(JOB), *map(str, arguments)]
    job = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield job
    finally:
        for process in [*psutil.Process(job.pid).children(recursive=True)] if job.poll() is None else []:
            process.kill()
        job.kill()
        job.communicate()


@pytest.fixture
def many(orders):
    """Sixty files of a thousand orders."""
    for number in range(3, 60):
        shutil.copy(orders / f"part-{number % 3}.parquet", orders / f"part-{number}.parquet")
    return orders


def test_too_few_words_are_answered_with_the_right_ones(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 2
    assert "usage: score_all.py [-h] [--scheduler ADDRESS] ORDERS SCORES MODEL" in done.stderr


def test_no_orders_are_no_success(tmp_path, saved):
    done = run(tmp_path / "nowhere", tmp_path / "scores", saved)
    assert done.returncode == 2
    assert done.stderr == f"there are no Parquet files in {tmp_path / 'nowhere'}\n"
    assert not (tmp_path / "scores").exists()


def test_no_model_is_said_in_a_line(orders, tmp_path):
    done = run(orders, tmp_path / "scores", tmp_path / "no-model")
    assert done.returncode == 2
    assert done.stderr.startswith(f"there is no model in {tmp_path / 'no-model'}")
    assert not (tmp_path / "scores").exists()


def test_what_cannot_be_scored_takes_the_manifest_away_until_it_can(orders, tmp_path, saved):
    scores = tmp_path / "not there" / "scores"
    assert run(orders, scores, saved).returncode == 0
    assert sum(part.rows for part in scoring.read_manifest(scores)) == 3_000

    good = (orders / "part-1.parquet").read_bytes()
    (orders / "part-1.parquet").write_bytes(good[:-50])
    done = run(orders, scores, saved)
    assert done.returncode == 1
    assert "part-1.parquet: " in done.stderr
    assert "2 parts were there, 0 are new" in done.stdout
    with pytest.raises(scoring.CannotScore, match="the scores aren't complete"):
        scoring.read_manifest(scores)

    (orders / "part-1.parquet").write_bytes(good)
    assert run(orders, scores, saved).returncode == 0
    (orders / "part-2.parquet").unlink()
    done = run(orders, scores, saved)
    assert done.returncode == 2
    assert "part-2.parquet isn't from these orders" in done.stderr
    assert len(scoring.read_manifest(scores)) == 3


def test_a_file_in_the_place_of_a_folder_is_said_in_a_line(orders, tmp_path, saved):
    file = tmp_path / "file"
    file.touch()
    for arguments in (orders, file, saved), (orders, tmp_path / "scores", file):
        done = run(*arguments)
        assert done.returncode == 2
        assert str(file) in done.stderr
        assert "Traceback" not in done.stderr


def test_a_worker_that_starts_later_scores_with_the_model_of_the_beginning_or_not_at_all(saved, monkeypatch):
    job = loaded()
    model, worker = scoring.load(saved), SimpleNamespace()
    monkeypatch.setattr(job, "get_worker", lambda: worker)
    monkeypatch.setattr(scoring, "score_file", lambda source, folder, model: model.version)

    job.LoadModel(saved, model.version).setup(worker)
    assert job.score("orders", "scores") == (model.version, False)
    job.LoadModel(saved, "another").setup(worker)
    with pytest.raises(scoring.ModelProblem, match="when the model was gone or had been replaced"):
        job.score("orders", "scores")
    job.LoadModel(saved, model.version).setup(worker)
    with pytest.raises(scoring.ModelProblem, match="there is no model"):
        job.LoadModel(saved / "nowhere", model.version).setup(worker)
    with pytest.raises(scoring.ModelProblem, match="when the model was gone"):
        job.score("orders", "scores")


def test_files_of_workers_that_start_when_the_model_is_gone_are_named(many, tmp_path, saved):
    orders = many
    """Both workers die after the first parts; those that are started in their places have no model."""
    home, scores = shutil.copytree(saved, tmp_path / "model"), tmp_path / "scores"
    words = [sys.executable, str(JOB), str(orders), str(scores), str(home)]
    job = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        watch.until(lambda: list(scores.glob("*.parquet")), "the first part")
        home.rename(tmp_path / "away")
        family = psutil.Process(job.pid).children(recursive=True)
        for worker in family:
            if "spawn_main" in " ".join(worker.cmdline()):
                worker.kill()
        _printed, told = job.communicate(timeout=240)
    finally:
        job.kill()
        job.wait()
    done = {path.name for path in scores.glob("*.parquet")}
    named = set(re.findall(r"^.*[/\\](part-\d+\.parquet): its worker started when the model was gone", told, re.M))
    assert done
    assert named
    assert {path.name for path in orders.iterdir()} == done | named
    assert job.returncode == 1


def test_a_second_run_is_turned_away_and_changes_nothing(many, tmp_path, saved):
    scores = tmp_path / "scores"
    with running(many, scores, saved) as first:
        watch.until(lambda: list(scores.glob("*.parquet")), "the first part")
        psutil.Process(first.pid).suspend()
        second = run(many, scores, saved)
        psutil.Process(first.pid).resume()
        printed, told = first.communicate(timeout=240)
    assert second.returncode == 3
    since = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\S*"
    said = rf"process {first.pid} on \S+, since {since}, is at work in {re.escape(str(scores))}\n"
    assert re.fullmatch(said, second.stderr)
    assert (first.returncode, told) == (0, "")
    assert "0 parts were there, 60 are new" in printed
    assert not (scores / "run.json").exists()


def test_after_a_crash_the_next_run_takes_over_and_says_so(many, tmp_path, saved):
    scores = tmp_path / "scores"
    with running(many, scores, saved) as first:
        watch.until(lambda: list(scores.glob("*.parquet")), "the first part")
        family = psutil.Process(first.pid).children(recursive=True)
        first.kill()
        first.wait()
        psutil.wait_procs(family, timeout=240)
    there = len(list(scores.glob("*.parquet")))
    assert json.loads((scores / "run.json").read_text())["process"] == first.pid
    done = run(many, scores, saved)
    assert done.returncode == 0
    assert f"taking over: process {first.pid} on " in done.stdout
    assert f"{there} parts were there, {60 - there} are new" in done.stdout
    assert not (scores / "run.json").exists()


@pytest.mark.parametrize("note", ["", "{}", "no JSON", '["a list"]'])
def test_a_note_that_cannot_be_read_stops_nobody(orders, tmp_path, saved, note):
    (scores := tmp_path / "scores").mkdir()
    (scores / "run.json").write_text(note)
    job = loaded()
    with job.only_one(scores):
        assert job.told(scores / "run.json").startswith("process ")
    (scores / "run.json").write_text(note)
    assert job.told(scores / "run.json") == "another run"


def test_a_scheduler_that_dies_is_said_in_a_line_and_parts_stay(many, tmp_path, saved):
    scores = tmp_path / "scores"
    with (
        LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", silence_logs="CRITICAL") as cluster,
        running(many, scores, saved, "--scheduler", cluster.scheduler_address) as job,
    ):
        cluster.scale(1)
        watch.until(lambda: list(scores.glob("*.parquet")), "the first part")
        cluster.close()
        _printed, told = job.communicate(timeout=240)
    assert job.returncode == 1
    [line] = [line for line in told.splitlines() if "lost the cluster" in line]
    there = len(list(scores.glob("*.parquet")))
    assert 0 < there < 60
    assert re.search(r"with (\d+) parts done", line)
    assert "Traceback" not in told
    done = run(many, scores, saved)
    assert done.returncode == 0
    assert f"{there} parts were there, {60 - there} are new" in done.stdout


def test_a_source_that_vanishes_costs_its_own_part(orders, tmp_path, saved, client_of_two):
    """It is gone between the list and the task."""
    job, scores = loaded(), tmp_path / "scores"
    scores.mkdir()
    model = scoring.load(saved)
    client_of_two.register_plugin(job.LoadModel(str(saved), model.version))
    sources = sorted(str(path) for path in orders.glob("*.parquet"))
    Path(sources[1]).unlink()
    with pytest.raises(SystemExit) as ended:
        job.run(client_of_two, sources, str(scores), model)
    assert "can't read" in ended.value.code
    assert Path(sources[1]).name in ended.value.code
    assert len(ended.value.code.splitlines()) == 1
    assert {path.name for path in scores.glob("*.parquet")} == {"part-0.parquet", "part-2.parquet"}


def test_a_full_disk_at_the_end_is_said_in_a_line(orders, tmp_path, saved, client_of_two, monkeypatch):
    job, scores = loaded(), tmp_path / "scores"
    scores.mkdir()
    model = scoring.load(saved)
    client_of_two.register_plugin(job.LoadModel(str(saved), model.version))

    def full(*_arguments):
        raise scoring.CannotScore("can't write manifest.json to here (No space left on device)")

    monkeypatch.setattr(scoring, "write_manifest", full)
    with pytest.raises(SystemExit, match=r"^can't write manifest\.json to here"):
        job.run(client_of_two, sorted(map(str, orders.glob("*.parquet"))), str(scores), model)
    assert len(list(scores.glob("*.parquet"))) == 3


def test_a_model_of_another_schema_is_said_in_a_line(orders, tmp_path, saved):
    home = shutil.copytree(saved, tmp_path / "model")
    about = json.loads((home / "model.json").read_text())
    about["types"] = {"weight": "double"}
    (home / "model.json").write_text(json.dumps(about))
    done = run(orders, tmp_path / "scores", home)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "model.json wasn't written by `save`" in done.stderr


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:9", "tcp://127.0.0.1:9"])
def test_a_scheduler_that_is_none_is_said_in_a_line_and_complete_scores_stay_complete(orders, tmp_path, saved, address):
    scores = tmp_path / "scores"
    assert run(orders, scores, saved).returncode == 0
    with_short_patience = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s"}
    done = run(orders, scores, saved, "--scheduler", address, environment=with_short_patience)
    assert done.returncode == 2
    assert re.fullmatch(rf"can't use the scheduler {address}: [^\n]+\n", done.stderr)
    assert len(scoring.read_manifest(scores)) == 3


def test_a_scheduler_without_workers_is_said_in_a_line(orders, tmp_path, saved, monkeypatch):
    job = loaded()
    monkeypatch.setattr(job, "PATIENCE", 0.2)
    with (
        LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", silence_logs="CRITICAL") as cluster,
        pytest.raises(UsageProblem, match=f"^{cluster.scheduler_address} has no workers$"),
        job.cluster(cluster.scheduler_address),
    ):
        pass


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a program can handle")
def test_told_to_end_it_leaves_as_after_an_error_and_parts_stay(many, tmp_path, saved):
    scores = tmp_path / "scores"
    with running(many, scores, saved) as job:
        watch.until(lambda: list(scores.glob("*.parquet")), "the first part")
        family = psutil.Process(job.pid).children(recursive=True)
        job.terminate()
        _printed, told = job.communicate(timeout=240)
    assert job.returncode == 143
    assert "Traceback" not in told
    _gone, alive = psutil.wait_procs(family, timeout=240)
    assert alive == []
    assert not (scores / "run.json").exists()
    assert list(scores.glob("*.parquet"))
    with FileLock(scores / "run.lock", timeout=0):
        pass


def test_the_lock_is_free_when_the_block_ends(tmp_path):
    job = loaded()
    with job.only_one(tmp_path):
        pass
    with FileLock(tmp_path / "run.lock", timeout=0):
        pass


def test_a_note_that_cannot_be_written_is_none(tmp_path, monkeypatch):
    job = loaded()

    def full(path, _text):
        path.touch()
        raise OSError("No space left on device")

    monkeypatch.setattr(job.Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"), job.only_one(tmp_path):
        pass
    assert not (tmp_path / "run.json").exists()


def test_each_file_that_cannot_be_written_is_a_line(orders, tmp_path, saved):
    """The real script, with its own workers, whose files may not be longer than a kilobyte."""
    resource = pytest.importorskip("resource")
    scores = tmp_path / "scores"
    scores.mkdir()
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, str(JOB), str(orders), str(scores), str(saved)],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_024, resource.RLIM_INFINITY)),
        )
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 3
        assert "Traceback" not in done.stderr


def test_a_reader_that_has_gone_does_not_take_the_manifest_away(orders, tmp_path, saved):
    scores = tmp_path / "scores"
    with running(orders, scores, saved) as job:
        assert job.stdout.readline().startswith("process ")
        job.stdout.close()
        assert job.wait(60) == 1
        assert "Traceback" not in job.stderr.read()
    assert len(scoring.read_manifest(scores)) == 3


def test_a_model_with_a_module_that_is_not_here_is_said_in_a_line(orders, tmp_path, saved, monkeypatch):
    (tmp_path / "theirs.py").write_text("def same(orders):\n    return orders\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    pipeline = scoring.load(saved).pipeline
    step = FunctionTransformer(importlib.import_module("theirs").same)
    scoring.save(Pipeline([("same", step), *pipeline.steps]), home := tmp_path / "model")
    done = run(orders, tmp_path / "scores", home)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "needs the module 'theirs', which this process doesn't have" in done.stderr


@pytest.fixture
def client_of_two():
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "processes": False}
    with LocalCluster(**options, silence_logs="CRITICAL") as cluster, Client(cluster) as client:
        yield client


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_in_turn_everything_is_done_once_and_no_more_than_asked_for_is_out(client_of_two, at_once):
    drawn, done, out = 0, [], []

    def items():
        nonlocal drawn
        for number in range(20):
            drawn += 1
            yield number

    for item, job in loaded().in_turn(client_of_two, int, items(), at_once=at_once):
        out.append(drawn - len(done))
        done.append((item, job.result()))
    assert sorted(done) == [(number, number) for number in range(20)]
    assert max(out) == min(at_once, 20)


def test_in_turn_of_nothing_ends(client_of_two):
    assert list(loaded().in_turn(client_of_two, int, [], at_once=3)) == []
