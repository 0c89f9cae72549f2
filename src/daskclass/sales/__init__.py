"""What is the data, how is it made, can it be trusted?

Labs call ``open_sales()``. `daskclass.sales.rows` draws the rows, `daskclass.sales.making` writes them to files, and
`daskclass.sales.folder` finds the files again and checks them.
"""

from daskclass.sales.folder import (
    CSV_NAME,
    MANIFEST_NAME,
    PARQUET_NAME,
    Found,
    Sales,
    command,
    home,
    look,
    place,
    unreadable,
    verify,
)
from daskclass.sales.making import DEFAULT_SEED, FORMATS, make, open_sales, refusal, restamp
from daskclass.sales.rows import CATEGORIES, COLUMNS, STORES, return_thresholds

__all__ = [
    "CATEGORIES",
    "COLUMNS",
    "CSV_NAME",
    "DEFAULT_SEED",
    "FORMATS",
    "MANIFEST_NAME",
    "PARQUET_NAME",
    "STORES",
    "Found",
    "Sales",
    "command",
    "home",
    "look",
    "make",
    "open_sales",
    "place",
    "refusal",
    "restamp",
    "return_thresholds",
    "unreadable",
    "verify",
]
