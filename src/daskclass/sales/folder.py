"""Is the data there, and is it what was made? Reads a data folder; writes nothing.

A folder is finished when its manifest is there, which is written last, and when every file it lists has the
size and the time that it lists. The contents are compared by checksum when that is asked for (`verify`).
"""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from daskclass import sizes
from daskclass.errors import Problem, UsageProblem
from daskclass.sales.rows import CATEGORIES, TALLIES
from daskclass.system import checkout, files

CSV_NAME = "sales_data.csv"
PARQUET_NAME = "sales.parquet"
MANIFEST_NAME = "manifest.json"
GENERATOR = 1
"""Goes up with every change that gives other rows for the same seed and size."""


@dataclass(frozen=True)
class Sales:
    """A finished data folder.

    Attributes
    ----------
    folder : pathlib.Path
    size : str
        Name of its size: ``class``, ``smoke`` or bytes.
    seed : int
    rows : int
    bytes : int or None
        Size of the CSV; None where only Parquet was made.
    csv : str
        Absolute path of the CSV file, as Dask and pandas take it.
    parquet : str
        Absolute path of the folder of Parquet files.
    answers : dict
        For each category exact integers: ``rows``, ``price_cents``, ``quantity``, ``revenue_cents`` (price
        times quantity), ``returned``.
    manifest : dict
        All of ``manifest.json``.
    """

    folder: Path
    size: str
    seed: int
    rows: int
    bytes: int | None
    csv: str
    parquet: str
    answers: dict[str, dict[str, int]]
    manifest: dict[str, Any]

    @property
    def parts(self) -> list[str]:
        """Absolute paths of the Parquet files, in the order of their rows."""
        return [str(self.folder / name) for name in sorted(self.manifest["files"]) if name.startswith(PARQUET_NAME)]

    @property
    def formats(self) -> set[str]:
        """Which of ``csv`` and ``parquet`` are there."""
        names = self.manifest["files"]
        kinds = {"csv": CSV_NAME, "parquet": f"{PARQUET_NAME}/"}
        return {kind for kind, start in kinds.items() if any(name.startswith(start) for name in names)}


@dataclass(frozen=True)
class Found:
    """What a data folder holds.

    ``state`` is *missing* (nothing there), *unfinished* (files without a manifest), *changed* (not what was
    made, ``why`` says in what) or *finished*; ``sales`` is None unless a readable manifest is there.
    """

    state: Literal["missing", "unfinished", "changed", "finished"]
    why: str
    sales: Sales | None = None


def home() -> Path:
    """Where data of every size lives.

    ``DASKCLASS_DATA`` if it is set, else ``data`` in the checkout around the working directory or, if there is
    none, in the one this package is installed from, else ``data`` in the working directory.
    """
    if named := os.environ.get("DASKCLASS_DATA"):
        return Path(named).absolute()
    return (checkout.find() or Path.cwd()) / "data"


def place(size: sizes.Size) -> Path:
    """The folder of `size`: ``data/`` for class, ``data/<size>/`` for any other.

    If that folder holds no data, and an earlier version made this size under another spelling (``data/10gb``), the
    folder that it made is used.
    """
    wanted = home() if size == sizes.CLASS else home() / size.name
    if not _has_data(wanted) and os.path.isdir(home()) and os.access(home(), os.R_OK):  # noqa: PTH112
        for folder in sorted(home().iterdir()):
            if _is_of(folder, size):
                return folder
    return wanted


def _is_of(folder: Path, size: sizes.Size) -> bool:
    """Whether `folder` is named after `size`, in whichever spelling, and holds data."""
    try:
        return sizes.parse(folder.name) == size and _has_data(folder)
    except UsageProblem:  # not named after a size
        return False


def _has_data(folder: Path) -> bool:
    return exists(folder / MANIFEST_NAME)


def exists(path: Path) -> bool:
    """Whether `path` can be seen. `Path.exists` raises, up to Python 3.13, inside a folder that is closed to us."""
    return os.path.exists(path)  # noqa: PTH110


def command(size: sizes.Size, out: Path | None = None, seed: int | None = None) -> str:
    """What to type for the data of `size`, in `out` if that is not its place; another option can follow."""
    words = ["daskclass data"]
    words += [f"--size {size.name}"] if size != sizes.CLASS else []
    words += [f"--seed {seed}"] if seed is not None else []
    words += [f"--out {shlex.quote(str(out))}"] if out is not None and out != place(size) else []
    return " ".join(words)


def unreachable(folder: Path) -> str | None:
    """Why there can be no folder of this name, in words: a file or a link that leads nowhere is in its way."""
    for path in (folder, *folder.parents):
        if path.is_symlink() and not exists(path):
            return f"{path} is a link to {path.readlink()}, which is not there: connect that disk, or remove the link"
        if exists(path):
            return None if path.is_dir() else f"{path} is a file, and should be a folder"
    return None


def stamp(path: Path) -> dict[str, int]:
    """Size in bytes and time of change in microseconds (some shared folders keep no more) of one file."""
    status = path.stat()
    return {"bytes": status.st_size, "modified_us": status.st_mtime_ns // 1000}


def look(folder: Path) -> Found:
    """Say what `folder` holds, by names, sizes and times.

    Parameters
    ----------
    folder : pathlib.Path
        It need not be there.

    Returns
    -------
    Found
        Also where something cannot be read: then its ``why`` names it.

    Examples
    --------
    `folder` is an empty folder. When the data is finished, a file that somebody writes to is noticed.

    >>> from daskclass import sales, sizes
    >>> sales.look(folder).state
    'missing'
    >>> made = sales.make(sizes.parse("1MB"), folder)
    >>> sales.look(folder).state
    'finished'
    >>> with open(made.csv, "a") as file:
    ...     written = file.write("one order more\\n")
    >>> sales.look(folder).state
    'changed'
    """
    try:
        return _look(folder)
    except OSError as error:
        return Found("changed", f"{error.filename or folder} cannot be read: {error.strerror or error}")


def _look(folder: Path) -> Found:
    manifest = folder / MANIFEST_NAME
    if not manifest.is_file():
        there = [name for name in (CSV_NAME, PARQUET_NAME) if (folder / name).exists()]
        if there:
            return Found("unfinished", f"{folder / there[0]} is there without a manifest")
        return Found("missing", f"no sales data in {folder}")
    try:
        sales = _read(manifest)
    except (OSError, ValueError, RecursionError) as error:
        return Found("changed", f"{manifest} cannot be read: {type(error).__name__}: {error}")
    if (made_by := sales.manifest["schema"].get("generator")) != GENERATOR:
        return Found("changed", f"{folder} was made by generator {made_by}, this is {GENERATOR}", sales)
    for name, listed in sales.manifest["files"].items():
        path = folder / name
        if not path.is_file():
            return Found("changed", f"{path} is gone", sales)
        found = stamp(path)
        if found["bytes"] != listed["bytes"]:
            return Found("changed", f"{path} has {found['bytes']:,} bytes, made were {listed['bytes']:,}", sales)
        if found["modified_us"] != listed["modified_us"]:
            return Found("changed", f"{path} was written to after it was made", sales)
    for kind, name in (("csv", CSV_NAME), ("parquet", PARQUET_NAME)):
        if kind not in sales.formats and (folder / name).exists():
            return Found("changed", f"{folder / name} is not what the manifest lists", sales)
    if "parquet" in sales.formats:
        if not Path(sales.parquet).is_dir():
            return Found("changed", f"{sales.parquet} is not a folder any more", sales)
        unlisted = {path.name for path in Path(sales.parquet).iterdir()} - {Path(p).name for p in sales.parts}
        if unlisted:
            return Found("changed", f"{Path(sales.parquet) / min(unlisted)} does not belong there", sales)
    return Found("finished", f"{sales.rows:,} rows in {folder}", sales)


def unreadable(sales: Sales) -> str | None:
    """The first file of `sales` that cannot be opened, and why; None where all can. Labs need no more than that."""
    for name in sales.manifest["files"]:
        try:
            with (sales.folder / name).open("rb"):
                continue
        except OSError as error:
            return f"{sales.folder / name} cannot be read: {error.strerror}"
    return None


def verify(sales: Sales) -> None:
    """Compare every file of `sales` with its checksum.

    Raises
    ------
    Problem
        Naming the first file whose contents are not what was made.
    """
    for name, listed in sales.manifest["files"].items():
        path = sales.folder / name
        if files.sha256(path) != listed["sha256"]:
            raise Problem(f"{path} is not what was made: its checksum differs; make it anew with --force")


def _read(manifest: Path) -> Sales:
    """The folder that `manifest` describes; a ValueError where it is not of the form that `making` writes."""
    content = json.loads(manifest.read_text(encoding="utf-8"))
    folder = manifest.parent.absolute()
    _require(content, dict, "the manifest")
    for name, kind in (
        ("schema", dict),
        ("seed", int),
        ("size", str),
        ("rows", int),
        ("answers", dict),
        ("files", dict),
    ):
        _require(content.get(name), kind, name)
    for name, listed in content["files"].items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError(f"it lists {name!r}, outside of its folder")
        _require(listed, dict, name)
        for what, kind in (("bytes", int), ("modified_us", int), ("sha256", str)):
            _require(listed.get(what), kind, f"{what} of {name}")
    if CSV_NAME in content["files"]:
        _require(content.get("bytes"), int, "bytes")
    if set(content["answers"]) != set(CATEGORIES):
        raise ValueError(f"its answers are for {', '.join(map(str, content['answers'])) or 'nothing'}")
    for category, sums in content["answers"].items():
        _require(sums, dict, f"the answers for {category}")
        for tally in TALLIES:
            _require(sums.get(tally), int, f"{tally} of {category}")
    if sum(sums["rows"] for sums in content["answers"].values()) != content["rows"]:
        raise ValueError("the rows of its answers do not add up to its rows")
    if CSV_NAME in content["files"]:
        csv = content["files"][CSV_NAME]
        if (content["bytes"], content.get("sha256")) != (csv["bytes"], csv["sha256"]):
            raise ValueError("it contradicts itself about the CSV")
    return Sales(
        folder=folder,
        size=_size_named(content["size"]),
        seed=content["seed"],
        rows=content["rows"],
        bytes=content.get("bytes"),
        csv=str(folder / CSV_NAME),
        parquet=str(folder / PARQUET_NAME),
        answers=content["answers"],
        manifest=content,
    )


def _size_named(text: str) -> str:
    """The name of a size that a manifest may spell in another way; a ValueError if it is no size."""
    try:
        return sizes.parse(text).name
    except UsageProblem as problem:
        raise ValueError(str(problem)) from None


def _require(value: Any, kind: type, what: str) -> None:
    if type(value) is not kind:
        raise ValueError(f"{what} should be a {kind.__name__} and is {value!r:.60}")
