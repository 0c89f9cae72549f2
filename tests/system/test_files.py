"""A file comes to its place complete, or not at all."""

import contextlib
import errno
import hashlib
import os
import stat

import pytest

from daskclass.system import files


def test_the_checksum_is_that_of_the_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert files.sha256(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()


def test_what_was_there_stays_until_the_block_has_ended(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with files.written(path) as unfinished:
        unfinished.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_there_stays_if_the_block_raises(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with contextlib.suppress(ZeroDivisionError), files.written(path) as unfinished:
        unfinished.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_two_that_write_at_the_same_time_have_names_of_their_own(tmp_path):
    with files.written(tmp_path / "file") as one, files.written(tmp_path / "file") as other:
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "file").read_text() == "one"  # whose block ended last
    assert len(list(tmp_path.iterdir())) == 1


def test_bytes_reach_the_disk_before_the_name_and_then_the_name(tmp_path, monkeypatch):
    happened, sync, replace = [], os.fsync, type(tmp_path).replace

    def fsync(descriptor):
        happened.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def renamed(self, target):
        happened.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(type(tmp_path), "replace", renamed)
    with files.written(tmp_path / "file") as unfinished:
        unfinished.write_text("text")
    assert happened == ["file", "rename", *(["folder"] if os.name == "posix" else [])]


@pytest.mark.skipif(os.name != "posix", reason="Windows opens no folders")
@pytest.mark.parametrize(("number", "raises"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_disk_that_does_not_offer_to_keep_names_has_the_file_anyway(tmp_path, monkeypatch, number, raises):
    sync = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    expected = pytest.raises(OSError, match="error") if raises else contextlib.nullcontext()
    with expected, files.written(tmp_path / "file") as unfinished:
        unfinished.write_text("text")
    assert (tmp_path / "file").read_text() == "text"
