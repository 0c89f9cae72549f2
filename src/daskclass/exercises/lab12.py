"""Exercises of lab 12: what is still to do, and a file that is complete or not there."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import cloudpickle

from daskclass.exercises.exercise import Exercise, TryNext


def _judge_to_do(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the list of inputs and the folder.")
    with tempfile.TemporaryDirectory() as place:
        source, folder = Path(place) / "source", Path(place) / "parts"
        folder.mkdir()
        inputs = [str(source / f"part-{number}.parquet") for number in (3, 0, 2, 1, 4)]
        (folder / "part-0.parquet").write_bytes(b"complete")
        (folder / "part-1.parquet").write_bytes(b"complete, too")
        (folder / "part-2.0a1b.tmp").write_bytes(b"half")
        (folder / "part-3.parquet.tmp").write_bytes(b"half")
        (folder / "part-40.parquet").write_bytes(b"of another job")
        (folder / "notes.txt").write_bytes(b"no part at all")
        before = sorted(path.name for path in folder.iterdir())
        got = _called(answer, inputs, str(folder))
        if not isinstance(got, list | tuple) or not all(isinstance(path, str | Path) for path in got):
            raise TryNext("It should return a list of paths.")
        got = [str(path) for path in got]
        expected = [inputs[0], inputs[2], inputs[4]]
        if sorted(path.name for path in folder.iterdir()) != before:
            raise TryNext("It changed the folder. Only look.")
        if strangers := set(got) - set(inputs):
            raise TryNext(f"{min(strangers)} is not one of the inputs. Return inputs, and not parts.")
        if done := [Path(path).name for path in got if path in (inputs[1], inputs[3])]:
            raise TryNext(f"The part of {', '.join(sorted(done))} is finished, and it would be done again.")
        if left_out := [Path(path).name for path in expected if path not in got]:
            raise TryNext(f"Missing: {', '.join(left_out)}. Is a file that ends in `.tmp` a finished part?")
        if got != expected:
            raise TryNext("The right ones, and each of them should be there once, in the order of the inputs.")
        if _called(answer, inputs, str(folder / "not-yet")) != inputs:
            raise TryNext("Where there is no folder yet, everything is still to do.")
    return "Three of five, in order; of the two that somebody was writing, none is taken for finished."


def _called(answer: Callable[..., object], *arguments: object) -> object:
    try:
        got = answer(*arguments)
    except Exception as error:
        raise TryNext(f"It raised {type(error).__name__}: {error}") from error
    return [str(path) for path in got] if isinstance(got, tuple) else got


def _solve_to_do(inputs, folder):
    from pathlib import Path

    return [path for path in inputs if not (Path(folder) / Path(path).name).exists()]


to_do = Exercise(
    variable="to_do",
    judge=_judge_to_do,
    solve=_solve_to_do,
    hints=(
        "For each input: is there a file of the same name in the folder? `Path(path).name` is its name.",
        "`(Path(folder) / Path(path).name).exists()`",
    ),
    is_function=True,
    apart=True,
)

_PIECES = (b"the first piece, ", b"the second, ", b"and the last")


class _Killed(BaseException):
    """What stands in for a kill: nothing that catches exceptions catches it."""


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
                    raise TryNext(f"It raised {type(error).__name__}: {error}") from error
                else:
                    raise TryNext("An error came in the middle, and it did not pass it on. Let it through.")
                if (path.read_bytes() if path.exists() else None) != before:
                    kept = "no file of that name" if before is None else "the old one, whole"
                    raise TryNext(f"It was interrupted after two pieces, and there should be {kept}.")
            try:
                answer(iter(_PIECES), str(path))
            except Exception as error:
                raise TryNext(f"Uninterrupted, it raised {type(error).__name__}: {error}") from error
            if not path.is_file():
                raise TryNext("Uninterrupted, there should be a file of that name, and there is none.")
            if path.read_bytes() != whole:
                raise TryNext("Uninterrupted, the file should have all pieces, one after the other, and nothing else.")
            answer(iter(_PIECES[:1]), str(path))
            if path.read_bytes() != _PIECES[0]:
                raise TryNext("Written a second time with other pieces, the file should have those.")
    for deed in _deeds(answer):
        raise TryNext(_AT_ANY_MOMENT[deed])
    for of in ("process", "thread"):
        _judge_two_at_once(answer, of)
    return "Interrupted twice, it left whole files only. Two at once didn't mix, in processes or in threads."


def _judge_two_at_once(answer: Callable[..., object], of: str) -> None:
    """Two tasks write the same part, each in its own process or thread; one ends while the other still writes.

    Each waits a second at most for the other to get that far: an answer that takes a lock lets nobody in meanwhile.
    """
    write = _write_in_process if of == "process" else _write
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        path = Path(folder).resolve() / "parts" / "part.bin"
        path.parent.mkdir()
        tasks = [pool.submit(write, answer, number, str(path), folder) for number in (0, 1)]
        wait(tasks[:1])
        after_the_first = _is_whole(path)
        Path(folder, "look").touch()
        errors = [error for task in tasks if (error := task.exception()) is not None]
        if errors:
            raise TryNext(
                f"Two tasks wrote the same part at once, each in its own {of}, and one of them raised {errors[0]!r}."
            )
        if not after_the_first or not _is_whole(path):
            raise TryNext(
                f"Two tasks wrote the same part at once, each in its own {of}, and the file was neither one's. Give "
                "each unfinished file a name of its own."
            )


_CONTENTS = (b"one " * 90 + b"from the first task", b"another " * 20 + b"from the second task")


def _is_whole(path: Path) -> bool:
    return path.exists() and path.read_bytes() in _CONTENTS


def _write(answer: Callable[..., object], number: int, path: str, folder: str) -> None:
    """Write content `number` in two pieces. Marks in `folder` let the other task get on between them."""
    content, began, look = _CONTENTS[number], Path(folder, "began"), Path(folder, "look")

    def pieces() -> Iterator[bytes]:
        yield content[:7]
        if number == 1:
            began.touch()
        mark, end = (began, look)[number], time.monotonic() + 1
        while not mark.exists() and time.monotonic() < end:
            time.sleep(0.005)
        yield content[7:]

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


# What would leave half a file, or none, if a kill came in that moment, wherever that is.
_AT_ANY_MOMENT = {
    "written": "It writes into the file of that name itself. A kill in the middle of this leaves half a file.",
    "removed": "It takes the old file away before the new one is there. A kill in between leaves none.",
    "carried": "It writes in another folder, which may be on another disk: then the last step is a copy, not one step.",
}

# In a process of its own, since whatever listens to a process listens to it until its end.
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
        if os.path.dirname(source) != os.path.dirname(path):
            deeds.append("carried")


sys.addaudithook(listen)
answer(iter(pieces), path)
print(json.dumps(deeds), file=sys.__stdout__)
"""


def _deeds(answer: Callable[..., object]) -> list[str]:
    """What `answer` does to a file that is there, as Python's audit events tell it; it has to work."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder).resolve() / "part.bin"
        path.write_bytes(b"what was there before")
        work = cloudpickle.dumps((answer, _PIECES, str(path)))
        done = subprocess.run([sys.executable, "-c", _LISTEN], input=work, capture_output=True, check=False)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise TryNext(f"In a process of its own it failed: {''.join(last)}")
    deeds: list[str] = json.loads(done.stdout.splitlines()[-1])
    return deeds


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
        "Write to another name first. When all is written, give it the right one.",
        "`Path.replace` puts a file in the place of another in one step; `uuid.uuid4()` is a name nobody else has.",
    ),
    is_function=True,
    apart=True,
)
