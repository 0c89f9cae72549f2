"""Kill workers at random while jobs run, again and again, and compare every answer with the exact one.

``python tools/soak.py --kills 100``; exit status 1 at the first answer that is not exact, or job that fails.
"""

from __future__ import annotations

import argparse
import sys
import time

import dask
import numpy as np
import pandas as pd
import pyarrow.dataset
from dask.distributed import Client, LocalCluster
from distributed.chaos import KillWorker

from daskclass.sales import open_sales
from daskclass.signals import until_terminated

WORKERS = 3
FILES = 15  # of one job
LIFE = "4s"  # of a worker, on average


def cents(path: str) -> int:
    """What the orders of a file brought in."""
    orders = pd.read_parquet(path, columns=["price", "quantity"])
    time.sleep(0.05)  # so that workers die in the middle of it
    return int((np.rint(orders.price.to_numpy() * 100).astype("int64") * orders.quantity.to_numpy()).sum())


def add(*numbers: int) -> int:
    """A sum, as a task."""
    return sum(numbers)


def exact(paths: list[str]) -> int:
    """The same with Arrow alone, in this process."""
    table = pyarrow.dataset.dataset(paths).to_table(columns=["price", "quantity"])
    return int((np.rint(table["price"].to_numpy() * 100).astype("int64") * table["quantity"].to_numpy()).sum())


def deaths(client: Client) -> int:
    """Workers that left without having been asked to, so far."""
    return sum(
        event.get("action") == "remove-worker" and not event.get("expected")
        for _when, event in client.get_events("all")
    )


def soak(kills: int, seconds: float) -> int:
    """Run jobs until so many workers have died; how many jobs there were.

    Raises
    ------
    SystemExit
        With words, if an answer is not exact, a job fails, or the time is up.
    """
    sales = open_sales()
    paths = [sales.parts[number % len(sales.parts)] for number in range(FILES)]
    expected, end = sum(exact([path]) for path in paths), time.monotonic() + seconds
    config = {
        # Whoever is unlucky many times is not the one to blame here.
        "distributed.scheduler.allowed-failures": 10 * kills,
        # The events are counted: none may be dropped.
        "distributed.admin.low-level-log-length": 1_000_000,
    }
    options = {"n_workers": WORKERS, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with (
        dask.config.set(config),
        LocalCluster(**options, silence_logs="CRITICAL") as cluster,
        Client(cluster) as client,
    ):
        for number, mode in enumerate(("sys.exit", "segfault")):
            client.register_plugin(KillWorker(LIFE, mode), name=f"killer-{number}")
        jobs = told = 0
        while (dead := deaths(client)) < kills:
            if time.monotonic() > end:
                sys.exit(f"{dead} of {kills} kills in {seconds:g} s; the time is up")
            answers = [client.submit(cents, path, pure=False) for path in paths]
            groups = [client.submit(add, *answers[first : first + 4], pure=False) for first in range(0, FILES, 4)]
            del answers  # what they need again is computed again
            total = client.submit(add, *groups, pure=False).result(timeout=300)
            jobs += 1
            if total != expected:
                sys.exit(f"job {jobs}, after {deaths(client)} kills: {total}, and {expected} is exact")
            if dead // 10 > told:
                told = dead // 10
                print(f"{dead} kills, {jobs} jobs, every answer exact", flush=True)
        print(f"{deaths(client)} kills in all, {jobs} jobs, every answer exact", flush=True)
    return jobs


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="how many workers have to die (default: 100)")
    parser.add_argument("--seconds", type=float, default=1200, help="when it has to be done (default: 1200)")
    arguments = parser.parse_args()
    if arguments.kills < 1:
        parser.error("--kills should be 1 or more")
    with until_terminated():
        soak(arguments.kills, arguments.seconds)


if __name__ == "__main__":
    main()
