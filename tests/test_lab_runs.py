"""How often labs ran: what is noted is added up, and only where somebody asks for it."""

import subprocess
import sys
from pathlib import Path

import pytest

import lab_runs


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


@pytest.mark.parametrize("text", ["", "00\tnbval\tsome\n", "words"])
def test_what_is_no_list_of_runs_is_said(tmp_path, text):
    file = tmp_path / "runs.tsv"
    if text:
        file.write_text(text)
    run = subprocess.run([sys.executable, Path(lab_runs.__file__), file], capture_output=True, text=True)
    assert run.returncode == 2
    assert ("this is no list of runs" if text else "No such file") in run.stderr
    assert "Traceback" not in run.stderr
