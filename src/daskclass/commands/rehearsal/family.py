"""What came of a kernel: how much memory did it all hold together, and what stayed when the kernel had gone?"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil

from daskclass.system import processes

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
        The most memory that all held at the same time, in bytes, as `processes.held` counts it.
    """

    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    peak: int = 0
    _members: set[psutil.Process] = field(default_factory=set, repr=False)

    @contextlib.contextmanager
    def watched(self, pid: int) -> Iterator[None]:
        """Look at the process `pid` and its descendants while the block runs, and once more when it ends."""
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
            look(census=True)  # also at those that came after the last look

    def end(self) -> list[str]:
        """End who is still there some seconds after the head has ended, and say who it was.

        Returns
        -------
        list of str
            Command line and number of each process that had to be ended.
        """
        _gone, left = psutil.wait_procs(self._living(), timeout=_PATIENCE)
        said = [processes.described(process) for process in left]
        processes.end(self._living, mercy=_MERCY)
        return said

    def _living(self) -> list[psutil.Process]:
        self._members |= processes.carrying(MARK, self.mark)
        return [process for process in self._members if processes.is_alive(process)]
