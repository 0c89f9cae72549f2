"""Exercises of lab 04: every wrong answer that was thought of has advice of its own."""

import numpy as np
import pytest

from daskclass.exercises import lab04

RIGHT = {("client", "scheduler"), ("worker", "scheduler"), ("scheduler", "nanny"), ("worker", "worker")}
CASES = {
    "doors, text": (lab04.doors, "client scheduler", "a set of pairs"),
    "doors, number": (lab04.doors, 5, "a set of pairs"),
    "doors, names": (lab04.doors, {"client", "scheduler"}, "Each element should be a pair"),
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


def test_a_count_may_be_numpys(judged, storyteller):
    assert judged(lab04.attempts, np.int64(3), client=storyteller).state == "right"


def test_pairs_may_come_in_a_list(judged):
    assert judged(lab04.doors, sorted(RIGHT)).state == "right"
