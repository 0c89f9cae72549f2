"""What came of a process is found and measured together, wherever it went."""

import contextlib
import os
import subprocess
import sys

import psutil
import pytest

from daskclass.commands.rehearsal import family
from daskclass.commands.rehearsal.family import MARK, Family

ORPHANER = """
import subprocess, sys
left = subprocess.Popen(
    [sys.executable, "-c", "print(1, flush=True); import time; time.sleep(600)"],
    stdout=subprocess.PIPE, start_new_session=True,
)
left.stdout.readline()
print(left.pid, flush=True)
"""

IN_TURN = """
import subprocess, sys
for _ in range(3):
    subprocess.run([sys.executable, "-c", "import time; hoard = b'x' * 100_000_000; time.sleep(1.5)"], check=True)
"""


@contextlib.contextmanager
def head(one: Family, source: str):
    environment = {**os.environ, MARK: one.mark}
    with subprocess.Popen(
        [sys.executable, "-c", source], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


@pytest.mark.skipif(os.name != "posix", reason="a session of POSIX")
def test_an_orphan_that_nobody_looked_at_is_found_by_its_mark(monkeypatch):
    monkeypatch.setattr(family, "_PATIENCE", 0.5)
    one, other = Family(), Family()
    with head(one, ORPHANER) as process:
        orphan = psutil.Process(int(process.stdout.readline()))
    assert other.end() == []  # not its own
    assert orphan.is_running()
    (said,) = one.end()
    assert said.endswith(f"(process {orphan.pid})")
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


def test_the_peak_is_of_one_moment():
    one = Family()
    with head(one, IN_TURN) as process, one.watched(process.pid):
        process.wait()
    assert 100_000_000 < one.peak < 200_000_000


def test_who_ends_by_itself_is_not_left_behind():
    one = Family()
    with head(one, "import time; time.sleep(1)") as process:
        assert one.end() == []
        assert process.wait() == 0
