"""What the data's own page and the lock file promise about the rows."""

import re
from pathlib import Path

import numpy as np

from daskclass import sales, sizes
from daskclass.sales import rows

PAGE = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")


def numbers_after(phrase: str, names: tuple[str, ...], otherwise: int | None = None) -> list[int]:
    """The number behind each name in the list item that begins with `phrase`."""
    item = next(item for item in re.split(r"^- ", PAGE, flags=re.MULTILINE) if item.startswith(phrase))
    item = " ".join(item.split())
    return [int(found[1]) if (found := re.search(rf"{name}(?: and \w+)? (\d+)", item)) else otherwise for name in names]


def test_the_rule_on_the_page_is_the_rule_of_the_rows():
    base = numbers_after("a base", sales.CATEGORIES)
    band = numbers_after("for each of the price bands", sales.CATEGORIES)
    item = numbers_after("for each item beyond", sales.CATEGORIES, otherwise=300)
    for c, b, q, s in np.ndindex(sales.return_thresholds().shape):
        expected = base[c] + b * band[c] + q * item[c] + 6000 * ((s + 1) % 7 == 0)
        assert sales.return_thresholds()[c, b, q, s] == expected


def test_the_page_names_every_column_in_order():
    assert re.findall(r"^\| `(\w+)` \|", PAGE.split("## Columns")[1].split("##")[0], re.MULTILINE) == rows.COLUMNS.names


def test_the_bytes_are_those_of_this_generator(tmp_path):
    """Another NumPy or another recipe makes other rows: then GENERATOR goes up, and this checksum is set anew."""
    made = sales.make(sizes.parse("1MB"), tmp_path, formats=["csv"])
    assert made.manifest["schema"]["generator"] == 1
    assert made.manifest["sha256"] == "40a47fffaefad5c67d45f1d88777e55884d73e0aac5e59784c599a7a274f5f2c"
