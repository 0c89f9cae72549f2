"""The workflow that users copy: valid, no more rights than it needs, and what it types exists and does what it says."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import drift
import environment
from daskclass.commands import cli
from daskclass.commands.rehearsal import evidence
from daskclass.commands.rehearsal.evidence import Asked, Evidence, LabRun

ROOT = Path(__file__).parents[1]
FILE = ROOT / ".github" / "workflows" / "class.yml"
TEXT = FILE.read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load(TEXT)
JOBS = WORKFLOW["jobs"]
STEPS = {step["name"]: step for job in JOBS.values() for step in job["steps"] if "name" in step}
TYPED = "\n".join(step["run"] for step in STEPS.values() if "run" in step)
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def validate(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", file]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_schema_of_workflows_accepts_it():
    run = validate(FILE)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_schema_refuses_what_is_wrong(tmp_path):
    wrong = tmp_path / "class.yml"
    wrong.write_text(TEXT.replace("timeout-minutes: 90", "timeout: 90"), encoding="utf-8")
    run = validate(wrong)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "jobs.class" in run.stdout


def test_it_runs_what_the_readme_promises():
    oldest, *_between, latest = environment.PYTHONS  # which README lists
    matrix = JOBS["class"]["strategy"]["matrix"]
    assert matrix["python"] == [oldest, latest]
    assert matrix["include"] == [{"os": "ubuntu-latest", "python": "3.12"}]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    pythons = {
        step["with"]["python-version"] for step in JOBS["newest"]["steps"] if "setup-python" in step.get("uses", "")
    }
    assert pythons == {latest}
    assert JOBS["class"]["strategy"]["fail-fast"] is False


def test_its_rights_are_the_least():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert {name: job["permissions"] for name, job in JOBS.items() if "permissions" in job} == {
        "newest": {"contents": "read", "issues": "write"}
    }
    assert all(job["timeout-minutes"] > 0 for job in JOBS.values())
    assert WORKFLOW["concurrency"]["group"]


def test_actions_are_pinned():
    used = [step["uses"] for job in JOBS.values() for step in job["steps"] if "uses" in step]
    assert used
    assert [one for one in used if not re.fullmatch(r"actions/[\w-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})", one)] == []


def test_what_make_is_asked_for_exists():
    asked = re.findall(r"^make (.+)$", TYPED, re.MULTILINE)
    targets = {word for line in asked for word in line.split() if "=" not in word}
    assert "test" in targets
    assert targets - set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE)) == set()


def test_files_that_are_typed_exist():
    typed = re.findall(r"(?<![\w/])(?:tools|labs)/[\w.*-]+", TYPED)
    assert {"tools/environment.py", "tools/drift.py", "tools/changed_claims.py"} <= set(typed)
    assert [name for name in typed if not list(ROOT.glob(name))] == []


def test_commands_and_options_of_the_class_exist():
    for name, rest in re.findall(r'"\$BIN/daskclass" (\w+) (.*?)(?: \|\| .*)?$', TYPED, re.MULTILINE):
        cli.commands.commands[name].make_context(name, rest.split())
    [asked] = re.findall(r"tools/drift\.py (.+) \|\|", TYPED)
    assert drift.parser().parse_args(asked.split()).releases == ["newest"]


def test_other_programs_come_with_the_lock():
    names = set(re.findall(r'"\$BIN/(\w+)"', TYPED)) - {"python", "daskclass"}
    assert {"pytest", "ruff"} <= names
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert names <= {re.split(r"[^\w-]", line)[0] for line in listed} | {"lint"}


def test_windows_does_what_make_test_does():
    recipe = re.search(r"^test: .*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)[1]
    lines = [re.sub(r"\$\(wildcard (.*)\)", r"\1", line) for line in recipe.replace("\t", "").splitlines()]
    typed = [re.sub(r"^\$\(BIN\)/([\w-]+)", r'"$BIN/\1"', line) for line in lines]
    assert STEPS["The same as make test, on Windows"]["run"].splitlines() == typed


def test_the_readme_types_the_same_on_windows():
    """But for the glob of the last line, which PowerShell leaves to the program: there every lab runs, in its time."""
    block = re.findall(r"^```powershell\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[-1]
    typed = [re.sub(r"^\.venv\\Scripts\\([\w-]+)", r'"$BIN/\1"', line) for line in block.splitlines()]
    *tests, _some_labs = STEPS["The same as make test, on Windows"]["run"].splitlines()
    assert typed == [*tests, STEPS["Every lab"]["run"].strip()]


def test_the_readme_lists_the_targets_of_make():
    section = README.partition("## If you are a CI job")[2]
    targets = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))
    listed = set(re.findall(r"\bmake ([\w-]+)`", section)) | {"test"}
    assert {target for target in targets if target.startswith("test")} <= listed <= targets


def test_windows_and_the_weekly_job_install_as_make_does():
    assert re.findall(r"^\t@\$\(PYTHON\) -I (tools/environment\.py)$", MAKEFILE, re.MULTILINE)
    for name in ("Install on Windows", "Install the versions of the lock"):
        assert STEPS[name]["run"] == "python tools/environment.py"


# The shell of the weekly job, with a stand-in for gh that writes down how it was called.
GH = """#!/bin/sh
printf '%s\\n' "$*" >> "$SAID"
case "$*" in *list*) printf '%s' "$OPEN" ;; esac
"""


@pytest.fixture
def step(tmp_path):
    """Run a step's shell in a folder that has the tools, `.venv/bin/python` and a ``gh``."""
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    programs = tmp_path / "programs"
    programs.mkdir()
    python = programs / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "gh").write_text(GH)
    for program in programs.iterdir():
        program.chmod(0o755)

    def run(name: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "BIN": str(programs),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
            "SAID": str(tmp_path / "said"),
        }
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[name]["run"]]
        return subprocess.run(command, cwd=tmp_path, env=environment | more, capture_output=True, text=True)

    return run


posix = pytest.mark.skipif(os.name != "posix", reason="stand-ins for programs are shell scripts")


def published(folder: Path, **answers: Asked) -> None:
    """Evidence of a release in which the claim of cell `a` has the answer."""
    for place, asked in answers.items():
        home = folder / {"here": "build/evidence", "there": "docs/evidence"}[place]
        home.mkdir(parents=True, exist_ok=True)
        told = Evidence(
            *("2026.8.0", "2026-11-29", 1, "smoke", "3.14.0", {}, {"dask": "2026.8.0"}),
            labs={"00": LabRun("00-lab", "0" * 64, 1.0)},
            claims={"00/a": asked},
        )
        (home / "dask-2026.8.0.json").write_text(evidence.as_json(told), encoding="utf-8")


@posix
@pytest.mark.parametrize(("after", "changed"), [("holds", "0"), ("false", "1")])
def test_the_comparison_says_whether_a_claim_changed(step, tmp_path, after, changed):
    published(tmp_path, there=Asked("one", "holds"), here=Asked("one", after))
    run = step("Compare with what is published")
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "output").read_text() == f"changed={changed}\n"
    assert ("00-lab: one: holds → false" in (tmp_path / "summary").read_text()) is (changed == "1")
    assert (tmp_path / "summary").read_text() == (tmp_path / "build" / "body.md").read_text()


@posix
def test_the_job_fails_without_evidence(step, tmp_path):
    published(tmp_path, there=Asked("one", "holds"))
    (tmp_path / "build" / "evidence").mkdir(parents=True)
    run = step("Compare with what is published")
    assert run.returncode != 0
    assert "build/evidence has no evidence" in run.stderr
    assert not (tmp_path / "output").exists()


@posix
@pytest.mark.parametrize(("number", "then"), [("", "create --title"), ("17", "comment 17 --body-file")])
def test_a_change_is_one_issue(step, tmp_path, number, then):
    name = "Open an issue, or comment on the one that is open"
    run = step(name, TITLE=STEPS[name]["env"]["TITLE"], OPEN=number)
    assert run.returncode == 0, run.stderr
    asked, done = (tmp_path / "said").read_text().splitlines()
    assert asked.startswith("issue list --state open")
    assert done.startswith(f"issue {then}")
    assert done.endswith("--body-file build/body.md")


@posix
@pytest.mark.parametrize(("status", "goes_on"), [(0, True), (1, True), (2, False), (130, False)])
def test_a_release_that_could_not_be_asked_does_not_end_the_job(step, tmp_path, status, goes_on):
    program = tmp_path / "programs" / "python"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> "$SAID"\nexit {status}\n')
    assert (step("Ask the newest versions").returncode == 0) is goes_on
    assert (tmp_path / "said").read_text() == "tools/drift.py ask newest --out build/evidence\n"
