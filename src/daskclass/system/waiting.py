"""How do we wait for something that sends no notification?"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

from daskclass.errors import Problem

_LOOK = 0.02  # seconds between two checks


def until(condition: Callable[[], Any], what: str, *, seconds: float = 60) -> Any:
    """Wait until `condition()` is true, and return its value. Use this for events that send no notification.

    Parameters
    ----------
    condition : callable
        Called fifty times a second.
    what : str
        What you wait for, as the error message should call it.
    seconds : float
        How long to wait.

    Returns
    -------
    object
        The first true value of `condition()`.

    Raises
    ------
    Problem
        If it isn't true in time.

    Examples
    --------
    `folder` is an empty folder. A thread makes a file in it a moment later.

    >>> import threading
    >>> from daskclass import watch
    >>> threading.Timer(0.1, (folder / "done").touch).start()
    >>> watch.until((folder / "done").exists, "the file")
    True

    It doesn't wait forever:

    >>> watch.until((folder / "more").exists, "the second file", seconds=0.1)
    Traceback (most recent call last):
        ...
    daskclass.errors.Problem: waited 0.1 s, and the second file did not happen; is the cluster still there and idle?
    """
    end = monotonic() + seconds
    while not (found := condition()):
        if monotonic() > end:
            raise Problem(f"waited {seconds:g} s, and {what} did not happen; is the cluster still there and idle?")
        sleep(_LOOK)
    return found
