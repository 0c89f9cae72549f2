"""Exercises of lab 07: the middle of a histogram, the worker that runs a task, and a needle among hay."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from itertools import islice

import numpy as np
from distributed import Client, Future

from daskclass.exercises import kinds
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.system import pace

HAY = "hay"
_SECONDS = 15.0
_STALKS, _STALK, _NEEDLE = 40, 5_000, 100_000  # how many, and bytes of each


def _middle(orders_at: np.ndarray) -> int:
    return int(np.argmax(2 * np.cumsum(orders_at) >= np.sum(orders_at)))


def _judge_median(answer: object, orders_at: np.ndarray) -> str:
    cents = kinds.number(answer)
    if cents is None:
        raise TryNext("It should be a number of cents.")
    right, total = _middle(orders_at), int(np.sum(orders_at))
    if cents == right:
        share = np.cumsum(orders_at)[right] / total
        return f"{share:.2%} of {total:,} orders cost {right / 100:,.2f} or less. Exact, and no worker held them all."
    if round(cents * 100) == right:
        raise TryNext("That's in dollars. Positions in `orders_at` are cents.")
    if cents == int(np.argmax(orders_at)):
        raise TryNext("That's the price with the most orders (the mode). Half of all orders should cost that or less.")
    if abs(cents - right) == 1:
        raise TryNext("Off by one cent. Is it the *first* price that reaches half?")
    mean = float(np.average(np.arange(len(orders_at)), weights=orders_at))
    if abs(cents - mean) < 0.5 < abs(cents - right):
        raise TryNext(
            "That's the mean. These prices are spread so evenly that it's close to the middle. Most data isn't."
        )
    if cents == np.median(orders_at):
        raise TryNext("That's the middle of the counts. Each count is a number of orders; add them up.")
    raise TryNext("`orders_at.cumsum()` counts the orders up to each price. Where does it reach half of all orders?")


def _solve_median(orders_at):
    so_much_or_less = orders_at.cumsum()
    return int(np.searchsorted(so_much_or_less, so_much_or_less[-1] / 2))


median = Exercise(
    variable="median",
    judge=_judge_median,
    solve=_solve_median,
    hints=(
        "Add up from the lowest price: `orders_at.cumsum()` has as many numbers as `orders_at`.",
        "`np.searchsorted(so_much_or_less, half)` is the first position at which a rising array reaches `half`.",
    ),
)


def _judge_place(answer: object, client: Client) -> str:
    workers = sorted(client.nthreads())
    names = dict(zip(("first", "second"), workers, strict=False))  # for those who typed quotes
    if not isinstance(answer, str) or (chosen := names.get(answer, answer)) not in workers:
        raise TryNext("It should be `first` or `second`.")
    if len(workers) != 2:
        count = f"{len(workers)} worker{'s' * (len(workers) != 1)}"
        raise TryNext(f"This cluster has {count}, and the question needs 2. Restart the lab.")
    one = client.submit(int, 1, workers=workers[:1], pure=False)
    many = client.submit(bytes, 20_000_000, workers=workers[1:], pure=False)
    both = client.submit(lambda a, b: len(b) + a, one, many, pure=False)
    limit = pace.Limit(_SECONDS)
    try:
        limit.within(lambda left: both.result(timeout=left))
        (ran_on,) = client.who_has(both)[both.key]
    except TimeoutError:
        seconds = f"{limit.elapsed:.0f}"
        raise TryNext(f"We tried it, and it didn't run within {seconds} seconds. Are both workers idle?") from None
    finally:
        client.cancel([both, one, many])
    if ran_on != chosen:
        raise TryNext("We tried it, and it ran on the other worker. How much would have to travel in each case?")
    return (
        "We tried it a moment ago, and it ran there. At the 100 MB/s that Dask assumes before it has seen transfers, "
        "20 MB take a fifth of a second, and the number takes no time."
    )


def _solve_place(client):
    _first, second = sorted(client.nthreads())
    return second


place = Exercise(
    variable="place",
    judge=_judge_place,
    solve=_solve_place,
    hints=(
        "Both workers are idle. How much does each of them have to fetch before it can start?",
        "One would fetch 28 bytes, the other one 20 million.",
    ),
)


def hay(client: Client) -> list[Future[bytes]]:
    """Put a haystack on the cluster: many small results and a larger one, on randomly chosen workers.

    The results stay there as long as something holds the returned futures.
    """
    # Ask the scheduler itself, because the client's own list of workers is sometimes empty for a moment.
    workers = sorted(client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.workers)))
    mark, larger = time.time_ns(), secrets.randbelow(_STALKS)
    held = []
    for number in range(_STALKS):
        content = bytes(_NEEDLE if number == larger else _STALK)
        data = {f"{HAY}-{mark:x}-{number:02}": content}
        held += client.scatter(data, workers=[secrets.choice(workers)], hash=False).values()
    return held


def _hay_of(client: Client) -> dict[str, int]:
    """Bytes of each result of the last haystack. The scheduler may not have dropped an earlier one yet."""
    sizes = {key: size for key, size in client.nbytes(summary=False).items() if str(key).startswith(f"{HAY}-")}
    last = max((key.rpartition("-")[0] for key in sizes), default="")
    return {key: size for key, size in sizes.items() if key.startswith(last)}


def _judge_needle(answer: object, client: Client) -> str:
    sizes = _hay_of(client)
    if not sizes:
        raise TryNext("There's no hay on this cluster. Run the line `hay = lab07.hay(client)` again.")
    if isinstance(answer, str | dict | set) or not isinstance(answer, Iterable):
        raise TryNext("It should be a pair: `(key, address)`.")
    pair = tuple(islice(answer, 3))  # a generator may never end
    if len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], list | tuple):
        raise TryNext("`client.who_has()` lists every worker with a copy. Take the address out of that list.")
    if len(pair) != 2 or not all(isinstance(part, str) for part in pair):
        raise TryNext("It should be a pair of two texts: `(key, address)`.")
    key, address = pair
    right = max(sizes, key=sizes.__getitem__)
    places = client.who_has()[right]
    if key in places and address == right:
        raise TryNext("Swap them. The key comes first, and the address comes second.")
    if key not in sizes:
        raise TryNext(f"No such key. {len(sizes)} keys begin with `{HAY}`, and `client.nbytes()` lists them.")
    if key != right:
        raise TryNext(f"{key} has {sizes[key]:,} bytes, and it isn't the largest.")
    if address not in places:
        raise TryNext("The key is right. `client.who_has()` says where it is.")
    return f"{sizes[right]:,} bytes at {address}. You found it among {len(sizes)} results, and none of them came here."


def _solve_needle(client):
    hay_only = {key: size for key, size in client.nbytes(summary=False).items() if key.startswith("hay")}
    largest = max(hay_only, key=hay_only.get)
    return largest, client.who_has()[largest][0]


needle = Exercise(
    variable="needle",
    judge=_judge_needle,
    solve=_solve_needle,
    hints=(
        "`client.nbytes(summary=False)` has the size of each key. Keep those that begin with `hay`.",
        "`max(sizes, key=sizes.get)` is the key with the largest size, and `client.who_has()[key]` its workers.",
    ),
)
