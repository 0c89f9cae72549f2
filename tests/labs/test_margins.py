"""Limits are far from both ends: what must not fit needs 1.5 times its limit, what must fit at most 0.6 of it."""

import sys

import dask.dataframe as dd
import pytest
from dask.distributed import Client, LocalCluster
from dask.utils import parse_bytes

from daskclass import limits, sizes, watch
from daskclass.sales import open_sales

NOT_FIT, FIT = 1.5, 0.6

READ = """
import pandas as pd
pd.read_csv(CSV, nrows=ROWS).groupby("category")["price"].mean()
status = dict(line.split(":") for line in open("/proc/self/status").read().splitlines())
most, libraries = (int(status[name].split()[0]) * 1024 for name in ("VmHWM", "RssFile"))
print(most - libraries)  # of the kernel's own reckoning, which sees what is there between two looks
"""


@pytest.fixture(scope="module")
def smoke():
    return open_sales("smoke")


@pytest.fixture(scope="module")
def pandas_peak(smoke):
    """What pandas needs for a CSV of so many bytes, from all of the small one and half of it."""
    half, whole = (limits.run(READ, None, CSV=smoke.csv, ROWS=rows).peak for rows in (smoke.rows // 2, smoke.rows))
    a_byte = (whole - half) / (smoke.bytes / 2)
    return lambda csv_bytes: whole + a_byte * (csv_bytes - smoke.bytes)


def worker_peak(csv: str, blocksize: str, memory_limit: str | int) -> int:
    """The most that a worker ever held while two workers answered the question of lab 02."""
    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, memory_limit=memory_limit, dashboard_address="127.0.0.1:0"
    )
    with cluster, Client(cluster, set_as_default=False) as client:
        answer = dd.read_csv(csv, blocksize=blocksize).groupby("category")["price"].mean(split_out=1)
        with watch.record(client) as recording:
            client.compute(answer).result()
    return max(recording.peaks.values())


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the most memory that a process ever held")
@pytest.mark.parametrize("size", [sizes.SMOKE, sizes.CLASS], ids=lambda size: size.name)
def test_pandas_does_not_fit(size, pandas_peak):
    assert pandas_peak(size.csv_bytes) >= NOT_FIT * parse_bytes(size.pandas_memory)


@pytest.mark.parametrize("size", [sizes.SMOKE, sizes.CLASS], ids=lambda size: size.name)
def test_blocks_fit(size, smoke):
    peak = worker_peak(smoke.csv, size.blocksize, size.worker_memory)
    assert peak <= FIT * parse_bytes(size.worker_memory)


def test_the_large_block_of_lab_02_does_not_fit_and_the_small_one_does(smoke, numbered):
    cells = numbered["02"].cells
    assert '"memory_limit": "500 MiB"' in cells["try-blocks"]
    assert 'try_blocks("200MB", 1)' in cells["large-blocks"]
    assert 'try_blocks("10MB", 20)' in cells["small-blocks"]
    limit = parse_bytes("500 MiB")
    assert worker_peak(smoke.csv, "200MB", 0) >= NOT_FIT * limit
    assert worker_peak(smoke.csv, "10MB", limit) <= FIT * limit
