"""What did the cluster, or this process, do while this block ran?

Names are imported on first use, because a worker's preload needs `dask_internals` but not pandas.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daskclass.system.waiting import until
    from daskclass.watch.dask_internals import clock
    from daskclass.watch.process import (
        CountedFile,
        Reads,
        Rise,
        core_seconds,
        file_reads,
        memory_rise,
        page_faults,
        peak_bytes,
    )
    from daskclass.watch.recording import Recording, record

_PLACES = {
    "daskclass.system.waiting": ("until",),
    "daskclass.watch.dask_internals": ("clock",),
    "daskclass.watch.process": (
        *("CountedFile", "Reads", "Rise", "core_seconds"),
        *("file_reads", "memory_rise", "page_faults", "peak_bytes"),
    ),
    "daskclass.watch.recording": ("Recording", "record"),
}

__all__ = [
    "CountedFile",
    "Reads",
    "Recording",
    "Rise",
    "clock",
    "core_seconds",
    "file_reads",
    "memory_rise",
    "page_faults",
    "peak_bytes",
    "record",
    "until",
]


def __getattr__(name: str) -> Any:
    for place, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(place), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
