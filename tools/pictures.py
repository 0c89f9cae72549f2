"""Draws the README's pictures from the latest rehearsal, with a Chromium that is installed.

    python tools/pictures.py [--report build/rehearsal/report.html] [--out docs]

Each is a figure of a lab's, as the report shows it: pandas' memory against its limit, and the workers' memory while
Dask answers the same question.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bokeh.resources import Resources

ROOT = Path(__file__).resolve().parents[1]
PICTURES = {
    "02-pandas-vs-dask-ask-pandas": "pandas-memory.png",
    "02-pandas-vs-dask-memory-picture": "dask-memory.png",
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH, HEIGHT = 900, 270

PAGE = """<!DOCTYPE html><meta charset="utf-8"><style>body {{ margin: 4px; background: white }}</style>{bokeh}
<div id="here"></div><script>Bokeh.embed.embed_item({figure}, "here")</script>"""


def figures(report: Path) -> dict[str, str]:
    """Bokeh's JSON of each figure in `report`, by its id."""
    found = re.search(r'<script type="application/json" id="pictures">(.*?)</script>', report.read_text("utf-8"), re.S)
    if found is None:
        raise SystemExit(f"{report} has no pictures: rehearse lab 02")
    return {picture["id"]: picture["figure"] for picture in json.loads(found[1])}


def draw(figure: str, picture: Path, browser: str) -> None:
    """Write `figure` to `picture`, twice as fine as a screen of old."""
    page = PAGE.format(
        bokeh=Resources(mode="inline", components=["bokeh"]).render(), figure=figure.replace("</", "<\\/")
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "page.html").write_text(page, encoding="utf-8")
        command = [
            browser,
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={WIDTH},{HEIGHT}",
            "--force-device-scale-factor=2",
            "--virtual-time-budget=5000",
            f"--screenshot={folder / 'picture.png'}",
            (folder / "page.html").as_uri(),
        ]
        run = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=120)
        if run.returncode or not (folder / "picture.png").is_file():
            raise SystemExit(f"{browser} drew nothing (exit status {run.returncode}): {run.stderr.strip()[-500:]}")
        picture.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / "picture.png", picture)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", type=Path, default=ROOT / "build" / "rehearsal" / "report.html")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("a browser is missing; on Debian and Ubuntu: apt install chromium", file=sys.stderr)
        return 1
    if not arguments.report.is_file():
        print(f"{arguments.report} is not there: `make rehearse` writes it", file=sys.stderr)
        return 1
    found = figures(arguments.report)
    for name, picture in PICTURES.items():
        if name not in found:
            print(f"{arguments.report} has no picture {name}: rehearse lab {name[:2]}", file=sys.stderr)
            return 1
        draw(found[name], arguments.out / picture, browser)
        print(arguments.out / picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
