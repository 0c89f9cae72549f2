"""What came of a kernel: how much memory did it all hold together, and what stayed when the kernel had gone?"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil

from daskclass import limits

MARK = "DASKCLASS_REHEARSAL"
"""Variable that a kernel's descendants inherit, so that they are found again wherever they went."""

_INTERVAL = 0.1  # seconds between looks at memory
_CENSUS = 5  # looks between two searches for new children: those go through all processes of the machine
_PATIENCE = 10.0  # seconds in which what a kernel started may end by itself after it
_MERCY = 5.0  # seconds between asking a process to end and killing it


@dataclass
class Family:
    """A process and all that came of it, also what was orphaned or made a session of its own.

    Attributes
    ----------
    mark : str
        Value of the variable `MARK` in the environment of the head and so of everybody else.
    peak : int
        The most memory that all held at the same time, in bytes, as `limits.held` counts it.
    """

    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    peak: int = 0
    _members: set[psutil.Process] = field(default_factory=set, repr=False)

    @contextlib.contextmanager
    def watched(self, pid: int) -> Iterator[None]:
        """Look at the process `pid` and its descendants while the block runs."""
        head, done = psutil.Process(pid), threading.Event()
        self._members.add(head)

        def look() -> None:
            looks = 0
            while not done.wait(_INTERVAL):
                if looks % _CENSUS == 0:
                    with contextlib.suppress(psutil.Error):
                        self._members |= set(head.children(recursive=True))
                self.peak = max(self.peak, sum(map(limits.held, self._members)))
                looks += 1

        watcher = threading.Thread(target=look, name="memory of a kernel", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            with contextlib.suppress(psutil.Error):  # who came after the last look
                self._members |= set(head.children(recursive=True))

    def end(self) -> list[str]:
        """End who is still there some seconds after the head has ended, and say who it was.

        Returns
        -------
        list of str
            Command line and number of each process that had to be ended.
        """
        _gone, left = psutil.wait_procs(self._living(), timeout=_PATIENCE)
        said = [_described(process) for process in left]
        for how, seconds in (("terminate", _MERCY), ("kill", _MERCY)):
            living = self._living()  # anew, because an end can start something
            for process in living:
                with contextlib.suppress(psutil.NoSuchProcess):
                    getattr(process, how)()
            psutil.wait_procs(living, timeout=seconds)
        return said

    def _living(self) -> list[psutil.Process]:
        self._members |= set(limits.carrying(MARK, self.mark))
        return [process for process in self._members if _alive(process)]


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _described(process: psutil.Process) -> str:
    try:
        words = " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        words = "a process"
    return f"{words if len(words) <= 100 else words[:99] + '…'} (process {process.pid})"
