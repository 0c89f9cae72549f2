"""Every bullet of the sources has a lab, and in that lab the claims or exercises that prove it."""

import importlib
import tomllib
from pathlib import Path

import pytest

from daskclass import labs
from daskclass.exercises.exercise import Exercise

ROOT = Path(__file__).parents[2]
LABS = {lab.number: lab for lab in labs.find(ROOT)}
OUTLINE = tomllib.loads((ROOT / "labs" / "outline.toml").read_text(encoding="utf-8"))
MOST_CORE_MINUTES = 350
LEAST_HANDS_ON = 0.4


def exists(place: str) -> bool:
    return place in LABS or (ROOT / place).is_file()


def test_what_is_still_to_come_is_exactly_what_is_listed():
    needed = {bullet["lab"] for bullet in OUTLINE["bullet"]}
    assert {place for place in needed if not exists(place)} == set(OUTLINE["to_come"])
    assert sorted(OUTLINE["to_come"]) == OUTLINE["to_come"]


def test_every_lab_teaches_a_bullet():
    assert set(LABS) <= {bullet["lab"] for bullet in OUTLINE["bullet"]}


def test_no_bullet_stands_twice():
    bullets = [(bullet["source"], bullet["text"]) for bullet in OUTLINE["bullet"]]
    assert len(set(bullets)) == len(bullets)


@pytest.mark.parametrize("bullet", OUTLINE["bullet"], ids=lambda bullet: f"{bullet['lab']}-{bullet['text']}")
def test_a_bullet_is_proven_where_it_is_taught(bullet):
    claims, exercises = bullet.get("claims", []), bullet.get("exercises", [])
    if bullet["lab"] in OUTLINE["to_come"]:
        assert not claims
        assert not exercises
        return
    if bullet["lab"] not in LABS:
        return  # a document, which proves nothing by running
    tests = bullet.get("tests", [])
    assert claims or exercises or tests
    for test in tests:
        file, function = test.split("::")
        assert f"\ndef {function}(" in (ROOT / file).read_text(encoding="utf-8")
    lab = LABS[bullet["lab"]]
    assert set(claims) <= {claim.text for claim in lab.claims}
    for name in exercises:
        module, exercise = name.split(".")
        assert isinstance(getattr(importlib.import_module(f"daskclass.exercises.{module}"), exercise), Exercise)
        assert f"{name}.check(" in lab.code


def test_every_claim_of_a_lab_stands_in_the_outline(lab):
    bullets = [bullet for bullet in OUTLINE["bullet"] if bullet["lab"] == lab.number]
    assert {claim.text for claim in lab.claims} == {text for bullet in bullets for text in bullet.get("claims", [])}


def test_what_is_only_told_is_a_closed_list():
    assert {told["text"] for told in OUTLINE["told"]} == {"Kubernetes", "YARN", "Coiled", "Cloud providers"}
    assert all(told["reason"] and told["checked"] for told in OUTLINE["told"])


def test_the_class_fits_its_time():
    core = [lab.minutes for lab in LABS.values() if lab.track == "core"]
    assert sum(minutes.total for minutes in core) <= MOST_CORE_MINUTES
    assert sum(minutes.exercises for minutes in core) >= LEAST_HANDS_ON * sum(minutes.total for minutes in core)
