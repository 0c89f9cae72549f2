"""How does one wait for what nobody can be told of?"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

from daskclass.errors import Problem

_LOOK = 0.02  # seconds between two looks at something that is waited for


def until(condition: Callable[[], Any], what: str, *, seconds: float = 60) -> Any:
    """Wait until `condition()` is true of something that nobody can be told of, and return what it returned.

    Parameters
    ----------
    condition : callable
        Looked at fifty times a second.
    what : str
        What is waited for, in the words of the message if it does not come.
    seconds : float
        How long to wait.

    Raises
    ------
    Problem
        If it is not true in time.
    """
    end = monotonic() + seconds
    while not (found := condition()):
        if monotonic() > end:
            raise Problem(f"waited {seconds:g} s, and {what} did not happen; is the cluster still there and idle?")
        sleep(_LOOK)
    return found
