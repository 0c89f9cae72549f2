"""Exercises of lab 12: each wrong answer that we thought of gets its own advice."""

from __future__ import annotations

import contextlib
import inspect
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from daskclass.exercises import apart, lab12

if os.name != "nt":
    import fcntl


def removes_the_half(inputs, folder):
    for half in Path(folder).glob("*.tmp"):
        half.unlink()
    return lab12._solve_to_do(inputs, folder)


def parts_instead(inputs, folder):
    return [str(Path(folder) / Path(path).name) for path in lab12._solve_to_do(inputs, folder)]


def takes_a_half_for_whole(inputs, folder):
    there = {path.name.split(".")[0] for path in Path(folder).iterdir()}
    return [path for path in inputs if Path(path).stem not in there]


def raises_without_a_folder(inputs, folder):
    there = {path.name for path in Path(folder).iterdir()}
    return [path for path in inputs if Path(path).name not in there]


def nothing_without_a_folder(inputs, folder):
    return lab12._solve_to_do(inputs, folder) if Path(folder).exists() else []


def by_stem(inputs, folder):
    there = {path.stem for path in Path(folder).glob("*")}
    return [path for path in inputs if Path(path).stem not in there]


def again_with_a_half_beside(inputs, folder):
    if not Path(folder).exists():
        return list(inputs)
    there = {path.name for path in Path(folder).iterdir()}
    halves = {name.split(".")[0] for name in there if name.endswith(".tmp")}
    return [path for path in inputs if Path(path).name not in there or Path(path).stem in halves]


TO_DO = {
    "by stem": (by_stem, "A finished part has the same name"),
    "with a half beside it": (again_with_a_half_beside, "is already finished. Leave it out."),
    "a list": (["part-2.parquet"], "should be a function"),
    "raises": (lambda inputs, folder: 1 // 0, "It raised `ZeroDivisionError"),
    "a number": (lambda inputs, folder: 3, "a list of paths"),
    "numbers": (lambda inputs, folder: [2, 3, 4], "a list of paths"),
    "changes": (removes_the_half, "It changed the folder"),
    "parts": (parts_instead, "Return inputs, not parts"),
    "all": (lambda inputs, folder: list(inputs), "is already finished. Leave it out."),
    "half": (takes_a_half_for_whole, "Missing: part-"),
    "sorted": (lambda inputs, folder: sorted(lab12._solve_to_do(inputs, folder)), "in the order of the inputs"),
    "twice": (lambda inputs, folder: lab12._solve_to_do(inputs, folder) * 2, "return each one once"),
    "no folder": (raises_without_a_folder, "It raised `FileNotFoundError"),
    "nothing": (nothing_without_a_folder, "If there's no folder yet"),
}


def straight(pieces, path):
    with Path(path).open("wb") as file:
        for piece in pieces:
            file.write(piece)


def swallows(pieces, path):
    with contextlib.suppress(BaseException):
        lab12._solve_write_safely(pieces, path)


def fails_itself(pieces, path):
    lab12._solve_write_safely(pieces, path)
    raise KeyError("done")


def wrong_name(pieces, path):
    lab12._solve_write_safely(pieces, f"{path}.new")


def only_the_last(pieces, path):
    for piece in pieces:
        content = piece
    lab12._solve_write_safely([content], path)


def not_again(pieces, path):
    content = list(pieces)
    if not Path(path).exists() or Path(path).read_bytes() == b"what was there before":
        lab12._solve_write_safely(content, path)


def all_at_once(pieces, path):
    Path(path).write_bytes(b"".join(pieces))


def copied(pieces, path):
    unfinished = f"{path}.{uuid.uuid4()}.tmp"
    straight(pieces, unfinished)
    shutil.copyfile(unfinished, path)


def copied_by_another_program(pieces, path):
    unfinished = f"{path}.{uuid.uuid4()}.tmp"
    straight(pieces, unfinished)
    subprocess.run([sys.executable, "-c", "import shutil, sys; shutil.copyfile(*sys.argv[1:])", unfinished, path])


def carried(pieces, path):
    with tempfile.TemporaryDirectory() as elsewhere:
        straight(pieces, f"{elsewhere}/part.bin")
        shutil.move(f"{elsewhere}/part.bin", path)


def first_removed(pieces, path):
    unfinished = f"{path}.{uuid.uuid4()}.tmp"
    straight(pieces, unfinished)
    Path(path).unlink(missing_ok=True)
    Path(unfinished).replace(path)


def only_here(pieces, path, here=os.getpid()):  # noqa: B008
    if os.getpid() != here:
        raise RuntimeError("not at home")
    lab12._solve_write_safely(pieces, path)


def one_name_for_all(pieces, path):
    unfinished = Path(f"{path}.tmp")
    with unfinished.open("wb") as file:
        for piece in pieces:
            file.write(piece)
            file.flush()
    if unfinished.exists():
        unfinished.replace(path)


def one_name_moved(pieces, path):
    straight(pieces, f"{path}.tmp")
    Path(f"{path}.tmp").replace(path)


def a_name_for_each_process(pieces, path):
    straight(pieces, f"{path}.{os.getpid()}.tmp")
    Path(f"{path}.{os.getpid()}.tmp").replace(path)


def for_ever(pieces, path):
    while True:
        time.sleep(1)


def locks_and_keeps(pieces, path):
    """Takes a lock that it never gives back."""
    lock = Path(f"{path}.lock")
    while True:
        try:
            lock.touch(exist_ok=False)
            break
        except FileExistsError:
            time.sleep(0.01)
    lab12._solve_write_safely(pieces, path)


def cleans_up_on_errors(pieces, path):
    try:
        straight(pieces, path)
    except Exception:
        Path(path).unlink()
        raise


def lock_file(pieces, path):
    """A lock that a kill leaves behind."""
    while True:
        try:
            os.close(os.open(f"{path}.lock", os.O_CREAT | os.O_EXCL))
            break
        except FileExistsError:
            time.sleep(0.01)
    try:
        Path(f"{path}.tmp").write_bytes(b"".join(pieces))
        Path(f"{path}.tmp").replace(path)
    finally:
        Path(f"{path}.lock").unlink()


def gives_up_after_a_kill(pieces, path):
    """As `lock_file`, but it doesn't wait for ever."""
    lock = f"{path}.{threading.current_thread().name}.lock"
    os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    try:
        lab12._solve_write_safely(pieces, path)
    finally:
        Path(lock).unlink()


def straight_if_new(pieces, path):
    data = b"".join(pieces)
    if Path(path).exists():
        lab12._solve_write_safely(iter([data]), path)
    else:
        Path(path).write_bytes(data)


def spares_what_is_there(pieces, path):
    """After a kill it takes the half for the whole."""
    half = Path(f"{path}.{threading.current_thread().name}.tmp")
    if half.exists():
        half.replace(path)
        return
    with half.open("wb") as file:
        try:
            for piece in pieces:
                file.write(piece)
                file.flush()
        except BaseException:
            half.unlink()
            raise
    half.replace(path)


def through_another_program(pieces, path):
    """What another program writes isn't heard; and it cleans up after errors."""
    if Path(path).exists():
        return lab12._solve_write_safely(pieces, path)
    program = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, open(sys.argv[1], 'wb'))"
    with subprocess.Popen([sys.executable, "-c", program, path], stdin=subprocess.PIPE) as writer:
        try:
            for piece in pieces:
                writer.stdin.write(piece)
                writer.stdin.flush()
        except BaseException:
            writer.kill()
            writer.wait()
            Path(path).unlink(missing_ok=True)
            raise


WRITE = {
    "through another program": (through_another_program, "We killed it after two pieces. Afterward"),
    "a text": ("part.bin", "should be a function"),
    "straight": (straight, "there should be no file with that name"),
    "cleans up": (cleans_up_on_errors, "there should be no file with that name"),
    "swallows": (swallows, "swallowed it"),
    "type error": (lambda pieces, path: 1 + "1" + next(pieces), "It raised `TypeError"),
    "fails": (fails_itself, "Without an interruption, it raised `KeyError"),
    "elsewhere": (wrong_name, "there's no file with that name"),
    "one piece": (only_the_last, "all pieces in order"),
    "not again": (not_again, "We called it again with other pieces"),
    "at once": (all_at_once, "into the file with that name itself"),
    "copied": (copied, "into the file with that name itself"),
    "copied by another program": (copied_by_another_program, "into the file with that name itself"),
    "carried": (carried, "in another folder"),
    "first removed": (first_removed, "A kill in between leaves no file"),
    "only here": (only_here, "It raised `RuntimeError: not at home`"),
    # On a busy machine two processes may miss each other, and two threads don't.
    "one name": (one_name_for_all, "wrote the same part at the same time, each in its own"),
    "one name, moved": (one_name_moved, "wrote the same part at the same time, each in its own"),
    "a name for each process": (a_name_for_each_process, "each in its own thread, and"),
    "a lock file": (lock_file, "the second call never came back"),
    "gives up": (gives_up_after_a_kill, "called it again, and that failed: FileExistsError"),
    "straight if it's new": (straight_if_new, "into the file with that name itself"),
    "takes the half": (spares_what_is_there, "Then the file should have all pieces"),
}
# Those that would hang or end the process that calls them.
NEVER_BACK = {
    "for ever": (for_ever, "It was still running after "),
    "leaves": (lambda pieces, path: os._exit(3), "Its process ended without a result (exit status 3)"),
    "locks itself out": (locks_and_keeps, "It was still running after "),
}


# As functions of a notebook do, these travel with all that is in them.
for _function in [value for value in globals().values() if inspect.isfunction(value)]:
    if _function.__module__ == __name__:
        _function.__module__ = "__main__"


@pytest.mark.parametrize("name", TO_DO)
def test_what_is_not_to_do_has_advice_of_its_own(name):
    answer, advice = TO_DO[name]
    verdict = lab12.to_do.verdict(answer)
    assert verdict.state == "not yet"
    assert advice in verdict.message


@pytest.mark.parametrize("name", [*WRITE, *NEVER_BACK])
def test_an_unsafe_way_has_advice_of_its_own(name, monkeypatch, request):
    answer, advice = (WRITE | NEVER_BACK)[name]
    if "still running" in advice:
        request.getfixturevalue("usual_pace")
        monkeypatch.setattr(apart, "SECONDS", 4.0)  # so that it's over sooner
    verdict = lab12.write_safely.verdict(answer)
    assert verdict.state == "not yet"
    assert advice in verdict.message


def test_every_advice_is_reached(unreached):
    rows = [(lab12.to_do, answer, {}) for answer, _advice in TO_DO.values()]
    rows += [(lab12.write_safely, answer, {}) for answer, _advice in WRITE.values()]
    rows.append((lab12.write_safely, keeps_nothing, {}))
    assert unreached(lab12, rows) == []


def keeps_nothing(pieces, path):
    """Takes the old file away first."""
    Path(path).unlink(missing_ok=True)
    lab12._solve_write_safely(pieces, path)


keeps_nothing.__module__ = "__main__"  # as above


def test_one_writer_alone_is_no_verdict(monkeypatch):
    def starts_late(answer, number, path, folder):
        while number == 1 and not Path(folder, "alone").exists():
            time.sleep(0.01)
        lab12._write(answer, number, path, folder)

    monkeypatch.setattr(lab12, "_START", 0.1)
    monkeypatch.setattr(lab12, "_write_in_process", starts_late)
    with pytest.raises(apart.NoVerdict, match=r"^The other process didn't start within 0\.1 seconds"):
        lab12._judge_two_at_once(lab12._solve_write_safely, "process")


def test_the_old_file_is_to_stay():
    assert "there should be the complete old file" in lab12.write_safely.verdict(keeps_nothing).message


def test_paths_may_be_paths():
    def to_do(inputs, folder):
        return tuple(Path(path) for path in lab12._solve_to_do(inputs, folder))

    assert lab12.to_do.verdict(to_do).state == "right"


@pytest.mark.parametrize("kind", [iter, np.array, pd.Series, tuple])
def test_any_ordered_collection_of_paths_is_right(kind):
    def to_do(inputs, folder):
        return kind(lab12._solve_to_do(inputs, folder))

    to_do.__module__ = "__main__"
    verdict = lab12.to_do.verdict(to_do)
    assert verdict.state == "right", verdict.message


def test_paths_without_end_get_a_verdict():
    def to_do(inputs, folder):
        while True:
            yield inputs[0]

    to_do.__module__ = "__main__"
    message = lab12.to_do.verdict(to_do).message
    assert message.startswith(("Missing: part-", "The part of part-"))


def in_a_folder_below(pieces, path):
    """Its own folder for unfinished files, on the same disk."""
    unfinished = Path(path).parent / "unfinished" / uuid.uuid4().hex
    unfinished.parent.mkdir(exist_ok=True)
    unfinished.write_bytes(b"".join(pieces))
    unfinished.replace(path)


def with_a_temporary_file(pieces, path):
    with tempfile.NamedTemporaryFile(dir=Path(path).parent, delete=False) as file:
        file.writelines(pieces)
    os.replace(file.name, path)  # noqa: PTH105


def by_process_and_thread(pieces, path):
    """With a host, a process and a thread in the name, and everything on the disk before it gets its own name."""
    unfinished = Path(f"{path}.{socket.gethostname()}.{os.getpid()}.{threading.get_ident()}.tmp")
    with unfinished.open("wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(Path(path).parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def under_a_lock(pieces, path):
    """One name for all, and only one at a time."""
    with Path(f"{path}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        unfinished = Path(f"{path}.tmp")
        with unfinished.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        unfinished.replace(path)


def cleans_up(pieces, path):
    """Leaves no unfinished file behind, whatever happens."""
    unfinished = Path(path).with_name(f".{uuid.uuid4().hex}")
    try:
        unfinished.write_bytes(b"".join(pieces))
        os.rename(unfinished, path)  # noqa: PTH104
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def with_words(pieces, path):
    """Prints, and doesn't end its line."""
    lab12._solve_write_safely(pieces, path)
    print("written", end="")


RIGHT = [with_words, in_a_folder_below, with_a_temporary_file, by_process_and_thread, under_a_lock, cleans_up]
for _function in RIGHT:
    _function.__module__ = "__main__"  # as above


@pytest.mark.skipif(os.name == "nt", reason="some of these lock, sync and rename as POSIX has it")
@pytest.mark.parametrize("answer", RIGHT)
def test_other_safe_ways_are_right(answer):
    verdict = lab12.write_safely.verdict(answer)
    assert verdict.state == "right", verdict.message
