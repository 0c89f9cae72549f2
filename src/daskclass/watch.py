"""What did it do while this block ran? Counts what passes; changes nothing."""

from __future__ import annotations

import io
from pathlib import Path


class CountedFile(io.FileIO):
    """A local file opened for reading that counts the bytes read from it.

    pandas and Arrow take it in place of a path. Attribute ``bytes_read`` is the sum of what every read returned,
    in bytes; a byte that is read twice counts twice.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, "rb")
        self.bytes_read = 0

    def read(self, size: int = -1, /) -> bytes:
        content = super().read(size)
        self.bytes_read += len(content)
        return content

    def readall(self) -> bytes:
        content = super().readall()
        self.bytes_read += len(content)
        return content

    def readinto(self, buffer, /) -> int:
        count = super().readinto(buffer)
        self.bytes_read += count
        return count
