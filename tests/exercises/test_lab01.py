import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskclass.exercises import lab01

CLASS = SimpleNamespace(bytes=3 * 2**30, rows=61_000_000)  # 80.5 blocks of 40 MB, 76.8 of 40 MiB
SMALL = SimpleNamespace(bytes=1_000_000, rows=19_000)
HUGE = SimpleNamespace(bytes=100 * 10**9, rows=1_900_000_000)
ANSWERS = SimpleNamespace(
    answers={
        "Toys": {"rows": 4, "price_cents": 10_000, "quantity": 10, "revenue_cents": 27_000, "returned": 1},
        "Books": {"rows": 8, "price_cents": 4_000, "quantity": 20, "revenue_cents": 11_000, "returned": 0},
    }
)
RIGHT_TYPES = {"order_id": "int32", "customer": "int32", "quantity": "int8"}


def by_category(numerator, denominator, divisor=100):
    return {name: exact[numerator] / exact[denominator] / divisor for name, exact in ANSWERS.answers.items()}


PARTITIONS = {
    "text": ("50", CLASS, "It should be a number of partitions"),
    "bool": (True, CLASS, "It should be a number of partitions"),
    "None": (None, CLASS, "It should be a number of partitions"),
    "division": (CLASS.bytes / 40e6, CLASS, "no such thing as part of a partition"),
    "MiB": (76, CLASS, "That counts 40 MB as 40 × 2²⁰ bytes"),
    "rounded up": (81, CLASS, "That puts a small remainder into an extra block"),
    "other": (3, CLASS, "Divide the bytes of the file by the bytes of a block"),
    "none for a small file": (0, SMALL, "Divide the bytes of the file by the bytes of a block"),
    "NaN": (math.nan, CLASS, "It should be a number of partitions"),
    "digits": (10**400, CLASS, "It should be a number of partitions"),
    "infinite": (math.inf, CLASS, "It should be a number of partitions"),
    "complex": (50j, CLASS, "It should be a number of partitions"),
}
MEAN_PRICE = {
    "one number": (41.0, "That's one number"),
    "text": ("41", "It should be a dictionary"),
    "list": ([1, 2], "It should be a dictionary"),
    "a category too few": ({"Toys": 25.0}, "Books is missing"),
    "a category too many": ({"Toys": 25.0, "Books": 5.0, "Cars": 1.0}, "Cars isn't a category"),
    "cents": (by_category("price_cents", "rows", 1), "These are cents"),
    "revenue by row": (by_category("revenue_cents", "rows"), "That uses the revenue"),
    "revenue by item": (by_category("revenue_cents", "quantity"), "That uses the revenue"),
    "price by item": (by_category("price_cents", "quantity"), "That divides by the items sold"),
    "from a sample": ({"Toys": 25.2, "Books": 4.95}, "That's close, but rounded or computed from a sample"),
    "other": ({"Toys": 1.0, "Books": 1.0}, "For each category, divide the sum of the prices by the number"),
    "texts": ({"Toys": "25.0", "Books": "5.0"}, "The value for Books should be a number"),
    "NaN": ({"Toys": math.nan, "Books": 5.0}, "The value for Toys should be a number"),
    "frame": (pd.DataFrame({"Toys": [25.0], "Books": [5.0]}), "It should be a dictionary"),
    "complex": ({"Toys": 25j, "Books": 5.0}, "The value for Toys should be a number"),
}
TYPES = {
    "text": ("int8", CLASS, "a dictionary with the keys order_id, customer, quantity"),
    "a key too few": ({"order_id": "int32"}, CLASS, "a dictionary with the keys order_id, customer, quantity"),
    "unknown": (RIGHT_TYPES | {"customer": "integer"}, CLASS, "NumPy doesn't know the type `'integer'` for customer"),
    "of pandas": (RIGHT_TYPES | {"customer": "Int32"}, CLASS, "NumPy doesn't know the type `'Int32'` for customer"),
    "no expression": (RIGHT_TYPES | {"customer": ","}, CLASS, "NumPy doesn't know the type `','` for customer"),
    "fields": (
        RIGHT_TYPES | {"customer": {"names": ["a"]}},
        CLASS,
        "NumPy doesn't know the type `{'names': ['a']}` for customer",
    ),
    "unsigned": (RIGHT_TYPES | {"quantity": "uint8"}, CLASS, "For quantity, choose one of int8, int16, int32, int64"),
    "float": (RIGHT_TYPES | {"quantity": float}, CLASS, "For quantity, choose one of"),
    "too small": (RIGHT_TYPES | {"customer": "int16"}, CLASS, "customer goes up to 600,000, and int16 ends at 32,767"),
    "too small for many": (RIGHT_TYPES, HUGE, "order_id goes up to 2,900,000,000, and int32 ends at 2,147,483,647"),
    "too large": (RIGHT_TYPES | {"quantity": int}, CLASS, "int64 holds quantity, but a smaller type does too"),
}
CASES = {
    **{f"partitions, {name}": (lab01.partitions, *row) for name, row in PARTITIONS.items()},
    **{f"mean price, {name}": (lab01.mean_price, row[0], ANSWERS, row[1]) for name, row in MEAN_PRICE.items()},
    **{f"types, {name}": (lab01.types, *row) for name, row in TYPES.items()},
}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_answer_has_advice_of_its_own(name, capsys):
    exercise, answer, sales, advice = CASES[name]
    verdict = exercise.verdict(answer, sales)
    assert verdict.state == "not yet"
    assert advice in verdict.message
    assert verdict.message.startswith(f"`{exercise.variable}` is `")
    exercise.check(answer, sales)
    assert capsys.readouterr().out == f"✘ **Not yet.** {verdict.message}\n"


def test_every_advice_is_reached(unreached):
    rows = [(exercise, answer, {"sales": sales}) for exercise, answer, sales, _advice in CASES.values()]
    assert unreached(lab01, rows) == []


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(st.integers()))
def test_no_answer_to_partitions_makes_the_check_fail(answer):
    state = lab01.partitions.verdict(answer, CLASS).state
    assert state == ("right" if not isinstance(answer, bool) and answer == 50 else "not yet")


@given(
    st.dictionaries(st.sampled_from(["Toys", "Books"]), st.floats() | st.integers() | st.none() | st.text(max_size=3))
)
def test_no_answer_to_mean_price_makes_the_check_fail(answer):
    state = lab01.mean_price.verdict(answer, ANSWERS).state
    near = set(answer) == {"Toys", "Books"} and all(
        isinstance(answer[name], int | float) and abs(answer[name] - exact) <= 1e-7 * max(exact, abs(answer[name]))
        for name, exact in (("Toys", 25), ("Books", 5))
    )
    assert state == ("right" if near else "not yet")


@given(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=4)
    | st.sampled_from([int, float, np.int32, "i4", "<i4"])
)
def test_no_answer_to_types_makes_the_check_fail(kind):
    state = lab01.types.verdict(RIGHT_TYPES | {"customer": kind}, CLASS).state
    try:
        smallest = np.dtype(kind) == np.int32
    except (TypeError, ValueError, SyntaxError):
        smallest = False
    assert (state == "right") == smallest


@pytest.mark.parametrize("blocks", [1, 2, 3, 5, 7, 11])
def test_dask_counts_partitions_as_the_solution_does(small_sales, tmp_path, blocks):
    """Whatever the block: 40 MB are the solution's, the rule is Dask's."""
    source = Path(small_sales.csv).read_bytes()
    for rest in (0, 1, 7_001):
        size = 100_000 * blocks + rest
        path = tmp_path / f"{size}.csv"
        path.write_bytes(source[:size])
        counted = dd.read_csv(path, blocksize=100_000).npartitions
        assert counted == lab01.partitions.solve(SimpleNamespace(bytes=size * 400))
        assert lab01.partitions.verdict(counted, SimpleNamespace(bytes=size * 400)).state == "right"


def test_dask_counts_one_partition_for_the_file_at_hand(small_sales):
    assert dd.read_csv(small_sales.csv, blocksize="40MB").npartitions == lab01.partitions.solve(small_sales) == 1


@pytest.mark.parametrize("answer", [80, 80.0, np.int64(80), np.array(80), Decimal(80), Fraction(80)])
def test_a_right_number_may_be_of_any_type(answer):
    verdict = lab01.partitions.verdict(answer, CLASS)
    assert verdict.state == "right"
    assert verdict.message == "80 partitions of about 40 MB each."


def test_a_mean_price_may_be_a_series_and_of_any_type():
    right = {"Toys": 25.0, "Books": 5.0}
    for answer in (
        right,
        pd.Series(right),
        MappingProxyType(right),
        {"Toys": 25.0000001, "Books": 5},
        {"Toys": np.float32(25), "Books": 5.0},
        {"Toys": Decimal(25), "Books": Fraction(5)},
    ):
        assert lab01.mean_price.verdict(answer, ANSWERS).state == "right"
    assert lab01.mean_price.verdict({"Toys": 25.004, "Books": 5.0}, ANSWERS).state == "not yet"


def test_the_largest_numbers_are_those_of_the_data(large_sales):
    orders = pd.read_csv(large_sales.csv, usecols=["order_id", "customer", "quantity"])
    for column, most in lab01._largest(large_sales).items():
        assert most * 0.999 <= orders[column].max() <= most
    smaller = replace(large_sales, rows=1)
    assert lab01._largest(smaller)["order_id"] == orders.order_id.min()


def test_types_may_be_a_series_and_types_of_numpy():
    for answer in (
        pd.Series(RIGHT_TYPES),
        {"order_id": np.int32, "customer": np.dtype(">i4"), "quantity": "i1"},
        pd.DataFrame({name: pd.Series([1], dtype=kind) for name, kind in RIGHT_TYPES.items()}).dtypes,
    ):
        assert lab01.types.verdict(answer, CLASS).state == "right"


def test_types_follow_the_number_of_orders():
    assert lab01.types.solve(CLASS)["order_id"] == "int32"
    assert lab01.types.solve(HUGE)["order_id"] == "int64"
    assert lab01.types.verdict(lab01.types.solve(HUGE), HUGE).state == "right"
    edge = 2**31 - 1 - 1_000_000_000
    for rows in (edge, edge + 1):
        sales = SimpleNamespace(rows=rows)
        assert lab01.types.verdict(lab01.types.solve(sales), sales).state == "right"
