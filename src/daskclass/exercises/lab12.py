"""Exercises of lab 12: the inputs that are still to do, and a file that is complete or not there."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

import cloudpickle

from daskclass.exercises.apart import NoVerdict, reason
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.system import pace


def _judge_to_do(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the list of inputs and the folder.")
    with tempfile.TemporaryDirectory() as place:
        source, folder = Path(place) / "source", Path(place) / "parts"
        folder.mkdir()
        random = secrets.SystemRandom()
        while True:
            numbers, fates = random.sample(range(5), 5), random.sample(range(5), 5)
            left = [number for number in numbers if number not in fates[:2]]
            if left != sorted(left):  # else a sorted answer would be right by chance
                break
        inputs = [str(source / f"part-{number}.parquet") for number in numbers]
        finished, also, half, half_too, never = fates
        (folder / f"part-{finished}.parquet").write_bytes(b"complete")
        (folder / f"part-{finished}.77ff.tmp").write_bytes(b"half, of a task that ran twice")
        (folder / f"part-{also}.parquet").write_bytes(b"complete, too")
        (folder / f"part-{also}.parquet.9.tmp").write_bytes(b"half")
        (folder / f"part-{half}.0a1b.tmp").write_bytes(b"half")
        (folder / f"part-{half_too}.parquet.tmp").write_bytes(b"half")
        (folder / f"part-{never}0.parquet").write_bytes(b"of another job")
        (folder / f"part-{never}.csv").write_bytes(b"the same orders for a spreadsheet")
        (folder / "notes.txt").write_bytes(b"no part at all")
        done_already = [path for path in inputs if (folder / Path(path).name).exists()]
        before = sorted(path.name for path in folder.iterdir())
        got = _called(answer, inputs, str(folder))
        if not isinstance(got, list) or not all(isinstance(path, str) for path in got):
            raise TryNext("It should return a list of paths.")
        expected = [path for path in inputs if path not in done_already]
        if sorted(path.name for path in folder.iterdir()) != before:
            raise TryNext("It changed the folder. It should only read it.")
        if strangers := set(got) - set(inputs):
            raise TryNext(f"{min(strangers)} isn't one of the inputs. Return inputs, not parts.")
        if done := {Path(path).name for path in got if path in done_already}:
            raise TryNext(f"The part of {', '.join(sorted(done))} is already finished. Leave it out.")
        if left_out := [Path(path).name for path in expected if path not in got]:
            raise TryNext(
                f"Missing: {', '.join(left_out)}. A finished part has the same name as its input. A file that ends in "
                "`.tmp` or `.csv` has another name."
            )
        if got != expected:
            raise TryNext("These are the right inputs, but return each one once, in the order of the inputs.")
        if _called(answer, inputs, str(folder / "not-yet")) != inputs:
            raise TryNext("If there's no folder yet, everything is still to do.")
    return "Three of five, in order. The two half-written parts are still to do."


def _called(answer: Callable[..., object], inputs: list[str], folder: str) -> object:
    """What the answer returns; any ordered iterable as a list, and its paths as text."""
    try:
        got = answer(list(inputs), folder)
        if isinstance(got, Iterable) and not isinstance(got, str | bytes | Mapping | Set):
            some = islice(got, 10 * len(inputs))  # a generator may never end
            return [os.fspath(path) if isinstance(path, os.PathLike) else path for path in some]
    except Exception as error:
        raise TryNext(f"It raised `{reason(error)}`.") from error
    return got


def _solve_to_do(inputs, folder):
    from pathlib import Path

    return [path for path in inputs if not (Path(folder) / Path(path).name).exists()]


to_do = Exercise(
    variable="to_do",
    judge=_judge_to_do,
    solve=_solve_to_do,
    hints=(
        "For each input, check whether the folder has a file of the same name. `Path(path).name` is that name.",
        "`(Path(folder) / Path(path).name).exists()`",
    ),
    is_function=True,
    apart=True,
)

_PIECES = (b"the first piece, ", b"the second, ", b"and the last")


class _Killed(BaseException):
    """Stands in for a kill: `except Exception` doesn't catch it."""


def _interrupted(with_what: BaseException) -> Iterator[bytes]:
    yield from _PIECES[:2]
    raise with_what


def _judge_write_safely(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the pieces and the path.")
    whole = b"".join(_PIECES)
    for before in (None, b"what was there before"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "part.bin"
            if before is not None:
                path.write_bytes(before)
            for accident in (OSError("the disk is full"), _Killed()):
                try:
                    answer(_interrupted(accident), str(path))
                except (OSError, _Killed):
                    pass
                except Exception as error:
                    raise TryNext(f"It raised `{reason(error)}`.") from error
                else:
                    raise TryNext("The pieces raised an error, and `write_safely` swallowed it. Let it through.")
                if (path.read_bytes() if path.exists() else None) != before:
                    kept = "no file with that name" if before is None else "the complete old file"
                    raise TryNext(f"We interrupted it after two pieces. Afterward, there should be {kept}.")
            try:
                answer(iter(_PIECES), str(path))
            except Exception as error:
                raise TryNext(f"Without an interruption, it raised `{reason(error)}`.") from error
            if not path.is_file():
                raise TryNext("We didn't interrupt it, but there's no file with that name.")
            if path.read_bytes() != whole:
                raise TryNext("Without an interruption, the file should have all pieces in order, and nothing else.")
            answer(iter(_PIECES[:1]), str(path))
            if not path.is_file() or path.read_bytes() != _PIECES[0]:
                raise TryNext("We called it again with other pieces. Then the file should have those.")
    for before in (b"what was there before", None):
        for deed in _deeds(answer, before):
            raise TryNext(_AT_ANY_MOMENT[deed])
        _judge_after_a_kill(answer, before)
    for of in ("process", "thread"):
        _judge_two_at_once(answer, of)
    return (
        "We interrupted it and killed it, and it left only complete files. Two writers at the same time didn't mix, "
        "in processes or in threads."
    )


def _judge_two_at_once(answer: Callable[..., object], of: str) -> None:
    """Two tasks write the same part, each in its own process or thread; one ends while the other still writes.

    Both begin together. Then each waits about a second for the other to get that far, because an answer may hold a
    lock meanwhile.
    """
    write = _write_in_process if of == "process" else _write
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        path = Path(folder).resolve() / "parts" / "part.bin"
        path.parent.mkdir()
        tasks = [pool.submit(write, answer, number, str(path), folder) for number in (0, 1)]
        wait(tasks[:1])
        after_the_first = _is_whole(path)
        Path(folder, "look").touch()
        wait(tasks)
        if Path(folder, "alone").exists():
            raise NoVerdict(f"The other {of} didn't start within {_START:g} seconds, so we couldn't try two at once.")
        errors = [error for task in tasks if (error := task.exception()) is not None]
        if errors:
            raise TryNext(
                f"Two tasks wrote the same part at the same time, each in its own {of}, and one raised {errors[0]!r}."
            )
        if not after_the_first or not _is_whole(path):
            raise TryNext(
                f"Two tasks wrote the same part at the same time, each in its own {of}, and the file has the content "
                "of neither. Give each unfinished file its own name."
            )


_START = 10.0  # seconds in which both processes should have started
_CONTENTS = (b"one " * 90 + b"from the first task", b"another " * 20 + b"from the second task")


def _is_whole(path: Path) -> bool:
    return path.exists() and path.read_bytes() in _CONTENTS


def _write(answer: Callable[..., object], number: int, path: str, folder: str) -> None:
    """Write content `number` in two pieces. Marks in `folder` let the tasks begin together and continue in turns."""
    content = _CONTENTS[number]

    def wait_for(mark: str, seconds: float) -> bool:
        limit = pace.Limit(seconds)
        while not Path(folder, mark).exists() and limit.left():
            time.sleep(0.005)
        return Path(folder, mark).exists()

    def pieces() -> Iterator[bytes]:
        yield content[:7]
        if number == 1:
            Path(folder, "began").touch()
        wait_for(("began", "look")[number], 1)
        yield content[7:]

    Path(folder, f"ready-{number}").touch()
    if not wait_for(f"ready-{1 - number}", _START):
        Path(folder, "alone").touch()
        return
    answer(pieces(), path)


_IN_PROCESS = """
import sys
import cloudpickle

write, task = cloudpickle.loads(sys.stdin.buffer.read())
write(*task)
"""


def _write_in_process(*task: object) -> None:
    work = cloudpickle.dumps((_write, task))
    done = subprocess.run([sys.executable, "-c", _IN_PROCESS], input=work, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError("".join(done.stderr.decode(errors="replace").strip().splitlines()[-1:]))


# Steps during which a kill would leave half a file, or no file.
_AT_ANY_MOMENT = {
    "written": "It writes into the file with that name itself. A kill in the middle leaves half a file.",
    "removed": "It removes the old file before the new one is there. A kill in between leaves no file.",
    "carried": "It writes in another folder, which may be on another disk. Then a rename fails, and `shutil.move` "
    "copies, which a kill can interrupt. Write next to `path`.",
}

# In a separate process, because an audit hook stays until its process ends.
_LISTEN = """
import json, os, sys
import cloudpickle

answer, pieces, path = cloudpickle.loads(sys.stdin.buffer.read())
deeds = []


def is_it(name):
    return isinstance(name, (str, bytes, os.PathLike)) and os.path.abspath(os.fsdecode(name)) == path


def listen(event, arguments):
    if event == "open" and is_it(arguments[0]) and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
        deeds.append("written")
    elif event == "os.remove" and is_it(arguments[0]) or event == "os.rename" and is_it(arguments[0]):
        deeds.append("removed")
    elif event == "os.rename" and is_it(arguments[1]):
        source = os.path.abspath(os.fsdecode(arguments[0]))
        if not source.startswith(os.path.join(os.path.dirname(path), "")):  # a folder below is on the same disk
            deeds.append("carried")


sys.addaudithook(listen)
answer(iter(pieces), path)
print('\\n' + json.dumps(deeds), file=sys.__stdout__)  # after the answer's own output, on a new line
"""


def _deeds(answer: Callable[..., object], before: bytes | None) -> list[str]:
    """What `answer` does to a file, from Python's audit events; `before` is what's in it, if it exists."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder).resolve() / "part.bin"
        in_place = []
        if before is not None:
            path.write_bytes(before)
            os.link(path, old := path.with_name("old"))  # audit events tell nothing of what other programs write
        done = _in_process(_LISTEN, answer, _PIECES, str(path))
        if before is not None and old.read_bytes() != before:
            in_place = ["written"]
    if done.returncode:
        raise TryNext(f"In a separate process, it failed: {_last_line(done)}")
    deeds: list[str] = json.loads(done.stdout.splitlines()[-1])
    if before is None:  # then there's nothing to remove
        deeds = [deed for deed in deeds if deed != "removed"]
    return deeds or in_place


# A kill, unlike an exception, runs no `except` and no `finally`.
_DIE = """
import os, signal, sys
import cloudpickle

answer, pieces, path = cloudpickle.loads(sys.stdin.buffer.read())


def until_killed():
    yield from pieces
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))  # on Windows, any signal ends the process


answer(until_killed(), path)
"""

_AGAIN = """
import sys
import cloudpickle

answer, pieces, path = cloudpickle.loads(sys.stdin.buffer.read())
answer(iter(pieces), path)
"""
_PATIENCE = 4.0  # seconds for a call that takes milliseconds


def _judge_after_a_kill(answer: Callable[..., object], before: bytes | None) -> None:
    """A killed call leaves the old file or none, and doesn't stop the next call."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder).resolve() / "part.bin"
        if before is not None:
            path.write_bytes(before)
        _in_process(_DIE, answer, _PIECES[:2], str(path))
        if (path.read_bytes() if path.exists() else None) != before:
            kept = "no file with that name" if before is None else "the complete old file"
            raise TryNext(f"We killed it after two pieces. Afterward, there should be {kept}.")
        try:
            done = _in_process(_AGAIN, answer, _PIECES, str(path), seconds=_PATIENCE * pace.slowness())
        except subprocess.TimeoutExpired:
            raise TryNext(
                "We killed it after two pieces and called it again, and the second call never came back. A kill runs "
                "no `finally`, so what a killed call leaves behind, such as a lock file, mustn't stop the next one."
            ) from None
        if done.returncode:
            raise TryNext(f"We killed it after two pieces and called it again, and that failed: {_last_line(done)}")
        if not path.exists() or path.read_bytes() != b"".join(_PIECES):
            raise TryNext("We killed it after two pieces and called it again. Then the file should have all pieces.")


def _in_process(
    program: str, answer: Callable[..., object], pieces: tuple[bytes, ...], path: str, seconds: float | None = None
) -> subprocess.CompletedProcess[bytes]:
    work = cloudpickle.dumps((answer, pieces, path))
    words = [sys.executable, "-c", program]
    return subprocess.run(words, input=work, capture_output=True, check=False, timeout=seconds)


def _last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    return "".join(done.stderr.decode(errors="replace").strip().splitlines()[-1:])


def _solve_write_safely(pieces, path):
    import uuid
    from pathlib import Path

    unfinished = Path(f"{path}.{uuid.uuid4()}.tmp")
    with unfinished.open("wb") as file:
        for piece in pieces:
            file.write(piece)
    unfinished.replace(path)


write_safely = Exercise(
    variable="write_safely",
    judge=_judge_write_safely,
    solve=_solve_write_safely,
    hints=(
        "Write to another name first. When the file is complete, rename it.",
        "`Path.replace` replaces another file in one step. `uuid.uuid4()` gives a name that no other task uses.",
    ),
    is_function=True,
    apart=True,
)
