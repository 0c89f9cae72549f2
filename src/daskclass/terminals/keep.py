"""Stands between a notebook and what it started: ends that, and removes its folder, as soon as the notebook is gone.

Run as a script: ``python keep.py FOLDER`` or ``python keep.py "" COMMAND …``. As long as standard input is open,
somebody is there. However the notebook's process ended, also if it was killed, the system closes its end of the pipe.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from daskclass.system import processes

_INTERVAL = 0.05  # seconds between two looks at the command
_MERCY = 5.0  # seconds between asking a process to end and killing it


def main(arguments: list[str]) -> int:
    """Wait for the end of standard input or of the command; its exit status, negative for a signal."""
    folder, *command = arguments
    alone = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: alone.set())  # whoever is asked to end here ends what is kept first
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for somebody else
    threading.Thread(target=_wait_for_the_end_of_input, args=(alone,), daemon=True).start()
    if not command:
        alone.wait()
        _remove(Path(folder))
        return 0
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=os.name != "nt")
    while process.poll() is None and not alone.wait(_INTERVAL):
        pass
    _end(process)
    status: int = process.returncode
    return status


def _wait_for_the_end_of_input(alone: threading.Event) -> None:
    sys.stdin.buffer.read()
    alone.set()


def _remove(folder: Path) -> None:
    """Remove it. On Windows who stands in it may not be gone yet: pipes are not handed on there, so it has to wait."""
    if os.name != "nt":
        shutil.rmtree(folder, ignore_errors=True)
        return
    deadline = time.monotonic() + 3 * _MERCY
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(_INTERVAL)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the command to end, as a person would; then end what is left of it."""
    family: set[psutil.Process] = set()
    if process.poll() is None:
        family = processes.descendants(psutil.Process(process.pid))
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_MERCY)
        process.kill()
        process.wait()
    _gone, left = psutil.wait_procs(family, timeout=_MERCY)
    processes.kill(left)
    processes.kill_session(process.pid)  # those that came later than that look


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status & 0xFF if status >= 0 else 128 - status)  # without waiting for the thread that reads
