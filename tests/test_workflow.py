"""The workflow that users copy: valid, no more rights than it needs, and what it types exists and does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import environment
import newest
from daskclass.commands import cli

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
    assert {"tools/environment.py", "tools/newest.py", "tools/changed_claims.py"} <= set(typed)
    assert [name for name in typed if not list(ROOT.glob(name))] == []


def test_commands_and_options_of_the_class_exist():
    typed = re.findall(r'"\$BIN/daskclass" (\w+) (.*?)(?: \|\| .*)?$', TYPED, re.MULTILINE)
    assert typed
    for name, rest in typed:
        cli.commands.commands[name].make_context(name, rest.split())


def test_other_programs_come_with_the_lock():
    names = set(re.findall(r'"\$BIN/(\w+)"', TYPED)) - {"python", "daskclass"}
    assert {"pytest", "ruff"} <= names
    assert names <= {re.split(r"\W", line)[0] for line in newest.unpinned((ROOT / "pyproject.toml").read_text())}


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
REPORT = (
    '{"versions": {"dask": "2026.8.0"}, "labs": [{"lab": "00-lab", "status": "passed", "error": null, '
    '"claims": [{"text": "one", "holds": %s}]}]}'
)


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


def reports(folder: Path, **holds: str) -> None:
    for name, value in holds.items():
        (folder / "build" / name).mkdir(parents=True, exist_ok=True)
        (folder / "build" / name / "report.json").write_text(REPORT % value)


@posix
@pytest.mark.parametrize(("after", "changed"), [("true", "0"), ("false", "1")])
def test_the_comparison_says_whether_a_claim_changed(step, tmp_path, after, changed):
    reports(tmp_path, base="true", newest=after)
    run = step("Compare the two")
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "output").read_text() == f"changed={changed}\n"
    assert ("00-lab: one: true → false" in (tmp_path / "summary").read_text()) is (changed == "1")
    assert (tmp_path / "summary").read_text() == (tmp_path / "build" / "body.md").read_text()


@posix
def test_the_job_fails_without_a_report(step, tmp_path):
    reports(tmp_path, base="true")
    (tmp_path / "build" / "newest").mkdir()
    run = step("Compare the two")
    assert run.returncode != 0
    assert "can't read build/newest/report.json" in run.stderr
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
@pytest.mark.parametrize("name", ["Rehearse with them", "Rehearse with these"])
@pytest.mark.parametrize(("status", "goes_on"), [(0, True), (1, True), (2, False), (143, False)])
def test_a_false_claim_does_not_end_the_job(step, tmp_path, name, status, goes_on):
    program = tmp_path / "programs" / "daskclass"
    program.write_text(f"#!/bin/sh\nexit {status}\n")
    program.chmod(0o755)
    assert (step(name).returncode == 0) is goes_on


@posix
def test_the_newest_versions_are_asked_for_by_name(step, tmp_path):
    (tmp_path / "build").mkdir()
    program = tmp_path / "programs" / "python"
    real = program.read_text()
    program.write_text(real.replace("exec", 'case "$*" in *pip*) printf "%s\\n" "$*" >> "$SAID"; exit 0 ;; esac\nexec'))
    run = step("Upgrade to the newest versions")
    assert run.returncode == 0, run.stderr
    assert "dask[complete]" in (tmp_path / "build" / "newest.txt").read_text().splitlines()
    upgrade, own = (tmp_path / "said").read_text().splitlines()
    assert upgrade.endswith("pip install --upgrade --upgrade-strategy eager --requirement build/newest.txt")
    assert own.endswith("pip install --no-deps --no-build-isolation --editable .")


PROJECT = """
[project]
dependencies = ["dask[complete]==2026.8.*", "numpy>=2.4,<3", "jinja2"]
[project.optional-dependencies]
dev = ["pytest>=9"]
managers = ["dask-jobqueue==0.9.*"]
xgboost = ["xgboost-cpu>=3; sys_platform != 'darwin'"]
browser = ["playwright>=1.60"]
"""


def test_what_the_lock_has_is_named_without_versions():
    assert newest.unpinned(PROJECT) == [
        *("dask[complete]", "numpy", "jinja2", "pytest", "dask-jobqueue"),
        'xgboost-cpu; sys_platform != "darwin"',
    ]


def test_the_extras_are_those_of_the_lock():
    """The lock is made with them in `make lock`."""
    lock = re.search(r"((?:--extra \w+ )+)pyproject\.toml --output-file requirements\.lock", MAKEFILE)[1]
    assert re.findall(r"--extra (\w+)", lock) == list(newest.EXTRAS)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[project", "TOMLDecodeError"),
        ("", "KeyError: 'project'"),
        (PROJECT.replace("managers", "others"), "KeyError: 'managers'"),
        (PROJECT.replace("numpy>=2.4", "numpy>>2.4"), "InvalidRequirement"),
    ],
)
def test_a_project_that_cannot_be_understood_is_said(tmp_path, monkeypatch, capsys, text, wrong):
    project = tmp_path / "pyproject.toml"
    project.write_text(text)
    monkeypatch.setattr(newest, "PYPROJECT", project)
    assert newest.main() == 2
    out, err = capsys.readouterr()
    assert (out, err.startswith(f"{project}: {wrong}")) == ("", True), err
