"""How big is the class today? The two named sizes, and any other number of bytes.

People take the class at size ``class``; CI checks the labs at size ``smoke``. Each size has limits of its own. They
don't scale in proportion, because Python and its libraries take the same memory at both sizes.
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
        ``class``, ``smoke``, or the shortest exact way to write the bytes. ``10gb`` and ``10e9`` both become ``10GB``,
        so that the same bytes have one folder.
    csv_bytes : int
        Size of ``sales_data.csv`` in bytes, to within 1%.
    worker_memory : str
        Memory limit of each worker of the local cluster, as ``dask.utils.parse_bytes`` reads it.
    blocksize : str
        Size of a block of CSV that such a worker can handle with room to spare.
    pandas_memory : str
        A memory limit that is too low for pandas to read the whole CSV, if that has 200 MB or more. The labs are
        written for such data. Smaller sizes are for trying things out.
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

    If the bytes are those of a named size, you get that size: ``200MB`` is ``smoke``.

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
        If `text` is not a size, or is below 1 MB.

    Examples
    --------
    The same bytes always get the same name.

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
    daskclass.errors.UsageProblem: 'large' is not a size; use class, smoke, or bytes such as 100MB, 3GiB or 10GB
    """
    name = "".join(str(text).split())
    if name.lower() in NAMED:
        return NAMED[name.lower()]
    wanted = "use class, smoke, or bytes such as 100MB, 3GiB or 10GB"
    if not _SHAPE.fullmatch(name):
        raise UsageProblem(f"{text!r} is not a size; {wanted}")
    from dask.utils import parse_bytes  # here: it costs a third of a second

    try:
        csv_bytes = parse_bytes(name)
    except OverflowError:
        raise UsageProblem(f"{text!r} is more than any machine has; {wanted}") from None
    if csv_bytes < MINIMUM_BYTES:
        raise UsageProblem(f"{text!r} is {csv_bytes:,} bytes, but the smallest size is 1MB; {wanted}")
    for named in NAMED.values():
        if csv_bytes == named.csv_bytes:
            return named
    like = SMOKE if csv_bytes < _SMALL else CLASS
    # To read the CSV, pandas needs two and a half times its size, plus 100 MB. This is half of that.
    half = max(parse_bytes(SMOKE.pandas_memory), csv_bytes * 6 // 5)
    limit = f"{half // 2**20} MiB" if half < parse_bytes(CLASS.pandas_memory) else CLASS.pandas_memory
    return replace(like, name=_written(csv_bytes), csv_bytes=csv_bytes, pandas_memory=limit)


def _written(csv_bytes: int) -> str:
    """The shortest way to write `csv_bytes` that Dask reads as exactly these bytes."""
    from dask.utils import parse_bytes

    ways = [f"{csv_bytes / unit:.2f}".rstrip("0").rstrip(".") + name for name, unit in _UNITS.items()]
    exact = [way for way in ways if parse_bytes(way) == csv_bytes]
    return min([*exact, str(csv_bytes)], key=len)


def current() -> Size:
    """The size that ``DASKCLASS_SIZE`` sets, or ``class`` if it is not set."""
    return parse(os.environ.get("DASKCLASS_SIZE") or CLASS.name)
