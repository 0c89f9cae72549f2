"""Two rehearsals, or evidence of two releases, compared: what changed is listed, and what is neither is said."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import changed_claims
from daskclass.commands.rehearsal import evidence, pages
from daskclass.commands.rehearsal.evidence import Asked, Evidence, LabRun
from daskclass.commands.rehearsal.outcome import Claim, Outcome, Rehearsal


def rehearsal(*labs: Outcome, **versions: str) -> str:
    """A report as ``daskclass rehearse`` writes it."""
    return pages.as_json(
        Rehearsal(
            size="smoke",
            cluster="each lab starts its own",
            versions={"python": "3.12.1", "dask": "2026.8.0"} | versions,
            machine={"system": "Linux", "cores": 2, "memory": 8_000_000_000},
            data={"rows": 4_000_000, "bytes": 200_000_000},
            started="2026-11-28T12:00:00+00:00",
            labs=list(labs),
        )
    )


def lab(number: str, *claims: tuple[str, bool | None], **more) -> Outcome:
    said = [Claim(text, core=True, holds=holds, evidence={"seconds": 1.5}) for text, holds in claims]
    return Outcome(f"{number}-lab", claims=said, **more)


OLD = rehearsal(
    lab("00", ("four tasks ran", True), ("nothing moved", False)),
    lab("01", ("rows are whole", True), ("bytes are equal", None)),
    lab("02", ("pandas ran out", True)),
)
NEW = rehearsal(
    lab("00", ("four tasks ran", False), ("nothing moved", False), status="failed", error="1 claim is false"),
    lab("01", ("rows are whole", None), ("bytes are equal", True), ("and new", True)),
    lab("03", ("workers wait", True)),
    dask="2026.12.1",
    numpy="2.9.0",
)
CHANGES = [
    "00-lab: four tasks ran: true -> false",
    "01-lab: rows are whole: true -> not reached",
    "01-lab: bytes are equal: not reached -> true",
    "02-lab: pandas ran out: true -> not in the report",
    "01-lab: and new: not in the report -> true",
    "03-lab: workers wait: not in the report -> true",
    "lab 00-lab: passed -> failed (1 claim is false)",
    "lab 02-lab: passed -> not in the report",
    "lab 03-lab: not in the report -> passed",
]
VERSIONS = ["dask 2026.8.0 -> 2026.12.1", "numpy not in the report -> 2.9.0"]


@pytest.fixture
def compare(tmp_path):
    """The command, on two texts or bytes."""

    def run(old: str | bytes, new: str | bytes, *options: str) -> subprocess.CompletedProcess[str]:
        paths = [tmp_path / "old.json", tmp_path / "new.json"]
        for path, text in zip(paths, (old, new), strict=True):
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        command = [sys.executable, changed_claims.__file__, *paths, *options]
        return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")

    return run


def test_what_changed_is_listed(compare):
    run = compare(OLD, NEW)
    assert run.stdout.splitlines() == CHANGES + VERSIONS
    assert (run.returncode, run.stderr) == (1, "")


def test_the_list_is_markdown_where_asked(compare):
    run = compare(OLD, NEW, "--markdown")
    assert run.returncode == 1
    arrows = [f"- {line}".replace("->", "→") for line in CHANGES]
    packages = ["- dask: 2026.8.0 → 2026.12.1", "- numpy: not in the report → 2.9.0"]
    assert run.stdout.splitlines() == ["## What changed", "", *arrows, "", "## Versions", "", *packages]


@pytest.mark.parametrize("options", [(), ("--markdown",)])
def test_a_report_is_as_another_of_the_same_claims(compare, options):
    """Seconds, evidence and errors differ from run to run; versions are why one compares."""
    slower = json.loads(OLD) | {"seconds": 99.0, "started": "2026-12-05T12:00:00+00:00"}
    slower["labs"][0]["claims"][0]["evidence"] = {"seconds": 2.5}
    slower["versions"]["dask"] = "2026.12.1"
    run = compare(OLD, json.dumps(slower), *options)
    assert run.returncode == 0
    assert "o claim and no lab changed" in run.stdout
    assert "2026.12.1" in run.stdout
    assert compare(OLD, OLD, *options).returncode == 0


def test_labs_that_fail_in_both_are_no_change(compare):
    failed = [rehearsal(lab("05", status="failed", error=f"stopped after {n} s")) for n in (7, 8)]
    assert compare(*failed).returncode == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ([True, True], [True, False], "true -> false"),
        ([False, True], [None, True], "false -> not reached"),
        ([None, True], [True, True], "not reached -> true"),
    ],
)
def test_a_claim_that_is_made_several_times_is_as_true_as_its_worst_time(compare, old, new, said):
    texts = [rehearsal(lab("08", *(("each patient", holds) for holds in times))) for times in (old, new)]
    run = compare(*texts)
    assert run.stdout.splitlines() == [f"08-lab: each patient: {said}"]


def test_nothing_in_a_claim_is_markdown(compare):
    text = "`sum` of *x_y* <b>at\nonce</b> | #1 [a](b) @dask"
    old, new = (rehearsal(lab("00", (text, holds))) for holds in (True, False))
    bullet = compare(old, new, "--markdown").stdout.splitlines()[2]
    escaped = r"\`sum\` of \*x\_y\* \<b\>at once\</b\> \| \#1 \[a\](b) " + "@\N{ZERO WIDTH SPACE}dask"
    assert bullet == f"- 00-lab: {escaped}: true → false"


def test_what_is_compared_is_what_a_rehearsal_writes():
    """A field that the rehearsal renames has to be renamed here, too."""
    assert {"lab", "status", "error", "claims"} <= asdict(lab("00")).keys()
    assert {"text", "holds"} <= asdict(Claim("one", core=True)).keys()


def altered(**lab) -> str:
    found = json.loads(OLD)
    found["labs"][0] |= lab
    return json.dumps(found)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "JSONDecodeError"),
        ("words", "JSONDecodeError"),
        (b"\xff\xfe", "UnicodeDecodeError"),
        ("[" * 100_000, "RecursionError"),
        ("[]", "TypeError"),
        ("{}", "KeyError: 'labs'"),
        ('{"labs": [], "versions": {}}', "it contains no labs"),
        ('{"labs": ["00"], "versions": {}}', "TypeError"),
        (json.dumps(json.loads(OLD) | {"versions": ["dask"]}), "AttributeError"),
        (json.dumps(json.loads(OLD) | {"versions": {"dask": 8}}), "8 should be a string"),
        (altered(status=None), "None should be a string"),
        (altered(lab="01-lab"), "01-lab appears twice"),
        (altered(claims=[{"text": "one", "holds": 1}]), "1 is not true, false or null"),
        (altered(claims=[{"text": "one", "holds": []}]), "[] is not true, false or null"),
        (altered(claims=[{"text": "one"}]), "KeyError: 'holds'"),
        (altered(claims=7), "TypeError"),
        (altered(error=7), "7 should be a string"),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["old", "new"])
def test_what_is_no_report_is_said_in_a_line(tmp_path, monkeypatch, capsys, text, wrong, first):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(OLD)
    bad.write_bytes(text if isinstance(text, bytes) else text.encode())
    paths = (bad, good) if first else (good, bad)
    monkeypatch.setattr(sys, "argv", ["changed_claims.py", *map(str, paths)])
    assert changed_claims.main() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"{bad} isn't a report.json of daskclass rehearse or evidence (")
    assert wrong in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "says"), [("missing.json", "can't read {} ("), (".", "{} has no evidence; make some")]
)
def test_a_file_that_cannot_be_read_is_said(tmp_path, name, says):
    command = [sys.executable, changed_claims.__file__, tmp_path / name, tmp_path / name]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith(says.format(Path(tmp_path / name)))
    assert run.stderr.count("\n") == 1


def told(release: str, failed: str | None = None, **answers: Asked) -> str:
    """Evidence as ``tools/drift.py`` writes it."""
    labs = {} if failed else {"00": LabRun("00-lab", "0" * 64, 1.0)}
    claims = {f"00/{cell}": asked for cell, asked in answers.items()}
    versions = {"dask": release}
    return evidence.as_json(Evidence(release, "2026-11-29", 1, "smoke", "3.14.0", {}, versions, labs, claims, failed))


FLAKY = Asked("it's fast", "holds", (False, True, True))


def test_evidence_is_compared_by_cell_and_what_is_flaky_does_not_count(compare):
    old = told("2026.8.0", a=Asked("one is one", "holds"), b=Asked("it's fast", "false"), c=Asked("it moves", "holds"))
    new = told(
        "2026.12.1",
        a=Asked("one is one, reworded", "holds"),
        b=FLAKY,
        c=Asked("it moves", "could not be asked", because="name", why="its cell failed"),
    )
    run = compare(old, new)
    assert run.stdout.splitlines() == ["00-lab: it moves: holds -> could not be asked", "dask 2026.8.0 -> 2026.12.1"]
    assert (run.returncode, compare(old, old).returncode) == (1, 0)


def test_of_a_folder_the_newest_release_is_compared(tmp_path):
    published, here = tmp_path / "published", tmp_path / "here"
    for folder in (published, here):
        folder.mkdir()
    for release, answer in {"2025.12.0": "false", "2026.3.0": "false", "2026.10.0": "holds"}.items():
        (published / f"dask-{release}.json").write_text(told(release, a=Asked("one", answer)), encoding="utf-8")
    (here / "dask-2026.12.0.json").write_text(told("2026.12.0", a=Asked("one", "holds")), encoding="utf-8")
    command = [sys.executable, changed_claims.__file__, published, here]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert "dask 2026.10.0 -> 2026.12.0" in run.stdout


def test_a_release_that_could_not_be_asked_is_no_evidence(compare):
    run = compare(told("2026.8.0", a=FLAKY), told("2026.12.0", "can't be installed with Python 3.14.0"))
    assert (run.returncode, run.stderr) == (2, "Dask 2026.12.0: can't be installed with Python 3.14.0\n")
