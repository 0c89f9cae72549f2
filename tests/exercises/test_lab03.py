"""Exercises of lab 03: every wrong answer that we thought of gets its own advice."""

import operator
import socket
import time
from pathlib import Path

import dask
import pandas as pd
import pytest

from daskclass.exercises import lab03


def to_cents(text):
    """In the place of `rounding.to_cents`, which the judge looks for in the call."""
    return text


to_cents.__module__ = "__main__"  # workers can't import the tests


@pytest.fixture
def client(by_hand):
    return by_hand


@pytest.fixture
def cases(client, url):
    """Exercise, answer and a part of the advice, by name."""

    def on(worker, function, *arguments):
        return client.submit(function, *arguments, workers=[worker], pure=False)

    def in_cents(worker, value, **options):
        return client.submit(to_cents, value, workers=[worker], pure=False, **options)

    def by_chance():
        """On west, because its input is there."""
        return client.submit(to_cents, client.scatter(999, workers=["west"]), key="by-chance")

    def named_so():
        return client.submit(lambda: 999, key="to_cents-mine", workers=["west"])

    def canceled():
        future = on("west", int, 999)
        future.cancel()
        return future

    return {
        "path, number": (lab03.path, 40, "a string that a task can open"),
        "path, relative": (lab03.path, "stores.csv", "This relative path names a file on a disk"),
        "path, absolute": (lab03.path, "/office/stores.csv", "This absolute path names a file on a disk"),
        "path, file": (lab03.path, "file:///office/stores.csv", "This absolute path names a file on a disk"),
        "path, drive": (lab03.path, r"C:\office\stores.csv", "path names a file on a disk"),
        "path, bucket": (lab03.path, "s3://bucket/stores.csv", "A worker couldn't open it: "),
        "path, local": (lab03.path, "local:///office/stores.csv", "This absolute path names a file on a disk"),
        "path, cached": (lab03.path, f"simplecache::{__file__}", "This absolute path names a file on a disk"),
        "path, Path of a URL": (lab03.path, Path(f"{url}/stores.csv"), "A worker couldn't open it: "),
        "path, memory": (lab03.path, "memory://stores.csv", "a disk within one process"),
        "path, not there": (lab03.path, f"{url}/store.csv", "A worker couldn't open it: "),
        "path, other file": (lab03.path, f"{url}/other.csv", "found 41 lines, not 40"),
        "cents, list": (
            lab03.in_cents,
            client.map(int, [999], workers=["west"], pure=False),
            "That's a list with a future in it",
        ),
        "cents, value": (lab03.in_cents, 999, "That's a value, not a future"),
        "cents, failed": (lab03.in_cents, on("west", operator.truediv, 1, 0), "It failed with ZeroDivisionError"),
        "cents, other call": (lab03.in_cents, on("west", int, 999), "a call of `rounding.to_cents`"),
        "cents, typed here": (lab03.in_cents, on("west", lambda to_cents: 999, 0), "a call of `rounding.to_cents`"),
        "cents, only the key": (lab03.in_cents, named_so(), "a call of `rounding.to_cents`"),
        "cents, sent": (
            lab03.in_cents,
            client.scatter({"to_cents-1": 999}, workers=["west"])["to_cents-1"],
            "a call of `rounding.to_cents`",
        ),
        "cents, canceled": (lab03.in_cents, canceled(), "That future was canceled"),
        "cents, other value": (lab03.in_cents, in_cents("west", 99), "It's 99 and should be 999"),
        "cents, elsewhere": (lab03.in_cents, in_cents("east", 999), "right, but it ran on east"),
        "cents, also elsewhere": (
            lab03.in_cents,
            in_cents("west", 999, allow_other_workers=True),
            "lets it run elsewhere",
        ),
        "cents, by chance": (lab03.in_cents, by_chance(), "it ran on west by chance"),
        "versions, number": (lab03.versions, 1, "a dictionary from address to number"),
        "versions, names": (lab03.versions, {"east": 2, "west": 1}, "Its keys are names"),
        "versions, one": (lab03.versions, {"tcp://127.0.0.1:1": 1}, "the 2 addresses of the workers"),
        "versions, all the same": (lab03.versions, dict.fromkeys(client.run(int), 2), "Import `bonus` inside"),
    }


def test_a_wrong_answer_has_advice_of_its_own(cases, judged):
    for name, (exercise, answer, advice) in cases.items():
        verdict = judged(exercise, answer)
        assert verdict.state == "not yet", name
        assert advice in verdict.message, name


def test_a_future_that_stays_pending_is_said(client, judged, monkeypatch, usual_pace):
    monkeypatch.setattr(lab03, "_PATIENCE", 0.5)
    future = client.submit(int, 999, workers=["north"], pure=False)
    assert "It's still pending" in judged(lab03.in_cents, future).message
    future.cancel()


def test_every_advice_is_reached(cases, client, unreached, advice, monkeypatch, usual_pace):
    with monkeypatch.context() as short:
        short.setattr(lab03, "_PATIENCE", 0.5)  # too short for a busy worker that opens a URL
        pending = client.submit(int, 999, workers=["north"], pure=False)
        _said, lines = advice(lab03.in_cents, pending, client)
    [left] = unreached(lab03, [(exercise, answer, {}) for exercise, answer, _advice in cases.values()], lines)
    monkeypatch.setattr(lab03, "_PATIENCE", -4.5)
    busy = client.submit(time.sleep, 2, workers=["west"], pure=False)
    assert left not in unreached(lab03, [(lab03.path, "http://127.0.0.1:1/stores.csv", {})])
    busy.result(timeout=10)


@pytest.fixture
def silent():
    """A URL of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/stores.csv"


def test_a_server_that_never_answers_blocks_no_worker(client, judged, silent, monkeypatch, usual_pace):
    monkeypatch.setattr(lab03, "_PATIENCE", 0.5)
    assert "no answer within 0.5 seconds" in judged(lab03.path, silent).message
    for worker in client.nthreads():
        assert client.submit(int, 7, workers=[worker], pure=False).result(timeout=10) == 7


def test_workers_that_are_busy_are_said(client, judged, url, monkeypatch, usual_pace):
    monkeypatch.setattr(lab03, "_PATIENCE", -4.5)
    busy = client.submit(time.sleep, 2, workers=["west"], pure=False)
    assert "the workers are busy" in judged(lab03.path, f"{url}/stores.csv").message
    busy.result(timeout=10)


def test_a_path_may_be_a_chain_of_file_systems(client, judged, url):
    assert judged(lab03.path, f"simplecache::{url}/stores.csv").state == "right"


def wrapped():
    import rounding

    return rounding.to_cents("9.99")


wrapped.__module__ = "__main__"  # as above


def test_any_call_of_the_function_is_right(client, judged, rounding):
    client.upload_file("rounding.py")
    west = {"workers": ["west"]}
    address = next(worker for worker in client.nthreads() if client.run(ask_name, workers=[worker])[worker] == "west")
    for answer in (
        client.submit(rounding.to_cents, "9.99", workers=address, pure=False),
        client.submit(rounding.to_cents, text="9.99", key="mine", **west),
        client.map(rounding.to_cents, ["9.99"], pure=False, **west)[0],
        client.compute(dask.delayed(rounding.to_cents, pure=False)("9.99"), **west),
        client.submit(wrapped, pure=False, **west),
    ):
        verdict = judged(lab03.in_cents, answer)
        assert verdict.state == "right", verdict.message


def ask_name(dask_worker):
    return dask_worker.name


ask_name.__module__ = "__main__"  # as above


def test_versions_may_be_a_series(client, judged):
    assert judged(lab03.versions, pd.Series(lab03._solve_versions(client))).state == "right"
