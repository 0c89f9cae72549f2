"""Exercises of lab 04: every wrong answer that we thought of gets its own advice."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from daskclass.errors import Problem
from daskclass.exercises import lab04

RIGHT = {("client", "scheduler"), ("worker", "scheduler"), ("scheduler", "nanny"), ("worker", "worker")}
CASES = {
    "doors, text": (lab04.doors, "client scheduler", "a set of pairs"),
    "doors, number": (lab04.doors, 5, "a set of pairs"),
    "doors, names": (lab04.doors, {"client", "scheduler"}, "Each element should be a pair"),
    "doors, endless": (lab04.doors, itertools.repeat(("client", "printer")), "printer: not among"),
    "doors, frame": (lab04.doors, pd.DataFrame({"caller": ["client"], "called": ["scheduler"]}), "should be a pair"),
    "doors, which worker": (lab04.doors, {("worker east", "scheduler")}, "worker east: not among"),
    "doors, turned": (lab04.doors, {pair[::-1] for pair in RIGHT}, "Swap them"),
    "doors, one missing": (
        lab04.doors,
        RIGHT - {("scheduler", "nanny")},
        "1 missing. Look again at who calls nanny",
    ),
    "doors, one more": (lab04.doors, RIGHT | {("nanny", "worker")}, "1 too many, such as ('nanny', 'worker')"),
    "attempts, text": (lab04.attempts, "three", "a whole number"),
    "attempts, bool": (lab04.attempts, True, "a whole number"),
    "attempts, failures": (lab04.attempts, 2, "That's how many times it failed"),
    "attempts, lines": (lab04.attempts, 6, "A task also *leaves* that state"),
    "attempts, other": (lab04.attempts, 9, "the worker's lines"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_answer_has_advice_of_its_own(name, judged, players, storyteller):
    exercise, answer, advice = CASES[name]
    verdict = judged(exercise, answer, client=storyteller)
    assert verdict.state == "not yet"
    assert advice in verdict.message


def test_every_advice_is_reached(unreached, storyteller):
    rows = [(exercise, answer, {"client": storyteller}) for exercise, answer, _advice in CASES.values()]
    assert unreached(lab04, rows) == []


def test_what_a_nanny_did_at_the_start_is_true_too(judged):
    assert judged(lab04.doors, RIGHT | {("nanny", "scheduler")}).state == "right"


@pytest.mark.parametrize("answer", [3, 3.0, np.int64(3), np.array(3)])
def test_a_count_may_be_a_number_of_any_type(judged, storyteller, answer):
    assert judged(lab04.attempts, answer, client=storyteller).state == "right"


@pytest.mark.parametrize("answer", [0, -1, 3])
def test_a_story_that_is_gone_is_not_the_answers_fault(judged, answer):
    with pytest.raises(Problem, match="No worker knows the story"):
        judged(lab04.attempts, answer, client=SimpleNamespace(story=lambda key: []))


@pytest.mark.parametrize(
    "answer",
    [
        sorted(RIGHT),
        [list(pair) for pair in RIGHT],
        frozenset(RIGHT),
        pd.Series(sorted(RIGHT)),
        dict.fromkeys(RIGHT).keys(),
    ],
)
def test_pairs_may_come_in_any_collection(judged, answer):
    assert judged(lab04.doors, answer).state == "right"
