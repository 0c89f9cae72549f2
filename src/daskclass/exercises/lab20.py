"""Exercises of lab 20: a join that's spread evenly, three numbers in one pass, and a database with room for two."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster, get_worker

from daskclass.exercises import kinds
from daskclass.exercises.apart import reason
from daskclass.exercises.exercise import Exercise, TryNext

_FILES, _ROWS, _CUSTOMERS = 24, 1_000, 2_000
_MOST = 0.25  # of all rows, in one partition
_ROOM, _ASKED, _STAY = 2, 12, 0.03  # in the database at once, questions a notebook, and seconds in it


@contextmanager
def _cluster(workers: int, threads: int) -> Iterator[LocalCluster]:
    """Workers in this process. They end with it, whatever an answer does to them."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place,
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            processes=False,
            dashboard_address="127.0.0.1:0",
            local_directory=place,
            silence_logs="CRITICAL",
        ) as cluster,
    ):
        yield cluster


def _judge_evened(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the orders and the customers.")
    random = np.random.default_rng()
    heavy = int(random.integers(1, _CUSTOMERS))
    largest = []
    with _cluster(workers=2, threads=1) as cluster, Client(cluster):
        for shares in ({heavy: 0.5}, {heavy: 0.3, (heavy + 7) % _CUSTOMERS: 0.3}, {}):
            largest.append(_largest_partition(answer, shares, random))
    return (
        f"All rows are there, and the largest partitions have {min(largest):.0%} to {max(largest):.0%} of them: with "
        "one customer who has half of the orders, with two who have three in ten each, and with none."
    )


def _largest_partition(answer: Callable[..., object], shares: dict[int, float], random: np.random.Generator) -> float:
    """The largest partition's share of the rows, of a join in which these customers have these shares."""
    rows = _FILES * _ROWS
    customer = random.integers(0, _CUSTOMERS, rows)
    first = 0
    for number, share in shares.items():
        customer[first : first + int(share * rows)] = number
        first += int(share * rows)
    orders = pd.DataFrame({"order_id": np.arange(rows), "customer": random.permutation(customer), "price": 1.5})
    customers = pd.DataFrame({"customer": np.arange(_CUSTOMERS), "segment": random.integers(0, 10**9, _CUSTOMERS)})
    ours, theirs = dd.from_pandas(orders, npartitions=_FILES), dd.from_pandas(customers, npartitions=4)
    try:
        joined = answer(ours, theirs)
        if isinstance(joined, pd.DataFrame):
            raise TryNext("It returned a pandas table, so all rows came to the notebook. Return a Dask DataFrame.")
        if not isinstance(joined, dd.DataFrame):
            raise TryNext(f"It should return a Dask DataFrame, and it returned a {type(joined).__name__}.")
        parts = dask.compute(*joined.to_delayed())
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
    largest = max(len(part) for part in parts) / rows
    if largest > _MOST:
        told = ", ".join(f"{share:.0%}" for share in shares.values()) or "no large share"
        raise TryNext(
            f"The rows are right. But where single customers have {told} of the orders, one partition has "
            f"{largest:.0%} of all rows."
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
)

_reads: Counter[int] = Counter()


def _read(number: int, seed: int) -> pd.DataFrame:
    _reads[number] += 1
    return _orders_of(number, seed)


def _orders_of(number: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng([seed, number])
    rows = 500 + number
    return pd.DataFrame({"price": random.integers(100, 100_000, rows) / 100, "quantity": random.integers(1, 5, rows)})


def _judge_report(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the orders.")
    for files in (7, 12):
        _judge_one_report(answer, files, seed=time.time_ns())
    return "All three numbers are right, for two tables. Each file was read once, and no rows came here."


def _judge_one_report(answer: Callable[..., object], files: int, seed: int) -> None:
    _reads.clear()
    orders = dd.from_map(_read, range(files), seed=seed, meta=_orders_of(0, seed).iloc[:0])
    all_rows = pd.concat([_orders_of(number, seed) for number in range(files)], ignore_index=True)
    largest = 0

    def watched(graph: Any, keys: Any, **options: Any) -> Any:
        nonlocal largest
        results = dask.get(graph, keys, **options)
        largest = max(largest, _longest(results))
        return results

    with dask.config.set(scheduler=watched):
        try:
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
    if largest >= len(all_rows):
        raise TryNext("The numbers are right, but all rows came to the notebook. Let the workers add up.")
    most = max(_reads.values(), default=0)
    if most != 1:
        times = f"{most} times" if most else "in a process that we don't see"
        raise TryNext(f"The numbers are right, but files were read {times}.")


def _longest(results: object) -> int:
    """Rows of the longest table or array among the results."""
    if isinstance(results, list | tuple):
        return max((_longest(one) for one in results), default=0)
    return len(results) if isinstance(results, pd.DataFrame | pd.Series | np.ndarray) and np.ndim(results) else 0


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
)


class _Database:
    """Counts who is in it, and remembers the most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self.most = 0
        self.asked: Counter[int] = Counter()

    def ask(self, number: int) -> None:
        with self._lock:
            self.asked[number] += 1
            self._inside += 1
            self.most = max(self.most, self._inside)
        time.sleep(_STAY)
        with self._lock:
            self._inside -= 1


_database = _Database()


def _ask(number: int) -> int:
    try:
        get_worker()
    except ValueError:
        raise RuntimeError("`ask` ran in the notebook; let tasks call it") from None
    _database.ask(number)
    return 7 * number + 1


def _judge_at_the_door(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the client, `ask` and the numbers.")
    _database.__init__()  # type: ignore[misc]
    with _cluster(workers=2, threads=4) as cluster:
        _one_notebook(answer, cluster, 0)
        if _database.most > _ROOM:
            raise TryNext(f"The answers are right, but {_database.most} were in the database at once.")
        errors: list[BaseException] = []

        def notebook(first: int) -> None:
            try:
                _one_notebook(answer, cluster, first)
            except BaseException as error:
                errors.append(error)

        notebooks = [threading.Thread(target=notebook, args=(first,), daemon=True) for first in (1_000, 2_000)]
        for one in notebooks:
            one.start()
        for one in notebooks:
            one.join()
        if errors:
            raise errors[0]
    if _database.most > _ROOM:
        raise TryNext(
            f"With one notebook it's right. When two called it at the same time, {_database.most} were in the database "
            "at once. How do both find the same semaphore?"
        )
    return f"All answers are right, and never more than {_database.most} were in the database, also for two notebooks."


def _one_notebook(answer: Callable[..., object], cluster: LocalCluster, first: int) -> None:
    numbers = list(range(first, first + _ASKED))
    with Client(cluster, set_as_default=False) as client, client.as_current():
        try:
            got = answer(client, _ask, numbers)
        except Exception as error:
            raise TryNext(f"It raised `{reason(error)}`.") from error
    if not isinstance(got, Sequence | np.ndarray) or list(got) != [7 * number + 1 for number in numbers]:
        raise TryNext(f"It should return a list of the {_ASKED} answers of `ask`, in the order of the numbers.")
    if any(_database.asked[number] != 1 for number in numbers):
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
)
