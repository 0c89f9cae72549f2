"""How does a judge call an answer that may never return? In a process of its own, with a time limit."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cloudpickle
import psutil

from daskclass.system import processes

SECONDS = 15.0
_MAIN = "from daskclass.exercises import apart; apart.main()"


class TryNext(Exception):
    """Raised by a judge: the answer is wrong, and the text says what to try next."""


class NoVerdict(Exception):
    """The process of the judge did not come back with a verdict; the text says why."""


def run(judge: Callable[..., str], *arguments: object, seconds: float = SECONDS) -> str:
    """Let `judge` look at an answer in another process, and return its praise.

    What the answer prints is printed here. Processes that it leaves behind are killed. It runs in a folder of its own,
    which is deleted afterwards.

    Parameters
    ----------
    judge : callable
        Takes `arguments`. It has to be a module's function.
    *arguments : object
        The answer, and what else the judge wants. They travel to the other process with cloudpickle.
    seconds : float
        How long it may take.

    Raises
    ------
    TryNext
        What the judge said.
    NoVerdict
        If the answer cannot be sent, takes too long or ends its process, or the judge itself failed on it.
    """
    try:
        work = cloudpickle.dumps((judge, arguments))
    except Exception as error:  # whatever a learner's variables raise when they are pickled
        raise NoVerdict(
            f"It could not be sent to another process ({type(error).__name__}: {error}). Use only what it is given."
        ) from error
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        orders, said, verdict = (Path(folder, name) for name in ("orders", "said", "verdict"))
        orders.write_bytes(work)
        (place := Path(folder, "place")).mkdir()
        with orders.open("rb") as stdin, said.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", _MAIN, str(verdict)],
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=place,
                start_new_session=os.name == "posix",
            )
        try:
            status: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            left = processes.descendants(psutil.Process(process.pid)) if process.poll() is None else set()
            processes.kill_session(process.pid)
            processes.kill(left)
            process.kill()
            process.wait()
        if text := said.read_text(encoding="utf-8", errors="replace"):
            print(text, end="")
        if status is None:
            raise NoVerdict(f"It did not come to an end within {seconds:g} seconds. Does it wait for something?")
        if not verdict.exists():
            raise NoVerdict(f"It ended its own process (exit status {status}). Let it return instead.")
        kind, words = cloudpickle.loads(verdict.read_bytes())
    if kind == "praise":
        return str(words)
    raise TryNext(words) if kind == "advice" else NoVerdict(words)


def main() -> None:
    """What the other process does."""
    try:
        judge, arguments = cloudpickle.loads(sys.stdin.buffer.read())
        verdict = "praise", judge(*arguments)
    except TryNext as advice:
        verdict = "advice", str(advice)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        verdict = "failure", f"It could not be checked ({reason}). Is it of the kind that is asked for?"
    Path(sys.argv[1]).write_bytes(cloudpickle.dumps(verdict))
