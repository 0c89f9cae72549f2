"""The best practices at the end of lab 13 point at claims that exist, and every lab is among them."""

import re
from pathlib import Path

import nbformat
import pytest

import format_labs

LABS = sorted((Path(__file__).parents[2] / "labs").glob("*.ipynb"))
ITEM = re.compile(r'^- .+\. \((\d\d): "(.+)"\)$')


@pytest.fixture(scope="module")
def items() -> list[str]:
    (lab,) = [lab for lab in LABS if lab.name.startswith("13")]
    (cell,) = [cell for cell in nbformat.read(lab, as_version=4).cells if cell.id == "checklist"]
    return [line for line in cell.source.splitlines() if line.startswith("- ")]


def test_each_item_points_at_a_claim_of_that_lab(items):
    claims = {
        lab.name[:2]: [text for _cell, text, _core in format_labs.claims(nbformat.read(lab, as_version=4))]
        for lab in LABS
    }
    for item in items:
        found = ITEM.match(item)
        assert found, f"an item says what to do and where it was proved; this does not: {item}"
        assert found[2] in claims[found[1]], item


def test_every_lab_that_teaches_a_practice_is_there(items):
    pointed_at = {ITEM.match(item)[1] for item in items}
    assert pointed_at == {lab.name[:2] for lab in LABS if "01" <= lab.name[:2] <= "13"}
