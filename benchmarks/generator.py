"""How fast can we make 3 GB of sales? Compares our generator with the recipe that the class grew from, and with Polars.

The recipe draws a million rows at a time with pandas, and appends its three columns with ``DataFrame.to_csv``. Our
generator makes 1 GB of eight columns on two threads, including checksum and manifest. Polars writes our rows, which it
has read from Parquet into memory before, so we time only its writing. We don't time imports.

Each way runs in a separate process, one after the other, for several rounds. Only the ratio within a round counts.

    python benchmarks/generator.py [--rounds 5]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RECIPE = """
import sys, time
from pathlib import Path
import numpy as np
import pandas as pd

out, rows, chunks = Path(sys.argv[1]), 1_000_000, 4
names = ["Electronics", "Clothing", "Groceries", "Home Goods", "Toys", "Books"]
start = time.perf_counter()
for number in range(chunks):
    chunk = pd.DataFrame(
        {
            "category": np.random.choice(names, size=rows),
            "price": np.random.uniform(10, 1000, size=rows),
            "quantity": np.random.randint(1, 5, size=rows),
        }
    )
    chunk.to_csv(out, mode="a", header=number == 0, index=False)
print(out.stat().st_size / (time.perf_counter() - start) / 1e6)
"""

OURS = """
import sys, time
from pathlib import Path
import pandas  # Arrow imports it with the first array; we don't time the recipe's imports either
from daskclass import sizes
from daskclass.sales import make

start = time.perf_counter()
sales = make(sizes.parse("1GB"), Path(sys.argv[1]), threads=2, formats=["csv"])
print(sales.bytes / (time.perf_counter() - start) / 1e6)
"""

POLARS = """
import sys, time
from pathlib import Path
import polars as pl

out = Path(sys.argv[1])
rows = pl.read_parquet(sys.argv[2])
start = time.perf_counter()
rows.write_csv(out, float_precision=2, date_format="%Y-%m-%d", datetime_format="%Y-%m-%d")
print(out.stat().st_size / (time.perf_counter() - start) / 1e6)
"""


def megabytes_per_second(source: str, *arguments: Path) -> float:
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    figures: dict[str, list[float]] = {"recipe": [], "ours": [], "polars": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make = "from daskclass.sales import make; from daskclass import sizes; from pathlib import Path; import sys\n"
        subprocess.run(
            [sys.executable, "-c", make + "make(sizes.parse('300MB'), Path(sys.argv[1]))", folder / "same"],
            check=True,
        )
        for number in range(rounds):
            figures["recipe"].append(megabytes_per_second(RECIPE, folder / f"recipe-{number}.csv"))
            figures["ours"].append(megabytes_per_second(OURS, folder / f"ours-{number}"))
            figures["polars"].append(
                megabytes_per_second(POLARS, folder / "polars.csv", folder / "same" / "sales.parquet")
            )
            for made in (*folder.glob("recipe-*"), *folder.glob("ours-*/*.csv")):
                made.unlink()
            print(
                f"round {number + 1}:",
                *(f"{way} {mbs[-1]:.0f} MB/s" for way, mbs in figures.items()),
                flush=True,
            )
    ratios = {way: [a / b for a, b in zip(figures["ours"], mbs, strict=True)] for way, mbs in figures.items()}
    for way, label in (("recipe", "the recipe"), ("polars", "Polars write_csv")):
        print(
            f"ours compared with {label}: {statistics.median(ratios[way]):.1f} times "
            f"({min(ratios[way]):.1f} to {max(ratios[way]):.1f})"
        )
    print(json.dumps({"megabytes_per_second": figures}))


if __name__ == "__main__":
    main()
