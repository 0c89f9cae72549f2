"""How many rows per second does each way of lab 14 score, compared with as many bare processes as there are workers?

A bare process has its share of the orders in memory, as a DataFrame, and only calls `predict_proba`, file by file. That
is the most that these cores can do. Each way also has to read the orders from Parquet, bring orders and model together,
and write the scores. The ways come from the lab's notebook. `parts` is the lab's job: it scores a few row groups at a
time, with checks, into a part that is written completely or not at all. The last two repeat two of the ways, on workers
without `MALLOC_TRIM_THRESHOLD_` and without a profile, like the workers that the job starts.

A round measures the bare processes, the ways (in reverse order in every other round), and the bare processes again.
Only the ratio within a round counts, relative to the mean of both. Each way's scores must equal scikit-learn's.

    python benchmarks/scoring.py [--rounds 3] [--rows 2000000] [--kinds forest boosted xgboost] [--workers 2]
"""

import argparse
import contextlib
import gc
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import dask.dataframe as dd
import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from distributed import Client, LocalCluster, WorkerPlugin, default_client, get_worker

from daskclass import labs, scoring, watch
from daskclass.sales import Sales, open_sales

ROOT = Path(__file__).parents[1]
FEATURES = list(scoring.FEATURES)
FILES = 8
WAYS = (
    *("gather_and_loop", "with_joblib", "joblib_at_best", "in_the_graph", "graph_at_best", "in_each_call"),
    *("scattered", "once_a_worker"),
)
TRIM = "MALLOC_TRIM_THRESHOLD_"
ALONE = "left alone"

BARE = """
import sys, time
import pandas as pd
from daskclass import scoring

pipeline = scoring.load(sys.argv[1]).pipeline
frames = [pd.read_parquet(path, columns=list(scoring.FEATURES)) for path in sys.argv[2:]]
pipeline.predict_proba(frames[0])  # as the ways run once before they're measured
print("ready", flush=True)
sys.stdin.readline()
for frame in frames:
    pipeline.predict_proba(frame)
print(sum(map(len, frames)), flush=True)
"""


def cut(sales: Sales, rows: int, folder: Path) -> list[str]:
    """The first orders as `FILES` files with the same number of rows, and with the row groups of the full data."""
    held = pq.read_metadata(sales.parts[0]).num_rows
    orders = pa.concat_tables(map(pq.read_table, sales.parts[: 1 + rows // held])).slice(0, rows)
    if len(orders) < rows:
        raise SystemExit(f"there are {len(orders):,} orders, and {rows:,} are asked for")
    each, paths = rows // FILES, []
    for number in range(FILES):
        paths.append(str(folder / f"slice-{number}.parquet"))
        pq.write_table(orders.slice(number * each, each), paths[-1], row_group_size=131_072)
    return paths


def bare(home: Path, slices: list[str], workers: int) -> float:
    """Rows per second of `workers` processes at the same time, each with its share of the files in memory."""
    # One thread, as a nanny sets for its worker. But without the other variables that nannies set in this process: they
    # slow malloc down, and would make the bare processes look too slow.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    environment["OMP_NUM_THREADS"] = "1"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BARE, str(home), *slices[number::workers]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for number in range(workers)
    ]
    try:
        for process in processes:
            if process.stdout.readline() != "ready\n":
                raise SystemExit(f"a bare process ended with status {process.wait()}")
        began = time.perf_counter()
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        rows = sum(int(process.stdout.readline()) for process in processes)
        return rows / (time.perf_counter() - began)
    finally:
        for process in processes:
            process.communicate()


def of_the_lab(client: Client, pipeline: object, home: Path, slices: list[str]) -> dict[str, Callable[[str], None]]:
    """The ways of the lab: functions that write a file of scores for each of `slices` to a folder."""
    [lab] = labs.choose("14", labs.find(ROOT))
    given = {
        "__name__": "__main__",  # so that functions are pickled by value, like a notebook's functions
        **{"FEATURES": FEATURES, "Path": Path, "dask": dask, "dd": dd, "get_worker": get_worker, "joblib": joblib},
        **{"np": np, "pd": pd, "scoring": scoring, "WorkerPlugin": WorkerPlugin},
        **{"client": client, "home": home, "pipeline": pipeline, "slices": slices},
    }
    for cell in ("tools", "gather", "joblib", "graph", "futures", "plugin"):
        exec(lab.cells[cell], given)
    client.register_plugin(given["LoadModel"](str(home)))
    return {name: given[name] for name in WAYS}


def parts(client: Client, slices: list[str], folder: str) -> None:
    """The lab's job, on this cluster. It needs the lab's plugin on the workers."""
    job = runpy.run_path(str(ROOT / "labs" / "materials" / "score_all.py"))
    for _source, done in job["in_turn"](client, job["score"], slices, folder, at_once=job["AT_ONCE"]):
        done.result()


def scores_of(slices: list[str], folder: str) -> np.ndarray:
    """The scores in a way's folder, in the order of the files."""
    arrays = []
    for path in map(Path, slices):
        part = Path(folder) / path.name
        arrays.append(
            pq.read_table(part).column("score").to_numpy() if part.exists() else np.load(part.with_suffix(".npy"))
        )
    return np.concatenate(arrays)


@contextlib.contextmanager
def workers_of(home: Path, slices: list[str], workers: int) -> Iterator[dict[str, Callable[[str], None]]]:
    """A cluster of `workers` workers, and the ways on it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit="2 GiB",
            dashboard_address="127.0.0.1:0",
            local_directory=folder,
        ) as cluster,
        Client(cluster) as client,
    ):
        ways = of_the_lab(client, scoring.load(home).pipeline, home, slices)
        yield ways | {"parts": lambda folder: parts(client, slices, folder)}


@contextlib.contextmanager
def left_alone() -> Iterator[None]:
    """Workers that start within the block keep freed memory and don't profile, as in the lab's job."""
    os.environ.pop(TRIM, None)
    settings = {f"distributed.nanny.pre-spawn-environ.{TRIM}": None, "distributed.worker.profile.enabled": False}
    with dask.config.set(settings):
        yield


def settle() -> None:
    """Wait until the workers hold nothing any more.

    What joblib has scattered stays until Python collects garbage, because its backend refers to itself. If that happens
    while the next call scatters the same model, under the same key, the new copies go as well: "lost dependencies".
    """
    client = default_client()

    def empty() -> bool:
        gc.collect()
        return not client.nbytes(summary=False)

    watch.until(empty, "the end of what a way has left on the workers")


def rates_of(
    ways: dict[str, Callable[[str], None]], slices: list[str], exact: np.ndarray, backwards: bool
) -> dict[str, float]:
    """Rows per second of each way. Checks the scores."""
    rates = {}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about the large model in the graph
        for name, way in reversed(ways.items()) if backwards else ways.items():
            way(tempfile.mkdtemp(dir=folder))  # once, to warm up imports and connections
            settle()
            place = tempfile.mkdtemp(dir=folder)
            began = time.perf_counter()
            way(place)
            rates[name] = len(exact) / (time.perf_counter() - began)
            if not np.array_equal(scores_of(slices, place), exact):
                raise SystemExit(f"{name}: the scores are not scikit-learn's")
            settle()
    return rates


def one_round(home: Path, slices: list[str], workers: int, exact: np.ndarray, backwards: bool) -> dict[str, float]:
    """Rows per second of the bare processes and of each way."""

    def as_started() -> dict[str, float]:
        with workers_of(home, slices, workers) as ways:
            return rates_of(ways, slices, exact, backwards)

    def again() -> dict[str, float]:
        with left_alone(), workers_of(home, slices, workers) as ways:
            few = {f"{name}, {ALONE}": ways[name] for name in ("once_a_worker", "parts")}
            return rates_of(few, slices, exact, backwards)

    rates = {"bare before": bare(home, slices, workers)}
    for measure in (again, as_started) if backwards else (as_started, again):
        rates |= measure()
    rates["bare after"] = bare(home, slices, workers)
    return {"bare": statistics.mean([rates["bare before"], rates["bare after"]]), **rates}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--kinds", nargs="+", default=["forest", "boosted", "xgboost"])
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    sales = open_sales()
    figures: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        slices = cut(sales, asked.rows, Path(folder))
        orders = pd.concat([pd.read_parquet(path, columns=FEATURES) for path in slices])
        training = scoring.sample(sales, asked.rows // 5)
        prepared = {}
        for kind in asked.kinds:
            pipeline = scoring.train(training, kind)
            home = Path(folder) / kind
            scoring.save(pipeline, home)
            prepared[kind] = home, pipeline.predict_proba(orders)[:, 1]
        del orders
        for number in range(asked.rounds):
            for kind, (home, exact) in prepared.items():
                rates = one_round(home, slices, asked.workers, exact, backwards=number % 2 == 1)
                figures.setdefault(kind, []).append(rates)
                print(
                    f"round {number + 1}, {kind}: {rates['bare']:,.0f} rows per second bare "
                    f"({rates['bare before']:,.0f}, {rates['bare after']:,.0f})",
                    flush=True,
                )
                for name, rate in rates.items():
                    if not name.startswith("bare"):
                        print(f"  {name:>32}: {rate:>9,.0f}, {rate / rates['bare']:.2f}", flush=True)
    for kind, rows in figures.items():
        for name in rows[0]:
            if not name.startswith("bare"):
                ratios = [row[name] / row["bare"] for row in rows]
                print(
                    f"{kind}, {name}: {statistics.median(ratios):.2f} of the bare processes "
                    f"({min(ratios):.2f} to {max(ratios):.2f})"
                )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
