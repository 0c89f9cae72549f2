from pathlib import Path

import nbformat
import pytest

from daskclass import labs
from daskclass.errors import Problem, UsageProblem
from daskclass.labs import Lab


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "class"
    (root / "labs" / "materials").mkdir(parents=True)
    for name in ("02-two", "00-start-here", "04-four", "03-three", "07-seven", "Untitled", "1-mine"):
        nbformat.write(nbformat.v4.new_notebook(), root / "labs" / f"{name}.ipynb")
    return root


def test_the_checkout_is_found_from_below(checkout, monkeypatch):
    monkeypatch.chdir(checkout / "labs" / "materials")
    assert labs.checkout() == checkout
    assert labs.checkout(installed=False) == checkout


def test_the_checkout_that_is_installed_counts_where_asked(tmp_path, monkeypatch):
    root = Path(labs.__file__).resolve().parents[2]
    monkeypatch.chdir(tmp_path)
    assert labs.checkout() == root
    with pytest.raises(Problem, match="go to the folder that you cloned the class into"):
        labs.checkout(installed=False)


def test_without_a_checkout_there_are_no_labs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(labs, "__file__", str(tmp_path / "a" / "b" / "c" / "labs.py"))
    with pytest.raises(Problem, match="go to the folder that you cloned the class into"):
        labs.checkout()


def test_labs_have_numbers_and_come_in_order(checkout):
    found = labs.find(checkout)
    assert [lab.name for lab in found] == ["00-start-here", "02-two", "03-three", "04-four", "07-seven"]
    assert [lab.number for lab in found] == ["00", "02", "03", "04", "07"]


LABS = [Lab(Path(f"labs/{number}-x.ipynb")) for number in ("00", "02", "03", "04", "07")]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("00", "00"),
        ("0", "00"),
        ("00,02-04", "00 02 03 04"),
        ("02-07", "02 03 04 07"),
        ("04, 02 - 03,02", "02 03 04"),
        ("07,00", "00 07"),
        ("3-3", "03"),
    ],
)
def test_labs_are_chosen(text, numbers):
    assert " ".join(lab.number for lab in labs.choose(text, LABS)) == numbers


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "'' names no labs"),
        (",", "names no labs"),
        ("00,", "names no labs"),
        ("start", "'start' names no labs"),
        ("00-02-03", "names no labs"),
        ("-02", "names no labs"),
        ("002", "names no labs"),
        ("٠٢", "names no labs"),
        ("01", "there is no lab 01"),
        ("00,05-09", "there is no lab 05 and no lab 09"),
        ("02-05", "there is no lab 05"),
        ("04-02", "04-02 runs backwards"),
    ],
)
def test_labs_that_are_none(text, wrong):
    with pytest.raises(UsageProblem) as problem:
        labs.choose(text, LABS)
    assert wrong in str(problem.value)
    assert "such as 00,02-04, of 00, 02, 03, 04, 07" in str(problem.value)
