"""What did this process do? Counts the bytes that it read, the memory that it took, and the time that it had a core."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time
from typing import IO, TYPE_CHECKING, Any

import psutil
from fsspec.implementations import local

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@dataclass
class Reads:
    """The files that were opened, and the bytes read from them."""

    files: list[CountedFile] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """All bytes read so far."""
        return sum(file.bytes_read for file in self.files)


_reading: list[Reads] = []  # one per running block; blocks in other threads may start and end at any time
_reading_lock = threading.Lock()


@contextlib.contextmanager
def file_reads() -> Iterator[Reads]:
    """Count the bytes that this process reads from local files through fsspec, as Dask does, while the block runs.

    Blocks may overlap. A file that is opened inside several blocks counts in each.

    Yields
    ------
    Reads
        ``files``, in the order in which they were opened, and ``bytes``, the total number of bytes read so far.

    Examples
    --------
    `data` is sales data of 2 MB. For one column, Dask reads the whole CSV, and its beginning twice.

    >>> import dask.dataframe as dd
    >>> from daskclass import watch
    >>> with watch.file_reads() as reads:
    ...     rows = len(dd.read_csv(data.csv).price.compute(scheduler="sync"))
    >>> rows == data.rows
    True
    >>> data.bytes < reads.bytes < 2 * data.bytes
    True
    """
    reads = Reads()
    with _reading_lock:
        if not _reading:
            local.open = _counted_open  # the module looks the name up here before it finds the built-in one
        _reading.append(reads)
    try:
        yield reads
    finally:
        with _reading_lock:
            _reading[:] = [other for other in _reading if other is not reads]
            if not _reading:
                del local.open


def _counted_open(path: str | Path, mode: str = "r", **options: Any) -> IO[Any]:
    if mode != "rb":
        return Path(path).open(mode, **options)
    file = CountedFile(path)
    with _reading_lock:
        for reads in _reading:
            reads.files.append(file)
    return io.BufferedReader(file)


def peak_bytes() -> int:
    """The most resident memory that this process ever held, in bytes, as the system counts it."""
    if sys.platform == "linux":  # because `getrusage` starts with the peak of the parent process
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def page_faults() -> int:
    """How often this process touched a page that wasn't in its memory, and got it without a disk read.

    On Linux and macOS, these are minor page faults. Windows only reports the sum of all page faults.
    """
    if sys.platform == "win32":
        return psutil.Process().memory_info().num_page_faults
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


@dataclass
class Rise:
    """How much more memory a process took than it had before. Complete when the block has ended."""

    bytes: int = 0


@contextlib.contextmanager
def memory_rise() -> Iterator[Rise]:
    """The peak of this process's resident memory while the block ran, minus its memory before.

    A thread checks a hundred times a second, so it can miss a shorter peak. Data that fits into memory that the process
    already had doesn't count.

    Yields
    ------
    Rise
        ``bytes``, which goes up while the block runs.

    Examples
    --------
    Memory counts when it is filled, even if it is free again when the block ends.

    >>> from daskclass import watch
    >>> with watch.memory_rise() as rise:
    ...     text = b"x" * 200_000_000
    ...     seen = watch.until(lambda: rise.bytes > 150_000_000, "a look at all of it")
    ...     del text
    >>> rise.bytes > 150_000_000
    True
    """
    rise, process, over = Rise(), psutil.Process(), threading.Event()
    before = process.memory_info().rss

    def look() -> None:
        while True:
            rise.bytes = max(rise.bytes, process.memory_info().rss - before)
            if over.wait(0.01):
                return

    looker = threading.Thread(target=look, name="daskclass-memory-rise", daemon=True)
    looker.start()
    try:
        yield rise
    finally:
        over.set()
        looker.join()


def core_seconds(threads: str = "") -> float:
    """How long the threads of this process had a core, or waited for a free one, in seconds.

    So the number shows how much time the process could use, even if other processes keep the machine busy. Only Linux
    reports how long a thread waited; elsewhere, this is CPU time alone. If a thread has ended, its CPU time counts, but
    its waiting time doesn't.

    Parameters
    ----------
    threads : str
        On Linux, count only threads that run and whose names contain this. Elsewhere, all threads count.

    Returns
    -------
    float
        The time since the process started. Use the difference between two calls.

    Examples
    --------
    A loop in Python keeps a core busy.

    >>> from daskclass import watch
    >>> before = watch.core_seconds()
    >>> sum(range(20_000_000))
    199999990000000
    >>> watch.core_seconds() - before > 0
    True
    """
    if sys.platform != "linux":
        return process_time()
    if threads:
        named = (thread.native_id for thread in threading.enumerate() if threads in thread.name)
        return sum(map(sum, map(_ran_and_waited, named)))
    ids = (int(task.name) for task in Path("/proc/self/task").iterdir())
    return process_time() + sum(waited for _ran, waited in map(_ran_and_waited, ids))


def _ran_and_waited(thread: int | None) -> tuple[float, float]:
    """Seconds in which a thread of this process had a core, and waited for one; zeros if it has ended."""
    try:
        ran, waited, _turns = Path(f"/proc/self/task/{thread}/schedstat").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    return int(ran) / 1e9, int(waited) / 1e9


class CountedFile(io.FileIO):
    """A local file opened for reading that counts the bytes read from it.

    pandas and Arrow accept it in place of a path. The attribute ``bytes_read`` is the total number of bytes that its
    reads returned. A byte that is read twice counts twice.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, "rb")
        self.bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.bytes_read += len(content)
        return content

    def readall(self) -> bytes:
        content = super().readall()
        self.bytes_read += len(content)
        return content

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        count = super().readinto(buffer)
        self.bytes_read += count
        return count
