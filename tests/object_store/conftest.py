"""A store for the tests, once for each program."""

from __future__ import annotations

import os
from unittest import mock

import pytest
import s3fs

from daskclass.object_store import ObjectStore
from daskclass.terminals import Terminals


@pytest.fixture(scope="module", params=["weed", "rclone"])
def store(request):
    """A store of that program, for "me" and "others"."""
    with Terminals() as terminals:
        opened = ObjectStore(terminals, "me", "others", program=request.param)
        yield opened
        opened.close()


@pytest.fixture
def files(store, request):
    """A file system with my key, and a new bucket named like the test's function."""
    with mock.patch.dict(os.environ, store.variables("me")):
        found = s3fs.S3FileSystem(skip_instance_cache=True)
        bucket = request.function.__name__.replace("_", "-")[:50].strip("-")
        found.mkdir(bucket)
        found.bucket = bucket
        yield found
