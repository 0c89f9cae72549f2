"""Parts: whole or not there, known again, and refused with the file and the row group that are the reason."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from daskclass import scoring
from daskclass.scoring import parts

ROWS, GROUP = 3_000, 1_000


@pytest.fixture
def source(sales, tmp_path):
    """A file of three row groups."""
    folder = tmp_path / "orders"
    folder.mkdir()
    pq.write_table(pq.read_table(sales.parts[0]).slice(0, ROWS), folder / "part-0.parquet", row_group_size=GROUP)
    return folder / "part-0.parquet"


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "scores"
    place.mkdir()
    return place


def names(folder):
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("batch", [None, 999])
def test_each_order_has_its_score_once(source, folder, model, batch):
    part = scoring.score_file(source, folder, model, batch)
    scores, orders = pq.read_table(folder / part.name), pq.read_table(source)
    assert scores.column("order_id").equals(orders.column("order_id"))
    alone = model.pipeline.predict_proba(orders.select(list(scoring.FEATURES)).to_pandas())[:, 1]
    np.testing.assert_array_equal(scores.column("score").to_numpy(), alone)
    assert part.rows == ROWS
    assert part.model == model.version
    assert names(folder) == [part.name]


def rewritten(source, change, group=GROUP):
    pq.write_table(change(pq.read_table(source)), source, row_group_size=group)


def in_row(table, number, name, value):
    values = table.column(name).to_pylist()
    values[number] = value
    return table.set_column(table.column_names.index(name), name, pa.array(values, table.schema.field(name).type))


def overwritten(path, at, length=200):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(os.urandom(length))


def broken_group(source):
    column = pq.read_metadata(source).row_group(2).column(4)  # the price
    overwritten(source, column.dictionary_page_offset or column.data_page_offset)


def nested(table):
    stores = pa.StructArray.from_arrays([table.column("store").combine_chunks()], ["name"])
    return table.set_column(table.column_names.index("store"), "store", stores)


def twice(table):
    return table.append_column("price", table.column("price"))


def keys_as(kind):
    def change(table):
        keys = pa.array([number % 1_000 for number in range(len(table))], pa.int64()).cast(kind)
        return table.set_column(table.column_names.index("order_id"), "order_id", keys)

    return change


def flipped(source):
    """A single bit of a price, in a file with checksums of its pages."""
    table = pq.read_table(source)
    pq.write_table(
        table, source, row_group_size=GROUP, write_page_checksum=True, use_dictionary=False, compression="none"
    )
    place = table.column_names.index("price")
    column = pq.read_metadata(source).row_group(1).column(place)
    at = column.data_page_offset + column.total_compressed_size - 4
    with source.open("r+b") as file:
        file.seek(at)
        [value] = file.read(1)
        file.seek(at)
        file.write(bytes([value ^ 1]))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (Path.unlink, r"can't read .*part-0.parquet: FileNotFoundError"),
        (lambda path: path.write_bytes(b"order_id,price\n"), r"can't read .*part-0.parquet: ArrowInvalid"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), r"can't read .*part-0.parquet: ArrowInvalid"),
        (broken_group, r"can't read .*part-0.parquet, row group 3 of 3: "),
        (
            lambda path: rewritten(path, lambda table: in_row(table, 1_500, "price", None)),
            r"row group 2 of 3: column 'price'",
        ),
        (
            lambda path: rewritten(path, lambda table: in_row(table, 2_999, "store", "S77")),
            r"row group 3 of 3: .* 'S77'",
        ),
        (
            lambda path: rewritten(path, lambda table: table.drop_columns("quantity")),
            r"row group 1 of 3: there is no column",
        ),
        (
            lambda path: rewritten(path, lambda table: table.drop_columns("order_id")),
            r"couldn't tell which order a score belongs to",
        ),
        (
            lambda path: rewritten(path, lambda table: table.drop_columns("store")),
            r"row group 1 of 3: there is no column 'store'",
        ),
        (lambda path: rewritten(path, nested), r"row group 1 of 3: column 'store' is struct"),
        (lambda path: rewritten(path, twice), r"row group 1 of 3: column 'price' appears 2 times"),
        (lambda path: rewritten(path, keys_as("string")), r"row group 1 of 3: column 'order_id' is string"),
        (lambda path: rewritten(path, keys_as("int32")), r"row group 1 of 3: column 'order_id' is int32"),
        (
            lambda path: rewritten(path, lambda table: in_row(table, 1_500, "order_id", None)),
            r"row group 2 of 3: column 'order_id' has missing values",
        ),
        (
            lambda path: rewritten(path, lambda table: in_row(table, 1_500, "price", float("inf"))),
            r"row group 2 of 3: column 'price' has values that are not finite",
        ),
        (flipped, r"can't read .*row group 2 of 3: "),
    ],
)
def test_what_cannot_be_scored_is_named_and_leaves_nothing(source, folder, model, harm, words):
    harm(source)
    with pytest.raises(scoring.CannotScore, match=words):
        scoring.score_file(source, folder, model)
    assert names(folder) == []
    assert scoring.finished([source], folder, model) == {}


def test_a_part_spends_nothing_on_dictionaries_of_values_that_are_all_different(source, folder, model):
    scoring.score_file(source, folder, model)
    group = pq.read_metadata(folder / source.name).row_group(0)
    assert not any(group.column(number).has_dictionary_page for number in range(group.num_columns))


def test_a_part_does_not_replace_its_source(source, model):
    before = source.read_bytes()
    with pytest.raises(scoring.CannotScore, match="in the folder for parts"):
        scoring.score_file(source, source.parent, model)
    assert source.read_bytes() == before


def test_nor_one_that_it_reaches_by_a_link(source, folder, model):
    real = source.rename(folder / source.name)
    source.symlink_to(real)
    before = real.read_bytes()
    with pytest.raises(scoring.CannotScore, match="in the folder for parts"):
        scoring.score_file(source, folder, model)
    assert real.read_bytes() == before


def test_a_folder_that_is_none_is_named(source, folder, model):
    with pytest.raises(scoring.CannotScore, match="scores/not-there isn't a folder"):
        scoring.score_file(source, folder / "not-there", model)


def test_a_disk_that_is_full_is_named_with_the_source(source, folder, model, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(scoring.CannotScore, match=r"can't write the part of .*part-0.parquet to .* No space"):
        scoring.score_file(source, folder, model)
    assert names(folder) == []


@pytest.mark.parametrize("group", [1, 10_000])
def test_row_groups_of_any_size_are_scored(source, folder, model, group):
    rewritten(source, lambda table: table.slice(0, 7), group)
    assert scoring.score_file(source, folder, model).rows == 7
    assert len(pq.read_table(folder / source.name)) == 7


def test_no_rows_are_no_fault(source, folder, model):
    table = pq.read_table(source)
    with pq.ParquetWriter(source, table.schema) as writer:
        for piece in (table.slice(0, 0), table.slice(0, 5), table.slice(0, 0)):
            writer.write_table(piece)
    assert scoring.score_file(source, folder, model).rows == 5
    assert set(scoring.finished([source], folder, model)) == {str(source)}


def test_what_pandas_says_of_an_index_is_not_asked(source, folder, model):
    orders = pq.read_table(source).to_pandas()
    orders.set_index("store").to_parquet(source)
    assert scoring.score_file(source, folder, model).rows == ROWS


def test_so_many_rows_as_were_asked_for_are_scored_at_once(source, folder, model, monkeypatch):
    handed = []

    def counts(self, features):
        handed.append(len(features))
        return np.zeros((len(features), 2))

    monkeypatch.setattr(type(model.pipeline), "predict_proba", counts)
    scoring.score_file(source, folder, model, 400)
    assert handed == [400] * 7 + [200]


@pytest.mark.parametrize(
    ("at_once", "handed"), [(3_000, [3_000]), (2_999, [2_000, 1_000]), (1_999, [1_000] * 3), (10, [1_000] * 3)]
)
def test_row_groups_that_are_small_are_scored_together(source, folder, model, monkeypatch, at_once, handed):
    seen = []
    real = type(model.pipeline).predict_proba

    def counts(self, features):
        seen.append(len(features))
        return real(self, features)

    monkeypatch.setattr(parts, "_AT_ONCE", at_once)
    monkeypatch.setattr(type(model.pipeline), "predict_proba", counts)
    part = scoring.score_file(source, folder, model)
    assert seen == handed
    monkeypatch.undo()
    assert scoring.finished([source], folder, model) == {str(source): part}
    np.testing.assert_array_equal(
        pq.read_table(folder / part.name).column("score").to_numpy(),
        model.scores(pq.read_table(source).to_pandas()),
    )


def test_a_row_group_of_more_rows_than_arrow_writes_at_once_is_finished(source, folder, model, monkeypatch):
    table = pq.read_table(source)
    rows = 1_200_000  # a row group that Arrow writes has 1,048,576 at most, if nobody says otherwise
    pq.write_table(pa.concat_tables([table] * (rows // ROWS)), source, row_group_size=rows)
    monkeypatch.setattr(type(model.pipeline), "predict_proba", lambda _self, orders: np.zeros((len(orders), 2)))
    part = scoring.score_file(source, folder, model)
    assert part.rows == rows
    assert scoring.finished([source], folder, model) == {str(source): part}


def test_only_the_columns_that_are_needed_are_read(source, folder, model):
    """Of the others not a page, so that one which is broken is no matter."""
    place = pq.read_schema(source).names.index("customer")
    for group in range(pq.read_metadata(source).num_row_groups):
        column = pq.read_metadata(source).row_group(group).column(place)
        overwritten(source, column.dictionary_page_offset or column.data_page_offset)
    with pytest.raises((OSError, pa.ArrowException)):
        pq.read_table(source)
    assert scoring.score_file(source, folder, model).rows == ROWS


class PowerFailure(BaseException):
    pass


def test_two_that_score_one_file_at_once_are_not_in_each_others_way(source, folder, model, monkeypatch):
    """As when a worker is taken for dead, and its task runs a second time: no half of one, half of the other."""
    others, check = [], parts.check

    def with_another_between(table, model):
        if not others:
            others.append(None)
            others.append(scoring.score_file(source, folder, model))
        check(table, model)

    monkeypatch.setattr(parts, "check", with_another_between)
    part = scoring.score_file(source, folder, model)
    assert others == [None, part]
    assert scoring.finished([source], folder, model) == {str(source): part}
    assert names(folder) == [part.name]


def test_a_part_that_was_interrupted_is_not_there_and_the_old_one_is(source, folder, model, monkeypatch):
    first = scoring.score_file(source, folder, model)
    calls = []

    def dies(table, model):
        calls.append(table)
        if len(calls) == 2:
            raise PowerFailure

    monkeypatch.setattr(parts, "check", dies)
    with pytest.raises(PowerFailure):
        scoring.score_file(source, folder, model)
    assert scoring.finished([source], folder, model) == {str(source): first}
    assert names(folder) == [first.name]


def test_a_second_run_finds_what_is_finished(source, folder, model):
    assert scoring.finished([source], folder, model) == {}
    part = scoring.score_file(source, folder, model)
    assert scoring.finished([source], folder, model) == {str(source): part}


def newer(source, folder, model):
    os.utime(source, ns=(1, 1))
    return model


def another_model(source, folder, model):
    return dataclasses.replace(model, version="0" * 64)


def cut_off(source, folder, model):
    path = folder / source.name
    path.write_bytes(path.read_bytes()[:-1])
    return model


def damaged(source, folder, model):
    path = folder / source.name
    column = pq.read_metadata(path).row_group(0).column(1)
    overwritten(path, column.data_page_offset + 100, 3_000)
    return model


def other_scores(source, folder, model):
    """With everything that a part says of itself."""
    path = folder / source.name
    table = pq.read_table(path)
    pq.write_table(table.set_column(1, "score", pa.array([0.5] * ROWS)), path)
    return model


def larger(source, folder, model):
    """Another file of the same age."""
    status = source.stat()
    pq.write_table(pq.read_table(source), source, compression="none")
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert source.stat().st_size != status.st_size
    return model


def fewer_rows(source, folder, model):
    path = folder / source.name
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    return model


def somebody_elses(source, folder, model):
    pq.write_table(pa.table({"order_id": range(ROWS), "score": [0.5] * ROWS}), folder / source.name)
    return model


def half(source, folder, model):
    (folder / source.name).rename(folder / f"{source.name}.1234.tmp")
    return model


def no_source(source, folder, model):
    source.unlink()
    return model


@pytest.mark.parametrize(
    "change",
    [newer, larger, another_model, cut_off, damaged, other_scores, fewer_rows, somebody_elses, half, no_source],
    ids=lambda change: change.__name__,
)
def test_what_is_not_finished_is_not_taken_for_it(source, folder, model, change):
    scoring.score_file(source, folder, model)
    assert scoring.finished([source], folder, change(source, folder, model)) == {}


def test_the_manifest_lists_what_is_there(source, folder, model):
    part = scoring.score_file(source, folder, model)
    scoring.write_manifest(folder, [part])
    assert scoring.read_manifest(folder) == [part]
    assert json.loads((folder / scoring.MANIFEST_NAME).read_text())["rows"] == ROWS


def test_the_manifest_is_in_order_whoever_was_first(source, folder, model):
    second = source.rename(source.with_name("part-1.parquet"))
    first = Path(shutil.copy(second, source))
    listed = [scoring.score_file(path, folder, model) for path in (second, first)]
    scoring.write_manifest(folder, listed)
    assert scoring.read_manifest(folder) == listed[::-1]


def a_folder_instead_of_the_manifest(folder):
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").mkdir()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "the scores aren't complete"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json: JSONDecodeError"),
        (lambda folder: (folder / "manifest.json").write_text('{"parts": [{}]}'), "manifest.json: TypeError"),
        (
            lambda folder: (folder / "manifest.json").write_text(
                '{"parts": [{"name": 5, "source": "", "rows": 1, "model": "", "sha256": ""}]}'
            ),
            "isn't a part",
        ),
        pytest.param(
            a_folder_instead_of_the_manifest,
            "can't read .*manifest.json: IsADirectoryError",
            marks=pytest.mark.skipif(os.name == "nt", reason="Windows has another error"),
        ),
        (lambda folder: (folder / "part-0.parquet").unlink(), "part-0.parquet is in the manifest, but missing"),
        (lambda folder: (folder / "part-0.parquet").write_bytes(b""), "part-0.parquet doesn't match the manifest"),
        (lambda folder: (folder / "part-9.parquet").write_bytes(b""), "part-9.parquet is not in the manifest"),
    ],
)
def test_scores_that_are_not_what_the_manifest_lists_are_refused(source, folder, model, harm, words):
    scoring.write_manifest(folder, [scoring.score_file(source, folder, model)])
    harm(folder)
    with pytest.raises(scoring.CannotScore, match=words):
        scoring.read_manifest(folder)


def test_no_manifest_of_parts_twice_or_gone(source, folder, model):
    part = scoring.score_file(source, folder, model)
    with pytest.raises(scoring.CannotScore, match="more than once"):
        scoring.write_manifest(folder, [part, part])
    with pytest.raises(scoring.CannotScore, match=r"gone\.parquet is in the list of parts, but missing"):
        scoring.write_manifest(folder, [part, dataclasses.replace(part, name="gone.parquet")])
    other = dataclasses.replace(part, name="other.parquet", model="0" * 64)
    (folder / other.name).write_bytes((folder / part.name).read_bytes())
    with pytest.raises(scoring.CannotScore, match="the parts come from 2 models: 000000000000, "):
        scoring.write_manifest(folder, [part, other])
    assert not (folder / scoring.MANIFEST_NAME).exists()


def test_a_full_disk_leaves_the_manifest_that_was_there(source, folder, model, full_disk):
    part = scoring.score_file(source, folder, model)
    scoring.write_manifest(folder, [part])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with full_disk, pytest.raises(scoring.CannotScore, match=r"can't write manifest\.json to .*No space left"):
        scoring.write_manifest(folder, [part])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
