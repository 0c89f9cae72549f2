"""A worker that can neither keep nor spill ends in an error that says so; without the guard it waits for good."""

import contextlib
import os
import subprocess
import sys
import time

import psutil
import pytest
from distributed import Client

from daskclass import spill_guard

MEMORY = 400_000_000
SHORT = 1.5  # seconds: a patience much shorter than the guard's own


@pytest.fixture
def started(tmp_path):
    """Start ``dask scheduler`` and one ``dask worker``; both are gone afterwards."""
    running = []

    def dask(*arguments):
        environment = {**os.environ, "DASK_LOGGING__DISTRIBUTED": "warning"}
        command = [sys.executable, "-m", "dask", *arguments]
        running.append(
            subprocess.Popen(
                command,
                env=environment,
                cwd=tmp_path,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    @contextlib.contextmanager
    def cluster(*more):
        address = tmp_path / "scheduler.json"
        local = ("--host", "127.0.0.1", "--scheduler-file", address)
        dask("scheduler", "--port", "0", "--no-dashboard", *local, *more)
        dask("worker", *local, "--nthreads", "1", "--no-dashboard", "--memory-limit", str(MEMORY), *more)
        while not address.is_file():
            assert running[0].poll() is None
            time.sleep(0.01)
        with Client(scheduler_file=str(address), set_as_default=False) as client:
            client.wait_for_workers(1, timeout=240)
            yield client

    yield cluster
    # At once: a worker that is full takes its time over a good-bye.
    for process in running:
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()


def spoil(dask_worker):
    """Take the folder away that is spilled to, which fails as a full one does: with an OSError."""
    import shutil
    from pathlib import Path

    shutil.rmtree(Path(dask_worker.local_directory) / "storage")


def hold(number, size):
    import os

    return os.urandom(size)


def stuck(client):
    """Ask for twice of what the worker may hold, where nothing can be spilled."""
    spoil.__module__ = hold.__module__ = "__main__"  # pickled by value: workers cannot import the tests
    client.run(spoil)
    # In small pieces, so that the worker pauses at 80% of its memory and is not ended by its nanny at 95%.
    return client.map(hold, range(160), size=MEMORY // 80, pure=False)


def pauses(client):
    """When workers paused."""
    return [
        when
        for address in client.nthreads()
        for when, event in client.get_events(address)
        if event.get("status") == "paused"
    ]


def test_who_waits_is_told(started):
    with started("--preload", "daskclass.spill_guard") as client:
        futures = stuck(client)
        with pytest.raises(
            spill_guard.SpillVolumeIsFull, match=r"memory is full, and it can't write to its spill volume at "
        ):
            client.gather(futures)
        client.cancel(futures)
        # The worker is of use again once nobody wants the results.
        assert client.submit(pow, 2, 5).result(timeout=240) == 32


def test_its_patience_can_be_configured(started, monkeypatch):
    monkeypatch.setenv("DASK_DASKCLASS__SPILL_GUARD__PATIENCE", f"{SHORT}s")
    with started("--preload", "daskclass.spill_guard") as client:
        futures = stuck(client)
        while not client.get_events(spill_guard.TOPIC):
            time.sleep(0.1)
        said = client.get_events(spill_guard.TOPIC)[0][0]
        assert SHORT - 0.5 < said - pauses(client)[0] < spill_guard.PATIENCE
        client.cancel(futures)


def test_without_the_guard_nobody_is_told(started, monkeypatch):
    """Nor after a while in which a guard, if there were one, would have spoken."""
    monkeypatch.setenv("DASK_DASKCLASS__SPILL_GUARD__PATIENCE", f"{SHORT}s")
    with started() as client:
        futures = stuck(client)
        began = time.monotonic()
        while not pauses(client):
            assert time.monotonic() - began < 240
            time.sleep(0.1)
        paused = time.monotonic()
        while time.monotonic() - paused < 3 * SHORT:
            assert not any(future.status == "error" for future in futures)
            time.sleep(0.1)
        assert any(future.status == "pending" for future in futures)
