"""How does a file come to its place: complete, kept through a power cut, and known by its checksum?"""

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
    """Give a new name beside `path` to write to; the file becomes `path` when the block ends well.

    Until then, and if the block raises, whatever was at `path` stays, and nothing else is left.

    Raises
    ------
    OSError
        If the file cannot be written or moved.
    """
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4()}.tmp")
    try:
        yield unfinished
        move(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def move(unfinished: Path, path: Path) -> None:
    """Give a complete file its final name, in one step, and have the disk keep both the bytes and the name.

    A rename alone survives a killed process and not a power cut: the name can reach the disk before the bytes do.
    """
    with unfinished.open("rb+") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)
    if os.name == "posix":  # Windows opens no folders
        _sync(path.parent)


def _sync(folder: Path) -> None:
    """Have the disk keep the names in a folder; some network disks don't offer that, and the file is there anyway."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
