"""What do sick clusters look like? The same question, asked in six ways, and what each did to a cluster.

The question is how sure the median price of some orders is: its standard error, by drawing from the orders again and
again. Asked well, each task draws from as many orders as any other. The other five ways are the sicknesses.
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
_FILES = 6  # as many as have them; of smaller data the orders come more than once
_TINY = 1_000  # tasks
_KEPT = 45_000_000  # bytes that each task keeps where memory is tight
_HELD, _LET_GO = 0.1, 0.02  # seconds, by turns, in which a slow worker's interpreter is held and let go


@dataclass(frozen=True)
class Patient:
    """What was recorded of a cluster while one of the six ways ran on it."""

    recording: watch.Recording
    traffic: traffic.Traffic


@dataclass(frozen=True)
class Ward:
    """Six patients under letters, in an order that chance picked.

    Attributes
    ----------
    patients : dict of str to Patient
        By letter, A to F.
    names : dict of str to str
        What each of them has: ``healthy`` or one of `SICKNESSES`.
    """

    patients: dict[str, Patient]
    names: dict[str, str]

    def __repr__(self) -> str:
        return f"Ward of {', '.join(self.patients)}"  # and not what they have

    def signs(self) -> pd.DataFrame:
        """What can be measured of each patient, a row by letter.

        Returns
        -------
        DataFrame
            ``tasks``; ``busy`` (share of the threads' time in which they computed); ``median_ms`` (of the tasks'
            durations), ``longest`` (the longest duration, in medians of its own worker), ``half`` (the share of the
            tasks, longest first, that took half of all the time), ``slowest`` (the median of the worker that is
            slowest, in medians of the fastest), ``sent`` (bytes a task that the scheduler sent), ``spilled`` (bytes
            that were on disk at most, over those at the beginning).
        """
        rows = {letter: _signs(patient) for letter, patient in self.patients.items()}
        return pd.DataFrame.from_dict(rows, orient="index")


def admit(client: Client, sales: Sales) -> Ward:
    """Record the six ways on `client`'s cluster, one after another, when nothing is on disk of the one before.

    Parameters
    ----------
    client : distributed.Client
        Of a cluster with at least two workers, of one thread and some 600 MiB each.
    sales : Sales
        Its Parquet files are read here, and sent to the workers before anything is recorded.

    Raises
    ------
    Problem
        If the cluster has fewer than two workers, or the data have no Parquet.
    """
    if len(client.nthreads()) < 2:
        raise Problem("a ward needs a cluster with at least two workers")
    if not sales.parts:
        raise Problem("these sales have no Parquet files; make them with `daskclass data --format both`")
    orders = pd.concat([pd.read_parquet(part, columns=["store", "price"]) for part in sales.parts[:_FILES]])
    orders = orders.iloc[np.arange(_ORDERS) % len(orders)]
    evenly = np.array_split(orders.price.to_numpy(), _PIECES)
    by_store = sorted((group.to_numpy() for _store, group in orders.groupby("store").price), key=len)
    # The same for all, since a picture says what its tasks are called.
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
    client.gather(client.map(standard_error, pieces[:4], pure=False))  # the first call of anything takes longer
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
    """Of the median of `prices`: the deviation of medians of draws from them."""
    draw = np.random.default_rng(0).choice
    return float(np.std([np.median(draw(prices, len(prices))) for _ in range(_ROUNDS)]))


def in_cents(price: float) -> int:
    """A task that takes less time than it takes to say what it should do."""
    return round(price * 100)


def with_table(prices: np.ndarray, table: np.ndarray) -> float:
    """As `standard_error`, with a table to compare with."""
    return standard_error(prices) / float(table.std())


def all_draws(prices: np.ndarray) -> np.ndarray:
    """All the draws, where one number was wanted."""
    standard_error(prices)
    return np.random.default_rng(0).choice(prices, _KEPT // prices.itemsize)


def _each_with_its_table(client: Client, pieces: list[Future[np.ndarray]], table: np.ndarray) -> list[Future[float]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # distributed's own word about large arguments would name the sickness
        return [client.submit(with_table, piece, table, key=f"draw-{uuid.uuid4()}") for piece in pieces]


def _settle(client: Client, data: list[Future[np.ndarray]]) -> None:
    """Have all of `data` in memory again, and nothing on disk, whatever ran before."""

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
            "a worker was restarted for its memory, and what was scattered is lost; give workers 600 MiB each"
        )
    return Patient(recording, passed)


@contextmanager
def _one_slow_worker(client: Client) -> Iterator[None]:
    """One worker whose interpreter somebody else holds most of the time, as an extension that keeps the GIL does."""
    victim = min(client.nthreads())
    client.run(_begin_holding, workers=[victim])
    try:
        yield
    finally:
        client.run(_end_holding, workers=[victim])


def _begin_holding(dask_worker: Worker) -> None:
    # A function called through PyDLL keeps the interpreter's lock while it sleeps, which costs no core.
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
