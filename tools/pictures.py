"""Draws the pictures of README and slides from the latest rehearsal, with an installed Chromium.

    python tools/pictures.py [--report build/rehearsal/report.html] [--out .]

Each picture comes from a lab's cell in the report. So they all show recordings of the same rehearsal, drawn by the
class's charts. If a cell shows many figures, a slide names a few: `08-streams.1-2.png` has the first two, stacked.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from bokeh.resources import Resources

import browser

ROOT = Path(__file__).resolve().parents[1]
README = {
    "docs/pandas-memory.png": "02-pandas-vs-dask-ask-pandas",
    "docs/dask-memory.png": "02-pandas-vs-dask-memory-picture",
}
# Width of a figure in pixels. A narrow figure that fills a slide has larger letters; boxes need room for their text.
WIDTH = {"docs": 900, "slides": 560}
WIDER = {"slides/pictures/04-cast-picture.png": 640, "slides/pictures/04-connect-picture.png": 640}
BESIDE = 360  # width of each figure if a cell has several; at most three are side by side
LOWER = 180  # height of each, if there is more than one row of them
STACK = (720, 420)  # width and height of some that are stacked to fill a slide
LETTERS = 15  # of axes, legends, titles and labels, in pixels
SECONDS = 60

PAGE = """<!DOCTYPE html><meta charset="utf-8">
<style>
  body {{ margin: 0; background: white }}
  #here {{ display: grid; grid-template-columns: {columns}; gap: 8px; padding: 4px; width: {width}px }}
</style>{bokeh}
<div id="here">{places}</div>
<script>
  const figures = [{figures}]
  const letters = ["major_label_text_font_size", "axis_label_text_font_size", "label_text_font_size"]
  const larger = model => {{
    for (const name of letters) if (name in model.properties) model[name] = "{letters}px"
    if (["Title", "Label"].includes(model.type)) model.text_font_size = "{letters}px"
  }}
  Promise.all(figures.map((figure, place) => Bokeh.embed.embed_item(figure, `figure-${{place}}`)))
    .then(views => Promise.all(views.map(view => view.ready ?? view)))
    .then(() => {{
      for (const drawn of Bokeh.documents) {{
        for (const model of drawn.all_models ?? drawn._all_models.values()) larger(model)
        if ({lower}) for (const root of drawn.roots()) root.height = {lower}
      }}
      return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
    }})
    .then(() => document.body.dataset.drawn = "yes")
</script>"""


@dataclass(frozen=True)
class Shown:
    """A cell by its id in the report, and its figures: all of them, or the `first` to the `last`, counted from 1."""

    cell: str
    first: int = 0
    last: int = 0

    def of(self, figures: list[str]) -> list[str]:
        """Those figures."""
        if self.last > len(figures):
            raise SystemExit(f"{self.cell} shows {len(figures)} figures, and a slide asks for number {self.last}")
        return figures[self.first - 1 : self.last] if self.first else figures


def wanted() -> dict[str, Shown]:
    """The pictures that the README and the slides show, by the path in the checkout."""
    labs = {path.stem[:2]: path.stem for path in (ROOT / "labs").glob("[0-9][0-9]-*.ipynb")}
    shown = {picture: Shown(cell) for picture, cell in README.items()}
    for deck in sorted((ROOT / "slides").glob("[0-9][0-9]-*.md")):
        text = deck.read_text(encoding="utf-8")
        for name, number, cell, first, last in re.findall(
            r"\]\(pictures/((\d\d)-([\w-]+)(?:\.(\d)-(\d))?\.png)\)", text
        ):
            part = (int(first), int(last)) if first else ()
            shown[f"slides/pictures/{name}"] = Shown(f"{labs.get(number, number)}-{cell}", *part)
    return shown


def figures(report: Path) -> dict[str, list[str]]:
    """Bokeh's JSON of the figures in `report`, by the id of lab and cell."""
    found = re.search(r'<script type="application/json" id="pictures">(.*?)</script>', report.read_text("utf-8"), re.S)
    if found is None:
        raise SystemExit(f"{report} has no pictures; `make rehearse` draws them")
    drawn: dict[str, list[str]] = {}
    for picture in json.loads(found[1]):
        drawn.setdefault(picture["id"], []).append(picture["figure"])
    return drawn


def draw(shown: list[str], picture: Path, chromium: str, width: int, stacked: bool = False) -> None:
    """Write the figures of one cell to `picture`, at twice the usual resolution. A single figure is `width` wide."""
    columns = 1 if stacked else min(len(shown), 3)
    lower = STACK[1] // len(shown) if stacked else LOWER if len(shown) > columns else 0
    page = PAGE.format(
        bokeh=Resources(mode="inline", components=["bokeh"]).render(),
        figures=", ".join(figure.replace("</", "<\\/") for figure in shown),
        places="".join(f'<div id="figure-{place}"></div>' for place in range(len(shown))),
        columns=" ".join(["1fr"] * columns),
        width=width if columns == 1 else columns * BESIDE,
        letters=LETTERS,
        lower=lower,
    )
    with browser.running(chromium) as running:
        opened = running.new_page(viewport={"width": 3 * BESIDE, "height": 400}, device_scale_factor=2)
        opened.set_content(page)
        opened.wait_for_selector("body[data-drawn]", state="attached", timeout=SECONDS * 1000)
        picture.parent.mkdir(parents=True, exist_ok=True)
        opened.locator("#here").screenshot(path=picture)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", type=Path, default=ROOT / "build" / "rehearsal" / "report.html")
    parser.add_argument("--out", type=Path, default=ROOT)
    asked = parser.parse_args()
    chromium = browser.find()
    if chromium is None:
        print(browser.MISSING, file=sys.stderr)
        return 1
    if not asked.report.is_file():
        print(f"{asked.report} doesn't exist; `make rehearse` writes it", file=sys.stderr)
        return 1
    found, shown = figures(asked.report), wanted()
    if missing := sorted({one.cell for one in shown.values()} - set(found)):
        print(f"{asked.report} lacks what these cells show: {', '.join(missing)}; rehearse all labs", file=sys.stderr)
        return 1
    for path, one in shown.items():
        width = STACK[0] if one.first else WIDER.get(path, WIDTH[path.partition("/")[0]])
        draw(one.of(found[one.cell]), asked.out / path, chromium, width, stacked=bool(one.first))
        print(asked.out / path, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
