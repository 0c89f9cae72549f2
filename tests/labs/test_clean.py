"""A lab that ran to its end, or failed half-way, leaves no process and no file behind."""

import time
from pathlib import Path

import nbformat
import pytest

from daskclass import clusters

ROOT = Path(__file__).parents[2]
LONG = 2  # seconds: a cell that took longer is not run again here; the controls run most of those again
LABS = sorted((ROOT / "labs").glob("*.ipynb"))


def status() -> set[Path]:
    """Everything in the checkout that a lab could leave something in, but for the data that is made once."""
    return {path for place in ("labs", "src") for path in (ROOT / place).rglob("*") if "__pycache__" not in path.parts}


def test_run_all_shows_nothing_red_and_leaves_nothing(kernel, tmp_path):
    """On a cluster of the lab's own."""
    run_all(LABS[0], kernel, tmp_path)


@pytest.mark.parametrize(
    "lab",
    [pytest.param(lab, id=lab.name[:2], marks=[pytest.mark.labs] if lab.name > "03" else []) for lab in LABS],
)
def test_on_a_cluster_that_the_environment_names(lab, kernel, tmp_path, monkeypatch):
    """As ``daskclass lab`` does: every Client that is not given a cluster then goes there, or fails."""
    monkeypatch.setenv("DASKCLASS_SIZE", "smoke")
    with clusters.start() as cluster:
        workers = {worker.server_id for worker in cluster.scheduler.workers.values()}
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.scheduler_address)
        # From lab 07 on a cell may be run again, as one does who looks twice, and claims still hold.
        run_all(lab, kernel, tmp_path, again=lab.name >= "07")
        assert {worker.server_id for worker in cluster.scheduler.workers.values()} == workers


def run_all(lab, kernel, tmp_path, again=False):
    notebook, before = nbformat.read(lab, as_version=4), status()
    with kernel(notebook) as run:
        for cell in notebook.cells:
            if cell.cell_type == "code":
                began = time.monotonic()
                look_at(cell, run)
                if again and time.monotonic() - began < LONG:
                    look_at(cell, run)
    assert status() == before
    assert left_in(tmp_path) == []


def look_at(cell, run):
    run(cell)
    assert not [output for output in cell.outputs if output.output_type == "error"]
    assert not [text for text in cell.outputs if text.get("name") == "stderr" and "Traceback" in text.text]


def left_in(folder: Path) -> list[Path]:
    """Files that stay; but for the empty locks by which distributed finds scratch folders of the dead to purge."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if path.suffix not in (".lock", ".dirlock") or path.stat().st_size]


# Of each lab what it takes until its cluster is up, its results are held and its programs run: cells, by their names.
HALF_WAY = {
    "00-start-here": "mean-price lazy connect before where",
    "03-a-cluster-by-hand": "setup start-scheduler start-workers answer office module half-installed installed",
    "04-client-scheduler-nanny-worker": "setup start cast connect kill",
    "05-sizing-and-scaling": "setup scale adaptive",
    "06-running-it-for-others": "setup three open-start look tls-start tls-try",
    "07-tasks-and-scheduling": "setup delayed where locality output",
    "08-the-dashboard": "setup visit admit report",
    "09-distributed-data": "setup bring results write-gather",
    "10-spill": "setup start fill fill-numbers pause off",
    "11-work-stealing": "setup run counts restricted",
    "12-losing-things": "setup journal kill disk start-up scheduler",
    "13-debugging": "setup files hang",
    "14-batch-ml-scoring": "setup slice model save script run",
}


@pytest.mark.parametrize("lab", [pytest.param(lab, marks=[pytest.mark.labs] if lab > "03" else []) for lab in HALF_WAY])
def test_a_lab_that_fails_half_way_leaves_nothing(kernel, tmp_path, lab):
    """The kernel fixture requires that its processes go."""
    notebook = nbformat.read(ROOT / "labs" / f"{lab}.ipynb", as_version=4)
    cells = {cell.id: cell for cell in notebook.cells}
    with kernel(notebook) as run:
        for name in HALF_WAY[lab].split():
            run(cells[name])
    assert left_in(tmp_path) == []
