"""Is an answer of the kind that a judge asks for? The same number comes in many types."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from numbers import Integral, Real

import numpy as np
import pandas as pd


def number(answer: object) -> float | None:
    """`answer` as a float if it is a finite real number of any library, else None."""
    if isinstance(answer, np.ndarray) and answer.ndim == 0:
        answer = answer[()]
    if isinstance(answer, bool | np.bool_) or not isinstance(answer, Real | Decimal):
        return None
    try:
        value = float(answer)
    except (OverflowError, ValueError):  # more digits than a float holds, or a signaling NaN
        return None
    return value if math.isfinite(value) else None


def whole(answer: object) -> int | None:
    """`answer` as an int if it is a whole number of any type, such as 2.0, else None."""
    value = number(answer)
    if value is None or not value.is_integer():
        return None
    return int(answer) if isinstance(answer, Integral) else int(value)


def mapping(answer: object) -> dict[object, object] | None:
    """`answer` as a dictionary if it is a mapping or a pandas Series, else None."""
    return dict(answer.items()) if isinstance(answer, Mapping | pd.Series) else None
