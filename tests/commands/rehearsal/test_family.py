"""What came of a process is found and measured together, wherever it went."""

import contextlib
import os
import subprocess
import sys

import psutil
import pytest

from daskclass import watch
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

# Each holds its memory until the test lets it go.
HOARD = "import os, sys; hoard = b'x' * 100_000_000; print(os.getpid(), flush=True); sys.stdin.readline()"
IN_TURN = f"""
import subprocess, sys
for _ in range(3):
    subprocess.run([sys.executable, "-c", {HOARD!r}], check=True)
"""


@contextlib.contextmanager
def head(one: Family, source: str):
    environment = {**os.environ, MARK: one.mark}
    with subprocess.Popen(
        [sys.executable, "-c", source],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
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
        for _ in range(3):
            hoarder = psutil.Process(int(process.stdout.readline()))
            watch.until(lambda hoarder=hoarder: hoarder in one._members and one.peak > 100_000_000, "a look at it")
            process.stdin.write("go\n")
        process.wait()
    assert 100_000_000 < one.peak < 200_000_000


def test_what_came_after_the_last_look_is_looked_at_in_the_end(monkeypatch):
    monkeypatch.setattr(family, "_INTERVAL", 600)
    one = Family()
    with head(one, HOARD) as process:
        with one.watched(process.pid):
            process.stdout.readline()
            assert one.peak == 0
        process.stdin.write("go\n")
    assert one.peak > 100_000_000


def test_who_ends_by_itself_is_not_left_behind(monkeypatch):
    monkeypatch.setattr(family, "_PATIENCE", 120)  # it returns as soon as the process has ended
    one = Family()
    with head(one, "import time; time.sleep(1)") as process:
        assert one.end() == []
        assert process.wait() == 0
