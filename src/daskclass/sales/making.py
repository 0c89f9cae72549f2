"""How do we make the data, so that data that looks finished is finished?

A run writes everything to a folder with a temporary name, and renames the files when they are complete, the manifest
last. One run at a time holds a lock on the data folder. The system releases the lock when the run dies, however it
dies. The next run removes what a dead run left behind.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from dask.utils import format_bytes
from filelock import FileLock, SoftFileLock, Timeout
from tqdm.auto import tqdm

from daskclass import sizes
from daskclass.errors import Problem, UsageProblem
from daskclass.sales import folder as folders
from daskclass.sales import rows
from daskclass.sales.folder import CSV_NAME, GENERATOR, MANIFEST_NAME, PARQUET_NAME, Sales
from daskclass.system.files import sha256, written

DEFAULT_SEED = 2026
FORMATS = ("csv", "parquet")
MOST_THREADS = 4  # each needs about 50 MB, and the one thread that writes couldn't keep up with more
BLOCKS_A_PART = 2  # a Parquet file of two row groups, each a block

_UNFINISHED = ".unfinished"
_MOVING = "moving"
_LOCK = ".making.lock"
_PARQUET_SHARE = 0.40  # of the CSV's bytes; 0.29 was measured
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)  # the errors of network disks that don't support file locks
_ELSEWHERE = "set DASKCLASS_DATA to another folder, or use --out with `daskclass data`"


def open_sales(size: sizes.Size | str | None = None) -> Sales:
    """The sales data of `size`. Makes it first if it doesn't exist.

    Parameters
    ----------
    size : sizes.Size or str, optional
        ``class``, ``smoke`` or bytes. By default, the value of ``DASKCLASS_SIZE``, else ``class``.

    Returns
    -------
    Sales
        With both formats.

    Raises
    ------
    UsageProblem
        If there is no such size.
    Problem
        If there are files, but they have changed. We never replace those unless you ask for it. Also if there is no
        room for the data; see `make`.

    Examples
    --------
    The first call makes the data, in ``data`` or in ``DASKCLASS_DATA``. The second call finds it.

    >>> from daskclass import sales
    >>> made = sales.open_sales("1MB")
    Making the sales data of size 1MB (only the first time).
    >>> found = sales.open_sales("1MB")
    >>> found.rows == made.rows
    True
    >>> sorted(found.formats)
    ['csv', 'parquet']
    """
    wanted = sizes.current() if size is None else size if isinstance(size, sizes.Size) else sizes.parse(size)
    found = folders.look(folders.place(wanted))
    if found.state == "finished" and found.sales is not None and found.sales.formats == set(FORMATS):
        return found.sales
    if found.state in ("missing", "finished"):
        print(f"Making the sales data of size {wanted.name} (only the first time).", flush=True)
    return make(wanted, progress=True)


def make(
    size: sizes.Size,
    out: Path | None = None,
    *,
    seed: int = DEFAULT_SEED,
    threads: int | None = None,
    formats: Iterable[str] = FORMATS,
    force: bool = False,
    progress: bool = False,
) -> Sales:
    """Make the sales data, unless it already exists.

    Parameters
    ----------
    size : sizes.Size
        How many bytes of CSV.
    out : pathlib.Path, optional
        Folder for the data; by default the folder of `size` (`daskclass.sales.folder.place`).
    seed : int
        The same seed and size give the same bytes, with any number of threads.
    threads : int, optional
        1 to 4; by default one for each core.
    formats : iterable of str
        ``csv``, ``parquet`` or both. A format that already exists is kept.
    force : bool
        Replace existing files, also if they have another size or seed, have changed, or aren't ours.
    progress : bool
        Show a bar on standard error, or in the notebook.

    Returns
    -------
    Sales
        The data that exists now.

    Raises
    ------
    UsageProblem
        If an argument is invalid.
    Problem
        If the folder has other data, another run is making data there, or the disk is full or read-only.

    Examples
    --------
    `folder` is an empty folder. The rows are the same on every machine, and so are the answers.

    >>> from daskclass import sales, sizes
    >>> made = sales.make(sizes.parse("1MB"), folder)
    >>> made.rows, made.answers["Books"]["quantity"]
    (18959, 7855)
    >>> sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    ['manifest.json', 'sales.parquet', 'sales_data.csv']

    Data with another seed doesn't replace it unless you pass ``force=True``:

    >>> sales.make(sizes.parse("1MB"), folder, seed=1)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    daskclass.errors.Problem: ... holds data with seed 2026, not 1; ...
    """
    wanted = set(formats)
    if not wanted or not wanted <= set(FORMATS):
        raise UsageProblem(f"formats {sorted(wanted)} are invalid; choose from {', '.join(FORMATS)}")
    if threads is None:
        threads = min(os.cpu_count() or 1, MOST_THREADS)
    if not 1 <= threads <= MOST_THREADS:
        raise UsageProblem(f"{threads} threads won't work; choose 1 to {MOST_THREADS}")
    if rows.rows_for(size.csv_bytes) > rows.MOST_ORDERS:
        raise UsageProblem(f"size {size.name} is too large: order numbers have ten digits, enough for 400GB")
    if seed < 0:
        raise UsageProblem(f"seed {seed} is invalid; choose an integer of 0 or more")
    out = (out or folders.place(size)).absolute()
    with _explained(out):
        # We check twice: before touching anything, and once no other run can be at work.
        there, wanted = _settle(out, size, seed, wanted, force)
        if there is not None:
            return there
        out.mkdir(parents=True, exist_ok=True)
    with _explained(out), _alone(out):
        there, wanted = _settle(out, size, seed, wanted, force)
        if there is not None:
            return there
        shutil.rmtree(out / _UNFINISHED, ignore_errors=True)  # of a run that died
        unfinished = out / _UNFINISHED
        moving = False
        try:
            unfinished.mkdir()
            manifest = _write(unfinished, size, seed, threads, wanted, progress)
            (unfinished / MANIFEST_NAME).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
            moving = True
            _move_in(unfinished, out, wanted)
            moving = False
        finally:
            if not moving:  # otherwise it stays, so that the next run knows that the files are ours
                shutil.rmtree(unfinished, ignore_errors=True)
    finished = folders.look(out)
    if finished.sales is None or finished.state != "finished":
        raise Problem(f"{finished.why}: another program wrote to {out} at the same time")
    return finished.sales


def restamp(sales: Sales) -> None:
    """Write the files' present times into the manifest, for a copy that `verify` found to be unchanged."""
    for name, listed in sales.manifest["files"].items():
        listed.update(folders.stamp(sales.folder / name))
    with _explained(sales.folder), _alone(sales.folder):
        _write_manifest(sales.folder, sales.manifest)


def refusal(out: Path) -> str | None:
    """Why we can't make data in `out`; None if we can.

    Tries the first steps of making data: writes a temporary file where `out` is or will be, and locks it. Leaves
    nothing behind.
    """
    if why := folders.unreachable(out):
        return why
    there = next(folder for folder in (out, *out.parents) if folders.exists(folder))
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            _lock(file.fileno())
    except OSError as error:
        return _no_locks(out, error) if error.errno in _NO_LOCKS else f"can't write to {there} ({error.strerror})"
    return None


def _lock(descriptor: int) -> None:
    """Lock a file as filelock does. Like filelock, go on without a lock if the system has none (ENOSYS)."""
    if os.name != "posix":
        return
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise


def _no_locks(out: Path, error: OSError) -> str:
    return (
        f"the disk of {out} can't lock files ({error.strerror}), like some network disks; without a lock, two runs "
        "could write the same files"
    )


@contextlib.contextmanager
def _explained(out: Path) -> Iterator[None]:
    """Turn system errors into problems that name the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Problem(
                f"the disk of {out} is full; we kept nothing. Free some space, choose a smaller size, or {_ELSEWHERE}"
            ) from error
        if error.errno in _NO_LOCKS:
            raise Problem(f"{_no_locks(out, error)}. To use a local disk, {_ELSEWHERE}") from error
        raise Problem(f"can't write to {out} ({error.strerror or error}): {_ELSEWHERE}") from error


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    lock = FileLock(out / _LOCK, timeout=0)
    try:
        with (
            warnings.catch_warnings()
        ):  # where there is no `flock`, filelock warns and makes do with a file that is there
            warnings.filterwarnings("ignore", message="flock not supported")
            lock.acquire()
    except Timeout:
        # Such a file stays when a run on another machine was killed.
        soft = f"; if none is running, delete {out / _LOCK}" if isinstance(lock, SoftFileLock) else ""
        raise Problem(f"another run is making data in {out}; wait until it ends{soft}") from None
    try:
        yield
    finally:
        lock.release()


def _settle(out: Path, size: sizes.Size, seed: int, wanted: set[str], force: bool) -> tuple[Sales | None, set[str]]:
    """The existing data if it will do, or the formats to make. Raises a Problem if neither is possible."""
    found = folders.look(out)
    if not force:
        ours = (out / _UNFINISHED / _MOVING).exists()  # a run that ended while it moved its files to their place
        if found.state == "changed" or (found.state == "unfinished" and not ours):
            command = _command(size, out, seed)
            verify = "" if found.sales is None else f"compare checksums with `{command} --verify`, or "
            raise Problem(f"{found.why}; {verify}make the data again with `{command} --force`")
        if found.sales is not None:
            _require_same(found.sales, size, seed, out)
            if wanted <= found.sales.formats:
                return found.sales, wanted
            wanted = wanted | found.sales.formats
    _require_room(out, size, wanted)
    return None, wanted


def _command(size: sizes.Size, out: Path, seed: int) -> str:
    return folders.command(size, out, None if seed == DEFAULT_SEED else seed)


def _require_same(there: Sales, size: sizes.Size, seed: int, out: Path) -> None:
    if there.size != size.name:
        what = f"of size {there.size}, not {size.name}"
    elif there.seed != seed:
        what = f"with seed {there.seed}, not {seed}"
    else:
        return
    raise Problem(
        f"{there.folder} holds data {what}; replace it with `{_command(size, out, seed)} --force`, or keep it and "
        f"{_ELSEWHERE}"
    )


def _require_room(out: Path, size: sizes.Size, formats: set[str]) -> None:
    share = ("csv" in formats) + _PARQUET_SHARE * ("parquet" in formats)
    if why := folders.unreachable(out):
        raise UsageProblem(f"{why}. Or {_ELSEWHERE}")
    there = next(folder for folder in (out, *out.parents) if folders.exists(folder))
    needed, free = int(size.csv_bytes * share * 1.01), shutil.disk_usage(there).free
    if needed > free:
        raise Problem(
            f"no room in {out}: the data needs {format_bytes(needed)}, and {format_bytes(free)} are free. Free some "
            f"space, choose a smaller size, or {_ELSEWHERE}"
        )


def _write(
    unfinished: Path, size: sizes.Size, seed: int, threads: int, formats: set[str], progress: bool
) -> dict[str, Any]:
    """Write the files of `formats` into the folder `unfinished`. Return the contents of the manifest."""
    total_rows = rows.rows_for(size.csv_bytes)
    if "parquet" in formats:
        (unfinished / PARQUET_NAME).mkdir()
    part = functools.partial(_part, unfinished=unfinished, seed=seed, total_rows=total_rows, formats=formats)
    tallies = np.zeros((len(rows.CATEGORIES), len(rows.TALLIES)), dtype=np.int64)
    files: dict[str, dict[str, Any]] = {}
    with (
        tqdm(
            total=rows.expected_csv_bytes(total_rows),
            unit="B",
            unit_scale=True,
            desc=f"sales data ({size.name})",
            disable=not progress,
            leave=False,
        ) as bar,
        _Csv(unfinished / CSV_NAME if "csv" in formats else None) as csv,
    ):
        csv.put(rows.HEADER)
        for made in _in_order(part, -(-rows.blocks(total_rows) // BLOCKS_A_PART), threads):
            for text in made.text:
                csv.put(text)
            files |= made.files
            tallies += made.tallies
            bar.update(bar.total * made.rows // total_rows)
    if "csv" in formats:
        files[CSV_NAME] = {**folders.stamp(unfinished / CSV_NAME), "sha256": csv.digest.hexdigest()}
    return {
        "schema": {
            "generator": GENERATOR,
            "columns": {field.name: str(field.type) for field in rows.COLUMNS},
        },
        "seed": seed,
        "size": size.name,
        "bytes": csv.written if "csv" in formats else None,
        "rows": total_rows,
        "sha256": csv.digest.hexdigest() if "csv" in formats else None,
        "answers": {
            category: dict(zip(rows.TALLIES, line, strict=True))
            for category, line in zip(rows.CATEGORIES, tallies.tolist(), strict=True)
        },
        "files": dict(sorted(files.items())),
    }


@dataclass(frozen=True)
class _Part:
    rows: int
    text: list[pa.Buffer]
    tallies: np.ndarray
    files: dict[str, dict[str, Any]]


def _part(number: int, *, unfinished: Path, seed: int, total_rows: int, formats: set[str]) -> _Part:
    """Draw a part's blocks and write its Parquet file. Another thread writes the CSV of all parts, in order."""
    with_csv, with_parquet = "csv" in formats, "parquet" in formats
    path = unfinished / PARQUET_NAME / f"part-{number:06d}.parquet"
    first = number * BLOCKS_A_PART
    text, part_rows, tallies = [], 0, np.zeros((len(rows.CATEGORIES), len(rows.TALLIES)), dtype=np.int64)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_parquet_file(path)) if with_parquet else None
        for block_number in range(first, min(first + BLOCKS_A_PART, rows.blocks(total_rows))):
            block = rows.draw(seed, total_rows, block_number, csv=with_csv, parquet=with_parquet)
            if file is not None:
                file.write_table(block.table)
            if block.csv is not None:
                text.append(block.csv)
            part_rows += block.rows
            tallies += block.tallies
    files: dict[str, dict[str, Any]] = {}
    if with_parquet:
        files[f"{PARQUET_NAME}/{path.name}"] = {**folders.stamp(path), "sha256": sha256(path)}
    return _Part(part_rows, text, tallies, files)


class _Csv:
    """Writes the CSV file and computes its checksum. Without a path, it writes nothing."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.digest, self.written = path, hashlib.sha256(), 0

    def __enter__(self) -> _Csv:
        self.file = None if self.path is None else self.path.open("wb", buffering=0)
        return self

    def __exit__(self, *_error: object) -> None:
        if self.file is not None:
            self.file.close()

    def put(self, text: bytes | pa.Buffer) -> None:
        if self.file is None:
            return
        rest = memoryview(text)
        self.digest.update(rest)
        while rest:  # a raw file may write less than we give it
            taken = self.file.write(rest)
            self.written, rest = self.written + taken, rest[taken:]


def _parquet_file(path: Path) -> pq.ParquetWriter:
    # A dictionary of 99,001 prices or half a million customers is larger than the numbers themselves.
    repeated = ["day", "store", "category", "quantity", "returned"]
    # As small as Snappy makes it, and Arrow reads it nearly twice as fast (benchmarks/question.py).
    return pq.ParquetWriter(path, rows.COLUMNS, use_dictionary=repeated, compression="lz4")


def _in_order(one: Callable[[int], _Part], count: int, threads: int) -> Iterator[_Part]:
    """``one(0) … one(count - 1)`` on `threads` threads, in order, no more than one result waiting for each."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="sales")
    waiting: deque[Future[_Part]] = deque()
    try:
        started = 0
        while started < count or waiting:
            while started < count and len(waiting) <= threads:
                waiting.append(pool.submit(one, started))
                started += 1
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _move_in(unfinished: Path, out: Path, formats: set[str]) -> None:
    (unfinished / _MOVING).touch()
    # Without a manifest, nothing counts as finished. So we remove it first, and move the new one last.
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    (out / CSV_NAME).unlink(missing_ok=True)
    _remove(out / PARQUET_NAME)
    if "csv" in formats:
        (unfinished / CSV_NAME).replace(out / CSV_NAME)
    if "parquet" in formats:
        (unfinished / PARQUET_NAME).replace(out / PARQUET_NAME)
    (unfinished / MANIFEST_NAME).replace(out / MANIFEST_NAME)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write_manifest(out: Path, manifest: dict[str, Any]) -> None:
    with written(out / MANIFEST_NAME) as unfinished:
        unfinished.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
