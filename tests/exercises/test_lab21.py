"""Exercises of lab 21: each wrong answer that we thought of gets its own advice; right ones of several shapes pass."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import os

import dask
import pytest
import s3fs

from daskclass.errors import Problem
from daskclass.exercises import lab21
from daskclass.exercises.exercise import TryNext


def looks_first(files, path, me):
    """Between the look and the put, others come."""
    if not files.exists(path):
        files.pipe_file(path, me.encode())
    return files.cat_file(path).decode()


def looks_and_waits(files, path, me):
    """As above, but everyone has put before anyone reads."""
    import time

    if not files.exists(path):
        files.pipe_file(path, me.encode())
        time.sleep(3)
    files.invalidate_cache()
    return files.cat_file(path).decode()


def looks_elsewhere(files, path, me):
    """The same, under another name."""
    return looks_and_waits(files, f"{path}-lock", me)


def puts_and_reads(files, path, me):
    """The last one wins, and each reads when it has put."""
    files.pipe_file(path, me.encode())
    return files.cat_file(path).decode()


def itself(files, path, me):
    return me


def the_smallest(files, path, me):
    """Agrees in the end, but not on the first one, and whoever comes later may change it."""
    files.pipe_file(f"{path}-{me}", me.encode())
    return sorted(files.cat(f"{path}-*").values())[0].decode()


def the_largest(files, path, me):
    files.pipe_file(f"{path}-{me}", me.encode())
    return sorted(files.cat(f"{path}-*").values())[-1].decode()


def forgets(files, path, me):
    """Right, but the last visitor of many gets its own text back."""
    from contextlib import suppress

    with suppress(OSError):
        files.pipe_file(path, me.encode(), mode="create")
    first = files.cat_file(path).decode()
    if "together" in path and me.startswith("di"):
        return me
    return first


def leaves(files, path, me):
    os._exit(3)


def returns_nothing(files, path, me):
    files.pipe_file(path, me.encode())


def returns_bytes(files, path, me):
    files.pipe_file(path, me.encode(), mode="create")
    return files.cat_file(path)


def writes_garbage(files, path, me):
    from contextlib import suppress

    with suppress(OSError):
        files.pipe_file(path, b"me" if "together" in path else me.encode(), mode="create")
    return files.cat_file(path).decode()


FIRST = {
    "a number": (7, "should be a function"),
    "raises": (lambda files, path, me: 1 // 0, "It raised `ZeroDivisionError"),
    "nothing": (returns_nothing, "returned 'None'"),
    "leaves": (leaves, "it ended its process"),
    "bytes": (returns_bytes, "returned \"b'cy-"),
    "itself": (itself, "Another process came a second later"),
    "the smallest": (the_smallest, "Another process came a second later"),
    "the largest": (the_largest, "Another process came a second later"),
    "the last one": (puts_and_reads, "Another process came a second later"),
    "looks first": (looks_first, "Between a look and a put, someone else may come"),
    "looks and waits": (looks_and_waits, "each but the last was overwritten"),
    "looks elsewhere": (looks_elsewhere, "into 'together-lock', and each but the last was overwritten"),
    "garbage": (writes_garbage, "which none of them had passed"),
    "forgets": (forgets, "One that came later got"),
}


def by_open(files, path, me):
    """Through a file instead of a single call."""
    try:
        with files.open(path, "xb") as file:
            file.write(me.encode())
    except OSError:
        pass
    return files.cat_file(path).decode()


def by_botocore(files, path, me):
    """With the client below, whose condition has the store's own name."""
    import botocore.session
    from botocore.exceptions import ClientError

    client = botocore.session.Session().create_client("s3")
    bucket, _, name = path.partition("/")
    try:
        client.put_object(Bucket=bucket, Key=name, Body=me.encode(), IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
            raise
    return client.get_object(Bucket=bucket, Key=name)["Body"].read().decode()


def reads_first(files, path, me):
    """It asks whether somebody was there, to save a put, and takes the lock with the condition all the same."""
    while True:
        try:
            return files.cat_file(path).decode()
        except FileNotFoundError:
            pass
        try:
            files.pipe_file(path, me.encode(), mode="create")
            return me
        except OSError:
            files.invalidate_cache()


def all_columns(path):
    import pandas as pd
    import s3fs

    files = s3fs.S3FileSystem()
    parts = [pd.read_parquet(f"s3://{name}") for name in files.glob(path + "*")]
    return pd.concat(parts).category.value_counts().to_dict()


def plan(path):
    import dask.dataframe as dd

    return dd.read_parquet(path + "*", columns=["category"]).category.value_counts()


def whole_bucket(path):
    import dask.dataframe as dd

    orders = dd.read_parquet("s3://orders/", columns=["category"])
    return orders.category.value_counts().compute().to_dict()


def changed(change):
    def answer(path):
        import dask.dataframe as dd

        orders = dd.read_parquet(path + "*", columns=["category"])
        return change(orders.category.value_counts().compute().to_dict())

    return answer


def reads_ahead(path):
    import pandas as pd
    import pyarrow.parquet as pq
    import s3fs

    files, parts = s3fs.S3FileSystem(), []
    for name in files.glob(path + "*"):
        with files.open(name) as file:
            parts.append(pq.read_table(file, columns=["category"]).to_pandas())
    return pd.concat(parts).category.value_counts()


def one_column_more(path):
    import dask.dataframe as dd

    orders = dd.read_parquet(path + "*", columns=["category", "price"])
    return orders.groupby("category").price.count().compute().to_dict()


def written_down(path):
    import dask.dataframe as dd

    return dd.read_parquet("s3://orders/part-0*", columns=["category"]).category.value_counts().compute().to_dict()


LEAN = {
    "one column more": (one_column_more, "The numbers are right. But the store sent"),
    "written down": (written_down, "It raised"),
    "a number": (7, "should be a function"),
    "raises": (lambda path: 1 // 0, "It raised `ZeroDivisionError"),
    "a list": (lambda path: [1, 2], "should return a dictionary"),
    "a plan": (plan, "nothing has been asked"),
    "all columns": (all_columns, "The numbers are right. But the store sent"),
    "reads ahead": (reads_ahead, "does something read ahead"),
    "whole bucket": (whole_bucket, "objects with another prefix"),
    "too few": (changed(lambda told: {name: told[name] for name in told if name != "Toys"}), "no number for 'Toys'"),
    "too many": (changed(lambda told: {**told, "Cars": 1}), "there is no such category"),
    "wrong": (changed(lambda told: {**told, "Toys": told["Toys"] - 1}), "for 'Toys', and there are"),
}


def by_arrow(path):
    """With Arrow, and a file system for it."""
    from collections import Counter

    import pyarrow.parquet as pq
    import s3fs

    files, counts = s3fs.S3FileSystem(), Counter()
    for name in files.glob(path + "*"):
        with files.open(name, cache_type="none") as file:
            for value in pq.read_table(file, columns=["category"])["category"].value_counts().to_pylist():
                counts[value["values"]] += value["counts"]
    return counts


def by_pandas(path):
    import pandas as pd
    import s3fs

    parts = [pd.read_parquet(f"s3://{name}", columns=["category"]) for name in s3fs.S3FileSystem().glob(path + "*")]
    return pd.concat(parts).category.value_counts()


def as_a_table(path):
    import dask.dataframe as dd

    orders = dd.read_parquet(path + "*", columns=["category"])
    return orders.groupby("category").size().compute().to_frame()


def by_dataset(path):
    """Arrow's datasets, which read in pieces: nothing may read ahead for them."""
    import pyarrow.dataset as ds
    import s3fs

    files = s3fs.S3FileSystem(default_cache_type="none")
    table = ds.dataset(files.glob(path + "*"), filesystem=files).to_table(columns=["category"])
    return table["category"].to_pandas().value_counts()


def by_groups(path):
    import dask.dataframe as dd

    orders = dd.read_parquet(path + "*.parquet", columns=["category"])
    return orders.groupby("category").size().compute()


# As functions of a notebook do, these travel with all that is in them.
for _function in [value for value in globals().values() if inspect.isfunction(value)]:
    if _function.__module__ == __name__ and not _function.__name__.startswith("test_"):
        _function.__module__ = "__main__"

WRONG = {
    **{f"first: {name}": (lab21.first, *row) for name, row in FIRST.items()},
    **{f"lean: {name}": (lab21.lean, *row) for name, row in LEAN.items()},
}


@pytest.fixture(scope="module")
def one_store():
    """One for all answers: it takes seconds to start."""
    with lab21._store() as store:
        yield store


@pytest.fixture
def emptied(one_store, monkeypatch):
    """The judges get that one, empty. And they have no client, as in a process of their own."""
    files = s3fs.S3FileSystem(skip_instance_cache=True)

    @contextlib.contextmanager
    def opened(quick=False):
        for bucket in files.ls("", refresh=True):
            files.rm(bucket, recursive=True)
        s3fs.S3FileSystem.clear_instance_cache()  # with what earlier answers listed
        yield one_store

    monkeypatch.setattr(lab21, "_store", opened)
    with dask.config.set(scheduler="threads"):
        yield


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_has_advice_of_its_own(name, emptied):
    exercise, answer, advice = WRONG[name]
    with pytest.raises(TryNext) as raised:
        exercise.judge(answer)
    assert advice in str(raised.value)


@pytest.mark.parametrize("answer", [by_open, by_botocore, reads_first])
def test_other_ways_to_be_first_are_right(answer, emptied):
    assert "agreed on one of them" in lab21.first.judge(answer)


@pytest.mark.parametrize("answer", [by_arrow, by_pandas, by_groups, by_dataset, as_a_table])
def test_other_lean_questions_are_right(answer, emptied):
    assert "The numbers are right" in lab21.lean.judge(answer)


@pytest.mark.parametrize("name", ["first: looks first", "lean: all columns"])
def test_a_verdict_comes_from_a_process_and_a_store_of_its_own(name):
    exercise, answer, advice = WRONG[name]
    verdict = exercise.verdict(answer)
    assert verdict.state == "not yet"
    assert advice in verdict.message


def test_a_store_that_knows_no_condition_judges_nobody(monkeypatch):
    class Store:
        program = "rclone"

    monkeypatch.setattr(lab21, "_store", lambda: contextlib.nullcontext(Store()))
    with pytest.raises(Problem, match="takes no notice of conditions"):
        lab21._judge_first(itself)


def forever(*_arguments):
    while True:
        pass


forever.__module__ = "__main__"


@pytest.mark.parametrize("name", ["first", "lean"])
def test_an_answer_that_never_ends_has_a_verdict(name, usual_pace):
    verdict = dataclasses.replace(getattr(lab21, name), seconds=12.0).verdict(forever)
    assert verdict.state == "not yet"
    assert "still running" in verdict.message


def test_every_advice_is_reached(unreached, emptied):
    rows = [(exercise, answer, {}) for exercise, answer, _advice in WRONG.values()]
    sent = "couldn't send it to another process"  # what a notebook's function needs is sent with it
    store_of_macs = "takes no notice of conditions"
    assert [line for line in unreached(lab21, rows) if sent not in line and store_of_macs not in line] == []
