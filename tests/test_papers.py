"""The papers name things that exist: links, targets, commands, paths, and one version everywhere."""

import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from daskclass.commands import cli

ROOT = Path(__file__).parents[1]
PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(text: str) -> str:
    """Markdown without its blocks of code, in which # begins a comment."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.+?) *$", prose(text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.append(f"{name}-{found.count(name)}" if name in found else name)
    return set(found)


def broken(paper: Path) -> list[str]:
    """The links of a page that lead nowhere in this checkout."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(paper.read_text(encoding="utf-8"))):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = paper.parent / path if path else paper
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            found.append(link)
    return found


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(paper):
    assert broken(paper) == []


def test_a_broken_link_is_found(tmp_path):
    paper = tmp_path / "paper.md"
    paper.write_text("# Two words\n[a](#two-words) [b](#three) [c](gone.md) [d](paper.md#two-words) [e](https://x.y)\n")
    assert broken(paper) == ["#three", "gone.md"]


def test_the_citation_has_what_its_format_requires():
    cited = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert cited["cff-version"] == "1.2.0"
    assert all(author.get("name") for author in cited["authors"])
    assert (cited["version"], cited["license"]) == (VERSION, "BSD-3-Clause")


def test_the_changelog_begins_with_this_version():
    versions = re.findall(r"^## \[(.+?)\] - (Unreleased|\d{4}-\d\d-\d\d)$", read("CHANGELOG.md"), re.MULTILINE)
    assert versions[0][0] == VERSION


def test_targets_and_commands_in_the_readme_exist():
    text = read("README.md")
    targets = set(re.findall(r"^([\w-]+):", read("Makefile"), re.MULTILINE))
    typed = re.findall(r"(?:^|`)(?:\w+=\S+ )?make (?:\w+=\S+ )?([a-z][\w-]*)", text, re.MULTILINE)
    assert {"lab", "test", "up"} <= set(typed) <= targets
    commands = re.findall(r"(?:^|[`/\\])daskclass ([a-z]+)", text, re.MULTILINE)
    assert {"doctor", "rehearse"} <= set(commands) <= cli.commands.commands.keys()


def test_paths_that_contributors_are_sent_to_exist():
    table = read("CONTRIBUTING.md").partition("## Where to change what")[2].partition("\n## ")[0]
    paths = re.findall(r"`([\w.-]+/[\w./-]*|[\w.-]+\.(?:md|toml|yml|example)|Makefile)`", table)
    assert len(paths) > 30
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_each_decision_is_in_the_list():
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"^\| \[(\d{4})\]\((\1-[\w-]+\.md)\)", read("docs/decisions/README.md"), re.MULTILINE)
    assert [name for _number, name in listed] == sorted(path.name for path in folder.glob("[0-9]*.md"))


def test_there_is_one_place_for_the_picture_of_the_house():
    assert len(re.findall(r"<!-- house -->.*?<!-- /house -->", read("CONTRIBUTING.md"), re.DOTALL)) == 1
