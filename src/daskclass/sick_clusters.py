"""What do sick clusters look like? Runs the same job in six ways, and records what each does to a cluster.

The job estimates the standard error of the median price of some orders, by bootstrap: it draws from the orders again
and again. In the healthy way, all tasks draw from the same number of orders. The other five ways are the sicknesses.
"""

from __future__ import annotations

import ctypes
import random
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from distributed import Client, Future, Worker, wait

from daskclass import watch
from daskclass.errors import Problem
from daskclass.sales import Sales
from daskclass.watch import dask_internals, traffic

HEALTHY = "healthy"
SICKNESSES = ("skew", "tiny tasks", "object shipped", "memory tight", "slow worker")

HOLDER = "daskclass-holder"
_ORDERS, _PIECES, _ROUNDS = 1_500_000, 16, 30
_FILES = 6  # as many as have that many orders; smaller data is used more than once
_TINY = 1_000  # tasks
_KEPT = 45_000_000  # bytes that each task keeps in the case "memory tight"
_HELD, _LET_GO = 0.1, 0.02  # seconds for which a slow worker's GIL is held and released, in turns


@dataclass(frozen=True)
class Patient:
    """The recording of a cluster while one of the six ways ran on it."""

    recording: watch.Recording
    traffic: traffic.Traffic


@dataclass(frozen=True)
class Ward:
    """Six patients, named by letters in random order.

    Attributes
    ----------
    patients : dict of str to Patient
        By letter, A to F.
    names : dict of str to str
        The diagnosis of each: ``healthy`` or one of `SICKNESSES`.
    """

    patients: dict[str, Patient]
    names: dict[str, str]

    def __repr__(self) -> str:
        return f"Ward of {', '.join(self.patients)}"  # without the diagnoses

    def signs(self) -> pd.DataFrame:
        """Measurements of each patient, one row per letter.

        Returns
        -------
        DataFrame
            ``tasks`` (their number), ``busy`` (share of the threads' time spent computing), ``median_ms`` (median
            duration of a task), ``longest`` (longest duration, as a multiple of its worker's median), ``half`` (share
            of the tasks, longest first, that took half of the total time), ``slowest`` (median duration on the
            slowest worker, as a multiple of the fastest worker's), ``sent`` (bytes that the scheduler sent per task),
            ``spilled`` (most bytes on disk, minus those at the beginning).
        """
        rows = {letter: _signs(patient) for letter, patient in self.patients.items()}
        return pd.DataFrame.from_dict(rows, orient="index")


def admit(client: Client, sales: Sales) -> Ward:
    """Record the six ways on `client`'s cluster, one after another. Each starts when the one before has left the disk.

    Parameters
    ----------
    client : distributed.Client
        A client of a cluster with at least two workers that have one thread and about 600 MiB each.
    sales : Sales
        This reads its Parquet files and sends them to the workers before recording starts.

    Raises
    ------
    Problem
        If the cluster has fewer than two workers, or the data has no Parquet files.
    """
    if len(client.nthreads()) < 2:
        raise Problem("this needs a cluster with at least two workers")
    if not sales.parts:
        raise Problem("this sales data has no Parquet files; make them with `daskclass data --format both`")
    orders = pd.concat([pd.read_parquet(part, columns=["store", "price"]) for part in sales.parts[:_FILES]])
    orders = orders.iloc[np.arange(_ORDERS) % len(orders)]
    evenly = np.array_split(orders.price.to_numpy(), _PIECES)
    by_store = sorted((group.to_numpy() for _store, group in orders.groupby("store").price), key=len)
    # The same name for all, because the charts show the names of tasks.
    named: dict[str, Any] = {"key": "draw", "pure": False}
    ways: dict[str, Callable[[Client], list[Future[Any]]]] = {
        HEALTHY: lambda client: client.map(standard_error, pieces, **named),
        "skew": lambda client: client.map(standard_error, stores, **named),
        "tiny tasks": lambda client: client.map(in_cents, evenly[0][:_TINY].tolist(), **named),
        "object shipped": lambda client: _each_with_its_table(client, pieces, orders.price.to_numpy()[:500_000]),
        "memory tight": lambda client: client.map(all_draws, pieces, **named),
        "slow worker": lambda client: client.map(standard_error, pieces, **named),
    }
    pieces, stores = client.scatter(evenly, hash=False), client.scatter(by_store, hash=False)
    client.gather(client.map(standard_error, pieces[:4], pure=False))  # a first call always takes longer
    order = random.SystemRandom().sample(sorted(ways), len(ways))
    patients = {}
    for letter, name in zip("ABCDEF", order, strict=True):
        _settle(client, pieces + stores)
        if name == "slow worker":
            with _one_slow_worker(client):
                patients[letter] = _record(client, ways[name])
        else:
            patients[letter] = _record(client, ways[name])
    return Ward(patients, dict(zip("ABCDEF", order, strict=True)))


def standard_error(prices: np.ndarray) -> float:
    """The standard error of the median of `prices`, estimated by bootstrap."""
    draw = np.random.default_rng(0).choice
    return float(np.std([np.median(draw(prices, len(prices))) for _ in range(_ROUNDS)]))


def in_cents(price: float) -> int:
    """A task that takes less time than handing it out takes."""
    return round(price * 100)


def with_table(prices: np.ndarray, table: np.ndarray) -> float:
    """Like `standard_error`, with a table for comparison."""
    return standard_error(prices) / float(table.std())


def all_draws(prices: np.ndarray) -> np.ndarray:
    """Return all the draws instead of one number."""
    standard_error(prices)
    return np.random.default_rng(0).choice(prices, _KEPT // prices.itemsize)


def _each_with_its_table(client: Client, pieces: list[Future[np.ndarray]], table: np.ndarray) -> list[Future[float]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # distributed's warning about large arguments would name the sickness
        return [client.submit(with_table, piece, table, key=f"draw-{uuid.uuid4()}") for piece in pieces]


def _settle(client: Client, data: list[Future[np.ndarray]]) -> None:
    """Wait until all of `data` is in memory again and nothing is on disk, whatever ran before."""

    def is_settled() -> bool:
        client.gather(client.map(len, data, pure=False))
        return not _on_disk(client)

    watch.until(is_settled, "the return of the data to memory")


def _on_disk(client: Client) -> int:
    return sum(client.run(_results_on_disk).values())


def _results_on_disk(dask_worker: Worker) -> int:
    return dask_internals.results_on_disk(dask_worker)


def _record(client: Client, way: Callable[[Client], list[Future[Any]]]) -> Patient:
    with traffic.through_scheduler(client) as passed, watch.record(client) as recording:
        futures = way(client)
        with client.as_current():
            wait(futures)
        if errors := [future.exception() for future in futures if future.status == "error"]:
            raise errors[0]
    if recording.restarts:
        raise Problem(
            "a nanny restarted a worker because of memory, and the scattered data is lost; give each worker 600 MiB"
        )
    return Patient(recording, passed)


@contextmanager
def _one_slow_worker(client: Client) -> Iterator[None]:
    """Make one worker slow: another thread holds its GIL most of the time, as a careless extension does."""
    victim = min(client.nthreads())
    client.run(_begin_holding, workers=[victim])
    try:
        yield
    finally:
        client.run(_end_holding, workers=[victim])


def _begin_holding(dask_worker: Worker) -> None:
    # A function called through PyDLL keeps the GIL while it sleeps. That costs no CPU time.
    if sys.platform == "win32":
        sleep = ctypes.PyDLL("kernel32").Sleep
        amount = round(_HELD * 1000)
    else:
        sleep = ctypes.PyDLL(None).usleep
        amount = round(_HELD * 1_000_000)
    enough = threading.Event()

    def hold() -> None:
        while not enough.is_set():
            sleep(amount)
            time.sleep(_LET_GO)

    thread = threading.Thread(target=hold, name=HOLDER, daemon=True)
    vars(dask_worker)["_daskclass_held"] = (enough, thread)
    thread.start()


def _end_holding(dask_worker: Worker) -> None:
    enough, thread = vars(dask_worker).pop("_daskclass_held")
    enough.set()
    thread.join()


def _signs(patient: Patient) -> dict[str, float]:
    recording = patient.recording
    computed = recording.tasks[recording.tasks.action == "compute"]
    seconds = computed.stop - computed.start
    by_worker = seconds.groupby(computed.worker)
    medians = by_worker.median()
    on_disk = recording.memory.groupby("worker").spilled
    longest_first = seconds.sort_values(ascending=False).cumsum()
    threads = len(recording.limits)
    return {
        "tasks": len(computed),
        "busy": float(seconds.sum() / (recording.seconds * threads)),
        "median_ms": float(seconds.median() * 1000),
        "longest": float((seconds / by_worker.transform("median")).max()),
        "half": float((longest_first < seconds.sum() / 2).sum() + 1) / len(computed),
        "slowest": float(medians.max() / medians.min()),
        "sent": float(patient.traffic.sent / len(computed)),
        "spilled": int((on_disk.max() - on_disk.first()).sum()),
    }
