"""Reports for Dask's maintainers: a page each in docs/upstream, whose reproduction runs.

`tools/drift.py` runs every reproduction in every release that it asks, so that a page can say since when. A
reproduction prints the same lines wherever the fault is.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

from daskclass.system import processes

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "upstream"
HAPPENS, ABSENT, UNASKED = "happens", "does not happen", "could not be asked"
HANGS = "did not end"
_SECONDS = 90.0
_CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TEXT = re.compile(r"^It prints\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SOURCE = re.compile(r"^- `([\w/]+\.py):(\d+)`: `(.+)`$", re.MULTILINE)
_RELEASES = re.compile(r"(?<=^## Releases\n\n).*?(?=\n\n## )", re.MULTILINE | re.DOTALL)


class Page(NamedTuple):
    """A report: its name, its reproduction and what that prints, its source lines, and its releases in words."""

    name: str
    title: str
    code: str
    prints: str
    source: tuple[tuple[str, int, str], ...]
    releases: str


def read(path: Path) -> Page:
    """Read a page.

    Raises
    ------
    ValueError
        If a part is missing.
    """
    text = path.read_text(encoding="utf-8")
    parts = _CODE.findall(text), _TEXT.findall(text), _RELEASES.findall(text)
    if any(len(part) != 1 for part in parts):
        raise ValueError(f"{path} should have one reproduction, one text that it prints, and one list of releases")
    [code], [prints], [releases] = parts
    source = tuple((file, int(line), said) for file, line, said in _SOURCE.findall(text))
    return Page(path.stem, text.partition("\n")[0].removeprefix("# "), code, prints, source, releases)


def pages(folder: Path = FOLDER) -> list[Page]:
    """All pages, by name."""
    return [read(path) for path in sorted(folder.glob("*.md")) if path.stem != "README"]


def run(page: Page, python: str | Path) -> str:
    """What a reproduction does in the environment of `python`.

    Returns
    -------
    str
        ``happens``; ``does not happen``; ``could not be asked`` if it fails; or ``did not end``. Then it and its
        processes are killed.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        script = Path(folder, "reproduction.py")
        script.write_text(page.code, encoding="utf-8")
        with subprocess.Popen(
            [python, script],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        ) as process:
            try:
                printed, _ = process.communicate(timeout=_SECONDS)
            except subprocess.TimeoutExpired:
                return HANGS
            finally:
                if process.poll() is None:
                    alone = psutil.Process(process.pid)
                    processes.kill([alone, *processes.descendants(alone)])
    if printed == page.prints:
        return HAPPENS
    return ABSENT if process.returncode == 0 else UNASKED


def in_words(answers: Iterable[tuple[str, str]]) -> str:
    """In which releases a fault is, from pairs of release and answer, oldest first."""
    told: dict[str, list[str]] = {}
    for release, answer in answers:
        told.setdefault(answer, []).append(release)
    names = {
        HAPPENS: "It happens in",
        ABSENT: "The reproduction prints something else in",
        HANGS: "The reproduction does not end in",
        UNASKED: "The reproduction itself fails in",
    }
    return " ".join(f"{words} {', '.join(told[answer])}." for answer, words in names.items() if answer in told)


def update(answers: Iterable[tuple[str, dict[str, str]]], folder: Path = FOLDER) -> None:
    """Write into each page in which releases its fault is."""
    listed = list(answers)
    for page in pages(folder):
        told = in_words((release, found[page.name]) for release, found in listed if page.name in found)
        path = folder / f"{page.name}.md"
        text = path.read_text(encoding="utf-8")
        path.write_text(_RELEASES.sub(lambda _found, told=told: told, text), encoding="utf-8")  # type: ignore[misc]
