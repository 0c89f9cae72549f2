import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daskclass import sales, sizes
from daskclass.errors import Problem
from daskclass.sales import folder as folders
from daskclass.system.checkout import FIRST_LAB


def rewrite(data, change) -> None:
    path = data.folder / sales.MANIFEST_NAME
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def flip(path: Path, position: int) -> None:
    """Change one byte and nothing that can be seen without reading."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_an_empty_or_absent_folder_is_missing(tmp_path):
    assert sales.look(tmp_path).state == sales.look(tmp_path / "nowhere").state == "missing"
    assert sales.look(tmp_path).sales is None
    assert str(tmp_path) in sales.look(tmp_path).why


@pytest.mark.parametrize("name", [sales.CSV_NAME, sales.PARQUET_NAME])
def test_files_without_a_manifest_are_unfinished(own_sales, name):
    (own_sales.folder / sales.MANIFEST_NAME).unlink()
    other = own_sales.folder / ({sales.CSV_NAME, sales.PARQUET_NAME} - {name}).pop()
    shutil.rmtree(other) if other.is_dir() else other.unlink()
    found = sales.look(own_sales.folder)
    assert found.state == "unfinished"
    assert name in found.why
    assert found.sales is None


def test_a_finished_folder_tells_what_it_holds(small_sales):
    found = sales.look(small_sales.folder)
    assert found.state == "finished"
    assert found.sales == small_sales
    assert f"{small_sales.rows:,} rows" in found.why
    assert small_sales.csv == str(small_sales.folder / "sales_data.csv")
    assert small_sales.parts == [str(small_sales.folder / "sales.parquet" / "part-000000.parquet")]
    assert small_sales.formats == {"csv", "parquet"}


def test_a_relative_folder_gives_absolute_paths(small_sales, monkeypatch):
    monkeypatch.chdir(small_sales.folder.parent)
    found = sales.look(Path(small_sales.folder.name))
    assert found.sales.csv == small_sales.csv


def test_other_bytes_are_a_change(own_sales):
    with Path(own_sales.csv).open("a") as file:
        file.write("x")
    found = sales.look(own_sales.folder)
    assert found.state == "changed"
    assert f"{own_sales.bytes + 1:,} bytes instead of {own_sales.bytes:,}" in found.why
    assert found.sales is not None


@pytest.mark.parametrize("file", ["csv", "part"])
def test_another_time_is_a_change(own_sales, file):
    path = own_sales.csv if file == "csv" else own_sales.parts[0]
    status = Path(path).stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    found = sales.look(own_sales.folder)
    assert found.state == "changed"
    assert f"{path} has changed" in found.why


def test_an_extra_part_is_a_change(own_sales):
    extra = Path(own_sales.parquet) / "part-000009.parquet"
    shutil.copy(own_sales.parts[0], extra)
    found = sales.look(own_sales.folder)
    assert found.state == "changed"
    assert f"{extra} does not belong there" in found.why


@pytest.mark.parametrize("file", ["csv", "part", "parquet"])
def test_a_missing_file_is_a_change(own_sales, file):
    if file == "parquet":
        shutil.rmtree(own_sales.parquet)
    else:
        Path(own_sales.csv if file == "csv" else own_sales.parts[0]).unlink()
    found = sales.look(own_sales.folder)
    assert found.state == "changed"
    assert "is missing" in found.why


def test_another_generator_is_a_change(own_sales):
    rewrite(own_sales, lambda content: content["schema"].update(generator=folders.GENERATOR + 1))
    found = sales.look(own_sales.folder)
    assert found.state == "changed"
    assert f"generator {folders.GENERATOR + 1}, but this is generator {folders.GENERATOR}" in found.why


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"files"', "{}", '{"files": {}}', "\ufeff{}"])
def test_a_broken_manifest_is_a_change(own_sales, text):
    (own_sales.folder / sales.MANIFEST_NAME).write_text(text, encoding="utf-8")
    found = sales.look(own_sales.folder)
    assert found.state == "changed"
    assert "manifest.json: " in found.why
    assert found.sales is None


def test_a_manifest_that_is_no_text_is_a_change(own_sales):
    (own_sales.folder / sales.MANIFEST_NAME).write_bytes(b"\xff\xfe{}")
    assert sales.look(own_sales.folder).state == "changed"


@pytest.mark.parametrize("name", ["../x", "sales.parquet/../../x", "/etc/hostname"])
def test_a_manifest_reaches_only_into_its_own_folder(own_sales, name):
    (own_sales.folder.parent / "x").write_text("not ours")
    rewrite(own_sales, lambda content: content["files"].update({name: content["files"][sales.CSV_NAME]}))
    found = sales.look(own_sales.folder)
    assert found.state == "changed"
    assert f"{name!r}, outside of its folder" in found.why
    assert found.sales is None


FIELDS = (
    *(("schema",), ("seed",), ("size",), ("bytes",), ("rows",), ("sha256",), ("answers",), ("files",)),
    *(("files", sales.CSV_NAME), ("files", sales.CSV_NAME, "bytes"), ("files", sales.CSV_NAME, "modified_us")),
    *(("schema", "generator"), ("answers", "Toys"), ("files", sales.CSV_NAME, "sha256")),
)
values = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({}) | st.floats()


@given(st.sampled_from(FIELDS), values)
@example(("rows",), "many")
@example(("rows",), None)
@example(("files", sales.CSV_NAME, "bytes"), "many")
@example(("files", sales.CSV_NAME, "bytes"), None)
def test_no_manifest_makes_looking_fail(own_sales, field, value):
    path = own_sales.folder / sales.MANIFEST_NAME
    path.write_text(json.dumps(own_sales.manifest), encoding="utf-8")

    def change(content):
        *outer, last = field
        for name in outer:
            content = content[name]
        content[last] = value

    rewrite(own_sales, change)
    found = sales.look(own_sales.folder)
    assert found.state in ("changed", "finished")
    assert str(own_sales.folder) in found.why


def test_a_parquet_that_is_a_file_is_a_change(own_sales):
    shutil.rmtree(own_sales.parquet)
    shutil.copy2(own_sales.csv, own_sales.parquet)

    def change(content):
        content["files"] = {sales.PARQUET_NAME: content["files"][sales.CSV_NAME]}

    rewrite(own_sales, change)
    assert sales.look(own_sales.folder).state == "changed"


def test_verify_accepts_what_was_made(small_sales):
    sales.verify(small_sales)


@pytest.mark.parametrize("file", ["csv", "part"])
@pytest.mark.parametrize("where", [0, 0.5, 1])
def test_verify_finds_one_byte_behind_the_same_size_and_time(own_sales, file, where):
    path = Path(own_sales.csv if file == "csv" else own_sales.parts[0])
    flip(path, round(where * (path.stat().st_size - 1)))
    assert sales.look(own_sales.folder).state == "finished"
    with pytest.raises(Problem) as problem:
        sales.verify(own_sales)
    assert str(path) in str(problem.value)
    assert "--force" in str(problem.value)


def test_a_copy_with_other_times_is_finished_after_restamp(own_sales, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(own_sales.folder, copy)
    for path in copy.rglob("*.*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    found = sales.look(copy)
    assert found.state == "changed"
    sales.verify(found.sales)
    sales.restamp(found.sales)
    again = sales.look(copy)
    assert again.state == "finished"
    assert again.sales.answers == own_sales.answers
    assert again.sales.manifest["sha256"] == own_sales.manifest["sha256"]
    assert not list(copy.glob("*.tmp"))


def test_home_is_what_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DASKCLASS_DATA", "some/where")
    assert sales.home() == tmp_path / "some" / "where"


def test_home_is_in_the_checkout_around(monkeypatch, tmp_path):
    monkeypatch.delenv("DASKCLASS_DATA")
    (tmp_path / "labs" / "materials").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "labs" / "materials")
    ours = Path(__file__).parents[2]
    assert sales.home() == ours / "data"  # the checkout that the package is installed from
    (tmp_path / FIRST_LAB).touch()
    assert sales.home() == tmp_path / "data"
    assert sales.place(sizes.SMOKE) == tmp_path / "data" / "smoke"


@pytest.fixture
def spelled(own_sales, tmp_path, monkeypatch):
    """Data of 2 MB as an earlier version left them when ``2mb`` was typed."""
    monkeypatch.setenv("DASKCLASS_DATA", str(tmp_path / "home"))
    folder = tmp_path / "home" / "2mb"
    folder.parent.mkdir()
    own_sales.folder.rename(folder)
    manifest = json.loads((folder / sales.MANIFEST_NAME).read_text()) | {"size": "2mb"}
    (folder / sales.MANIFEST_NAME).write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("text", ["2MB", "2mb", "2e6", "2000kB"])
def test_data_that_an_earlier_version_named_as_it_was_typed_are_used(spelled, text):
    found = sales.open_sales(text)
    assert (found.folder, found.size) == (spelled, "2MB")
    assert [path.name for path in spelled.parent.iterdir()] == ["2mb"]


def test_data_under_their_own_name_come_first(spelled, tmp_path):
    own = spelled.parent / "2MB"
    shutil.copytree(spelled, own)
    assert sales.place(sizes.parse("2mb")) == own


def test_a_folder_of_that_name_without_data_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("DASKCLASS_DATA", str(tmp_path))
    (tmp_path / "2mb").mkdir()
    (tmp_path / "no size").mkdir()
    assert sales.place(sizes.parse("2MB")) == tmp_path / "2MB"


def test_a_manifest_of_no_size_is_changed(own_sales):
    rewrite(own_sales, lambda content: content.update(size="huge"))
    found = sales.look(own_sales.folder)
    assert found.state == "changed"
    assert "'huge' is not a size" in found.why


def test_new_times_on_a_full_disk_leave_the_manifest_as_it_was(own_sales, full_disk):
    before = (own_sales.folder / sales.MANIFEST_NAME).read_bytes()
    with full_disk, pytest.raises(Problem, match="is full"):
        sales.restamp(own_sales)
    assert (own_sales.folder / sales.MANIFEST_NAME).read_bytes() == before
    assert not list(own_sales.folder.glob("*.tmp"))
