"""A trial comes to an end whatever an answer does, and leaves nothing running."""

from __future__ import annotations

import threading
import time

import pytest
from distributed import Client, LocalCluster

from daskclass import watch
from daskclass.exercises import trials
from daskclass.exercises.apart import TryNext


@pytest.fixture(scope="module")
def pair():
    """A client of two workers, which this module's tasks may block."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "silence_logs": "CRITICAL"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        yield client


def endless(number):
    while True:
        number += 1


def naps(number):
    time.sleep(5)
    return number


for _function in (endless, naps):
    _function.__module__ = "__main__"  # workers can't import the tests


def test_a_worker_with_an_endless_task_is_restarted_and_others_are_not(pair):
    first, second = sorted(pair.nthreads())
    own = pair.submit(naps, 7, workers=[second], pure=False)
    watch.until(lambda: own.key in pair.processing()[second], "the learner's own task")
    with pytest.raises(TryNext, match=r"weren't done within \d+ seconds"), trials.trial(pair, 0.5) as tried:
        tried.gather([pair.submit(endless, 1, workers=[first], pure=False)])
    assert second in pair.nthreads()
    assert first not in pair.nthreads()
    assert own.result(timeout=10) == 7
    watch.until(lambda: len(pair.nthreads()) == 2, "the new worker")
    assert pair.gather([pair.submit(int, 5, workers=[worker], pure=False) for worker in pair.nthreads()]) == [5, 5]


def test_a_task_that_ends_in_time_costs_no_worker(pair):
    before = set(pair.nthreads())
    with trials.trial(pair, 5) as tried:
        assert tried.gather([pair.submit(int, 5, pure=False)]) == [5]
    assert set(pair.nthreads()) == before


def test_an_endless_loop_in_the_notebook_is_ended(pair, usual_pace):
    looping = []

    def answer():
        looping.append(threading.current_thread())
        while True:
            try:
                len(looping)
            except Exception:  # as careless answers do
                continue

    with pytest.raises(TryNext, match=r"still running after \d+ seconds"), trials.trial(pair, 0.3) as tried:
        tried.call(answer, most=1)
    looping[0].join(5)
    assert not looping[0].is_alive()


def test_counts_of_other_workers_are_not_compared():
    assert trials.growth({"a": 1, "b": 2}, {"a": 4, "b": 2}) == 3
    with pytest.raises(TryNext, match="A worker was restarted"):
        trials.growth({"a": 1, "b": 2}, {"a": 4, "c": 2})
