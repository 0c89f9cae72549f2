"""Exercises of lab 20: each wrong answer that we thought of gets its own advice; right ones of several shapes pass."""

from __future__ import annotations

import dataclasses
import inspect

import dask
import numpy as np
import pandas as pd
import pytest

from daskclass.exercises import lab20


def plain(orders, customers):
    return orders.merge(customers, on="customer")


def only_zero(orders, customers):
    """Salts the one customer that the lab talks about."""
    salts = pd.DataFrame({"salt": range(16)})
    salted = orders.assign(salt=(orders.order_id % 16).where(orders.customer == 0, 0))
    repeated = customers.map_partitions(pd.DataFrame.merge, salts, how="cross")
    return salted.merge(repeated, on=["customer", "salt"])


def fetched(orders, customers):
    return orders.compute().merge(customers.compute(), on="customer")


def twice(orders, customers):
    import dask.dataframe as dd

    joined = orders.merge(customers.repartition(npartitions=1), on="customer")
    return dd.concat([joined, joined])


def fewer(orders, customers):
    return orders[orders.customer > 0].merge(customers.repartition(npartitions=1), on="customer")


def without_segment(orders, customers):
    return orders.merge(customers.repartition(npartitions=1), on="customer")[["order_id", "customer"]]


def made_here(orders, customers):
    import dask.dataframe as dd

    return dd.from_pandas(orders.compute().merge(customers.compute(), on="customer"), npartitions=24)


def spread_afterwards(orders, customers):
    return orders.merge(customers, on="customer").repartition(partition_size="20kB")


def shuffled_afterwards(orders, customers):
    return orders.merge(customers, on="customer").shuffle("order_id")


def mixed_up(orders, customers):
    joined = orders.merge(customers.repartition(npartitions=1), on="customer")
    return joined.assign(segment=joined.segment + 1)


EVENED = {
    "a number": (7, "should be a function"),
    "nothing": (lambda orders, customers: 7, "should return a Dask DataFrame, and it returned a int"),
    "raises": (lambda orders, customers: 1 // 0, "It raised `ZeroDivisionError"),
    "fetched": (fetched, "all rows came to the notebook"),
    "plain": (plain, "one partition has"),
    "only zero": (only_zero, "one partition has"),
    "made here": (made_here, "all orders came to the notebook"),
    "spread afterwards": (spread_afterwards, "But on the way, one partition has"),
    "shuffled afterwards": (shuffled_afterwards, "But on the way, one partition has"),
    "twice": (twice, "It should have each order once"),
    "fewer": (fewer, "It should have all orders"),
    "without segment": (without_segment, "The join has no column"),
    "mixed up": (mixed_up, "have the row of another customer"),
}


def one_after_another(orders):
    return len(orders), (orders.price * orders.quantity).sum().compute(), orders.price.max().compute()


def here(orders):
    table = orders.compute()
    return len(table), (table.price * table.quantity).sum(), table.price.max()


def piece_by_piece(orders):
    table = pd.concat(part.compute() for part in orders.partitions)
    return len(table), (table.price * table.quantity).sum(), table.price.max()


def in_threads(orders):
    table = orders.compute(scheduler="threads")
    return len(table), (table.price * table.quantity).sum(), table.price.max()


def of_one_file(orders):
    table = orders.get_partition(0).compute()
    return len(table), (table.price * table.quantity).sum(), table.price.max()


def without_quantity(orders):
    return dask.compute(orders.price.count(), orders.price.sum(), orders.price.max())


def lowest(orders):
    return dask.compute(orders.price.count(), (orders.price * orders.quantity).sum(), orders.price.min())


def in_another_process(orders):
    count, worth, highest = orders.price.count(), (orders.price * orders.quantity).sum(), orders.price.max()
    return dask.compute(count, worth, highest, scheduler="processes")


REPORT = {
    "a number": (7, "should be a function"),
    "raises": (lambda orders: 1 // 0, "It raised `ZeroDivisionError"),
    "a plan": (lambda orders: orders.price.sum(), "returned a plan"),
    "plans": (lambda orders: (orders.price.count(), orders.price.sum(), orders.price.max()), "returned a plan"),
    "two": (lambda orders: (1, 2), "should return three numbers"),
    "texts": (lambda orders: ("1", "2", "3"), "should return three numbers"),
    "one after another": (one_after_another, "files were read 3 times"),
    "here": (here, "rows came to the notebook"),
    "piece by piece": (piece_by_piece, "rows came to the notebook"),
    "in threads": (in_threads, "read outside of the cluster"),
    "of one file": (of_one_file, "for how many orders there are"),
    "without quantity": (without_quantity, "for what they're worth together"),
    "lowest": (lowest, "for the highest price"),
    "in another process": (in_another_process, "read outside of the cluster"),
}


def unlimited(client, ask, numbers):
    return client.gather(client.map(ask, numbers, pure=False))


def nameless(client, ask, numbers):
    from dask.distributed import Semaphore

    door = Semaphore(max_leases=2)

    def inside(number):
        with door:
            return ask(number)

    return client.gather(client.map(inside, numbers, pure=False))


def two_workers(client, ask, numbers):
    first = list(client.nthreads())[:1]
    return client.gather(client.map(ask, numbers, workers=first, pure=False))


def one_by_one(client, ask, numbers):
    return [client.submit(ask, number, pure=False).result() for number in numbers]


def in_one_task(client, ask, numbers):
    return client.submit(lambda: [ask(number) for number in numbers], pure=False).result()


def a_door_in_each_process(client, ask, numbers):
    def inside(number):
        import builtins
        import threading

        with builtins.__dict__.setdefault("door_of_this_process", threading.Semaphore(2)):
            return ask(number)

    return client.gather(client.map(inside, numbers, pure=False))


def in_the_notebook(client, ask, numbers):
    return [ask(number) for number in numbers]


def out_of_order(client, ask, numbers):
    from dask.distributed import Lock

    def inside(number):
        with Lock("door"):
            return ask(number)

    return client.gather(client.map(inside, list(reversed(numbers)), pure=False))


def made_up(client, ask, numbers):
    return [7 * number + 1 for number in numbers]


def futures(client, ask, numbers):
    return client.map(ask, numbers[:1], pure=False)


AT_THE_DOOR = {
    "a number": (7, "should be a function"),
    "raises": (lambda client, ask, numbers: 1 // 0, "It raised `ZeroDivisionError"),
    "unlimited": (unlimited, "were in the database at once"),
    "two workers": (two_workers, "were in the database at once"),
    "nameless": (nameless, "When 3 called it at the same time"),
    "one by one": (one_by_one, "When 3 called it at the same time"),
    "in one task": (in_one_task, "When 3 called it at the same time"),
    "a door in each process": (a_door_in_each_process, "were in the database at once"),
    "in the notebook": (in_the_notebook, "`ask` ran in the notebook"),
    "out of order": (out_of_order, "in the order of the numbers"),
    "futures": (futures, "should return a list of the 8 answers"),
    "made up": (made_up, "should ask once for each number"),
}


def repeated_here(orders, customers):
    """Repeats the customers in the notebook. The orders stay where they are."""
    salts = pd.DataFrame({"salt": range(16)})
    repeated = customers.compute().merge(salts, how="cross")
    return orders.assign(salt=orders.order_id % 16).merge(repeated, on=["customer", "salt"])


def by_values(orders, customers):
    """Salts whoever has many orders, and only those."""
    counts = orders.customer.value_counts().compute()
    many = set(counts[counts > 1000].index)
    salts = pd.DataFrame({"salt": range(12)})

    def salted(rows):
        return rows.assign(salt=np.where(rows.customer.isin(many), rows.order_id % 12, 0))

    def repeated(rows):
        heavy = rows[rows.customer.isin(many)].merge(salts, how="cross")
        return pd.concat([heavy, rows[~rows.customer.isin(many)].assign(salt=0)])

    ours = orders.map_partitions(salted, meta={**orders.dtypes, "salt": "int64"})
    theirs = customers.map_partitions(repeated, meta={**customers.dtypes, "salt": "int64"})
    return ours.merge(theirs, on=["customer", "salt"]).drop(columns="salt")


def sent_to_all(orders, customers):
    return orders.merge(customers.repartition(npartitions=1), on="customer")


def by_broadcast(orders, customers):
    return orders.merge(customers, on="customer", how="left", broadcast=True)


def by_map(orders, customers):
    table = customers.compute()
    return orders.map_partitions(lambda rows: rows.merge(table, on="customer", how="left"))


def kept(orders):
    orders = orders.persist()
    worth = float((orders.price * orders.quantity).sum().compute())
    return {"count": len(orders), "worth": worth, "highest": orders.price.max().compute()}


def by_partitions(orders):
    def added(rows):
        return pd.DataFrame(
            {"count": [len(rows)], "worth": [(rows.price * rows.quantity).sum()], "highest": [rows.price.max()]}
        )

    sums = orders.map_partitions(added, meta={"count": "int64", "worth": "float64", "highest": "float64"}).compute()
    return np.array([sums["count"].sum(), sums.worth.sum(), sums.highest.max()])


def by_delayed(orders):
    def three(rows):
        return len(rows), (rows.price * rows.quantity).sum(), rows.price.max()

    parts = dask.compute(*[dask.delayed(three)(part) for part in orders.to_delayed()])
    counts, worths, highest = zip(*parts, strict=True)
    return [sum(counts), sum(worths), max(highest)]


def by_two_locks(client, ask, numbers):
    from dask.distributed import Lock

    def inside(number):
        with Lock(f"door {number % 2}"):
            return ask(number)

    return client.gather(client.map(inside, numbers, pure=False))


def by_one_lock(client, ask, numbers):
    from dask.distributed import Lock

    def inside(number, lock):
        with lock:
            return ask(number)

    lock = Lock("the only one")
    return [future.result() for future in [client.submit(inside, number, lock, pure=False) for number in numbers]]


def made_in_the_task(client, ask, numbers):
    def inside(number):
        from dask.distributed import Semaphore

        with Semaphore(2, name="the database"):
            return ask(number)

    return client.gather(client.map(inside, numbers, pure=False))


# As functions of a notebook do, these travel with all that is in them.
for _function in [value for value in globals().values() if inspect.isfunction(value)]:
    if _function.__module__ == __name__ and not _function.__name__.startswith("test_"):
        _function.__module__ = "__main__"

WRONG = {
    **{f"evened: {name}": (lab20.evened, *row) for name, row in EVENED.items()},
    **{f"report: {name}": (lab20.report, *row) for name, row in REPORT.items()},
    **{f"at the door: {name}": (lab20.at_the_door, *row) for name, row in AT_THE_DOOR.items()},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_has_advice_of_its_own(name, advice):
    exercise, answer, expected = WRONG[name]
    said, _lines = advice(exercise, answer)
    assert expected in said


@pytest.mark.parametrize("answer", [by_values, sent_to_all, by_broadcast, by_map, repeated_here])
def test_other_ways_to_even_a_join_are_right(answer):
    verdict = lab20.evened.verdict(answer)
    assert verdict.state == "right", verdict.message


@pytest.mark.parametrize("answer", [kept, by_partitions, by_delayed])
def test_other_reports_in_one_pass_are_right(answer):
    verdict = lab20.report.verdict(answer)
    assert verdict.state == "right", verdict.message


@pytest.mark.parametrize("answer", [by_two_locks, by_one_lock, made_in_the_task])
def test_other_doors_are_right(answer):
    verdict = lab20.at_the_door.verdict(answer)
    assert verdict.state == "right", verdict.message


def forever(*_arguments):
    while True:
        pass


forever.__module__ = "__main__"


@pytest.mark.parametrize("name", ["evened", "report", "at_the_door"])
def test_an_answer_that_never_ends_has_a_verdict(name, usual_pace):
    verdict = dataclasses.replace(getattr(lab20, name), seconds=5.0).verdict(forever)
    assert verdict.state == "not yet"
    assert "still running" in verdict.message


def test_every_advice_is_reached(unreached, advice):
    lines = set().union(*(advice(exercise, answer)[1] for exercise, answer, _expected in WRONG.values()))
    assert unreached(lab20, [], lines) == []
