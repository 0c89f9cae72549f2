"""Exercises of lab 13: files with broken prices, and a task that writes to its worker's log."""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
from pathlib import Path

import pandas as pd
from distributed import Client

from daskclass.exercises import kinds
from daskclass.exercises.apart import reason
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.exercises.trials import trial
from daskclass.sales import Sales

_FILES, _ROWS, _BROKEN = 12, 1_000, 3
_SPOILT = ('"12,50"', "n/a", "free")
_SECONDS = 14.0


def break_files(folder: str | Path, sales: Sales) -> list[str]:
    """Write orders into files of a new folder in `folder`, and spoil some prices in a few random files.

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
    given = kinds.mapping(answer)
    if given is None:
        raise TryNext('It should be a dictionary such as `{"orders-03.csv": 17}`.')
    names = {Path(path).name for path in broken}
    said = {}
    for name, typed in given.items():
        number = kinds.whole(typed)
        if not isinstance(name, str | os.PathLike) or number is None:
            raise TryNext("It should map the names of files, as text, to whole numbers of lines.")
        said[Path(name).name] = number
    if strangers := sorted(set(said) - names):
        raise TryNext(f"There's no file {strangers[0]}.")
    if well := sorted(set(said) - set(right)):
        raise TryNext(f"{well[0]} has no bad line. `revenue` reads it to the end.")
    if len(said) < len(right):
        raise TryNext(f"You found {len(said)} of the files that fail, but there are more.")
    for name, number in sorted(said.items()):
        if number == right[name] - 1:
            raise TryNext(f"{name}: one too low. The header is line 1.")
        if number == right[name] - 2:
            raise TryNext(f"{name}: two too low. The header is line 1, and the first order is line 2.")
        if number != right[name]:
            raise TryNext(f"{name} doesn't fail first at line {number}.")
    return f"{len(right)} of {len(broken)} files fail, and you have the first bad line of each."


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
        "Call `client.map(revenue, broken)`, wait for the futures, and check which have the status `error`.",
        "In the notebook, read such a file by line, with `enumerate(…, 1)`, and try `revenue`'s two steps on each.",
    ),
)


def _judge_loud(answer: object, client: Client) -> str:
    if not callable(answer):
        raise TryNext("It should be a function of one number.")
    number = 10**8 + secrets.randbelow(9 * 10**8)  # so long that no other line has it by chance
    with trial(client, _SECONDS) as tried:
        try:
            future = client.submit(answer, number, pure=False)
        except Exception as error:  # a learner's variables can raise anything when they are pickled
            raise TryNext(f"We couldn't send it to a worker: {reason(error)}") from error
        [got] = tried.gather([future])
        if kinds.whole(got) != number:
            raise TryNext("It should return its number.")
        said = [
            (worker, level, text)
            for worker, lines in client.get_worker_logs().items()
            for level, text in lines
            if str(number) in text.replace(",", "").replace("_", "")  # `{number:,}` is the number, too
        ]
    if not said:
        raise TryNext(
            'No worker\'s log has the number. Lines that you log with the logger "distributed.worker" appear there.'
        )
    warnings = [line for line in said if line[1] == logging.getLevelName(logging.WARNING)]
    if not warnings:
        raise TryNext(f"You logged it as {said[0][1]}, and it should be a warning.")
    worker, _level, text = warnings[0]
    return f"In the log of {worker}: *{text}*."


def _solve_loud(number):
    import logging

    logging.getLogger("distributed.worker").warning("this is number %s", number)
    return number


loud = Exercise(
    variable="loud",
    judge=_judge_loud,
    solve=_solve_loud,
    hints=(
        "`get_worker_logs` shows the lines that went to the logger `distributed.worker`.",
        '`logging.getLogger("distributed.worker").warning(…)`',
    ),
    is_function=True,
)
