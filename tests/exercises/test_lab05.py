"""Exercises of lab 05: every wrong answer that we thought of gets its own advice."""

import numpy as np
import pytest

from daskclass import sizing
from daskclass.exercises import lab05


def shape(workers, threads, limit):
    return {"n_workers": workers, "threads_per_worker": threads, "memory_limit": limit}


@pytest.fixture(scope="module")
def job(machines, colleagues):
    """The plan of a learner who chose so."""

    def plan(machine="small", nbytes="40 TB", deadline="2 hours", **options):
        return sizing.plan(nbytes, machines[machine], deadline, colleagues, **options)

    return plan


CASES = {
    "shape, number": (lab05.shape, 6, "should be a dictionary with n_workers"),
    "shape, one missing": (lab05.shape, {"n_workers": 6, "memory_limit": "5 GB"}, "should be a dictionary with"),
    "shape, dots": (lab05.shape, shape(..., 1, "5 GB"), "whole numbers above 0"),
    "shape, none": (lab05.shape, shape(0, 1, "5 GB"), "whole numbers above 0"),
    "shape, no bytes": (lab05.shape, shape(6, 1, "5 foos"), "bytes in a form that Dask reads"),
    "shape, true": (lab05.shape, shape(True, True, "5 GB"), "whole numbers above 0"),
    "shape, endless": (lab05.shape, shape(6, 1, float("inf")), "bytes in a form that Dask reads"),
    "shape, no limit": (lab05.shape, shape(6, 1, None), "no limit and 0 mean the same"),
    "shape, no size": (lab05.shape, shape(6, 1, "large"), "bytes in a form that Dask reads"),
    "shape, threads": (lab05.shape, shape(1, 8, "32 GB"), "How many threads of one process"),
    "shape, threads of one process": (
        lab05.shape,
        shape(7, 1, "4.5 GB") | {"processes": False},
        "How many threads of one process",
    ),
    "shape, small share": (lab05.shape, shape(8, 1, 0.125), "A worker spills from 2.80 GB on"),
    "shape, auto": (lab05.shape, shape(7, 1, "auto"), "no limit and 0 mean the same"),
    "shape, spills": (lab05.shape, shape(8, 1, "4 GB"), "A worker spills from 2.80 GB on"),
    "shape, too much": (lab05.shape, shape(8, 1, "5 GB"), "The machine has 32 GB"),
    "shape, too few": (lab05.shape, shape(4, 1, "8 GB"), "there's room for more workers"),
    "shape, one too few": (lab05.shape, shape(6, 1, "5 GB"), "there's room for more workers"),
    "job, number": (lab05.job, 24, "the result of `sizing.plan`"),
    "job, other bytes": (lab05.job, lambda job: job(nbytes="40 GB"), "The job has 40 TB"),
    "job, late": (lab05.job, lambda job: job(deadline="3 hours"), "longer than two hours"),
    "job, schedulers": (lab05.job, lambda job: job(partition="1 MiB"), "more than one scheduler"),
    "job, many tasks": (lab05.job, lambda job: job(partition="32 MiB"), "fewer tasks cost less"),
    "job, another model": (
        lab05.job,
        lambda job: sizing.plan("40 TB", sizing.Machine(2, "4 GiB", 0.01), "2 hours", sizing.Model(0, 0, 0, 5e-9)),
        "isn't a plan for one of these machines",
    ),
    "job, default": (lab05.job, lambda job: job(), "fewer tasks cost less"),
    "job, dear cores": (lab05.job, lambda job: job("even", partition="512 MiB"), "has the cheapest thread"),
    "job, dear network": (lab05.job, lambda job: job("large", partition="64 MiB"), "the most network for each thread"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_answer_has_advice_of_its_own(name, judged, job):
    exercise, answer, advice = CASES[name]
    verdict = judged(exercise, answer(job) if callable(answer) else answer)
    assert verdict.state == "not yet"
    assert advice in verdict.message


def test_every_advice_is_reached(unreached, job):
    rows = [(exercise, answer(job) if callable(answer) else answer, {}) for exercise, answer, _ in CASES.values()]
    assert unreached(lab05, rows) == []


@pytest.mark.parametrize(
    "limit", ["4.5 GB", "4.43 GB", 4_500_000_000, np.int64(4_571_428_571), "4.2 GiB", 0.14, 1 / 7, "0.14"]
)
def test_any_limit_that_fits_seven_times_is_right(judged, limit):
    assert judged(lab05.shape, shape(np.int64(7), 1, limit)).state == "right"


def test_more_arguments_that_change_nothing_are_right(judged):
    assert judged(lab05.shape, shape(7, 1, "4.5 GB") | {"processes": True, "dashboard_address": ":0"}).state == "right"


@pytest.mark.parametrize("deadline", ["118 minutes", 7_199, "2 hours"])
def test_a_plan_that_is_earlier_than_it_has_to_be_is_right(judged, job, deadline):
    verdict = judged(lab05.job, job(partition="256 MiB", deadline=deadline))
    assert verdict.state == "right", verdict.message


@pytest.mark.parametrize("partition", ["200 MiB", "256 MiB", "300 MiB"])
def test_any_plan_within_the_budget_is_right(judged, job, partition):
    assert judged(lab05.job, job(partition=partition)).state == "right"


def test_only_the_small_machine_is_cheap_enough(job, machines):
    for name, machine in machines.items():
        largest = int(machine.memory.split()[0]) * 2**30 / machine.threads * 0.7 / 4
        cheapest = min(job(name, partition=int(largest * share)).money for share in (0.1, 0.3, 0.5, 0.7, 0.9, 1))
        assert (cheapest <= lab05.BUDGET) == (name == "small")
