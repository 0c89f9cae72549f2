"""Evidence is written and read without a loss, is known by lab and cell, and what isn't evidence is said."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from daskclass import labs
from daskclass.commands.rehearsal import evidence
from daskclass.commands.rehearsal.evidence import Asked, Control, Evidence, LabRun
from daskclass.commands.rehearsal.outcome import Claim, Outcome
from daskclass.errors import UsageProblem

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "evidence" / "schema.json").read_text(encoding="utf-8"))
FILES = sorted((ROOT / "docs" / "evidence").glob("dask-*.json"))

TOLD = Evidence(
    release="2025.7.0",
    asked="2026-11-28",
    seconds=412,
    size="smoke",
    python="3.11.7",
    machine={"system": "Linux x86_64", "cores": 2, "memory": 8_000_000_000},
    versions={"dask": "2025.7.0", "pandas": "3.1.1"},
    labs={
        "00": LabRun("00-start-here", "0" * 64, 12.5),
        "01": LabRun("01-two", "1" * 64, 3.0, (("half", "instrument", "UpstreamChanged: it can't see"),)),
    },
    claims={
        "00/claim-true": Asked("two are two", "holds", numbers={"value": 2}),
        "00/claim-flaky": Asked("it's fast — always", "holds", (False, True, True), numbers={"seconds": 0.5}),
        "01/claim-false": Asked(
            "one is two", "false", (False, False, False), numbers={"one": 1}, controls=(Control(False, {"one": 0}),)
        ),
        "01/claim-unasked": Asked(
            "it moves", "could not be asked", because="cell", blocked_by="half", why="a cell that it needs failed"
        ),
    },
    upstream={"map-large-keyword": "happens"},
)


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "dask-2025.7.0.json"
    path.write_text(evidence.as_json(TOLD), encoding="utf-8")
    assert evidence.read(path) == TOLD
    jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), SCHEMA)
    assert [TOLD.claims[key].flaky for key in TOLD.claims] == [False, True, False, False]


def test_a_release_that_could_not_be_asked_is_written_and_read(tmp_path):
    failed = Evidence("2025.7.9", "2026-11-28", 0, "smoke", "3.11.7", {}, {}, {}, {}, "there is no such release")
    path = tmp_path / "dask-2025.7.9.json"
    path.write_text(evidence.as_json(failed), encoding="utf-8")
    assert evidence.read(path) == failed
    jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), SCHEMA)


def test_a_claim_is_a_line_and_its_numbers_are_another():
    lines = evidence.as_json(TOLD).splitlines()
    for key in TOLD.claims:
        assert sum(line.startswith(f'  "{key}": ') for line in lines) == 1 + bool(TOLD.claims[key].numbers)
    changed = evidence.as_json(
        Evidence(**{**TOLD.__dict__, "claims": {**TOLD.claims, "00/claim-true": Asked("two are two", "holds")}})
    ).splitlines()
    assert len(set(lines) - set(changed)) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no JSON", "JSONDecodeError"),
        ("[]", "TypeError"),
        ("{}", "KeyError: 'schema'"),
        (evidence.as_json(TOLD).replace('"schema": 1', '"schema": 2'), "its schema is 2, and this reads 1"),
        (evidence.as_json(TOLD).replace('"answer": "holds"', '"answer": "perhaps"'), "'perhaps' is not an answer"),
        (evidence.as_json(TOLD).replace('"release"', '"version"'), "KeyError: 'release'"),
    ],
)
def test_what_is_no_evidence_is_said(text, says, tmp_path):
    path = tmp_path / "dask-2025.7.0.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageProblem, match=re.escape(says)) as raised:
        evidence.read(path)
    assert "use a file of docs/evidence" in str(raised.value)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UsageProblem, match="No such file or directory"):
        evidence.read(tmp_path / "dask-1.json")


def test_differences_are_by_lab_and_cell_and_not_by_sentence():
    outcome = Outcome("00-start-here")
    outcome.claims = [
        Claim("two are two, reworded", True, True, cell="claim-true"),
        Claim("it's fast", True, False, cell="claim-flaky"),
        Claim("new", True, True, cell="claim-new"),
    ]
    other = Outcome("01-two", claims=[Claim("it moves", True, None, cell="claim-unasked")])
    assert [tuple(one) for one in evidence.differences(TOLD, [outcome, other])] == [
        ("00/claim-flaky", "it's fast", "holds", "false"),
        ("00/claim-new", "new", "not asked", "holds"),
        ("01/claim-false", "one is two", "false", "not in this class"),
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_published_evidence_keeps_to_the_schema(path):
    text = path.read_text(encoding="utf-8")
    jsonschema.validate(json.loads(text), SCHEMA, format_checker=jsonschema.FormatChecker())
    told = evidence.read(path)
    assert path.name == f"dask-{told.release}.json"
    assert evidence.as_json(told) == text  # as the command writes it
    assert told.failed or told.versions["dask"] == told.versions["distributed"] == told.release
    assert {key[:2] for key in told.claims} <= set(told.labs)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_published_evidence_names_no_folder_of_the_machine_that_made_it(path):
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w.])/(?:home|root|tmp|work|Users|var|opt|usr)/[^\s\"]*", text)
    assert not re.search(r"127\.0\.0\.1:\d", text)


def test_published_evidence_asked_every_claim_that_the_class_has():
    """A new lab or claim has to be asked before it's published: make drift."""
    newest = max((evidence.read(path) for path in FILES), key=lambda one: [int(n) for n in one.release.split(".")])
    every = labs.on_one_machine(labs.find(ROOT))
    here = {f"{lab.number}/{cell}" for lab in every for cell, _text, _core in lab.claims}
    assert set(newest.claims) == here
