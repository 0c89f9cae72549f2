"""Which processes came of one, how much memory do they hold, and how does one end them all?"""

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

    On Linux without the pages of files, such as libraries, which the kernel can drop and may have charged to another
    control group.
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
    """The children of `process`, theirs, and so on; none if it has ended, also if its number is another one's now."""
    try:
        return set(process.children(recursive=True))
    except psutil.Error:
        return set()


def carrying(variable: str, value: str) -> set[psutil.Process]:
    """Processes whose environment has `variable` set to `value`: what came of one, wherever it went."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # not ours to look into, or just gone
            if process.environ().get(variable) == value:
                found.add(process)
    return found


def is_alive(process: psutil.Process) -> bool:
    """Whether `process` is there and no zombie, which is gone but for its exit status."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def described(process: psutil.Process) -> str:
    """The command line of `process` and its number, for people."""
    try:
        words = " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        words = "a process"
    return f"{words if len(words) <= 100 else words[:99] + '…'} (process {process.pid})"


def end(living: Callable[[], Collection[psutil.Process]], *, mercy: float) -> None:
    """Ask processes to end, and kill those that are still there `mercy` seconds later.

    Parameters
    ----------
    living : callable
        Those to end. It is asked again before they are killed, because the end of one can start another.
    mercy : float
        Seconds; as long again is waited for those that were killed.
    """
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        there = living()
        for process in there:
            with contextlib.suppress(psutil.NoSuchProcess):
                ask(process)
        psutil.wait_procs(there, timeout=mercy)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill them at once; those that have ended, or are not ours, are passed over."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def kill_session(leader: int) -> None:
    """Kill what is left of the process group that `leader` began with its session, orphans too. On Windows: nothing."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
