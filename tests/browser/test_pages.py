"""The rehearsal's report and every deck open without a network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECKS = sorted((ROOT / "slides").glob("[0-9][0-9]-*.md"))


@pytest.fixture(scope="module")
def report(sales_data, tmp_path_factory) -> Path:
    """Of a rehearsal of labs 00 and 01 at size smoke."""
    out = tmp_path_factory.mktemp("rehearsal")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DASK", "JUPYTER"))}
    command = [sys.executable, "-m", "daskclass", "rehearse", "--size", "smoke", "--labs", "00,01", "--out", str(out)]
    environment = kept | {"DASKCLASS_DATA": str(sales_data), "IPYTHONDIR": str(out.parent / "ipython")}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return out / "report.html"


@pytest.fixture
def offline(page):
    page.context.set_offline(True)
    return page


def test_the_report_opens_without_a_network(report, offline, watched, shot):
    offline.goto(report.as_uri())
    offline.locator("canvas, .bk-Figure").first.wait_for(state="attached", timeout=60_000)
    assert offline.get_by_text("the partitions hold every row once").count() > 0
    shot("report")
    offline.goto((report.parent / "01-sales-data.html").as_uri())
    offline.locator("h1", has_text="The sales data").wait_for()
    shot("report-lab-01")
    assert [url for url in watched.asked if not url.startswith(("file:", "data:", "about:", "blob:"))] == []
    assert watched.errors == []


@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.stem[:2])
def test_a_deck_opens_without_a_network(deck, offline, watched, shot):
    page = ROOT / "build" / "slides" / f"{deck.stem}.html"
    assert page.is_file(), "make slides"
    assert page.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    offline.goto(page.as_uri())
    offline.locator("section h1").first.wait_for()
    shot(f"deck-{deck.stem[:2]}-1")
    for number in range(2, deck.read_text(encoding="utf-8").count("\n---\n") + 1):
        offline.keyboard.press("ArrowRight")
        offline.wait_for_function(f"location.hash === '#{number}'")
        shot(f"deck-{deck.stem[:2]}-{number}")
    assert [url for url in watched.asked if not url.startswith(("file:", "data:", "about:", "blob:"))] == []
    assert watched.errors == []
