"""How big is the class today? The two named sizes, and any other number of bytes.

``class`` is what a room works with, ``smoke`` what CI validates the labs with. Limits are chosen for each
size and not scaled in proportion, because Python and its libraries weigh the same at both.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

from daskclass.errors import UsageProblem

MINIMUM_BYTES = 1_000_000
_SMALL = 10**9  # bytes of CSV below which the workers are those of smoke


@dataclass(frozen=True)
class Size:
    """One size of the class.

    Attributes
    ----------
    name : str
        ``class``, ``smoke``, or the shortest exact way to write the bytes: ``10GB``, also where ``10gb`` or ``10e9``
        was typed, so that the same bytes have one folder.
    csv_bytes : int
        Size of ``sales_data.csv`` in bytes, to within a percent.
    worker_memory : str
        Memory limit of each worker of the local cluster, as ``dask.utils.parse_bytes`` reads it.
    blocksize : str
        Size of a block of CSV that fits such a worker with room.
    pandas_memory : str
        A limit that pandas cannot read the whole CSV under, from 200 MB of it on. The labs are written for that much
        and more; what is smaller is for trying things out.
    """

    name: str
    csv_bytes: int
    worker_memory: str = "1 GiB"
    blocksize: str = "64 MB"
    pandas_memory: str = "2 GiB"


CLASS = Size("class", 3 * 2**30)
SMOKE = Size("smoke", 200 * 10**6, worker_memory="500 MiB", blocksize="10 MB", pandas_memory="350 MiB")
NAMED = {size.name: size for size in (CLASS, SMOKE)}

_UNITS = {"TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3, "TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10}
_SHAPE = re.compile(r"\d+(\.\d+)?(e\d{1,2})?([kmgtp]i?)?b?", re.IGNORECASE)


def parse(text: str) -> Size:
    """The size that `text` names: ``class``, ``smoke``, or bytes such as ``10GB`` or ``1.5 GiB``.

    Bytes that are those of a named size are that size: ``200MB`` is ``smoke``.

    Parameters
    ----------
    text : str
        In upper or lower case, with or without spaces.

    Returns
    -------
    Size

    Raises
    ------
    UsageProblem
        If `text` is no size, or one below 1 MB.

    Examples
    --------
    The same bytes have one name, however they were written.

    >>> from daskclass import sizes
    >>> sizes.parse("10 gb").name
    '10GB'
    >>> sizes.parse("10gb") == sizes.parse("1e10")
    True
    >>> sizes.parse("200MB").name
    'smoke'
    >>> sizes.parse("large")
    Traceback (most recent call last):
        ...
    daskclass.errors.UsageProblem: 'large' is not a size: say class, smoke, or bytes such as 100MB, 3GiB or 10GB
    """
    name = "".join(str(text).split())
    if name.lower() in NAMED:
        return NAMED[name.lower()]
    wanted = "say class, smoke, or bytes such as 100MB, 3GiB or 10GB"
    if not _SHAPE.fullmatch(name):
        raise UsageProblem(f"{text!r} is not a size: {wanted}")
    from dask.utils import parse_bytes  # here: it costs a third of a second

    try:
        csv_bytes = parse_bytes(name)
    except OverflowError:
        raise UsageProblem(f"{text!r} is more than any machine has: {wanted}") from None
    if csv_bytes < MINIMUM_BYTES:
        raise UsageProblem(f"{text!r} is {csv_bytes:,} bytes, and the smallest size is 1MB: {wanted}")
    for named in NAMED.values():
        if csv_bytes == named.csv_bytes:
            return named
    like = SMOKE if csv_bytes < _SMALL else CLASS
    # Reading takes pandas two and a half times the CSV, and 100 MB more; so this is half of what it would need.
    half = max(parse_bytes(SMOKE.pandas_memory), csv_bytes * 6 // 5)
    limit = f"{half // 2**20} MiB" if half < parse_bytes(CLASS.pandas_memory) else CLASS.pandas_memory
    return replace(like, name=_written(csv_bytes), csv_bytes=csv_bytes, pandas_memory=limit)


def _written(csv_bytes: int) -> str:
    """The shortest way to write `csv_bytes` that is read as exactly these bytes."""
    from dask.utils import parse_bytes

    ways = [f"{csv_bytes / unit:.2f}".rstrip("0").rstrip(".") + name for name, unit in _UNITS.items()]
    exact = [way for way in ways if parse_bytes(way) == csv_bytes]
    return min([*exact, str(csv_bytes)], key=len)


def current() -> Size:
    """The size that the environment asks for with ``DASKCLASS_SIZE``; ``class`` where it says nothing."""
    return parse(os.environ.get("DASKCLASS_SIZE") or CLASS.name)
