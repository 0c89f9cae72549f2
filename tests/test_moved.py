"""Notebooks of version 0.1 go on working, and say the new names."""

import importlib
import subprocess
import sys

import dask
import pytest

import daskclass
from daskclass import _moved, charts, spill_guard


@pytest.fixture(autouse=True)
def unseen(monkeypatch):
    """As in a kernel that has just started."""
    for module in _moved.MODULES:
        monkeypatch.delitem(sys.modules, f"daskclass.{module}", raising=False)
        monkeypatch.delattr(daskclass, module, raising=False)


@pytest.mark.parametrize(("old", "new"), _moved.MODULES.items())
def test_an_old_module_has_the_contents_of_the_new_one_and_says_its_name(old, new):
    with pytest.warns(FutureWarning, match=f"daskclass.{old} is now daskclass.{new}") as heard:
        module = importlib.import_module(f"daskclass.{old}")
    assert len(heard) == 1
    now = importlib.import_module(f"daskclass.{new}")
    assert (
        vars(module).items() >= {name: value for name, value in vars(now).items() if not name.startswith("__")}.items()
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("from daskclass.cast import cast", "cast is topology"),
        ("from daskclass.journey import journey", "journey is story"),
        ("from daskclass import doctor", "daskclass.commands.doctor"),
        ("from daskclass import traffic", "daskclass.watch.traffic"),
        ("from daskclass.guard import SpillVolumeIsFull", "daskclass.spill_guard"),
        ("from daskclass.ward import admit", "daskclass.sick_clusters"),
    ],
)
def test_the_lines_that_labs_had_still_work(line, said):
    names: dict = {}
    with pytest.warns(FutureWarning, match=said) as heard:
        exec(compile(line, "a cell", "exec"), names)
    assert {warning.filename for warning in heard} == {"a cell"}
    assert names.keys() >= {name.strip() for name in line.partition("import")[2].split(",")}


def test_what_was_never_there_is_missing():
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'daskclass\.nothing'"):
        importlib.import_module("daskclass.nothing")


@pytest.mark.parametrize(("old", "new"), [("cast", "topology"), ("journey", "story")])
def test_pictures_are_drawn_under_their_old_names(old, new):
    with pytest.warns(FutureWarning, match=f"charts.{old} is now charts.{new}"):
        drawn = getattr(charts, old)
    assert drawn is getattr(charts, new)
    assert not hasattr(charts, "painting")


def test_the_guards_old_setting_counts():
    with dask.config.set({"daskclass.guard.patience": "3s"}):
        assert spill_guard._patience() == 3
        with dask.config.set({"daskclass.spill_guard.patience": "2s"}):
            assert spill_guard._patience() == 2


def test_the_preload_of_workers_loads_no_pandas():
    source = "import sys, daskclass.spill_guard; print('pandas' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
