"""The report and the executed labs as pages: complete, offline, and safe against what labs print."""

import html
import html.parser
import json
import re

import nbformat
import pytest

from daskclass import charts, limits
from daskclass.commands.rehearsal import pages
from daskclass.commands.rehearsal.outcome import Claim, Outcome, Rehearsal

NASTY = "</script><script>alert(1)</script>"


def executed(*, nasty=False) -> nbformat.NotebookNode:
    chart = charts.memory(limits.run("x = 1", memory=None))
    data, metadata = chart._repr_mimebundle_()
    if nasty:
        metadata["daskclass"]["summary"] = NASTY
    picture = nbformat.v4.new_code_cell("charts.memory(run)", id="picture")
    picture.outputs = [nbformat.v4.new_output("execute_result", data, metadata=metadata)]
    title = nbformat.v4.new_markdown_cell("# A lab\n\nwith $x$ and\n\n```mermaid\ngraph TD\n```", id="title")
    return nbformat.v4.new_notebook(cells=[title, nbformat.v4.new_markdown_cell("## Ask", id="ask"), picture])


def rehearsal(*labs) -> Rehearsal:
    return Rehearsal(
        size="smoke",
        cluster="each lab starts its own",
        versions={"python": "3.11.7", "dask": "2026.8.0"},
        machine={"system": "Linux", "cores": 2, "memory": 8 * 2**30},
        data={"rows": 3_792_012, "bytes": 199_999_984},
        started="2026-11-21T19:03:00+01:00",
        seconds=187.5,
        labs=list(labs),
    )


@pytest.fixture
def good():
    claims = [
        Claim("one <b>is</b> one", True, True, {"rows": 1_000_000, "ratio": 0.123456, "by_worker": {"a": [1, None]}}),
        Claim("two is two", False, True),
    ]
    return Outcome("00-start-here", "passed", 63.2, 15, 3 * 2**28, None, claims, [], executed())


@pytest.fixture
def bad():
    claims = [Claim("it holds", True, False, {"left": NASTY}), Claim("it was never asked", True)]
    return Outcome(
        "01-bad", "failed", 12.0, 20, 2**28, f"ValueError in `x`: {NASTY}", claims, ["the file left.bin"], executed()
    )


class _Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.scripts = [], []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.cdata_elem == "script":
            self.scripts[-1] += data


def _parsed(page: str) -> _Tags:
    parser = _Tags()
    parser.feed(page)
    return parser


def tags(page: str) -> list:
    return _parsed(page).found


def scripts(page: str) -> list[str]:
    """What a browser would run."""
    return _parsed(page).scripts


def text(page: str) -> str:
    body = re.sub(r"<(script|style)\b.*?</\1>", "", page.partition("<body")[2], flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", body)).split())


def test_a_good_rehearsal_says_so(good):
    page = pages.report(rehearsal(good))
    said = text(page)
    assert "The lab passed" in said
    assert "2 of 2 claims hold here" in said
    assert "Saturday, 21 November 2026, 19:03" in said
    assert "3 min 08 s to run them; 15 minutes to teach them" in said
    assert "768.00 MiB peak memory, in lab 00; this machine has 8.00 GiB" in said
    assert "✔one <b>is</b> one measured rows1,000,000ratio0.1235by workera: 1, nothing" in said
    assert "Going further ✔two is two" in said
    assert "dask2026.8.0" in said
    assert ("a", {"href": "00-start-here.html"}) in tags(page)


def test_what_went_wrong_comes_first(good, bad):
    said = text(pages.report(rehearsal(good, bad)))
    assert "1 of 2 labs needs you" in said
    assert "3 of 4 claims" not in said
    assert "2 of 4 claims hold here" in said
    assert said.index(f"✘ 01-bad failed: ValueError in `x`: {NASTY}") < said.index("Going further")
    assert "✘it holds measured left" in said
    assert "–it was never asked (not measured: the lab stopped before it)" in said
    assert "The lab left this behind, and the rehearsal stopped or removed it: the file left.bin" in said


def test_a_lab_that_could_not_be_read_has_no_page_to_go_to():
    unread = Outcome("05-broken", "failed", error="can't read 05-broken.ipynb as a lab")
    page = pages.report(rehearsal(unread))
    assert "1 of 1 labs needs you" in text(page)
    assert "05-broken.html" not in page
    assert "Bokeh" not in page


def test_the_pictures_are_in_the_report(good):
    page = pages.report(rehearsal(good))
    found = re.search(r'id="pictures">(.*?)</script>', page, re.DOTALL)
    (picture,) = json.loads(found[1])
    assert picture["id"] == "00-start-here-picture"
    assert picture["heading"] == "Ask"
    assert ("div", "00-start-here-picture") in [(tag, attributes.get("id")) for tag, attributes in tags(page)]
    embedded = json.loads(picture["figure"])
    assert embedded["root_id"] == embedded["doc"]["roots"][0]["id"]
    assert picture["summary"] in text(page)


@pytest.mark.parametrize("which", ["report", "lab"])
def test_pages_fetch_nothing(which, good, bad):
    page = pages.report(rehearsal(good, bad)) if which == "report" else pages.notebook(good)
    for tag, attributes in tags(page):
        for name in ("src", "srcset", "data"):
            assert not attributes.get(name, "").startswith(("http", "//")), (tag, attributes)
        assert tag != "link"
    outside = re.sub(r"srcdoc=\"[^\"]*\"", "", page)
    assert "cdnjs" not in outside
    assert "@import" not in outside


def test_what_a_lab_prints_runs_nothing(bad):
    bad.notebook = executed(nasty=True)
    page = pages.report(rehearsal(bad))
    assert NASTY not in page
    assert scripts(page)
    assert not [script for script in scripts(page) if script.lstrip().startswith("alert")]
    assert "alert(1)" in scripts(page + NASTY)


def test_a_lab_leads_back_to_the_report(good):
    page = pages.notebook(good)
    assert ("a", {"href": "report.html"}) in tags(page)
    assert "<title>00-start-here</title>" in page
    assert "A lab" in text(page)


def test_json_is_as_programs_expect_it(good, bad):
    found = json.loads(pages.as_json(rehearsal(good, bad)))
    assert set(found) == {"size", "cluster", "versions", "machine", "data", "started", "seconds", "labs"}
    keys = {"lab", "status", "seconds", "minutes_planned", "peak_bytes", "error", "claims", "left_behind", "failures"}
    assert all(set(lab) == keys for lab in found["labs"])
    assert found["labs"][0]["claims"][0] == {
        "text": "one <b>is</b> one",
        "holds": True,
        "core": True,
        "evidence": {"rows": 1_000_000, "ratio": 0.123456, "by_worker": {"a": [1, None]}},
        **{"cell": "", "because": None, "blocked_by": None, "why": None},
    }
    compared = rehearsal(good, bad)
    compared.differences = ["00/claim: holds there, false here: one is one"]
    assert json.loads(pages.as_json(compared))["differences"] == compared.differences
    assert found["labs"][1]["claims"][1]["holds"] is None
    assert found["labs"][0]["error"] is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3_221_225_472, "3,221,225,472"),
        (True, "yes"),
        (None, "nothing"),
        (0.5, "0.5"),
        (123456.7, "123,457"),
        ({}, "none"),
        ([], "none"),
        ({"a": {"b": 1.0}}, "a: b: 1"),
        ("text", "text"),
    ],
)
def test_evidence_in_words(value, words):
    assert pages.said(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3725, "62 min 05 s")]
)
def test_durations_in_words(seconds, words):
    assert pages.duration(seconds) == words
