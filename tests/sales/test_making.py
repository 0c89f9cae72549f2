import errno
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pandas as pd
import pyarrow.dataset
import pyarrow.parquet
import pytest

from daskclass import sales, sizes
from daskclass.errors import Problem, UsageProblem
from daskclass.sales import making, rows

SMALL = sizes.parse("1MB")
TWO_PARTS = sizes.parse("16MB")
Usage = namedtuple("Usage", "total used free")


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file below `folder` but the lock, with its checksum and time."""
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".making.lock"
    }


def all_that_is_there(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".making.lock"} if folder.exists() else set()


class Disk(io.FileIO):
    """A raw file that takes only so much: `raising` after `after` bytes, and `bite` bytes at a time."""

    after, bite, raising = None, None, None

    def write(self, data):
        if self.raising is not None and self.tell() >= self.after:
            raise self.raising
        return super().write(memoryview(data)[: self.bite])


@pytest.fixture
def csv_goes_to(monkeypatch):
    real = Path.open

    def use(**behaviour):
        disk = type("ThisDisk", (Disk,), behaviour)

        def opened(path, mode="r", *arguments, **options):
            if path.name == sales.CSV_NAME and mode == "wb":
                return disk(path, mode)
            return real(path, mode, *arguments, **options)

        monkeypatch.setattr(Path, "open", opened)

    return use


@pytest.mark.parametrize("threads", [1, 3, 4])
def test_any_number_of_threads_makes_the_same_bytes(large_sales, tmp_path, threads):
    made = sales.make(sizes.parse(large_sales.size), tmp_path, threads=threads)  # the fixture took two
    assert made.manifest["sha256"] == large_sales.manifest["sha256"]
    with Path(made.csv).open("rb") as one, Path(large_sales.csv).open("rb") as other:
        assert one.read() == other.read()
    assert [checksum for checksum, _time in contents(tmp_path / sales.PARQUET_NAME).values()] == [
        checksum for checksum, _time in contents(large_sales.folder / sales.PARQUET_NAME).values()
    ]
    assert made.answers == large_sales.answers


def test_the_manifest_tells_what_the_files_are(large_sales):
    manifest = json.loads((large_sales.folder / "manifest.json").read_text(encoding="utf-8"))
    csv = Path(large_sales.csv).read_bytes()
    assert manifest == large_sales.manifest
    assert manifest["bytes"] == len(csv) == large_sales.bytes
    assert manifest["sha256"] == hashlib.sha256(csv).hexdigest()
    assert manifest["rows"] == csv.count(b"\n") - 1 == large_sales.rows
    assert (manifest["seed"], manifest["size"]) == (sales.DEFAULT_SEED, "30MB")
    assert list(manifest["schema"]["columns"]) == csv[: csv.index(b"\n")].decode().split(",")
    assert set(manifest["files"]) == set(contents(large_sales.folder)) - {"manifest.json"}
    for name, listed in manifest["files"].items():
        path = large_sales.folder / name
        assert listed["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert listed["bytes"] == path.stat().st_size


def test_the_answers_are_what_pandas_counts_to_the_cent(large_sales):
    orders = pd.read_csv(large_sales.csv, dtype={"price": "str"})
    orders["cents"] = orders.price.str.replace(".", "").astype("int64")
    orders["revenue"] = orders.cents * orders.quantity
    counted = orders.groupby("category").agg(
        rows=("order_id", "size"),
        price_cents=("cents", "sum"),
        quantity=("quantity", "sum"),
        revenue_cents=("revenue", "sum"),
        returned=("returned", "sum"),
    )
    assert counted.to_dict("index") == large_sales.answers
    assert set(large_sales.answers) == set(sales.CATEGORIES)


def test_parquet_holds_the_rows_of_the_csv(large_sales):
    assert len(large_sales.parts) == 3
    text = pd.read_csv(large_sales.csv, parse_dates=["day"])
    parts = [pyarrow.parquet.read_table(part) for part in large_sales.parts]
    assert all(part.schema.equals(rows.COLUMNS) for part in parts)
    table = pyarrow.concat_tables(parts).to_pandas()
    pd.testing.assert_frame_equal(text, table, check_dtype=False, check_exact=True)
    whole = pyarrow.dataset.dataset(large_sales.parquet).to_table()
    assert whole.num_rows == large_sales.rows


def test_what_is_there_is_kept(own_sales, monkeypatch):
    before = contents(own_sales.folder)
    monkeypatch.setattr(making, "_write", lambda *_arguments: pytest.fail("it was made again"))
    assert sales.make(sizes.parse("2MB"), own_sales.folder) == own_sales
    assert contents(own_sales.folder) == before


@pytest.mark.parametrize(("size", "seed", "named"), [("1MB", 2026, ("2MB", "1MB")), ("2MB", 1, ("seed 2026", "not 1"))])
def test_another_size_or_seed_does_not_replace_what_is_there(own_sales, size, seed, named):
    before = contents(own_sales.folder)
    with pytest.raises(Problem) as problem:
        sales.make(sizes.parse(size), own_sales.folder, seed=seed)
    for part in (*named, "--force", str(own_sales.folder)):
        assert part in str(problem.value)
    assert contents(own_sales.folder) == before


@pytest.mark.parametrize(("size", "seed"), [("1MB", 2026), ("2MB", 1)])
def test_force_replaces_another_size_or_seed(own_sales, size, seed):
    made = sales.make(sizes.parse(size), own_sales.folder, seed=seed, force=True)
    assert (made.size, made.seed) == (size, seed)
    assert made.manifest["sha256"] != own_sales.manifest["sha256"]
    assert sales.look(own_sales.folder).state == "finished"
    assert not (own_sales.folder / ".unfinished").exists()


def test_force_replaces_what_is_not_ours(tmp_path):
    (tmp_path / sales.CSV_NAME).write_text("mine\n")
    (tmp_path / sales.PARQUET_NAME).write_text("a file, not a folder\n")
    (tmp_path / "notes.txt").write_text("kept\n")
    with pytest.raises(Problem, match=r"has no manifest.*--force"):
        sales.make(SMALL, tmp_path)
    assert (tmp_path / sales.CSV_NAME).read_text() == "mine\n"
    made = sales.make(SMALL, tmp_path, force=True)
    assert made.formats == {"csv", "parquet"}
    assert (tmp_path / "notes.txt").read_text() == "kept\n"


def test_what_was_changed_is_not_replaced_without_force(own_sales):
    with Path(own_sales.csv).open("a") as file:
        file.write("1,2,3\n")
    before = contents(own_sales.folder)
    with pytest.raises(Problem, match=r"instead of .*`daskclass data --size 2MB --out \S+ --verify`.*--force`"):
        sales.make(sizes.parse("2MB"), own_sales.folder)
    assert contents(own_sales.folder) == before
    made = sales.make(sizes.parse("2MB"), own_sales.folder, force=True)
    assert made.manifest["sha256"] == own_sales.manifest["sha256"]


@pytest.mark.parametrize(("first", "then"), [("csv", "parquet"), ("parquet", "csv")])
def test_a_format_is_added_to_the_other(small_sales, tmp_path, first, then):
    alone = sales.make(sizes.parse("2MB"), tmp_path, formats=[first])
    assert alone.formats == {first}
    assert (alone.bytes is None) == (first == "parquet")
    assert bool(alone.parts) == (first == "parquet")
    both = sales.make(sizes.parse("2MB"), tmp_path, formats=[then])
    assert both.formats == {"csv", "parquet"}
    assert both.manifest["sha256"] == small_sales.manifest["sha256"]
    assert both.answers == alone.answers == small_sales.answers


def test_a_disk_without_room_is_said_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**9, 10**9 - 5, 5))
    out = tmp_path / "new" / "folder"
    with pytest.raises(Problem, match=r"no room in .*5 B are free.*smaller size.*DASKCLASS_DATA.*--out"):
        sales.make(SMALL, out)
    assert not out.parent.exists()


def test_room_is_asked_for_what_is_wanted(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**9, 10**9 - 500_000, 500_000))
    with pytest.raises(Problem, match="no room"):
        sales.make(SMALL, tmp_path, formats=["csv"])
    assert sales.make(SMALL, tmp_path, formats=["parquet"]).formats == {"parquet"}


def test_a_disk_that_fills_up_half_way_leaves_nothing(tmp_path, csv_goes_to):
    csv_goes_to(after=6_000_000, raising=OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(Problem, match="is full; we kept nothing"):
        sales.make(TWO_PARTS, tmp_path)
    assert all_that_is_there(tmp_path) == set()
    assert sales.look(tmp_path).state == "missing"


def test_a_disk_that_fills_up_with_parquet_leaves_nothing(tmp_path, monkeypatch):
    real = making._parquet_file

    def second_fails(path):
        if path.name != "part-000000.parquet":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path)

    monkeypatch.setattr(making, "_parquet_file", second_fails)
    with pytest.raises(Problem, match="is full; we kept nothing"):
        sales.make(TWO_PARTS, tmp_path)
    assert all_that_is_there(tmp_path) == set()


def test_a_full_disk_while_replacing_leaves_the_old_data(own_sales, csv_goes_to):
    before = contents(own_sales.folder)
    csv_goes_to(after=500_000, raising=OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(Problem, match="is full"):
        sales.make(TWO_PARTS, own_sales.folder, force=True)
    assert contents(own_sales.folder) == before
    assert sales.look(own_sales.folder).state == "finished"


def test_a_refusal_of_the_system_names_the_folder(tmp_path, csv_goes_to):
    csv_goes_to(after=0, raising=OSError(errno.EIO, "Input/output error"))
    with pytest.raises(Problem) as problem:
        sales.make(SMALL, tmp_path)
    assert str(tmp_path) in str(problem.value)
    assert "Input/output error" in str(problem.value)
    assert all_that_is_there(tmp_path) == set()


def test_an_interrupted_run_leaves_nothing_and_nobody_at_work(tmp_path, csv_goes_to, monkeypatch):
    at_work = []
    real = shutil.rmtree

    def remove(path, *arguments, **options):
        at_work.append([thread.name for thread in threading.enumerate() if thread.name.startswith("sales")])
        real(path, *arguments, **options)

    csv_goes_to(after=6_000_000, raising=KeyboardInterrupt())
    monkeypatch.setattr(making.shutil, "rmtree", remove)
    with pytest.raises(KeyboardInterrupt):
        sales.make(TWO_PARTS, tmp_path, threads=3)
    assert all_that_is_there(tmp_path) == set()
    assert at_work == [[], []]  # else a thread could make a file in a folder that is being removed
    monkeypatch.undo()
    assert sales.make(SMALL, tmp_path / "again").rows > 0


def test_a_disk_that_takes_a_little_at_a_time_gets_everything(small_sales, tmp_path, csv_goes_to):
    csv_goes_to(bite=70_001)
    made = sales.make(sizes.parse("2MB"), tmp_path)
    assert made.manifest["sha256"] == small_sales.manifest["sha256"]
    sales.verify(made)


def test_a_killed_run_leaves_nothing_that_looks_finished(daskclass, until_it_writes, tmp_path):
    process = daskclass("data", "--size", "300MB", "--out", tmp_path / "out")
    until_it_writes(process, tmp_path / "out" / ".unfinished" / sales.CSV_NAME)
    process.kill()
    process.wait()
    assert all_that_is_there(tmp_path / "out") == {".unfinished"}
    assert sales.look(tmp_path / "out").state == "missing"
    made = sales.make(SMALL, tmp_path / "out")
    assert made.size == "1MB"
    assert all_that_is_there(tmp_path / "out") == {sales.CSV_NAME, sales.PARQUET_NAME, sales.MANIFEST_NAME}


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
def test_a_run_killed_while_moving_in_is_made_good_by_the_next(tmp_path):
    kill = "Path.replace = lambda a, b: os.kill(os.getpid(), 9) if b.name == 'manifest.json' else real(a, b)"
    code = f"import os; from daskclass.sales import making; real = Path.replace; {kill}; making.make(SIZE, OUT)"
    code = f"from pathlib import Path; from daskclass import sizes; SIZE, OUT = sizes.parse('1MB'), Path('out'); {code}"
    killed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert all_that_is_there(tmp_path / "out") == {sales.CSV_NAME, sales.PARQUET_NAME, ".unfinished"}
    assert sales.look(tmp_path / "out").state == "unfinished"
    made = sales.make(SMALL, tmp_path / "out")
    assert sales.look(made.folder).state == "finished"
    assert all_that_is_there(tmp_path / "out") == {sales.CSV_NAME, sales.PARQUET_NAME, sales.MANIFEST_NAME}


def test_two_runs_at_once_do_not_mix(tmp_path, monkeypatch):
    drawing, go_on, real = threading.Event(), threading.Event(), rows.draw
    done = []

    def draw(*arguments, **options):
        drawing.set()
        assert go_on.wait(60)
        return real(*arguments, **options)

    monkeypatch.setattr(rows, "draw", draw)
    first = threading.Thread(target=lambda: done.append(sales.make(SMALL, tmp_path, threads=1)))
    first.start()
    try:
        assert drawing.wait(60)
        with pytest.raises(Problem, match="another run is making data in"):
            sales.make(SMALL, tmp_path, threads=1)
    finally:
        go_on.set()
        first.join()
    assert sales.look(tmp_path).sales == done[0]
    sales.verify(done[0])


@pytest.mark.parametrize("below", ["", "below/it"])
def test_a_file_is_no_folder(tmp_path, below):
    file = tmp_path / "file"
    file.write_text("mine\n")
    with pytest.raises(UsageProblem, match=r"file is a file, but should be a folder\. Or set DASKCLASS_DATA"):
        sales.make(SMALL, file / below)
    assert file.read_text() == "mine\n"


def test_a_link_to_a_disk_that_is_gone_is_named(tmp_path):
    link = tmp_path / "data"
    link.symlink_to(tmp_path / "unplugged")
    with pytest.raises(UsageProblem, match=r"data is a link to .*unplugged, which doesn't exist; connect that disk"):
        sales.make(SMALL, link / "1MB")
    assert sales.refusal(link / "1MB").startswith(f"{link} is a link to")
    assert not (tmp_path / "unplugged").exists()


@pytest.fixture
def flock_says(monkeypatch):
    """Have the system refuse to lock files, as the systems of network disks do."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(number):
        def flock(_file, _operation):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)

    return refuse


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_that_locks_no_files_is_said(tmp_path, flock_says, number):
    flock_says(number)
    with pytest.raises(Problem, match=r"can't lock files \(.*\), like some network disks.*set DASKCLASS_DATA"):
        sales.make(SMALL, tmp_path)
    assert sales.look(tmp_path).state == "missing"
    assert "can't lock files" in sales.refusal(tmp_path)


def test_a_system_without_locks_makes_do_with_a_file(tmp_path, flock_says, recwarn):
    """filelock has another way where there is no `flock` at all, and would warn of it."""
    flock_says(errno.ENOSYS)
    assert sales.refusal(tmp_path) is None
    assert sales.make(SMALL, tmp_path).formats == {"csv", "parquet"}
    assert not [str(warning.message) for warning in recwarn if "flock" in str(warning.message)]
    (tmp_path / making._LOCK).write_text("1\nanother-machine\n")
    with pytest.raises(Problem, match=r"another run is making data .*if none is running, delete .*making\.lock"):
        sales.make(SMALL, tmp_path, force=True)


def test_where_data_can_be_made_nothing_is_left_by_asking(tmp_path):
    assert sales.refusal(tmp_path / "to" / "come") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(Problem, match=r"can't write to .*closed"):
        sales.make(SMALL, closed)
    assert list(closed.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"threads": 0}, "choose 1 to 4"),
        ({"threads": 5}, "choose 1 to 4"),
        ({"seed": -1}, "choose an integer of 0 or more"),
        ({"formats": []}, "choose from csv, parquet"),
        ({"formats": ["csv", "xlsx"]}, "choose from csv, parquet"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(tmp_path, arguments, named):
    with pytest.raises(UsageProblem, match=named):
        sales.make(SMALL, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_more_orders_than_there_are_numbers_are_refused(tmp_path):
    with pytest.raises(UsageProblem, match="enough for 400GB"):
        sales.make(sizes.parse("1TB"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_each_size_has_a_place_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("DASKCLASS_DATA", str(tmp_path / "here"))
    assert sales.place(sizes.CLASS) == tmp_path / "here"
    assert sales.place(sizes.SMOKE) == tmp_path / "here" / "smoke"
    assert sales.make(SMALL).folder == tmp_path / "here" / "1MB"


def test_open_sales_makes_what_is_missing_and_finds_it_again(monkeypatch, capsys):
    monkeypatch.setenv("DASKCLASS_SIZE", "1MB")
    made = sales.open_sales()
    assert "Making the sales data of size 1MB (only the first time)." in "".join(capsys.readouterr())
    monkeypatch.setattr(making, "_write", lambda *_arguments: pytest.fail("it was made again"))
    assert sales.open_sales() == sales.open_sales("1MB") == made
    assert capsys.readouterr() == ("", "")


def test_open_sales_adds_the_format_that_is_missing():
    sales.make(SMALL, formats=["csv"])
    assert sales.open_sales("1MB").formats == {"csv", "parquet"}


def test_open_sales_never_replaces_what_was_changed():
    made = sales.make(SMALL)
    Path(made.csv).write_text("mine\n")
    with pytest.raises(Problem, match="instead of"):
        sales.open_sales("1MB")
    assert Path(made.csv).read_text() == "mine\n"


PEAK = """
import resource, sys
from pathlib import Path
from daskclass import sales, sizes

sales.make(sizes.parse("300MB"), Path(sys.argv[1]), threads=int(sys.argv[2]))
if sys.platform == "linux":  # ru_maxrss would count what the process that started this one had in memory
    status = Path("/proc/self/status").read_text()
    print(int(status.partition("VmHWM:")[2].split()[0]) * 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no such count on Windows")
@pytest.mark.parametrize("threads", [2, 4])
def test_memory_stays_small_whatever_the_size(tmp_path, environment, threads):
    run = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path / "out", str(threads)], env=environment, capture_output=True, text=True
    )
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert run.returncode == 0, run.stderr
    assert 50e6 < int(run.stdout) < 500e6
