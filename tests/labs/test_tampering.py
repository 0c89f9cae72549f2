"""One price changed in the CSV, behind everyone's back, makes lab 02 fail."""

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from daskclass.sales import open_sales

LAB_02 = Path(__file__).parents[2] / "labs" / "02-pandas-vs-dask.ipynb"


@pytest.fixture
def own_csv(tmp_path, monkeypatch):
    """The CSV of a copy of the small data that the lab will use."""
    original = open_sales("smoke").folder
    shutil.copytree(original, tmp_path / "data" / "smoke")  # with its times, so that it looks finished
    monkeypatch.setenv("DASKCLASS_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "smoke" / "sales_data.csv"


def one_cent_more(csv: Path) -> None:
    """Change the last digit of one price in the middle of the file."""
    with csv.open("r+b") as file:
        names = file.readline().rstrip().split(b",")
        file.seek(csv.stat().st_size // 2)
        file.readline()
        start, line = file.tell(), file.readline()
        fields = line.split(b",")
        price = names.index(b"price")
        end = start + len(b",".join(fields[: price + 1])) - 1
        file.seek(end)
        digit = file.read(1)
        file.seek(end)
        file.write(b"%d" % ((int(digit) + 1) % 10))


def first_failure(kernel) -> tuple[str, str] | None:
    """The cell at which lab 02 fails, and with what; None if it comes to the claim that the answer is exact."""
    notebook = nbformat.read(LAB_02, as_version=4)
    with kernel(notebook) as run:
        for cell in notebook.cells:
            if cell.cell_type == "code":
                try:
                    run(cell)
                except CellExecutionError as error:
                    return cell.id, error.ename
            if cell.id == "claim-exact":
                return None
    return pytest.fail("the lab has no cell `claim-exact` any more")


def test_a_changed_price_is_seen_before_anything_is_asked(own_csv, kernel):
    one_cent_more(own_csv)
    assert first_failure(kernel) == ("size", "Problem")


def test_a_changed_price_under_the_old_size_and_time_makes_the_claim_false(own_csv, kernel):
    before = own_csv.stat()
    one_cent_more(own_csv)
    os.utime(own_csv, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert own_csv.stat().st_size == before.st_size
    assert first_failure(kernel) == ("claim-exact", "ClaimIsFalse")


def test_an_untouched_copy_is_exact(own_csv, kernel):
    assert first_failure(kernel) is None
