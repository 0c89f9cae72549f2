"""How often labs ran: what is noted is added up, and only where somebody asks for it."""

import os
import subprocess
import sys

import pytest

import lab_runs
from daskclass import labs


@pytest.fixture
def noted(tmp_path, monkeypatch):
    file = tmp_path / "runs.tsv"
    monkeypatch.setenv(lab_runs.FILE, str(file))
    lab_runs.note("00", "nbval", whole=True)
    lab_runs.note("02", "nbval", whole=True)
    lab_runs.note("02", "one pass", whole=True)
    lab_runs.note("02", "one pass", whole=True)
    lab_runs.note("02", "half-way", whole=False)
    return file


def test_runs_are_added_up(noted):
    rows = [line.split() for line in lab_runs.table(noted.read_text()).splitlines()]
    assert rows == [
        ["lab", "nbval", "one", "pass", "half-way", "(part)"],
        ["00", "1"],
        ["02", "1", "2", "1"],
        ["all", "2", "2", "1"],
    ]


def test_without_the_variable_nothing_is_noted(noted, monkeypatch):
    before = noted.read_text()
    monkeypatch.delenv(lab_runs.FILE)
    lab_runs.note("00", "nbval", whole=True)
    assert noted.read_text() == before


def run(*arguments, **environment):
    command = [sys.executable, lab_runs.__file__, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def test_labs_that_ran_elsewhere_are_noted_by_hand(noted):
    assert run("--note", "in containers", "00-01").returncode == 0
    assert noted.read_text().splitlines()[-2:] == ["00\tin containers\twhole", "01\tin containers\twhole"]
    done = run()
    assert "in containers" in done.stdout
    assert done.returncode == 1
    assert "never as people run it: 03, 04, " in done.stderr
    run("--note", "in containers", f"00-{labs.find(lab_runs.ROOT)[-1].number}")
    assert run().returncode == 0


@pytest.mark.parametrize("text", [None, "00\tnbval\tsome\n", "words"])
def test_what_is_no_list_of_runs_is_said(tmp_path, text):
    file = tmp_path / "runs.tsv"
    if text is not None:
        file.write_text(text)
    done = run(DASKCLASS_LAB_RUNS=str(file))
    assert done.returncode == 2
    assert ("No such file" if text is None else "this isn't a list of runs") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"), [((), "set DASKCLASS_LAB_RUNS"), (("--note", "by hand", "00-99"), "there is no lab 99")]
)
def test_what_makes_no_sense_is_said(arguments, words):
    done = run(*arguments, DASKCLASS_LAB_RUNS="")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert words in done.stderr
