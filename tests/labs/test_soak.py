"""Ten workers killed at random; ``make soak`` kills a hundred."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "soak.py"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="KillWorker's crash is an exception on Windows")


def run(*arguments):
    environment = os.environ | {"DASKCLASS_SIZE": "smoke"}
    return subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True, env=environment)


@pytest.mark.labs
def test_every_answer_is_exact_while_workers_die():
    done = run("--kills", "10", "--life", "4")
    assert done.returncode == 0, done.stderr or done.stdout
    last = re.search(
        r"^In total: (\d+) kills, (\d+) jobs, (\d+) repeated reads, every answer exact$", done.stdout, re.M
    )
    kills, jobs, again = map(int, last.groups())
    assert kills >= 10
    assert jobs >= 2
    assert again >= 1  # somebody died on work


@pytest.fixture
def soak():
    spec = importlib.util.spec_from_file_location("soak", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def raises(client, sales, log):
    raise ValueError("not today")


@pytest.mark.labs
@pytest.mark.parametrize(
    ("job", "words"),
    [
        (lambda client, sales, log: 41, "job 1, after 0 kills: the answer is 41, but 42 is exact"),
        (raises, r"job 1 failed after 0 kills: ValueError: not today; the scheduler has tasks \{\} and workers"),
    ],
)
def test_what_is_not_exact_ends_it(soak, monkeypatch, job, words):
    monkeypatch.setattr(soak, "jobs", lambda sales: [(job, 42)])
    monkeypatch.setattr(soak, "open_sales", lambda: None)
    with pytest.raises(SystemExit, match=words):
        soak.soak(kills=1, life=1e6, seconds=1e6)


@pytest.mark.labs
def test_workers_that_live_too_long_end_it(soak, monkeypatch):
    monkeypatch.setattr(soak, "jobs", lambda sales: [(lambda client, sales, log: 42, 42)])
    monkeypatch.setattr(soak, "open_sales", lambda: None)
    with pytest.raises(SystemExit, match="time is up: 0 of 1 kills in 0 seconds"):
        soak.soak(kills=1, life=1e6, seconds=0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kills", "0"], "--kills should be 1 or more"),
        (["--kills", "ten"], "invalid int value"),
        (["--life", "0"], "--life should be more than 0 seconds"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(arguments, words):
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
