"""The checkout is found from anywhere inside it."""

from pathlib import Path

import pytest

import daskclass
from daskclass.errors import Problem
from daskclass.system import checkout

HERE = Path(__file__).parents[2]


@pytest.fixture
def made(tmp_path) -> Path:
    root = tmp_path / "class"
    (root / "labs" / "materials").mkdir(parents=True)
    (root / checkout.FIRST_LAB).touch()
    return root


def test_it_is_found_from_below(made, monkeypatch):
    monkeypatch.chdir(made / "labs" / "materials")
    assert checkout.find() == checkout.require() == checkout.require(installed=False) == made


def test_the_one_that_is_installed_counts_where_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checkout.find() == checkout.require() == checkout.installed_from() == HERE
    assert checkout.around(tmp_path) is None
    with pytest.raises(Problem, match="go to the folder that you cloned the class into"):
        checkout.require(installed=False)


def test_a_package_that_is_installed_from_a_wheel_has_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkout, "__file__", str(tmp_path / "lib" / "daskclass" / "system" / "checkout.py"))
    assert checkout.installed_from() is None
    inside = HERE / ".venv" / "lib" / "python3" / "site-packages" / "daskclass" / "system" / "checkout.py"
    monkeypatch.setattr(checkout, "__file__", str(inside))  # a wheel in an environment inside a checkout is no checkout
    assert checkout.installed_from() is None
    with pytest.raises(Problem, match="go to the folder that you cloned the class into"):
        checkout.require()


def test_the_package_lies_in_the_checkout_it_is_installed_from():
    assert Path(daskclass.__file__).is_relative_to(checkout.installed_from())
