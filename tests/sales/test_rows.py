import io
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daskclass.sales import rows

seeds = st.integers(0, 2**128)
FEW = 3_000


def parsed(block: rows.Block) -> pd.DataFrame:
    types = {field.name: field.type.to_pandas_dtype() for field in rows.COLUMNS if field.name != "day"}
    text = io.BytesIO(rows.HEADER + block.csv.to_pybytes())
    return pd.read_csv(text, dtype=types | {"store": "str", "category": "str"}, parse_dates=["day"])


@pytest.fixture(scope="module")
def million():
    """Eight blocks, as columns of positions and numbers."""
    total = 8 * rows.BLOCK_ROWS
    drawn = [rows.draw(7, total, number, csv=False).table.to_pandas() for number in range(8)]
    orders = pd.concat(drawn, ignore_index=True)
    return pd.DataFrame(
        {
            "category": orders.category.map(rows.CATEGORIES.index).astype(int),
            "band": ((orders.price * 100).round().astype(int) - 1_000) // 9_901,
            "items": orders.quantity.astype(int) - 1,
            "store": orders.store.map(rows.STORES.index).astype(int),
            "returned": orders.returned.astype(int),
        }
    )


@settings(max_examples=6)
@given(seeds, st.permutations(range(3)))
def test_blocks_do_not_depend_on_the_order_they_are_drawn_in(seed, order):
    total = 2 * rows.BLOCK_ROWS + FEW
    straight = [rows.draw(seed, total, number, parquet=False) for number in range(3)]
    mixed = {number: rows.draw(seed, total, number, parquet=False) for number in order}
    for number, block in enumerate(straight):
        assert mixed[number].csv.equals(block.csv)
        assert np.array_equal(mixed[number].tallies, block.tallies)


@given(seeds, seeds)
def test_another_seed_gives_other_rows(one, other):
    same = rows.draw(one, FEW, 0, parquet=False).csv.equals(rows.draw(other, FEW, 0, parquet=False).csv)
    assert same == (one == other)


def test_each_block_has_a_stream_of_its_own():
    total = 2 * rows.BLOCK_ROWS
    first, second = (rows.draw(1, total, number, csv=False).table.to_pandas() for number in (0, 1))
    assert (first.customer == second.customer).mean() < 0.01


@settings(max_examples=20)
@given(seeds, st.integers(1, FEW))
def test_text_and_table_hold_the_same_rows(seed, total):
    block = rows.draw(seed, total, 0)
    assert block.table.schema.equals(rows.COLUMNS)
    table = block.table.to_pandas()
    pd.testing.assert_frame_equal(parsed(block), table, check_dtype=False, check_exact=True)
    assert len(table) == block.rows == total


def test_a_later_block_goes_on_where_the_one_before_ended():
    total = rows.BLOCK_ROWS + FEW
    first, second = (rows.draw(3, total, number) for number in (0, 1))
    assert (first.rows, second.rows) == (rows.BLOCK_ROWS, FEW)
    both = pd.concat([first.table.to_pandas(), parsed(second).astype({"day": "datetime64[ms]"})])
    assert both.order_id.tolist() == list(range(rows.FIRST_ORDER, rows.FIRST_ORDER + total))
    days = both.day.dt.day_of_year
    assert (days.diff().dropna() >= 0).all()
    per_day = days.value_counts()
    assert len(per_day) == 365
    assert per_day.max() - per_day.min() <= 1


def test_every_field_keeps_to_its_range():
    lines = rows.draw(5, rows.BLOCK_ROWS, 0, parquet=False).csv.to_pybytes().decode("ascii").splitlines()
    assert len(lines) == rows.BLOCK_ROWS
    kinds = Counter()
    for line in lines:
        order, day, store, customer, price, category, quantity, returned = line.split(",")
        whole, point, cents = price.partition(".")
        assert point == "."
        assert len(cents) == 2
        assert 1_000 <= int(whole) * 100 + int(cents) <= 100_000
        assert len(order) == 10
        assert day.startswith("2025-")
        assert store in rows.STORES
        assert 100_001 <= int(customer) <= 600_000
        kinds.update([category, f"{quantity} items", f"returned {returned}"])
    assert set(kinds) == {
        *("Electronics", "Clothing", "Groceries", "Home Goods", "Toys", "Books"),
        *("1 items", "2 items", "3 items", "4 items", "returned 0", "returned 1"),
    }


@settings(max_examples=5)
@given(seeds)
def test_tallies_equal_a_recount_in_python_integers(seed):
    block = rows.draw(seed, 5_000, 0)
    recount = {category: dict.fromkeys(rows.TALLIES, 0) for category in rows.CATEGORIES}
    for line in block.csv.to_pybytes().decode().splitlines():
        *_front, price, category, quantity, returned = line.split(",")
        cents, items = int(price.replace(".", "")), int(quantity)
        for name, amount in zip(rows.TALLIES, (1, cents, items, cents * items, int(returned)), strict=True):
            recount[category][name] += amount
    assert block.tallies.dtype == np.int64
    assert block.tallies.tolist() == [[recount[c][name] for name in rows.TALLIES] for c in rows.CATEGORIES]


@pytest.mark.parametrize(("csv", "parquet"), [(True, False), (False, True), (False, False)])
def test_tallies_are_made_whatever_form_is(csv, parquet):
    block, full = rows.draw(9, FEW, 0, csv=csv, parquet=parquet), rows.draw(9, FEW, 0)
    assert (block.csv is not None, block.table is not None) == (csv, parquet)
    assert np.array_equal(block.tallies, full.tallies)


def distance(orders: pd.DataFrame, chances: np.ndarray) -> tuple[float, int]:
    """Pearson's statistic of returned orders against `chances`, and how many cells it has."""
    cells = orders.groupby(["category", "band", "items", "store"]).returned.agg(["size", "sum"])
    cells = cells[cells["size"] >= 50]
    chance = chances[tuple(cells.index.get_level_values(level).to_numpy() for level in range(4))]
    spread = cells["size"] * chance * (1 - chance)
    return float((((cells["sum"] - cells["size"] * chance) ** 2) / spread).sum()), len(cells)


def test_orders_come_back_as_often_as_the_thresholds_say(million):
    chances = rows.return_thresholds() / 65_536
    assert chances.shape == (6, 10, 4, 50)
    found, cells = distance(million, chances)
    assert cells > 3_000
    assert abs(found - cells) < 6 * (2 * cells) ** 0.5
    for axis in range(4):  # the same test notices a rule with any one of its parts turned round
        wrong, _cells = distance(million, np.flip(chances, axis))
        assert wrong - cells > 20 * (2 * cells) ** 0.5


def test_thresholds_are_chances():
    thresholds = rows.return_thresholds()
    assert thresholds.dtype == np.int32
    assert thresholds.min() > 0
    assert thresholds.max() < 65_536


def test_the_nth_store_has_an_nth_of_the_first_ones_orders(million):
    counts = million.store.value_counts().reindex(range(50)).to_numpy()
    share = 1 / np.arange(1, 51)
    expected = share / share.sum() * len(million)
    assert float(((counts - expected) ** 2 / expected).sum()) < 50 + 8 * 10
    assert counts[0] > 1.8 * counts[1] > 0
    table = np.bincount(rows.store_table(), minlength=50)
    assert table.sum() == 65_536
    assert np.abs(table - share / share.sum() * 65_536).max() <= 1


def test_prices_and_categories_are_even(million):
    for column, kinds in (("category", 6), ("items", 4), ("band", 10)):
        counts = million[column].value_counts().to_numpy()
        assert len(counts) == kinds
        assert np.abs(counts / len(million) * kinds - 1).max() < 0.02


@settings(max_examples=15)
@given(st.integers(1_000_000, 5_000_000), st.integers(0, 2**32))
def test_sizes_are_within_half_a_percent_of_what_was_asked(csv_bytes, seed):
    total = rows.rows_for(csv_bytes)
    drawn = len(rows.HEADER)
    for number in range(rows.blocks(total)):
        drawn += rows.draw(seed, total, number, parquet=False).csv.size
    assert abs(drawn - csv_bytes) <= 0.005 * csv_bytes
    assert abs(rows.expected_csv_bytes(total) - csv_bytes) <= 100


@given(st.integers(1, 10**10))
def test_blocks_hold_all_rows(total):
    count = rows.blocks(total)
    assert (count - 1) * rows.BLOCK_ROWS < total <= count * rows.BLOCK_ROWS
