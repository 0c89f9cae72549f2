"""What is the data, how is it made, can it be trusted?

``open_sales()`` is what a lab calls. The rows are drawn in `daskclass.sales.rows`, made into files by
`daskclass.sales.making`, and found again, or found to be wrong, by `daskclass.sales.folder`.
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
