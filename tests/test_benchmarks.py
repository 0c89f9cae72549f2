"""Benchmarks check their answers: lab 02's question, what one scheduler can do, and lab 14's ways to score."""

import dataclasses
import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from daskclass import scoring, sizes


def benchmark(name):
    path = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def question():
    return benchmark("question")


OURS = [
    *("Dask, CSV: the recipe", "Dask, CSV: tuned", "Dask, CSV: Arrow in the task"),
    *("Dask, Parquet", "Dask, Parquet: Arrow in the task", "pandas, CSV"),
]


@pytest.mark.parametrize("way", OURS)
def test_a_way_answers_exactly(question, way, large_sales):
    small_blocks = dataclasses.replace(sizes.SMOKE, blocksize="5 MB")
    run, seconds = question.ask(way, small_blocks, large_sales)
    assert run.ended == "finished"
    assert 0 < seconds < run.seconds
    assert run.peak > 30_000_000


def test_all_ways_are_programs(question):
    assert set(OURS) < set(question.WAYS)
    for source in question.WAYS.values():
        compile(source, "way", "exec")


def test_a_wrong_answer_is_no_row(question, small_sales):
    answers = {name: dict(exact) for name, exact in small_sales.answers.items()}
    answers["Books"]["price_cents"] += 1
    wrong = dataclasses.replace(small_sales, answers=answers)
    with pytest.raises(SystemExit, match=r"pandas, CSV: .* is not "):
        question.ask("pandas, CSV", sizes.SMOKE, wrong)


def test_a_way_that_fails_is_no_row(question, small_sales):
    gone = dataclasses.replace(small_sales, csv=small_sales.csv + ".gone")
    with pytest.raises(SystemExit, match="pandas, CSV: failed, FileNotFoundError"):
        question.ask("pandas, CSV", sizes.SMOKE, gone)


def test_a_way_that_does_not_fit_has_no_time(question, small_sales, monkeypatch):
    memory = question.psutil.virtual_memory()
    monkeypatch.setattr(question.psutil, "virtual_memory", lambda: memory._replace(available=45_000_000))
    run, seconds = question.ask("pandas, CSV", sizes.SMOKE, small_sales)
    assert run.out_of_memory
    assert seconds is None


def test_one_schedulers_capacity_is_measured():
    capacity = benchmark("scheduler")
    row = capacity.scheduler(tasks=200, workers=3, idle=1)
    assert row["seconds"] > row["cpu"] > 0
    assert row["received"] > 200
    assert row["sent"] > 500
    assert row["worker_memory"] > 0
    assert 0 < row["worker_cpu"] < 0.1
    assert 100 < row["worker_traffic"] < 1e6  # two heartbeats a second
    assert 0 < capacity.pool(200) < 1


@pytest.fixture(scope="module")
def rates():
    return benchmark("scoring")


WAYS = {
    *("gather_and_loop", "with_joblib", "joblib_at_best", "in_the_graph", "graph_at_best", "in_each_call"),
    *("scattered", "once_a_worker", "parts"),
}
ALONE = {"once_a_worker, left alone", "parts, left alone"}


def test_each_way_to_score_is_measured_beside_bare_processes(rates, large_sales, home, tmp_path):
    slices = rates.cut(large_sales, 16_000, tmp_path)
    assert [len(pd.read_parquet(path)) for path in slices] == [2_000] * 8
    orders = pd.concat([pd.read_parquet(path) for path in slices])
    exact = scoring.load(home).scores(orders)
    row = rates.one_round(home, slices, workers=2, exact=exact, backwards=False)
    assert set(row) == {"bare", "bare before", "bare after", *WAYS, *ALONE}
    assert row["bare"] == (row["bare before"] + row["bare after"]) / 2
    assert min(row.values()) > 0
    with pytest.raises(SystemExit, match="parts, left alone: the scores are not scikit-learn's"):
        rates.one_round(home, slices, workers=2, exact=exact[::-1], backwards=True)


def test_more_orders_than_there_are_cannot_be_cut(rates, small_sales, tmp_path):
    with pytest.raises(SystemExit, match=r"there are [\d,]+ orders, and 900,000 are asked for"):
        rates.cut(small_sales, 900_000, tmp_path)
