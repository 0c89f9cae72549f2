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


def test_labs_have_numbers_and_come_in_order(checkout):
    found = labs.find(checkout)
    assert [lab.name for lab in found] == ["00-start-here", "02-two", "03-three", "04-four", "07-seven"]
    assert [lab.number for lab in found] == ["00", "02", "03", "04", "07"]


def test_labs_that_need_several_machines_are_told_apart(checkout):
    notebook = nbformat.v4.new_notebook(metadata={"daskclass": {"needs": "machines"}})
    nbformat.write(notebook, checkout / "labs" / "03-three.ipynb")
    found = labs.find(checkout)
    assert [lab.needs for lab in found] == [None, None, "machines", None, None]
    assert [lab.number for lab in labs.on_one_machine(found)] == ["00", "02", "04", "07"]


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


NOTEBOOK = [
    nbformat.v4.new_markdown_cell("# 07 · Seven\n\nWords.", id="title"),
    nbformat.v4.new_code_cell("x = 1", id="setup"),
    nbformat.v4.new_markdown_cell("**Exercise: first.** Do it.\n\n**Exercise: really?** And this.", id="exercise"),
    nbformat.v4.new_code_cell("claim('it holds', x == 1)", id="claim-holds"),
    nbformat.v4.new_markdown_cell("# Going further", id="further"),
    nbformat.v4.new_code_cell("claim('and more', x == 1)", id="claim-more"),
]


@pytest.fixture
def lab(tmp_path):
    """A lab with one of everything, in a file."""
    about = {"teaching": 20, "exercises": 15, "path": "core"}
    nbformat.write(nbformat.v4.new_notebook(cells=NOTEBOOK, metadata={"daskclass": about}), tmp_path / "07-seven.ipynb")
    return Lab(tmp_path / "07-seven.ipynb")


def test_a_lab_says_what_is_in_it(lab):
    assert (lab.name, lab.number, lab.title, lab.track) == ("07-seven", "07", "Seven", "core")
    assert (lab.minutes.teaching, lab.minutes.exercises, lab.minutes.total) == (20, 15, 35)
    assert list(lab.cells) == ["setup", "claim-holds", "claim-more"]
    assert lab.cells["setup"] == lab.cell("setup") == "x = 1"
    assert lab.cell("further") == "# Going further"
    assert lab.claims == (("claim-holds", "it holds", True), ("claim-more", "and more", False))
    assert lab.exercises == ("first", "really?")
    assert lab.code.splitlines()[0] == "x = 1"
    assert "Words." in lab.text
    assert "x = 1" not in lab.text


def test_a_lab_is_read_once_and_only_when_it_is_asked(lab, monkeypatch):
    times = []
    real = nbformat.read
    monkeypatch.setattr(nbformat, "read", lambda *args, **options: times.append(1) or real(*args, **options))
    assert (lab.number, times) == ("07", [])
    assert (lab.title, lab.minutes.total, len(lab.claims), len(lab.exercises)) == ("Seven", 35, 2, 2)
    assert times == [1]


def test_a_cell_that_is_not_there_is_said(lab):
    with pytest.raises(Problem, match=r"^07-seven\.ipynb has no cell 'eighth'$"):
        lab.cell("eighth")


@pytest.mark.parametrize(
    ("text", "asked", "why"),
    [
        ("no JSON", "notebook", "NotJSONError"),
        ("[" * 100_000, "notebook", "RecursionError|NotJSONError"),
        ("[]", "cells", "Error: "),
        ('{"nbformat": 4, "nbformat_minor": 5, "cells": [], "metadata": {}}', "minutes", "KeyError: 'teaching'"),
        ('{"nbformat": 4, "nbformat_minor": 5, "cells": [], "metadata": {}}', "title", "no heading"),
        ('{"nbformat": 4, "nbformat_minor": 5, "cells": [], "metadata": {}}', "track", "KeyError: 'path'"),
        (
            '{"nbformat": 4, "nbformat_minor": 5, "cells": [], "metadata": {"daskclass": {"teaching": -1}}}',
            "minutes",
            "minutes of teaching are -1",
        ),
        (
            '{"nbformat": 4, "nbformat_minor": 5, "cells": [{"cell_type": "markdown", "id": "a", "metadata": {}}], '
            '"metadata": {}}',
            "exercises",
            "AttributeError: source",
        ),
    ],
    ids=["words", "deep", "list", "no minutes", "no title", "no track", "negative", "no source"],
)
def test_a_lab_that_cannot_be_read_is_named(tmp_path, text, asked, why):
    path = tmp_path / "03-odd.ipynb"
    path.write_text(text)
    with pytest.raises(Problem, match=rf"^can't read 03-odd\.ipynb as a lab: .*({why})"):
        getattr(Lab(path), asked)


def test_a_lab_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Problem, match=r"^can't read 03-gone\.ipynb as a lab: FileNotFoundError"):
        Lab(tmp_path / "03-gone.ipynb").claims  # noqa: B018 (asking is what is tried)
