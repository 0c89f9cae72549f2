"""Each lab of the troubled class, run for real."""

import contextlib
import os

import nbformat
import psutil
import pytest

from daskclass import labs
from daskclass.commands.rehearsal import family, one_lab
from daskclass.commands.rehearsal.family import Family
from daskclass.commands.rehearsal.outcome import Failure

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the troubled labs use signals")


class Heard:
    def __init__(self):
        self.cells, self.claims = [], []

    def cell(self, name, number, of, family):
        self.cells.append((name, number, of))

    def claim(self, claim):
        self.claims.append((claim.text, claim.holds))


@pytest.fixture(scope="session")
def outcomes(troubled_checkout, tmp_path_factory):
    """What came of every lab, and what was heard meanwhile, by number."""
    found, families = {}, []
    patience, mercy, one_lab.Family = family._PATIENCE, family._MERCY, lambda: families.append(Family()) or families[-1]
    ipython = {"IPYTHONDIR": str(tmp_path_factory.mktemp("ipython"))}
    family._PATIENCE, family._MERCY = 3.0, 0.5
    try:
        for lab in labs.find(troubled_checkout):
            heard = Heard()
            seconds = 3.0 if lab.number == "04" else None
            environment = {**os.environ, **ipython, "DASKCLASS_SIZE": "2MB"}
            environment.pop("DASK_SCHEDULER_ADDRESS", None)
            found[lab.number] = one_lab.run(lab, environment, seconds, heard), heard
    finally:
        family._PATIENCE, family._MERCY, one_lab.Family = patience, mercy, Family
    found["marks"] = {one.mark for one in families}
    return found


def test_a_good_lab(outcomes):
    outcome, heard = outcomes["00"]
    assert (outcome.lab, outcome.status, outcome.error, outcome.left_behind) == ("00-start-here", "passed", None, [])
    assert outcome.minutes_planned == 35
    assert [(claim.text, claim.core, claim.holds) for claim in outcome.claims] == [
        ("two and two are four", True, True),
        ("and one <b>more</b> is five", False, True),
    ]
    assert outcome.claims[0].evidence == {"value": 4, "parts": {"a": 2, "b": [1, 1]}}
    assert heard.cells == [
        ("true", 1, 5),
        ("claim-true", 2, 5),
        ("size", 3, 5),
        ("picture", 4, 5),
        ("claim-further", 5, 5),
    ]
    assert heard.claims == [(claim.text, True) for claim in outcome.claims]
    size = next(cell for cell in outcome.notebook.cells if cell.id == "size")
    assert size.outputs[0].text == "2MB None\n"
    assert outcome.seconds > 0
    assert outcome.peak_bytes > 30_000_000


def test_a_false_claim_does_not_hide_the_next_one_and_an_error_ends_the_lab(outcomes):
    outcome, heard = outcomes["01"]
    assert outcome.status == "failed"
    assert outcome.error == "ZeroDivisionError in the cell `wrong`: division by zero"
    assert [(claim.text, claim.holds) for claim in outcome.claims] == [
        ("one is two", False),
        ("one is one", True),
        ("never measured", None),
    ]
    assert outcome.claims[0].evidence == {"one": 1}
    assert heard.claims == [("one is two", False), ("one is one", True)]


def test_a_false_claim_alone_fails_its_lab(outcomes):
    outcome, _heard = outcomes["06"]
    assert (outcome.status, outcome.error) == ("failed", "this claim is false here: one is three")
    assert [claim.holds for claim in outcome.claims] == [False]


def test_what_a_lab_leaves_behind_is_ended_and_said(outcomes):
    outcome, _heard = outcomes["02"]
    assert outcome.status == "passed"
    *processes, lock, file = sorted(outcome.left_behind, key=lambda left: left.startswith("the file"))
    assert (lock, file) == ("the file held.lock", "the file left.bin")
    assert len(processes) == 2
    assert sum("hoard" in process for process in processes) == 1
    for process in processes:
        number = int(process.rpartition("process ")[2].rstrip(")"))
        assert not psutil.pid_exists(number) or psutil.Process(number).status() == psutil.STATUS_ZOMBIE


def test_memory_is_that_of_the_kernel_and_its_children(outcomes):
    lean, rich = outcomes["00"][0].peak_bytes, outcomes["02"][0].peak_bytes
    assert 30_000_000 < lean < 250_000_000
    assert 300_000_000 < rich < 300_000_000 + lean + 100_000_000


def test_a_kernel_that_dies_is_said(outcomes):
    outcome, _heard = outcomes["03"]
    assert outcome.status == "failed"
    assert outcome.error == (
        "its kernel died in the cell `die`, killed by SIGKILL, which is how the system kills when memory runs out; "
        "its last output: last words"
    )
    assert outcome.left_behind == []


def test_time_is_up(outcomes):
    outcome, heard = outcomes["04"]
    assert outcome.status == "timed out"
    assert outcome.error == "it didn't finish within 3 seconds; it was in the cell `hang`"
    assert [cell for cell, _number, _of in heard.cells] == ["hang"]
    assert outcome.left_behind == ["the file cleaned-up.txt"]  # so its `finally` ran
    assert outcome.seconds >= 3


def test_a_lab_that_cannot_be_read(outcomes):
    outcome, _heard = outcomes["05"]
    assert outcome.status == "failed"
    assert outcome.error.startswith("can't read 05-broken.ipynb as a lab: ")
    assert outcome.notebook is None


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "[" * 100_000,
        '{"nbformat": 4, "nbformat_minor": 5, "cells": [], "metadata": {}}',
        '{"nbformat": 4, "cells": [], "metadata": {"daskclass": {"teaching": "3", "exercises": 1}}}',
    ],
    ids=["list", "deep", "no minutes", "minutes in words"],
)
def test_nothing_in_a_lab_breaks_the_rehearsal(text, tmp_path):
    (tmp_path / "00-odd.ipynb").write_text(text)
    outcome = one_lab.run(labs.Lab(tmp_path / "00-odd.ipynb"), dict(os.environ), None, Heard())
    assert outcome.status == "failed"
    assert outcome.error.startswith("can't read 00-odd.ipynb as a lab: ")


def test_a_kernel_that_is_not_there_is_said(troubled_checkout, tmp_path):
    lab = labs.find(troubled_checkout)[0]
    notebook = nbformat.read(lab.path, as_version=4)
    notebook.metadata["kernelspec"] = {"name": "nosuch", "display_name": "none", "language": "python"}
    nbformat.write(notebook, tmp_path / "00-none.ipynb")
    outcome = one_lab.run(labs.Lab(tmp_path / "00-none.ipynb"), dict(os.environ), None, Heard())
    assert outcome.error.startswith("its kernel didn't start: ")
    assert "nosuch" in outcome.error


@pytest.mark.parametrize(
    ("status", "said"), [(-9, "SIGKILL"), (-35, "signal 35"), (3, "exit status 3"), (None, "no longer answers")]
)
def test_every_end_of_a_kernel_has_words(status, said):
    assert said in one_lab._how(status)


def test_no_process_of_any_lab_is_there(outcomes):
    assert len(outcomes["marks"]) == 7  # one lab cannot be read
    alive = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(family.MARK) in outcomes["marks"] and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
        except (psutil.Error, OSError):
            continue
    assert alive == []


def test_a_kernel_that_does_not_start(troubled_checkout, tmp_path):
    broken = {**os.environ, "IPYTHONDIR": str(tmp_path), "PYTHONHOME": str(tmp_path)}
    outcome = one_lab.run(labs.find(troubled_checkout)[0], broken, None, Heard())
    assert outcome.status == "failed"
    assert outcome.error.startswith("its kernel didn't start: ")
    assert [claim.holds for claim in outcome.claims] == [None, None]


def test_a_claim_that_says_nothing_fails_its_lab(troubled_checkout, tmp_path):
    lab = labs.find(troubled_checkout)[0]
    notebook = nbformat.read(lab.path, as_version=4)
    notebook.cells[1].source = "def claim(*_arguments, **_evidence):\n    pass\nvalue = 4"
    nbformat.write(notebook, tmp_path / "00-mute.ipynb")
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path), "DASKCLASS_SIZE": "2MB"}
    outcome = one_lab.run(labs.Lab(tmp_path / "00-mute.ipynb"), environment, None, Heard())
    assert outcome.status == "failed"
    assert outcome.error == "it didn't measure: two and two are four"


def test_the_minutes_planned_are_the_limit_unless_another_is_given(troubled_checkout, tmp_path, monkeypatch):
    limits = []

    def opened(lab, environment, seconds, outcome):
        limits.append(seconds)
        raise one_lab.Stopped("not today")

    monkeypatch.setattr(one_lab, "opened", opened)
    lab = labs.find(troubled_checkout)[3]
    for seconds in (None, 90.0):
        assert one_lab.run(lab, {**os.environ, "IPYTHONDIR": str(tmp_path)}, seconds, Heard()).error == "not today"
    assert limits == [35 * 60, 90.0]


@pytest.fixture
def opened(troubled_checkout, tmp_path):
    """``with opened(number) as kernel``: a kernel for a lab of the troubled class; and what came of it, `outcome`."""

    @contextlib.contextmanager
    def start(number: str, seconds: float = 60.0):
        [lab] = labs.choose(number, labs.find(troubled_checkout))
        start.outcome = one_lab.Outcome(lab.name)
        environment = {**os.environ, "IPYTHONDIR": str(tmp_path), "DASKCLASS_SIZE": "2MB"}
        with one_lab.opened(lab, environment, seconds, start.outcome) as kernel:
            yield kernel

    return start


def test_cells_run_in_any_order_with_other_sources_and_again(opened):
    with opened("00") as kernel:
        assert kernel.run("true").claim is None
        assert kernel.run("claim-true").claim.holds is True
        kernel.run("true", "value = 5")
        assert kernel.run("claim-true").claim.holds is False
        kernel.run("true")
        assert kernel.run("claim-true").claim.holds is True
    assert kernel.ran == {"true": 2, "claim-true": 3}
    assert opened.outcome.left_behind == []
    assert opened.outcome.seconds > 0


def test_what_stops_a_cell_is_said_and_the_kernel_goes_on(opened):
    with opened("01") as kernel:
        kernel.run("true")
        with pytest.raises(one_lab.Stopped, match=r"^ZeroDivisionError in the cell `wrong`: division by zero$") as why:
            kernel.run("wrong")
        assert (why.value.cell, why.value.status) == ("wrong", "failed")
        assert why.value.failure == Failure("wrong", "error", "ZeroDivisionError: division by zero", 1)
        assert kernel.run("claim-second").claim.holds is True
        with pytest.raises(one_lab.Stopped, match="ClaimIsFalse in the cell `true`: no cell of a claim"):
            kernel.run("true", "claim('no cell of a claim', 1 == 2)")


def test_when_a_block_fails_all_that_came_of_the_kernel_is_ended(opened):
    pids = []

    def half_way():
        with opened("00") as kernel:
            kernel.run("true")
            pids.append(kernel._client.km.provisioner.pid)
            raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        half_way()
    assert not psutil.pid_exists(pids[0])
    assert opened.outcome.peak_bytes > 0
