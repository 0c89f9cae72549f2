"""``pytest --nbval-lax labs`` with a lab that cannot be read, hangs or dies: it fails by its name, the others go on."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(os.name != "posix", reason="the troubled labs use signals")
def test_a_lab_in_trouble_fails_by_its_name_and_the_others_go_on(class_of, environment, tmp_path):
    root = class_of("00-start-here", "03-dies", "04-hangs", "05-broken", "06-only-false")
    shutil.copy(ROOT / "labs" / "conftest.py", root / "labs")
    runs = tmp_path / "runs.tsv"
    command = [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "--rootdir", root, "--nbval-lax"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--timeout", "10", root / "labs"],
        cwd=root,
        env=environment | {"DASKCLASS_SIZE": "1MB", "DASKCLASS_LAB_RUNS": str(runs)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    failed = re.findall(r"^(?:FAILED|ERROR) (?:.*/)?labs/(\S+)", done.stdout, re.M)
    names = {name.partition(".")[0] for name in failed}
    assert names == {"03-dies", "04-hangs", "05-broken", "06-only-false"}, done.stdout
    assert len([name for name in failed if name.startswith("06")]) == 1  # one claim of two
    assert re.search(r"\b6 passed", done.stdout), done.stdout  # five cells of 00 and one of 06
    extents = {"00": "whole", "03": "part", "04": "part", "06": "part"}
    assert sorted(runs.read_text().splitlines()) == [f"{lab}\tnbval\t{extent}" for lab, extent in extents.items()]
