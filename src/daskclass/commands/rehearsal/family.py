"""A kernel and all its descendants: how much memory did they hold together, and what was left after the kernel?"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil

from daskclass.system import processes

MARK = "DASKCLASS_REHEARSAL"
"""Environment variable that a kernel's descendants inherit, so that we can find all of them."""

_INTERVAL = 0.1  # seconds between memory samples
_CENSUS = 5  # samples between searches for new children, which go through all processes of the machine
_PATIENCE = 10.0  # seconds in which a kernel's processes may end by themselves after it
_MERCY = 5.0  # seconds between asking a process to end and killing it


@dataclass
class Family:
    """A process and all its descendants, also orphans and processes in a session of their own.

    Attributes
    ----------
    mark : str
        Value of the variable `MARK` in the environment of the first process, and so of all others.
    peak : int
        The most memory that they held at the same time, in bytes, as `processes.held` counts it.
    """

    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    peak: int = 0
    _members: set[psutil.Process] = field(default_factory=set, repr=False)

    @contextlib.contextmanager
    def watched(self, pid: int) -> Iterator[None]:
        """Watch the process `pid` and its descendants while the block runs, and once more when it ends."""
        head, done = psutil.Process(pid), threading.Event()
        self._members.add(head)

        def look(census: bool) -> None:
            if census:
                self._members |= processes.descendants(head)
            self.peak = max(self.peak, sum(map(processes.held, self._members)))

        def keep_looking() -> None:
            looks = 0
            while not done.wait(_INTERVAL):
                look(census=looks % _CENSUS == 0)
                looks += 1

        watcher = threading.Thread(target=keep_looking, name="memory of a kernel", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            look(census=True)  # also at those that started after the last sample

    def end(self) -> list[str]:
        """Stop the processes that still run some seconds after the first process has ended, and list them.

        Returns
        -------
        list of str
            Command line and ID of each process that we had to stop.
        """
        _gone, left = psutil.wait_procs(self._living(), timeout=_PATIENCE)
        said = [processes.described(process) for process in left]
        processes.end(self._living, mercy=_MERCY)
        return said

    def _living(self) -> list[psutil.Process]:
        self._members |= processes.carrying(MARK, self.mark)
        return [process for process in self._members if processes.is_alive(process)]
