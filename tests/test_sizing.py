"""The model finds what made the times; a plan is the fewest machines that do, by counting them all."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskclass import labs, sizing
from daskclass.errors import Problem
from daskclass.sizing import Machine, Model, Scheduler

MODEL = Model(start=2, per_task=0.002, handling=0.001, per_byte=5e-9)
MACHINE = Machine(4, "16 GiB", hourly=0.20, network="1 GB")
CONFIGURATIONS = [(size, tasks, on) for size in (20e6, 50e6) for tasks in (8, 80) for on in (1, 2)]


def runs(model, noise=lambda number: 1.0):
    rows = [
        {"bytes": size, "tasks": tasks, "workers": on, "seconds": model.seconds(size, tasks, on) * noise(number)}
        for number, (size, tasks, on) in enumerate(CONFIGURATIONS)
    ]
    return pd.DataFrame(rows)


terms = st.floats(min_value=1e-3, max_value=1)


@given(start=terms, per_task=terms, handling=terms, per_byte=terms)
def test_the_fit_finds_the_terms_again(start, per_task, handling, per_byte):
    model = Model(start, per_task / 10, handling / 10, per_byte / 1e8)
    found = sizing.fit(runs(model))
    for name in ("start", "per_task", "handling", "per_byte"):
        assert getattr(found, name) == pytest.approx(getattr(model, name), rel=1e-6, abs=1e-12)


def test_a_prediction_stands_a_tenth_of_noise():
    noisy = sizing.fit(runs(MODEL, lambda number: 1.1 if number % 2 else 0.9))
    low, high = noisy.interval(200e6, 800, 2)
    assert low < MODEL.seconds(200e6, 800, 2) < high
    assert high / low == pytest.approx(1.3 / 0.7)


def test_of_equal_runs_the_fastest_counts():
    slow = runs(MODEL).assign(seconds=lambda frame: frame.seconds * 3)
    assert sizing.fit(pd.concat([slow, runs(MODEL)])) == sizing.fit(runs(MODEL))


def test_without_overhead_time_is_in_proportion_to_the_bytes():
    model = dataclasses.replace(MODEL, start=0.02)
    found = sizing.fit(runs(model), overhead=False)
    assert (found.start, found.per_task) == (0, 0)
    assert found.seconds(200e6, 800, 2) == pytest.approx(2 * found.seconds(100e6, 1, 2))
    assert found.interval(200e6, 800, 2)[1] < model.seconds(200e6, 800, 2)


def test_no_term_is_negative():
    faster = runs(Model(0.5, 0.001, 0, 5e-9)).assign(seconds=lambda frame: frame.seconds - 0.0009 * frame.tasks)
    found = sizing.fit(faster)
    assert min(dataclasses.astuple(found)) >= 0


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (runs(MODEL).drop(columns="tasks"), "no column tasks"),
        (runs(MODEL).head(3), "3 different runs aren't enough to tell the terms apart"),
        (runs(MODEL).query("workers == 2"), "4 different runs aren't enough to tell the terms apart"),
        (runs(MODEL).query("tasks == 8 and bytes == 20e6"), "2 different runs aren't enough"),
        (runs(MODEL).assign(tasks=8, workers=1), "enough to tell the terms apart"),
        (runs(MODEL).head(0), "0 different runs"),
        (runs(MODEL).assign(seconds=0.0), "above 0"),
        (runs(MODEL).assign(workers=-1), "above 0"),
        (runs(MODEL).assign(bytes=[math.nan, *[2e7] * 7]), "above 0"),
        (runs(MODEL).assign(seconds="soon"), "must contain numbers"),
        (runs(MODEL).assign(seconds=math.inf), "above 0"),
    ],
)
def test_runs_that_say_too_little_are_refused(bad, said):
    with pytest.raises(Problem, match=said):
        sizing.fit(bad)


def seconds_of(plan, machines, machine=MACHINE, model=MODEL):
    """What so many machines need, a cluster of them for each scheduler, reckoned by hand."""
    own = math.ceil(plan.tasks / plan.schedulers)
    slots = machines // plan.schedulers * machine.threads
    a_byte = max(model.per_byte, machine.threads / 1e9)
    one_task = model.handling + a_byte * plan.bytes / plan.tasks
    return model.start + model.per_task * own + math.ceil(own / slots) * one_task


@pytest.mark.parametrize("nbytes", ["3 GB", "300 GB", "300 TB"])
@pytest.mark.parametrize("deadline", ["1 minute", "20 minutes", "4 hours"])
@pytest.mark.parametrize("partition", ["32 MiB", "512 MiB"])
def test_a_plan_is_in_time_and_one_machine_fewer_is_not(nbytes, deadline, partition):
    plan = sizing.plan(nbytes, MACHINE, deadline, MODEL, partition=partition)
    limit = {"1": 60, "2": 1200, "4": 14400}[deadline[0]]
    assert plan.in_time
    assert plan.seconds == pytest.approx(seconds_of(plan, plan.machines))
    assert plan.seconds <= limit
    fewer = plan.machines - plan.schedulers
    assert fewer == 0 or seconds_of(plan, fewer) > limit
    assert plan.money == pytest.approx((plan.machines + plan.schedulers) * 0.20 * plan.seconds / 3600)


def test_bytes_may_be_numpys():
    asked = (MACHINE, "1 hour", MODEL)
    assert sizing.plan(np.int64(10**12), *asked) == sizing.plan("1 TB", *asked)


@pytest.mark.parametrize("per_task", [0.0005, 0.004])
@pytest.mark.parametrize("per_byte", [2.5e-9, 9e-9])
def test_the_three_plans_of_lab_05_have_three_bottlenecks(per_task, per_byte):
    [lab] = labs.choose("05", labs.find(Path(__file__).parents[1]))
    counted = pd.DataFrame({"tasks": [100, 400], "own_cpu": [1.0, 400 * per_task]})
    fitted = Model(0.02, 0.0, 0.001, per_byte)  # the fit may give all of a task's cost to the worker
    given = {"sizing": sizing, "dataclasses": dataclasses, "pd": pd, "model": fitted, "runs": counted}
    exec(lab.cells["plans"], given)
    plans = given["plans"]
    assert plans.bottleneck.tolist() == ["start", "cores", "scheduler"]
    assert plans.in_time.all()
    assert plans.money.iloc[2] < 100_000 * plans.money.iloc[0]


def test_what_takes_most_is_the_bottleneck():
    def bottleneck(model=MODEL, machine=MACHINE, partition="512 MiB"):
        return sizing.plan("3 TB", machine, "4 hours", model, partition=partition).bottleneck

    assert bottleneck() == "cores"
    assert bottleneck(machine=dataclasses.replace(MACHINE, network="100 MB")) == "network"
    assert bottleneck(model=dataclasses.replace(MODEL, per_task=0.1), partition="64 MiB") == "scheduler"
    assert bottleneck(model=dataclasses.replace(MODEL, start=9000)) == "start"


def test_one_scheduler_suffices_until_its_work_takes_longer_than_there_is_time():
    assert sizing.plan("300 TB", MACHINE, "3 hours", MODEL).schedulers == 1
    late = sizing.plan("300 TB", MACHINE, "1 hour", MODEL)
    assert late.in_time
    assert (late.schedulers, late.bottleneck) == (3, "scheduler")
    assert (
        "one scheduler isn't enough: it needs 74m 30s for 2,235,175 tasks, and can keep only 337 threads busy"
        in late.why
    )
    assert sizing.plan("300 TB", MACHINE, "1 hour", MODEL, partition="512 MiB").schedulers == 1


def test_one_scheduler_suffices_until_its_memory_is_full():
    small = Scheduler(memory="1 GiB", task_bytes=4000)
    full = sizing.plan("300 TB", MACHINE, "1 day", MODEL, scheduler=small)
    assert full.schedulers == math.ceil(2_235_175 * 4000 / 2**30) == 9
    assert "2,235,175 tasks don't fit into its memory" in full.why


@given(
    st.floats(1e9, 1e15),
    st.floats(100, 1e5),
    st.floats(1e7, 6e8),
    st.floats(1e-4, 1e-2),
)
def test_no_scheduler_has_more_threads_than_it_keeps_busy(nbytes, deadline, partition, per_task):
    model = dataclasses.replace(MODEL, per_task=per_task)
    plan = sizing.plan(int(nbytes), MACHINE, deadline, model, partition=int(partition))
    one_task = model.handling + model.per_byte * plan.bytes / plan.tasks
    threads = plan.machines / plan.schedulers * MACHINE.threads
    assert threads <= max(MACHINE.threads, one_task / per_task)
    if plan.in_time:
        assert plan.seconds <= deadline
        assert plan.seconds == pytest.approx(seconds_of(plan, plan.machines, model=model))


def test_what_no_number_of_machines_does_is_said():
    plan = sizing.plan("3 GB", MACHINE, "1 second", MODEL)
    assert not plan.in_time
    assert plan.seconds > 1
    assert plan.machines * MACHINE.threads >= plan.tasks
    assert "no number of machines is fast enough: starting takes 2.00 s" in plan.why


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nbytes": "3 XB"}, "the data should look like \"128 MiB\", but is '3 XB'"),
        ({"nbytes": 0}, "the data should be above 0"),
        ({"deadline": "soon"}, "the deadline should look like"),
        ({"deadline": -1}, "the deadline should look like"),
        ({"partition": "2 GB"}, "partitions of 716.80 MiB would fit"),
        ({"partition": None}, "a partition should look like"),
        ({"in_memory": 0}, "in_memory should be above 0"),
        ({"in_memory": None}, "in_memory should look like"),
        ({"nbytes": 1e300}, "the data should be above 0 and below 1e30"),
        ({"nbytes": math.nan}, "the data should look like"),
        ({"deadline": ""}, "the deadline should look like"),
        ({"machine": Machine(0.5, "1 GB", 1)}, "threads should be above 0"),
        ({"machine": Machine(None, "1 GB", 1)}, "threads should look like 4"),
        ({"model": Model(math.nan, 0, 0, 1e-9)}, "the model's start should be 0 or more, but is nan"),
        ({"model": Model(0, -1, 0, 1e-9)}, "the model's per_task should be 0 or more"),
        ({"scheduler": Scheduler(task_bytes=-1)}, "a task's memory at the scheduler should be above 0"),
        ({"machine": Machine(0, "1 GB", 1)}, "threads should be above 0"),
        ({"machine": Machine(1, "1 GB", -1)}, "the price of an hour should be above 0"),
        ({"machine": Machine(1, "lots", 1)}, "the machine's memory should look like"),
        ({"scheduler": Scheduler(memory=0)}, "the scheduler's memory should be above 0"),
    ],
)
def test_bad_input_is_named(change, said):
    arguments = {"nbytes": "3 GB", "machine": MACHINE, "deadline": "1 hour", "model": MODEL} | change
    with pytest.raises(Problem, match=said):
        sizing.plan(**arguments)
