"""Stops a notebook's command, and removes its folder, as soon as the notebook is gone.

Run it as a script: ``python keep.py FOLDER`` or ``python keep.py "" COMMAND …``. While standard input is open, the
notebook is alive. When the notebook's process ends, even if it was killed, the system closes its end of the pipe.
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

_INTERVAL = 0.05  # seconds between two checks of the command
_MERCY = 5.0  # seconds between asking a process to end and killing it


def main(arguments: list[str]) -> int:
    """Wait for the end of standard input or of the command. Return the exit status, negative for a signal."""
    folder, *command = arguments
    alone = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: alone.set())  # when asked to stop, stop the command first
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for another process
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
    """Remove the folder. On Windows, a command may still run in it, because it doesn't inherit our pipe. So wait."""
    if os.name != "nt":
        shutil.rmtree(folder, ignore_errors=True)
        return
    deadline = time.monotonic() + 3 * _MERCY
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(_INTERVAL)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the command to stop, as a person would. Then kill what is left of it."""
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
    processes.kill_session(process.pid)  # those that started after that check


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status & 0xFF if status >= 0 else 128 - status)  # without waiting for the thread that reads
