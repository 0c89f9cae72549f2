"""Exercises of lab 11: each wrong answer that we thought of gets its own advice."""

from __future__ import annotations

import contextlib
import inspect
import time
from decimal import Decimal
from math import log2

import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster

from daskclass import watch
from daskclass.errors import Problem
from daskclass.exercises import apart, lab11
from daskclass.watch.dask_internals import level_of_stealing


def piece(number):
    return np.arange(number, number + 10)


def as_they_come(client, pieces, look_up):
    return client.map(look_up, pieces, pure=False)


def fails(client, pieces, look_up):
    raise KeyError("pieces")


def fails_on_the_worker(client, pieces, look_up):
    return client.map(lambda one: 1 / 0, pieces, pure=False)


def backwards(client, pieces, look_up):
    return lab11._solve_even(client, pieces, look_up)[::-1]


def the_first_ten(client, pieces, look_up):
    return client.map(look_up, pieces[:10], pure=False)


def from_copies(client, pieces, look_up):
    """Tasks copy half of the pieces to the other worker; the look-ups take the copies."""
    first, second = sorted(client.nthreads())
    copies = client.map(lambda one: one.copy(), pieces[:20], workers=[second], pure=False)
    return client.map(look_up, [*copies, *pieces[20:]], workers=[first, second], pure=False)


def in_the_notebook(client, pieces, look_up):
    return client.scatter([look_up(one) for one in client.gather(pieces)])


def fetched_first(client, pieces, look_up):
    return client.map(look_up, client.gather(pieces), pure=False)


def too_many(client, pieces, look_up):
    return client.map(look_up, pieces * 2, pure=False)


def all_on_one(client, pieces, look_up):
    (worker,) = client.who_has(pieces)[pieces[0].key]
    return client.map(look_up, pieces, workers=[worker], pure=False)


def too_slow(client, pieces, look_up):
    return [client.submit(time.sleep, 1, pure=False) for _ in pieces[:6]]


EVEN = {
    "a list": ([1, 2], "should be a function"),
    "raises": (fails, "It raised `KeyError"),
    "nothing": (lambda client, pieces, look_up: 5, "a list of futures"),
    "a task raises": (fails_on_the_worker, "A task raised `ZeroDivisionError"),
    "ten": (the_first_ten, "one for each piece, and it returned 10"),
    "too many": (too_many, "one for each piece, and it returned more"),
    "backwards": (backwards, "those of `look_up` for each piece, in order"),
    "in the notebook": (in_the_notebook, "Only 0 of the look-ups ran as tasks"),
    "fetched first": (fetched_first, "don't use the pieces on the cluster"),
    "all on one": (all_on_one, "at least 15 on each"),
    "stolen": (as_they_come, "It's even, but only because"),
}


# As functions of a notebook do, these travel with all that is in them: workers cannot import this module.
for _function in [value for value in globals().values() if inspect.isfunction(value)]:
    if _function.__module__ == __name__:
        _function.__module__ = "__main__"


@pytest.fixture(scope="module")
def two():
    """A client of two workers that steal twenty times a second, so that as they come they end up even."""
    import dask

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with (
        dask.config.set({"distributed.scheduler.work-stealing-interval": "50ms"}),
        LocalCluster(**options) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.mark.parametrize("name", EVEN)
def test_an_uneven_way_has_advice_of_its_own(name, advice, two):
    answer, expected = EVEN[name]
    said, _lines = advice(lab11.even, answer, two, piece)
    assert expected in said


def test_tasks_that_do_not_end_are_said(two, monkeypatch, usual_pace):
    monkeypatch.setattr(lab11, "_SECONDS", 0.3)
    before = set(two.futures)
    assert "weren't done within" in lab11.even.verdict(too_slow, two, piece).message
    assert set(two.futures) == before


def test_the_solution_is_even():
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        verdict = lab11.even.verdict(lab11._solve_even, client, piece)
    assert verdict.state == "right", verdict.message


def test_copies_that_tasks_made_are_pieces_too():
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        told = lab11.even.verdict(from_copies, client, piece).message
    assert "instead of its future" not in told


def test_pieces_that_are_never_ready_are_no_wrong_answer(two, monkeypatch, usual_pace):
    def slow_piece(number):
        time.sleep(1)

    slow_piece.__module__ = "__main__"
    monkeypatch.setattr(lab11, "_PREPARE", 0.2)
    with pytest.raises(Problem, match=r"weren't ready after \d+ seconds"):
        lab11.even.verdict(as_they_come, two, slow_piece)
    two.restart()


@pytest.fixture
def stolen_at_the_end(monkeypatch):
    """What the judge sees where the first worker fell behind, and the other one took four of its tasks."""
    record = watch.record

    @contextlib.contextmanager
    def slower(client):
        with record(client) as recording:
            yield recording
        computed = recording.tasks[recording.tasks.action == "compute"]
        first, second = sorted(client.nthreads())
        taken = computed[computed.worker == first].index[-4:]
        recording.tasks.loc[taken, "worker"] = second
        moved = recording.tasks.loc[taken, ["key"]].assign(answer="confirm", victim=first, thief=second)
        recording.steals = pd.concat([recording.steals, moved])

    monkeypatch.setattr(watch, "record", slower)


def test_a_few_that_were_stolen_from_a_worker_that_fell_behind_are_no_fault(stolen_at_the_end):
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        verdict = lab11.even.verdict(lab11._solve_even, client, piece)
    assert verdict.state == "right", verdict.message


def test_it_needs_two_workers():
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
        pytest.raises(Problem, match="This cluster has 1 worker, and the question needs 2"),
    ):
        lab11.even.verdict(as_they_come, client, piece)


def test_every_advice_of_even_is_reached(unreached, advice, two, monkeypatch, usual_pace):
    names = {"client": two, "piece": piece}
    told = [advice(lab11.even, answer, two, piece) for answer, _expected in EVEN.values()]
    rows = [(lab11.level, answer, {}) for answer, _expected in LEVEL.values()]
    left = set(unreached(lab11, rows, set().union(*(lines for _said, lines in told))))
    monkeypatch.setattr(lab11, "_SECONDS", 0.3)
    left &= set(unreached(lab11, [(lab11.even, too_slow, names)]))
    assert left == set()


def without_talk(nbytes, seconds, bandwidth):
    return max(1, round(log2(nbytes / bandwidth / seconds) + 6))


def without_end(nbytes, seconds, bandwidth):
    return max(1, round(log2((nbytes / bandwidth + 0.1) / seconds) + 6))


def too_careful(nbytes, seconds, bandwidth):
    level = without_end(nbytes, seconds, bandwidth)
    return level if level < 8 else None


def one_too_far(nbytes, seconds, bandwidth):
    level = without_end(nbytes, seconds, bandwidth)
    return level if level <= 15 else None


LEVEL = {
    "one too far": (one_too_far, "Beyond level 14, no worker steals a task"),
    "a number": (7, "should be a function"),
    "raises": (lambda nbytes, seconds, bandwidth: 1 // 0, "raised `ZeroDivisionError"),
    "a text": (lambda nbytes, seconds, bandwidth: "7", "it returned a str"),
    "a bool": (lambda nbytes, seconds, bandwidth: True, "it returned a bool"),
    "without talk": (without_talk, "you add a tenth of a second"),
    "without end": (without_end, "Beyond level 14, no worker steals a task"),
    "too careful": (too_careful, "another worker may steal such a task"),
}

for _function in (without_talk, without_end, too_careful, one_too_far):
    _function.__module__ = "__main__"  # as above


@pytest.mark.parametrize("name", LEVEL)
def test_a_wrong_level_has_advice_of_its_own(name):
    answer, advice = LEVEL[name]
    verdict = lab11.level.verdict(answer)
    assert verdict.state == "not yet"
    assert advice in verdict.message


def test_the_moves_try_both_ends():
    levels = [level_of_stealing(*move, lab11._BANDWIDTH) for move in lab11._MOVES.values()]
    assert {None, 1, 14} <= set(levels)
    assert len(set(levels)) >= 6


@pytest.mark.parametrize("kind", [float, np.int64, Decimal, np.array])
def test_a_level_may_be_a_number_of_any_type(kind):
    def level(nbytes, seconds, bandwidth):
        right = lab11._solve_level(nbytes, seconds, bandwidth)
        return None if right is None else kind(right)

    level.__module__ = "__main__"
    assert lab11.level.verdict(level).state == "right"


def test_a_level_that_never_comes_gets_a_verdict(monkeypatch, usual_pace):
    def level(nbytes, seconds, bandwidth):
        while True:
            pass

    level.__module__ = "__main__"
    monkeypatch.setattr(apart, "SECONDS", 3.0)
    assert "still running after" in lab11.level.verdict(level).message
