"""The exercise of lab 22: wrong answers get their own advice; right ones of several shapes pass."""

from __future__ import annotations

import contextlib
import inspect
import random
import types
from collections import Counter

import pytest

from daskclass.exercises import lab22
from daskclass.exercises.exercise import TryNext


def _found(client, package):
    from importlib.metadata import PackageNotFoundError, version

    def here(dask_worker):
        try:
            return dask_worker.name, version(package)
        except PackageNotFoundError:
            return dask_worker.name, None

    return client.run(here)


def of_addresses(client, package):
    found = {address: version for address, (_name, version) in _found(client, package).items()}
    [(usual, _)] = Counter(found.values()).most_common(1)
    return [address for address, version in found.items() if version != usual]


def only_those_that_have_it(client, package):
    found = {name: version for name, version in _found(client, package).values() if version}
    usual = Counter(found.values()).most_common(1)[0][0]
    return [name for name, version in found.items() if version != usual]


def those_that_agree(client, package):
    found = dict(_found(client, package).values())
    [(usual, _)] = Counter(found.values()).most_common(1)
    return [name for name, version in found.items() if version == usual]


def below_the_newest(client, package):
    found = dict(_found(client, package).values())
    newest = max(version or "" for version in found.values())
    return [name for name, version in found.items() if (version or "") != newest]


def asks_here(client, package):
    from importlib.metadata import version

    return [version(package)]


WRONG = {
    "a number": (7, "should be a function"),
    "asks in the notebook": (asks_here, "It raised `PackageNotFoundError"),
    "a text": (lambda client, package: "alder", "should return a list of names"),
    "nothing": (lambda client, package: None, "should return a list of names"),
    "addresses": (of_addresses, "It returned addresses"),
    "only those that have it": (only_those_that_have_it, "no such package"),
    "those that agree": (those_that_agree, "These are those that agree"),
    "below the newest": (below_the_newest, "It returned ["),
    "always empty": (lambda client, package: [], "It returned nothing"),
}


def by_versions(client, package):
    """With Dask's own check, which has addresses."""
    told = client.get_versions(packages=[package])["workers"]
    found = {address: one["packages"].get(package) for address, one in told.items()}
    usual = Counter(found.values()).most_common(1)[0][0]
    names = {address: one["name"] for address, one in client.scheduler_info(n_workers=-1)["workers"].items()}
    return {names[address] for address, version in found.items() if version != usual}


def by_tasks(client, package):
    """With a task for each worker, and a table."""
    import pandas as pd
    from distributed import get_worker

    def here():
        from importlib import metadata

        try:
            return get_worker().name, metadata.version(package)
        except metadata.PackageNotFoundError:
            return get_worker().name, "none"

    tasks = [client.submit(here, workers=[address], pure=False) for address in client.nthreads()]
    versions = pd.Series(dict(client.gather(tasks)))
    return tuple(versions.index[versions != versions.mode()[0]])


for _function in [value for value in globals().values() if inspect.isfunction(value)]:
    if _function.__module__ == __name__ and not _function.__name__.startswith("test_"):
        _function.__module__ = "__main__"


@pytest.fixture(scope="module")
def one_cluster():
    """One for all answers, since it takes seconds to start: the judge's random numbers are the same each time."""
    started = {}
    with contextlib.ExitStack() as stack:

        @contextlib.contextmanager
        def machines(packages, known=lab22._machines):
            if not started:
                started["packages"], started["client"] = packages, stack.enter_context(known(packages))
            assert packages == started["packages"]
            yield started["client"]

        yield machines


@pytest.fixture
def same(one_cluster, monkeypatch):
    chance = random.Random(22)
    chosen = types.SimpleNamespace(sample=chance.sample, randrange=chance.randrange)
    monkeypatch.setattr(lab22, "random", chosen)
    monkeypatch.setattr(lab22, "_machines", one_cluster)


def judge(answer):
    """With the same chance each time."""
    chance = random.Random(22)
    lab22.random.sample, lab22.random.randrange = chance.sample, chance.randrange
    return lab22.whose.judge(answer)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_has_advice_of_its_own(name, same):
    answer, advice = WRONG[name]
    with pytest.raises(TryNext) as raised:
        judge(answer)
    assert advice in str(raised.value)


@pytest.mark.parametrize("answer", [by_versions, by_tasks, lab22._solve_whose])
def test_other_ways_are_right(answer, same):
    assert "and none where all agreed" in judge(answer)


def test_every_advice_is_reached(unreached, same):
    rows = [(types.SimpleNamespace(judge=judge), answer, {}) for answer, _advice in WRONG.values()]
    assert unreached(lab22, rows) == []
