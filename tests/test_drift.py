"""Releases are asked: which, in which environment, what for, and what stays if something goes wrong on the way."""

import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from packaging.version import Version

import drift
import drift_ask
from daskclass import labs
from daskclass.commands.rehearsal import evidence
from daskclass.commands.rehearsal.evidence import Asked, Evidence
from daskclass.errors import Problem, UsageProblem

ROOT = Path(__file__).parents[1]
ALL = [
    Version(text)
    for text in (
        *("2024.11.2", "2024.12.0", "2024.12.1", "2025.1.0", "2025.2.0", "2025.3.0", "2025.3.1", "2025.5.0"),
        *("2025.5.1", "2025.7.0", "2026.3.0", "2026.8.0"),
    )
]
TODAY = datetime.date(2026, 11, 29)


def named(*texts: str) -> list[Version]:
    return [Version(text) for text in texts]


def told(release: Version | str, **answers: str | Asked) -> Evidence:
    claims = {key: one if isinstance(one, Asked) else Asked(key, one) for key, one in answers.items()}
    return Evidence(str(release), "2026-11-29", 1, "smoke", "3.11.7", {}, {}, {}, claims)


def test_the_last_release_of_each_quarter_of_two_years():
    assert drift.quarterly(ALL, TODAY) == named("2026.8.0", "2026.3.0", "2025.7.0", "2025.5.1", "2025.3.1", "2024.12.1")
    assert drift.quarterly(ALL, TODAY, years=1) == named("2026.8.0", "2026.3.0")


def test_half_way_between_two():
    assert drift.between(ALL, Version("2024.12.1"), Version("2025.3.1")) == Version("2025.2.0")
    assert drift.between(ALL, Version("2025.5.0"), Version("2025.3.1")) is None


def test_where_neighbors_differ_the_ones_between_are_asked_until_the_change_is_found():
    asked = []

    def ask(release):
        asked.append(str(release))
        return told(release, a="holds" if release >= Version("2025.3.0") else "false", b="holds")

    answers = drift.ask_all(named("2026.8.0", "2025.5.1", "2024.12.1"), ALL, ask, halve=True)
    assert asked == ["2026.8.0", "2025.5.1", "2024.12.1", "2025.3.0", "2025.2.0"]
    assert set(answers) == set(named(*asked))
    asked.clear()
    drift.ask_all(named("2026.8.0", "2025.5.1", "2024.12.1"), ALL, ask, halve=False)
    assert asked == ["2026.8.0", "2025.5.1", "2024.12.1"]


def test_a_release_that_cannot_be_asked_does_not_hide_a_change():
    broken = named("2025.1.0", "2025.3.1")
    asked = []

    def ask(release):
        asked.append(release)
        answers = told(release, a="holds" if release >= Version("2025.3.0") else "false")
        return drift.unasked(release, "no") if release in broken else answers

    drift.ask_all(named("2025.5.1", "2025.3.1", "2024.12.1"), ALL, ask, halve=True)
    assert set(asked) >= set(named("2025.3.0", "2025.2.0"))
    assert len(asked) == len(set(asked))


def test_what_is_flaky_or_failed_is_no_difference():
    flaky = Asked("a", "false", (False, True, False))
    assert drift.differ(told("1", a="holds"), told("2", a="false")) == ["a"]
    assert drift.differ(told("1", a="holds"), told("2", a=flaky)) == []
    assert drift.differ(told("1", a="holds"), told("2")) == []
    failed = Evidence("2", "2026-11-29", 0, "smoke", "3.11", {}, {}, {}, {}, "no such release")
    assert drift.differ(told("1", a="holds"), failed) == []


def test_a_release_is_resolved_with_the_newest_of_everything_else():
    lines = drift.requirements(Version("2025.7.0")).splitlines()
    assert lines[:2] == ["dask[complete]==2025.7.0", "distributed==2025.7.0"]
    assert {"pandas", "dask-labextension", "dask-jobqueue", "pip"} <= set(lines)
    assert not [line for line in lines[2:] if any(sign in line.partition(";")[0] for sign in "=<>")]
    assert "pytest" not in lines


PROJECT = """
[project]
dependencies = ["dask[complete]==2026.8.*", "numpy>=2.4,<3", "jinja2"]
[project.optional-dependencies]
dev = ["pytest>=9"]
xgboost = ["xgboost-cpu>=3; sys_platform != 'darwin'"]
"""


def test_what_the_class_needs_is_named_without_versions():
    assert drift.unpinned(PROJECT, ["xgboost"]) == [
        *("dask[complete]", "numpy", "jinja2"),
        'xgboost-cpu; sys_platform != "darwin"',
    ]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[project", "TOMLDecodeError"),
        ("", "KeyError: 'project'"),
        (PROJECT.replace("xgboost =", "others ="), "KeyError: 'xgboost'"),
        (PROJECT.replace("numpy>=2.4", "numpy>>2.4"), "InvalidRequirement"),
    ],
)
def test_a_project_that_cannot_be_understood_is_said(text, wrong):
    with pytest.raises(Problem, match=wrong):
        drift.unpinned(text, ["xgboost"])


def test_what_people_type_is_a_release():
    every = sorted(ALL, reverse=True)
    assert drift.versions(["2025.7.0", "newest", "2026.8.0"], every) == named("2025.7.0", "2026.8.0")
    assert drift.versions(["2025.77.0"], every) == named("2025.77.0")  # its column will say that there is none
    for text in ("latest", "2025.7", "1.0", "2025.7.0rc1", "v2025.7.0"):
        with pytest.raises(
            UsageProblem, match=f"'{text}' isn't a release of Dask; use one such as 2026.8.0, or newest"
        ):
            drift.versions([text], every)


def test_evidence_stays_if_a_release_cannot_be_asked_today(tmp_path):
    path = tmp_path / "dask-2025.7.0.json"
    drift.keep(told("2025.7.0", **{"00/a": "holds"}), path)
    drift.keep(drift.unasked(Version("2025.7.0"), "there is no such release"), path)
    assert evidence.read(path).claims["00/a"].answer == "holds"
    drift.keep(told("2025.7.0", **{"00/a": "false"}), path)
    assert evidence.read(path).claims["00/a"].answer == "false"


def test_the_labs_that_compare_times_are_those_of_the_makefile():
    [listed] = re.findall(r"^TIMED := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert list(drift.TIMED) == listed.split()


PLANTED = [
    (
        "setup",
        """
        from pathlib import Path
        from daskclass.claims import claim
        from daskclass.watch import dask_internals
        workers = 2
        """,
    ),
    ("claim-holds", "claim('two are two', workers == 2, workers=workers)"),
    ("claim-false", "claim('two are three', workers == 3, workers=workers, ratio=2 / 3)"),
    (
        "count",
        """
        asked = Path("asked")
        asked.write_text(asked.read_text() + "." if asked.exists() else ".")
        times = len(asked.read_text())
        """,
    ),
    ("claim-flaky", "claim('not for the first time', times > 1, times=times)"),
    ("name", "from dask.distributed import NotThere\nfound = NotThere()"),
    ("claim-name", "claim('it is found', found is not None)"),
    (
        "blind",
        """
        from distributed.stealing import WorkStealing
        del WorkStealing.cost_multipliers
        """,
    ),
    ("claim-instrument", "claim('it is level one', dask_internals.level_of_stealing(1, 1, 1) == 1)"),
    ("close", "pass"),
]
CONTROLS = [
    {"claim": "two are two", "cell": "setup", "source": "workers = 1"},
    {
        "claim": "two are three",
        "cell": "setup",
        "source": textwrap.dedent(PLANTED[0][1]).strip().replace("workers = 2", "workers = 1"),
    },
]


def write_lab(root, cells):
    """The lab of the class in `root`."""
    made = [nbformat.v4.new_markdown_cell("# 07 · Planted", id="title")]
    made += [nbformat.v4.new_code_cell(textwrap.dedent(source).strip(), id=cell) for cell, source in cells]
    about = {"teaching": 20, "exercises": 15, "path": "core"}
    notebook = nbformat.v4.new_notebook(cells=made, metadata={"daskclass": about})
    nbformat.write(notebook, root / "labs" / "07-planted.ipynb")


@pytest.fixture
def short(planted):
    """The same class, whose lab has only the claim that holds."""
    write_lab(planted, PLANTED[:2])


@pytest.fixture
def planted(tmp_path):
    """A class of one lab with a false claim, a flaky one, a missing name and an instrument that can't see."""
    root = tmp_path / "class"
    (root / "labs").mkdir(parents=True)
    (root / "tools").mkdir()
    (root / "tests" / "labs" / "controls").mkdir(parents=True)
    (root / "tests" / "labs" / "controls" / "07.py").write_text(f"CONTROLS = {CONTROLS!r}\n")
    shutil.copy(ROOT / "tools" / "drift_ask.py", root / "tools")
    shutil.copy(ROOT / "pyproject.toml", root)
    write_lab(root, PLANTED)
    return root


def test_three_answers(planted, tmp_path):
    """A false claim, a broken instrument and a missing name, asked as a release is asked."""
    [lab] = labs.find(planted)
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path / "ipython")}
    found = drift_ask.plain(drift_ask.ask(lab, CONTROLS, environment))
    answers = {key: (one["answer"], one["held"], one["because"]) for key, one in found["claims"].items()}
    assert answers == {
        "07/claim-holds": ("holds", [], None),
        "07/claim-false": ("false", [False, False, False], None),
        "07/claim-flaky": ("holds", [False, True, True], None),
        "07/claim-name": ("could not be asked", [], "cell"),
        "07/claim-instrument": ("could not be asked", [], "instrument"),
    }
    assert found["claims"]["07/claim-flaky"]["numbers"] == {"times": 2}  # of a time at which it held
    false = found["claims"]["07/claim-false"]
    assert false["numbers"] == {"workers": 2, "ratio": 0.667}
    assert false["controls"] == [[False, {"workers": 1, "ratio": 0.667}]]
    assert found["claims"]["07/claim-name"]["blocked_by"] == "name"
    kinds = {cell: because for cell, because, _error in found["run"]["failures"]}
    assert kinds == {"name": "name", "claim-name": "error", "claim-instrument": "instrument"}


@pytest.mark.parametrize(
    ("held", "answer"),
    [
        ((False, False, True), "false"),
        ((False, True, True), "holds"),
        ((False, False, None), "false"),
        ((False, True, None), "could not be asked"),
        ((False, None, None), "could not be asked"),
    ],
)
def test_an_answer_is_what_most_times_said(held, answer):
    assert drift_ask.most(held) == answer


def test_evidence_names_no_place_of_this_machine():
    said = drift_ask.plain(
        {
            "error": f"no file {ROOT}/labs/x, {sys.prefix}/lib/y, {Path.home()}/z or /tmp/daskclass-1/w",
            "at": ["tcp://127.0.0.1:4567", "<Task at 0x7f12>"],
            "long": "x" * 1000,
            "rows": 123_456_789,
            "seconds": 0.123456,
        }
    )
    assert "CLASS/labs/x" in said["error"]
    assert "ENVIRONMENT/lib/y" in said["error"]
    assert "TEMPORARY" in said["error"]
    assert not [part for part in said["error"].split() if part.startswith("/")]
    assert said["at"] == ["tcp://127.0.0.1:PORT-1", "<Task at ADDRESS>"]
    assert drift_ask.plain({"127.0.0.1:40001": 4, "127.0.0.1:40002": 9, "same": "localhost:40001"}) == {
        "127.0.0.1:PORT-1": 4,
        "127.0.0.1:PORT-2": 9,
        "same": "localhost:PORT-1",
    }
    assert len(said["long"]) < 400
    assert (said["rows"], said["seconds"]) == (123_456_789, 0.123)


def test_rewording_a_text_does_not_change_what_was_asked(planted):
    [lab] = labs.find(planted)
    before = evidence.code_of(lab)
    text = lab.path.read_text()
    lab.path.write_text(text.replace("# 07 · Planted", "# 07 · Words"))
    assert evidence.code_of(labs.Lab(lab.path)) == before
    lab.path.write_text(text.replace("workers = 2", "workers = 3"))
    assert evidence.code_of(labs.Lab(lab.path)) != before


UV = """\
import json, os, shutil, sys
from pathlib import Path

what, arguments = " ".join(sys.argv[1:3]), sys.argv[1:]
with open(os.environ["UV_CALLS"], "a") as calls:
    calls.write(what + "\\n")
if what == "pip compile":
    wanted = Path(next(one for one in arguments if one.endswith("wanted.txt"))).read_text()
    if "dask[complete]==2025.5.0" in wanted:
        sys.exit("  × No solution found when resolving dependencies:\\n  ╰─▶ Because there is no Python for it")
    Path(arguments[arguments.index("-o") + 1]).write_text(wanted)
elif arguments[0] == "venv":
    folder = Path(arguments[-1], "bin")
    folder.mkdir(parents=True, exist_ok=True)
    Path(folder, "python").unlink(missing_ok=True)
    Path(folder, "python").write_text(f'#!/bin/sh\\nexec "{sys.executable}" "$@"\\n')
    Path(folder, "python").chmod(0o755)
elif what == "pip sync" and os.environ.get("UV_FULL"):
    sys.exit("error: No space left on device (os error 28)")
elif what == "pip list":
    print(json.dumps([{"name": "dask", "version": "x"}, {"name": "daskclass", "version": "0"}]))
"""


@pytest.fixture
def asking(planted, tmp_path, monkeypatch):
    """``asking(*releases)``: asks them, with a stand-in for uv. Returns the exit status."""
    uv = tmp_path / "uv"
    uv.write_text(f"#!{sys.executable}\n{UV}")
    uv.chmod(0o755)
    monkeypatch.setenv("UV_CALLS", str(tmp_path / "calls"))
    monkeypatch.setattr(drift, "ROOT", planted)
    monkeypatch.setattr(drift, "BUILD", planted / "build" / "drift")
    monkeypatch.setattr(drift, "get_setup", lambda: drift.Setup(uv, dict(os.environ)))
    monkeypatch.setattr(drift, "releases", lambda _setup: sorted(ALL, reverse=True))
    monkeypatch.setattr(drift.sales, "open_sales", lambda _size: None)
    return lambda *texts: drift.ask(list(texts), planted / "evidence", None)


needs_scripts = pytest.mark.skipif(os.name != "posix", reason="the stand-in for uv is a script with #!")


@needs_scripts
def test_releases_that_cannot_be_asked_say_so_and_the_others_go_on(asking, planted, capsys):
    assert asking("2025.99.0", "2025.5.0", "2025.7.0") == 1
    folder = planted / "evidence"
    assert evidence.read(folder / "dask-2025.99.0.json").failed == "there is no such release"
    failed = evidence.read(folder / "dask-2025.5.0.json").failed
    assert failed.startswith("can't be resolved with Python 3.")
    assert failed.endswith("No solution found when resolving dependencies: Because there is no Python for it")
    good = evidence.read(folder / "dask-2025.7.0.json")
    assert [asked.answer for asked in good.claims.values()] == [
        *("holds", "false", "holds", "could not be asked", "could not be asked"),
    ]
    assert good.versions == {"dask": "x"}
    assert good.labs["07"].name == "07-planted"
    said = capsys.readouterr().out
    assert "2025.7.0, lab 07: 2 hold, 1 false, 2 could not be asked" in said
    assert "Dask 2025.99.0: there is no such release" in said
    assert sorted(path.name for path in (planted / "build" / "drift").iterdir()) == []


@needs_scripts
@pytest.mark.usefixtures("short")
def test_a_release_that_cannot_be_installed_says_so(asking, planted, monkeypatch):
    monkeypatch.setenv("UV_FULL", "1")
    assert asking("2025.7.0") == 1
    told = evidence.read(planted / "evidence" / "dask-2025.7.0.json").failed
    assert told.startswith("can't be installed with Python 3.")
    assert told.endswith("error: No space left on device (os error 28)")


@needs_scripts
@pytest.mark.usefixtures("short")
def test_after_an_interruption_the_next_run_goes_on(asking, planted, monkeypatch, capsys):
    real, calls = drift.run_labs, []

    def interrupted(release, chosen, folder):
        calls.append((str(release), [lab.number for lab in chosen]))
        if release == Version("2025.5.1") and len(calls) == 2:
            raise KeyboardInterrupt
        real(release, chosen, folder)

    monkeypatch.setattr(drift, "run_labs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        asking("2025.7.0", "2025.5.1")
    assert (planted / "evidence" / "dask-2025.7.0.json").exists()
    assert not (planted / "evidence" / "dask-2025.5.1.json").exists()
    assert asking("2025.7.0", "2025.5.1") == 0
    assert calls == [("2025.7.0", ["07"]), ("2025.5.1", ["07"]), ("2025.5.1", ["07"])]
    assert "Dask 2025.7.0: asked before this was interrupted" in capsys.readouterr().out
    asking("2025.7.0")  # the run is complete, so this is a new one
    assert calls[3:] == [("2025.7.0", ["07"])]


@needs_scripts
@pytest.mark.usefixtures("short")
def test_labs_that_were_finished_are_not_asked_again_with_the_same_versions(asking, planted, monkeypatch):
    folder = planted / "build" / "drift" / "2025.7.0"
    real, calls = drift.run_labs, []

    def stopped(release, chosen, place):
        calls.append([lab.number for lab in chosen])
        real(release, chosen, place)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(drift, "run_labs", stopped)
    with pytest.raises(KeyboardInterrupt):
        asking("2025.7.0")
    assert (folder / "07.json").exists()
    assert asking("2025.7.0") == 0
    assert calls == [["07"], []]


@needs_scripts
@pytest.mark.usefixtures("short")
def test_other_labs_are_asked_anew(asking, planted, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(drift, "keep", lambda _told, _path: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            asking("2025.7.0")
    lab = planted / "labs" / "07-planted.ipynb"
    lab.write_text(lab.read_text().replace("two are two", "two are always two"))
    assert asking("2025.7.0") == 0
    told = evidence.read(planted / "evidence" / "dask-2025.7.0.json")
    assert told.claims["07/claim-holds"].says == "two are always two"


HANGS = """\
import os, sys
from pathlib import Path
sys.path[:0] = [{tools!r}]
import drift
drift.ROOT = Path({root!r})
drift.BUILD = drift.ROOT / "build" / "drift"
drift.get_setup = lambda: drift.Setup(Path({uv!r}), dict(os.environ))
drift.releases = lambda _setup: [drift.Version("2025.7.0")]
drift.sales.open_sales = lambda _size: None
sys.argv = ["drift.py", "ask", "2025.7.0", "--out", str(drift.ROOT / "evidence")]
sys.exit(drift.main())
"""


@needs_scripts
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("asking", "short")
def test_a_run_that_is_stopped_leaves_no_process(planted, tmp_path, number):
    lab = planted / "labs" / "07-planted.ipynb"
    lab.write_text(lab.read_text().replace("workers = 2", "import time; Path('begun').touch(); time.sleep(600)"))
    script = HANGS.format(tools=str(ROOT / "tools"), root=str(planted), uv=str(tmp_path / "uv"))
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (planted / "labs" / "begun").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    family = psutil.Process(process.pid).children(recursive=True)
    assert any("ipykernel" in " ".join(one.cmdline()) for one in family)
    process.send_signal(number)
    _out, error = process.communicate(timeout=240)
    assert (process.returncode, error.splitlines()[-1]) == (
        130,
        "interrupted: what is finished stays, and the same command goes on from there",
    )
    _gone, alive = psutil.wait_procs(family, timeout=240)
    assert alive == []


def test_without_a_network_nothing_is_made(monkeypatch, tmp_path, capsys):
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setattr(drift, "BUILD", tmp_path / "build")
    monkeypatch.setattr(sys, "argv", ["drift.py", "ask", "2025.7.0", "--out", str(tmp_path / "evidence")])
    assert drift.main() == 2
    assert "can't ask the package index for the releases of Dask: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ask", "--labs", "00"], "evidence of some labs only can't go to docs/evidence"),
        (["ask", "--labs", "99"], "there is no lab 99"),
    ],
)
def test_bad_input_is_said(arguments, says, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["drift.py", *arguments])
    assert drift.main() == 2
    assert says in capsys.readouterr().err


@pytest.mark.usefixtures("short")
def test_a_release_in_which_a_lab_cannot_be_asked_at_all_says_so_and_is_asked_again(asking, planted, monkeypatch):
    """As where the class can't be imported. The others go on."""
    controls = planted / "tests" / "labs" / "controls" / "07.py"
    good = controls.read_text()
    controls.write_text("1 / 0\n")
    with monkeypatch.context() as patch:
        patch.setattr(drift, "ask_all", stops_after_the_first)
        with pytest.raises(KeyboardInterrupt):
            asking("2025.7.0", "2025.5.1")
    path = planted / "evidence" / "dask-2025.7.0.json"
    assert evidence.read(path).failed == "lab 07 can't be asked: ZeroDivisionError: division by zero"
    controls.write_text(good)
    assert asking("2025.7.0", "2025.5.1") == 0
    assert evidence.read(path).failed is None


def stops_after_the_first(wanted, every, ask, halve):
    ask(wanted[0])
    raise KeyboardInterrupt


def test_only_the_same_run_goes_on(tmp_path):
    path = tmp_path / "progress.json"
    progress = drift.Progress(path, ["docs/evidence", "", "2025.7.0"])
    progress.add("2025.7.0")
    assert drift.Progress(path, ["docs/evidence", "", "2025.7.0"]).finished == {"2025.7.0"}
    for other in (["docs/evidence", ""], ["docs/evidence", "07", "2025.7.0"], ["elsewhere", "", "2025.7.0"]):
        assert drift.Progress(path, other).finished == set()
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "run": ["another version of the class", *told["run"][1:]]}))
    assert drift.Progress(path, ["docs/evidence", "", "2025.7.0"]).finished == set()
    path.write_text("half")
    assert drift.Progress(path, ["docs/evidence", "", "2025.7.0"]).finished == set()
    progress.end()
    assert not path.exists()


def test_what_a_page_says_about_releases_asks_nothing_anew(tmp_path, monkeypatch):
    """Each answer changes that list, and a run that was stopped goes on after the answers that it has."""
    shutil.copytree(drift.ROOT / "docs" / "upstream", tmp_path / "docs" / "upstream")
    monkeypatch.setattr(drift, "ROOT", tmp_path)
    first = drift.fingerprint()
    page = tmp_path / "docs" / "upstream" / "map-large-keyword.md"
    text = page.read_text()
    page.write_text(text.replace("It happens in ", "It happens nowhere but in "))
    assert page.read_text() != text
    assert drift.fingerprint() == first
    page.write_text(text.replace("110_000", "120_000"))
    assert drift.fingerprint() != first


DEAF = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="on Windows, no process can ignore that it's told to end")
def test_a_lab_that_does_not_end_is_killed_with_its_processes(monkeypatch):
    monkeypatch.setattr(drift, "MERCY", 0.5)
    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, text=True) as process:
        child = psutil.Process(int(process.stdout.readline()))
        drift._end([process])
        assert process.returncode == -signal.SIGKILL
        child.wait(10)
