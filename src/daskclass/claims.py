"""Is what the text says true here?

A claim is a sentence about Dask and a measured condition. It prints one line, the same at every size and on every
machine. Its numbers go to the rehearsal's report through the output's metadata, as
``{"claim", "holds", "evidence"}`` under ``daskclass``. A false claim fails its cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from IPython import get_ipython
from IPython.display import display

from daskclass.labs import METADATA

MARKS = {True: "✔", False: "✘", None: "–"}
"""Whether a claim holds; None if the lab didn't reach it."""


class ClaimIsFalse(AssertionError):
    """The text makes a claim that isn't true in this run."""

    def _render_traceback_(self) -> list[str]:  # IPython asks for it: the frames are not the lesson
        return [f"ClaimIsFalse: {self}"]


def claim(text: str, condition: Any, /, *, left_out: str | None = None, **evidence: Any) -> None:
    """Show `text` as a claim that holds if `condition` does, and keep `evidence` for the report.

    Parameters
    ----------
    text : str
        One sentence, on one line, without numbers of this run.
    condition : bool, or an array, Series, DataFrame, list or tuple of bools
        Of any shape. The claim holds if all values are true and there is at least one. ``None``, ``NaN`` and ``NA``
        are not true.
    left_out : str, optional
        Why the lab couldn't measure this here. Then the claim neither holds nor fails, and the line has ``–`` and the
        reason.
    **evidence
        The numbers behind the claim: numbers, strings, or collections of them.

    Raises
    ------
    ClaimIsFalse
        If the condition doesn't hold. The line with ``✘`` appears first.
    TypeError
        If the condition is not a comparison at all, such as a count, a string, or a Dask collection that hasn't been
        computed; or if `text` is not one line of text.

    Examples
    --------
    The line shows only the sentence. The numbers go to the rehearsal's report.

    >>> from daskclass.claims import claim
    >>> blocks, tasks = 4, 4
    >>> claim("Every block becomes a task", tasks == blocks, blocks=blocks, tasks=tasks)
    ✔ Every block becomes a task

    A false claim fails its cell, and its error has the numbers:

    >>> claim("Every block becomes a task", 3 == blocks, tasks=3)
    Traceback (most recent call last):
        ...
    daskclass.claims.ClaimIsFalse: Every block becomes a task. Measured: {'tasks': 3}
    """
    if not isinstance(text, str) or not text.strip() or "\n" in text:
        raise TypeError(f"a claim starts with its sentence, on one line; got {text!r}")
    holds = None if left_out else is_true(condition)
    numbers = {name: plain(value) for name, value in evidence.items()}
    line = as_line(text, holds) + (f" (left out: {left_out})" if left_out else "")
    if get_ipython() is None:
        print(line)
    else:
        found = {"claim": text, "holds": holds, "evidence": numbers}
        display({"text/plain": line}, metadata={METADATA: found}, raw=True)
    if holds is False:
        raise ClaimIsFalse(f"{text}. Measured: {numbers or 'no numbers given'}")


def as_line(text: str, holds: bool | None) -> str:
    """A claim as a line: ``✔`` if it holds, ``✘`` if it doesn't, ``–`` if the lab didn't reach it.

    Parameters
    ----------
    text : str
        The claim's sentence.
    holds : bool or None
        Whether it holds; None if the lab didn't reach it.

    Returns
    -------
    str

    Examples
    --------
    A report shows the claims that a lab reached, and the claims after a cell that failed.

    >>> from daskclass import claims
    >>> print(claims.as_line("The answer is exact", True))
    ✔ The answer is exact
    >>> print(claims.as_line("The second run reads nothing", None))
    – The second run reads nothing
    """
    return f"{MARKS[holds]} {text}"


def is_true(condition: Any) -> bool:
    """Whether all values of `condition` are true and there is at least one; see `claim`.

    Parameters
    ----------
    condition : bool, or an array, Series, DataFrame, list or tuple of bools
        Of any shape. Lists and tuples may be nested.

    Returns
    -------
    bool
        False also if the condition is empty, or a value is missing or masked.

    Raises
    ------
    TypeError
        If it is not a comparison at all, such as a count, a string, or a Dask collection that hasn't been computed.

    Examples
    --------
    A Series is true if each of its values is. An empty list is not true.

    >>> import pandas as pd
    >>> from daskclass import claims
    >>> claims.is_true(pd.Series([1, 2, 3]) > 0)
    True
    >>> claims.is_true([])
    False

    A number is not a comparison:

    >>> claims.is_true(3)
    Traceback (most recent call last):
        ...
    TypeError: a claim needs a comparison that is True or False; got int '3'
    """
    if condition is None or condition is pd.NA or condition is pd.NaT:
        return False
    if isinstance(condition, bool | np.bool_):
        return bool(condition)
    if isinstance(condition, float | np.floating) and math.isnan(condition):
        return False
    if isinstance(condition, list | tuple):
        return len(condition) > 0 and all(is_true(element) for element in condition)
    if isinstance(condition, pd.DataFrame):
        return condition.size > 0 and all(is_true(column) for _name, column in condition.items())
    # In a variable, so that types take it for anything: NumPy's stubs do not know pandas' arrays.
    is_array = isinstance(condition, np.ndarray | pd.Series | pd.Index | pd.api.extensions.ExtensionArray)
    if is_array:
        if len(np.shape(condition)) == 0:
            return is_true(condition.item())
        if np.ma.is_masked(condition):
            return False
        if pd.api.types.is_bool_dtype(condition.dtype):
            missing = pd.isna(condition) if not isinstance(condition, np.ndarray) else np.False_
            return np.size(condition) > 0 and not np.any(missing) and bool(np.all(condition))
        if condition.dtype == object:
            return np.size(condition) > 0 and all(is_true(element) for element in np.ravel(condition))
        if np.size(condition) == 0:
            return False
    if hasattr(condition, "__dask_graph__"):
        raise TypeError(f"a claim needs a result, but this hasn't been computed: call .compute() on {condition!r}")
    kind = type(condition).__name__
    raise TypeError(f"a claim needs a comparison that is True or False; got {kind} {str(condition)[:80]!r}")


def plain(value: Any) -> Any:
    """Turn `value` into what JSON can hold: numbers, strings, lists and dicts. Anything else becomes a string."""
    if value is None or isinstance(value, bool | np.bool_):
        return None if value is None else bool(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(element) for key, element in value.items()}
    if isinstance(value, pd.Series):
        return {str(key): plain(element) for key, element in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, set | frozenset):
        return sorted((plain(element) for element in value), key=str)
    if isinstance(value, list | tuple | range | pd.Index):
        return [plain(element) for element in value]
    return str(value)
