"""Exercises of lab 09: a lighter way to bring an array, and parts that tasks write."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from distributed import Client, Future, Worker, get_worker, wait

from daskclass.exercises import apart
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.sales import Sales
from daskclass.watch import dask_internals, traffic

CALLS = 8
DEAR = 900.0
_SECONDS = 60.0
_LIGHT = 3.5  # times the array: into the scheduler, out of it, and once between workers


def _judge_lighter(answer: object, client: Client, prices: np.ndarray, rank: Callable[[int, np.ndarray], float]) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the client, the array and the function to call.")
    expected = [rank(number, prices) for number in range(CALLS)]

    def in_a_task(number: int, prices: np.ndarray) -> float:
        try:
            get_worker()
        except ValueError:
            raise RuntimeError("`rank` was called in the notebook; let tasks call it") from None
        return rank(number, prices)

    before = _between_workers(client)
    with traffic.through_scheduler(client) as passed:
        try:
            futures = answer(client, prices, in_a_task)
        except Exception as error:
            raise TryNext(f"It raised {type(error).__name__}: {error}") from error
        if not isinstance(futures, list | tuple) or len(futures) != CALLS:
            raise TryNext(f"It should return a list of {CALLS} futures.")
        if not all(isinstance(future, Future) for future in futures):
            raise TryNext("What it returns should be futures: what `client.submit` gives back.")
        results = _gathered(client, list(futures))
    moved = passed.received + passed.sent + _between_workers(client) - before
    if not all(isinstance(result, float) and result == right for result, right in zip(results, expected, strict=True)):
        raise TryNext("The results are not those of `rank(0, prices)` to `rank(7, prices)`, in this order.")
    if moved > _LIGHT * prices.nbytes:
        raise TryNext(
            f"The results are right, and {moved / 1e6:,.0f} MB moved: {moved / prices.nbytes:.0f} times the array."
        )
    return f"{moved / 1e6:,.0f} MB moved, {moved / prices.nbytes:.1f} times the array, where it was 16 times before."


def _gathered(client: Client, futures: list[Future[Any]]) -> list[Any]:
    try:
        with client.as_current():
            wait(futures, timeout=_SECONDS)
        results: list[Any] = client.gather(futures)
    except TimeoutError:
        raise TryNext(f"The tasks were not done within {_SECONDS:g} seconds. May a worker run them?") from None
    except Exception as error:
        raise TryNext(f"A task raised {type(error).__name__}: {error}") from error
    return results


def _sent(dask_worker: Worker) -> int:
    return dask_internals.bytes_sent_to_workers(dask_worker)


def _between_workers(client: Client) -> int:
    return sum(client.run(_sent).values())


def _solve_lighter(client, prices, rank):
    table = client.scatter(prices)
    return [client.submit(rank, number, table, pure=False) for number in range(8)]


lighter = Exercise(
    variable="lighter",
    judge=_judge_lighter,
    solve=_solve_lighter,
    hints=(
        "Give the array to the cluster once, before the calls, and pass what you get for it.",
        "`table = client.scatter(prices)` is a future, and a future may be an argument of `client.submit`.",
    ),
    is_function=True,
)


def _judge_dear_part(answer: object, client: Client, sales: Sales) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes a path and a folder.")
    inputs = sales.parts[:2]
    with tempfile.TemporaryDirectory() as folder:
        try:
            futures = [client.submit(answer, path, folder, pure=False) for path in inputs]
        except TypeError as error:
            raise TryNext(f"It cannot be sent to a worker: {error}") from error
        paths = _gathered(client, futures)
        for path in paths:
            if not isinstance(path, str):
                raise TryNext(f"It should return the path as text, and returned {type(path).__name__}.")
            if Path(path).parent != Path(folder):
                raise TryNext("It should write into `folder`, and return the whole path.")
            if not Path(path).is_file():
                raise TryNext("It returned a path, and there is no such file.")
        if len(set(paths)) < len(inputs):
            raise TryNext("Two inputs were written to the same file. Take the part's name from its input.")
        if _gathered(client, [client.submit(answer, inputs[0], folder, pure=False)]) != paths[:1]:
            raise TryNext("Called twice for the same input, it wrote to two places. A task may be run twice.")
        if len(list(Path(folder).iterdir())) > len(inputs):
            raise TryNext("There are files in the folder that it did not speak of.")
        rows = 0
        for written, source in zip(paths, inputs, strict=True):
            rows += _right_rows(written, source)
    if os.name == "posix" and Path(paths[0]).name in apart.run(_left_by_a_full_disk, answer, inputs[0]).split("/"):
        raise TryNext(
            "When the disk filled up in the middle, half a part was left under its final name. Write to another name "
            "first, and rename the file when it is complete."
        )
    return f"{len(inputs)} parts with {rows:,} dear orders, and what came to the notebook were {len(inputs)} paths."


def _left_by_a_full_disk(answer: Callable[[str, str], object], path: str) -> str:
    """Which files the answer leaves if none may become larger than a kilobyte: their names, between slashes."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that it is an error, as on a full disk, and does not kill
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with tempfile.TemporaryDirectory() as folder:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
        with contextlib.suppress(Exception):  # the answer's own, of whatever kind
            answer(path, folder)
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        return "/".join(found.name for found in Path(folder).iterdir())


def _right_rows(written: str, source: str) -> int:
    try:
        part = pd.read_parquet(written)
    except Exception as error:
        raise TryNext(f"What it wrote cannot be read as Parquet: {type(error).__name__}.") from error
    orders = pd.read_parquet(source)
    if missing := [name for name in orders.columns if name not in part.columns]:
        raise TryNext(f"What it wrote has no column {', '.join(missing)}. Keep all columns.")
    if len(part) == len(orders):
        raise TryNext("All orders were written. Keep those of 900.00 and more.")
    dear = orders[orders.price >= DEAR]
    if len(part) == int((orders.price > DEAR).sum()) != len(dear):
        raise TryNext("Orders of exactly 900.00 are missing.")
    if len(part) != len(dear):
        raise TryNext(f"{len(part):,} orders were written, and {len(dear):,} cost 900.00 or more.")
    try:
        part = part[orders.columns].sort_values("order_id", ignore_index=True)
        pd.testing.assert_frame_equal(part, dear.sort_values("order_id", ignore_index=True), check_dtype=False)
    except (AssertionError, TypeError, ValueError) as error:
        difference = str(error).partition("\n")[0]
        raise TryNext(f"As many orders as there should be, and not the same: {difference}.") from error
    return len(part)


def _solve_dear_part(path, folder):
    import uuid
    from pathlib import Path

    import pandas as pd

    orders = pd.read_parquet(path)
    part = Path(folder) / Path(path).name
    unfinished = part.with_suffix(f".{uuid.uuid4()}.tmp")
    orders[orders.price >= 900].to_parquet(unfinished)
    unfinished.replace(part)
    return str(part)


dear_part = Exercise(
    variable="dear_part",
    judge=_judge_dear_part,
    solve=_solve_dear_part,
    hints=(
        "`pd.read_parquet(path)`, a condition on `price`, and `.to_parquet(…)` with a name in `folder`.",
        "`Path(folder) / Path(path).name` is a name of its own for each input.",
    ),
    is_function=True,
)
