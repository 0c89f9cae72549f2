"""How slow is this machine just now? A time limit that is fair on a fast machine isn't on a slow or busy one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

_USUAL = 0.06  # seconds in which an idle, recent machine starts Python with a few modules
_MOST = 10.0  # so that every wait ends, also on a machine that hardly runs
T = TypeVar("T")
_START = "from daskclass.system import processes"


def slowness() -> float:
    """How many times the usual time a process needs to start now: at least 1, at most 10.

    It starts one, so it measures slow cores as well as cores that are busy with something else.

    Examples
    --------
    >>> from daskclass.system import pace
    >>> 1 <= pace.slowness() <= 10
    True
    """
    began = monotonic()
    try:
        subprocess.run(
            [sys.executable, "-c", _START],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_MOST * _USUAL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _MOST
    return max(1.0, (monotonic() - began) / _USUAL)


class Limit:
    """A time limit that gives a slow machine longer, in proportion. It looks at the pace only where the time is up.

    Parameters
    ----------
    seconds : float
        The limit on an idle, recent machine. It counts from now.

    Examples
    --------
    >>> from daskclass.system import pace
    >>> limit = pace.Limit(60)
    >>> 59 < limit.left() <= 60
    True
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._began = monotonic()
        self._until = seconds

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return monotonic() - self._began

    def left(self) -> float:
        """Seconds to wait before you ask again; 0 if the time is up."""
        if self.elapsed >= self._until:  # not at each look: that would make the machine slower
            self._until = max(self._until, self.seconds * slowness())
        return max(0.0, self._until - self.elapsed)

    def within(self, wait: Callable[[float], T]) -> T:
        """What ``wait(seconds)`` returns. While it raises TimeoutError and time is left, it's called again."""
        while True:
            try:
                return wait(max(0.01, self.left()))  # of nothing, even what is there would be too late
            except TimeoutError:
                if not self.left():
                    raise
