"""Exercises of lab 01: partitions, exact answers, types."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from daskclass.exercises.exercise import Exercise, TryNext

if TYPE_CHECKING:
    from daskclass.sales import Sales

BLOCK = 40_000_000  # "40MB", as Dask reads it


def _judge_partitions(answer: Any, sales: Sales) -> str:
    is_number = isinstance(answer, Real) and not isinstance(answer, bool)
    if not is_number or not math.isfinite(answer):
        raise TryNext("It should be a number of partitions.")
    nbytes = cast(int, sales.bytes)  # labs have the CSV
    exact = nbytes / BLOCK
    right = max(1, nbytes // BLOCK)
    if answer != int(answer):
        raise TryNext("There is no part of a partition. Which way does Dask round?")
    if answer == max(1, nbytes // (40 * 2**20)) != right:
        raise TryNext(
            "That takes 40 MB for 40 × 2²⁰ bytes. Dask reads `40MB` as 40,000,000 bytes and `40MiB` as the other."
        )
    if answer == math.ceil(exact) != right:
        raise TryNext("That leaves a small rest for a block of its own. Dask makes the others a little larger.")
    if answer != right:
        raise TryNext("Divide the bytes of the file by the bytes of a block.")
    return f"{right} partition{'s' * (right > 1)} of about {nbytes / right / 1e6:.0f} MB each."


def _solve_partitions(sales):
    return max(1, sales.bytes // 40_000_000)


partitions = Exercise(
    variable="partitions",
    judge=_judge_partitions,
    solve=_solve_partitions,
    hints=(
        "`sales.bytes` is the size of the CSV. How often do 40,000,000 bytes go into it?",
        "Whole blocks only, and the rest is spread over them: `//`. A small file is still one partition.",
    ),
)


def _judge_mean_price(answer: Any, sales: Sales) -> str:
    if isinstance(answer, Real):
        raise TryNext("That is one number; there should be one for each category.")
    if hasattr(answer, "to_dict"):
        answer = answer.to_dict()
    if not isinstance(answer, dict):
        raise TryNext("It should be a dictionary from category to mean price.")
    if missing := sorted(set(sales.answers) - set(answer)):
        raise TryNext(f"{missing[0]} is missing.")
    if extra := sorted(map(str, set(answer) - set(sales.answers))):
        raise TryNext(f"{extra[0]} is not a category.")

    def all_near(numerator: str, denominator: str, divisor: int = 1) -> bool:
        return all(
            isinstance(answer[name], Real)
            and math.isclose(answer[name], exact[numerator] / exact[denominator] / divisor, rel_tol=1e-9, abs_tol=0.005)
            for name, exact in sales.answers.items()
        )

    if all_near("price_cents", "rows", 100):
        return "Two exact integers and one division. Whatever computes this from the file has to agree."
    if all_near("price_cents", "rows"):
        raise TryNext("These are cents. The file has its prices in whole units.")
    if all_near("revenue_cents", "rows", 100) or all_near("revenue_cents", "quantity", 100):
        raise TryNext("That is made of the revenue, price times quantity. The question is about the price alone.")
    if all_near("price_cents", "quantity", 100):
        raise TryNext("That divides by the items sold. A price stands in a row, so divide by the rows.")
    if all(
        isinstance(answer[name], Real) and abs(answer[name] * exact["rows"] * 100 / exact["price_cents"] - 1) < 0.02
        for name, exact in sales.answers.items()
    ):
        raise TryNext("Close: it is rounded, or made from a sample. Divide the exact sums, and do not round.")
    raise TryNext("Divide the sum of the prices by the number of rows, category by category.")


def _solve_mean_price(sales):
    return {category: exact["price_cents"] / exact["rows"] / 100 for category, exact in sales.answers.items()}


mean_price = Exercise(
    variable="mean_price",
    judge=_judge_mean_price,
    solve=_solve_mean_price,
    hints=(
        "`sales.answers['Toys']` has what you need: a sum in cents, and a count.",
        "`price_cents / rows / 100`, in a dictionary comprehension over `sales.answers.items()`.",
    ),
)

_SIGNED = ("int8", "int16", "int32", "int64")


def _largest(sales: Sales) -> dict[str, int]:
    return {"order_id": 1_000_000_000 + sales.rows, "customer": 600_000, "quantity": 4}


def _judge_types(answer: object, sales: Sales) -> str:
    largest = _largest(sales)
    if not isinstance(answer, dict) or set(answer) != set(largest):
        raise TryNext(f"It should be a dictionary with the keys {', '.join(largest)}.")
    for column, most in largest.items():
        try:
            kind: np.dtype[Any] = np.dtype(answer[column])
        except (TypeError, ValueError, SyntaxError):  # whichever NumPy's parser of types stumbles over
            raise TryNext(f"`{answer[column]!r}` for {column} is not a type NumPy knows.") from None
        if kind.name not in _SIGNED:
            raise TryNext(f"For {column} choose among {', '.join(_SIGNED)}.")
        if np.iinfo(kind).max < most:
            raise TryNext(
                f"{column} goes up to {most:,}, and {kind.name} ends at {np.iinfo(kind).max:,}: numbers would wrap."
            )
        smallest = next(name for name in _SIGNED if np.iinfo(name).max >= most)
        if kind.name != smallest:
            raise TryNext(f"{kind.name} holds {column}, but a smaller type does too.")
    saved = sum(8 - np.dtype(answer[column]).itemsize for column in largest)
    return f"{saved} bytes a row saved against int64, {saved * sales.rows / 1e6:,.0f} MB over all rows, in memory."


def _solve_types(sales):
    return {
        "order_id": "int32" if 1_000_000_000 + sales.rows < 2**31 else "int64",
        "customer": "int32",
        "quantity": "int8",
    }


types = Exercise(
    variable="types",
    judge=_judge_types,
    solve=_solve_types,
    hints=(
        "`numpy.iinfo('int16').max` says how far a type goes.",
        "int8 ends at 127, int16 at 32,767, int32 at 2,147,483,647.",
    ),
)
