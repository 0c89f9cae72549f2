"""Exercises of lab 07: every wrong answer that we thought of gets its own advice."""

from __future__ import annotations

import itertools
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from distributed import Client, Event, LocalCluster

from daskclass.exercises import lab07

CASES = {
    "median, text": (lab07.median, "3", "a number of cents"),
    "median, none": (lab07.median, None, "a number of cents"),
    "median, bool": (lab07.median, True, "a number of cents"),
    "median, not a number": (lab07.median, float("nan"), "a number of cents"),
    "median, digits": (lab07.median, 10**400, "a number of cents"),
    "median, array": (lab07.median, np.array([3]), "a number of cents"),
    "median, dollars": (lab07.median, 0.03, "That's in dollars"),
    "median, mode": (lab07.median, 7, "(the mode)"),
    "median, mean": (lab07.median, 4.6, "That's the mean"),
    "median, of counts": (lab07.median, 1.0, "That's the middle of the counts"),
    "median, one more": (lab07.median, 4, "Off by one cent"),
    "median, other": (lab07.median, 9, "`orders_at.cumsum()` counts"),
    "place, third": (lab07.place, "third", "`first` or `second`"),
    "place, number": (lab07.place, 2, "`first` or `second`"),
    "needle, one text": (lab07.needle, "hay-1", "It should be a pair: "),
    "needle, number": (lab07.needle, 5, "It should be a pair: "),
    "needle, endless": (lab07.needle, itertools.repeat("hay-1"), "a pair of two texts"),
    "needle, three": (lab07.needle, ("a", "b", "c"), "a pair of two texts"),
    "needle, numbers": (lab07.needle, ("a", 5), "a pair of two texts"),
    "needle, no key": (lab07.needle, ("straw", "tcp://127.0.0.1:1"), "No such key. 40 keys"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_answer_has_advice_of_its_own(name, judged, haystack):
    exercise, answer, advice = CASES[name]
    verdict = judged(exercise, answer, client=haystack)
    assert verdict.state == "not yet"
    assert advice in verdict.message


def told_apart(haystack):
    """Answers that need the cluster, each with its advice."""
    first, second = sorted(haystack.nthreads())
    key, address = lab07._solve_needle(haystack)
    other = next(name for name in haystack.who_has() if name.startswith("hay") and name != key)
    return [
        (lab07.place, first, "ran on the other worker"),
        (lab07.needle, (other, address), "isn't the largest"),
        (lab07.needle, (key, first if address == second else second), "The key is right"),
        (lab07.needle, (address, key), "Swap them"),
        (lab07.needle, (key, haystack.who_has()[key]), "Take the address out of that list"),
    ]


def test_what_is_nearly_right_is_told_apart(judged, haystack):
    for exercise, answer, advice in told_apart(haystack):
        assert advice in judged(exercise, answer, client=haystack).message
    key, address = lab07._solve_needle(haystack)
    assert judged(lab07.needle, [key, address], client=haystack).state == "right"


@pytest.fixture
def alone():
    """A client of a cluster with one worker, and without hay."""
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def test_a_place_needs_two_workers(judged, alone):
    (only,) = alone.nthreads()
    assert "has 1 worker, and the question needs 2" in judged(lab07.place, only, client=alone).message


def until_let_go() -> None:
    Event("let go").wait(60)


@pytest.fixture
def busy():
    """A client of two workers whose threads are busy until the test is over."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        tasks = [client.submit(until_let_go, workers=[worker], pure=False) for worker in client.nthreads()]
        yield client
        Event("let go", client=client).set()
        client.gather(tasks)


def test_a_place_where_nothing_runs_is_said(judged, busy, monkeypatch, usual_pace):
    monkeypatch.setattr(lab07, "_SECONDS", 0.2)
    second = max(busy.nthreads())
    assert "didn't run within" in judged(lab07.place, second, client=busy).message


def test_every_advice_is_reached(unreached, haystack, alone, busy, monkeypatch, usual_pace):
    rows = [(exercise, answer, {"client": haystack}) for exercise, answer, _advice in CASES.values()]
    rows += [(exercise, answer, {"client": haystack}) for exercise, answer, _advice in told_apart(haystack)]
    rows += [(lab07.place, next(iter(alone.nthreads())), {"client": alone})]
    rows += [(lab07.needle, ("hay-1", "tcp://127.0.0.1:1"), {"client": alone})]
    [left] = unreached(lab07, rows)
    monkeypatch.setattr(lab07, "_SECONDS", 0.2)
    assert left not in unreached(lab07, [(lab07.place, max(busy.nthreads()), {"client": busy})])


def test_a_haystack_that_is_gone_is_said(judged, client):
    assert "There's no hay" in judged(lab07.needle, ("hay-1", "tcp://127.0.0.1:1"), client=client).message


@pytest.mark.parametrize("answer", [3, 3.0, np.int64(3), np.array(3), Fraction(3), Decimal(3)])
def test_the_middle_may_be_a_number_of_any_type(judged, answer):
    assert judged(lab07.median, answer).state == "right"


def test_a_place_may_be_typed_with_quotes(judged, haystack):
    assert judged(lab07.place, "second", client=haystack).state == "right"
    assert "ran on the other worker" in judged(lab07.place, "first", client=haystack).message


@pytest.mark.parametrize("orders_at", [[0, 5], [5, 0], [1, 1], [1, 1, 1], [0, 0, 3, 3], [3, 0, 0, 3]])
def test_the_solution_is_what_the_judge_takes_for_right(judged, orders_at):
    orders_at = np.array(orders_at)
    assert judged(lab07.median, lab07._solve_median(orders_at), orders_at=orders_at).state == "right"
