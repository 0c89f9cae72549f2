"""Exercises of lab 10: each wrong answer that we thought of gets its own advice."""

from __future__ import annotations

import inspect
import time

import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster, get_worker, wait

from daskclass.exercises import lab10

MIB = 2**20


def draw(number):
    return np.random.default_rng(number).random(MIB)  # 8 MiB


def draw_as_in_the_lab(number):
    return np.random.default_rng(number).random(4 * MIB)


def keeps_all(client, draw, mean):
    arrays = client.map(draw, range(48), pure=False)
    wait(arrays)
    return client.gather(client.map(mean, arrays, pure=False))


def fails(client, draw, mean):
    raise KeyError("mean")


def futures(client, draw, mean):
    return client.map(lambda number: mean(draw(number)), range(48), pure=False)


def backwards(client, draw, mean):
    return lab10._solve_no_disk(client, draw, mean)[::-1]


def in_the_notebook(client, draw, mean):
    return [mean(draw(number)) for number in range(48)]


def restarts(client, draw, mean):
    means = lab10._solve_no_disk(client, draw, mean)
    client.restart()  # after which the workers count from zero again
    return means


def means_here(client, draw, mean):
    return [mean(client.submit(draw, number, pure=False).result()) for number in range(48)]


NO_DISK = {
    "restarts": (restarts, "A worker was restarted, or died"),
    "a list": ([0.5] * 48, "should be a function"),
    "raises": (fails, "It raised `KeyError"),
    "one": (lambda client, draw, mean: 0.5, "a list of 48 means"),
    "futures": (futures, "Each of them should be a number, but one is a Future"),
    "backwards": (backwards, "in this order"),
    "keeps all": (keeps_all, "the workers wrote"),
    "in the notebook": (in_the_notebook, "`draw` ran in the notebook"),
    "means in the notebook": (means_here, "`mean` ran in the notebook"),
}
ROOM = {
    "a list": ([2, "768 MiB"], "It should be a dictionary"),
    "more": ({"n_workers": 2, "memory_limit": "700 MiB", "threads": 1}, "and nothing else"),
    "workers, text": ({"n_workers": "2", "memory_limit": "700 MiB"}, "a whole number, at least 1"),
    "workers, none": ({"n_workers": 0, "memory_limit": "700 MiB"}, "a whole number, at least 1"),
    "workers, bool": ({"n_workers": True, "memory_limit": "700 MiB"}, "a whole number, at least 1"),
    "limit, a word": ({"n_workers": 2, "memory_limit": "auto"}, "a size such as"),
    "limit, a list": ({"n_workers": 2, "memory_limit": [1]}, "a size such as"),
    "limit, a share": ({"n_workers": 1, "memory_limit": 1}, "a share of the machine's memory"),
    "limit, too low": ({"n_workers": 12, "memory_limit": "128 MiB"}, "Give each worker 256.00 MiB or more"),
    "too much": ({"n_workers": 2, "memory_limit": "1 GiB"}, "is 2.00 GiB; you have 1.50 GiB"),
    "too little": ({"n_workers": 1, "memory_limit": "1 GiB"}, "The workers wrote"),
    "too many": ({"n_workers": 6, "memory_limit": "256 MiB"}, "The workers wrote"),
}

# As functions of a notebook do, these travel with all that is in them: workers cannot import this module.
for _function in [value for value in globals().values() if inspect.isfunction(value)]:
    if _function.__module__ == __name__:
        _function.__module__ = "__main__"


@pytest.fixture(scope="module")
def tight():
    """A client of one worker that has to spill half of what `keeps_all` keeps."""
    options = {"n_workers": 1, "threads_per_worker": 1, "memory_limit": "400 MiB", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        yield client


@pytest.mark.parametrize("name", NO_DISK)
def test_a_way_through_the_disk_has_advice_of_its_own(name, tight):
    answer, advice = NO_DISK[name]
    with tight.as_current():
        verdict = lab10.no_disk.verdict(answer, tight, draw)
    assert verdict.state == "not yet"
    assert advice in verdict.message


def test_nothing_kept_is_right(tight):
    def makes_and_forgets(client, draw, mean):
        return [client.submit(lambda n: mean(draw(n)), number, pure=False).result() for number in range(48)]

    def as_an_array(client, draw, mean):
        return np.array(lab10._solve_no_disk(client, draw, mean))

    assert lab10.no_disk.verdict(as_an_array, tight, draw).state == "right"
    assert lab10.no_disk.verdict(lab10._solve_no_disk, tight, draw).state == "right"
    assert lab10.no_disk.verdict(makes_and_forgets, tight, draw).state == "right"


def test_a_call_that_never_returns_gets_a_verdict_and_its_futures_are_canceled(tight, monkeypatch, usual_pace):
    def waits(client, draw, mean):
        wait(client.submit(time.sleep, 2, pure=False))

    monkeypatch.setattr(lab10, "_SECONDS", 0.2)
    with tight.as_current():
        before = set(tight.futures)
        assert "still running after" in lab10.no_disk.verdict(waits, tight, draw).message
        assert set(tight.futures) == before


def test_a_slow_way_through_the_disk_hears_of_the_disk(tight, monkeypatch, usual_pace):
    written = iter([{"a worker": 0}, {"a worker": 5_000_000}])
    monkeypatch.setattr(lab10, "_written", lambda client: next(written))
    monkeypatch.setattr(lab10, "_SECONDS", 0.2)
    verdict = lab10.no_disk.verdict(lambda client, draw, mean: time.sleep(1), tight, draw)
    assert "wrote 4.77 MiB to disk meanwhile" in verdict.message


def test_options_may_be_of_other_types():
    import pandas as pd

    assert lab10._options({"n_workers": np.int64(2), "memory_limit": np.array(700e6)}) == (2, 700_000_000)
    assert lab10._options(pd.Series({"n_workers": 2.0, "memory_limit": "700 MiB"})) == (2, 700 * MIB)


@pytest.mark.parametrize("name", ROOM)
def test_a_cluster_without_room_has_advice_of_its_own(name):
    answer, advice = ROOM[name]
    verdict = lab10.room.verdict(answer, draw_as_in_the_lab)
    assert verdict.state == "not yet"
    assert advice in verdict.message


@pytest.mark.parametrize("answer", [{"n_workers": 1, "memory_limit": "1.5 GiB"}, lab10._solve_room()])
def test_few_large_workers_have_room(answer):
    assert lab10.room.verdict(answer, draw_as_in_the_lab).state == "right"


def slow(number):
    time.sleep(0.1)
    return number


def fails_to_draw(number):
    raise ZeroDivisionError(number)


def dies(number):
    psutil.Process().kill()


def needs_much_at_first(number):
    """The first task, before anything is kept, takes its worker over the line where it pauses, and no further."""
    if number == 0:
        own, limit = psutil.Process().memory_info().rss, 1536 * MIB
        hoard = bytearray(b"x") * int(0.88 * limit - own)
        end = time.monotonic() + 30
        while get_worker().status.name != "paused" and time.monotonic() < end:
            time.sleep(0.02)
        del hoard
    return number


@pytest.mark.parametrize(
    ("function", "advice"),
    [
        (fails_to_draw, "failed: ZeroDivisionError"),
        (slow, "some arrays are still missing"),
        (dies, "A nanny killed its worker"),
        (needs_much_at_first, "A worker paused on the way"),
    ],
)
def test_a_cluster_that_does_not_do_it_is_said(function, advice, monkeypatch, usual_pace):
    monkeypatch.setattr(lab10, "_SECONDS", 1.5 if function is slow else 60.0)
    function.__module__ = "__main__"
    verdict = lab10.room.verdict({"n_workers": 1, "memory_limit": "1.5 GiB"}, function)
    assert advice in verdict.message
