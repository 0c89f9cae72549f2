"""How do we write a file so that it is complete, survives a power cut, and has a checksum?"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

_NOT_OFFERED = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path` to write to. When the block succeeds, that file becomes `path`.

    Until then, and if the block raises, an earlier file at `path` stays. Nothing else is left behind.

    Raises
    ------
    OSError
        If the file can't be written or moved.
    """
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4()}.tmp")
    try:
        yield unfinished
        move(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def move(unfinished: Path, path: Path) -> None:
    """Give a complete file its final name, in one step, and flush both the bytes and the name to disk.

    A rename alone survives a killed process but not a power cut, because the name can reach the disk before the bytes.
    """
    with unfinished.open("rb+") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)
    if os.name == "posix":  # Windows opens no folders
        _sync(path.parent)


def _sync(folder: Path) -> None:
    """Flush a folder's names to disk. Some network disks don't support that; then the file exists anyway."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
