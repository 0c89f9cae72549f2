"""Is the data there, and is it what was made? Reads a data folder; writes nothing.

A folder is finished if it has a manifest, which is written last, and every listed file has the listed size and time.
`verify` compares the contents with their checksums.
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
"""Raise this with every change that makes other rows from the same seed and size."""


@dataclass(frozen=True)
class Sales:
    """A finished data folder.

    Attributes
    ----------
    folder : pathlib.Path
    size : str
        Name of the size: ``class``, ``smoke`` or bytes.
    seed : int
    rows : int
    bytes : int or None
        Size of the CSV; None if there is only Parquet.
    csv : str
        Absolute path of the CSV file, as Dask and pandas take it.
    parquet : str
        Absolute path of the folder of Parquet files.
    answers : dict
        Exact integers for each category: ``rows``, ``price_cents``, ``quantity``, ``revenue_cents`` (price
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

    ``state`` is *missing* (no data), *unfinished* (files without a manifest), *changed* (the files have changed, and
    ``why`` says how) or *finished*. ``sales`` is None unless there is a readable manifest.
    """

    state: Literal["missing", "unfinished", "changed", "finished"]
    why: str
    sales: Sales | None = None


def home() -> Path:
    """The folder for data of every size.

    This is ``DASKCLASS_DATA`` if set. Otherwise it is ``data`` in the checkout around the working directory, else in
    the checkout that this package is installed from, else in the working directory itself.
    """
    if named := os.environ.get("DASKCLASS_DATA"):
        return Path(named).absolute()
    return (checkout.find() or Path.cwd()) / "data"


def place(size: sizes.Size) -> Path:
    """The folder of `size`: ``data/`` for class, ``data/<size>/`` for any other.

    If that folder has no data, but an earlier version made this size under another spelling (``data/10gb``), use that
    folder.
    """
    wanted = home() if size == sizes.CLASS else home() / size.name
    if not _has_data(wanted) and os.path.isdir(home()) and os.access(home(), os.R_OK):  # noqa: PTH112
        for folder in sorted(home().iterdir()):
            if _is_of(folder, size):
                return folder
    return wanted


def _is_of(folder: Path, size: sizes.Size) -> bool:
    """Whether `folder` is named after `size`, in any spelling, and has data."""
    try:
        return sizes.parse(folder.name) == size and _has_data(folder)
    except UsageProblem:  # not named after a size
        return False


def _has_data(folder: Path) -> bool:
    return exists(folder / MANIFEST_NAME)


def exists(path: Path) -> bool:
    """Whether `path` exists. Up to Python 3.13, `Path.exists` raises inside a folder that we may not open."""
    return os.path.exists(path)  # noqa: PTH110


def command(size: sizes.Size, out: Path | None = None, seed: int | None = None) -> str:
    """The command that makes the data of `size`, in `out` if that isn't its usual folder. You can append options."""
    words = ["daskclass data"]
    words += [f"--size {size.name}"] if size != sizes.CLASS else []
    words += [f"--seed {seed}"] if seed is not None else []
    words += [f"--out {shlex.quote(str(out))}"] if out is not None and out != place(size) else []
    return " ".join(words)


def unreachable(folder: Path) -> str | None:
    """Why this folder can't exist: a file or a broken link is in the way. None if nothing is."""
    for path in (folder, *folder.parents):
        if path.is_symlink() and not exists(path):
            return f"{path} is a link to {path.readlink()}, which doesn't exist; connect that disk, or remove the link"
        if exists(path):
            return None if path.is_dir() else f"{path} is a file, but should be a folder"
    return None


def stamp(path: Path) -> dict[str, int]:
    """A file's size in bytes and modification time in microseconds; some shared folders store no finer times."""
    status = path.stat()
    return {"bytes": status.st_size, "modified_us": status.st_mtime_ns // 1000}


def look(folder: Path) -> Found:
    """Check what `folder` holds, by names, sizes and times.

    Parameters
    ----------
    folder : pathlib.Path
        It doesn't have to exist.

    Returns
    -------
    Found
        Also if a file can't be read. Then ``why`` names it.

    Examples
    --------
    `folder` is an empty folder. Once the data is finished, `look` notices if a file changes.

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
        return Found("changed", f"can't read {error.filename or folder}: {error.strerror or error}")


def _look(folder: Path) -> Found:
    manifest = folder / MANIFEST_NAME
    if not manifest.is_file():
        there = [name for name in (CSV_NAME, PARQUET_NAME) if (folder / name).exists()]
        if there:
            return Found("unfinished", f"{folder / there[0]} has no manifest")
        return Found("missing", f"no sales data in {folder}")
    try:
        sales = _read(manifest)
    except (OSError, ValueError, RecursionError) as error:
        return Found("changed", f"can't read {manifest}: {type(error).__name__}: {error}")
    if (made_by := sales.manifest["schema"].get("generator")) != GENERATOR:
        return Found(
            "changed", f"the data in {folder} comes from generator {made_by}, but this is generator {GENERATOR}", sales
        )
    for name, listed in sales.manifest["files"].items():
        path = folder / name
        if not path.is_file():
            return Found("changed", f"{path} is missing", sales)
        found = stamp(path)
        if found["bytes"] != listed["bytes"]:
            return Found("changed", f"{path} has {found['bytes']:,} bytes instead of {listed['bytes']:,}", sales)
        if found["modified_us"] != listed["modified_us"]:
            return Found("changed", f"{path} has changed since it was made", sales)
    for kind, name in (("csv", CSV_NAME), ("parquet", PARQUET_NAME)):
        if kind not in sales.formats and (folder / name).exists():
            return Found("changed", f"{folder / name} is not in the manifest", sales)
    if "parquet" in sales.formats:
        if not Path(sales.parquet).is_dir():
            return Found("changed", f"{sales.parquet} is no longer a folder", sales)
        unlisted = {path.name for path in Path(sales.parquet).iterdir()} - {Path(p).name for p in sales.parts}
        if unlisted:
            return Found("changed", f"{Path(sales.parquet) / min(unlisted)} does not belong there", sales)
    return Found("finished", f"{sales.rows:,} rows in {folder}", sales)


def unreadable(sales: Sales) -> str | None:
    """The first file of `sales` that can't be opened, and why; None if all can. The labs need no more than that."""
    for name in sales.manifest["files"]:
        try:
            with (sales.folder / name).open("rb"):
                continue
        except OSError as error:
            return f"can't read {sales.folder / name}: {error.strerror}"
    return None


def verify(sales: Sales) -> None:
    """Compare every file of `sales` with its checksum.

    Raises
    ------
    Problem
        Names the first file whose contents have changed.
    """
    for name, listed in sales.manifest["files"].items():
        path = sales.folder / name
        if files.sha256(path) != listed["sha256"]:
            raise Problem(f"{path} has changed: its checksum differs; make the data again with --force")


def _read(manifest: Path) -> Sales:
    """The folder that `manifest` describes. Raises a ValueError if it doesn't have the form that `making` writes."""
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
        raise ValueError("the rows of its answers don't add up to its number of rows")
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
    """The name of a size that a manifest may spell in another way. Raises a ValueError if it is not a size."""
    try:
        return sizes.parse(text).name
    except UsageProblem as problem:
        raise ValueError(str(problem)) from None


def _require(value: Any, kind: type, what: str) -> None:
    if type(value) is not kind:
        raise ValueError(f"{what} should be a {kind.__name__}, but is {value!r:.60}")
