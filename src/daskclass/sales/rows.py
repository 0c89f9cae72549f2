"""What is in a row? Draws the orders of a shop, block by block, the same ones for the same seed.

Every block of `BLOCK_ROWS` orders has a random stream of its own, spawned from the seed and the block's
number, so blocks can be drawn in any order and on any number of threads. Everything random is an integer and
every decision compares integers: no last bit of a float decides anything. The streams are those of the NumPy
that ``requirements.lock`` pins.

Text is not formatted row by row. Each field is looked up in a table of ready-made strings. The first four
fields are always equally long and are laid side by side by NumPy; the others are joined to them by Arrow. Both
let go of the interpreter's lock meanwhile.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

CATEGORIES = ("Electronics", "Clothing", "Groceries", "Home Goods", "Toys", "Books")
STORES = tuple(f"S{number:02d}" for number in range(1, 51))
FIRST_CUSTOMER, CUSTOMERS = 100_001, 500_000
FIRST_ORDER, MOST_ORDERS = 1_000_000_001, 8_999_999_999  # ten digits each
FIRST_DAY = datetime.date(2025, 1, 1)
DAYS = 365
CHEAPEST, DEAREST = 1_000, 100_000  # cents
QUANTITIES = 4
PRICE_BANDS = 10

BLOCK_ROWS = 131_072

_Integers = npt.NDArray[np.integer]

COLUMNS = pa.schema(
    [
        ("order_id", pa.int64()),
        ("day", pa.timestamp("ms")),
        ("store", pa.string()),
        ("customer", pa.int32()),
        ("price", pa.float64()),
        ("category", pa.string()),
        ("quantity", pa.int8()),
        ("returned", pa.int8()),
    ]
)
"""Columns in the order of the CSV, with the types of the Parquet files."""

HEADER = (",".join(COLUMNS.names) + "\n").encode()


@dataclass(frozen=True)
class Block:
    """Consecutive orders in both forms, and what they add up to.

    Attributes
    ----------
    rows : int
    csv : pyarrow.Buffer
        The rows as CSV text, without a header.
    table : pyarrow.Table
        The same rows, with the types of `COLUMNS`.
    tallies : numpy.ndarray
        int64, shape (categories, 5): rows, price in cents, quantity, revenue in cents, returned.
    """

    rows: int
    csv: pa.Buffer | None
    table: pa.Table | None
    tallies: np.ndarray


TALLIES = ("rows", "price_cents", "quantity", "revenue_cents", "returned")


def return_thresholds() -> np.ndarray:
    """The rule that decides which orders come back, as chances in 65,536ths.

    An order is returned when a random integer below 65,536 is below the entry of its category, price band
    (``(price in cents - 1000) // 9901``, 0 to 9), quantity and store; day and customer do not matter. So the
    best score that any model can have is known: it is that of this table.

    Returns
    -------
    numpy.ndarray
        int32, shape (6 categories, 10 price bands, 4 quantities, 50 stores).
    """
    #                      Electronics Clothing Groceries Home Goods Toys  Books
    base = np.array([5_000, 14_000, 800, 4_000, 5_500, 1_500], dtype=np.int32)
    per_band = np.array([1_800, 900, 100, 700, 400, 150], dtype=np.int32)  # dear things are thought over
    per_item = np.array([300, 3_500, 100, 300, 300, 100], dtype=np.int32)  # three sizes bought, two sent back
    careless = np.array([6_000 * (store % 7 == 6) for store in range(len(STORES))], dtype=np.int32)
    category = np.arange(len(CATEGORIES))[:, None, None, None]
    band = np.arange(PRICE_BANDS, dtype=np.int32)[None, :, None, None]
    items = np.arange(QUANTITIES, dtype=np.int32)[None, None, :, None]
    chances: np.ndarray = base[category] + per_band[category] * band + per_item[category] * items + careless
    return chances


def store_table() -> np.ndarray:
    """Which store each of 65,536 equally likely numbers means: the n-th store has 1/n of the first's.

    Returns
    -------
    numpy.ndarray
        uint8, shape (65536,): positions in `STORES`.
    """
    weights = [10**9 // rank for rank in range(1, len(STORES) + 1)]
    total, seen = sum(weights), 0
    edges: list[int] = []
    for weight in weights:
        seen += weight
        edges.append(65_536 * seen // total)
    return np.searchsorted(edges, np.arange(65_536), side="right").astype(np.uint8)


_START = np.dtype([("order_high", "S6"), ("order_low", "S4"), ("place", "S16"), ("customer", "S6"), ("comma", "S1")])
"""The first four fields of a row and their commas."""


@dataclass(frozen=True)
class _Tables:
    order_low: np.ndarray  # "0000"
    places: np.ndarray  # ",2025-01-01,S01,", by day and store
    customers: np.ndarray  # "100001"
    prices: pa.Array  # "10.00,"
    ends: pa.Array  # "Electronics,1,0\n", by category, quantity, returned
    days: np.ndarray
    stores: np.ndarray
    thresholds: np.ndarray


@cache
def _tables() -> _Tables:
    days = [FIRST_DAY + datetime.timedelta(number) for number in range(DAYS)]
    customers = np.arange(FIRST_CUSTOMER, FIRST_CUSTOMER + CUSTOMERS)
    return _Tables(
        order_low=np.array([f"{number:04d}" for number in range(10_000)], dtype="S4"),
        places=np.array([f",{day},{store}," for day in days for store in STORES], dtype="S16"),
        customers=customers.astype("S6"),
        prices=pa.array([f"{cents // 100}.{cents % 100:02d}," for cents in range(CHEAPEST, DEAREST + 1)]),
        ends=pa.array(
            [
                f"{category},{quantity},{returned}\n"
                for category in CATEGORIES
                for quantity in range(1, QUANTITIES + 1)
                for returned in (0, 1)
            ]
        ),
        days=np.array(days, dtype="datetime64[ms]"),
        stores=store_table(),
        thresholds=return_thresholds().ravel(),
    )


def expected_csv_bytes(rows: int) -> int:
    """The size in bytes to expect of a CSV of `rows` orders; the drawn one differs by a fraction of a percent."""
    tables = _tables()
    drawn: float = sum(pc.mean(pc.binary_length(strings)).as_py() for strings in (tables.prices, tables.ends))
    return len(HEADER) + round(rows * (_START.itemsize + drawn))


def rows_for(csv_bytes: int) -> int:
    """How many orders make a CSV of about `csv_bytes`."""
    many = 10**6
    return max(1, round((csv_bytes - len(HEADER)) * many / (expected_csv_bytes(many) - len(HEADER))))


def blocks(total_rows: int) -> int:
    """How many blocks `total_rows` orders fill, the last one perhaps in part."""
    return -(-total_rows // BLOCK_ROWS)


def draw(seed: int, total_rows: int, block: int, *, csv: bool = True, parquet: bool = True) -> Block:
    """Draw one block of the orders that `seed` stands for.

    Parameters
    ----------
    seed : int
        Any integer from 0 up.
    total_rows : int
        Orders in the whole data set: they are spread evenly over the year, in the order of their numbers.
    block : int
        Which block, from 0.
    csv, parquet : bool
        Which forms to make; the tallies are made always.
    """
    tables = _tables()
    first = block * BLOCK_ROWS
    rows = min(BLOCK_ROWS, total_rows - first)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(block,))))

    position = np.arange(first, first + rows, dtype=np.int64)
    day = position * DAYS // total_rows
    customer = rng.integers(0, CUSTOMERS, rows, dtype=np.int32)
    cents = rng.integers(CHEAPEST, DEAREST + 1, rows, dtype=np.int32)
    store = tables.stores[rng.integers(0, 65_536, rows, dtype=np.uint16)].astype(np.int32)
    category = rng.integers(0, len(CATEGORIES), rows, dtype=np.int32)
    extra = rng.integers(0, QUANTITIES, rows, dtype=np.int32)
    band = (cents - CHEAPEST) // 9_901
    cell = ((category * PRICE_BANDS + band) * QUANTITIES + extra) * len(STORES) + store
    returned = rng.integers(0, 65_536, rows, dtype=np.uint16) < tables.thresholds[cell]

    kind = (category * QUANTITIES + extra) * 2 + returned
    return Block(
        rows=rows,
        csv=_csv(tables, position, day, store, customer, cents, kind) if csv else None,
        table=_table(tables, position, day, store, customer, cents, category, extra, returned) if parquet else None,
        tallies=_tally(cents, kind),
    )


def _csv(
    tables: _Tables,
    position: _Integers,
    day: _Integers,
    store: _Integers,
    customer: _Integers,
    cents: _Integers,
    kind: _Integers,
) -> pa.Buffer:
    high, low = np.divmod(position + FIRST_ORDER, len(tables.order_low))
    start = np.empty(len(position), dtype=_START)
    start["order_high"] = np.arange(high[0], high[-1] + 1).astype("S6")[high - high[0]]
    start["order_low"] = tables.order_low[low]
    start["place"] = tables.places[day * len(STORES) + store]
    start["customer"] = tables.customers[customer]
    start["comma"] = b","
    # Arrow's own allocator hands blocks of this size back to the system each time, which costs a quarter.
    pool = pa.system_memory_pool()
    edges = np.arange(0, start.nbytes + 1, _START.itemsize, dtype=np.int32)
    lines = pc.binary_join_element_wise(
        pa.StringArray.from_buffers(len(start), pa.py_buffer(edges), pa.py_buffer(start)),
        pc.take(tables.prices, pa.array(cents - CHEAPEST), memory_pool=pool),
        pc.take(tables.ends, pa.array(kind), memory_pool=pool),
        "",
        memory_pool=pool,
    )
    _validity, offsets, text = lines.buffers()
    return text.slice(0, int(np.frombuffer(offsets, dtype=np.int32)[len(lines)]))


def _table(
    tables: _Tables,
    position: _Integers,
    day: _Integers,
    store: _Integers,
    customer: _Integers,
    cents: _Integers,
    category: _Integers,
    extra: _Integers,
    returned: npt.NDArray[np.bool_],
) -> pa.Table:
    columns = {
        "order_id": position + FIRST_ORDER,
        "day": tables.days[day],
        "store": pa.array(STORES).take(pa.array(store)),
        "customer": customer + FIRST_CUSTOMER,
        "price": cents / 100,  # the float nearest to the cents, as a reader of the CSV gets it
        "category": pa.array(CATEGORIES).take(pa.array(category)),
        "quantity": (extra + 1).astype(np.int8),
        "returned": returned.astype(np.int8),
    }
    return pa.table([pa.array(columns[field.name], type=field.type) for field in COLUMNS], schema=COLUMNS)


def _tally(cents: _Integers, kind: _Integers) -> np.ndarray:
    shape = (len(CATEGORIES), QUANTITIES, 2)
    rows = np.bincount(kind, minlength=np.prod(shape)).reshape(shape)
    # NumPy weighs in floats. These are sums of integers far below 2**53, so each of them is exact.
    price = np.bincount(kind, weights=cents, minlength=np.prod(shape)).astype(np.int64).reshape(shape)
    quantity = np.arange(1, QUANTITIES + 1)
    columns = {
        "rows": rows.sum(axis=(1, 2)),
        "price_cents": price.sum(axis=(1, 2)),
        "quantity": rows.sum(axis=2) @ quantity,
        "revenue_cents": price.sum(axis=2) @ quantity,
        "returned": rows[..., 1].sum(axis=1),
    }
    return np.stack([columns[name] for name in TALLIES], axis=1)
