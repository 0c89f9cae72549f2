"""Runs cells of labs, with the rehearsal's runner, in kernels that must leave nothing behind."""

from __future__ import annotations

import contextlib
import os
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

import lab_runs
from daskclass import labs, machines
from daskclass.commands.rehearsal import family, one_lab
from daskclass.commands.rehearsal.one_lab import Kernel
from daskclass.commands.rehearsal.outcome import Outcome

ROOT = Path(__file__).parents[2]
# On the machines of `make machines`, the labs that need them; everywhere else, all the others.
LABS = [lab for lab in labs.find(ROOT) if (lab.needs == "machines") == machines.here()]
# As it was before a cluster of a test's: nannies set OMP_NUM_THREADS=1 and the like in the process that starts them.
INHERITED = {name: value for name, value in os.environ.items() if name != "DASK_SCHEDULER_ADDRESS"}
SECONDS = 840  # for all that one test does with a lab; `make` lets pytest-timeout come later, which says no cell


def controls_of(lab: labs.Lab) -> list[dict]:
    """The changes that take the causes of a lab's claims away."""
    path = Path(__file__).parent / "controls" / f"{lab.number}.py"
    return runpy.run_path(str(path))["CONTROLS"] if path.is_file() else []


# Labs whose claims compare seconds or cores, or need something to happen while something else still runs. They run one
# at a time. The claims of the others count, and measure bytes; these labs run two at a time (`make test-controls`).
TIMED = {"05", "11", "14"}


def pytest_generate_tests(metafunc):
    """A test of `lab` is one of every lab here; a test of `lab` and `control` one of each control that runs alone.

    A test of `any_lab`, which only reads, is one of every lab, wherever it runs.
    """
    if "any_lab" in metafunc.fixturenames:
        metafunc.parametrize("any_lab", [pytest.param(lab, id=lab.number) for lab in labs.find(ROOT)])
    asked = {"lab", "control"} & set(metafunc.fixturenames)
    if asked == {"lab"}:
        whole = metafunc.definition.get_closest_marker("whole")
        marks = {lab.number: pytest.mark.controls if lab.number in TIMED else pytest.mark.parts for lab in LABS}
        metafunc.parametrize(
            "lab", [pytest.param(lab, id=lab.number, marks=marks[lab.number] if whole else ()) for lab in LABS]
        )
    elif asked == {"lab", "control"}:
        cases = [(lab, control) for lab in LABS for control in controls_of(lab) if "alone" in control]
        ids = [f"{lab.number}-{control['claim']}" for lab, control in cases]
        metafunc.parametrize(("lab", "control"), cases, ids=ids)


@pytest.fixture
def controls(lab) -> list[dict]:
    """The controls of the lab."""
    return controls_of(lab)


@pytest.fixture
def its_controls(any_lab) -> list[dict]:
    """The controls of any lab."""
    return controls_of(any_lab)


def _files() -> set[Path]:
    """Everything in the checkout that a lab could leave something in, but for the data that is made once."""
    return {path for place in ("labs", "src") for path in (ROOT / place).rglob("*") if "__pycache__" not in path.parts}


@pytest.fixture
def kernel(monkeypatch):
    """``with kernel(lab, how) as opened: opened.run(cell)``: afterwards no process and no file of it may be left.

    `how` is what the list of runs calls it, and further arguments are variables of the kernel's environment.
    """

    monkeypatch.setattr(family, "_PATIENCE", 30.0)  # a busy machine takes its time to end what a lab had running

    @contextlib.contextmanager
    def started(lab: labs.Lab, how: str, **variables: str) -> Iterator[Kernel]:
        environment = INHERITED | {"DASKCLASS_SIZE": "smoke"} | variables
        outcome, before = Outcome(lab.name), _files()
        with one_lab.opened(lab, environment, SECONDS, outcome) as opened:
            yield opened
        lab_runs.note(lab.number, how, whole=opened.ran.keys() >= lab.cells.keys())
        assert outcome.left_behind == []
        assert _files() == before

    return started


@pytest.fixture
def timed() -> set[str]:
    """The numbers of the labs whose claims compare times."""
    return TIMED


@pytest.fixture(scope="session")
def numbered() -> dict[str, labs.Lab]:
    """All labs by their numbers."""
    return {lab.number: lab for lab in labs.find(ROOT)}
