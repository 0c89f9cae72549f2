"""One price changed in the CSV, behind everyone's back, makes lab 02 fail."""

import os
import shutil
from pathlib import Path

import pytest

from daskclass import sales, sizes
from daskclass.commands.rehearsal.one_lab import Stopped


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The labs' small data, made here. In the checkout's folder, tests that run at the same time would meet."""
    return sales.make(sizes.parse("smoke"), tmp_path_factory.mktemp("made") / "smoke", threads=2).folder


@pytest.fixture
def own_csv(made, tmp_path):
    """The CSV of a copy of the small data that the lab will use."""
    shutil.copytree(made, tmp_path / "data" / "smoke")  # with its times, so that it looks finished
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


@pytest.fixture
def verdict(own_csv, numbered, kernel):
    """What lab 02 says of that CSV: whether its answer is the manifest's exact one."""

    def find() -> bool:
        with kernel(numbered["02"], "tampering", DASKCLASS_DATA=str(own_csv.parents[1])) as opened:
            for cell in ("size", "ask-dask", "compute"):
                opened.run(cell)
            return opened.run("claim-exact").claim.holds

    return find


def test_a_changed_price_is_seen_before_anything_is_asked(own_csv, verdict):
    one_cent_more(own_csv)
    with pytest.raises(Stopped, match=r"^Problem in the cell `size`: ") as stopped:
        verdict()
    assert stopped.value.cell == "size"


def test_a_changed_price_under_the_old_size_and_time_makes_the_claim_false(own_csv, verdict):
    before = own_csv.stat()
    one_cent_more(own_csv)
    os.utime(own_csv, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert own_csv.stat().st_size == before.st_size
    assert verdict() is False


def test_an_untouched_copy_is_exact(verdict):
    assert verdict() is True
