"""Turns one file of orders into one part with scores, which is written completely or not at all.

The metadata of a part name its model and its source, and have a checksum of its rows. So the parts alone show what is
finished, no matter which process made them and what died or was damaged since.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from daskclass.errors import Problem
from daskclass.scoring.model import FEATURES, DoesNotFit, Model, check, is_text
from daskclass.system.files import sha256, written

MANIFEST_NAME = "manifest.json"
_KEY, _SCORE = "order_id", "score"
_MODEL, _SOURCE, _ROWS = b"daskclass.model", b"daskclass.source", b"daskclass.rows"
_AT_ONCE = 262_144  # rows of whole row groups: fewer calls of scikit-learn, and 10 to 20 MB more than a group


class CannotScore(Problem):
    """We can't score a file of orders. The message names the file and the row group."""


@dataclass(frozen=True)
class Part:
    """A finished part.

    Attributes
    ----------
    name : str
        Name of the part's file.
    source : str
        Name of the file of orders.
    rows : int
    model : str
        Version of the model.
    sha256 : str
        SHA-256 of the file, 64 hexadecimal digits.
    """

    name: str
    source: str
    rows: int
    model: str
    sha256: str


def score_file(source: str | Path, folder: str | Path, model: Model, batch: int | None = None) -> Part:
    """Score the orders of a Parquet file, a few row groups at a time, into a part of the same name in `folder`.

    The part appears when it is complete. It replaces an earlier part of that name in one step.

    Parameters
    ----------
    source : str or path
        A Parquet file with the columns of the model, and ``order_id`` (int64, with no missing values).
    folder : str or path
        An existing folder, not the one with the source.
    model : Model
    batch : int, optional
        Rows to score at once; by default row groups that have up to 262,144 rows together, or one that is larger.

    Returns
    -------
    Part
        Its file has a row for each order, with the columns ``order_id`` (int64) and ``score`` (float64, 0 to 1).

    Raises
    ------
    CannotScore
        If the file or a row group can't be read or doesn't fit the model, or if the part can't be written. Then there
        is no new part, and an earlier one stays.
    UsageProblem
        If `batch` is less than 1.

    Examples
    --------
    `data` is sales data of 2 MB, `model` a trained model, and `folder` an empty folder.

    >>> import pandas as pd
    >>> from daskclass import scoring
    >>> part = scoring.score_file(data.parts[0], folder, model)
    >>> part.name, part.rows == data.rows
    ('part-000000.parquet', True)
    >>> scores = pd.read_parquet(folder / part.name)
    >>> list(scores.columns), bool(scores.score.between(0, 1).all())
    (['order_id', 'score'], True)
    """
    source, folder = Path(source), Path(folder)
    if source.parent.resolve() == folder.resolve() or source.resolve() == (folder / source.name).resolve():
        raise CannotScore(f"{source} is in the folder for parts, so its part would replace it")
    if not folder.is_dir():
        raise CannotScore(f"{folder} isn't a folder, so it can't hold parts")
    try:
        stamp, file = _stamp(source), _open(source, model)
    except (OSError, pa.ArrowException) as error:
        raise CannotScore(f"can't read {source}: {_first_line(error)}") from error
    schema = pa.schema(
        [(_KEY, pa.int64()), (_SCORE, pa.float64())], metadata={_MODEL: model.version.encode(), _SOURCE: stamp}
    )
    rows = _Rows()
    try:
        # No dictionary: all values differ, so it would be as large as the values, and six times the work.
        with file, written(folder / source.name) as unfinished:
            with pq.ParquetWriter(unfinished, schema, use_dictionary=False, write_page_checksum=True) as writer:
                for numbers in _together(file):
                    orders = pa.concat_tables([_row_group(file, number, source, model) for number in numbers])
                    scores = model.scores(orders.select(list(FEATURES)).to_pandas(ignore_metadata=True), batch)
                    table = pa.table([orders.column(_KEY), scores], schema=schema)
                    writer.write_table(table)
                    rows.add(table)
                writer.add_key_value_metadata({_ROWS: rows.checksum()})
                count = file.metadata.num_rows
            digest = sha256(unfinished)
    except OSError as error:
        raise CannotScore(f"can't write the part of {source} to {folder}: {error}") from error
    return Part(source.name, source.name, count, model.version, digest)


def _open(source: Path, model: Model) -> pq.ParquetFile:
    """Open the file, with string columns as dictionaries. `_row_group` reports missing columns."""
    there = pq.read_schema(source)
    texts = [name for name in model.known if there.names.count(name) == 1 and is_text(there.field(name).type)]
    return pq.ParquetFile(source, read_dictionary=texts, page_checksum_verification=True)


class _Rows:
    """A checksum of a part's rows, in whatever pieces they come."""

    def __init__(self) -> None:
        self._columns = {name: hashlib.sha256() for name in (_KEY, _SCORE)}

    def add(self, table: pa.Table) -> None:
        for name, digest in self._columns.items():
            digest.update(table.column(name).to_numpy().tobytes())

    def checksum(self) -> str:
        return " ".join(digest.hexdigest() for digest in self._columns.values())


def _together(file: pq.ParquetFile) -> Iterator[list[int]]:
    """The numbers of the row groups that are scored at once."""
    numbers: list[int] = []
    rows = 0
    for number in range(file.num_row_groups):
        here = file.metadata.row_group(number).num_rows
        if numbers and rows + here > _AT_ONCE:
            yield numbers
            numbers, rows = [], 0
        numbers.append(number)
        rows += here
    if numbers:
        yield numbers


def _row_group(file: pq.ParquetFile, number: int, source: Path, model: Model) -> pa.Table:
    where = f"{source}, row group {number + 1} of {file.num_row_groups}"
    names = Counter(file.schema_arrow.names)
    if _KEY not in names:
        raise CannotScore(f"{where}: there is no column {_KEY!r}, so we couldn't tell which order a score belongs to")
    if twice := [name for name in (_KEY, *FEATURES) if names[name] > 1]:
        raise CannotScore(f"{where}: column {twice[0]!r} appears {names[twice[0]]} times")
    if (kind := file.schema_arrow.field(_KEY).type) != pa.int64():
        raise CannotScore(f"{where}: column {_KEY!r} is {kind}, but should be int64")
    try:
        orders = file.read_row_group(number, columns=[name for name in (_KEY, *FEATURES) if name in names])
        orders.validate(full=True)
        check(orders, model)
    except DoesNotFit as error:
        raise CannotScore(f"{where}: {error}") from error
    except (OSError, pa.ArrowException) as error:
        raise CannotScore(f"can't read {where}: {_first_line(error)}") from error
    if orders.column(_KEY).null_count:
        raise CannotScore(
            f"{where}: column {_KEY!r} has missing values, so we couldn't tell which order a score belongs to"
        )
    return orders


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def _stamp(source: Path) -> bytes:
    """A file's name, size and modification time, as far as we can identify it without reading it."""
    status = source.stat()
    return json.dumps([source.name, status.st_size, status.st_mtime_ns]).encode()


def finished(sources: Iterable[str | Path], folder: str | Path, model: Model) -> dict[str, Part]:
    """Which of `sources` have a complete and undamaged part, made with this model from the file as it is now.

    A file counts as changed if its size or modification time differs.

    Parameters
    ----------
    sources : iterable of str or path
        Parquet files of orders.
    folder : str or path
        The folder for their parts.
    model : Model

    Returns
    -------
    dict
        The part of each such source. Its key is the source as you passed it, as a string.

    Examples
    --------
    `data` is sales data of 2 MB, `model` a trained model, and `folder` an empty folder. A restarted job first asks
    which files are left to score.

    >>> from daskclass import scoring
    >>> scoring.finished(data.parts, folder, model)
    {}
    >>> part = scoring.score_file(data.parts[0], folder, model)
    >>> done = scoring.finished(data.parts, folder, model)
    >>> [source for source in data.parts if source not in done]
    []
    >>> done[data.parts[0]] == part
    True
    """
    found = {}
    for source in sources:
        path = Path(folder) / Path(source).name
        try:
            metadata, rows = pq.read_metadata(path), pq.read_metadata(source).num_rows
            stamp = _stamp(Path(source))
        except (OSError, pa.ArrowException):
            continue  # missing or unreadable, so not finished
        about = metadata.metadata or {}
        if (
            metadata.num_rows == rows
            and about.get(_MODEL) == model.version.encode()
            and about.get(_SOURCE) == stamp
            and about.get(_ROWS) == _rows_of(path)
        ):
            found[str(source)] = Part(path.name, Path(source).name, rows, model.version, sha256(path))
    return found


def _rows_of(path: Path) -> bytes | None:
    """The checksum of a part's rows; None if they can't be read."""
    rows = _Rows()
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as part:
            for number in range(part.num_row_groups):
                rows.add(part.read_row_group(number))
    except (OSError, pa.ArrowException, KeyError):
        return None
    return rows.checksum().encode()


def write_manifest(folder: str | Path, parts: Iterable[Part]) -> Path:
    """Write the list of all parts, sorted by name, to `folder`, in one step.

    Parameters
    ----------
    folder : str or path
        The folder with the parts.
    parts : iterable of Part

    Returns
    -------
    pathlib.Path
        The manifest: JSON with ``rows``, the total number of rows, and ``parts``, the parts' attributes.

    Raises
    ------
    CannotScore
        If two parts have the same name, a part is missing, they come from different models, or the manifest can't be
        written. Then an earlier manifest stays.

    Examples
    --------
    `data` is sales data of 2 MB, `model` a trained model, and `folder` an empty folder. The manifest comes last: if it
    exists, the scores are complete.

    >>> import json
    >>> from daskclass import scoring
    >>> parts = [scoring.score_file(source, folder, model) for source in data.parts]
    >>> manifest = scoring.write_manifest(folder, parts)
    >>> manifest.name
    'manifest.json'
    >>> json.loads(manifest.read_text())["rows"] == data.rows
    True
    """
    folder, listed = Path(folder), sorted(parts, key=lambda part: part.name)
    names = Counter(part.name for part in listed)
    if twice := {name for name, count in names.items() if count > 1}:
        raise CannotScore(f"{min(twice)} is in the list of parts more than once")
    if len(models := {part.model for part in listed}) > 1:
        raise CannotScore(
            f"the parts come from {len(models)} models: {', '.join(name[:12] for name in sorted(models))}"
        )
    if gone := [name for name in names if not (folder / name).is_file()]:
        raise CannotScore(f"{folder / gone[0]} is in the list of parts, but missing")
    text = {"rows": sum(part.rows for part in listed), "parts": [asdict(part) for part in listed]}
    try:
        with written(folder / MANIFEST_NAME) as unfinished:
            unfinished.write_text(json.dumps(text, indent=1) + "\n")
    except OSError as error:
        raise CannotScore(
            f"can't write {MANIFEST_NAME} to {folder} ({error.strerror or error}); the parts are complete, "
            "so free some space and run this again"
        ) from error
    return folder / MANIFEST_NAME


def read_manifest(folder: str | Path) -> list[Part]:
    """Check every part that the manifest of `folder` lists, and return the parts.

    Parameters
    ----------
    folder : str or path

    Returns
    -------
    list of Part
        Sorted by name.

    Raises
    ------
    CannotScore
        If the manifest is missing or unreadable, a part is missing or has changed, or there is a file that isn't in the
        manifest.

    Examples
    --------
    `data` is sales data of 2 MB, `model` a trained model, and `folder` an empty folder.

    >>> from daskclass import scoring
    >>> parts = [scoring.score_file(source, folder, model) for source in data.parts]
    >>> manifest = scoring.write_manifest(folder, parts)
    >>> scoring.read_manifest(folder) == parts
    True

    It notices a missing part:

    >>> (folder / parts[0].name).unlink()
    >>> scoring.read_manifest(folder)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    daskclass.scoring.parts.CannotScore: ...part-000000.parquet is in the manifest, but missing
    """
    folder = Path(folder)
    try:
        parts = [Part(**part) for part in json.loads((folder / MANIFEST_NAME).read_text())["parts"]]
        if wrong := [part for part in parts if not (isinstance(part.name, str) and isinstance(part.rows, int))]:
            raise ValueError(f"{wrong[0]} isn't a part")
    except FileNotFoundError:
        raise CannotScore(f"{folder} has no {MANIFEST_NAME}, so the scores aren't complete") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotScore(f"can't read {folder / MANIFEST_NAME}: {_first_line(error)}") from error
    for part in parts:
        path = folder / part.name
        if not path.is_file():
            raise CannotScore(f"{path} is in the manifest, but missing")
        try:
            found = sha256(path)
        except OSError as error:
            raise CannotScore(f"can't read {path}: {_first_line(error)}") from error
        if found != part.sha256:
            raise CannotScore(f"{path} doesn't match the manifest")
    if strangers := {path.name for path in folder.glob("*.parquet")} - {part.name for part in parts}:
        raise CannotScore(f"{folder / min(strangers)} is not in the manifest")
    return parts
