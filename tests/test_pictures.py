"""The README's pictures are figures of the report, and whoever cannot draw them is told why."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REPORT = '<script type="application/json" id="pictures">{}</script>'


@pytest.fixture
def pictures():
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "tools" / "pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def draw(pictures, monkeypatch, tmp_path, capsys):
    def run(report: str | None, browser: str | None = "/bin/true"):
        monkeypatch.setattr(pictures.shutil, "which", lambda _name: browser)
        path = tmp_path / "report.html"
        if report is not None:
            path.write_text(report, encoding="utf-8")
        monkeypatch.setattr("sys.argv", ["pictures.py", "--report", str(path), "--out", str(tmp_path)])
        return pictures.main(), capsys.readouterr().err

    return run


def test_the_readme_shows_what_is_drawn(pictures):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for picture in pictures.PICTURES.values():
        assert f"](docs/{picture})" in text
        assert (ROOT / "docs" / picture).read_bytes().startswith(b"\x89PNG")


def test_the_figures_are_cells_of_lab_02(pictures):
    cells = json.loads((ROOT / "labs" / "02-pandas-vs-dask.ipynb").read_text(encoding="utf-8"))["cells"]
    ids = {f"02-pandas-vs-dask-{cell['id']}" for cell in cells}
    assert set(pictures.PICTURES) <= ids


def test_without_a_report_it_says_how_to_make_one(draw):
    status, said = draw(None)
    assert status == 1
    assert "`make rehearse` writes it" in said


def test_without_a_browser_it_says_what_to_install(draw):
    status, said = draw(REPORT.format("[]"), browser=None)
    assert status == 1
    assert "apt install chromium" in said


def test_a_report_without_lab_02_is_said(draw):
    status, said = draw(REPORT.format("[]"))
    assert status == 1
    assert "rehearse lab 02" in said


def test_a_report_without_pictures_is_said(draw):
    with pytest.raises(SystemExit, match="has no pictures: rehearse lab 02"):
        draw("<p>nothing</p>")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_figure_is_drawn(pictures, tmp_path):
    from bokeh.embed import json_item
    from bokeh.plotting import figure

    plot = figure(height=250, sizing_mode="stretch_width")
    plot.line([0, 1], [0, 1], line_width=20)
    pictures.draw(json.dumps(json_item(plot)), tmp_path / "drawn.png", shutil.which("chromium"))
    empty = figure(height=250, sizing_mode="stretch_width")
    pictures.draw(json.dumps(json_item(empty)), tmp_path / "empty.png", shutil.which("chromium"))
    drawn, without = ((tmp_path / name).read_bytes() for name in ("drawn.png", "empty.png"))
    assert drawn.startswith(b"\x89PNG")
    assert drawn != without
