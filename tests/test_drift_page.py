"""The page of the drift report: neighbors that answer alike are one column, and each change has its story."""

import datetime
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.version import Version

import drift_page
from daskclass import labs
from daskclass.commands.rehearsal import evidence
from daskclass.commands.rehearsal.evidence import Asked, Control, Evidence, LabRun
from daskclass.errors import UsageProblem

ROOT = Path(__file__).parents[1]
TODAY = datetime.date(2026, 11, 29)
LABS = {lab.number: lab for lab in labs.on_one_machine(labs.find(ROOT))}
FIRST, SECOND, THIRD = (f"07/{one.cell}" for one in LABS["07"].claims[:3])
KEYS = [f"{lab.number}/{cell}" for lab in LABS.values() for cell, _text, _core in lab.claims]


def holds(**others: Asked) -> dict[str, Asked]:
    """The answers of a release in which everything holds, but for the first three claims of lab 07."""
    named = {key: others[name] for name, key in {"a": FIRST, "b": SECOND, "c": THIRD}.items() if name in others}
    return {key: Asked("it", "holds") for key in KEYS} | named


def told(release: str, claims: dict[str, Asked] | None = None, failed: str | None = None, **more) -> Evidence:
    runs = {number: LabRun(lab.name, "0" * 64, 1.0) for number, lab in LABS.items()}
    about = {"seconds": 300, "size": "smoke", "python": "3.11.7", "machine": {}, "versions": {"pandas": "3.1.1"}}
    about |= {"asked": "2026-11-28", "labs": {} if failed else runs, "claims": {} if failed else claims or holds()}
    return Evidence(**(about | {"release": release, "failed": failed} | more))


FALSE = Asked("it", "false", (False, False, False), numbers={"rows": 3}, controls=(Control(False, {"rows": 2}),))
FLAKY = Asked("it", "holds", (False, True, True))
BLIND = Asked("it", "could not be asked", because="cell", blocked_by="half", why="a cell that it needs failed")
RELEASES = [
    told(
        "2024.12.1",
        holds(a=FALSE, b=BLIND),
        labs={
            **{number: LabRun(lab.name, "0" * 64, 1.0) for number, lab in LABS.items()},
            "07": LabRun(LABS["07"].name, "0" * 64, 1.0, (("half", "instrument", "UpstreamChanged: it can't see"),)),
        },
    ),
    told("2025.1.0", holds(a=FALSE)),
    told("2025.3.0", holds(a=FALSE)),
    told("2025.9.0", failed="can't be installed with Python 3.11.7"),
    told("2025.10.0", holds(a=Asked("it", "holds", numbers={"rows": 4}), c=FLAKY)),
    told("2026.8.0"),
]
CHANGES = f"""
[[change]]
since = "2025.10.0"
claims = ["{FIRST}"]
pull = "dask/distributed#123"
says = "Rows are counted."
"""


@pytest.fixture
def folder(tmp_path):
    """Evidence of six releases, one of which could not be asked."""
    for one in RELEASES:
        (tmp_path / f"dask-{one.release}.json").write_text(evidence.as_json(one), encoding="utf-8")
    (tmp_path / "changes.toml").write_text(CHANGES, encoding="utf-8")
    return tmp_path


@pytest.fixture
def report(folder):
    return drift_page.report(folder, TODAY)


def test_neighbors_that_answer_alike_are_one_column(report):
    names = [column.name for column in report.columns]
    assert names == ["2024.12.1", "2025.1.0 to 2025.3.0", "2025.9.0", "2025.10.0", "2026.8.0"]


def test_a_claim_has_a_story(report):
    row = next(row for row in report.all_rows if row.key == FIRST)
    spans = [(span.asked and span.asked.answer, span.name) for span in row.spans]
    assert spans == [("false", "2024.12.1 to 2025.3.0"), (None, "2025.9.0"), ("holds", "2025.10.0 to 2026.8.0")]
    assert row.spans[0].asked.numbers == {"rows": 3}
    assert row.code == LABS["07"].cells[FIRST[3:]]
    assert [(change.pull, change.address) for change in row.changes] == [
        ("dask/distributed#123", "https://github.com/dask/distributed/pull/123")
    ]
    assert row.changed
    assert row.told
    quiet = next(row for row in report.all_rows if row.key not in (FIRST, SECOND, THIRD))
    assert (quiet.changed, quiet.told) == (False, False)


def test_the_numbers_of_both_sides_are_those_nearest_to_the_change():
    columns = drift_page.merged(
        tuple(
            told(release, holds(a=Asked("it", answer, numbers={"n": number}), b=Asked("it", other)))
            for release, answer, number, other in (
                *(("1.0", "false", 1, "holds"), ("2.0", "false", 2, "false")),
                *(("3.0", "holds", 3, "holds"), ("4.0", "holds", 4, "false")),
            )
        )
    )
    row = drift_page.row(FIRST, "it", "code", columns, ())
    assert [(span.first, span.last) for span in row.spans] == [("1.0", "2.0"), ("3.0", "4.0")]
    assert [(span.asked.numbers["n"], span.measured) for span in row.spans] == [(2, "2.0"), (3, "3.0")]


def test_flaky_is_said_of_the_releases_in_which_it_was():
    flaky = Asked("it", "holds", (False, True, True))
    columns = drift_page.merged((told("1.0"), told("2.0", holds(a=flaky)), told("3.0")))
    row = drift_page.row(FIRST, "it", "code", columns, ())
    assert [(span.name, span.asked.flaky) for span in row.spans] == [("1.0", False), ("2.0", True), ("3.0", False)]
    for older, newer in pairwise(columns):
        step = drift_page.step(older, newer, (row,))
        assert (step.flaky, step.broke, step.gained) == ((row,), (), ())


def test_an_answer_that_was_flaky_is_neither_gained_nor_lost():
    columns = drift_page.merged((told("1.0"), told("2.0", holds(a=Asked("it", "false", (False, True, False))))))
    row = drift_page.row(FIRST, "it", "code", columns, ())
    step = drift_page.step(*columns, (row,))
    assert (step.broke, step.flaky) == ((), (row,))


def test_a_claim_that_only_one_of_two_releases_was_asked():
    fewer = {key: asked for key, asked in holds().items() if key != FIRST}
    columns = drift_page.merged((told("1.0", fewer), told("2.0")))
    row = drift_page.row(FIRST, "it", "code", columns, ())
    step = drift_page.step(*columns, (row,))
    assert (step.not_both, step.flaky, step.gained) == ((row,), (), ())


def test_numbers_of_another_version_of_a_lab_are_marked(folder, report):
    row = next(row for row in report.all_rows if row.key == FIRST)
    assert not any(span.same_code for span in row.spans if span.asked)
    assert "by an earlier version of this lab" in drift_page.page(report)
    lab = LABS["07"]
    runs = {number: LabRun(one.name, evidence.code_of(one), 1.0) for number, one in LABS.items()}
    newest = told("2026.8.0", labs=runs)
    columns = drift_page.merged((newest,))
    assert drift_page.row(FIRST, "it", "code", columns, (), evidence.code_of(lab)).spans[0].same_code


def test_a_release_that_could_not_be_asked_does_not_make_the_page_young(tmp_path):
    old, failed = told("2026.8.0", asked="2026-01-01"), told("2025.9.0", failed="no")
    for one in (old, failed):
        (tmp_path / f"dask-{one.release}.json").write_text(evidence.as_json(one), encoding="utf-8")
    found = drift_page.report(tmp_path, TODAY)
    assert str(found.asked) == "2026-01-01"
    assert "This page is old" in drift_page.page(found)


def test_the_page_says_which_release_was_asked_first(tmp_path):
    for one in (told("2026.8.0"), told("2025.9.0", holds(a=FALSE), asked="2026-10-01")):
        (tmp_path / f"dask-{one.release}.json").write_text(evidence.as_json(one), encoding="utf-8")
    page = drift_page.page(drift_page.report(tmp_path, TODAY))
    assert "Last asked on 2026-11-28; the release that was asked first, on 2026-10-01." in page


def test_what_somebody_who_upgrades_should_know(report):
    steps = {(step.older, step.newer): step for step in report.steps}
    assert list(steps) == [("2024.12.1", "2025.1.0"), ("2025.3.0", "2025.10.0"), ("2025.10.0", "2026.8.0")]
    step = steps["2025.3.0", "2025.10.0"]
    assert [row.key for row in step.gained] == [FIRST]
    assert (step.broke, step.got_sight, step.lost_sight) == ((), (), ())
    assert [row.key for row in steps["2024.12.1", "2025.1.0"].got_sight] == [SECOND]


def test_faults_of_our_instruments_are_counted():
    assert [drift_page.counts(one)["ours"] for one in RELEASES if not one.failed] == [1, 0, 0, 0, 0]
    assert drift_page.counts(RELEASES[0]) == {
        "holds": len(KEYS) - 2,
        "false": 1,
        "could not be asked": 1,
        "flaky": 0,
        "ours": 1,
    }


class Reader(HTMLParser):
    """The ids of a page, the places that it links to, and the words of its cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids, self.links, self.open = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole(report):
    page = drift_page.page(report)
    read = Reader(page)
    assert read.open == []
    assert len(set(read.ids)) == len(read.ids)
    assert {link[1:] for link in read.links if link.startswith("#")} <= set(read.ids)
    assert [link for link in read.links if not link.startswith("#")] == ["https://github.com/dask/distributed/pull/123"]
    assert not re.findall(r"(?:src|@import|url\()", page)  # nothing is loaded


def test_the_page_says_it_all_in_words(report):
    page = drift_page.page(report)
    assert f"{len(KEYS) - 3} statements hold in every release" in " ".join(page.split())
    assert "can&#39;t be installed with Python 3.11.7" in page
    assert '<span class="hidden">false</span>' in page
    assert '<span class="hidden">holds, but flaky</span>' in page
    assert '<span class="hidden">could not be asked</span>' in page
    assert "Rows are counted." in page
    assert "A cell that it needs failed." in page
    assert "With control 1, which takes its cause away, it was false, too: rows 2." in page


@pytest.mark.parametrize(("days", "is_old"), [(0, False), (30, False), (31, True)])
def test_an_old_page_says_so_at_its_top(folder, days, is_old):
    page = drift_page.page(drift_page.report(folder, TODAY + datetime.timedelta(days=days - 1)))
    assert ("This page is old." in page) is is_old
    assert "Last asked on 2026-11-28" in page


def test_evidence_under_a_wrong_name_is_said(folder):
    (folder / "dask-2025.1.0.json").rename(folder / "dask-2025.2.0.json")
    with pytest.raises(UsageProblem, match=r"should be dask-2025\.1\.0\.json"):
        drift_page.report(folder, TODAY)


def test_no_evidence_is_said(tmp_path):
    with pytest.raises(UsageProblem, match="has no evidence; make some with `make drift`"):
        drift_page.report(tmp_path, TODAY)


@pytest.mark.parametrize("text", ["change", "[[change]]\nsince = 1", "x = 1"])
def test_what_is_no_list_of_changes_is_said(folder, text):
    (folder / "changes.toml").write_text(text)
    with pytest.raises(UsageProblem, match="isn't a list of changes"):
        drift_page.report(folder, TODAY)


def test_the_page_is_written(folder, tmp_path):
    out = tmp_path / "build" / "index.html"
    drift_page.write(folder, out, TODAY)
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_each_change_that_is_named_is_one():
    """What explains a difference was released where an answer changes: after one side was, and not after the other."""
    told = drift_page.report(ROOT / "docs" / "evidence", TODAY)
    rows = {row.key: row for row in told.all_rows}
    for change in drift_page.read_changes(ROOT / "docs" / "evidence" / "changes.toml"):
        assert re.fullmatch(r"dask/[\w-]+#\d+", change.pull)
        for key in change.claims:
            sides = [(Version(old.last), Version(new.first)) for old, new in pairwise(rows[key].spans)]
            assert any(old < Version(change.since) <= new for old, new in sides), f"{key}: {change.since}"
