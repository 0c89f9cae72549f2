"""How fast can we answer lab 02's question, and in how much memory? Prints one table.

The question is the mean price by category. Five ways run on a cluster of two workers with one thread each: the recipe
that the class grew from; the same recipe, tuned; blocks of CSV that Arrow parses and adds up inside the task; Parquet;
and files of Parquet that Arrow reads and adds up inside the task, eight tasks in all. For comparison, DuckDB and Polars
run on as many threads as there are cores, and pandas on one. All but the recipe name the two columns that they need.

Each way runs in a separate process, one after the other. In each of several rounds, all files are read once before, and
every other round goes in reverse order. We compare each answer with the exact one. Only the ratio to the recipe within
a round counts. The time goes from the question to the answer, without imports and without the start of the cluster.
Memory is the most that the process and its workers held together.

    python benchmarks/question.py [--size class] [--rounds 3] [--only WAY …]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

import psutil
from dask.utils import format_bytes

from daskclass import limits, sizes
from daskclass.errors import Problem
from daskclass.sales import Sales, open_sales

CLUSTER = """
import logging

import dask
import dask.dataframe as dd
import pyarrow
import pyarrow.csv
from dask.distributed import Client, LocalCluster

logging.getLogger("distributed.shuffle").setLevel(logging.ERROR)
workers = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": WORKER_MEMORY}
with LocalCluster(**workers, dashboard_address="127.0.0.1:0") as cluster, Client(cluster) as client:
    for module in ("dask.dataframe", "pandas", "pyarrow.csv", "pyarrow.parquet"):
        client.run(__import__, module)
"""

RECIPE = """
def ask():
    return dd.read_csv(CSV).groupby("category")["price"].mean().compute()
"""

TUNED = """
def ask():
    orders = dd.read_csv(CSV, blocksize=BLOCKSIZE)[["category", "price"]]
    return orders.groupby("category")["price"].mean(split_out=1).optimize().compute()
"""

ARROW = """
from dask.bytes import read_bytes


@dask.delayed
def added_up(block, names):
    table = pyarrow.csv.read_csv(
        pyarrow.BufferReader(block),
        read_options=pyarrow.csv.ReadOptions(column_names=names, use_threads=False),
        convert_options=pyarrow.csv.ConvertOptions(include_columns=["category", "price"]),
    )
    return table.group_by("category", use_threads=False).aggregate([("price", "sum"), ("price", "count")])


def ask():
    with open(CSV) as lines:
        names = next(lines).rstrip().split(",")
    _sample, (blocks,) = read_bytes(CSV, delimiter=b"\\n", not_zero=True, blocksize=BLOCKSIZE)
    parts = dask.compute(*(added_up(block, names) for block in blocks))
    sums = pyarrow.concat_tables(parts).to_pandas().groupby("category").sum()
    return sums.price_sum / sums.price_count
"""

DASK_PARQUET = """
def ask():
    return dd.read_parquet(PARQUET).groupby("category")["price"].mean(split_out=1).optimize().compute()
"""

ARROW_PARQUET = """
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq


@dask.delayed
def files_added_up(paths):
    sums = []
    for path in paths:
        file = pq.ParquetFile(path, read_dictionary=["category"], memory_map=True)
        table = file.read(["category", "price"], use_threads=False).unify_dictionaries()
        grouped = table.group_by("category", use_threads=False)
        sums.append(grouped.aggregate([("price", "sum"), ("price", "count")]))
        del table, grouped
    table = pyarrow.concat_tables(sums).unify_dictionaries().to_pandas()
    return table.astype({"category": "str"}).groupby("category").sum()


def ask():
    paths = sorted(Path(PARQUET).glob("*.parquet"))
    eighths = [files_added_up(paths[number::8]) for number in range(min(8, len(paths)))]
    sums = pd.concat(dask.compute(*eighths)).groupby("category").sum()
    return sums.price_sum / sums.price_count
"""

DUCKDB = """
import duckdb


def ask():
    rows = duckdb.sql(f"select category, avg(price) from {{FROM}} group by category").fetchall()
    return dict(rows)
"""

POLARS = """
import polars as pl


def ask():
    rows = {SCAN}.group_by("category").agg(pl.col("price").mean()).collect()
    return dict(rows.iter_rows())
"""

PANDAS = """
import pandas as pd


def ask():
    return pd.read_csv(CSV, usecols=["category", "price"]).groupby("category")["price"].mean()
"""

TIMED = """
import json
import time

started = time.perf_counter()
answer = ask()
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "answer": {str(name): float(mean) for name, mean in answer.items()}}))
"""


def _on_cluster(ask: str) -> str:
    body = "".join(f"    {line}" if line.strip() else line for line in (ask + TIMED).splitlines(keepends=True))
    return CLUSTER + body


WAYS = {
    "Dask, CSV: the recipe": _on_cluster(RECIPE),
    "Dask, CSV: tuned": _on_cluster(TUNED),
    "Dask, CSV: Arrow in the task": _on_cluster(ARROW),
    "Dask, Parquet": _on_cluster(DASK_PARQUET),
    "Dask, Parquet: Arrow in the task": _on_cluster(ARROW_PARQUET),
    "DuckDB, CSV": DUCKDB.replace("{{FROM}}", "'{CSV}'") + TIMED,
    "DuckDB, Parquet": DUCKDB.replace("{{FROM}}", "'{PARQUET}/*.parquet'") + TIMED,
    "Polars, CSV": POLARS.replace("{SCAN}", "pl.scan_csv(CSV)") + TIMED,
    "Polars, Parquet": POLARS.replace("{SCAN}", "pl.scan_parquet(PARQUET)") + TIMED,
    "pandas, CSV": PANDAS + TIMED,
}
RECIPE_NAME = next(iter(WAYS))


def ask(way: str, size: sizes.Size, sales: Sales) -> tuple[limits.Run, float | None]:
    """How `way` went, and its seconds; None if it ran out of memory.

    Raises
    ------
    SystemExit
        If it failed otherwise, or its answer is wrong.
    """
    most = int(
        0.9 * psutil.virtual_memory().available
    )  # so that a way that needs too much doesn't take other processes down
    run = limits.run(
        WAYS[way],
        most,
        CSV=sales.csv,
        PARQUET=sales.parquet,
        BLOCKSIZE=size.blocksize,
        WORKER_MEMORY=size.worker_memory,
    )
    if run.out_of_memory:
        return run, None
    if run.ended != "finished":
        raise SystemExit(f"{way}: {run.ended}, {run.how}\n{run.output}")
    # After the answer, Dask may still print something when its connections close.
    said = json.loads(next(line for line in reversed(run.output.splitlines()) if line.startswith("{")))
    exact = {name: answer["price_cents"] / answer["rows"] / 100 for name, answer in sales.answers.items()}
    if set(said["answer"]) != set(exact) or any(abs(said["answer"][name] / exact[name] - 1) > 1e-9 for name in exact):
        raise SystemExit(f"{way}: {said['answer']} is not {exact}")
    return run, said["seconds"]


def _read_all(sales: Sales) -> None:
    for path in (sales.csv, *sales.parts):
        with Path(path).open("rb", buffering=0) as file:
            while file.read(2**24):
                continue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="class")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds has to be 1 or more")
    try:
        size = sizes.parse(arguments.size)
        sales = open_sales(size.name)
    except Problem as problem:
        parser.error(str(problem))
    ways = list(dict.fromkeys([RECIPE_NAME, *arguments.only]))
    seconds: dict[str, list[float | None]] = {way: [] for way in ways}  # None where memory ran out
    peaks = dict.fromkeys(ways, 0)
    for number in range(arguments.rounds):
        _read_all(sales)  # so that no way pays for a disk that the next one finds cached
        for way in ways if number % 2 == 0 else reversed(ways):
            run, took = ask(way, size, sales)
            peaks[way] = max(peaks[way], run.peak)
            seconds[way].append(took)
            told = f"{took:.1f} s" if took is not None else run.how
            print(f"round {number + 1}: {way}: {told}", file=sys.stderr, flush=True)
    print(f"{sales.rows:,} rows, {format_bytes(sales.bytes)} of CSV, {os.cpu_count()} cores; every answer is exact\n")
    print(f"{'':32} {'seconds':>8}  {'times as fast as the recipe':30} {'peak memory':>14}")
    for way in ways:
        took = [one for one in seconds[way] if one is not None]
        if took:
            pairs = zip(seconds[RECIPE_NAME], seconds[way], strict=True)
            ratios = [recipe / own for recipe, own in pairs if recipe is not None and own is not None]
            spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})" if ratios else "–"
            told = f"{statistics.median(took):8.1f}  {spread:30}"
        else:
            told = f"{'–':>8}  {'out of memory':30}"
        print(f"{way:32} {told} {format_bytes(peaks[way]):>14}")
    print(json.dumps({"seconds": seconds, "peak_bytes": peaks}))


if __name__ == "__main__":
    main()
