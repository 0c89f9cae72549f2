"""Exercises of lab 08: each wrong answer that we thought of gets its own advice."""

from __future__ import annotations

import pandas as pd
import pytest

from daskclass.exercises import lab08
from daskclass.sick_clusters import Ward

PAGE = lab08._solve_page()
NAMES = dict(
    zip("ABCDEF", ["skew", "healthy", "tiny tasks", "memory tight", "slow worker", "object shipped"], strict=True)
)
SIX = Ward({}, NAMES)
CASES = {
    "page, text": (lab08.page, "/events", "a dictionary with the questions lost, slow line"),
    "page, list": (lab08.page, list(PAGE), "a dictionary"),
    "page, one missing": (lab08.page, {"lost": "/events"}, "Missing: slow line, busy scheduler, failed"),
    "page, one more": (lab08.page, PAGE | {"found": "/info"}, "`found` isn't one of the questions"),
    "page, a number": (lab08.page, PAGE | {"lost": 5}, "should be text"),
    "page, lost": (
        lab08.page,
        PAGE | {"lost": "/graph"},
        "For *lost*, look in the table for a page that shows the past",
    ),
    "page, line": (lab08.page, PAGE | {"slow line": "/profile-server"}, "your own code, not the scheduler's"),
    "page, busy": (lab08.page, PAGE | {"busy scheduler": "/status"}, "about the scheduler itself"),
    "page, failed": (lab08.page, PAGE | {"failed": "/info"}, "that keeps tracebacks"),
    "diagnosis, text": (lab08.diagnosis, "skew", "a dictionary with the letters A, B, C, D, E, F"),
    "diagnosis, missing": (lab08.diagnosis, {"A": "skew"}, "Missing: B, C, D, E, F"),
    "diagnosis, more": (lab08.diagnosis, NAMES | {"G": "skew"}, "`G` isn't one of the letters"),
    "diagnosis, no name": (lab08.diagnosis, NAMES | {"A": "flu"}, "`'flu'` for A should be one of skew, tiny tasks"),
    "diagnosis, none": (lab08.diagnosis, NAMES | {"A": None}, "`NoneType` for A should be one of"),
    **{
        f"diagnosis, {name}": (
            lab08.diagnosis,
            NAMES | {letter: "skew" if name != "skew" else "healthy"},
            f"5 of 6 are right. Look at {letter} again. {lab08._SIGNS[name]}",
        )
        for letter, name in NAMES.items()
    },
}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_answer_has_advice_of_its_own(name, judged):
    exercise, answer, advice = CASES[name]
    verdict = judged(exercise, answer, ward=SIX)
    assert verdict.state == "not yet"
    assert advice in verdict.message


def test_every_advice_is_reached(unreached):
    rows = [(exercise, answer, {"ward": SIX}) for exercise, answer, _advice in CASES.values()]
    assert unreached(lab08, rows) == []


def test_an_advice_never_names_the_sickness():
    assert not [name for name, advice in lab08._SIGNS.items() if name in advice]


def test_names_may_be_written_as_one_likes(judged):
    assert (
        judged(lab08.diagnosis, {letter: f" {name.title()}" for letter, name in NAMES.items()}, ward=SIX).state
        == "right"
    )
    assert judged(lab08.page, {name: said.strip("/") for name, said in PAGE.items()}).state == "right"


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("lost", "/workers"),
        ("lost", "/info"),
        ("lost", "http://127.0.0.1:8787/info/main/workers.html"),
        ("slow line", "/individual-profile"),
        ("busy scheduler", "/profile-server"),
        ("failed", "/Exceptions"),
        ("lost", "/proxy/127.0.0.1:40321/events"),
        ("lost", "localhost:8787/events"),
    ],
)
def test_a_question_has_several_right_pages_and_a_page_several_names(question, said, judged):
    assert judged(lab08.page, PAGE | {question: said}).state == "right"


def test_the_praise_says_what_a_failed_task_needs(judged):
    assert "An exception needs someone who still holds the future." in judged(lab08.page, PAGE).message


def test_answers_may_be_series_with_letters_and_names_in_any_spelling(judged):
    typed = {letter.lower(): name.replace(" ", "_") for letter, name in NAMES.items()}
    assert judged(lab08.diagnosis, pd.Series(typed), ward=SIX).state == "right"
    assert judged(lab08.page, pd.Series(PAGE)).state == "right"
