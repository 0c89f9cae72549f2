"""The house in CONTRIBUTING is the code's, and each room asks its question."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import house

SOURCE = house.ROOT / "src" / house.PACKAGE


@pytest.fixture(scope="module")
def questions() -> dict[str, str]:
    return house.rooms(SOURCE)


def test_the_page_shows_the_house_as_it_is():
    text = house.PAGE.read_text(encoding="utf-8")
    assert house.filled(text) == text, "run tools/house.py"


def test_every_room_asks_its_question(questions):
    assert [name for name, line in questions.items() if "?" not in line] == []


def test_a_room_that_is_new_is_in_the_picture(tmp_path):
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "clock.py").write_text('"""What time is it?\n\nIn seconds."""\n')
    (tmp_path / "watch" / "__init__.py").touch()
    (tmp_path / "_hidden.py").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "bell").mkdir()
    (tmp_path / "bell" / "__init__.py").write_text('"""Who rings?"""\n')
    rooms = house.rooms(tmp_path)
    assert rooms == {"bell": "Who rings?", "watch.clock": "What time is it?"}
    drawn = house.picture(rooms, [("bell", "watch.clock")])
    assert "  bell --> watch_clock" in drawn
    assert "| `watch.clock` | What time is it? |" in drawn


def test_arrows_are_imports_without_those_that_follow(questions):
    drawn = house.arrows(list(questions))
    assert ("scoring", "sales") in drawn
    assert ("sales", "system.files") in drawn
    assert ("scoring", "system.files") not in drawn  # by way of sales
    assert not [pair for pair in drawn if "errors" in pair]


def test_a_page_without_a_place_for_it_is_said():
    with pytest.raises(SystemExit, match=r"CONTRIBUTING\.md needs one place between"):
        house.filled("# Contributing")


@pytest.mark.parametrize("upwards", ["from daskclass.commands import doctor", "from daskclass.watch import story"])
def test_an_arrow_that_points_up_is_refused(tmp_path, upwards):
    """By import-linter, with the contract of `pyproject.toml`, on a copy of the package with one more import."""
    shutil.copytree(SOURCE, tmp_path / "daskclass", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(house.ROOT / "pyproject.toml", tmp_path)
    room = tmp_path / "daskclass" / "system" / "ports.py"
    room.write_text(room.read_text(encoding="utf-8") + f"\n{upwards}\n", encoding="utf-8")
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", env=environment)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "daskclass.system is not allowed to import daskclass." in run.stdout
