"""What did the cluster, or this process, do while this block ran?"""

from daskclass.system.waiting import until
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

__all__ = [
    "CountedFile",
    "Reads",
    "Recording",
    "Rise",
    "core_seconds",
    "file_reads",
    "memory_rise",
    "page_faults",
    "peak_bytes",
    "record",
    "until",
]
