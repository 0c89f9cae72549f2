"""Exercises of lab 12: what is still to do, and a file that is complete or not there."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
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
)

_PIECES = (b"the first piece, ", b"the second, ", b"and the last")
_OTHER = b"from newer data, and longer. " * 5


class _PowerFailure(BaseException):
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
            for accident in (OSError("the disk is full"), _PowerFailure()):
                try:
                    answer(_interrupted(accident), str(path))
                except (OSError, _PowerFailure):
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
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.bin"
        try:
            answer(_writes_meanwhile(answer, str(path)), str(path))
        except OSError as error:
            raise TryNext(f"Two tasks wrote the same part at once, and it raised {type(error).__name__}.") from error
        if path.read_bytes() not in (whole, _OTHER):
            raise TryNext(
                "Two tasks wrote the same part at once, and mixed it. Give each unfinished file its own name."
            )
    return "Interrupted twice, and what was there was whole each time; two at once did not mix."


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


def _writes_meanwhile(answer: Callable[..., object], path: str) -> Iterator[bytes]:
    """The pieces; and in the middle, somebody else writes the same part, from newer data."""
    yield _PIECES[0]
    answer(iter([_OTHER]), path)
    yield from _PIECES[1:]


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
)
