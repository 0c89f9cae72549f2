"""The command: from what is typed to the report in its folder."""

import datetime
import json
import os
import signal
import socket
from pathlib import Path

import dask
import psutil
import pytest

from daskclass import sales, sizes
from daskclass.commands.rehearsal import all_labs, evidence, family
from daskclass.commands.rehearsal.evidence import Asked, Evidence, LabRun
from daskclass.commands.rehearsal.outcome import Outcome

SIZE = ("--size", "1MB")


@pytest.fixture
def inside(checkout, monkeypatch, tmp_path):
    monkeypatch.chdir(checkout)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return checkout


@pytest.fixture
def refused(say, inside, tmp_path):
    """Run bad input: exit 2, the last line says what is wrong, no data is made and no folder stays."""

    def run(*arguments) -> str:
        before = {path for path in tmp_path.rglob("*") if "ipython" not in path.parts}
        said = say("rehearse", *SIZE, *arguments)
        assert said.status == 2, said
        assert said.out == ""
        assert "Traceback" not in said.err
        assert {path for path in tmp_path.rglob("*") if "ipython" not in path.parts} == before
        return said.last

    return run


def test_a_rehearsal_leaves_a_report(say, inside, tmp_path):
    out = tmp_path / "out"
    said = say("rehearse", *SIZE, "--out", out)
    assert said.status == 0, said.err
    made, *lines = said.out.splitlines()
    assert made == "Making the sales data of size 1MB (only the first time)."
    assert lines[0].startswith("Size 1MB: ")
    assert lines[1] == "Cluster: each lab starts its own, with 2 workers of one thread and 500 MiB each"
    assert lines[2:5] == ["00-start-here", "  ✔ two and two are four", "  ✔ and one <b>more</b> is five"]
    assert lines[5].startswith("  passed: 2 of 2 claims hold in ")
    assert lines[-1] == f"The report is {out / 'report.html'}"
    assert sorted(path.name for path in out.iterdir()) == ["00-start-here.html", "report.html", "report.json"]
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert (report["size"], report["data"]["rows"]) == ("1MB", sales.open_sales("1MB").rows)
    assert [lab["status"] for lab in report["labs"]] == ["passed"]
    assert report["versions"]["dask"].startswith("2026.8")
    assert report["data"]["bytes"] == sales.open_sales("1MB").bytes
    assert report["machine"]["memory"] == psutil.virtual_memory().total
    started = datetime.datetime.fromisoformat(report["started"])
    assert 0 <= (datetime.datetime.now().astimezone() - started).total_seconds() < 600
    assert report["seconds"] >= report["labs"][0]["seconds"] > 0


def test_by_default_the_report_is_in_the_checkout_and_the_labs_have_clusters_of_their_own(say, inside, monkeypatch):
    monkeypatch.chdir(inside / "labs")
    assert say("rehearse", *SIZE).status == 0
    page = (inside / "build" / "rehearsal" / "00-start-here.html").read_text(encoding="utf-8")
    assert "1MB None" in page


@pytest.mark.parametrize("named", ["by option", "by the environment", "by a file of settings"])
def test_a_scheduler_that_answers_is_where_the_labs_go(say, inside, cluster, monkeypatch, named):
    if named == "by option":
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:9")
        said = say("rehearse", *SIZE, "--scheduler", cluster.scheduler_address)
    elif named == "by the environment":
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.scheduler_address)
        said = say("rehearse", *SIZE)
    else:
        with dask.config.set({"scheduler-address": cluster.scheduler_address}):  # as reading the file sets it
            said = say("rehearse", *SIZE)
    assert said.status == 0, said.err
    found = json.loads((inside / "build" / "rehearsal" / "report.json").read_text(encoding="utf-8"))
    assert found["cluster"] == f"{cluster.scheduler_address}, 2 workers with 2 threads and 3.73 GiB in total"
    page = (inside / "build" / "rehearsal" / "00-start-here.html").read_text(encoding="utf-8")
    assert f"1MB {cluster.scheduler_address}" in page


@pytest.mark.skipif(os.name != "posix", reason="the troubled labs use signals")
def test_a_failed_lab_stops_nothing_but_shows_in_the_exit_status(say, class_of, monkeypatch, tmp_path):
    monkeypatch.chdir(class_of("00-start-here", "01-false", "05-broken"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setattr(family, "_PATIENCE", 3.0)
    said = say("rehearse", *SIZE, "--labs", "00-05")
    assert said.status == 1
    assert "  ✘ one is two\n  ✔ one is one\n  failed: 1 of 3 claims hold in " in said.out
    assert "  ZeroDivisionError in the cell `wrong`: division by zero\n" in said.out
    assert "\n1 of 3 labs passed, 3 of 5 claims hold, " in said.out
    out = tmp_path / "class" / "build" / "rehearsal"
    assert sorted(path.name for path in out.glob("0*")) == ["00-start-here.html", "01-false.html"]
    statuses = [lab["status"] for lab in json.loads((out / "report.json").read_text(encoding="utf-8"))["labs"]]
    assert statuses == ["passed", "failed", "failed"]
    # A second one, of fewer labs, takes the place of the first; what somebody else put there stays.
    (out / "notes.html").write_text("mine")
    assert say("rehearse", *SIZE, "--labs", "00").status == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "00-start-here.html",
        "notes.html",
        "report.html",
        "report.json",
    ]


def published(path, **answers):
    """Evidence about the claims of lab 07, by cell."""
    claims = {f"07/{cell.replace('_', '-')}": Asked("as it was said", answer) for cell, answer in answers.items()}
    labs = {"07": LabRun("07-planted", "0" * 64, 1.0)}
    told = Evidence("2026.8.0", "2026-11-29", 1, "smoke", "3.11.7", {}, {}, labs, claims)
    path.write_text(evidence.as_json(told), encoding="utf-8")
    return str(path)


PLANTED = {
    **{"claim_false": "false", "claim_name": "could not be asked", "claim_own_name": "could not be asked"},
    **{"claim_instrument": "could not be asked", "claim_own_instrument": "could not be asked"},
    **{"claim_lost": "could not be asked", "claim_doubtful": "could not be asked", "claim_not_doubtful": "holds"},
    **{"claim_anew": "false", "claim_kept": "holds"},
}


def test_a_rehearsal_that_goes_on_says_what_it_could_not_ask_and_how_it_differs(say, class_of, monkeypatch, tmp_path):
    monkeypatch.chdir(class_of("00-start-here", "07-planted"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    same = published(tmp_path / "same.json", **PLANTED)
    said = say("rehearse", *SIZE, "--labs", "07", "--keep-going", "--against", same)
    assert said.status == 1  # claims are false here, as there
    assert "  ✔ there are two in the box\n" in said.out
    assert "  – it has a level\n    could not be asked: a cell that it needs failed, `instrument`: Upstream" in said.out
    assert "Every claim is as published (Dask 2026.8.0, asked on 2026-11-29)\n" in said.out
    report = json.loads((tmp_path / "class" / "build" / "rehearsal" / "report.json").read_text(encoding="utf-8"))
    [lab] = report["labs"]
    assert [failure["cell"] for failure in lab["failures"]][:2] == ["name", "claim-name"]
    assert (lab["claims"][1]["cell"], lab["claims"][1]["because"]) == ("claim-name", "cell")

    other = published(tmp_path / "other.json", **{**PLANTED, "claim_kept": "false", "claim_gone": "holds"})
    said = say("rehearse", *SIZE, "--labs", "07", "--keep-going", "--against", other)
    differs = "differs from what was published (Dask 2026.8.0, asked on 2026-11-29): "
    assert [line for line in said.out.splitlines() if line.startswith("differs")] == [
        f"{differs}07/claim-kept: false there, holds here: it kept the new one",
        f"{differs}07/claim-gone: holds there, not in this class here: as it was said",
    ]
    assert said.status == 1


def test_a_rehearsal_whose_claims_hold_fails_if_it_differs(say, inside, tmp_path):
    told = published(tmp_path / "other.json", claim_kept="holds")
    said = say("rehearse", *SIZE, "--against", told)
    assert said.status == 1
    assert "00/claim-true: not asked there, holds here: two and two are four" in said.out


@pytest.mark.parametrize(("text", "says"), [(None, "can't read"), ("{}", "isn't evidence of a release")])
def test_what_is_no_evidence_is_said_before_any_lab_runs(say, inside, tmp_path, text, says):
    path = tmp_path / "evidence.json"
    if text is not None:
        path.write_text(text)
    said = say("rehearse", *SIZE, "--against", str(path))
    assert said.status == 2
    assert f"{path}" in said.err
    assert says in said.err
    assert not (inside / "build").exists()


def test_evidence_of_a_release_that_could_not_be_asked_is_refused(say, inside, tmp_path):
    path = Path(published(tmp_path / "evidence.json", claim_kept="holds"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "failed": "there is no such release"}))
    said = say("rehearse", *SIZE, "--against", str(path))
    assert (said.status, f"{path} has no answers of Dask 2026.8.0: there is no such release" in said.err) == (2, True)
    assert not (inside / "build").exists()


@pytest.mark.skipif(os.name != "posix", reason="the troubled labs use signals")
def test_what_was_left_behind_is_told(say, class_of, monkeypatch, tmp_path):
    monkeypatch.chdir(class_of("00-start-here", "02-leaves"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setattr(family, "_PATIENCE", 1.0)
    monkeypatch.setattr(family, "_MERCY", 0.5)
    said = say("rehearse", *SIZE, "--labs", "02")
    assert said.status == 0
    assert said.out.count("  left behind (now stopped or removed): ") == 4
    assert "  left behind (now stopped or removed): the file left.bin\n" in said.out


def test_minutes_are_minutes(inside, monkeypatch):
    given = []
    monkeypatch.setattr(
        all_labs.one_lab,
        "run",
        lambda lab, environment, seconds, _listener, _keep_going: given.append(seconds) or Outcome(lab.name),
    )
    for minutes in (None, 2):
        all_labs.rehearse(sizes.parse("1MB"), minutes=minutes)
    assert given == [None, 120]


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C cannot be sent to one process on Windows")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_rehearsal_leaves_the_earlier_report_and_no_process(
    daskclass, class_of, until_it_writes, tmp_path, number
):
    root = class_of("00-start-here", "04-hangs")
    notebook = root / "labs" / "04-hangs.ipynb"
    here = tmp_path / "hanging"
    source = notebook.read_text(encoding="utf-8").replace(
        "import time\\n", f"import time; open({str(here)!r}, 'w').write(str(__import__('os').getpid()))\\n", 1
    )
    assert str(here) in source
    notebook.write_text(source, encoding="utf-8")
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").write_text('{"labs": []}')
    process = daskclass("rehearse", *SIZE, "--out", out, cwd=root)
    until_it_writes(process, here)
    kernel = psutil.Process(int(here.read_text()))
    process.send_signal(number)
    said, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert "✔ two and two are four" in said
    assert err.strip().splitlines()[-1] == "daskclass: interrupted; unfinished work was discarded"
    assert "Traceback" not in err
    assert not kernel.is_running()
    assert [path.name for path in out.iterdir()] == ["report.json"]
    assert (out / "report.json").read_text() == '{"labs": []}'


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["--labs", "07"], "there is no lab 07; use numbers and ranges such as 00,02-04, of 00"),
        (["--labs", ""], "'' names no labs"),
        (["--labs", "start-here"], "'start-here' names no labs"),
        (["--size", "huge"], "'huge' is not a size"),
        (["--size", "1kB"], "the smallest size is 1MB"),
        (["--minutes", "0"], "Invalid value for '--minutes'"),
        (["--minutes", "soon"], "Invalid value for '--minutes'"),
        (["--scheduler", ""], "--scheduler is empty"),
        (["--scheduler", "nonsense://127.0.0.1:1"], "no Dask scheduler answers at nonsense://127.0.0.1:1"),
        (["--out", ""], "a folder needs a name"),
        (["--out", "labs/00-start-here.ipynb"], "can't write a report to"),
        (["--out", "labs/00-start-here.ipynb/below"], "can't write a report to"),
        (["--out", "x" * 300], "can't write a report to"),
        (["--bogus"], "No such option"),
        (["00"], "unexpected extra argument"),
    ],
)
def test_bad_input(refused, arguments, wrong):
    assert wrong in refused(*arguments)


def test_a_scheduler_that_does_not_answer(refused, monkeypatch):
    from daskclass import clusters

    real = clusters.Client
    monkeypatch.setattr(clusters, "Client", lambda address, timeout: real(address, timeout=min(timeout, 0.5)))
    with socket.socket() as deaf:  # bound and not listening: nobody else can listen there meanwhile
        deaf.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{deaf.getsockname()[1]}"
        assert f"no Dask scheduler answers at {address}" in refused("--scheduler", address)


def test_a_folder_that_is_not_ours_to_write(refused, tmp_path, monkeypatch):
    def denied(**_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(all_labs.tempfile, "mkdtemp", denied)
    last = refused("--out", tmp_path / "theirs")
    assert last == (
        f"daskclass: can't write a report to {tmp_path / 'theirs'} (Permission denied); "
        "choose another folder with --out"
    )


def test_a_disk_that_fills_up_leaves_the_earlier_report(say, inside, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").write_text('{"labs": [{"lab": "00-start-here"}]}')
    (out / "00-start-here.html").write_text("earlier")

    def full(_rehearsal):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(all_labs.pages, "as_json", full)
    said = say("rehearse", *SIZE, "--out", out)
    assert said.status == 2
    assert said.last.endswith("daskclass: couldn't write the report (No space left on device)")
    assert sorted(path.name for path in out.iterdir()) == ["00-start-here.html", "report.json"]
    assert (out / "00-start-here.html").read_text() == "earlier"


def test_only_a_checkout_can_be_rehearsed(say, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = say("rehearse", *SIZE)
    assert (said.status, said.out) == (2, "")
    assert said.last.endswith("go to the folder that you cloned the class into")


def test_sales_data_that_was_changed_is_said(say, inside, tmp_path):
    folder = tmp_path / "data" / "1MB"
    folder.mkdir(parents=True)
    (folder / "sales_data.csv").write_text("mine\n")
    said = say("rehearse", *SIZE)
    assert (said.status, said.out) == (2, "")
    assert "sales_data.csv has no manifest" in said.last
    assert not (inside / "build").exists()
