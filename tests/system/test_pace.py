"""A time limit gives a slow machine longer, and ends on every machine."""

from __future__ import annotations

import time

import pytest

from daskclass.system import pace


def test_a_process_that_starts_slowly_is_a_slow_machine(monkeypatch):
    monkeypatch.setattr(pace, "_START", f"import time; time.sleep({5 * pace._USUAL})")
    assert 5 < pace.slowness() <= 10


def test_one_that_never_starts_is_no_more_than_ten_times_as_slow(monkeypatch):
    monkeypatch.setattr(pace, "_START", "import time; time.sleep(60)")
    assert pace.slowness() == 10


def test_what_the_process_imports_is_there():
    """Else it would end at once, and every machine would be fast."""
    exec(pace._START, {})


def test_the_pace_is_asked_for_only_when_the_time_is_up(monkeypatch):
    asked = []
    monkeypatch.setattr(pace, "slowness", lambda: asked.append(1) or 1.0)
    limit = pace.Limit(0.2)
    assert 0 < limit.left() <= 0.2
    assert not asked
    time.sleep(0.2)
    assert limit.left() == 0
    assert asked == [1]


def test_a_slow_machine_is_measured_once_for_each_extension_however_often_one_looks(monkeypatch):
    asked = []
    monkeypatch.setattr(pace, "slowness", lambda: asked.append(1) or 1000.0)
    limit = pace.Limit(0.01)
    time.sleep(0.02)
    assert all(limit.left() for _ in range(50))
    assert asked == [1]


def test_a_slow_machine_has_longer_in_proportion(monkeypatch):
    monkeypatch.setattr(pace, "slowness", lambda: 1000.0)
    limit = pace.Limit(0.01)
    time.sleep(0.02)
    assert 0 < limit.left() <= 10


def test_a_wait_goes_on_while_time_is_left(monkeypatch):
    monkeypatch.setattr(pace, "slowness", lambda: 1000.0)
    waits = []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) < 3:
            time.sleep(0.01)
            raise TimeoutError
        return "there"

    assert pace.Limit(0.005).within(wait) == "there"
    assert len(waits) == 3


def test_a_wait_ends_when_the_time_is_up(monkeypatch):
    monkeypatch.setattr(pace, "slowness", lambda: 1.0)

    def wait(seconds):
        time.sleep(seconds)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        pace.Limit(0.05).within(wait)
