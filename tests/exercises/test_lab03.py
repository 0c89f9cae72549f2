"""Exercises of lab 03: every wrong answer that was thought of has advice of its own."""

import operator

import pytest

from daskclass.exercises import lab03


@pytest.fixture
def client(by_hand):
    return by_hand


@pytest.fixture
def cases(client, url):
    """Exercise, answer and a part of the advice, by name."""

    def on(worker, function, *arguments):
        return client.submit(function, *arguments, workers=[worker], pure=False)

    def in_cents(worker, value, **options):
        key = f"to_cents-{worker}-{value}-{'-'.join(options)}"
        return client.submit(lambda: value, key=key, workers=[worker], **options)

    def by_chance():
        """On west, because its input is there."""
        return client.submit(abs, client.scatter(999, workers=["west"]), key="to_cents-by-chance")

    return {
        "path, number": (lab03.path, 40, "a string that a task can open"),
        "path, relative": (lab03.path, "stores.csv", "This relative path names a file on a disk"),
        "path, absolute": (lab03.path, "/office/stores.csv", "This absolute path names a file on a disk"),
        "path, file": (lab03.path, "file:///office/stores.csv", "This absolute path names a file on a disk"),
        "path, drive": (lab03.path, r"C:\office\stores.csv", "path names a file on a disk"),
        "path, bucket": (lab03.path, "s3://bucket/stores.csv", "A worker could not open it: "),
        "path, memory": (lab03.path, "memory://stores.csv", "a disk of one process"),
        "path, not there": (lab03.path, f"{url}/store.csv", "A worker could not open it: "),
        "path, other file": (lab03.path, f"{url}/other.csv", "found 41 lines, not 40"),
        "cents, value": (lab03.in_cents, 999, "That is a value and no future"),
        "cents, failed": (lab03.in_cents, on("west", operator.truediv, 1, 0), "It failed: ZeroDivisionError"),
        "cents, other call": (lab03.in_cents, on("west", int, 999), "the call of `rounding.to_cents` itself"),
        "cents, other value": (lab03.in_cents, in_cents("west", 99), "It is 99 and should be 999"),
        "cents, elsewhere": (lab03.in_cents, in_cents("east", 999), "It is right, and it is on east"),
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


def test_a_future_that_stays_pending_is_said(client, judged, monkeypatch):
    monkeypatch.setattr(lab03, "_PATIENCE", 0.5)
    future = client.submit(int, 999, workers=["north"], pure=False)
    assert "It is still pending" in judged(lab03.in_cents, future).message
    future.cancel()


def test_every_advice_is_reached(cases, client, unreached, monkeypatch):
    monkeypatch.setattr(lab03, "_PATIENCE", 0.5)
    rows = [(exercise, answer, {}) for exercise, answer, _advice in cases.values()]
    rows.append((lab03.in_cents, client.submit(int, 999, workers=["north"], pure=False), {}))
    assert unreached(lab03, rows) == []
