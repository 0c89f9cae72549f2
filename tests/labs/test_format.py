"""The notebooks in git are as they should be, and the formatter sees it when they are not."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import format_labs

ROOT = Path(__file__).parents[2]
LAB = ROOT / "labs" / "00-start-here.ipynb"
CLAIM = "claim-other-process"


@pytest.fixture
def run_formatter(capsys):
    """What ``python tools/format_labs.py …`` leaves with, and what it says on standard error."""

    def run(*arguments) -> tuple[int, str]:
        return format_labs.main([*map(str, arguments)]), capsys.readouterr().err

    return run


@pytest.fixture
def copied(tmp_path):
    """A copy of a lab: its path, and a function that changes it."""
    path = tmp_path / LAB.name
    path.write_bytes(LAB.read_bytes())

    def change(how):
        notebook = nbformat.read(path, as_version=4)
        how(notebook, {cell.id: cell for cell in notebook.cells})
        nbformat.write(notebook, path)

    return path, change


def test_every_lab_is_as_it_belongs_in_git():
    command = [sys.executable, str(ROOT / "tools" / "format_labs.py")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_what_running_leaves_is_put_right(copied, run_formatter):
    path, change = copied

    def as_after_a_run(notebook, cells):
        cells["where"].outputs = [nbformat.v4.new_output("stream", text="somewhere")]
        cells["where"].execution_count = 17
        cells["where"].metadata = {"execution": {"iopub.status.busy": "2026-01-01"}, "collapsed": True}
        cells[CLAIM].execution_count = 18
        cells[CLAIM].outputs[0].metadata = {"daskclass": {"evidence": {"here": 1}}}
        notebook.metadata["language_info"] = {"name": "python", "version": "3.13.0"}

    change(as_after_a_run)
    status, said = run_formatter(path)
    assert (status, said) == (1, f"{path.name}: not formatted for git; run tools/format_labs.py --fix\n")
    assert run_formatter("--fix", path) == (0, "")
    assert run_formatter(path) == (0, "")
    assert path.read_bytes() == LAB.read_bytes()


@pytest.mark.parametrize(("lines", "metadata"), [(30, {}), (31, {"jupyter": {"source_hidden": True}})])
def test_a_long_setup_is_collapsed_and_no_other(copied, run_formatter, lines, metadata):
    path, change = copied

    def set_up(notebook, cells):
        cells["size"].update(id="setup", source="\n".join(f"line = {number}" for number in range(lines)))
        cells["where"].metadata = {"jupyter": {"source_hidden": True}}

    change(set_up)
    assert run_formatter("--fix", path) == (0, "")
    cells = {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}
    assert (cells["setup"].metadata, cells["where"].metadata) == (metadata, {})


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        (lambda nb, cells: cells[CLAIM].update(source="x = 1\n" + cells[CLAIM].source), "must be alone"),
        (lambda nb, cells: cells[CLAIM].update(source="claim(f'{here} holds', True)"), "plain string"),
        (lambda nb, cells: cells[CLAIM].update(source="claim()"), "plain string"),
        (lambda nb, cells: cells["where"].update(source="if 1:\n    claim('x', here)"), "must be alone"),
        (lambda nb, cells: cells["where"].update(source=cells[CLAIM].source), "twice"),
        (lambda nb, cells: cells["where"].update(id="0a1b2c3d"), "isn't descriptive"),
        (lambda nb, cells: cells["where"].update(source="here = 1\n" * 31), "31 lines, but 30 fit on a screen"),
        (lambda nb, cells: nb.metadata["daskclass"].update(path="optional"), "core, prework, admin, further"),
        (lambda nb, cells: nb.metadata["daskclass"].update(teaching=2.5), "whole numbers"),
        (lambda nb, cells: nb.metadata.pop("daskclass"), "needs teaching"),
        (lambda nb, cells: nb.metadata.daskclass.update(needs="luck"), "what a lab needs can only be machines"),
        (
            lambda nb, cells: nb.cells.extend(
                nbformat.v4.new_code_cell(f"claim('number {word}', x)", id=f"more-{word}")
                for word in ("one", "two", "six")
            ),
            "more than five core claims",
        ),
    ],
)
def test_what_cannot_be_put_right_is_said(copied, run_formatter, how, fault):
    path, change = copied
    change(how)
    before = path.read_bytes()
    status, said = run_formatter("--fix", path)
    assert status == 1
    assert fault in said
    assert path.read_bytes() == before


def test_claims_after_the_heading_are_not_core():
    cells = [
        nbformat.v4.new_code_cell("claim('first', x)", id="first"),
        nbformat.v4.new_markdown_cell("## Going further", id="heading"),
        nbformat.v4.new_markdown_cell("### A detail", id="detail"),
        nbformat.v4.new_code_cell("claim('second', x)", id="second"),
        nbformat.v4.new_markdown_cell("## Back", id="back"),
        nbformat.v4.new_code_cell("claim('third', x)", id="third"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert format_labs.claims(notebook) == [
        ("first", "first", True),
        ("second", "second", False),
        ("third", "third", True),
    ]


@pytest.mark.parametrize("stored", ["✔ something else", "✘ a task ran in another process than the notebook's"])
def test_nbval_compares_what_a_claim_says(copied, stored):
    path, change = copied

    def only_the_claim(notebook, cells):
        claim = cells[CLAIM]
        claim.outputs[0].data["text/plain"] = stored
        first = nbformat.v4.new_code_cell("from daskclass.claims import claim\nhere, places = 0, [1]", id="first")
        notebook.cells = [first, claim]

    change(only_the_claim)
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider", path.name]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=path.parent)
    assert run.returncode == 1
    assert "1 failed, 1 passed" in run.stdout
