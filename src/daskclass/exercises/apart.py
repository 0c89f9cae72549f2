"""How does a judge call an answer that may never return? In a separate process, with a time limit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import cloudpickle

from daskclass.system import pace, processes

SECONDS = 15.0  # on an idle, recent machine; `pace.Limit` gives a slower one longer
SHOWN = 10_000  # characters of an answer's output
_PRINTED = 32_000_000  # bytes that an answer may write to a file, on systems that can limit it
_MARK = "DASKCLASS_JUDGE"  # in the environment of the judge's process, and of all that descend from it
_MAIN = "from daskclass.exercises import apart; apart.main()"


class TryNext(Exception):
    """A judge raises it for a wrong answer. Its text tells the learner what to try next."""


class NoVerdict(Exception):
    """There is no verdict, neither right nor wrong. The text says why."""


def run(judge: Callable[..., str], *arguments: object, seconds: float | None = None) -> str:
    """Let `judge` look at an answer in another process, and return its praise.

    The first part of the answer's output is printed here. Processes that the answer leaves behind are killed. The
    judge's process runs in a temporary folder.

    Parameters
    ----------
    judge : callable
        Takes `arguments`. It has to be a module-level function.
    *arguments : object
        The answer, and anything else the judge needs. cloudpickle sends them to the other process.
    seconds : float, optional
        The time limit on an idle, recent machine, `SECONDS` by default. A slower or busier one gets longer, in
        proportion.

    Raises
    ------
    TryNext
        With the judge's advice.
    NoVerdict
        If the answer can't be sent, takes too long or ends its process, if the judge itself failed on it, or if the
        judge says so.
    """
    seconds = SECONDS if seconds is None else seconds
    try:
        work = cloudpickle.dumps((judge, arguments))
    except Exception as error:  # a learner's variables can raise anything when they are pickled
        raise NoVerdict(
            f"We couldn't send it to another process ({reason(error)}). Use only the arguments that it gets."
        ) from error
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        orders, said, verdict = (Path(folder, name) for name in ("orders", "said", "verdict"))
        orders.write_bytes(work)
        (place := Path(folder, "place")).mkdir()
        (scratch := Path(folder, "t")).mkdir()  # for temporary files, which stay when a process is killed
        mark = uuid.uuid4().hex
        with orders.open("rb") as stdin, said.open("w+b") as output:
            process = subprocess.Popen(
                [sys.executable, "-u", "-c", _MAIN, str(verdict)],  # in the order in which it was printed
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=place,
                env=os.environ | {_MARK: mark} | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch)),
                start_new_session=os.name == "posix",
            )
            limit = pace.Limit(seconds)
            status: int | None = None
            try:
                while status is None and (left := limit.left()):
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        status = process.wait(left)
            finally:
                process.kill()
                processes.kill_session(process.pid)
                processes.kill(processes.carrying(_MARK, mark))  # also those in sessions of their own
                process.wait()
            _show(output)
        if status is None:
            raise NoVerdict(f"It was still running after {limit.elapsed:.0f} seconds. Is it waiting for something?")
        if os.name == "posix" and status == -signal.SIGKILL:
            raise NoVerdict(
                f"Something killed its process (exit status {status}). That also happens when it runs out of memory."
            )
        try:
            kind, words = cloudpickle.loads(verdict.read_bytes())
        except FileNotFoundError:
            raise NoVerdict(
                f"Its process ended without a result (exit status {status}). Let it return, and don't delete the "
                "folder it runs in."
            ) from None
    if kind == "praise":
        return str(words)
    raise TryNext(words) if kind == "advice" else NoVerdict(words)


def _show(output: BinaryIO) -> None:
    """Print the start of an answer's output. Its file is open, because the answer may have deleted the folder."""
    output.seek(0)
    text = output.read(4 * SHOWN).decode("utf-8", errors="replace").replace(os.linesep, "\n")
    if text:
        print(text[:SHOWN], end="" if len(text) <= SHOWN else "…\n")


def reason(error: BaseException) -> str:
    """The type and the text of an error; the type alone if it has no text, or none that can be read."""
    try:
        text = str(error)
    except Exception:  # a learner's own class
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def unchecked(error: Exception) -> str:
    """What to say if a judge fails on an answer."""
    return f"We couldn't check it ({reason(error)}). Is it the kind of thing that the exercise asks for?"


def main() -> None:
    """Run the judge, in the other process."""
    _protect()
    try:
        judge, arguments = cloudpickle.loads(sys.stdin.buffer.read())
        verdict = "praise", judge(*arguments)
    except TryNext as advice:
        verdict = "advice", str(advice)
    except NoVerdict as why:
        verdict = "failure", str(why)
    except Exception as error:
        verdict = "failure", unchecked(error)
    Path(sys.argv[1]).write_bytes(cloudpickle.dumps(verdict))


def _protect() -> None:
    """Keep an answer from filling the disk, and make the kernel kill this process rather than the notebook's."""
    if os.name == "posix":
        import resource

        _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        most = _PRINTED if hard == resource.RLIM_INFINITY else min(_PRINTED, hard)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # without it, the kernel picks by size alone
            Path("/proc/self/oom_score_adj").write_text("1000")
