"""Kill workers at random while jobs run, and compare every answer with the exact one.

``python tools/soak.py --kills 100``. The exit status is 1 as soon as an answer isn't exact or a job fails.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
from dask.distributed import Client, LocalCluster
from distributed.chaos import KillWorker

from daskclass.sales import Sales, open_sales
from daskclass.system.signals import until_terminated

WORKERS = 3
# The only one of KillWorker's three modes after which the nanny always starts a new process. With "sys.exit", the
# worker says goodbye to its nanny, which then stops. With "graceful", the nanny sometimes stops.
DEATH = "segfault"
PATIENCE = 300  # seconds that a job may take; it can't finish while its workers keep dying
PARTS = 48  # tasks of one job that read


def cents(orders: pd.DataFrame) -> pd.Series:
    """The revenue of each order in whole cents, so that sums are exact in any order."""
    return np.rint(orders.price * 100).astype("int64") * orders.quantity


def of_part(path: str, log: str) -> int:
    """Cents of a file, as a task. It first logs its run to a file that survives a worker's death."""
    with Path(log).open("ab", buffering=0) as file:
        file.write(b"1")
    time.sleep(0.1)  # so that workers can die halfway
    return int(cents(pd.read_parquet(path, columns=["price", "quantity"])).sum())


def add(*numbers: int) -> int:
    """A sum, as a task."""
    return sum(numbers)


def sum_with_futures(client: Client, sales: Sales, log: Path) -> int:
    """The total, by a tree of futures. We keep only the root, so Dask has to recompute lost results on the way."""
    paths = [sales.parts[number % len(sales.parts)] for number in range(PARTS)]
    parts = [client.submit(of_part, str(path), str(log), pure=False) for path in paths]
    groups = [client.submit(add, *parts[first : first + 4], pure=False) for first in range(0, PARTS, 4)]
    return client.submit(add, *groups, pure=False).result(timeout=PATIENCE)


def sum_with_a_dataframe(client: Client, sales: Sales, log: Path) -> dict[str, int]:
    """The total of each category by a collection; its tasks have the same keys each time, and hide nothing."""
    orders = dd.read_parquet([str(path) for path in sales.parts], columns=["category", "price", "quantity"])
    totals = orders.assign(cents=cents(orders)).groupby("category").cents.sum(split_out=2)
    return client.compute(totals).result(timeout=PATIENCE).to_dict()


def jobs(sales: Sales) -> list[tuple[Callable, int | dict[str, int]]]:
    """The jobs and their exact answers. pandas computes those in this process."""
    by_category: Counter[str] = Counter()
    sums = []
    for path in sales.parts:
        orders = pd.read_parquet(path, columns=["category", "price", "quantity"])
        totals = cents(orders).groupby(orders.category.astype(str)).sum()
        by_category.update(totals.to_dict())
        sums.append(int(totals.sum()))
    return [
        (sum_with_futures, sum(sums[number % len(sums)] for number in range(PARTS))),
        (sum_with_a_dataframe, dict(by_category)),
    ]


def deaths(client: Client) -> int:
    """The number of workers that have died so far."""
    events = [event for _when, event in client.get_events("all")]
    return sum(event.get("action") == "remove-worker" and not event["expected"] for event in events)


def in_hand(dask_scheduler) -> str:
    """The scheduler's tasks and workers, which show whether a job hung or was only slow."""
    states = Counter(task.state for task in dask_scheduler.tasks.values())
    workers = Counter(worker.status.name for worker in dask_scheduler.workers.values())
    return f"tasks {dict(states)} and workers {dict(workers)}"


def soak(kills: int, life: float, seconds: float) -> None:
    """Run each job, repeatedly until `kills` workers have died. Each worker lives about `life` seconds.

    Raises
    ------
    SystemExit
        With a message, if an answer isn't exact, a job fails, or `seconds` have passed.
    """
    sales = open_sales()
    to_do, end = jobs(sales), time.monotonic() + seconds
    config = {
        # Dask must not give up on a task because its workers died: that is bad luck, not the task's fault.
        "distributed.scheduler.allowed-failures": sys.maxsize,
        # A LocalCluster checks this long after each death whether the worker is back (15 s by default). If the worker
        # happens to have died again, the LocalCluster closes its nanny for good.
        "distributed.deploy.lost-worker-timeout": "1 day",
        # We count events, so Dask must not drop any of them.
        "distributed.admin.low-level-log-length": 10_000 * kills,
    }
    options = {"n_workers": WORKERS, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with (
        tempfile.TemporaryDirectory(prefix="daskclass-soak-") as folder,
        dask.config.set(config),
        LocalCluster(**options, silence_logs="CRITICAL") as cluster,
        Client(cluster) as client,
    ):
        log = Path(folder, "runs")
        client.register_plugin(KillWorker(life, DEATH), name="killer")
        done = told = dead = trees = 0
        while dead < kills or done < len(to_do):  # on a busy machine, all die during the first job
            job, expected = to_do[done % len(to_do)]
            try:
                answer = job(client, sales, log)
            except Exception as error:
                sys.exit(
                    f"job {done + 1} failed after {deaths(client)} kills: {type(error).__name__}: {error}; "
                    f"the scheduler has {client.run_on_scheduler(in_hand)}"
                )
            done, trees, dead = done + 1, trees + (job is sum_with_futures), deaths(client)
            if answer != expected:
                sys.exit(f"job {done}, after {dead} kills: the answer is {answer}, but {expected} is exact")
            if dead < kills and time.monotonic() > end:
                sys.exit(f"time is up: {dead} of {kills} kills in {seconds:g} seconds")
            if dead // 10 > told:
                told = dead // 10
                print(f"{dead} kills, {done} jobs, every answer exact", flush=True)
        again = log.stat().st_size - trees * PARTS
        print(f"In total: {dead} kills, {done} jobs, {again} repeated reads, every answer exact", flush=True)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="how many workers have to die (default: 100)")
    parser.add_argument("--life", type=float, default=8, help="seconds that a worker lives, on average (default: 8)")
    parser.add_argument("--seconds", type=float, default=1200, help="time limit (default: 1200)")
    arguments = parser.parse_args()
    if arguments.kills < 1:
        parser.error("--kills should be 1 or more")
    if arguments.life <= 0:
        parser.error("--life should be more than 0 seconds")
    if os.name == "nt":
        parser.error("soak doesn't work on Windows, which turns KillWorker's crash into an exception")
    with until_terminated():
        soak(arguments.kills, arguments.life, arguments.seconds)


if __name__ == "__main__":
    main()
