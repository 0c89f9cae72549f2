"""The rehearsal's report, the drift report and every deck open without a network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import drift_page

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


@pytest.fixture(scope="module")
def drift_report(tmp_path_factory) -> Path:
    """The drift report of what is published."""
    out = tmp_path_factory.mktemp("drift") / "index.html"
    drift_page.write(ROOT / "docs" / "evidence", out)
    return out


def test_the_drift_report_is_read_by_keyboard_and_without_a_network(drift_report, offline, watched, shot):
    offline.goto(drift_report.as_uri())
    shot("drift")
    rows = offline.locator("#table tbody tr:not(:has(.lab))")
    everything = rows.count()
    offline.keyboard.press("Tab")
    assert offline.evaluate("document.activeElement.textContent") == "Skip to the table of claims"
    offline.locator("#only").focus()
    offline.keyboard.press("Space")
    shown = sum(row.is_visible() for row in rows.all())
    assert 0 < shown < everything
    assert offline.locator("#table tr.same").first.is_hidden()
    story = offline.locator(".story").first
    story.locator("summary").focus()
    offline.keyboard.press("Enter")
    assert story.locator("pre").is_visible()
    assert [url for url in watched.asked if not url.startswith(("file:", "data:", "about:"))] == []
    assert watched.errors == []


def test_the_drift_report_compares_two_releases(drift_report, offline):
    offline.goto(drift_report.as_uri())
    releases = offline.locator("select[name=from] option").all_inner_texts()
    assert len(releases) >= 2
    offline.select_option("select[name=from]", releases[0])
    offline.select_option("select[name=to]", releases[0])
    assert offline.locator("#chosen").inner_text() == f"From {releases[0]} to {releases[0]}, no answer differs."
    offline.select_option("select[name=to]", releases[-1])
    links = offline.locator("#chosen a")
    assert links.count() > 0
    links.first.click()
    assert offline.locator(".story:target h4").inner_text() == links.first.inner_text()


def test_the_drift_report_fits_a_phone(drift_report, offline, shot):
    offline.set_viewport_size({"width": 390, "height": 844})
    offline.goto(drift_report.as_uri())
    shot("drift-phone")
    assert offline.evaluate("document.documentElement.scrollWidth") <= 390
    assert offline.evaluate("[...document.querySelectorAll('.wide')].map(wide => wide.tabIndex)") == [0, 0]


def test_an_old_drift_report_says_so_without_being_made_again(drift_report, offline, tmp_path):
    text = drift_report.read_text(encoding="utf-8")
    asked = re.search(r'data-asked="([\d-]+)"', text)[1]
    old = tmp_path / "old.html"
    old.write_text(text.replace(f'data-asked="{asked}"', 'data-asked="2020-01-01"'), encoding="utf-8")
    offline.goto(old.as_uri())
    assert offline.locator("#age").inner_text().startswith("This page is old: releases were last asked ")
    offline.goto(drift_report.as_uri())
    assert asked in offline.locator("#age").inner_text()


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
