"""Exercises of lab 00: what you should know already, and a first look at a cluster."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from numbers import Number, Real
from random import Random
from typing import TYPE_CHECKING, Any

from daskclass.exercises.exercise import Exercise, TryNext

if TYPE_CHECKING:
    from distributed import Client

ORDERS = [("Toys", 10.0), ("Books", 20.0), ("Toys", 30.0), ("Books", 25.0), ("Toys", 5.0)]
CATEGORIES = ("Books", "Garden", "Music", "Toys")


def _judge_mean_price(mean_price: object) -> str:
    if not callable(mean_price):
        raise TryNext("It has to be a function that takes the orders.")
    _judge_means(mean_price, ORDERS, "the five orders")
    nothing = _called(mean_price, [], "no orders (`mean_price([])`)")
    if nothing != {}:
        raise TryNext(
            f"For no orders, it returned {nothing!r}. Without orders there are no categories, so return {{}}."
        )
    # Orders that nobody can know beforehand: some categories, and prices whose means have many digits.
    draw = Random()
    for count in (1, 7, 200):
        orders = [(draw.choice(CATEGORIES), draw.randint(1, 99_999) / 100) for _ in range(count)]
        _judge_means(mean_price, orders, f"`{orders}`" if count < 10 else f"{count} orders")
    return "You add up and count each group, then divide once. A cluster does it by the same plan."


def _judge_means(mean_price: Callable[..., object], orders: list[tuple[str, float]], what: str) -> None:
    expected = _solve_mean_price(orders)
    got = _called(mean_price, list(orders), what)
    if got is None:
        raise TryNext("`mean_price` returned `None`. Is there a `return`?")
    if isinstance(got, Number):
        raise TryNext(f"`mean_price` returned the one number {got}. It should return a mean for each category.")
    if not isinstance(got, dict):
        raise TryNext(f"`mean_price` returned a {type(got).__name__}. It should return a dictionary by category.")
    if set(got) != set(expected):
        raise TryNext(
            f"For {what}, the keys are {sorted(map(str, got))}. They should be the categories, {sorted(expected)}."
        )
    if not all(isinstance(price, Real | Decimal) for price in got.values()):
        raise TryNext(f"For {what}, the values are {list(got.values())}. Each should be one number.")
    sums = {category: sum(price for name, price in orders if name == category) for category in expected}
    if _close(got, sums) and not _close(sums, expected):
        raise TryNext("These are the sums. Divide each one by the number of its orders.")
    if not _close(got, expected):
        raise TryNext(f"For {what}, it returned {got}. Work out the mean of one category by hand and compare.")


def _close(got: dict[str, Any], expected: dict[str, float]) -> bool:
    """Whether two dictionaries with the same keys have the same numbers, in whatever order somebody added them up."""
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
        "Two dictionaries, one for the sums and one for the counts, and one loop over the orders.",
        "`for category, price in orders:` add `price` to the category's sum and 1 to its count; divide at the end.",
    ),
)


def _judge_lazy(answer: Any) -> str:
    if hasattr(answer, "__dask_graph__"):
        raise TryNext("That is still the plan. One method of it carries the plan out.")
    if hasattr(answer, "key") and hasattr(answer, "status"):
        raise TryNext("That is a future: the work is under way on the cluster. Ask the future for its result.")
    if isinstance(answer, list | tuple):
        raise TryNext("`dask.compute` returns a tuple, one result for each argument. Take the number out of it.")
    is_number = isinstance(answer, Number) and not isinstance(answer, bool)
    if not is_number:
        raise TryNext("The plan stands for a number.")
    if answer == 25.5:
        raise TryNext("The plan turns prices into cents first; let Dask do the sum.")
    if answer != 2550:
        raise TryNext("That is not what the plan adds up to; let Dask do the sum.")
    return "2550 cents. Nothing is added up before somebody asks; `plan` is four tasks, and what each of them needs."


def _solve_lazy(plan):
    return plan.compute()


lazy = Exercise(
    variable="answer",
    judge=_judge_lazy,
    solve=_solve_lazy,
    hints=(
        "Print `plan`: it is a `Delayed`. Type `plan.` and press Tab.",
        "It has the same name on every Dask collection: `.compute()`.",
    ),
)


def _judge_slots(answer: object, client: Client) -> str:
    threads = client.nthreads()
    if isinstance(answer, dict):
        raise TryNext("That has an entry for each worker; what is wanted is one number for the whole cluster.")
    if isinstance(answer, bool) or not isinstance(answer, int):
        raise TryNext("It should be a whole number of tasks.")
    total = sum(threads.values())
    if answer != total:
        raise TryNext("Each thread of a worker runs one task at a time. Ask the client for the threads.")
    praise = f"{total} threads on {len(threads)} workers; one more task would have to wait its turn."
    if total == len(threads):
        praise += " Counting the workers gives the same here, only because each has one thread."
    return praise


def _solve_slots(client):
    return sum(client.nthreads().values())


slots = Exercise(
    variable="slots",
    judge=_judge_slots,
    solve=_solve_slots,
    hints=(
        "A worker runs as many tasks at a time as it has threads. The client knows them: `client.nthreads()`.",
        "`client.nthreads()` is a dictionary from worker to threads; add up its values.",
    ),
)
