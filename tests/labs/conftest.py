"""Runs cells of labs in kernels that leave nothing behind."""

import contextlib
from pathlib import Path

import psutil
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """``with kernel(notebook) as run: run(cell)``; afterwards every process of the kernel's must be gone by itself."""
    monkeypatch.setenv("DASKCLASS_SIZE", "smoke")
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    for variable in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(variable, str(tmp_path))

    @contextlib.contextmanager
    def started(notebook):
        client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT / "labs")}})
        with client.setup_kernel():
            process = psutil.Process(client.km.provisioner.pid)

            def run(cell):
                return client.execute_cell(cell, notebook.cells.index(cell))

            yield run
            family = [process, *process.children(recursive=True)]
        _gone, alive = psutil.wait_procs(family, timeout=30)
        assert not alive, f"left behind: {[' '.join(one.cmdline()) for one in alive]}"

    return started
