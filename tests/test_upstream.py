"""Reports for maintainers of Dask: each reproduction runs, each quoted line is there, and releases are those asked."""

import contextlib
import re
import sys
from importlib.metadata import distribution, version

import psutil
import pytest

import drift_page
import upstream

PAGES = upstream.pages()
ASKED = [(one.release, dict(one.upstream)) for one in drift_page.read_all(drift_page.ROOT / "docs" / "evidence")]


def test_there_are_pages_and_the_index_lists_them():
    index = (upstream.FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[[\w-]+\]\(([\w-]+)\.md\) \| (.+) \|$", index, re.MULTILINE)
    listed = dict(re.findall(r"^\| \[[\w-]+\]\(([\w-]+)\.md\) \| (.+) \|$", index, re.MULTILINE))
    assert listed == {page.name: page.title for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_reproduction_prints_what_the_page_says(page):
    assert upstream.run(page, sys.executable) == upstream.HAPPENS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_quoted_lines_are_there(page):
    assert page.source
    assert version("distributed") == "2026.8.0"
    for file, line, said in page.source:
        text = distribution("distributed").locate_file(file).read_text(encoding="utf-8")
        assert text.splitlines()[line - 1].strip() == said, f"{file}:{line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_releases_are_those_of_the_evidence(page):
    """Update them with: tools/drift.py page."""
    assert page.releases == upstream.in_words(
        (release, answers[page.name]) for release, answers in ASKED if page.name in answers
    )
    assert page.releases.startswith(("It ", "The reproduction "))


def test_releases_in_words():
    happens, absent, unasked = upstream.HAPPENS, upstream.ABSENT, upstream.UNASKED
    assert upstream.in_words([("1", absent), ("2", happens), ("3", happens), ("4", absent), ("5", unasked)]) == (
        "It happens in 2, 3. The reproduction prints something else in 1, 4. The reproduction itself fails in 5."
    )
    assert upstream.in_words([]) == ""


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("print('as said')", upstream.HAPPENS),
        ("print('otherwise')", upstream.ABSENT),
        ("raise SystemExit('broken')", upstream.UNASKED),
        ("print('as said'); import time; time.sleep(60)", upstream.HANGS),
    ],
)
def test_a_reproduction_has_four_answers(code, answer, monkeypatch):
    monkeypatch.setattr(upstream, "_SECONDS", 5)
    page = upstream.Page("name", "title", code, "as said\n", (), "")
    assert upstream.run(page, sys.executable) == answer


def test_a_reproduction_that_does_not_end_leaves_no_process(monkeypatch, tmp_path):
    monkeypatch.setattr(upstream, "_SECONDS", 5)
    note = tmp_path / "child"
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(note)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    assert upstream.run(upstream.Page("name", "title", code, "", (), ""), sys.executable) == upstream.HANGS
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(note.read_text())).wait(10)


def test_a_page_without_a_part_is_said(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python\n1\n```\n")
    with pytest.raises(ValueError, match="one reproduction, one text that it prints, and one list of releases"):
        upstream.read(page)


def test_releases_are_written_into_the_pages(tmp_path):
    good = (upstream.FOLDER / f"{PAGES[0].name}.md").read_text(encoding="utf-8")
    path = tmp_path / f"{PAGES[0].name}.md"
    path.write_text(good, encoding="utf-8")
    upstream.update([("2025.1.0", {PAGES[0].name: upstream.HAPPENS}), ("2025.2.0", {})], tmp_path)
    assert upstream.read(path).releases == "It happens in 2025.1.0."
    assert upstream.read(path)._replace(releases="") == PAGES[0]._replace(releases="")
