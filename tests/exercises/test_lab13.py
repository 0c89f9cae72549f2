"""Exercises of lab 13: every wrong answer that was thought of has advice of its own."""

from __future__ import annotations

import inspect
import logging
import time
from pathlib import Path

import numpy as np
import pytest

from daskclass.exercises import lab13


def test_three_of_twelve_are_broken(broken, small_sales, tmp_path):
    right = lab13._solve_bad(broken)
    assert len(broken) == 12
    assert len(right) == 3
    for name, number in right.items():
        (path,) = [path for path in broken if Path(path).name == name]
        line = Path(path).read_text().splitlines()[number - 1]
        assert any(spoilt in line for spoilt in lab13._SPOILT)
    assert lab13.break_files(tmp_path, small_sales)[0] != broken[0]


def wrong(broken):
    """Answers, each with its advice."""
    right = lab13._solve_bad(broken)
    first = min(right)
    (well, *_) = [Path(path).name for path in broken if Path(path).name not in right]
    return [
        (list(right), "a dictionary such as"),
        ({first: "17"}, "numbers of lines as whole numbers"),
        ({3: 17}, "names of files as text"),
        (right | {"orders-99.csv": 2}, "There is no file orders-99.csv"),
        (right | {well: 2}, f"{well} can be read to its end"),
        ({first: right[first]}, "1 of the files that fail are in it; there are more"),
        (right | {first: right[first] - 1}, "one too low. The header is line 1"),
        (right | {first: right[first] + 1}, "does not fail first at line"),
    ]


def test_a_wrong_place_has_advice_of_its_own(broken):
    for answer, advice in wrong(broken):
        verdict = lab13.bad.verdict(answer, broken)
        assert verdict.state == "not yet"
        assert advice in verdict.message


def test_numbers_may_be_numpys_and_names_whole_paths(broken):
    right = lab13._solve_bad(broken)
    by_path = {path: np.int64(right[Path(path).name]) for path in broken if Path(path).name in right}
    assert lab13.bad.verdict(by_path, broken).state == "right"


def prints(number):
    print(number)
    return number


def informs(number):
    logging.getLogger("distributed.worker").info("this is %s", number)
    return number


def fails(number):
    raise ZeroDivisionError(number)


def says_nothing_back(number):
    logging.getLogger("distributed.worker").warning("this is %s", number)


def naps(number):
    time.sleep(1)
    return number


LOUD = {
    "a number": (7, "should be a function"),
    "prints": (prints, "does not have the number"),
    "informs": (informs, "logged as INFO"),
    "fails": (fails, "The task raised ZeroDivisionError"),
    "no return": (says_nothing_back, "should return its number"),
}

# As functions of a notebook do, these travel with all that is in them: workers cannot import this module.
for _function in [value for value in globals().values() if inspect.isfunction(value)]:
    if _function.__module__ == __name__:
        _function.__module__ = "__main__"


@pytest.mark.parametrize("name", LOUD)
def test_a_quiet_task_has_advice_of_its_own(name, judged):
    answer, advice = LOUD[name]
    verdict = judged(lab13.loud, answer)
    assert verdict.state == "not yet"
    assert advice in verdict.message


def test_a_task_that_does_not_end_is_said(judged, monkeypatch):
    monkeypatch.setattr(lab13, "_SECONDS", 0.2)
    assert "not done within 0.2 seconds" in judged(lab13.loud, naps).message


def test_every_advice_is_reached(unreached, broken, monkeypatch):
    rows = [(lab13.bad, answer, {"broken": broken}) for answer, _advice in wrong(broken)]
    rows += [(lab13.loud, answer, {}) for answer, _advice in LOUD.values()]
    left = set(unreached(lab13, rows))
    monkeypatch.setattr(lab13, "_SECONDS", 0.2)
    assert left & set(unreached(lab13, [(lab13.loud, naps, {})])) == set()
