"""What ends a computation that would wait forever? A preload for the scheduler and the workers of a cluster.

A worker whose memory is full pauses until there is room again. If its spill volume is full too, that never happens:
Dask logs "Spill to disk failed" on that worker, and the client waits forever (distributed 2026.8).
With ``--preload daskclass.spill_guard`` for ``dask scheduler`` and every ``dask worker``, the tasks of a worker that
has been in that state for some seconds fail with `SpillVolumeIsFull`, which says what is full.
"""

from __future__ import annotations

import logging
import shutil
import time
from typing import Any

import dask.config
from dask.utils import format_bytes, parse_timedelta
from distributed import Scheduler, Worker
from distributed.diagnostics.plugin import SchedulerPlugin

from daskclass.watch import dask_internals

_log = logging.getLogger(__name__)
TOPIC = "daskclass-spill-volume-is-full"
PATIENCE = 10.0
"""Seconds in which others may still fetch or release a paused worker's results. To change the time, set
``daskclass.spill_guard.patience`` for scheduler and workers, to a number of seconds or a string such as ``"2s"``."""

_INTERVAL = 0.5
_FRESH = 15.0  # seconds; a worker tries ten times a second, but Dask logs that it failed only every ten seconds


class SpillVolumeIsFull(RuntimeError):
    """A worker can neither keep its results in memory nor write them to disk."""


def dask_setup(server: Scheduler | Worker) -> None:
    """Dask calls this when a scheduler or a worker starts with this module as a preload."""
    if isinstance(server, Scheduler):
        server.add_plugin(_FailTasks(server))
    elif isinstance(server, Worker):
        _Watch(server)


def _patience() -> float:
    before = dask.config.get("daskclass.guard.patience", PATIENCE)  # the name of version 0.1, until 0.3
    return float(parse_timedelta(dask.config.get("daskclass.spill_guard.patience", before)))


class _Watch(logging.Handler):
    """Notices on a worker that spilling fails, and tells the scheduler once that has stopped the worker for good."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(logging.ERROR)
        self.worker, self.failed_at = worker, float("-inf")
        self.stuck_since: float | None = None
        self.patience = _patience()
        dask_internals.hear_failures_of_spilling(self)
        dask_internals.look_regularly(worker, TOPIC, self.look, _INTERVAL)

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and isinstance(record.exc_info[1], OSError):
            self.failed_at = time.monotonic()

    def look(self) -> None:
        now = time.monotonic()
        if not dask_internals.is_paused(self.worker) or now - self.failed_at > _FRESH:
            self.stuck_since = None
            return
        self.stuck_since = self.stuck_since or now
        if now - self.stuck_since >= self.patience:
            folder = self.worker.local_directory
            message = {"worker": self.worker.address, "folder": folder, "free": shutil.disk_usage(folder).free}
            self.worker.log_event(TOPIC, message)
            self.stuck_since = None


class _FailTasks(SchedulerPlugin):
    """Fails the tasks that wait for a stuck worker. If all workers are stuck, fails the tasks that wait for any."""

    name = TOPIC

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.patience = _patience()
        self.told_at: dict[str, float] = {}

    def log_event(self, topic: str, msg: dict[str, Any]) -> None:
        scheduler = self.scheduler
        if topic != TOPIC or (worker := scheduler.workers.get(msg["worker"])) is None:
            return
        self.told_at[worker.address] = time.monotonic()
        try:
            self.fail(worker.address, msg)
        except dask_internals.UpstreamChanged:  # the scheduler logs a plugin's errors where few people look
            _log.exception("worker %s is stuck, and we couldn't fail its tasks", worker.address)

    def fail(self, stuck: str, msg: dict[str, Any]) -> None:
        """Fail the tasks that wait for the worker at that address."""
        scheduler, now = self.scheduler, self.told_at[stuck]
        doomed = dask_internals.keys_that_wait(scheduler, stuck)
        if all(now - self.told_at.get(address, float("-inf")) < 2 * self.patience for address in scheduler.workers):
            doomed += dask_internals.keys_without_worker(scheduler)
        error = SpillVolumeIsFull(
            f"worker {stuck} is paused: its memory is full, and it can't write to its spill volume at {msg['folder']} "
            f"({format_bytes(msg['free'])} are free). Free some space there, or use a larger volume; compute less at a "
            "time; or use more workers"
        )
        dask_internals.fail_tasks(scheduler, doomed, error, TOPIC)
