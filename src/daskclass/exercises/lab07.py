"""Exercises of lab 07: the middle of a histogram, a place that is predicted, and a needle among hay."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from distributed import Client, Future

from daskclass.exercises.exercise import Exercise, TryNext

HAY = "hay"
_SECONDS = 60.0
_STALKS, _STALK, _NEEDLE = 40, 5_000, 100_000  # how many, and bytes


def _middle(orders_at: np.ndarray) -> int:
    return int(np.argmax(2 * np.cumsum(orders_at) >= np.sum(orders_at)))


def _judge_median(answer: Any, orders_at: np.ndarray) -> str:
    is_number = isinstance(answer, Real) and not isinstance(answer, bool)
    if not is_number or not np.isfinite(answer):
        raise TryNext("It should be a number of cents.")
    right, total = _middle(orders_at), int(np.sum(orders_at))
    if answer == right:
        share = np.cumsum(orders_at)[right] / total
        return f"{share:.2%} of {total:,} orders cost {right / 100:,.2f} or less. Exact, and no worker held them all."
    if round(answer * 100) == right:
        raise TryNext("That is in dollars; the place in `orders_at` is in cents.")
    if answer == int(np.argmax(orders_at)):
        raise TryNext("That is the price with the most orders (the mode). Half of the orders are to be at or below it.")
    if isinstance(answer, Integral) and abs(answer - right) == 1:
        raise TryNext("Off by one cent. Is it the *first* price at which half is reached?")
    mean = float(np.average(np.arange(len(orders_at)), weights=orders_at))
    if abs(answer - mean) < 0.5 < abs(answer - right):
        raise TryNext(
            "That is the mean. These prices are spread so evenly that it is next to the middle; most data are not."
        )
    if answer == np.median(orders_at):
        raise TryNext("That is the middle of the counts. The counts say how many orders there are; add them up.")
    raise TryNext("`orders_at.cumsum()` says how many orders cost so much or less. Where does it reach half of all?")


def _solve_median(orders_at):
    so_much_or_less = orders_at.cumsum()
    return int(np.searchsorted(so_much_or_less, so_much_or_less[-1] / 2))


median = Exercise(
    variable="median",
    judge=_judge_median,
    solve=_solve_median,
    hints=(
        "Add up from the lowest price: `orders_at.cumsum()` has as many numbers as `orders_at`.",
        "`np.searchsorted(so_much_or_less, half)` is the first place where a rising array reaches `half`.",
    ),
)


def _judge_place(answer: object, client: Client) -> str:
    workers = sorted(client.nthreads())
    if not isinstance(answer, str) or answer not in workers:
        raise TryNext("It should be `first` or `second`.")
    if len(workers) != 2:
        raise TryNext(f"This cluster has {len(workers)} workers, and the question needs 2: start the lab anew.")
    one = client.submit(int, 1, workers=workers[:1], pure=False)
    many = client.submit(bytes, 20_000_000, workers=workers[1:], pure=False)
    both = client.submit(lambda a, b: len(b) + a, one, many, pure=False)
    try:
        both.result(timeout=_SECONDS)
    except TimeoutError:
        raise TryNext(f"It was tried, and did not run in {_SECONDS:g} seconds. Are both workers idle?") from None
    (ran_on,) = client.who_has(both)[both.key]
    if ran_on != answer:
        raise TryNext("It was tried, and ran on the other. What would have to travel in each case?")
    return "It was tried a moment ago, and ran there: the number is fetched in no time, 20 MB in a fifth of a second."


def _solve_place(client):
    _first, second = sorted(client.nthreads())
    return second


place = Exercise(
    variable="place",
    judge=_judge_place,
    solve=_solve_place,
    hints=(
        "Both workers are idle. What does each of them have to fetch before it can begin?",
        "One would fetch 28 bytes, the other 20 million.",
    ),
)


def hay(client: Client) -> list[Future[bytes]]:
    """Put a haystack on the cluster: many small results and a larger one, on workers that chance picks.

    The results are there as long as somebody holds what this returns.
    """
    # Of the scheduler itself: what the client knows of workers is now and then replaced by an answer without them.
    workers = sorted(client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.workers)))
    mark, larger = time.time_ns(), secrets.randbelow(_STALKS)
    held = []
    for number in range(_STALKS):
        content = bytes(_NEEDLE if number == larger else _STALK)
        data = {f"{HAY}-{mark:x}-{number:02}": content}
        held += client.scatter(data, workers=[secrets.choice(workers)], hash=False).values()
    return held


def _hay_of(client: Client) -> dict[str, int]:
    """Bytes of each result of the last haystack: an earlier one may be on its way out."""
    sizes = {key: size for key, size in client.nbytes(summary=False).items() if str(key).startswith(f"{HAY}-")}
    last = max((key.rpartition("-")[0] for key in sizes), default="")
    return {key: size for key, size in sizes.items() if key.startswith(last)}


def _judge_needle(answer: object, client: Client) -> str:
    sizes = _hay_of(client)
    if not sizes:
        raise TryNext("There is no hay on this cluster: run the line `hay = lab07.hay(client)` once more.")
    if isinstance(answer, str | dict | set) or not isinstance(answer, Iterable):
        raise TryNext("It should be a pair: `(key, address)`.")
    answer = tuple(answer)
    if len(answer) != 2 or not all(isinstance(part, str) for part in answer):
        raise TryNext("It should be a pair of two texts: `(key, address)`.")
    key, address = answer
    right = max(sizes, key=sizes.__getitem__)
    places = client.who_has()[right]
    if key in places and address == right:
        raise TryNext("Turn it round: the key first, the address second.")
    if key not in sizes:
        raise TryNext(f"No such key. There are {len(sizes)} that begin with `{HAY}`, and `client.nbytes()` knows them.")
    if key != right:
        raise TryNext(f"{key} has {sizes[key]:,} bytes, and it is not the largest.")
    if address not in places:
        raise TryNext("The key is right. `client.who_has()` says where it is.")
    return f"{sizes[right]:,} bytes at {address}, found in {len(sizes)} results, of which none came here."


def _solve_needle(client):
    hay_only = {key: size for key, size in client.nbytes(summary=False).items() if key.startswith("hay")}
    largest = max(hay_only, key=hay_only.get)
    return largest, client.who_has()[largest][0]


needle = Exercise(
    variable="needle",
    judge=_judge_needle,
    solve=_solve_needle,
    hints=(
        "`client.nbytes(summary=False)` has the size of each key; keep those that begin with `hay`.",
        "`max(sizes, key=sizes.get)` is the key with the largest size, and `client.who_has()[key]` its workers.",
    ),
)
