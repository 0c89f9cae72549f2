"""What makes each claim of lab 01 false."""

CONTROLS = [
    {
        "claim": "size and rows are what the manifest says",
        "cell": "open",
        # a row that came in behind the manifest's back
        "source": """
import tempfile
from pathlib import Path

from daskclass.sales import make

own_folder = tempfile.TemporaryDirectory()  # goes with the kernel
sales = make(sizes.parse("1MB"), Path(own_folder.name))
with Path(sales.csv).open("ab") as file:
    file.write(b"1000099999,2025-12-31,S01,100001,10.00,Toys,1,0\\n")
""",
    },
    {
        "claim": "the same seed gives the same bytes whatever the thread count",
        # its data have another size
        "alone": "size open head speed count two-runs",
        "cell": "two-runs",
        "source": """
import hashlib

small = sizes.parse("3MB")
one = make(small, work / "one", seed=7, threads=1, formats=["csv"])
three = make(small, work / "three", seed=8, threads=3, formats=["csv"])
digests = [hashlib.sha256(Path(run.csv).read_bytes()).hexdigest() for run in (one, three)]
""",
    },
    {
        "claim": "a run that is interrupted leaves no file that looks finished",
        # what it finished is found again
        "alone": "size open head speed count two-runs kill left-over",
        "cell": "kill",
        # a program that writes under the final name
        "source": """
import subprocess
import sys

target = work / "interrupted"
target.mkdir()
growing = target / "sales_data.csv"
write = "file = open(sys.argv[1], 'w')\\nwhile True: file.write('1,2,3\\\\n' * 1000)"
run = subprocess.Popen([sys.executable, "-c", f"import sys\\n{write}", str(growing)])
try:
    while run.poll() is None and not (growing.exists() and growing.stat().st_size > 1e6):
        time.sleep(0.005)
finally:
    run.kill()
    run.wait()
""",
    },
    {
        "claim": "the partitions hold every row once",
        "cell": "read-csv",
        # a partition that nobody asks for
        "source": """
import dask.dataframe as dd
from dask.utils import parse_bytes

from daskclass import clusters

client = clusters.connect()
blocksize = min(parse_bytes(size.blocksize), sales.bytes // 4)
orders = dd.read_csv(sales.csv, blocksize=blocksize).partitions[1:]
""",
    },
    {
        "claim": "reading one column of Parquet touches a fraction of the CSV's bytes",
        "cell": "which-columns",
        "source": "columns = sales.manifest['schema']['columns'].keys()\ncolumns = list(columns)",
    },
    {
        "claim": "the limits of the row groups lead to a day's orders without opening the others",
        "cell": "open",
        # the same rows, shuffled
        "source": """
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from daskclass.sales import open_sales

sales = open_sales()
rows = pq.read_table(sales.parquet)
rows = rows.take(pa.array(np.random.default_rng(1).permutation(len(rows)))).combine_chunks()
own_folder = tempfile.TemporaryDirectory()  # goes with the kernel
shuffled = dataclasses.replace(sales, folder=Path(own_folder.name))
step = -(-len(rows) // len(shuffled.parts))
for number, part in enumerate(shuffled.parts):
    Path(part).parent.mkdir(exist_ok=True)
    pq.write_table(rows.slice(number * step, step), part, row_group_size=131_072)
sales = shuffled
""",
    },
    {
        "claim": "a guessed type failed at a late value, and the error named the type that fits",
        "cell": "messy-late",
        # nothing is missing
        "source": """
numbers.loc[ROWS - 10, "quantity"] = "2"
numbers.to_csv(late, index=False)
guessed = attempt(late, blocksize="100 kB")
given = attempt(late, blocksize="100 kB", dtype={"quantity": "float64"})
numbers.loc[ROWS - 10, "quantity"] = ""
numbers.to_csv(late, index=False)
""",
    },
    {
        "claim": "a guessed type failed at a late value, and the error named the type that fits",
        "cell": "messy-late",
        # the type that the error names is not given
        "source": """
guessed = attempt(late, blocksize="100 kB")
given = attempt(late, blocksize="100 kB", dtype={"quantity": "int64"})
""",
    },
    {
        "claim": "blocks cut quoted line breaks apart; in one piece the file was read right",
        "cell": "messy-notes",
        # no line breaks
        "source": """
plain = notes.with_name("plain.csv")
pd.DataFrame({"note": "ring, twice"}, index=range(ROWS)).to_csv(plain, index=False)
in_blocks = attempt(plain, blocksize="100 kB")
in_one_piece = attempt(plain, blocksize=None)
""",
    },
    {
        "claim": "blocks cut quoted line breaks apart; in one piece the file was read right",
        "cell": "messy-notes",
        # quotes mean nothing
        "source": """
import csv

in_blocks = attempt(notes, blocksize="100 kB")
in_one_piece = attempt(notes, blocksize=None, quoting=csv.QUOTE_NONE)
""",
    },
    {
        "claim": "a compressed file was one partition, whatever the blocksize",
        "cell": "messy-packed",
        # it is called so, and not compressed
        "source": """
packed.write_bytes(late.read_bytes())
pieces = {
    path.name: dd.read_csv(path, blocksize="100 kB", compression=None).npartitions for path in (late, packed)
}
packed.write_bytes(gzip.compress(late.read_bytes()))
""",
    },
]
