"""Exercises of lab 23: wrong answers get their own advice; right ones of several shapes pass."""

from __future__ import annotations

import inspect
import re

import pytest

from daskclass.errors import Problem
from daskclass.exercises import lab23
from daskclass.exercises.exercise import TryNext

RIGHT = lab23._solve_night()


def by_the_last_line(log):
    """Reads from the end, with patterns."""
    for line in reversed(log.splitlines()):
        if match := re.search(r"CANCELLED AT \S+( DUE TO TIME LIMIT)?", line):
            return "time limit" if match[1] else "cancelled"
        if line.endswith(("Timed out starting worker", "Nanny failed to start.")):
            return "no scheduler"
    return None


def by_a_table(log):
    """A table of words and reasons, in order."""
    reasons = {"TIME LIMIT": "time limit", "CANCELLED": "cancelled", "failure-to-start": "no scheduler"}
    return next((reason for words, reason in reasons.items() if words in log), None)


def memory_is_an_end(log):
    return "memory" if "memory budget" in log else lab23._solve_last_words(log)


def every_cancelled(log):
    return "cancelled" if "CANCELLED" in log else lab23._solve_last_words(log)


def only_the_soon(log):
    """Knows the lines of a short `--death-timeout` only."""
    known = lab23._solve_last_words(log)
    return known if known != "no scheduler" or "Timed out starting worker" in log else None


def every_end(log):
    if "End worker" in log:
        return "no scheduler"
    return lab23._solve_last_words(log)


def without(name):
    return {key: value for key, value in RIGHT.items() if key != name}


def leaving(*words):
    return RIGHT | {"worker_extra_args": list(words)}


LAST_WORDS = {
    "a text": ("time limit", "should be a function"),
    "raises": (lambda log: log["why"], "it raised `TypeError"),
    "memory is an end": (memory_is_an_end, "It returned 'memory'. (It should be one of"),
    "every cancelled": (every_cancelled, "It returned 'cancelled'."),
    "every end": (every_end, "It returned 'no scheduler'."),
    "only the soon": (only_the_soon, "never reached the scheduler ends with"),
    "nothing": (lambda log: None, "It returned None."),
    "a bool": (lambda log: False, "It returned False."),
}
NIGHT = {
    "a text": ("night", "should be a dictionary"),
    "an unknown option": (RIGHT | {"coores": 2}, "Got unexpected keyword argument 'coores'"),
    "no memory": (without("memory"), "raised `ValueError"),
    "no cores": (without("cores"), "raised `ValueError"),
    "one worker of two threads": (RIGHT | {"processes": 1}, "1 worker(s) of 2 thread(s)"),
    "four threads": (RIGHT | {"cores": 4}, "2 worker(s) of 2 thread(s)"),
    "memory of a worker": (RIGHT | {"memory": "4 GB"}, "`memory` is that of a whole job"),
    "no queue": (without("queue"), "It names no queue"),
    "another queue": (RIGHT | {"queue": "day"}, "The queue is 'day'"),
    "two minutes": (RIGHT | {"walltime": "02:00"}, "as 2 minutes"),
    "words": (RIGHT | {"walltime": "two hours"}, "Slurm can't read the walltime"),
    "no walltime": (without("walltime"), "as 30 minutes"),
    "no lifetime": (without("worker_extra_args"), "don't leave by themselves"),
    "spaces": (leaving("--lifetime", "100 minutes"), "there it's several words"),
    "one string": (leaving("--lifetime 100m --lifetime-stagger 5m"), "there it's several words"),
    "no stagger": (leaving("--lifetime", "100m"), "leave together"),
    "come back": (leaving("--lifetime", "100m", "--lifetime-stagger", "9m", "--lifetime-restart"), "doesn't leave"),
    "many cores": (RIGHT | {"job_cpu": 64}, "asks for 64 cores"),
    "small workers": (RIGHT | {"memory": "1 GB", "job_mem": "8GB"}, "A worker's limit is 0.5 GB"),
    "no time": (leaving("--lifetime", "soon", "--lifetime-stagger", "5m"), "can't read 'soon'"),
    "too late": (leaving("--lifetime", "105m", "--lifetime-stagger", "10m"), "The last ones leave after 115 minutes"),
    "too early": (leaving("--lifetime", "20m", "--lifetime-stagger", "5m"), "The first ones leave after 15 minutes"),
}
WRONG = {
    **{f"last_words: {name}": (lab23.last_words, *row) for name, row in LAST_WORDS.items()},
    **{f"night: {name}": (lab23.night, *row) for name, row in NIGHT.items()},
}

for _function in [value for value in globals().values() if inspect.isfunction(value)]:
    if _function.__module__ == __name__ and not _function.__name__.startswith("test_"):
        _function.__module__ = "__main__"


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_has_advice_of_its_own(name):
    exercise, answer, advice = WRONG[name]
    with pytest.raises(TryNext) as raised:
        exercise.judge(answer)
    assert advice in str(raised.value)


def test_every_advice_is_reached(unreached):
    assert unreached(lab23, [(exercise, answer, {}) for exercise, answer, _advice in WRONG.values()]) == []


@pytest.mark.parametrize("answer", [by_the_last_line, by_a_table])
def test_other_readers_are_right(answer):
    assert "It was right about" in lab23.last_words.judge(answer)


@pytest.mark.parametrize(
    "answer",
    [
        RIGHT | {"walltime": "120", "memory": "8 GiB"},
        RIGHT | {"walltime": "0-02:00:00", "job_name": "night", "interface": "eth7"},
        without("queue") | {"job_extra_directives": ["--partition=night"]},
        leaving("--lifetime=90m", "--lifetime-stagger=15m"),
        leaving("--lifetime", "6000s", "--lifetime-stagger", "600s"),
    ],
)
def test_other_nights_are_right(answer):
    assert "Two workers a job" in lab23.night.judge(answer)


def test_a_night_asks_slurm_for_nothing(monkeypatch):
    """Neither a number of workers in the answer nor anything else makes the judge submit a job."""
    assert "Two workers a job" in lab23.night.judge(RIGHT | {"n_workers": 4})


def test_without_the_package_it_is_our_problem(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dask_jobqueue", None)
    with pytest.raises(Problem, match="needs dask-jobqueue"):
        lab23.night.judge(RIGHT)


@pytest.mark.parametrize(
    ("text", "minutes"), [("90", 90), ("2:30", 2.5), ("01:30:00", 90), ("1-00", 1440), ("1-02:30", 1590)]
)
def test_walltimes_are_read_as_slurm_reads_them(text, minutes):
    assert lab23._seconds(text) == minutes * 60
