"""Exercises of lab 21: one process is the first in a store, and a question that asks the store for little."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from unittest import mock

import cloudpickle
import numpy as np
import pandas as pd

from daskclass.errors import Problem
from daskclass.exercises import kinds
from daskclass.exercises.apart import reason
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.object_store import ObjectStore
from daskclass.terminals import Terminals

_SECONDS = 60.0  # for a judge, which needs ten where nothing else runs
_TOGETHER = 4  # processes at once
_LATE, _APART = 1.0, 0.3  # seconds by which the store is late to put an object, and each later one later still
_FILES, _ROWS = 6, 40_000
_MOST = 0.25  # of the objects' bytes; one column takes about 0.1, and two 0.37

_CALLER = """
import json, sys
import cloudpickle, s3fs

answer = cloudpickle.loads(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())))
files = s3fs.S3FileSystem(skip_instance_cache=True)
files.exists("race")


def say(word):
    print("caller:" + word, file=sys.__stdout__, flush=True)


say("ready")
for line in sys.stdin.buffer:
    try:
        got = answer(files, *json.loads(line))
        told = json.dumps({"got": got if isinstance(got, str) else repr(got)})
    except BaseException as error:
        told = json.dumps({"error": f"{type(error).__name__}: {error}"})
    files.invalidate_cache()
    say(told)
"""


@contextmanager
def _store(quick: bool = False) -> Iterator[ObjectStore]:
    """A store of the judge's own, which this process and its children find by their environment.

    rclone starts ten times as fast, if it's here, and knows no conditions.
    """
    scripts = sysconfig.get_path("scripts")
    program = "rclone" if quick and shutil.which("rclone", path=scripts) else None
    with contextlib.redirect_stdout(io.StringIO()), Terminals() as terminals:
        store = ObjectStore(terminals, "learner", program=program)
        try:
            with mock.patch.dict(os.environ, store.variables("learner")):
                yield store
        finally:
            store.close()


class _Caller:
    """A process that calls the learner's function."""

    def __init__(self, answer: Callable[..., object]) -> None:
        work = cloudpickle.dumps(answer)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CALLER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._tell(b"%d\n%b" % (len(work), work))

    def _tell(self, words: bytes) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then it says nothing, either
            self.process.stdin.write(words)
            self.process.stdin.flush()

    def _hear(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:  # ends with the process
            text = line.decode(errors="replace")
            if text.startswith("caller:"):
                return text.removeprefix("caller:").strip()
        return ""

    def wait(self) -> None:
        if self._hear() != "ready":
            raise TryNext("We couldn't send it to another process. Import what it needs inside the function.")

    def ask(self, path: str, me: str) -> None:
        self._tell(json.dumps([path, me]).encode() + b"\n")

    def result(self) -> object:
        told = json.loads(self._hear() or '{"error": "it ended its process"}')
        if "error" in told:
            raise TryNext(f"It raised `{told['error']}`.")
        return told["got"]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):  # what it was never told
                stream.close()


@contextmanager
def _callers(answer: Callable[..., object], number: int) -> Iterator[list[_Caller]]:
    """So many processes that are ready."""
    callers: list[_Caller] = []
    try:
        for _ in range(number):
            callers.append(_Caller(answer))
        for caller in callers:
            caller.wait()
        yield callers
    finally:
        for caller in callers:
            caller.end()


def _call(callers: list[_Caller], path: str, *texts: str) -> list[object]:
    """What the function returns in as many processes at once."""
    for caller, me in zip(callers, texts, strict=False):
        caller.ask(path, me)
    return [caller.result() for caller in callers[: len(texts)]]


def _judge_first(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the file system, a path and a text.")
    with _store() as store:
        if store.program == "rclone":
            raise Problem(
                "The store of this machine takes no notice of conditions, so no one can be sure to be the first."
            )
        import s3fs

        files = s3fs.S3FileSystem(skip_instance_cache=True)
        files.mkdir("race")
        words = [f"{name}-{np.random.default_rng().integers(10**6)}" for name in ("cy", "ann", "ed", "bob", "di")]
        with _callers(answer, _TOGETHER) as callers:
            _judge_calls(callers, words, store)
    return f"{_TOGETHER} processes at the same moment agreed on one of them, and so did one that came later."


@contextmanager
def _late(store: ObjectStore) -> Iterator[None]:
    """A store that takes its time to put an object, so that all have looked; and then puts one after the other.

    If all appeared at once, those who put after a look could all read the last one, and seem to agree.
    """
    with contextlib.ExitStack() as faults:
        for number in range(_TOGETHER):
            faults.enter_context(store.proxy.fault(_puts_from(number), seconds=_APART if number else _LATE))
        yield


def _puts_from(first: int) -> Callable[[str, str], bool]:
    """Tells whether a request puts an object, and so many have before."""
    puts = itertools.count()
    return lambda method, _path: method == "PUT" and next(puts) >= first


def _judge_calls(callers: list[_Caller], words: list[str], store: ObjectStore) -> None:
    one = _call(callers, "race/alone", words[0])
    if one != [words[0]]:
        raise TryNext(f"It was called by one process only, with {words[0]!r}, and returned {one[0]!r}.")
    for caller, word in zip(callers[1:], words[1:3], strict=False):  # one before it in the alphabet, and one after it
        later = _call([caller], "race/alone", word)
        if later != [words[0]]:
            raise TryNext(f"{words[0]!r} was first. Another process came a second later, and got {later[0]!r}.")
    with _late(store), store.counted() as seen:
        together = _call(callers, "race/together", *words[:_TOGETHER])
    told = sorted(set(map(str, together)))
    if len(told) > 1:
        raise TryNext(
            f"{_TOGETHER} processes came at the same moment, and the store was late. They got {', '.join(told)}. "
            "Between a look and a put, someone else may come."
        )
    puts = Counter(one.name for one in seen.requests if one.method == "PUT" and one.status < 300)
    if most := [(name, times) for name, times in puts.most_common(1) if times > 1]:
        [(name, times)] = most
        raise TryNext(
            f"They agreed in the end. But {times} of {_TOGETHER} put their text into {name!r}, and each but the last "
            "was overwritten. Whoever reads in between gets another one."
        )
    if told[0] not in words:
        raise TryNext(f"All got {told[0]!r}, which none of them had passed.")
    late = _call(callers, "race/together", words[-1])
    if late != [told[0]]:
        raise TryNext(f"At first, all agreed on {told[0]!r}. One that came later got {late[0]!r}.")


def _solve_first(files, path, me):
    from contextlib import suppress

    with suppress(OSError):  # when the condition doesn't hold: someone was faster
        files.pipe_file(path, me.encode(), mode="create")
    return files.cat_file(path).decode()


first = Exercise(
    variable="first",
    judge=_judge_first,
    solve=_solve_first,
    hints=(
        "Each puts its text there under the condition that there's nothing yet, and then reads what's there.",
        '`files.pipe_file(path, me.encode(), mode="create")` raises an `OSError` if there is something. '
        "`files.cat_file(path)` reads it.",
    ),
    is_function=True,
    apart=True,
    seconds=_SECONDS,
)


def _orders(random: np.random.Generator, rows: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "order_id": random.permutation(rows),
            "category": random.choice(["Books", "Toys", "Garden", "Food"], rows, p=[0.4, 0.3, 0.2, 0.1]),
            "price": random.integers(100, 100_000, rows) / 100,
            "weight": random.random(rows),
        }
    )


def _judge_lean(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes a prefix.")
    import s3fs

    random = np.random.default_rng()
    with _store(quick=True) as store:
        files = s3fs.S3FileSystem(skip_instance_cache=True)
        files.mkdir("orders")
        tables = [_orders(random, _ROWS + int(random.integers(1_000))) for _ in range(_FILES + 1)]
        prefix = f"part-{random.integers(10**6)}-"  # nobody can have written it down
        names = [f"{prefix}{number}.parquet" for number in range(_FILES)] + ["old-0.parquet"]
        for name, table in zip(names, tables, strict=True):
            with files.open(f"orders/{name}", "wb") as file:
                table.to_parquet(file, index=False)
        size = sum(files.size(f"orders/{name}") for name in names[:-1])
        with store.counted() as seen:
            try:
                got = answer(f"s3://orders/{prefix}")
            except Exception as error:
                raise TryNext(f"It raised `{reason(error)}`.") from error
    _check_counts(got, tables)
    share = seen.sent / size
    if share > _MOST:
        raise TryNext(
            f"The numbers are right. But the store sent {share:.0%} of the objects' bytes, in {len(seen.requests)} "
            "requests. Which columns does the question need? And does something read ahead? (A file of `s3fs` does, by "
            'megabytes: `files.open(…, cache_type="none")`, or `S3FileSystem(default_cache_type="none")`.)'
        )
    return f"The numbers are right. The store sent {share:.0%} of the objects' bytes, in {len(seen.requests)} requests."


def _check_counts(got: object, tables: list[pd.DataFrame]) -> None:
    if hasattr(got, "__dask_graph__"):
        raise TryNext("It returned a plan, and nothing has been asked. Compute it.")
    if isinstance(got, pd.DataFrame) and len(got.columns) == 1:
        got = got.iloc[:, 0]
    if isinstance(got, pd.Series):
        got = got.to_dict()
    if not isinstance(got, Mapping):
        raise TryNext("It should return a dictionary of numbers, by category.")
    expected: dict[str, int] = Counter(pd.concat(tables[:-1]).category)
    numbers = {str(name): kinds.number(count) for name, count in got.items()}
    if numbers == expected:
        return
    if numbers == Counter(pd.concat(tables).category):
        raise TryNext("It also counted objects with another prefix.")
    if missing := sorted(set(expected) - set(numbers)):
        raise TryNext(f"It has no number for {missing[0]!r}.")
    if more := sorted(set(numbers) - set(expected)):
        raise TryNext(f"It has a number for {more[0]!r}, and there is no such category.")
    wrong = next(name for name in sorted(expected) if numbers[name] != expected[name])
    raise TryNext(f"It says {got[wrong]!r} for {wrong!r}, and there are {expected[wrong]:,}.")


def _solve_lean(path):
    import dask.dataframe as dd

    orders = dd.read_parquet(path + "*", columns=["category"])
    return orders.category.value_counts().compute().to_dict()


lean = Exercise(
    variable="lean",
    judge=_judge_lean,
    solve=_solve_lean,
    hints=(
        "Which column does the question need? And how do you name all objects whose names begin like this?",
        '`dd.read_parquet(path + "*", columns=["category"])`, and then `value_counts`.',
    ),
    is_function=True,
    apart=True,
    seconds=_SECONDS,
)
