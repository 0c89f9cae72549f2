"""What needs a browser: pictures of README and slides are drawn, and what sticks out of its slide is measured."""

import json
from pathlib import Path

import pytest
from bokeh.embed import json_item
from bokeh.plotting import figure

import pictures
import slides


def plot(*, line: bool) -> str:
    drawn = figure(height=250, sizing_mode="stretch_width")
    if line:
        drawn.line([0, 1], [0, 1], line_width=20)
    return json.dumps(json_item(drawn))


def test_a_figure_is_drawn(installed, tmp_path):
    pictures.draw([plot(line=True)], tmp_path / "drawn.png", installed, 560)
    pictures.draw([plot(line=False)], tmp_path / "empty.png", installed, 560)
    drawn, empty = ((tmp_path / name).read_bytes() for name in ("drawn.png", "empty.png"))
    assert drawn.startswith(b"\x89PNG")
    assert drawn != empty


def size_of(picture: Path) -> tuple[int, int]:
    head = picture.read_bytes()[16:24]
    return int.from_bytes(head[:4]), int.from_bytes(head[4:])


def test_several_figures_of_a_cell_stand_beside_each_other(installed, tmp_path):
    pictures.draw([plot(line=True)], tmp_path / "one.png", installed, pictures.BESIDE)
    pictures.draw([plot(line=True)] * 6, tmp_path / "six.png", installed, pictures.BESIDE)
    (width, _height), (wide, high) = size_of(tmp_path / "one.png"), size_of(tmp_path / "six.png")
    assert wide == pytest.approx(3 * width, rel=0.05)
    assert high == pytest.approx(2 * 2 * pictures.LOWER, rel=0.1)  # two rows, twice as fine


def test_figures_of_a_slide_are_stacked(installed, tmp_path):
    pictures.draw([plot(line=True)] * 2, tmp_path / "two.png", installed, pictures.STACK[0], stacked=True)
    width, height = size_of(tmp_path / "two.png")
    assert width == pytest.approx(2 * pictures.STACK[0], rel=0.05)  # twice as fine
    assert height == pytest.approx(2 * pictures.STACK[1], rel=0.1)


def test_what_sticks_out_of_a_slide_is_measured(chromium, tmp_path):
    style = "section { position: relative; width: 400px; height: 200px; overflow: hidden }"
    page = tmp_path / "page.html"
    page.write_text(
        f"<style>{style}</style><section><p>fits</p></section><section><p style='height: 300px'>tall</p></section>"
        "<section><div style='position: absolute; left: 380px; width: 50px'>wide</div></section>"
        "<section><img src='data:image/png;base64,AAAA'></section>"
        "<section><pre style='overflow: hidden'>a line of code that is longer than its slide, by far</pre>"
        "</section>"
    )
    found = slides.sticks_out(page, chromium)
    assert not any(line.startswith("slide 1") for line in found)
    assert "slide 2: p sticks out: tall" in found
    assert "slide 3: div sticks out: wide" in found
    assert "slide 4: a picture isn't shown" in found
    assert any(line.startswith("slide 5: a line of code is cut off: a line of code") for line in found)
