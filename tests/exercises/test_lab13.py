"""Exercises of lab 13: each wrong answer that we thought of gets its own advice."""

from __future__ import annotations

import inspect
import logging
import threading
import time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
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
        ({first: "17"}, "to whole numbers of lines"),
        ({3: 17}, "the names of files, as text"),
        (right | {"orders-99.csv": 2}, "There's no file orders-99.csv"),
        (right | {well: 2}, f"{well} has no bad line"),
        ({first: right[first]}, "You found 1 of the files that fail, but there are more"),
        (right | {first: right[first] - 1}, "one too low. The header is line 1"),
        (right | {first: right[first] - 2}, "two too low. The header is line 1"),
        (right | {first: right[first] + 1}, "doesn't fail first at line"),
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
    assert lab13.bad.verdict(pd.Series(right), broken).state == "right"
    assert lab13.bad.verdict({Path(name): Decimal(number) for name, number in right.items()}, broken).state == "right"


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


def with_commas(number):
    logging.getLogger("distributed.worker").warning("this is %s", f"{number:,}")
    return np.int64(number)


def with_its_key(number):
    from distributed import get_worker

    key = get_worker().get_current_task()
    logging.getLogger("distributed.worker").warning("task %s has the number %s", key, number)
    return number


def with_a_lock(lock=threading.Lock()):  # noqa: B008
    return lambda number: lock.acquire()


def naps(number):
    time.sleep(1)
    return number


LOUD = {
    "a number": (7, "should be a function"),
    "prints": (prints, "No worker's log has the number"),
    "informs": (informs, "You logged it as INFO"),
    "fails": (fails, "A task raised `ZeroDivisionError"),
    "with a lock": (with_a_lock(), "couldn't send it to a worker"),
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


def test_a_task_that_does_not_end_is_said(judged, monkeypatch, client, usual_pace):
    monkeypatch.setattr(lab13, "_SECONDS", 0.2)
    before = set(client.futures)
    assert "weren't done within" in judged(lab13.loud, naps).message
    assert set(client.futures) == before


@pytest.mark.parametrize("answer", [with_commas, with_its_key])
def test_the_line_may_have_any_words(answer, judged):
    verdict = judged(lab13.loud, answer)
    assert verdict.state == "right", verdict.message


def test_every_advice_is_reached(unreached, broken, monkeypatch, usual_pace):
    rows = [(lab13.bad, answer, {"broken": broken}) for answer, _advice in wrong(broken)]
    rows += [(lab13.loud, answer, {}) for answer, _advice in LOUD.values()]
    left = set(unreached(lab13, rows))
    monkeypatch.setattr(lab13, "_SECONDS", 0.2)
    assert left & set(unreached(lab13, [(lab13.loud, naps, {})])) == set()
