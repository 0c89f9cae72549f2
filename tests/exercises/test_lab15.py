"""Exercises of lab 15: each wrong answer that we thought of gets its own advice."""

from __future__ import annotations

import inspect
import os
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from filelock import FileLock
from scipy import stats

from daskclass.exercises import lab15


@contextmanager
def nobody_looks(folder):
    yield


@contextmanager
def a_file_that_exists(folder):
    lock = Path(folder) / "lock"
    os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    try:
        yield
    finally:
        lock.unlink()


@contextmanager
def with_a_note(note):
    """Survives a kill; and between the look and the note somebody else may come."""
    if note.exists() and psutil.pid_exists(int(note.read_text() or 0)):
        raise RuntimeError("somebody is there")
    note.write_text(str(os.getpid()))
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def its_process(folder):
    return with_a_note(Path(folder) / "note")


@contextmanager
def after_an_error_closed(folder):
    lock = Path(folder) / "lock"
    os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    yield
    lock.unlink()


@contextmanager
def swallows(folder):
    try:
        with FileLock(Path(folder) / "lock", timeout=0):
            yield
    except LookupError:
        pass


@contextmanager
def for_good(folder):
    os.close(os.open(Path(folder) / "lock", os.O_CREAT | os.O_EXCL))
    yield


@contextmanager
def whole_machine(folder):
    with FileLock(Path(folder).parent / "lock", timeout=0):
        yield


@contextmanager
def fails(folder):
    raise KeyError(folder)
    yield


@contextmanager
def leaves_badly(folder):
    with FileLock(Path(folder) / "lock", timeout=0):
        yield
    raise RuntimeError("goodbye")


@contextmanager
def both_turn_back(folder):
    """Each says that it comes, and leaves if another one does."""
    mine = Path(folder) / f"{os.getpid()}"
    mine.write_text("")
    try:
        time.sleep(0.2)
        others = [int(path.name) for path in Path(folder).iterdir() if path != mine and path.name.isdigit()]
        if any(psutil.pid_exists(other) for other in others):
            time.sleep(0.3)  # so that the other one sees this one, too
            raise RuntimeError("somebody comes")
        yield
    finally:
        mine.unlink()


@contextmanager
def deletes_its_file(folder):
    """The next one makes a new file, while another one may have opened the old one."""
    import fcntl

    path = Path(folder) / "mine.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            path.unlink()


def is_of_a_dead_process(note):
    found = note.read_text()
    return bool(found) and (not psutil.pid_exists(int(found)) or psutil.Process(int(found)).status() == "zombie")


@contextmanager
def with_a_takeover(note, clean):
    while True:
        try:
            with note.open("x") as file:
                file.write(str(os.getpid()))
            break
        except FileExistsError:
            if not is_of_a_dead_process(note):
                raise RuntimeError("somebody is there") from None
            clean()
    try:
        yield
    finally:
        note.unlink()


def by_process(folder):
    """Whoever finds the note of a dead process deletes it, perhaps after another one has done so, too."""
    note = Path(folder) / "pid"
    return with_a_takeover(note, lambda: note.unlink(missing_ok=True))


def cleans_up_once(folder):
    """As `by_process`, but whoever cleans up says so, and nobody takes that back."""
    note = Path(folder) / "pid"

    def clean():
        try:
            note.with_name("cleaning").open("x").close()
        except FileExistsError:
            time.sleep(60)
        note.unlink(missing_ok=True)

    return with_a_takeover(note, clean)


@contextmanager
def gets_tired(folder):
    with FileLock(Path(folder) / "lock", timeout=0):
        visits = Path(folder) / "visits"
        number = len(visits.read_text()) if visits.exists() else 0
        if number > 40:
            raise RuntimeError("that's enough")
        visits.write_text("x" * (number + 1))
        yield


@contextmanager
def gets_tired_of_leaving(folder):
    with FileLock(Path(folder) / "lock", timeout=0):
        yield
    visits = Path(folder) / "visits"
    number = len(visits.read_text()) if visits.exists() else 0
    visits.write_text("x" * (number + 1))
    if number > 3:
        raise RuntimeError("goodbye")


@contextmanager
def writes_over_it(folder):
    """The look and the note are in one open file. Between them, somebody else may come."""
    path = Path(folder) / "pid"
    path.touch()
    with path.open("r+") as file:
        found = file.read()
        if found and psutil.pid_exists(int(found)) and psutil.Process(int(found)).status() != "zombie":
            raise RuntimeError("somebody is there")
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
    try:
        yield
    finally:
        path.write_text("")


def by_relative_names(folder):
    os.chdir(folder)
    return with_a_note(Path("pid"))


def elsewhere(folder):
    """Beside the folder."""
    return with_a_note(Path(folder).with_name(f".{Path(folder).name}.pid"))


@contextmanager
def by_folder(folder):
    """A folder with a note in it. Whoever finds one of a dead process deletes it, perhaps after another one did."""
    import shutil

    mine = Path(folder) / "mine"
    while True:
        try:
            mine.mkdir()
            (mine / "pid").write_text(str(os.getpid()))
            break
        except FileExistsError:
            try:
                found = (mine / "pid").read_text()
            except FileNotFoundError:
                raise RuntimeError("somebody is there") from None
            if not found or psutil.pid_exists(int(found)):
                raise RuntimeError("somebody is there") from None
            shutil.rmtree(mine, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(mine)


@contextmanager
def lockf_and_deletes(folder):
    path = Path(folder) / "mine.lock"
    number = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        os.lockf(number, os.F_TLOCK, 0)
        yield
        path.unlink()
    finally:
        os.close(number)


@contextmanager
def asks_a_database(folder):
    """It asks and writes in two steps, each of which is safe."""
    import sqlite3

    base = sqlite3.connect(Path(folder) / "notes.db", isolation_level=None)
    base.execute("create table if not exists notes (pid integer)")
    for (found,) in base.execute("select pid from notes").fetchall():
        if psutil.pid_exists(found):
            raise RuntimeError("somebody is there")
    base.execute("delete from notes")
    base.execute("insert into notes values (?)", (os.getpid(),))
    try:
        yield
    finally:
        base.execute("delete from notes where pid = ?", (os.getpid(),))
        base.close()


def looks_again(folder):
    """As `by_process`, but it looks at the note once more before it deletes it. That's one step too many."""
    note = Path(folder) / "pid"

    def clean():
        note.with_name(f"cleaner-{os.getpid()}").touch()
        if is_of_a_dead_process(note):
            note.unlink(missing_ok=True)

    return with_a_takeover(note, clean)


@contextmanager
def by_name_only(folder):
    import tempfile

    with FileLock(Path(tempfile.gettempdir()) / f"{os.getppid()}-{Path(folder).name}.lock", timeout=0):
        yield


def waits(folder):
    return FileLock(Path(folder) / "lock")


ALONE = {
    "a number": (7, "should be a function"),
    "nobody looks": (nobody_looks, "Two processes were inside at the same time"),
    "waits": (waits, "It should raise an error at once"),
    "fails": (fails, "a process didn't get in. It raised `KeyError"),
    "whole machine": (whole_machine, "didn't get into *another* folder"),
    "leaves badly": (leaves_badly, "wanted to leave. It raised `RuntimeError: goodbye`"),
    "for good": (for_good, "had left, and the next one didn't get in"),
    "swallows": (swallows, "that didn't come out"),
    "after an error": (after_an_error_closed, "raised an error, and the next one didn't get in"),
    "a file that exists": (a_file_that_exists, "nobody deletes it after a kill"),
    "its process": (its_process, "came at the same moment, and both got in"),
    "both turn back": (both_turn_back, "neither got in"),
    "by process": (by_process, "the second one deleted what the first one had just made"),
    "looks again": (looks_again, "the second one deleted what the first one had just made"),
    "cleans up once": (cleans_up_once, "soon after one another, and one waited"),
    "gets tired of leaving": (gets_tired_of_leaving, "After some visits, a process wanted to leave"),
    "writes over it": (writes_over_it, "came at the same moment, and both got in"),
    "by relative names": (by_relative_names, "came at the same moment, and both got in"),
    "elsewhere": (elsewhere, "came at the same moment, and both got in"),
    "by folder": (by_folder, "the second one deleted what the first one had just made"),
    "asks a database": (asks_a_database, "came at the same moment, and both got in"),
    "gets tired": (
        gets_tired,
        "nobody was inside, and a process didn't get in. It raised `RuntimeError: that's enough",
    ),
    "by name only": (by_name_only, "didn't get into *another* folder"),
    **({} if os.name == "nt" else {"deletes its file": (deletes_its_file, "Leave the file there")}),
    **({} if os.name == "nt" else {"lockf and deletes": (lockf_and_deletes, "Leave the file there")}),
}


def by_mean(trained, tonight):
    return abs(tonight.mean() - trained.mean()) > 0.05


def by_test(trained, tonight):
    return stats.ks_2samp(trained, tonight).pvalue < 1e-6


def nervous(trained, tonight):
    return stats.ks_2samp(trained, tonight).statistic > 0.01


def by_numbers(trained, tonight):
    return abs(tonight.mean() - 0.2) > 0.03 or tonight.std() > 0.16


def by_size(trained, tonight):
    """Deaf to a model with small scores."""
    at = [0.1, 0.5, 0.9]
    return np.abs(np.quantile(trained, at) - np.quantile(tonight, at)).max() > 0.03


def by_fixed_bins(trained, tonight):
    """A model with small scores has all of them in one bin."""
    p, q = (np.maximum(np.histogram(some, 10, (0, 1))[0] / len(some), 1e-4) for some in (trained, tonight))
    return bool(((q - p) * np.log(q / p)).sum() > 0.1)


ALARM = {
    "a number": (7, "should be a function"),
    "raises": (lambda trained, tonight: 1 // 0, "It raised `ZeroDivisionError"),
    "a score": (lambda trained, tonight: 0.3, "returned a float"),
    "always": (lambda trained, tonight: True, "A healthy night of 2,000 orders, and it rang"),
    "never": (lambda trained, tonight: False, "It should have rung"),
    "by numbers": (by_numbers, "A healthy night of 2,000 orders, and it rang"),
    "by mean": (by_mean, "spread: their mean was nearly the same"),
    "by test": (by_test, "how large the difference is, and not how certain"),
    "nervous": (nervous, "A healthy night of 2,000 orders, and it rang"),
    "by size": (by_size, "It should have rung"),
    "by fixed bins": (by_fixed_bins, "It should have rung"),
}

# As functions of a notebook do, these travel with all that is in them.
for _function in [value for value in globals().values() if inspect.isfunction(value)]:
    if _function.__module__ == __name__:
        _function.__module__ = "__main__"
        if hasattr(_function, "__wrapped__"):
            _function.__wrapped__.__module__ = "__main__"


@pytest.fixture
def told(advice, monkeypatch, tmp_path):
    """What a wrong answer is told, and the lines that say so."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where one of them locks; `apart` gives each judge such a folder
    return advice


@pytest.mark.parametrize("name", ALONE)
def test_a_lock_that_is_none_has_advice_of_its_own(name, told):
    answer, expected = ALONE[name]
    said, _lines = told(lab15.alone, answer)
    assert expected in said


@pytest.mark.parametrize("name", ALARM)
def test_a_wrong_alarm_has_advice_of_its_own(name, told):
    answer, expected = ALARM[name]
    said, _lines = told(lab15.alarm, answer)
    assert expected in said


def test_every_advice_is_reached(unreached, told):
    answers = [(lab15.alone, answer) for answer, _expected in ALONE.values()]
    answers += [(lab15.alarm, answer) for answer, _expected in ALARM.values()]
    lines = set().union(*(told(*one)[1] for one in answers))
    sent = "couldn't send it to another process"  # what a notebook's function needs is sent with it
    assert [line for line in unreached(lab15, [], lines) if sent not in line] == []


@contextmanager
def by_flock(folder):
    import fcntl

    with (Path(folder) / "mine.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


by_flock.__module__ = by_flock.__wrapped__.__module__ = "__main__"


def by_division(folder):
    return FileLock(folder / "run.lock", timeout=0)


by_division.__module__ = "__main__"


def by_class(folder):
    class Inside:
        def __init__(self, folder):
            self.lock = FileLock(Path(folder) / ".lock")

        def __enter__(self):
            self.lock.acquire(timeout=0)
            return self

        def __exit__(self, *error):
            self.lock.release()

    return Inside(folder)


by_class.__module__ = "__main__"


@contextmanager
def that_talks(folder):
    """What it prints belongs to nobody, and it says a lot."""
    import fcntl
    import sys

    print("trying ...", end="")
    sys.stderr.write("trying" * 10_000)
    with (Path(folder) / "mine.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


that_talks.__module__ = that_talks.__wrapped__.__module__ = "__main__"


@contextmanager
def whose_error_has_no_text(folder):
    class Busy(Exception):
        def __str__(self):
            raise ValueError

    import fcntl

    with (Path(folder) / "mine.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy from None
        yield


whose_error_has_no_text.__module__ = whose_error_has_no_text.__wrapped__.__module__ = "__main__"


@contextmanager
def with_a_door(folder):
    """Whoever comes waits until nobody is at the door."""
    import fcntl

    with (Path(folder) / "mine.lock").open("w") as file:
        with (Path(folder) / "door").open("w") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


with_a_door.__module__ = with_a_door.__wrapped__.__module__ = "__main__"


def by_database(folder):
    import sqlite3

    @contextmanager
    def inside():
        base = sqlite3.connect(Path(folder) / "lock.db", timeout=0, isolation_level=None)
        try:
            # Not EXCLUSIVE: that waits for those who only look, so of two at the same moment neither may get in.
            base.execute("BEGIN IMMEDIATE")
            yield
        finally:
            base.close()

    return inside()


by_database.__module__ = "__main__"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(with_a_door, marks=pytest.mark.skipif(os.name == "nt", reason="POSIX has flock")),
        by_database,
        pytest.param(that_talks, marks=pytest.mark.skipif(os.name == "nt", reason="POSIX has flock")),
        pytest.param(whose_error_has_no_text, marks=pytest.mark.skipif(os.name == "nt", reason="POSIX has flock")),
        pytest.param(by_flock, marks=pytest.mark.skipif(os.name == "nt", reason="POSIX has flock")),
        by_class,
        by_division,
    ],
)
def test_other_locks_are_right(answer):
    verdict = lab15.alone.verdict(answer)
    assert verdict.state == "right", verdict.message


def by_distance(trained, tonight):
    return stats.ks_2samp(trained, tonight).statistic > 0.08


def by_quantiles(trained, tonight):
    at = [0.1, 0.5, 0.9]
    return np.abs(np.quantile(trained, at) - np.quantile(tonight, at)).max() > 0.25 * trained.std()


def by_mean_and_spread(trained, tonight):
    far = abs(tonight.mean() - trained.mean()) / trained.std()
    return bool(far > 0.2 or not 0.8 < tonight.std() / trained.std() < 1.25)


by_distance.__module__ = by_quantiles.__module__ = by_mean_and_spread.__module__ = "__main__"


@pytest.mark.parametrize("answer", [by_distance, by_quantiles, by_mean_and_spread])
def test_other_alarms_are_right(answer):
    for _ in range(5):
        verdict = lab15.alarm.verdict(answer)
        assert verdict.state == "right", verdict.message
