"""Decks: a fault of each kind is found, and the committed ones have none that can be found without a browser."""

from pathlib import Path
from types import SimpleNamespace

import pytest

import slides
from daskclass.labs import Minutes

ROOT = Path(__file__).parents[1]
HEAD = '---\nmarp: true\ntheme: daskclass\ntitle: "07 · Tasks"\n---\n\n'
NOTES = "\n<!--\nSay: One.\nAsk: Two?\nWrong: Three.\nMinutes: 5\n-->\n"
PICTURE = "![h:300 Bars of two workers over time](pictures/07-a.png)\n"
DECK = f"{HEAD}# Tasks\n{PICTURE}{NOTES}\n---\n\n## Yours\n\nThe needle\n{NOTES}"


@pytest.fixture
def faults(tmp_path):
    lab = SimpleNamespace(number="07", title="Tasks", minutes=Minutes(6, 4), exercises=("the needle",))

    def find(text: str) -> list[str]:
        (tmp_path / "pictures").mkdir(exist_ok=True)
        (tmp_path / "pictures" / "07-a.png").write_bytes(b"\x89PNG")
        (tmp_path / "07-tasks.md").write_text(text, encoding="utf-8")
        return slides.faults(tmp_path / "07-tasks.md", lab, {"drawings/tree.svg"})

    return find


def test_the_committed_decks_have_no_fault(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["slides.py", "--check"])
    assert slides.main() == 0, capsys.readouterr().err


def test_a_deck_without_a_fault(faults):
    assert faults(DECK) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("07 · Tasks", "07 · Work", "its title is '07 · Work', but the lab's title is '07 · Tasks'"),
        ("pictures/07-a.png", "pictures/07-b.png", "slide 1: pictures/07-b.png doesn't exist"),
        ("pictures/07-a.png", "drawings/walls.svg", "slide 1: drawings/walls.svg doesn't exist"),
        (
            "h:300 Bars of two workers over time",
            "h:300 bars",
            "has no alternative text that says what the picture shows",
        ),
        ("pictures/07-a.png", "https://example.org/a.png", "https://example.org is on another machine"),
        ("# Tasks\n", '# Tasks\n<style>@import "//example.org/a.css"</style>', "//example.org is on another machine"),
        ("Ask: Two?\n", "", "slide 1 has no note `Ask:`"),
        ("Say: One.", "Say:", "slide 1 has no note `Say:`"),
        (NOTES, "", "slide 1 has no note `Minutes:`"),
        ("Minutes: 5", "Minutes: some", "slide 1: minutes must be a whole number of 1 or more, not 'some'"),
        ("Minutes: 5", "Minutes: 0", "slide 1: minutes must be a whole number of 1 or more, not '0'"),
        ("Minutes: 5", "Minutes: 6", "it takes 11 minutes, but the lab takes 10"),
        ("The needle", "Nothing", "its last slide doesn't name the exercise 'the needle'"),
    ],
)
def test_a_fault_is_found(faults, old, new, fault):
    assert old in DECK
    found = faults(DECK.replace(old, new, 1))
    assert any(fault in line for line in found), found
    assert all(line.startswith("07-tasks.md: ") for line in found)


def test_a_drawing_counts_as_a_picture(faults):
    assert faults(DECK.replace("pictures/07-a.png", "drawings/tree.svg")) == []


def test_a_slide_is_read_with_its_notes():
    settings, (first, second) = slides.read(DECK)
    assert settings["title"] == "07 · Tasks"
    assert first.notes == {"Say": "One.", "Ask": "Two?", "Wrong": "Three.", "Minutes": "5"}
    assert first.pictures == [("Bars of two workers over time", "pictures/07-a.png")]
    assert second.pictures == []
    assert second.text == "## Yours\n\nThe needle"


def test_pictures_travel_in_the_text(faults, tmp_path):
    faults(DECK)
    text = slides.inlined(tmp_path / "07-tasks.md", tmp_path)
    assert "](data:image/png;base64,iVBORw==)" in text
    assert "pictures/" not in text


def test_no_deck_of_that_number_is_said(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["slides.py", "--check", "77"])
    assert slides.main() == 1
    assert "there is no deck 77" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["chromium", "node"])
def test_what_is_missing_on_the_machine_is_named(monkeypatch, missing):
    def which(name):
        return None if (missing == "node") == (name == "node") else f"/usr/bin/{name}"

    monkeypatch.setattr(slides.shutil, "which", which)
    [said] = slides._build({})
    assert f"{missing} is missing" in said.lower()
    assert "apt install" in said
