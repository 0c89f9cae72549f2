"""Exercises of lab 20: a join that's spread evenly, three numbers in one pass, and a database with room for two."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster, Worker, WorkerPlugin, get_worker
from filelock import FileLock

from daskclass.exercises import kinds
from daskclass.exercises.apart import reason
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.watch import traffic

_FILES, _ROWS, _CUSTOMERS = 24, 500, 1_000
_MOST = 0.25  # of all rows, in one partition
_ROOM, _ASKED, _STAY = 2, 8, 0.1  # in the database at once, questions a notebook, and seconds in it
_SECONDS = 45.0  # for a judge, which needs five where nothing else runs
_NOTEBOOKS = 3  # more than there is room for


@contextmanager
def _cluster(workers: int, threads: int, *, processes: bool = False) -> Iterator[LocalCluster]:
    """A cluster of the judge's own. Its workers are threads of the judge's process, or processes."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place,
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            processes=processes,
            protocol="tcp://",  # whose bytes can be counted
            dashboard_address="127.0.0.1:0",
            local_directory=place,
            silence_logs="CRITICAL",
        ) as cluster,
    ):
        yield cluster


class _Longest(WorkerPlugin):
    """Remembers the longest table of orders that any task returned, on a worker of this process."""

    name = "longest"
    rows = 0

    def setup(self, worker: Worker) -> None:
        self.worker = worker

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        table = self.worker.data.get(key)
        if finish == "memory" and isinstance(table, pd.DataFrame) and "order_id" in table:
            _Longest.rows = max(_Longest.rows, len(table))


def _judge_evened(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the orders and the customers.")
    random = np.random.default_rng()
    heavy = int(random.integers(1, _CUSTOMERS))
    with _cluster(workers=2, threads=1) as cluster, Client(cluster) as client:
        client.register_plugin(_Longest())
        one = _largest_partition(answer, client, {heavy: 0.5}, random)
        two = _largest_partition(answer, client, {heavy: 0.3, (heavy + 7) % _CUSTOMERS: 0.3}, random)
    return (
        f"All rows are there. The largest partition had {one:.0%} of them with one customer who has half of the "
        f"orders, and {two:.0%} with two who have three in ten each."
    )


def _part(table: pd.DataFrame, parts: int, number: int) -> pd.DataFrame:
    part: pd.DataFrame = table.iloc[number::parts].reset_index(drop=True)
    return part


def _in_parts(table: pd.DataFrame, parts: int) -> dd.DataFrame:
    in_parts: dd.DataFrame = dd.from_map(partial(_part, table, parts), range(parts), meta=table.iloc[:0])
    return in_parts


def _largest_partition(
    answer: Callable[..., object], client: Client, shares: dict[int, float], random: np.random.Generator
) -> float:
    """The largest partition's share of the rows, in and on the way to a join with customers who have these shares."""
    rows = _FILES * _ROWS
    customer = random.integers(0, _CUSTOMERS, rows)
    first = 0
    for number, share in shares.items():
        customer[first : first + int(share * rows)] = number
        first += int(share * rows)
    orders = pd.DataFrame({"order_id": np.arange(rows), "customer": random.permutation(customer), "price": 1.5})
    customers = pd.DataFrame({"customer": np.arange(_CUSTOMERS), "segment": random.integers(0, 10**9, _CUSTOMERS)})
    try:
        joined = answer(_in_parts(orders, _FILES), _in_parts(customers, 4))
        if isinstance(joined, pd.DataFrame):
            raise TryNext("It returned a pandas table, so all rows came to the notebook. Return a Dask DataFrame.")
        if not isinstance(joined, dd.DataFrame):
            raise TryNext(f"It should return a Dask DataFrame, and it returned a {type(joined).__name__}.")
        held_here = [step.frame for step in joined.expr.walk() if type(step).__name__ == "FromPandas"]
        if any("order_id" in table.columns for table in held_here):
            raise TryNext("Its plan begins with a table of this process, so all orders came to the notebook.")
        _Longest.rows = 0
        parts = client.gather(client.compute(list(joined.to_delayed())))
    except TryNext:
        raise
    except Exception as error:
        raise TryNext(f"It raised `{reason(error)}`.") from error
    got, expected = pd.concat(parts, ignore_index=True), orders.merge(customers, on="customer")
    if missing := [name for name in expected.columns if name not in got.columns]:
        raise TryNext(f"The join has no column {missing[0]!r}.")
    if len(got) != rows:
        what = "each order once" if len(got) > rows else "all orders"
        raise TryNext(f"Of {rows:,} orders, the join has {len(got):,} rows. It should have {what}.")
    in_order = got[list(expected.columns)].sort_values("order_id").reset_index(drop=True)
    if not np.array_equal(in_order.to_numpy(dtype="float64"), expected.sort_values("order_id").to_numpy("float64")):
        raise TryNext("Some orders have the row of another customer, or their own columns have changed.")
    told = " and ".join(f"{share:.0%}" for share in shares.values())
    largest: float = max(len(part) for part in parts) / rows
    if largest > _MOST:
        raise TryNext(
            f"The rows are right. But where single customers have {told} of the orders, one partition has "
            f"{largest:.0%} of all rows."
        )
    if _Longest.rows > _MOST * rows:
        raise TryNext(
            f"The rows are right, and in the end they are spread. But on the way, one partition has "
            f"{_Longest.rows / rows:.0%} of them. Spread the key before you join."
        )
    return largest


def _solve_evened(orders, customers):
    import pandas as pd

    salts = pd.DataFrame({"salt": range(16)})
    salted = orders.assign(salt=orders.order_id % 16)
    repeated = customers.map_partitions(pd.DataFrame.merge, salts, how="cross")
    return salted.merge(repeated, on=["customer", "salt"])


evened = Exercise(
    variable="evened",
    judge=_judge_evened,
    solve=_solve_evened,
    hints=(
        "The cell above has both ways. Which of them needs to know that it's customer 0?",
        "Neither does. With a salt, each customer's rows go to as many partitions as there are salts, and two of these "
        "can be the same one. Or send the customers to everyone: `repartition(npartitions=1)`.",
    ),
    is_function=True,
    apart=True,
    seconds=_SECONDS,
)

_reads: Counter[int] = Counter()
_HERE = -1  # counts reads that no worker made


def _read(number: int, seed: int) -> pd.DataFrame:
    try:
        get_worker()
    except ValueError:
        _reads[_HERE] += 1
    _reads[number] += 1
    return _orders_of(number, seed)


def _orders_of(number: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng([seed, number])
    rows = 10_000 + number
    return pd.DataFrame(
        {
            "order_id": np.arange(rows) + 1_000_000 * number,
            "store": random.choice(["S01", "S02"], rows),
            "customer": random.integers(0, 1_000, rows),
            "category": random.choice(["Books", "Toys"], rows),
            "price": random.integers(100, 100_000, rows) / 100,
            "quantity": random.integers(1, 5, rows),
        }
    )


def _judge_report(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the orders.")
    with _cluster(workers=1, threads=2) as cluster, Client(cluster) as client:
        for files in (7, 12):
            _judge_one_report(answer, client, files, seed=time.time_ns())
    return "All three numbers are right, for two tables. Each file was read once, and no rows came here."


def _judge_one_report(answer: Callable[..., object], client: Client, files: int, seed: int) -> None:
    _reads.clear()
    orders = dd.from_map(_read, range(files), seed=seed, meta=_orders_of(0, seed).iloc[:0])
    all_rows = pd.concat([_orders_of(number, seed) for number in range(files)], ignore_index=True)
    try:
        with traffic.through_scheduler(client) as passed:
            got = answer(orders)
        if hasattr(got, "__dask_graph__") or (
            isinstance(got, Sequence) and any(hasattr(one, "__dask_graph__") for one in got)
        ):
            raise TryNext("It returned a plan, and nothing has been computed. Return the numbers.")
    except TryNext:
        raise
    except Exception as error:
        raise TryNext(f"It raised `{reason(error)}`.") from error
    if isinstance(got, Mapping):
        got = list(got.values())
    numbers = [kinds.number(one) for one in got] if isinstance(got, Sequence | np.ndarray | pd.Series) else []
    if len(numbers) != 3 or None in numbers:
        raise TryNext("It should return three numbers: how many orders, their worth, and the highest price.")
    worth = float((all_rows.price * all_rows.quantity).sum())
    for what, number, right in zip(
        ("how many orders there are", "what they're worth together", "the highest price"),
        numbers,
        (len(all_rows), worth, all_rows.price.max()),
        strict=True,
    ):
        if not np.isclose(number or 0.0, right, rtol=1e-9, atol=0):
            raise TryNext(f"It says {number:,.2f} for {what}, and it should be {right:,.2f}.")
    outside = _reads.pop(_HERE, 0)
    most = max(_reads.values(), default=0)
    if outside or not most:
        raise TryNext("The numbers are right, but files were read outside of the cluster. Let the workers do that.")
    if passed.sent > all_rows.price.nbytes:
        raise TryNext("The numbers are right, but rows came to the notebook. Let the workers add up.")
    if most > 1:
        raise TryNext(f"The numbers are right, but files were read {most} times.")


def _solve_report(orders):
    import dask

    count = orders.price.count()
    worth = (orders.price * orders.quantity).sum()
    return dask.compute(count, worth, orders.price.max())


report = Exercise(
    variable="report",
    judge=_judge_report,
    solve=_solve_report,
    hints=(
        "Plan all three first, and compute them together.",
        "`dask.compute(a, b, c)` returns three results. `len(orders)` computes at once; `orders.price.count()` is a "
        "plan.",
    ),
    is_function=True,
    apart=True,
    seconds=_SECONDS,
)


def _ask(place: str, number: int) -> int:
    """Ask the database, whose state is a file in `place`: workers are processes."""
    try:
        get_worker()
    except ValueError:
        raise RuntimeError("`ask` ran in the notebook; let tasks call it") from None
    _count(place, 1, number)
    time.sleep(_STAY)
    _count(place, -1)
    return 7 * number + 1


def _count(place: str, step: int = 0, number: int | None = None) -> dict[str, Any]:
    """The state, after `step` more are inside and `number` has been asked."""
    state = Path(place, "state.json")
    with FileLock(Path(place, "state.lock")).acquire(poll_interval=0.005):
        now: dict[str, Any] = json.loads(state.read_text())
        now["inside"] += step
        now["most"] = max(now["most"], now["inside"])
        now["asked"] += [] if number is None else [number]
        state.write_text(json.dumps(now))
    return now


def _judge_at_the_door(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the client, `ask` and the numbers.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place, _cluster(2, 4, processes=True) as cluster:
        Path(place, "state.json").write_text(json.dumps({"inside": 0, "most": 0, "asked": []}))

        def most() -> int:
            return int(_count(place)["most"])

        _one_notebook(answer, cluster, place, 0, threading.Barrier(1))
        if most() > _ROOM:
            raise TryNext(
                f"The answers are right, but {most()} were in the database at once. Each of the two workers has four "
                "threads."
            )
        with Client(cluster, set_as_default=False) as client:
            client.run(_count, place)  # a worker that still has to import this would come after the others have left
        errors: list[BaseException] = []
        together = threading.Barrier(_NOTEBOOKS)

        def notebook(first: int) -> None:
            try:
                _one_notebook(answer, cluster, place, first, together)
            except BaseException as error:
                errors.append(error)

        notebooks = [
            threading.Thread(target=notebook, args=(1_000 * number,), daemon=True)
            for number in range(1, _NOTEBOOKS + 1)
        ]
        # Each makes its client the current one, which changes this for all threads. In turns, they'd leave it changed.
        with dask.config.set(scheduler="dask.distributed"):
            for one in notebooks:
                one.start()
            for one in notebooks:
                one.join()
        if errors:
            raise errors[0]
        if most() > _ROOM:
            raise TryNext(
                f"With one notebook it's right. When {_NOTEBOOKS} called it at the same time, {most()} were in the "
                "database at once. What do the notebooks share that could count all of them?"
            )
        return f"All answers are right, and never more than {most()} were in the database, for {_NOTEBOOKS} notebooks."


def _one_notebook(
    answer: Callable[..., object], cluster: LocalCluster, place: str, first: int, together: threading.Barrier
) -> None:
    """Ask once from a client of its own, when all others are connected, too."""
    numbers = list(range(first, first + _ASKED))
    with Client(cluster, set_as_default=False) as client, client.as_current():
        together.wait()
        try:
            got = answer(client, partial(_ask, place), numbers)
        except Exception as error:
            raise TryNext(f"It raised `{reason(error)}`.") from error
    if not isinstance(got, Sequence | np.ndarray) or list(got) != [7 * number + 1 for number in numbers]:
        raise TryNext(f"It should return a list of the {_ASKED} answers of `ask`, in the order of the numbers.")
    asked = _count(place)["asked"]
    if sorted(number for number in asked if number in numbers) != numbers:
        raise TryNext("It should ask once for each number.")


def _solve_at_the_door(client, ask, numbers):
    from dask.distributed import Semaphore

    door = Semaphore(max_leases=2, name="at the door")

    def ask_inside(number):
        with door:
            return ask(number)

    return client.gather(client.map(ask_inside, numbers, pure=False))


at_the_door = Exercise(
    variable="at_the_door",
    judge=_judge_at_the_door,
    solve=_solve_at_the_door,
    hints=(
        "A semaphore with two leases does it, if each task takes one while it asks.",
        "Without a name, each call makes a semaphore of its own. `Semaphore(max_leases=2, name=…)` finds the one that "
        "has this name.",
    ),
    is_function=True,
    apart=True,
    seconds=_SECONDS,
)
