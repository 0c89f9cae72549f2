"""Exercises of lab 09: a lighter way to send an array, and parts that tasks write."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from distributed import Client, Future, Worker, get_worker

from daskclass.exercises import apart, kinds
from daskclass.exercises.apart import NoVerdict
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.exercises.trials import Trial, growth, trial, wait_for_workers
from daskclass.sales import Sales
from daskclass.system import pace
from daskclass.watch import dask_internals, traffic

CALLS = 8
EXPENSIVE = 900.0
_SECONDS = 14.0
_LEAST = 5.0  # seconds for the full disk, however long the first calls took
# Times the array. The best takes three: into the scheduler, out of it, and once between workers; on a busy machine we
# have seen a fourth. Two scattered copies take six.
_LIGHT = 5


def _judge_lighter(answer: object, client: Client, prices: np.ndarray, rank: Callable[[int, np.ndarray], float]) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the client, the array and the function to call.")
    shift = 1 + secrets.randbelow(1000)  # so that ranks that the notebook knows already are of no use
    shifted = prices + shift
    expected = [float(rank(number, shifted) + shift) for number in range(CALLS)]

    def in_a_task(number: int, prices: np.ndarray) -> float:
        try:
            get_worker()
        except ValueError:
            raise RuntimeError("`rank` ran in the notebook; let tasks call it") from None
        return rank(number, prices) + shift

    wait_for_workers(client, 2)
    with trial(client, _SECONDS) as tried:
        before = client.run(_sent)
        with traffic.through_scheduler(client) as passed:
            futures = tried.call(answer, client, shifted, in_a_task, most=CALLS)
            if not isinstance(futures, list) or len(futures) != CALLS:
                raise TryNext(f"It should return a list of {CALLS} futures.")
            if not all(isinstance(future, Future) for future in futures):
                raise TryNext("It should return futures. `client.submit` gives you one for each call.")
            results = _ranks(tried, futures)
        moved = passed.received + passed.sent + growth(before, client.run(_sent))
    if [kinds.number(result) for result in results] != expected:
        raise TryNext(
            "The results should be those of `rank(0, prices)` to `rank(7, prices)`, in this order. Use the `rank` and "
            "the `prices` that your function gets."
        )
    if moved > _LIGHT * prices.nbytes:
        raise TryNext(
            f"The results are right, but {moved / 1e6:,.0f} MB moved: {moved / prices.nbytes:.0f} times the array."
        )
    return f"{moved / 1e6:,.0f} MB moved, {moved / prices.nbytes:.1f} times the array. Before, it was 16 times."


def _ranks(tried: Trial, futures: list[Future[object]]) -> list[object]:
    try:
        return tried.gather(futures)
    except TryNext as advice:
        if "AssertionError(<TaskState" not in str(advice):  # the scheduler's own words (lab 07)
            raise
        raise TryNext(
            "`client.map` fails with a large keyword argument in this version (lab 07). Restart the kernel, scatter "
            "the array, and pass the future."
        ) from advice


def _sent(dask_worker: Worker) -> int:
    return dask_internals.bytes_sent_to_workers(dask_worker)


def _solve_lighter(client, prices, rank):
    table = client.scatter(prices)
    return [client.submit(rank, number, table, pure=False) for number in range(8)]


lighter = Exercise(
    variable="lighter",
    judge=_judge_lighter,
    solve=_solve_lighter,
    hints=(
        "Give the array to the cluster once, before the calls. You get something back that you can pass to each call.",
        "`table = client.scatter(prices)` is a future, and `client.submit` takes futures as arguments.",
    ),
    is_function=True,
)


def _judge_expensive_part(answer: object, client: Client, sales: Sales) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes a path and a folder.")
    inputs = sales.parts[:2]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, trial(client, _SECONDS) as tried:
        paths = _written(tried, answer, inputs, folder)
        took = time.monotonic() - began
        for path in paths:
            if not isinstance(path, str):
                raise TryNext(f"It should return the path as text, and it returned a {type(path).__name__}.")
            if Path(path).resolve().parent != Path(folder).resolve():
                raise TryNext("It should write into `folder`, and return the whole path.")
            if not Path(path).is_file():
                raise TryNext("It returned a path, but there's no such file.")
        names = [Path(path).name for path in paths]
        if len(set(names)) < len(inputs):
            raise TryNext("It wrote two inputs to the same file. Take the part's name from its input.")
        with tempfile.TemporaryDirectory() as beside:
            os.link(paths[0], first := Path(beside, "first"))  # stays the old file when another gets its name
            written_at = first.stat().st_mtime_ns
            again = _written(tried, answer, inputs[:1], folder)
            in_place = first.stat().st_mtime_ns != written_at
        if [Path(path).name for path in again] != names[:1]:
            raise TryNext("We called it twice for the same input, and it wrote to two places. A task may run twice.")
        if more := sorted({found.name for found in Path(folder).iterdir()} - set(names)):
            raise TryNext(f"It also left {more[0]} in the folder. Leave only finished parts there.")
        rows = 0
        for written, source in zip(paths, inputs, strict=True):
            rows += _right_rows(written, source)
    budget, used = _SECONDS + 4, time.monotonic() - began
    if 5 * took > budget - used:
        budget *= pace.slowness()
    left = max(_LEAST, budget - used)
    if 5 * took > left:
        raise NoVerdict(f"It took {took:.1f} seconds, and we have to call it four more times. Can it be faster?")
    alone = _Alone(**json.loads(apart.run(_alone, answer, inputs[0], seconds=round(left)))) if _CAN_FORK else _Alone()
    if alone.carried:
        raise TryNext(
            "It writes in another folder, which may be on another disk. Then the move copies, and a kill can interrupt "
            "that. Write inside `folder`."
        )
    if alone.shared:
        raise TryNext(
            f"Each call writes to the name `{alone.shared}` first. If a task runs twice at the same time, both write "
            "to that file. Give each call a temporary name of its own."
        )
    if names[0] in alone.left:
        raise TryNext(
            "A full disk or a kill in the middle left half a part under its final name. Write to another name first, "
            "and rename the file when it's complete."
        )
    if in_place:
        raise TryNext(
            "It writes into the file with the final name, and a kill in the middle would leave half a part there. "
            "Write to another name in the same folder, and rename."
        )
    return f"{len(inputs)} parts with {rows:,} expensive orders. Only {len(inputs)} paths came to the notebook."


def _written(tried: Trial, answer: Callable[..., object], inputs: list[str], folder: str) -> list[str]:
    """What a task returns for each input: paths, if the answer is right."""
    try:
        futures = [tried.client.submit(answer, path, folder, pure=False) for path in inputs]
    except Exception as error:  # a learner's variables can raise anything when they are pickled
        raise TryNext(f"We couldn't send it to a worker: {apart.reason(error)}") from error
    return tried.gather(futures)


_CAN_FORK = os.name == "posix"


@dataclasses.dataclass(frozen=True)
class _Alone:
    """What an answer did in processes of its own.

    Attributes
    ----------
    carried : bool
        It moved a file in from another folder.
    shared : str
        The temporary name that two calls used, each in its own process; empty if there's none.
    left : list of str
        Names of files that it left when no file could grow beyond a kilobyte.
    """

    carried: bool = False
    shared: str = ""
    left: list[str] = dataclasses.field(default_factory=list)


def _alone(answer: Callable[[str, str], object], path: str) -> str:
    """An `_Alone`, as JSON.

    When files may not grow, the answer first gets an error, as on a full disk. Then the system kills it, so that it
    can't clean up.
    """
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder = Path(place).resolve()
        one, two = (_moves(answer, path, folder) for _ in range(2))
    strangers = [old for old, new in one if folder in new.parents and folder not in old.parents]
    both = {old for old, _new in one} & {old for old, _new in two}
    left = []
    for action in (signal.SIG_IGN, signal.SIG_DFL):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as full:
            if (child := os.fork()) == 0:
                signal.signal(signal.SIGXFSZ, action)
                resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
                with contextlib.suppress(BaseException):  # the answer's own, of any kind
                    answer(path, full)
                os._exit(0)
            os.waitpid(child, 0)
            left += [found.name for found in Path(full).glob("*")]
    return json.dumps(dataclasses.asdict(_Alone(bool(strangers), min((old.name for old in both), default=""), left)))


def _moves(answer: Callable[[str, str], object], path: str, folder: Path) -> list[tuple[Path, Path]]:
    """From and to where a call in a process of its own moves files."""
    with tempfile.NamedTemporaryFile() as told:
        if (child := os.fork()) == 0:
            moves: list[list[str]] = []
            sys.addaudithook(lambda event, names: moves.append(_names(names)) if event == "os.rename" else None)
            try:
                answer(path, str(folder))
                Path(told.name).write_text(json.dumps(moves))
            except BaseException as error:  # the answer's own, of any kind
                Path(told.name).write_text(json.dumps(f"{type(error).__name__}: {error}"))
            os._exit(0)
        os.waitpid(child, 0)
        said = json.loads(Path(told.name).read_text() or '"its process ended"')
    if isinstance(said, str):
        raise NoVerdict(
            f"In a task, it works. But we also try it with a full disk, outside of a worker, and there: {said}. Let it "
            "do without the worker."
        )
    return [(Path(old), Path(new)) for old, new in said]


def _names(told: tuple[Any, ...]) -> list[str]:
    return [str(Path(os.fsdecode(name)).resolve()) for name in told[:2]]


def _right_rows(written: str, source: str) -> int:
    try:
        part = pd.read_parquet(written)
    except Exception as error:
        raise TryNext(f"We couldn't read its file as Parquet: {type(error).__name__}.") from error
    orders = pd.read_parquet(source)
    if missing := [name for name in orders.columns if name not in part.columns]:
        raise TryNext(f"Its file has no column {', '.join(missing)}. Keep all columns.")
    if len(part) == len(orders):
        raise TryNext("It wrote all orders. Keep those of 900.00 and more.")
    expensive = orders[orders.price >= EXPENSIVE]
    if len(part) == int((orders.price > EXPENSIVE).sum()) != len(expensive):
        raise TryNext("Orders of exactly 900.00 are missing.")
    if len(part) != len(expensive):
        raise TryNext(f"It wrote {len(part):,} orders, but {len(expensive):,} cost 900.00 or more.")
    try:
        part = part[orders.columns].sort_values("order_id", ignore_index=True)
        wanted = expensive.sort_values("order_id", ignore_index=True)
        pd.testing.assert_frame_equal(part, wanted, check_dtype=False, check_exact=True)
    except (AssertionError, TypeError, ValueError) as error:
        difference = str(error).partition("\n")[0]
        raise TryNext(f"The number of orders is right, but they differ: {difference}.") from error
    return len(part)


def _solve_expensive_part(path, folder):
    import uuid
    from pathlib import Path

    import pandas as pd

    orders = pd.read_parquet(path)
    part = Path(folder) / Path(path).name
    unfinished = part.with_suffix(f".{uuid.uuid4()}.tmp")
    orders[orders.price >= 900].to_parquet(unfinished)
    unfinished.replace(part)
    return str(part)


expensive_part = Exercise(
    variable="expensive_part",
    judge=_judge_expensive_part,
    solve=_solve_expensive_part,
    hints=(
        "`pd.read_parquet(path)`, a condition on `price`, and `.to_parquet(…)` with a name in `folder`.",
        "`Path(folder) / Path(path).name` gives each input its own file. Write to another name first.",
    ),
    is_function=True,
)
