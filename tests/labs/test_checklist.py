"""The best practices at the end of lab 13 point at claims that exist, and every lab is among them."""

import re

import pytest

ITEM = re.compile(r'^- .+\. \((\d\d): "(.+)"\)$')


@pytest.fixture(scope="session")
def items(numbered) -> list[str]:
    return [line for line in numbered["13"].cell("checklist").splitlines() if line.startswith("- ")]


def test_each_item_points_at_a_claim_of_that_lab(items, numbered):
    claims = {number: [claim.text for claim in lab.claims] for number, lab in numbered.items()}
    for item in items:
        found = ITEM.match(item)
        assert found, f"an item says what to do and where it was proved; this does not: {item}"
        assert found[2] in claims[found[1]], item


def test_every_lab_that_teaches_a_practice_is_there(items, numbered):
    pointed_at = {ITEM.match(item)[1] for item in items}
    assert pointed_at == {number for number in numbered if "01" <= number <= "13"}
