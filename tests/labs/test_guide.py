"""The instructor's guide: its schedules are the labs' minutes, its answers point at claims, no lab is missing."""

import datetime
import re
from types import SimpleNamespace

import pytest

import schedules
from daskclass import labs

ANSWER = re.compile(r'\((\d\d): "(.+)"\)$')
PARTS = ["The point:", "Ask:", "Stuck:", "Cut:"]


@pytest.fixture(scope="module")
def guide() -> str:
    return schedules.GUIDE.read_text(encoding="utf-8")


def minutes_of(plan) -> int:
    known = schedules.numbered()
    rows = re.findall(r"^\| (\d\d:\d\d) ", schedules.table("00:00", plan, known), re.M)
    first, last = (datetime.datetime.strptime(row, "%H:%M") for row in (rows[0], rows[-1]))
    return int((last - first).total_seconds() / 60)


def test_the_schedules_are_what_the_labs_say(guide):
    assert schedules.filled(guide) == guide


def test_other_minutes_give_another_schedule(guide, monkeypatch):
    known = schedules.numbered()
    other = SimpleNamespace(title=known["02"].title, minutes=known["02"].minutes._replace(teaching=21))
    monkeypatch.setattr(schedules, "numbered", lambda: known | {"02": other})
    assert schedules.filled(guide) != guide
    monkeypatch.setattr("sys.argv", ["schedules.py", "--check"])
    assert schedules.main() == 1


def test_a_guide_without_a_place_for_a_schedule_is_refused(guide):
    with pytest.raises(SystemExit, match="has 0 places for the schedule 'taster'"):
        schedules.filled(guide.replace("<!-- schedule: taster -->", ""))


def test_a_day_and_two_half_days_have_every_core_lab_once(numbered):
    core = {number for number, lab in numbered.items() if lab.track == "core"}
    day = [item for item in schedules.PLANS["one day"][1] if isinstance(item, str)]
    halves = [
        item
        for half in ("first half day", "second half day")
        for item in schedules.PLANS[half][1]
        if isinstance(item, str)
    ]
    assert sorted(day) == sorted(halves) == sorted(core)
    here = labs.on_one_machine(list(numbered.values()))
    admin = {lab.number for lab in here if lab.track == "admin"}
    assert admin <= set(schedules.PLANS["administrators"][1])


def test_the_plans_are_as_long_as_they_are_called():
    lengths = {name: minutes_of(plan) for name, (_start, plan) in schedules.PLANS.items()}
    assert lengths["one day"] <= 8 * 60
    assert lengths["first half day"] <= 4 * 60
    assert lengths["second half day"] <= 4 * 60
    assert lengths["taster"] <= 2 * 60


def test_each_lab_has_its_part_of_the_guide(guide, numbered):
    found = re.findall(r"^### (\d\d) (.+)\n\n((?:- .*\n(?:  .*\n)*)+)", guide, re.M)
    assert [(number, title) for number, title, _ in found] == [(lab.number, lab.title) for lab in numbered.values()]
    for number, _title, items in found:
        assert re.findall(r"^- \*\*(.+?)\*\*", items, re.M) == PARTS, number


def test_each_answer_points_at_a_claim_of_that_lab(guide, numbered):
    claims = {number: [claim.text for claim in lab.claims] for number, lab in numbered.items()}
    questions = guide.partition("## Questions that people ask")[2].strip().split("\n\n")[1:]
    assert len(questions) > 15
    for question in questions:
        assert re.match(r"\*\*.+[?.]\*\*\n", question), question
        found = ANSWER.search(question)
        assert found, question
        assert found[2] in claims[found[1]], question
