"""Exercises of lab 01: partitions, exact answers, types."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from daskclass.exercises import kinds
from daskclass.exercises.exercise import Exercise, TryNext

if TYPE_CHECKING:
    from daskclass.sales import Sales

BLOCK = 40_000_000  # "40MB", as Dask reads it


def _judge_partitions(answer: object, sales: Sales) -> str:
    if kinds.number(answer) is None:
        raise TryNext("It should be a number of partitions.")
    nbytes = cast(int, sales.bytes)  # labs have the CSV
    exact = nbytes / BLOCK
    right = max(1, nbytes // BLOCK)
    count = kinds.whole(answer)
    if count is None:
        raise TryNext("There's no such thing as part of a partition. Which way does Dask round?")
    if count == max(1, nbytes // (40 * 2**20)) != right:
        raise TryNext(
            "That counts 40 MB as 40 × 2²⁰ bytes. Dask reads `40MB` as 40,000,000 bytes; `40MiB` is the larger one."
        )
    if count == math.ceil(exact) != right:
        raise TryNext("That puts a small remainder into an extra block. Dask makes the other blocks a little larger.")
    if count != right:
        raise TryNext("Divide the bytes of the file by the bytes of a block.")
    return f"{right} partition{'s' * (right > 1)} of about {nbytes / right / 1e6:.0f} MB each."


def _solve_partitions(sales):
    return max(1, sales.bytes // 40_000_000)


partitions = Exercise(
    variable="partitions",
    judge=_judge_partitions,
    solve=_solve_partitions,
    hints=(
        "`sales.bytes` is the size of the CSV. How many times do 40,000,000 bytes fit into it?",
        "Count whole blocks only (`//`); Dask spreads the remainder over them. A small file is still one partition.",
    ),
)


def _judge_mean_price(answer: object, sales: Sales) -> str:
    if kinds.number(answer) is not None:
        raise TryNext("That's one number. There should be one for each category.")
    means = kinds.mapping(answer)
    if means is None:
        raise TryNext("It should be a dictionary from category to mean price.")
    if missing := sorted(set(sales.answers) - set(means)):
        raise TryNext(f"{missing[0]} is missing.")
    if extra := sorted(map(str, set(means) - set(sales.answers))):
        raise TryNext(f"{extra[0]} isn't a category.")
    prices = {name: number for name, mean in means.items() if (number := kinds.number(mean)) is not None}
    if wrong := sorted(set(sales.answers) - set(prices)):
        raise TryNext(f"The value for {wrong[0]} should be a number.")

    def all_near(numerator: str, denominator: str, divisor: int = 1) -> bool:
        return all(
            math.isclose(prices[name], exact[numerator] / exact[denominator] / divisor, rel_tol=1e-7)
            for name, exact in sales.answers.items()
        )

    if all_near("price_cents", "rows", 100):
        return "Two exact integers and one division. Any program that computes this from the file has to agree."
    if all_near("price_cents", "rows"):
        raise TryNext("These are cents. The prices in the file are in whole units.")
    if all_near("revenue_cents", "rows", 100) or all_near("revenue_cents", "quantity", 100):
        raise TryNext("That uses the revenue, which is price times quantity. The question is about the price alone.")
    if all_near("price_cents", "quantity", 100):
        raise TryNext("That divides by the items sold. Each row has one price, so divide by the rows.")
    if all(
        abs(prices[name] * exact["rows"] * 100 / exact["price_cents"] - 1) < 0.02
        for name, exact in sales.answers.items()
    ):
        raise TryNext("That's close, but rounded or computed from a sample. Divide the exact sums, and don't round.")
    raise TryNext("For each category, divide the sum of the prices by the number of rows.")


def _solve_mean_price(sales):
    return {category: exact["price_cents"] / exact["rows"] / 100 for category, exact in sales.answers.items()}


mean_price = Exercise(
    variable="mean_price",
    judge=_judge_mean_price,
    solve=_solve_mean_price,
    hints=(
        "`sales.answers['Toys']` has both numbers that you need: a sum in cents, and a count.",
        "Compute `price_cents / rows / 100` in a dictionary comprehension over `sales.answers.items()`.",
    ),
)

_SIGNED = ("int8", "int16", "int32", "int64")


def _largest(sales: Sales) -> dict[str, int]:
    return {"order_id": 1_000_000_000 + sales.rows, "customer": 600_000, "quantity": 4}


def _judge_types(answer: object, sales: Sales) -> str:
    largest = _largest(sales)
    chosen: dict[Any, Any] | None = kinds.mapping(answer)
    if chosen is None or set(chosen) != set(largest):
        raise TryNext(f"It should be a dictionary with the keys {', '.join(largest)}.")
    for column, most in largest.items():
        try:
            kind: np.dtype[Any] = np.dtype(chosen[column])
        except (TypeError, ValueError, SyntaxError):  # all of them come from NumPy's parser of types
            raise TryNext(f"NumPy doesn't know the type `{chosen[column]!r}` for {column}.") from None
        if kind.name not in _SIGNED:
            raise TryNext(f"For {column}, choose one of {', '.join(_SIGNED)}.")
        if np.iinfo(kind).max < most:
            raise TryNext(
                f"{column} goes up to {most:,}, and {kind.name} ends at {np.iinfo(kind).max:,}. Numbers would wrap."
            )
        smallest = next(name for name in _SIGNED if np.iinfo(name).max >= most)
        if kind.name != smallest:
            raise TryNext(f"{kind.name} holds {column}, but a smaller type does too.")
    saved = sum(8 - np.dtype(chosen[column]).itemsize for column in largest)
    total = saved * sales.rows / 1e6
    return f"Compared to int64, that saves {saved} bytes of memory per row, or {total:,.0f} MB for all rows."


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
        "`numpy.iinfo('int16').max` is the largest number that the type holds.",
        "int8 ends at 127, int16 at 32,767, int32 at 2,147,483,647.",
    ),
)
