"""``pytest -n 2 --nbval-lax labs``: each lab stays in one process, whose kernel has its variables."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[3]
CELLS = ("value = 20", "value = value + 1", "assert value == 21")


@pytest.fixture
def labs(tmp_path):
    """Two labs whose cells need each other, with the conftest of the real ones."""
    folder = tmp_path / "class" / "labs"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "labs" / "conftest.py", folder)
    for name in ("00-start-here", "01-next"):
        cells = [nbformat.v4.new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(CELLS)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")
    return folder


def side_by_side(folder, environment, *options):
    command = [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "--rootdir", folder.parent, *options]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", "--nbval-lax", folder],
        cwd=folder.parent,
        env=environment | {"DASKCLASS_SIZE": "1MB"},
        capture_output=True,
        text=True,
    )


def test_each_lab_stays_in_one_process(labs, environment):
    done = side_by_side(labs, environment, "--verbose", "-n", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    ran = re.findall(r"^\[(gw\d)\].* PASSED labs/(\S+?)::", done.stdout, re.MULTILINE)
    assert len(ran) == 6, done.stdout
    assert len(set(ran)) == 2, done.stdout  # a lab and the one process in which all its cells ran
    assert done.stdout.count("Making the sales data") == 1


def test_labs_run_without_xdist(labs, environment):
    (labs / "01-next.ipynb").unlink()
    done = side_by_side(labs, environment, "-p", "no:xdist")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b3 passed", done.stdout), done.stdout
