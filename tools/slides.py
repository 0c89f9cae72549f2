"""Builds the decks: build/slides/NN-name.html and .pdf, which need no other files.

    python tools/slides.py [--check] [DECK ...]

This needs Node with the packages of slides/package-lock.json, and Chromium. It fails, and says where, if a picture or
its alternative text is missing, a page would load something from another machine, a slide has no notes, a deck doesn't
match its lab, or text doesn't fit its slide. The browser measures that.
"""

from __future__ import annotations

import argparse
import base64
import mimetypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import browser
from daskclass import labs

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
SLIDES = ROOT / "slides"
OUT = ROOT / "build" / "slides"
NOTES = ("Say", "Ask", "Wrong", "Minutes")

_COMMENT = re.compile(r"<!--(.*?)-->", re.S)
_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
_SIZE = re.compile(r"(?:^|\s)[wh]:\S+")
_ELSEWHERE = re.compile(r"(?:https?:)?//[\w.-]+\.\w+", re.I)
_SHORTEST = 25  # characters of a useful alternative text

# Finds parts that stick out of their slide, and missing pictures, on a page without navigation.
LOOK = """() => [...document.querySelectorAll('section')].flatMap((slide, index) => {
  const frame = slide.getBoundingClientRect(), found = []
  if (slide.scrollHeight > slide.clientHeight + 1 || slide.scrollWidth > slide.clientWidth + 1)
    found.push(`slide ${index + 1}: its content is ${slide.scrollWidth} x ${slide.scrollHeight}, but the slide has ` +
      `${slide.clientWidth} x ${slide.clientHeight}`)
  for (const part of slide.querySelectorAll('*')) {
    const box = part.getBoundingClientRect()
    if (box.right > frame.right + 1 || box.bottom > frame.bottom + 1 || box.left < frame.left - 1 ||
        box.top < frame.top - 1)
      found.push(`slide ${index + 1}: ${part.tagName.toLowerCase()} sticks out: ${part.textContent.slice(0, 40)}`)
    if (part.tagName === 'IMG' && !part.naturalWidth)
      found.push(`slide ${index + 1}: a picture isn't shown`)
    if (part.tagName === 'PRE' && part.scrollWidth > part.clientWidth + 1)
      found.push(`slide ${index + 1}: a line of code is cut off: ${part.textContent.slice(0, 40)}`)
  }
  return found
})"""


@dataclass(frozen=True)
class Slide:
    """A slide's source: its text without comments, and its notes, by their keywords."""

    text: str
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def pictures(self) -> list[tuple[str, str]]:
        """Alternative text and path of each picture."""
        return [(_SIZE.sub(" ", about).strip(), path) for about, path in _PICTURE.findall(self.text)]


def read(text: str) -> tuple[dict[str, str], list[Slide]]:
    """The head of a deck, and its slides."""
    _nothing, head, body = text.split("---\n", 2)
    settings = {
        name.strip(): value.strip().strip('"') for name, _, value in (x.partition(":") for x in head.split("\n"))
    }
    return settings, [_slide(part) for part in re.split(r"^---$", body, flags=re.M)]


def _slide(text: str) -> Slide:
    notes: dict[str, str] = {}
    for comment in _COMMENT.findall(text):
        notes |= {word: said.strip() for word, said in re.findall(r"^(\w+):(.*)$", comment, re.M) if word in NOTES}
    return Slide(_COMMENT.sub("", text).strip(), notes)


def faults(deck: Path, lab: labs.Lab, drawings: set[str]) -> list[str]:
    """A deck's faults, as far as we can find them without a browser."""
    text = deck.read_text(encoding="utf-8")
    settings, slides = read(text)
    found = []
    title = f"{lab.number} · {lab.title}"
    if settings.get("title") != title:
        found.append(f"its title is {settings.get('title')!r}, but the lab's title is {title!r}")
    if elsewhere := _ELSEWHERE.search(re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)):
        found.append(f"{elsewhere[0]} is on another machine")
    minutes = 0
    for number, slide in enumerate(slides, 1):
        here = f"slide {number}"
        found += [f"{here} has no note `{word}:`" for word in NOTES if not slide.notes.get(word)]
        if slide.notes.get("Minutes"):
            if not re.fullmatch(r"[1-9]\d*", slide.notes["Minutes"]):
                found.append(f"{here}: minutes must be a whole number of 1 or more, not {slide.notes['Minutes']!r}")
            else:
                minutes += int(slide.notes["Minutes"])
        for alternative, path in slide.pictures:
            if len(alternative) < _SHORTEST:
                found.append(f"{here}: {path} has no alternative text that says what the picture shows")
            if not (path in drawings if path.startswith("drawings/") else (deck.parent / path).is_file()):
                found.append(f"{here}: {path} doesn't exist")
    if minutes != lab.minutes.total:
        found.append(f"it takes {minutes} minutes, but the lab takes {lab.minutes.total}")
    last = slides[-1].text.lower()
    found += [
        f"its last slide doesn't name the exercise {name!r}" for name in lab.exercises if name.lower() not in last
    ]
    return [f"{deck.name}: {fault}" for fault in found]


def inlined(deck: Path, drawn: Path) -> str:
    """A deck's text with its pictures in it."""

    def data(match: re.Match) -> str:
        path = drawn / Path(match[2]).name if match[2].startswith("drawings/") else deck.parent / match[2]
        kind = mimetypes.guess_type(path.name)[0]
        return f"![{match[1]}](data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()})"

    return _PICTURE.sub(data, deck.read_text(encoding="utf-8"))


def sticks_out(page: Path, chromium: Browser) -> list[str]:
    """Parts that don't fit their slide on a page without navigation, and requests to other machines."""
    opened = chromium.new_page(viewport={"width": 1280, "height": 720})
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    try:
        opened.goto(page.as_uri())
        opened.evaluate("document.fonts.ready")
        elsewhere = [url[:60] for url in asked if not url.startswith(("file:", "data:"))]
        return [f"the page loads {url}" for url in elsewhere] + opened.evaluate(LOOK)
    finally:
        opened.close()


def marp(*arguments: object, chromium: str) -> None:
    """Run Marp, and show its message if it fails."""
    command = [SLIDES / "node_modules" / ".bin" / "marp", "--config", SLIDES / "marp.config.mjs", "--no-stdin"]
    environment = {**os.environ, "CHROME_PATH": chromium, "CHROME_NO_SANDBOX": "1"}
    run = subprocess.run([*map(str, (*command, *arguments))], env=environment, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"Marp failed with status {run.returncode}: {run.stderr.strip()[-2000:]}")


def build(decks: list[Path], drawn: Path, chromium: str) -> list[str]:
    """Write the pages and PDFs of decks. Return what doesn't fit."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        texts, bare = Path(name) / "texts", Path(name) / "bare"
        texts.mkdir()
        for deck in decks:
            (texts / deck.name).write_text(inlined(deck, drawn), encoding="utf-8")
        OUT.mkdir(parents=True, exist_ok=True)
        # All decks in each call, because Node and Chromium take longer to start than to write a deck.
        marp("--input-dir", texts, "--template", "bare", "--output", bare, chromium=chromium)
        marp("--input-dir", texts, "--output", OUT, chromium=chromium)
        marp("--input-dir", texts, "--pdf", "--pdf-notes", "--pdf-outlines", "--output", OUT, chromium=chromium)
        with browser.running(chromium) as running:
            for deck in decks:
                found += [f"{deck.name}: {fault}" for fault in sticks_out(bare / f"{deck.stem}.html", running)]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("decks", nargs="*", metavar="DECK", help="such as 02; default: all")
    parser.add_argument("--check", action="store_true", help="only check the texts, and build nothing")
    asked = parser.parse_args()

    found_labs = {lab.name: lab for lab in labs.find(ROOT)}
    decks = {path.stem: path for path in sorted(SLIDES.glob("[0-9][0-9]-*.md"))}
    found = [f"lab {name} has no deck" for name in found_labs if name not in decks]
    found += [f"{name}.md has no lab" for name in decks if name not in found_labs]
    chosen = {name: path for name, path in decks.items() if not asked.decks or name[:2] in asked.decks}
    if not chosen:
        found.append(f"there is no deck {' or '.join(asked.decks)}")
    drawings = {f"drawings/{path.stem}.svg" for path in (SLIDES / "drawings").glob("*.dot")}
    for name, path in chosen.items():
        if name in found_labs:
            found += faults(path, found_labs[name], drawings)
    if not found and not asked.check:
        found = _build(chosen)
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


def _build(chosen: dict[str, Path]) -> list[str]:
    chromium, node = browser.find(), shutil.which("node")
    if chromium is None:
        return [browser.MISSING]
    if node is None:
        return ["Node is missing; on Debian and Ubuntu: apt install nodejs npm"]
    if not (SLIDES / "node_modules").is_dir():
        return ["Marp is missing: npm ci --prefix slides"]
    with tempfile.TemporaryDirectory() as name:
        drawing = subprocess.run(
            [node, SLIDES / "draw.mjs", SLIDES / "drawings", name], stderr=subprocess.PIPE, text=True
        )
        if drawing.returncode:
            return [drawing.stderr.strip()]
        found = build(list(chosen.values()), Path(name), chromium)
    for deck in chosen.values():
        print(OUT / f"{deck.stem}.html", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
