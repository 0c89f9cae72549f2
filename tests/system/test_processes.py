"""Processes are found wherever they went, and ended."""

import os
import subprocess
import sys

import psutil
import pytest

from daskclass.system import processes

WAITING = "import sys; print(flush=True); sys.stdin.read()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITING


@pytest.fixture
def start():
    running = []

    def begin(source: str, **variables: str) -> psutil.Process:
        process = subprocess.Popen(
            [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | variables
        )
        running.append(process)
        process.stdout.readline()
        return psutil.Process(process.pid)

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def test_those_with_a_variable_are_found(start):
    process = start(WAITING, DASKCLASS_TEST="here")
    start(WAITING, DASKCLASS_TEST="there")
    assert processes.carrying("DASKCLASS_TEST", "here") == {process}


def test_memory_is_held_until_the_end(start):
    process = start("hoard = bytearray(b'x') * 50_000_000; " + WAITING)
    assert 50_000_000 < processes.held(process) < 100_000_000
    assert process in processes.descendants(psutil.Process())
    process.kill()
    process.wait()
    assert processes.held(process) == 0
    assert processes.descendants(process) == set()
    assert processes.described(process) == f"a process (process {process.pid})"


def test_who_ends_when_asked_is_not_killed(start):
    process = start(WAITING)
    asked = []

    def living() -> list[psutil.Process]:
        asked.append(processes.is_alive(process))
        return [process] if asked[-1] else []

    processes.end(living, mercy=30)
    assert asked == [True, False]


@pytest.mark.skipif(os.name == "nt", reason="on Windows nothing can be deaf to it")
def test_who_does_not_hear_is_killed(start):
    process = start(DEAF)
    processes.end(lambda: [process], mercy=0.2)
    assert not processes.is_alive(process)


def test_what_an_end_starts_is_ended_as_well(start):
    first, second = start(WAITING), start(WAITING)
    looks = iter([[first], [second]])
    processes.end(lambda: next(looks), mercy=10)
    assert not processes.is_alive(first)
    assert not processes.is_alive(second)
