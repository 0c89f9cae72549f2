"""Every claim has a control: one cell changed so that its cause is gone, and then exactly this claim is false.

A claim that says two things may have two of them.
"""

import runpy
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

import format_labs

ROOT = Path(__file__).parents[2]
LABS = sorted((ROOT / "labs").glob("*.ipynb"))


def controls_of(lab: Path) -> list[dict]:
    path = Path(__file__).parent / "controls" / f"{lab.name[:2]}.py"
    return runpy.run_path(str(path))["CONTROLS"] if path.is_file() else []


# Cells can be run again, as a learner does who changes one: so the controls of a lab share a kernel, but for some.
CASES = [
    pytest.param(lab, control, id=f"{lab.name[:2]}-{control['claim']}")
    for lab in LABS
    for control in controls_of(lab)
    if control.get("alone")
]


def faults(claims: list[tuple[str, str, bool]], sources: dict[str, str], controls: list[dict]) -> list[str]:
    """What is wrong with the controls of one lab, a sentence each."""
    texts, controlled = [text for _cell, text, _core in claims], [control["claim"] for control in controls]
    cell_of = {text: cell for cell, text, _core in claims}
    found = [f"no control for the claim {text!r}" for text in texts if text not in controlled]
    for control in controls:
        name = control["claim"]
        if set(control) - {"alone"} != {"claim", "cell", "source"}:
            found.append(f"a control has claim, cell and source, perhaps alone; {name!r} has {sorted(control)}")
        elif name not in texts:
            found.append(f"a control for a claim that is gone: {name!r}")
        elif controls.count(control) > 1:
            found.append(f"the same control for {name!r} twice")
        elif control["cell"] not in sources:
            found.append(f"the control for {name!r} changes a cell that is not there: {control['cell']!r}")
        elif list(sources).index(control["cell"]) >= list(sources).index(cell_of[name]):
            found.append(f"the control for {name!r} has to change a cell before the claim, not {control['cell']!r}")
        elif control["source"].strip() == sources[control["cell"]].strip():
            found.append(f"the control for {name!r} changes nothing")
    return found


def read(lab: Path):
    notebook = nbformat.read(lab, as_version=4)
    return notebook, {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name[:2])
def test_every_claim_has_a_control_and_every_control_a_claim(lab):
    notebook, sources = read(lab)
    assert faults(format_labs.claims(notebook), sources, controls_of(lab)) == []


def test_no_file_of_controls_without_a_lab():
    numbers = {path.stem for path in (Path(__file__).parent / "controls").glob("*.py")}
    assert numbers <= {lab.name[:2] for lab in LABS}


@pytest.mark.parametrize(
    ("controls", "fault"),
    [
        ([], "no control for the claim 'it holds'"),
        ([{"claim": "it holds", "cell": "cause", "source": "x = 1"}], "changes nothing"),
        ([{"claim": "it holds", "cell": "truth", "source": "x = 2"}], "before the claim"),
        ([{"claim": "it holds", "cell": "later", "source": "x = 2"}], "before the claim"),
        ([{"claim": "it holds", "cell": "nowhere", "source": "x = 2"}], "not there"),
        ([{"claim": "it holds", "cell": "cause"}], "has claim, cell and source"),
        ([{"claim": "it holds", "cell": "cause", "source": "x = 2", "more": 1}], "has claim, cell and source"),
        (
            [
                {"claim": "it holds", "cell": "cause", "source": "x = 2"},
                {"claim": "it held", "cell": "cause", "source": "x = 2"},
            ],
            "a claim that is gone: 'it held'",
        ),
        ([{"claim": "it holds", "cell": "cause", "source": "x = 2"}] * 2, "the same control for 'it holds' twice"),
    ],
)
def test_what_is_wrong_with_controls_is_said(controls, fault):
    sources = {"cause": "x = 1", "truth": "claim('it holds', x == 1)", "later": "pass"}
    found = faults([("truth", "it holds", True)], sources, controls)
    assert any(fault in sentence for sentence in found), found


def expect_false(run, cell, claim: str) -> None:
    with pytest.raises(CellExecutionError) as error:
        run(cell)
    assert error.value.ename == "ClaimIsFalse", f"{claim}: {error.value}"
    assert any(output.get("data", {}).get("text/plain") == f"✘ {claim}" for output in cell.outputs)


@pytest.mark.controls
@pytest.mark.parametrize(("lab", "control"), CASES)
def test_without_its_cause_exactly_this_claim_is_false(lab, control, kernel):
    notebook, _sources = read(lab)
    claims = {cell: text for cell, text, _core in format_labs.claims(notebook)}
    with kernel(notebook) as run:
        for cell in [cell for cell in notebook.cells if cell.cell_type == "code"]:
            if cell.id == control["cell"]:
                cell.source = control["source"].strip()
            if claims.get(cell.id) != control["claim"]:
                run(cell)  # raises if any other claim is false
                continue
            expect_false(run, cell, control["claim"])
            return
    pytest.fail("the claim was not reached")


@pytest.mark.controls
@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name[:2])
def test_in_passing_each_claim_is_false_without_its_cause_and_then_true(lab, kernel):
    """Before a cell is run as it stands, it is run as each of its controls, with what follows down to the claim."""
    notebook, sources = read(lab)
    claims = {cell: text for cell, text, _core in format_labs.claims(notebook)}
    waiting = [control for control in controls_of(lab) if not control.get("alone")]
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    with kernel(notebook) as run:
        for number, cell in enumerate(cells):
            for control in [control for control in waiting if control["cell"] == cell.id]:
                cell.source = control["source"].strip()
                for other in cells[number:]:
                    if claims.get(other.id) == control["claim"]:
                        expect_false(run, other, control["claim"])
                        break
                    run(other)  # raises if any other claim is false
                cell.source = sources[cell.id]
                waiting.remove(control)
                print(f"false without its cause: {control['claim']}")
            run(cell)
    assert waiting == []
