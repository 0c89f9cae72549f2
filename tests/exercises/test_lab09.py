"""Exercises of lab 09: each wrong answer that we thought of gets its own advice."""

from __future__ import annotations

import inspect
import shutil
import tempfile
import threading
import time
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster

from daskclass.exercises import lab09


def in_every_call(client, prices, rank):
    return [client.submit(rank, number, prices, pure=False) for number in range(8)]


def fails(client, prices, rank):
    raise KeyError("table")


def seven(client, prices, rank):
    return lab09._solve_lighter(client, prices, rank)[:7]


def results(client, prices, rank):
    return [rank(number, prices) for number in range(8)]


def fails_on_the_worker(client, prices, rank):
    return [client.submit(divmod, number, 0, pure=False) for number in range(8)]


def fails_as_the_bug_does(client, prices, rank):
    def fail():
        raise RuntimeError("AssertionError(<TaskState 'prices' processing>)")

    return [client.submit(fail, pure=False) for _ in range(8)]


def backwards(client, prices, rank):
    return lab09._solve_lighter(client, prices, rank)[::-1]


def knows_the_ranks(client, prices, rank):
    """The right ones of the notebook's own array, which is the same in each run of these tests."""
    known = np.random.default_rng(0).random(500_000)[:8].tolist()
    return [client.submit(float, number, pure=False) for number in known]


LIGHTER = {
    "a list": ([1, 2], "should be a function"),
    "raises": (fails, "It raised `KeyError"),
    "seven": (seven, "a list of 8 futures"),
    "nothing": (lambda client, prices, rank: 5, "a list of 8 futures"),
    "in the notebook": (results, "`rank` ran in the notebook"),
    "numbers": (lambda client, prices, rank: [1.0] * 8, "It should return futures"),
    "a task raises": (fails_on_the_worker, "A task raised `ZeroDivisionError"),
    "as the bug": (fails_as_the_bug_does, "scatter the array, and pass the future"),
    "backwards": (backwards, "in this order"),
    "known": (knows_the_ranks, "Use the `rank` and the `prices` that your function gets"),
    "heavy": (in_every_call, "16 times the array"),
}


def named(path, folder) -> Path:
    return Path(folder) / Path(path).name


def dear(path):
    orders = pd.read_parquet(path)
    return orders[orders.price >= 900]


def raises(path, folder):
    raise FileNotFoundError(path)


def returns_a_path(path, folder):
    dear(path).to_parquet(named(path, folder))
    return named(path, folder)


def carries(path, folder):
    with tempfile.NamedTemporaryFile(delete=False) as file:
        dear(path).to_parquet(file.name)
    return str(shutil.move(file.name, named(path, folder)))


def writes_elsewhere(path, folder):
    return path


def writes_nothing(path, folder):
    return str(named(path, folder))


def writes_one(path, folder):
    dear(path).to_parquet(f"{folder}/dear.parquet")
    return f"{folder}/dear.parquet"


def naps(client, prices, rank):
    return [client.submit(time.sleep, 1, pure=False) for _ in range(8)]


def writes_anywhere(path, folder):
    part = f"{folder}/{uuid.uuid4()}.parquet"
    dear(path).to_parquet(part)
    return part


def changes_prices(path, folder):
    dear(path).assign(price=900.0).to_parquet(named(path, folder))
    return str(named(path, folder))


def with_a_lock(lock=threading.Lock()):  # noqa: B008
    return lambda path, folder: lock.acquire()


def leaves_more(path, folder):
    named(path, folder).with_suffix(".half").write_text("half")
    return lab09._solve_expensive_part(path, folder)


def writes_text(path, folder):
    named(path, folder).write_text("dear")
    return str(named(path, folder))


def loses_the_price(path, folder):
    dear(path)[["store"]].to_parquet(named(path, folder))
    return str(named(path, folder))


def under_its_name_at_once(path, folder):
    dear(path).to_parquet(named(path, folder))
    return str(named(path, folder))


def cleans_up_on_errors(path, folder):
    """Which helps against a full disk, and not against a kill."""
    try:
        dear(path).to_parquet(named(path, folder))
    except BaseException:
        named(path, folder).unlink(missing_ok=True)
        raise
    return str(named(path, folder))


def renames_in_any_case(path, folder):
    """Which is safe against a kill, and not against an error."""
    unfinished = named(path, folder).with_suffix(f".{uuid.uuid4()}.tmp")
    try:
        dear(path).to_parquet(unfinished)
    finally:
        unfinished.replace(named(path, folder))
    return str(named(path, folder))


def writes_all(path, folder):
    pd.read_parquet(path).to_parquet(named(path, folder))
    return str(named(path, folder))


def above_900(path, folder):
    orders = pd.read_parquet(path)
    orders[orders.price > 900].to_parquet(named(path, folder))
    return str(named(path, folder))


def cheap(path, folder):
    orders = pd.read_parquet(path)
    orders[orders.price < 900].to_parquet(named(path, folder))
    return str(named(path, folder))


def copies(path, folder):
    unfinished = f"{folder}/{uuid.uuid4()}"
    dear(path).to_parquet(unfinished)
    shutil.copyfile(unfinished, named(path, folder))
    Path(unfinished).unlink()
    return str(named(path, folder))


def one_name_for_all(path, folder):
    unfinished = named(path, folder).with_suffix(".tmp")
    dear(path).to_parquet(unfinished)
    unfinished.replace(named(path, folder))
    return str(named(path, folder))


def loses_cents(path, folder):
    unfinished = named(path, folder).with_suffix(f".{uuid.uuid4()}.tmp")
    dear(path).astype({"price": "float32"}).to_parquet(unfinished)
    unfinished.replace(named(path, folder))
    return str(named(path, folder))


def reports(path, folder):
    from distributed import get_worker

    get_worker().log_event("parts", path)
    return lab09._solve_expensive_part(path, folder)


def takes_its_time(path, folder):
    time.sleep(4)
    return lab09._solve_expensive_part(path, folder)


DEAR = {
    "copies": (copies, "into the file with the final name"),
    "a text": ("dear", "should be a function"),
    "raises": (raises, "A task raised `FileNotFoundError"),
    "a Path": (returns_a_path, "the path as text"),
    "elsewhere": (writes_elsewhere, "write into `folder`"),
    "nothing": (writes_nothing, "there's no such file"),
    "one file": (writes_one, "wrote two inputs to the same file"),
    "one more": (leaves_more, "It also left part-000000.half in the folder"),
    "no Parquet": (writes_text, "couldn't read its file as Parquet"),
    "no price": (loses_the_price, "has no column order_id, day, customer, price"),
    "two places": (writes_anywhere, "it wrote to two places"),
    "other prices": (changes_prices, "but they differ: "),
    "with a lock": (with_a_lock(), "couldn't send it to a worker"),
    "all": (writes_all, "It wrote all orders"),
    "above": (above_900, "exactly 900.00 are missing"),
    "half": (under_its_name_at_once, "half a part under its final name"),
    "carries": (carries, "It writes in another folder"),
    "cleans up": (cleans_up_on_errors, "half a part under its final name"),
    "renames in any case": (renames_in_any_case, "half a part under its final name"),
    "cheap": (cheap, "cost 900.00 or more"),
    "one name": (one_name_for_all, "Give each call a temporary name of its own"),
    "loses cents": (loses_cents, "but they differ: "),
    "reports": (reports, "outside of a worker, and there: ValueError"),
    "takes its time": (takes_its_time, "we have to call it four more times"),
}


# As functions of a notebook do, these travel with all that is in them: workers cannot import this module.
for _function in [value for value in globals().values() if inspect.isfunction(value)]:
    if _function.__module__ == __name__:
        _function.__module__ = "__main__"


@pytest.mark.parametrize("name", LIGHTER)
def test_a_heavy_way_has_advice_of_its_own(name, judged):
    answer, advice = LIGHTER[name]
    verdict = judged(lab09.lighter, answer)
    assert verdict.state == "not yet"
    assert advice in verdict.message


@pytest.mark.parametrize("name", DEAR)
def test_a_wrong_part_has_advice_of_its_own(name, judged, large_sales, usual_pace):
    answer, advice = DEAR[name]
    verdict = judged(lab09.expensive_part, answer, sales=large_sales)
    assert verdict.state == "not yet"
    assert advice in verdict.message


def test_tasks_that_take_too_long_are_canceled(judged, monkeypatch, client, usual_pace):
    monkeypatch.setattr(lab09, "_SECONDS", 0.2)
    before = set(client.futures)
    assert "weren't done within" in judged(lab09.lighter, naps).message
    assert set(client.futures) == before


def test_a_call_that_never_returns_gets_a_verdict(judged, monkeypatch, usual_pace):
    def waits(client, prices, rank):
        return [client.submit(time.sleep, 2, pure=False).result()]

    monkeypatch.setattr(lab09, "_SECONDS", 0.2)
    assert "still running after" in judged(lab09.lighter, waits).message


def test_futures_without_end_are_not_all_made(judged):
    def endless(client, prices, rank):
        while True:
            yield client.submit(int, 1)

    assert "a list of 8 futures" in judged(lab09.lighter, endless).message


def test_the_bug_of_a_large_keyword_argument_is_named(rank, prices):
    def as_keyword(client, prices, rank):
        return client.map(rank, range(8), prices=prices)

    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "silence_logs": "CRITICAL"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        verdict = lab09.lighter.verdict(as_keyword, client, prices, rank)
    assert "`client.map` fails with a large keyword argument in this version (lab 07)" in verdict.message


def test_every_advice_is_reached(unreached, large_sales, monkeypatch, usual_pace):
    rows = [(lab09.lighter, answer, {}) for answer, _ in LIGHTER.values()]
    rows += [
        (lab09.expensive_part, answer, {"sales": large_sales})
        for answer, _ in DEAR.values()
        if answer not in (takes_its_time, reports)
    ]
    early = unreached(lab09, rows)
    monkeypatch.setattr(lab09, "_SECONDS", 0.2)
    left = unreached(lab09, [(lab09.lighter, naps, {})])
    assert set(early) & set(left) == set()


@pytest.fixture
def copies_stay(client):
    """As in the lab: otherwise Dask may drop a second copy before the tasks use it."""
    client.amm.stop()
    yield
    client.amm.start()


@pytest.mark.usefixtures("copies_stay")
@pytest.mark.parametrize("way", ["broadcast", "delayed", "generator", "numpy"])
def test_other_light_ways_are_right(judged, way):
    import dask

    def broadcast(client, prices, rank):
        table = client.scatter(prices, broadcast=True)
        return [client.submit(rank, number, table, pure=False) for number in range(8)]

    def delayed(client, prices, rank):
        table = dask.delayed(prices)
        return client.compute([dask.delayed(rank)(number, table) for number in range(8)])

    def generator(client, prices, rank):
        yield from broadcast(client, prices, rank)

    def numpy(client, prices, rank):
        def in_numpy(number, table):
            return np.array(rank(number, table))

        return client.map(in_numpy, range(8), table=client.scatter(prices), pure=False)

    ways = {"broadcast": broadcast, "delayed": delayed, "generator": generator, "numpy": numpy}
    verdict = judged(lab09.lighter, ways[way])
    assert verdict.state == "right", verdict.message


def test_a_path_may_be_spelled_otherwise(judged, large_sales):
    def expensive_part(path, folder):
        written = lab09._solve_expensive_part(path, folder)
        return f"{folder}/../{Path(folder).name}/{Path(written).name}"

    expensive_part.__module__ = "__main__"
    verdict = judged(lab09.expensive_part, expensive_part, sales=large_sales)
    assert verdict.state == "right", verdict.message


def test_the_function_is_not_attempted_as_it_stands_in_the_lab(judged):
    def lighter(client, prices, rank):
        """Return a list of eight futures."""
        ...

    def expensive_part(path, folder): ...

    assert judged(lab09.lighter, lighter).state == "not attempted"
    assert judged(lab09.expensive_part, expensive_part).state == "not attempted"


def test_a_part_may_be_written_with_pyarrow(judged, large_sales):
    def expensive_part(path, folder):
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(path, filters=[("price", ">=", 900)])
        unfinished = Path(folder, uuid.uuid4().hex)
        pyarrow.parquet.write_table(table, unfinished)
        return str(unfinished.replace(Path(folder, Path(path).name)))

    expensive_part.__module__ = "__main__"
    verdict = judged(lab09.expensive_part, expensive_part, sales=large_sales)
    assert verdict.state == "right", verdict.message
