"""Exercises of lab 13: files that somebody broke, and a task that can be heard."""

from __future__ import annotations

import logging
import secrets
import tempfile
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path

import pandas as pd
from distributed import Client, wait

from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.sales import Sales

_FILES, _ROWS, _BROKEN = 12, 1_000, 3
_SPOILT = ('"12,50"', "n/a", "free")
_SECONDS = 60.0


def break_files(folder: str | Path, sales: Sales) -> list[str]:
    """Write orders into files of a new folder in `folder`, and spoil some prices in some of them, where chance picks.

    Returns
    -------
    list of str
        The paths, in order. Each file has a header (line 1) and a line ``order_id,price,quantity`` for each order.
    """
    place = Path(tempfile.mkdtemp(prefix="broken-", dir=folder))
    orders = pd.read_parquet(sales.parts[0], columns=["order_id", "price", "quantity"]).head(_FILES * _ROWS)
    chosen = secrets.SystemRandom().sample(range(_FILES), _BROKEN)
    paths = []
    for number in range(_FILES):
        rows = orders.iloc[number * _ROWS : (number + 1) * _ROWS]
        lines = rows.to_csv(index=False, lineterminator="\n").splitlines()
        if number in chosen:
            for row in secrets.SystemRandom().sample(range(1, len(lines)), 2):
                order_id, _price, quantity = lines[row].split(",")
                lines[row] = f"{order_id},{secrets.choice(_SPOILT)},{quantity}"
        path = place / f"orders-{number:02}.csv"
        path.write_text("\n".join(lines) + "\n")
        paths.append(str(path))
    return paths


def _first_bad_line(path: str) -> int | None:
    for number, line in enumerate(Path(path).read_text().splitlines()[1:], 2):
        try:
            _order_id, price, _quantity = line.split(",")
            float(price)
        except ValueError:
            return number
    return None


def _judge_bad(answer: object, broken: list[str]) -> str:
    right = {Path(path).name: number for path in broken if (number := _first_bad_line(path)) is not None}
    if not isinstance(answer, Mapping):
        raise TryNext('It should be a dictionary such as `{"orders-03.csv": 17}`.')
    if not all(isinstance(name, str) and isinstance(number, Integral) for name, number in answer.items()):
        raise TryNext("It should have names of files as text, and numbers of lines as whole numbers.")
    names = {Path(path).name for path in broken}
    said = {Path(name).name: int(number) for name, number in answer.items()}
    if strangers := sorted(set(said) - names):
        raise TryNext(f"There is no file {strangers[0]}.")
    if well := sorted(set(said) - set(right)):
        raise TryNext(f"{well[0]} can be read to its end.")
    if len(said) < len(right):
        raise TryNext(f"{len(said)} of the files that fail are in it; there are more.")
    for name, number in sorted(said.items()):
        if number == right[name] - 1:
            raise TryNext(f"{name}: one too low. The header is line 1.")
        if number != right[name]:
            raise TryNext(f"{name} does not fail first at line {number}.")
    return f"{len(right)} of {len(broken)} files, and in each the line."


def _solve_bad(broken):
    from pathlib import Path

    def first_bad_line(path):
        for number, line in enumerate(Path(path).read_text().splitlines(), 1):
            try:
                _order_id, price, _quantity = line.split(",")
                number == 1 or float(price)
            except ValueError:
                return number

    found = {Path(path).name: first_bad_line(path) for path in broken}
    return {name: number for name, number in found.items() if number}


bad = Exercise(
    variable="bad",
    judge=_judge_bad,
    solve=_solve_bad,
    hints=(
        "`client.map(revenue, broken)`, wait for them, and look which have the status `error`.",
        "Here, read such a file line by line, with `enumerate(…, 1)`, and try `revenue`'s two steps on each line.",
    ),
)


def _judge_loud(answer: object, client: Client) -> str:
    if not callable(answer):
        raise TryNext("It should be a function of one number.")
    number = secrets.randbelow(10**9)
    future = client.submit(answer, number, pure=False)
    try:
        with client.as_current():
            wait(future, timeout=_SECONDS)
        got = future.result()
    except TimeoutError:
        raise TryNext(f"It was not done within {_SECONDS:g} seconds.") from None
    except Exception as error:
        raise TryNext(f"The task raised {type(error).__name__}: {error}") from error
    if isinstance(got, bool) or got != number:
        raise TryNext("It should return its number.")
    (ran_on,) = client.who_has(future)[future.key]
    said = [(level, text) for level, text in client.get_worker_logs()[ran_on] if str(number) in text]
    said = [(level, text) for level, text in said if future.key not in text]  # the worker's own words about the task
    if not said:
        raise TryNext(
            'The log of its worker does not have the number. A logger of the name "distributed.worker" would.'
        )
    if not any(level == logging.getLevelName(logging.WARNING) for level, _text in said):
        raise TryNext(f"It was logged as {said[0][0]}; it should be a warning.")
    return f"In the log of {ran_on}: *{said[0][1]}*."


def _solve_loud(number):
    import logging

    logging.getLogger("distributed.worker").warning("this is number %s", number)
    return number


loud = Exercise(
    variable="loud",
    judge=_judge_loud,
    solve=_solve_loud,
    hints=(
        "What `get_worker_logs` shows is what went to the logger `distributed.worker`.",
        '`logging.getLogger("distributed.worker").warning(…)`',
    ),
    is_function=True,
)
