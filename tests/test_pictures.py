"""Pictures of README and slides are figures of the report, and whoever cannot draw them is told why."""

import json
from pathlib import Path

import pytest

import browser
import pictures

ROOT = Path(__file__).parents[1]
REPORT = '<script type="application/json" id="pictures">{}</script>'


@pytest.fixture
def draw(monkeypatch, tmp_path, capsys):
    def run(report: str | None, chromium: str | None = "/bin/true"):
        monkeypatch.setattr(browser, "find", lambda: chromium)
        path = tmp_path / "report.html"
        if report is not None:
            path.write_text(report, encoding="utf-8")
        monkeypatch.setattr("sys.argv", ["pictures.py", "--report", str(path), "--out", str(tmp_path)])
        return pictures.main(), capsys.readouterr().err

    return run


def test_the_readme_shows_what_is_drawn():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for picture in pictures.README:
        assert f"]({picture})" in text


def test_what_is_drawn_is_committed():
    for picture in pictures.wanted():
        assert (ROOT / picture).read_bytes().startswith(b"\x89PNG"), picture


def test_each_picture_is_a_cell_of_its_lab_that_draws():
    shown = set()
    for path in (ROOT / "labs").glob("[0-9]*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        shown |= {f"{path.stem}-{cell['id']}" for cell in cells if "charts." in "".join(cell["source"])}
    assert {one.cell for one in pictures.wanted().values()} <= shown


def test_a_slide_may_show_a_part_of_many():
    part = pictures.wanted()["slides/pictures/08-streams.3-4.png"]
    assert part.cell == "08-the-dashboard-streams"
    assert part.of(list("ABCDEF")) == ["C", "D"]
    with pytest.raises(SystemExit, match="shows 3 figures, and a slide asks for number 4"):
        part.of(list("ABC"))


def test_figures_of_one_cell_stay_together(tmp_path):
    found = [{"id": "a", "figure": "1"}, {"id": "b", "figure": "2"}, {"id": "a", "figure": "3"}]
    (tmp_path / "report.html").write_text(REPORT.format(json.dumps(found)))
    assert pictures.figures(tmp_path / "report.html") == {"a": ["1", "3"], "b": ["2"]}


def test_without_a_report_it_says_how_to_make_one(draw):
    status, said = draw(None)
    assert status == 1
    assert "`make rehearse` writes it" in said


def test_without_a_browser_it_says_what_to_install(draw):
    status, said = draw(REPORT.format("[]"), chromium=None)
    assert status == 1
    assert "apt install chromium" in said


def test_a_report_without_a_lab_is_said(draw):
    status, said = draw(REPORT.format("[]"))
    assert status == 1
    assert "02-pandas-vs-dask-memory-picture" in said
    assert "rehearse all labs" in said


def test_a_report_without_pictures_is_said(draw):
    with pytest.raises(SystemExit, match="has no pictures; `make rehearse` draws them"):
        draw("<p>nothing</p>")
