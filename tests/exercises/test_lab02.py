"""Exercises of lab 02: every wrong answer that we thought of gets its own advice."""

import math
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from daskclass.exercises import lab02

NEEDED = 9_650_000_000  # of the fixtures: 50 MB, and 32 times 300 MB
SALES = SimpleNamespace(bytes=3 * 10**9)
RIGHT = 4e9 / 2 / (NEEDED / SALES.bytes)
CASES = {
    "needed, text": (lab02.needed, "9 GB", "a number of bytes"),
    "needed, bool": (lab02.needed, True, "a number of bytes"),
    "needed, digits": (lab02.needed, 10**400, "a number of bytes"),
    "needed, NaN": (lab02.needed, math.nan, "a number of bytes"),
    "needed, larger times sixteen": (lab02.needed, 650_000_000 * 16, "That also multiplies pandas itself"),
    "needed, smaller times thirty-two": (lab02.needed, 350_000_000 * 32, "That also multiplies pandas itself"),
    "needed, MiB": (lab02.needed, NEEDED / 2**20, "These are MiB"),
    "needed, rows alone": (lab02.needed, 300_000_000 * 32, "That's the cost of the rows"),
    "needed, other": (lab02.needed, 3e9, "How many times do those extra rows fit"),
    "busy, number": (lab02.busy, 6, "a dictionary from worker to seconds"),
    "busy, other keys": (lab02.busy, {"a": 4.0}, "Its keys should be the 2 addresses"),
    "busy, texts": (lab02.busy, {"a": "4", "b": "2"}, "Its values should be seconds"),
    "busy, digits": (lab02.busy, {"a": 10**400, "b": 2}, "Its values should be seconds"),
    "busy, the class": (lab02.busy, pd.DataFrame, "a dictionary from worker to seconds"),
    "busy, counts": (lab02.busy, {"a": 2, "b": 1}, "These are counts of tasks"),
    "busy, everything": (lab02.busy, {"a": 4.0, "b": 3.0}, "That's everything they did, including transfers"),
    "busy, other": (lab02.busy, {"a": 1.0, "b": 9.0}, "A row took `stop - start` seconds"),
    "largest, text": (lab02.largest, "600MB", "a number of bytes"),
    "largest, all of it": (lab02.largest, RIGHT * 2, "That takes all of the worker's memory"),
    "largest, memory": (lab02.largest, 2e9, "That's the memory"),
    "largest, MB": (lab02.largest, RIGHT / 1e6, "These are MB"),
    "largest, other": (lab02.largest, 1e7, "a block takes `factor` times its bytes"),
}


@pytest.fixture
def live_sales():
    return {"sales": SALES}


@pytest.fixture
def needed():
    return NEEDED


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_answer_has_advice_of_its_own(name, judged, live_sales):
    exercise, answer, advice = CASES[name]
    verdict = judged(exercise, answer, **live_sales)
    assert verdict.state == "not yet"
    assert advice in verdict.message


def test_largest_needs_the_first_exercise(judged, live_sales):
    verdict = judged(lab02.largest, 600e6, needed=..., **live_sales)
    assert (verdict.state, "Do that one first" in verdict.message) == ("not yet", True)


@pytest.mark.parametrize("needed", [NEEDED / 1e6, 0, -1.0, NEEDED * 100], ids=["MB", "nothing", "less", "too much"])
def test_largest_needs_the_first_exercise_to_be_right(judged, live_sales, needed):
    verdict = judged(lab02.largest, 4e9 / 2 / (needed / SALES.bytes) if needed else 1.0, needed=needed, **live_sales)
    assert (verdict.state, "isn't right yet" in verdict.message) == ("not yet", True)


def test_every_advice_is_reached(unreached, live_sales):
    rows = [(exercise, answer, live_sales) for exercise, answer, _advice in CASES.values()]
    rows += [(lab02.largest, 600e6, {**live_sales, "needed": needed}) for needed in (..., 594)]
    assert unreached(lab02, rows) == []


def test_right_answers(judged, live_sales, recording):
    assert judged(lab02.needed, NEEDED * 1.01).message.startswith("About 9.7 GB")
    assert "80% of the time; the rest went" in judged(lab02.busy, pd.Series({"a": 4.0, "b": 2.0})).message
    assert "About 622 MB" in judged(lab02.largest, RIGHT, **live_sales).message


@pytest.mark.parametrize("answer", [NEEDED, np.float64(NEEDED), Decimal(NEEDED), 650_000_000 + 30 * 300_000_000])
def test_what_is_needed_may_be_a_number_of_any_type(judged, answer):
    assert judged(lab02.needed, answer).state == "right"


def test_what_is_needed_is_right_where_pandas_itself_hardly_counts(judged):
    parts = {32: SimpleNamespace(peak=300_100_000), 16: SimpleNamespace(peak=600_100_000)}
    sales = SimpleNamespace(bytes=3 * 10**9)
    assert judged(lab02.needed, lab02._solve_needed(parts, sales), parts=parts, sales=sales).state == "right"
    twice = judged(lab02.needed, 600_100_000 * 16, parts=parts, sales=sales)
    assert "That also multiplies pandas itself" in twice.message


def test_seconds_may_be_rounded_and_list_a_worker_that_only_fetched(judged):
    rows = [("a", "compute", 0.0, 3.123456), ("b", "transfer", 0.0, 1.0), ("b", "compute", 1.0, 3.0)]
    rows += [("c", "transfer", 0.0, 1.0)]
    tasks = pd.DataFrame(rows, columns=["worker", "action", "start", "stop"])
    recording = SimpleNamespace(tasks=tasks, seconds=5.0)
    for answer in (
        {"a": 3.123456, "b": 2.0},
        {"a": np.float64(3.12), "b": 2},
        {"a": 3.123456, "b": 2.0, "c": 0},
        pd.Series({"b": 2.0, "a": 3.123}),
    ):
        assert judged(lab02.busy, answer, recording=recording).state == "right"
    for answer, advice in (
        ({"a": 3.123456, "b": 3.0, "c": 1.0}, "including transfers"),
        ({"a": 3.123456, "b": 2.0, "c": 1.0}, "A row took"),
        ({"a": 3.2, "b": 2.0}, "A row took"),
        ({"a": 3.123456, "d": 2.0}, "Its keys should be the 3 addresses"),
    ):
        assert advice in judged(lab02.busy, answer, recording=recording).message


@pytest.mark.parametrize("needed", ["9 GB", math.nan, None], ids=str)
def test_a_first_answer_that_is_no_number_is_not_the_fault_of_the_last(judged, live_sales, needed):
    assert (
        "`needed` from the first exercise isn't right yet"
        in judged(lab02.largest, 600e6, needed=needed, **live_sales).message
    )
