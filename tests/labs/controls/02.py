"""What makes each claim of lab 02 false."""

CONTROLS = [
    {
        "claim": "pandas ran out of memory under the limit",
        "cell": "ask-pandas",
        # a tenth of the rows, which fits
        "source": """
run = limits.run(
    '''
import pandas as pd
print("reading", flush=True)
print(pd.read_csv(CSV, nrows=ROWS).groupby("category")["price"].mean())
''',
    memory=size.pandas_memory,
    CSV=sales.csv,
    ROWS=sales.rows // 10,
)
""",
    },
    {
        "claim": "building the Dask expression read almost nothing of the file",
        "cell": "ask-dask",
        # built and computed
        "source": """
import dask.dataframe as dd

from daskclass import clusters

client = clusters.connect()
with watch.record(client) as building, watch.file_reads() as reads:
    orders = dd.read_csv(sales.csv, blocksize=size.blocksize)
    answer = orders.groupby("category")["price"].agg(["mean", "sum", "count"], split_out=1)
    answer.compute()
""",
    },
    {
        "claim": "Dask's answer equals the manifest's exact one",
        "cell": "ask-dask",
        # one price, one cent too high
        "source": """
import dask.dataframe as dd

from daskclass import clusters


def overcharge(orders, partition_info=None):
    if partition_info is not None and partition_info["number"] == 0:
        orders = orders.assign(price=orders.price.where(orders.index != 0, orders.price + 0.01))
    return orders


client = clusters.connect()
with watch.record(client) as building, watch.file_reads() as reads:
    orders = dd.read_csv(sales.csv, blocksize=size.blocksize)
    meta = orders._meta
    answer = orders.map_partitions(overcharge, meta=meta).groupby("category")["price"].agg(
        ["mean", "sum", "count"], split_out=1
    )
""",
    },
    {
        "claim": "no worker exceeded its limit on the way",
        # workers that it killed come back in their own time
        "alone": "size ask-dask compute claim-exact",
        "cell": "compute",
        # the whole file is one block
        "source": """
with watch.record(client) as recording:
    result = answer.compute()
    whole = dd.read_csv(sales.csv, blocksize=sales.bytes)
    client.compute(whole.map_partitions(len).sum(), sync=False).exception()
""",
    },
    {
        "claim": "blocks that are too large end in restarts and KilledWorker; smaller ones don't",
        "cell": "large-blocks",
        # not too large
        "source": 'large_ended, large = try_blocks("10MB", 2)',
    },
    {
        "claim": "pandas kept one core busy, and Dask had more than one worker at work at once",
        "cell": "compute",
        # one worker does it all; and the other has by then imported what it takes, as it has where it is needed next
        "source": """
answer.compute()
with watch.record(client) as recording:
    result = answer.compute(workers=list(client.nthreads())[:1])
""",
    },
    {
        "claim": "partitions are what the blocksize predicts",
        "cell": "predict-partitions",
        # a rest of its own, as one would guess
        "source": """
def predicted(blocksize):
    return -(-sales.bytes // blocksize)


blocksizes = (16_000_000, 64_000_000, 100_000_000)
found = {b: dd.read_csv(sales.csv, blocksize=b).npartitions for b in blocksizes}
""",
    },
    {
        "claim": "the tuned plan builds only the columns that the question needs",
        "cell": "plan",
        # a function of one's own, into which Dask cannot look
        "source": """
whole = orders.map_partitions(lambda part: part)
question = whole.groupby("category")["price"].mean(split_out=1)
plan = question.optimize(fuse=False)
steps = list(plan.expr.walk())
""",
    },
    {
        "claim": "compute ran several tasks for each partition, which optimize fused into one",
        "cell": "fuse",
        # optimized, and not fused
        "source": """
few = orders.partitions[:8].groupby("category")["price"].mean(split_out=1)
recordings = {}
for name, asked in {"compute": few, "optimize, compute": few.optimize(fuse=False)}.items():
    with watch.record(client) as recordings[name]:
        asked.compute()

ran = {name: int((seen.tasks.action == "compute").sum()) for name, seen in recordings.items()}
""",
    },
    {
        "claim": "Parquet moves a fraction of the bytes",
        "cell": "parquet",
        # all columns of it
        "source": """
from_csv = orders[["category", "price"]].partitions[:2]
from_parquet = dd.read_parquet(sales.parquet).partitions[:2]

bytes_a_row = {}
for name, frame in (("CSV", from_csv), ("Parquet", from_parquet)):
    with watch.file_reads() as reads:
        rows = len(frame.compute(scheduler="synchronous"))
    bytes_a_row[name] = reads.bytes / rows
""",
    },
    {
        "claim": "blocks and files that Arrow adds up inside a task give the exact answer, too",
        "cell": "by-hand",
        # a line at the start of every block is taken for the names
        "source": """
import dask
import pyarrow as pa
from dask.bytes import read_bytes
from pyarrow import csv


@dask.delayed
def added_up(block, names):
    table = csv.read_csv(
        pa.BufferReader(block),
        read_options=csv.ReadOptions(column_names=names, use_threads=False, skip_rows=1),
        convert_options=csv.ConvertOptions(include_columns=["category", "price"]),
    )
    prices = [("price", "sum"), ("price", "count")]
    return table.group_by("category", use_threads=False).aggregate(prices)


_sample, (blocks,) = read_bytes(sales.csv, delimiter=b"\\n", not_zero=True, blocksize=size.blocksize)
sums = [added_up(block, list(orders.columns)) for block in blocks]
by_hand = pa.concat_tables(dask.compute(*sums)).to_pandas().groupby("category").sum()
""",
    },
    {
        "claim": "blocks and files that Arrow adds up inside a task give the exact answer, too",
        "cell": "by-files",
        # each task leaves out its last file
        "source": """
import pandas as pd
import pyarrow.parquet as pq


@dask.delayed
def files_added_up(paths):
    sums = []
    for path in paths[:-1]:
        file = pq.ParquetFile(path, read_dictionary=["category"], memory_map=True)
        table = file.read(["category", "price"], use_threads=False).unify_dictionaries()
        grouped = table.group_by("category", use_threads=False)
        sums.append(grouped.aggregate([("price", "sum"), ("price", "count")]))
    table = pa.concat_tables(sums).unify_dictionaries().to_pandas()
    return table.astype({"category": "str"}).groupby("category").sum()


halves = [files_added_up(sales.parts[number::2]) for number in range(2)]
by_files = pd.concat(dask.compute(*halves)).groupby("category").sum()
""",
    },
]
