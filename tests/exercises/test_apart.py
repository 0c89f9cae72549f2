"""A judge looks at an answer in a process of its own, and comes back whatever the answer does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from daskclass.exercises import apart
from daskclass.system import pace


def judge(answer):
    """As a judge of ours: it calls the answer, and finds 7 right."""
    if answer() != 7:
        raise apart.TryNext("Count again.")
    return "Seven it is."


judge.__module__ = "__main__"  # workers of the judge cannot import the tests


def test_praise_and_advice_come_back():
    assert apart.run(judge, lambda: 7) == "Seven it is."
    with pytest.raises(apart.TryNext, match=r"^Count again\.$"):
        apart.run(judge, lambda: 8)


def test_it_runs_elsewhere_and_in_a_folder_that_goes_away(tmp_path):
    note = tmp_path / "note"

    def answer():
        Path("left").write_text("here")
        note.write_text(f"{os.getpid()} {Path.cwd()}")
        return 7

    apart.run(judge, answer)
    pid, _space, folder = note.read_text().partition(" ")
    assert int(pid) != os.getpid()
    assert not Path(folder).exists()


def test_what_is_printed_is_shown(capsys):
    def answer():
        print("half-way")
        print("and wrong", file=sys.stderr)
        return 7

    apart.run(judge, answer)
    assert capsys.readouterr().out == "half-way\nand wrong\n"


@pytest.mark.skipif(os.name == "nt", reason="limits of files")
def test_a_flood_of_output_is_cut_and_does_not_fill_the_disk(capsys, monkeypatch):
    def answer():
        while True:
            print("x" * 1_000_000)

    with pytest.raises(apart.NoVerdict, match="File too large"):
        apart.run(judge, answer)
    shown = capsys.readouterr().out
    assert shown.endswith("x…\n")
    assert len(shown) == apart.SHOWN + 2


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a folder that is in use")
def test_an_answer_that_deletes_its_folder_is_told():
    def answer():
        shutil.rmtree(Path.cwd().parent)
        return 7

    with pytest.raises(apart.NoVerdict, match="don't delete the folder"):
        apart.run(judge, answer)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux")
def test_the_kernel_picks_the_answer_when_memory_is_short(tmp_path):
    note = tmp_path / "note"

    def answer():
        note.write_text(Path("/proc/self/oom_score_adj").read_text())
        return 7

    apart.run(judge, answer)
    assert note.read_text().strip() == "1000"


def test_an_error_that_cannot_be_read_is_told():
    class Unreadable(Exception):
        def __str__(self):
            raise RuntimeError

    def answer():
        raise Unreadable

    with pytest.raises(apart.NoVerdict, match=r"couldn't check it \(Unreadable\)"):
        apart.run(judge, answer)


def no_verdict(answer):
    raise apart.NoVerdict("The other process didn't start.")


no_verdict.__module__ = "__main__"


def test_a_judge_may_have_no_verdict():
    with pytest.raises(apart.NoVerdict, match=r"^The other process didn't start\.$"):
        apart.run(no_verdict, print)


def test_an_error_that_is_not_the_judges_is_told():
    with pytest.raises(apart.NoVerdict, match=r"couldn't check it \(ZeroDivisionError: .*by zero\)"):
        apart.run(judge, lambda: 1 // 0)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda: sys.exit(3), r"process ended without a result \(exit status 3\)"),
        (lambda: os._exit(4), r"process ended without a result \(exit status 4\)"),
        (lambda: os.kill(os.getpid(), 9), r"killed its process \(exit status -9\)"),
        (threading.Lock().acquire, r"couldn't send it to another process \(TypeError"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_answer_that_does_not_come_back_is_told(answer, why):
    with pytest.raises(apart.NoVerdict, match=why):
        apart.run(judge, answer)


def test_an_answer_without_an_end_is_ended_with_all_that_it_started(tmp_path, usual_pace):
    note = tmp_path / "note"

    def answer():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        note.write_text(str(child.pid))
        while True:
            time.sleep(1)

    with pytest.raises(apart.NoVerdict, match=r"was still running after \d+ seconds"):
        apart.run(judge, answer, seconds=3)
    assert is_gone(int(note.read_text()))


@pytest.mark.parametrize("slowness", [1, 60])
def test_a_slow_machine_gives_an_answer_longer(slowness, monkeypatch):
    """The answer needs three times the limit, and so does a right one on slow cores."""

    def answer():
        time.sleep(3)
        return 7

    monkeypatch.setattr(pace, "slowness", lambda: slowness)
    if slowness > 1:
        assert apart.run(judge, answer, seconds=1) == "Seven it is."
    else:
        with pytest.raises(apart.NoVerdict, match="still running"):
            apart.run(judge, answer, seconds=1)


@pytest.mark.parametrize("own_session", [False, True])
def test_what_an_answer_leaves_running_is_ended(own_session, tmp_path):
    note = tmp_path / "note"

    def answer():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=own_session)
        note.write_text(str(child.pid))
        return 7

    assert apart.run(judge, answer) == "Seven it is."
    assert is_gone(int(note.read_text()))


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).wait(10) is None or True
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
