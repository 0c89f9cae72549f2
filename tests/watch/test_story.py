"""A task's story, in order."""

import operator
import time

import pytest

from daskclass.errors import Problem
from daskclass.watch.story import story


def test_the_way_there_and_back(by_hand):
    asked = time.time()
    future = by_hand.submit(operator.add, 3, 4, workers=["east"], pure=False)
    assert future.result() == 7
    steps = story(by_hand, future, asked, time.time())
    assert [(row.who, row.start, row.finish) for row in steps.itertuples()] == [
        ("client", "", "asked"),
        ("scheduler", "released", "waiting"),
        ("scheduler", "waiting", "processing"),
        ("worker east", "released", "waiting"),
        ("worker east", "waiting", "ready"),
        ("worker east", "ready", "executing"),
        ("worker east", "executing", "memory"),
        ("scheduler", "processing", "memory"),
        ("client", "", "received"),
    ]
    assert steps.seconds.is_monotonic_increasing
    assert steps.seconds.iloc[0] == 0
    assert steps.seconds.iloc[-1] < 60


def test_without_the_client_it_begins_with_the_scheduler(by_hand):
    future = by_hand.submit(operator.add, 3, 4, pure=False)
    future.result()
    assert set(story(by_hand, future.key).who.str.split().str[0]) == {"scheduler", "worker"}


def test_a_task_that_fails_ends_erred(by_hand):
    future = by_hand.submit(operator.truediv, 1, 0, pure=False)
    assert isinstance(future.exception(), ZeroDivisionError)
    assert story(by_hand, future).finish.iloc[-1] == "erred"


def test_a_task_that_nobody_knows_is_said(by_hand):
    with pytest.raises(Problem, match="the cluster knows no task 'nothing'"):
        story(by_hand, "nothing")
