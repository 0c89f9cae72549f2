"""Ten workers killed at random; ``make soak`` kills a hundred."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "soak.py"


@pytest.mark.labs
def test_every_answer_is_exact_while_workers_die(monkeypatch):
    monkeypatch.setenv("DASKCLASS_SIZE", "smoke")
    done = subprocess.run([sys.executable, TOOL, "--kills", "10"], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr or done.stdout
    kills, jobs = map(
        int, re.search(r"^(\d+) kills in all, (\d+) jobs, every answer exact$", done.stdout, re.M).groups()
    )
    assert kills >= 10
    assert jobs >= 2


def test_a_number_that_makes_no_sense_is_refused():
    done = subprocess.run([sys.executable, TOOL, "--kills", "0"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "--kills should be 1 or more" in done.stderr
