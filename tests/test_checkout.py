"""What git makes of the files on their way to somebody's disk."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def with_autocrlf(tmp_path_factory) -> Path:
    """A clone by a git that turns every line feed into a carriage return and a line feed, as many on Windows do."""
    if not (ROOT / ".git").exists():
        pytest.skip("these sources are no clone, so there is nothing to clone from")
    folder = tmp_path_factory.mktemp("clones") / "daskclass"
    command = ["git", "-c", "core.autocrlf=true", "clone", "--quiet", str(ROOT), str(folder)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder


def test_every_text_has_line_feeds_whatever_git_is_set_to(with_autocrlf):
    command = ["git", "-c", "core.autocrlf=true", "ls-files", "--eol"]
    lines = subprocess.run(command, cwd=with_autocrlf, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(lines) > 100
    assert [line for line in lines if "w/crlf" in line or "w/mixed" in line] == []


def test_shell_scripts_are_still_shell_scripts(with_autocrlf):
    scripts = sorted(with_autocrlf.glob("tools/*.sh"))
    assert with_autocrlf / "tools" / "compose_up.sh" in scripts
    for script in scripts:
        run = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True)
        assert (run.returncode, run.stderr) == (0, ""), script
