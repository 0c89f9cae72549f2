"""Each lab proves itself: once as a whole, in one kernel, and then in parts for what cannot be seen there.

In the whole pass a lab runs where the environment names a cluster, as ``daskclass lab`` does it: every `Client` that is
not given a cluster then goes there, or fails. Labs 00 to 02 work on it; the others have clusters of their own. Before a
cell runs as it stands, it runs as each of its controls. Afterward nothing may be left: no process, no file, and the
named cluster as it was; labs that have clusters of their own share one that they leave alone.

What a control would leave behind for the cells after it (`alone`) runs in a kernel of its own, which ends where the
claim is false: half-way, with clusters up and results held. That nothing is left there either is the other half of it.
A lab without such a control ends its pass before its last cell, `close`: what that would have closed has to end with
the kernel, and the cell itself runs wherever the lab runs as people run it. Lab 15 does so in a test of its own
(`HALF_WAY`).

Controls of their own run beside each other: what they assert is false without its cause, however busy the machine is.
So do whole passes of labs that compare no times; the others have the machine to themselves (`TIMED`).
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import dask
import pytest
from distributed import LocalCluster

from daskclass import clusters
from daskclass.commands.rehearsal import one_lab
from daskclass.commands.rehearsal.one_lab import Kernel

WORK_ON_IT = ("00", "01", "02")  # on the named cluster
LONG = 2  # seconds: a cell that took longer is not run twice; the controls run most of those again
TWICE = "07"  # from this lab on a cell may be run again, as a learner does who looks twice, and claims still hold

# A worker that closes between a heartbeat and its answer logs that as an error. The slower the machine, the more often:
# https://github.com/dask/distributed/issues/7105
CUT_OFF = re.compile(
    r"^[^\n]* - distributed\.worker - ERROR - Failed to communicate with scheduler during heartbeat\.\n"
    r"Traceback (?:(?! - [A-Z]+ - ).)*?\n"  # of this record
    r"distributed\.comm\.core\.CommClosedError: in <(?:TCP|TLS) \(closed\) ConnectionPool\.heartbeat_worker [^\n]*$",
    re.MULTILINE | re.DOTALL,
)


# Lab 15 uploads a module further down. Where a kernel ends without closing its cluster, Dask leaves that module in its
# scratch folder until another cluster starts there.
HALF_WAY = {"15": "setup script window-how window versions use rollback"}


def look_at(kernel: Kernel, cell: str, source: str | None = None) -> None:
    """Run a cell; it fails if a claim is false or something is red."""
    ran = kernel.run(cell, source)
    assert ran.claim is None or ran.claim.holds is True, f"false here: {ran.claim.text}\n{ran.claim.evidence}"
    assert not [output for output in ran.outputs if output.output_type == "error"]
    said = "".join(output.text for output in ran.outputs if output.get("name") == "stderr")
    assert "Traceback" not in CUT_OFF.sub("", said), said


def false_without_its_cause(kernel: Kernel, control: dict, cells: list[str]) -> None:
    """Run `cells`, the control's own among them changed; exactly its claim is false."""
    claims = {text: cell for cell, text, _core in kernel.lab.claims}
    for cell in cells:
        source = control["source"].strip() if cell == control["cell"] else None
        ran = kernel.run(cell, source)
        if cell == claims[control["claim"]]:
            assert ran.claim.holds is False, f"true without its cause: {control['claim']}"
            shown = [output.get("data", {}).get("text/plain") for output in ran.outputs]
            assert f"✘ {control['claim']}" in shown
            return
        assert ran.claim is None or ran.claim.holds is True, f"false as well: {ran.claim.text}"
    pytest.fail("the claim was not reached")


@contextmanager
def named() -> Iterator[LocalCluster]:
    """A cluster as `daskclass lab` starts it."""
    with dask.config.set({"distributed.worker.multiprocessing-method": "spawn"}), clusters.start() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def left_alone() -> Iterator[LocalCluster]:
    """The named cluster of the labs that have clusters of their own."""
    with named() as cluster:
        yield cluster


@pytest.mark.whole
def test_a_lab_holds_on_a_named_cluster_and_its_claims_are_false_without_their_causes(
    lab, controls, kernel, request, monkeypatch, tmp_path
):
    shared = None if lab.number in WORK_ON_IT else request.getfixturevalue("left_alone")
    monkeypatch.setenv("DASKCLASS_SIZE", "smoke")
    for variable in ("TMPDIR", "TEMP", "TMP"):  # of the workers, where tasks leave what they leave
        monkeypatch.setenv(variable, str(tmp_path))
    waiting = [control for control in controls if "alone" not in control]
    cells = list(lab.cells)
    assert cells[-1] == "close"
    if len(waiting) == len(controls) and lab.number not in HALF_WAY:  # nothing else ends this lab half-way
        cells.pop()
    with nullcontext(shared) if shared else named() as cluster:
        workers = {worker.server_id for worker in cluster.scheduler.workers.values()}
        with kernel(lab, "one pass", DASK_SCHEDULER_ADDRESS=cluster.scheduler_address) as opened:
            for number, cell in enumerate(cells):
                for control in [control for control in waiting if control["cell"] == cell]:
                    false_without_its_cause(opened, control, cells[number:])
                    waiting.remove(control)
                    print(f"false without its cause: {control['claim']}")
                began = time.monotonic()
                look_at(opened, cell)
                if lab.number >= TWICE and time.monotonic() - began < LONG:
                    look_at(opened, cell)
        assert waiting == []
        assert {worker.server_id for worker in cluster.scheduler.workers.values()} == workers
    assert one_lab.files(tmp_path) == []


@pytest.mark.parts
def test_a_control_that_changes_what_comes_after_it(lab, control, kernel):
    """In a kernel of its own, on a cluster of the lab's own, with the cells that it needs and no more."""
    [claim] = [cell for cell, text, _core in lab.claims if text == control["claim"]]
    with kernel(lab, "control of its own") as opened:
        false_without_its_cause(opened, control, [*control["alone"].split(), claim])


@pytest.mark.parts
@pytest.mark.parametrize("number", HALF_WAY)
def test_a_lab_that_fails_half_way_leaves_nothing(number, numbered, kernel):
    with kernel(numbered[number], "half-way") as opened:
        for cell in HALF_WAY[number].split():
            look_at(opened, cell)
