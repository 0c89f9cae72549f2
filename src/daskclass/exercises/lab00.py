"""Exercises of lab 00: Python that you should already know, and a first look at a cluster."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from numbers import Number, Real
from random import Random
from typing import TYPE_CHECKING, Any

from daskclass.errors import Problem
from daskclass.exercises import kinds
from daskclass.exercises.exercise import Exercise, TryNext

if TYPE_CHECKING:
    from distributed import Client

ORDERS = [("Toys", 10.0), ("Books", 20.0), ("Toys", 30.0), ("Books", 25.0), ("Toys", 5.0)]
CATEGORIES = ("Books", "Garden", "Music", "Toys")


def _judge_mean_price(mean_price: object) -> str:
    if not callable(mean_price):
        raise TryNext("It should be a function that takes the orders.")
    _judge_means(mean_price, ORDERS, "the five orders")
    nothing = _called(mean_price, [], "no orders (`mean_price([])`)")
    if nothing != {}:
        raise TryNext(f"For no orders, it returned {nothing!r}. No orders means no categories, so return {{}}.")
    # Orders that no answer can know in advance: a few categories, and prices whose means have many digits.
    draw = Random()
    for count in (1, 7, 200):
        orders = [(draw.choice(CATEGORIES), draw.randint(1, 99_999) / 100) for _ in range(count)]
        _judge_means(mean_price, orders, f"`{orders}`" if count < 10 else f"{count} orders")
    return "You add up and count each group, then divide once. A cluster follows the same plan."


def _judge_means(mean_price: Callable[..., object], orders: list[tuple[str, float]], what: str) -> None:
    solve: Callable[[list[tuple[str, float]]], dict[str, float]] = _solve_mean_price
    expected = solve(orders)
    got = _called(mean_price, list(orders), what)
    if got is None:
        raise TryNext("`mean_price` returned `None`. Is there a `return`?")
    if isinstance(got, Number):
        raise TryNext(f"`mean_price` returned a single number, {got}. It should return a mean for each category.")
    if not isinstance(got, dict):
        raise TryNext(
            f"`mean_price` returned a {type(got).__name__}. It should return a dictionary from category to mean."
        )
    if set(got) != set(expected):
        raise TryNext(
            f"For {what}, the keys are {sorted(map(str, got))}. They should be the categories {sorted(expected)}."
        )
    if not all(isinstance(price, Real | Decimal) for price in got.values()):
        raise TryNext(f"For {what}, the values are {list(got.values())}. Each should be one number.")
    sums = {category: sum(price for name, price in orders if name == category) for category in expected}
    if _close(got, sums) and not _close(sums, expected):
        raise TryNext("These are the sums. Divide each sum by the number of orders in its category.")
    if not _close(got, expected):
        raise TryNext(f"For {what}, it returned {got}. Work out the mean of one category by hand and compare.")


def _close(got: dict[str, Any], expected: dict[str, float]) -> bool:
    """Whether two dictionaries with the same keys have the same numbers, in whichever order they were added up."""
    return all(math.isclose(got[category], expected[category], rel_tol=1e-9) for category in expected)


def _called(function: Callable[..., object], orders: Sequence[tuple[str, float]], what: str) -> object:
    try:
        return function(orders)
    except Exception as error:  # the learner's own code
        raise TryNext(f"For {what}, it raised `{type(error).__name__}: {error}`.") from error


def _solve_mean_price(orders):
    from collections import defaultdict

    sums, counts = defaultdict(float), defaultdict(int)
    for category, price in orders:
        sums[category] += price
        counts[category] += 1
    return {category: sums[category] / counts[category] for category in sums}


mean_price = Exercise(
    variable="mean_price",
    judge=_judge_mean_price,
    solve=_solve_mean_price,
    is_function=True,
    apart=True,
    hints=(
        "Use two dictionaries, one for the sums and one for the counts, and one loop over the orders.",
        "In `for category, price in orders:`, add `price` to the category's sum and 1 to its count. Divide at the end.",
    ),
)


def _judge_lazy(answer: Any) -> str:
    if hasattr(answer, "__dask_graph__"):
        raise TryNext("That's still the plan. One of its methods runs it.")
    if hasattr(answer, "key") and hasattr(answer, "status"):
        raise TryNext("That's a future. The cluster is doing the work; ask the future for its result.")
    if isinstance(answer, list | tuple):
        raise TryNext("`dask.compute` returns a tuple with one result per argument. Take the number out of it.")
    cents = kinds.number(answer)
    if cents is None:
        raise TryNext("The plan stands for a number.")
    if cents == 25.5:
        raise TryNext("The plan turns prices into cents first. Let Dask do the sum.")
    if cents != 2550:
        raise TryNext("The plan adds up to a different number. Let Dask do the sum.")
    return "2550 cents. Dask adds nothing up until you ask. `plan` holds four tasks and the inputs of each."


def _solve_lazy(plan):
    return plan.compute()


lazy = Exercise(
    variable="answer",
    judge=_judge_lazy,
    solve=_solve_lazy,
    hints=(
        "Print `plan`. It's a `Delayed`. Type `plan.` and press Tab.",
        "The method has the same name on every Dask collection: `.compute()`.",
    ),
)


def _judge_slots(answer: object, client: Client) -> str:
    threads = client.nthreads()
    if isinstance(answer, dict):
        raise TryNext("That has an entry for each worker. Give one number for the whole cluster.")
    tasks = kinds.whole(answer)
    if tasks is None:
        raise TryNext("It should be a whole number of tasks.")
    total = sum(threads.values())
    if total == 0:
        raise Problem("The cluster has no workers at the moment. Wait until they are back, then run this cell again.")
    if tasks != total:
        raise TryNext("Each thread of a worker runs one task at a time. Ask the client for the threads.")
    workers = f"{len(threads)} worker{'s' * (len(threads) != 1)}"
    praise = f"{total} thread{'s' * (total != 1)} on {workers}. One more task would have to wait its turn."
    if total == len(threads):
        praise += " Counting the workers gives the same number here, but only because each worker has one thread."
    return praise


def _solve_slots(client):
    return sum(client.nthreads().values())


slots = Exercise(
    variable="slots",
    judge=_judge_slots,
    solve=_solve_slots,
    hints=(
        "A worker runs as many tasks at a time as it has threads. `client.nthreads()` tells you how many.",
        "`client.nthreads()` is a dictionary from worker to threads. Add up its values.",
    ),
)
