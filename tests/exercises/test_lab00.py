import functools
import inspect
import itertools
import statistics
from collections import Counter, defaultdict
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from daskclass.exercises import apart, lab00

MEANS = {"Toys": 15.0, "Books": 22.5}


class Cluster:
    """As much of a client as the judge asks for."""

    def __init__(self, *threads):
        self._threads = {f"tcp://127.0.0.1:{port}": count for port, count in enumerate(threads, start=1)}

    def nthreads(self):
        return self._threads


def raises(orders):
    return orders[0][2]


def divides_by_zero(orders):
    return MEANS if orders else 1 / len(orders)


def says_nothing(orders):
    print(len(orders))


def only_the_example(orders):
    return dict(MEANS)


def hard_coded(orders):
    return dict(MEANS) if orders else {}


def rounded(orders):
    return {name: round(mean, 1) for name, mean in lab00._solve_mean_price(orders).items()}


def categories_it_knows(orders):
    means = lab00._solve_mean_price(orders)
    return {name: means[name] for name in ("Toys", "Books") if name in means}


async def coroutine(orders):
    return lab00._solve_mean_price(orders)


def asks(orders):
    return {input(): 15.0}


_seen: list = []


def keeps_what_it_saw(orders):
    _seen.extend(orders)
    return lab00._solve_mean_price(_seen)


def middle_price(orders):
    names = {name for name, _price in orders}
    return {name: statistics.median(price for other, price in orders if other == name) for name in names}


def whole_prices(orders):
    return {name: mean // 0.5 * 0.5 for name, mean in lab00._solve_mean_price(orders).items()}


def means(answer):
    return lambda orders: dict(answer) if orders else {}


MEAN_PRICE = {
    "no function": (MEANS, "It should be a function"),
    "dots within": ("...", "It should be a function"),
    "raises": (raises, "raised `IndexError: tuple index out of range`"),
    "raises for no orders": (
        divides_by_zero,
        "For no orders (`mean_price([])`), it raised `ZeroDivisionError",
    ),
    "no return": (says_nothing, "Is there a `return`?"),
    "a class": (Counter, "the keys are [\"('Books', 20.0)"),
    "a coroutine": (coroutine, "returned a coroutine"),
    "asks": (asks, "it raised `EOFError"),
    "keeps what it saw": (keeps_what_it_saw, "For no orders, it returned {'Toys': 15.0"),
    "median": (middle_price, "Work out the mean of one category by hand"),
    "of integers": (whole_prices, "Work out the mean of one category by hand"),
    "one number": (lambda orders: sum(price for _, price in orders) / max(len(orders), 1), "a single number, 18.0"),
    "one number for all orders there are": (lambda orders: 18.0, "a single number, 18.0"),
    "pairs": (lambda orders: list(MEANS.items()), "returned a list"),
    "series": (lambda orders: pd.Series(MEANS), "returned a Series"),
    "other keys": (
        means({"toys": 15.0, "Books": 22.5}),
        "the keys are ['Books', 'toys']. They should be the categories ['Books', 'Toys']",
    ),
    "a key too few": (means({"Toys": 15.0}), "For the five orders, the keys are ['Toys']"),
    "keys of two types": (means({"Toys": 15.0, 1: 2}), "the keys are ['1', 'Toys']"),
    "sums": (means({"Toys": 45.0, "Books": 45.0}), "These are the sums"),
    "other numbers": (means({"Toys": 15.0, "Books": 20.0}), "Work out the mean of one category by hand"),
    "texts": (means({"Toys": "15", "Books": "22.5"}), "Each should be one number"),
    "arrays": (means({"Toys": np.array([10, 30, 5]), "Books": np.array([20, 25])}), "Each should be one number"),
    "hard-coded": (hard_coded, "the keys are ['Books', 'Toys']. They should be the categories ['"),
    "rounded": (rounded, "Work out the mean of one category by hand"),
    "only two categories": (categories_it_knows, "They should be the categories ['"),
    "something for nothing": (only_the_example, "For no orders, it returned {'Toys': 15.0, 'Books': 22.5}"),
}
OTHERS = {
    "lazy text": (lab00.lazy, "2550", {}, "The plan stands for a number"),
    "lazy bool": (lab00.lazy, True, {}, "The plan stands for a number"),
    "lazy None": (lab00.lazy, None, {}, "The plan stands for a number"),
    "lazy tuple": (lab00.lazy, (2550,), {}, "Take the number out of it"),
    "lazy list": (lab00.lazy, [2550], {}, "Take the number out of it"),
    "lazy units": (lab00.lazy, 25.5, {}, "turns prices into cents first"),
    "lazy number": (lab00.lazy, 2551, {}, "The plan adds up to a different number"),
    "lazy NaN": (lab00.lazy, float("nan"), {}, "The plan stands for a number"),
    "slots by worker": (
        lab00.slots,
        {"a": 1, "b": 1},
        {"client": Cluster(1, 1)},
        "Give one number for the whole cluster",
    ),
    "slots text": (lab00.slots, "2", {"client": Cluster(1, 1)}, "a whole number of tasks"),
    "slots bool": (lab00.slots, True, {"client": Cluster(1)}, "a whole number of tasks"),
    "slots float": (lab00.slots, 2.5, {"client": Cluster(1, 1)}, "a whole number of tasks"),
    "slots workers": (lab00.slots, 2, {"client": Cluster(4, 4)}, "Each thread of a worker runs one task at a time"),
    "slots none": (lab00.slots, 0, {}, "Each thread of a worker runs one task at a time"),
}


def unfinished(client, plan):
    return [
        (lab00.lazy, plan, {}, "That's still the plan"),
        (lab00.lazy, client.submit(pow, 2, 3, pure=False), {}, "That's a future"),
    ]


# As functions of a notebook do, these travel with all that is in them.
for _function in [value for value in globals().values() if inspect.isfunction(value)]:
    if _function.__module__ == __name__:
        _function.__module__ = "__main__"


def never_ends(orders):
    while orders:
        pass


def test_a_loop_without_end_ends_in_a_verdict(monkeypatch, usual_pace):
    monkeypatch.setattr(apart, "SECONDS", 1)
    never_ends.__module__ = "__main__"
    verdict = lab00.mean_price.verdict(never_ends)
    assert verdict.state == "not yet"
    assert "It was still running after" in verdict.message


@pytest.mark.parametrize("name", MEAN_PRICE)
def test_a_wrong_mean_price_has_advice_of_its_own(name, capsys):
    answer, advice = MEAN_PRICE[name]
    verdict = lab00.mean_price.verdict(answer)
    assert verdict.state == "not yet"
    assert advice in verdict.message
    lab00.mean_price.check(answer)  # with orders of its own
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("✘ **Not yet.** ")
    assert advice in said


@pytest.mark.parametrize("name", OTHERS)
def test_a_wrong_answer_has_advice_of_its_own(name, judged):
    exercise, answer, instead, advice = OTHERS[name]
    verdict = judged(exercise, answer, **instead)
    assert verdict.state == "not yet"
    assert advice in verdict.message
    assert verdict.message.startswith(f"`{exercise.variable}` is `")


def test_plans_and_futures_are_told_apart(client, plan, judged):
    for exercise, answer, _instead, advice in unfinished(client, plan):
        verdict = judged(exercise, answer)
        assert verdict.state == "not yet"
        assert advice in verdict.message


def test_every_advice_is_reached(client, plan, unreached):
    rows = [(lab00.mean_price, answer, {}) for answer, _advice in MEAN_PRICE.values()]
    rows += [(exercise, answer, instead) for exercise, answer, instead, _advice in OTHERS.values()]
    rows += [(exercise, answer, instead) for exercise, answer, instead, _advice in unfinished(client, plan)]
    assert unreached(lab00, rows) == []


def test_no_advice_gives_the_answer_away(judged, plan):
    for exercise, answer, instead, _advice in OTHERS.values():
        if exercise is lab00.lazy and "2550" not in str(answer):
            assert "2550" not in judged(exercise, answer, **instead).message


@pytest.mark.parametrize("answer", [2, 2.0, np.int64(2), pd.Series({"a": 1, "b": 1}).sum(), np.array(2)])
def test_slots_may_be_a_number_of_any_type(answer):
    assert lab00.slots.verdict(answer, Cluster(1, 1)).state == "right"


@pytest.mark.parametrize("answer", [2550, 2550.0, np.int64(2550), np.array(2550), Decimal("2550")])
def test_the_sum_may_be_a_number_of_any_type(answer):
    assert lab00.lazy.verdict(answer).state == "right"


@pytest.mark.parametrize(
    ("threads", "praise"),
    [
        ((1, 1), "2 threads on 2 workers. One more task would have to wait its turn. Counting the workers"),
        ((2,), "2 threads on 1 worker. One more task would have to wait its turn."),
        ((4, 4), "8 threads on 2 workers. One more task would have to wait its turn."),
    ],
)
def test_slots_are_those_of_the_cluster_at_hand(threads, praise):
    verdict = lab00.slots.verdict(sum(threads), Cluster(*threads))
    assert verdict.state == "right"
    assert verdict.message.startswith(praise)
    assert ("Counting" in verdict.message) == (len(threads) == sum(threads))


def with_pandas(orders):
    return pd.DataFrame(orders, columns=["category", "price"]).groupby("category").price.mean().to_dict()


def with_numpy(orders):
    names, prices = np.array([name for name, _ in orders]), np.array([price for _, price in orders])
    return {str(name): prices[names == name].mean() for name in np.unique(names)}


def with_lists(orders):
    by_category = {}
    for category, price in orders:
        by_category.setdefault(category, []).append(price)
    return {category: statistics.mean(prices) for category, prices in by_category.items()}


def sorted_and_grouped(orders):
    groups = itertools.groupby(sorted(orders), key=lambda order: order[0])
    return {name: statistics.fmean(price for _, price in group) for name, group in groups}


def as_it_runs(orders):
    mean, count = defaultdict(float), Counter()
    for category, price in reversed(orders):
        count[category] += 1
        mean[category] += (price - mean[category]) / count[category]
    return mean


def in_decimals(orders):
    orders = [(category, Decimal(str(price))) for category, price in orders]
    return {name: statistics.mean(price for other, price in orders if other == name) for name, _ in orders}


def empties_its_list(orders):
    sums, counts = Counter(), Counter()
    while orders:
        category, price = orders.pop()
        sums[category] += price
        counts[category] += 1
    return {category: sums[category] / counts[category] for category in counts}


class Means:
    def __call__(self, orders):
        return with_lists(orders)


WAYS = with_pandas, with_numpy, with_lists, sorted_and_grouped, as_it_runs, in_decimals, empties_its_list

for _function in (Means, Means.__call__, *WAYS):
    _function.__module__ = "__main__"  # as above


@pytest.mark.parametrize("answer", [Means(), functools.partial(with_lists), *WAYS])
def test_other_ways_to_the_mean_are_right(answer):
    verdict = lab00.mean_price.verdict(answer)
    assert verdict.state == "right", verdict.message
