"""Every claim has a control: one cell changed so that its cause is gone, and then exactly this claim is false.

A claim that says two things may have two of them.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from daskclass import labs


def faults(claims: Sequence[tuple[str, str, bool]], sources: dict[str, str], controls: list[dict]) -> list[str]:
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
        elif wrong := alone_faults(control, cell_of, sources):
            found += wrong
        elif controls.count(control) > 1:
            found.append(f"the same control for {name!r} twice")
        elif control["cell"] not in sources:
            found.append(f"the control for {name!r} changes a cell that is not there: {control['cell']!r}")
        elif list(sources).index(control["cell"]) >= list(sources).index(cell_of[name]):
            found.append(f"the control for {name!r} has to change a cell before the claim, not {control['cell']!r}")
        elif control["source"].strip() == sources[control["cell"]].strip():
            found.append(f"the control for {name!r} changes nothing")
    return found


def alone_faults(control: dict, cell_of: dict[str, str], sources: dict[str, str]) -> list[str]:
    """What is wrong with the cells that a control runs in a kernel of its own.

    Claims between the changed cell and the control's own are among them: they hold, so that exactly one is false.
    """
    if "alone" not in control:
        return []
    cells, name = control["alone"].split(), control["claim"]
    before = list(sources)[: list(sources).index(cell_of[name])]
    found = [
        f"the control for {name!r} runs {cell!r}, no cell before the claim" for cell in cells if cell not in before
    ]
    if not found and cells != sorted(cells, key=before.index):
        found.append(f"the control for {name!r} runs cells in another order than the lab")
    if not found and control["cell"] not in cells:
        found.append(f"the control for {name!r} changes {control['cell']!r} and does not run it")
    if not found:
        after = before[before.index(control["cell"]) :]
        skipped = [cell for cell in after if cell in cell_of.values() and cell not in cells]
        found += [f"the control for {name!r} has to run {cell!r}, whose claim must hold" for cell in skipped]
    return found


def test_every_claim_has_a_control_and_every_control_a_claim(any_lab, its_controls):
    assert faults(any_lab.claims, any_lab.cells, its_controls) == []


def test_make_runs_the_same_labs_one_at_a_time(numbered, timed):
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    alone, together = (re.search(rf"^{name} := (.+)$", makefile, re.M)[1].split() for name in ("TIMED", "STEADY"))
    assert set(alone) == timed
    here = labs.on_one_machine(list(numbered.values()))
    assert sorted(alone + together) == [lab.number for lab in here]


def test_no_file_of_controls_without_a_lab(numbered):
    assert {path.stem for path in (Path(__file__).parent / "controls").glob("*.py")} <= numbered.keys()


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
        (
            [{"claim": "it holds", "cell": "cause", "source": "x = 2", "alone": "first later"}],
            "no cell before the claim",
        ),
        ([{"claim": "it holds", "cell": "cause", "source": "x = 2", "alone": "cause first"}], "in another order"),
        ([{"claim": "it holds", "cell": "cause", "source": "x = 2", "alone": "first"}], "does not run it"),
        (
            [{"claim": "it holds", "cell": "first", "source": "y = 2", "alone": "first cause"}],
            "has to run 'between', whose claim must hold",
        ),
    ],
)
def test_what_is_wrong_with_controls_is_said(controls, fault):
    sources = {
        "first": "y = 1",
        "cause": "x = 1",
        "between": "claim('so does y', y)",
        "truth": "claim('it holds', x == 1)",
        "later": "pass",
    }
    found = faults([("between", "so does y", True), ("truth", "it holds", True)], sources, controls)
    assert any(fault in sentence for sentence in found), found
