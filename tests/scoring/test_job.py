"""The job of lab 14 as a scheduler of jobs starts it: what it was given is wrong, or a source is."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pyarrow.parquet as pq
import pytest

from daskclass import scoring, watch

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


def run(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(JOB), *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )


def test_too_few_words_are_answered_with_the_right_ones(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 2
    assert "usage: score_all.py [-h] ORDERS SCORES MODEL" in done.stderr


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
    assert "2 parts are there, 1 to do" in done.stdout
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
    spec = importlib.util.spec_from_file_location("score_all", JOB)
    job = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(job)
    model, worker = scoring.load(saved), SimpleNamespace()
    monkeypatch.setattr(job, "get_worker", lambda: worker)
    monkeypatch.setattr(scoring, "score_file", lambda source, folder, model: model.version)

    job.LoadModel(saved, model.version).setup(worker)
    assert job.score("orders", "scores") == model.version
    job.LoadModel(saved, "another").setup(worker)
    with pytest.raises(scoring.ModelProblem, match="when the model was gone or had been replaced"):
        job.score("orders", "scores")
    job.LoadModel(saved, model.version).setup(worker)
    with pytest.raises(scoring.ModelProblem, match="there is no model"):
        job.LoadModel(saved / "nowhere", model.version).setup(worker)
    with pytest.raises(scoring.ModelProblem, match="when the model was gone"):
        job.score("orders", "scores")


def test_files_of_workers_that_start_when_the_model_is_gone_are_named(orders, tmp_path, saved):
    """Both workers die after the first parts; those that are started in their places have no model."""
    for number in range(3, 60):
        shutil.copy(orders / f"part-{number % 3}.parquet", orders / f"part-{number}.parquet")
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
        _printed, told = job.communicate(timeout=60)
    finally:
        job.kill()
        job.wait()
    done = {path.name for path in scores.glob("*.parquet")}
    named = set(re.findall(r"^.*[/\\](part-\d+\.parquet): its worker started when the model was gone", told, re.M))
    assert done
    assert named
    assert {path.name for path in orders.iterdir()} == done | named
    assert job.returncode == 1
