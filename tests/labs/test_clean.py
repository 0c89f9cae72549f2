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


@pytest.mark.parametrize("lab", [lab for lab in LABS if lab.name[:2] == "02"], ids=lambda lab: lab.name[:2])
def test_run_all_shows_nothing_red_and_leaves_nothing(lab, kernel, tmp_path):
    run_all(lab, kernel, tmp_path)


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


@pytest.mark.parametrize(
    ("lab", "last"),
    [
        ("00-start-here", "where"),
        pytest.param("03-a-cluster-by-hand", "installed", marks=pytest.mark.labs),
        pytest.param("04-client-scheduler-nanny-worker", "kill", marks=pytest.mark.labs),
        pytest.param("05-sizing-and-scaling", "adaptive", marks=pytest.mark.labs),
        pytest.param("06-running-it-for-others", "tls-try", marks=pytest.mark.labs),
        pytest.param("07-tasks-and-scheduling", "output", marks=pytest.mark.labs),
        pytest.param("08-the-dashboard", "report", marks=pytest.mark.labs),
        pytest.param("09-distributed-data", "write-gather", marks=pytest.mark.labs),
        pytest.param("10-spill", "off", marks=pytest.mark.labs),
        pytest.param("11-work-stealing", "restricted", marks=pytest.mark.labs),
        pytest.param("12-losing-things", "scheduler", marks=pytest.mark.labs),
        pytest.param("13-debugging", "hang", marks=pytest.mark.labs),
        pytest.param("14-batch-ml-scoring", "run", marks=pytest.mark.labs),
    ],
)
def test_a_lab_that_fails_half_way_leaves_nothing(kernel, tmp_path, lab, last):
    """Its cluster is up and its results are held; the kernel fixture requires that its processes go."""
    notebook = nbformat.read(ROOT / "labs" / f"{lab}.ipynb", as_version=4)
    with kernel(notebook) as run:
        for cell in notebook.cells:
            if cell.cell_type == "code":
                run(cell)
            if cell.id == last:
                break
        else:
            pytest.fail(f"the lab has no cell `{last}` any more")
    assert left_in(tmp_path) == []
