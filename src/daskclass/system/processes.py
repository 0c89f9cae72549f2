"""Which processes descend from one, how much memory do they hold, and how do we stop them all?"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import psutil


def held(process: psutil.Process) -> int:
    """Resident memory of `process` in bytes; 0 if it has ended.

    On Linux, this doesn't include pages of files, such as libraries. The kernel can drop those, and may have charged
    them to another control group.
    """
    try:
        if sys.platform == "linux":
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            found = dict(line.split(":", 1) for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
            return sum(int(kib.split()[0]) for kib in found.values()) * 1024
        return int(process.memory_info().rss)
    except (OSError, psutil.Error):  # it has ended
        return 0


def descendants(process: psutil.Process) -> set[psutil.Process]:
    """The children of `process`, their children, and so on. Empty if it has ended, even if its ID is in use again."""
    try:
        return set(process.children(recursive=True))
    except psutil.Error:
        return set()


def carrying(variable: str, value: str) -> set[psutil.Process]:
    """Processes whose environment has `variable` set to `value`. This finds descendants that other ways miss."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # we may not read its environment, or it has just ended
            if process.environ().get(variable) == value:
                found.add(process)
    return found


def is_alive(process: psutil.Process) -> bool:
    """Whether `process` runs. A zombie doesn't count: only its exit status is left."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def described(process: psutil.Process) -> str:
    """The command line of `process` and its ID, for messages."""
    try:
        words = " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        words = "a process"
    return f"{words if len(words) <= 100 else words[:99] + '…'} (process {process.pid})"


def end(living: Callable[[], Collection[psutil.Process]], *, mercy: float) -> None:
    """Ask processes to stop, and kill those that still run `mercy` seconds later.

    Parameters
    ----------
    living : callable
        Returns the processes to stop. We call it again before killing, because the end of one can start another.
    mercy : float
        Seconds to wait; after killing, we wait that long again.
    """
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        there = living()
        for process in there:
            with contextlib.suppress(psutil.NoSuchProcess):
                ask(process)
        psutil.wait_procs(there, timeout=mercy)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill them at once. Skip processes that have ended or that we may not kill."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def kill_session(leader: int) -> None:
    """Kill what is left of the process group of `leader`'s session, orphans too. Does nothing on Windows."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
