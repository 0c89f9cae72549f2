"""Runs code in a separate process under a memory limit, and says how it ended. The caller always survives."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, cast

import cloudpickle
import dask
import pandas as pd
import psutil
from dask.utils import format_bytes, parse_bytes

from daskclass.errors import UsageProblem
from daskclass.limits import ways
from daskclass.limits.ways import Fence
from daskclass.system import processes, signals

SMALLEST = 32 * 2**20
"""Python with no imports needs about half of this."""

_INTERVAL = 0.01  # seconds between looks
_MARK = "DASKCLASS_LIMITS"  # environment variable that every process of the code inherits
_OUTPUT = 20_000  # last characters that are kept


_Ended = Literal["finished", "out of memory", "killed", "failed"]


@dataclass(frozen=True)
class Run:
    """How the code ended.

    Attributes
    ----------
    ended : str
        ``finished``; ``out of memory``; ``killed`` by a signal that the limit doesn't explain; ``failed`` otherwise.
    how : str
        The same in words, with the details.
    way : str
        ``cgroup v1``, ``cgroup v2``, ``rlimit``, ``watching``, or ``no limit``.
    limit : int or None
        In bytes.
    peak : int
        The most memory seen, in bytes, of the process and its children together.
    seconds : float
    growth : pandas.DataFrame
        Columns ``seconds`` since the start and ``bytes`` held, about a hundred rows a second. This is resident memory.
        On Linux, it doesn't include pages of files, such as libraries: the kernel can drop those, and may have charged
        them to another control group.
    output : str
        The end of its standard output and standard error.
    status : int
        Exit status; negative for a signal.
    """

    ended: _Ended
    how: str
    way: str
    limit: int | None
    peak: int
    seconds: float
    growth: pd.DataFrame = field(repr=False)
    output: str = field(repr=False)
    status: int

    @property
    def out_of_memory(self) -> bool:
        """Whether the code ran out of memory, however the machine reports that."""
        return self.ended == "out of memory"


def run(code: str | Callable[..., object], memory: str | int | None, *, way: str | None = None, **names: Any) -> Run:
    """Run `code` in a separate process with limited memory.

    Parameters
    ----------
    code : str or callable
        The source of a cell, which gets `names` as variables; or a function, which gets them as arguments.
    memory : str or int or None
        Bytes, or as ``dask.utils.parse_bytes`` reads them (``2GiB``); None for no limit.
    way : str, optional
        ``cgroup``, ``rlimit`` or ``watching``; by default the strictest that works on this machine.
    **names
        Values that can be pickled.

    Returns
    -------
    Run
        Also if the code failed, was killed, or ran out of memory. It doesn't include a function's return value.

    Raises
    ------
    UsageProblem
        If the limit is not a size, too small for Python itself, or larger than the machine's memory; if `way` doesn't
        exist or doesn't work on this machine; or if `way` comes without a limit.
    pickle.PicklingError, AttributeError or TypeError
        If `names` or the function cannot be pickled.

    Examples
    --------
    A gigabyte doesn't fit under a limit of 200 MiB, and this process survives the attempt.

    >>> from daskclass import limits
    >>> tried = limits.run("text = b'x' * size", "200MiB", size=10**9)
    >>> tried.ended
    'out of memory'
    >>> limits.run("text = b'x' * size", "200MiB", size=10**7).ended
    'finished'
    """
    limit = _limit(memory)
    if limit is None and way is not None:
        raise UsageProblem(f"without a limit, there is nothing to enforce; leave out way={way!r}")
    if way is not None:
        ways.require(way)
    elif limit is not None:
        way = ways.best_way()
    orders = {
        "parent": os.getpid(),
        "rlimit": limit if way == "rlimit" else None,
        "source": code if isinstance(code, str) else None,
        "names": pickle.dumps(names) if isinstance(code, str) else None,
        "function": None if isinstance(code, str) else cloudpickle.dumps((code, names)),
    }
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="daskclass-limits-")))
        fence = stack.enter_context(ways.fence(limit)) if way == "cgroup" and limit is not None else None
        return _run(orders, folder, limit, way, fence)


def _limit(memory: str | int | None) -> int | None:
    if memory is None:
        return None
    try:
        if isinstance(memory, str) and not memory.strip():
            raise ValueError
        limit = parse_bytes(memory) if isinstance(memory, str) else int(memory)
    except (ValueError, TypeError, OverflowError):
        raise UsageProblem(f"{_short(memory)} is not a size; use bytes such as 400MiB or 2GiB") from None
    if limit < SMALLEST:
        raise UsageProblem(f"{_short(memory)} is too small for Python itself; use at least {format_bytes(SMALLEST)}")
    machine = psutil.virtual_memory().total
    if limit > machine:
        raise UsageProblem(
            f"{_short(memory)} is more than this machine's {format_bytes(machine)}, so it would limit nothing"
        )
    return limit


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no numbers of thousands of digits
        return "a number with thousands of digits"
    return text if len(text) <= 60 else f"{text[:60]}…"


@dataclass
class _Watched:
    """Measurements of a process and its children while they ran."""

    samples: list[tuple[float, int]] = field(default_factory=list)
    peak: int = 0
    killed_by_us: bool = False


def _run(orders: dict[str, Any], folder: Path, limit: int | None, way: str | None, fence: Fence | None) -> Run:
    report = folder / "report.json"
    report.touch()
    output = folder / "output.txt"
    command = [sys.executable, str(Path(__file__).with_name("child.py")), str(report)]
    mark = secrets.token_hex(8)
    environment = _environment() | {_MARK: mark}
    if (
        way == "rlimit"
    ):  # Arrow's own allocator reserves a gigabyte for its first array, and reserved memory counts as used
        environment["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    started = time.perf_counter()
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=os.name == "posix",
        )
    head = psutil.Process(process.pid)
    family = {head}
    try:
        if fence is not None:
            fence.admit(process.pid)
        with contextlib.suppress(BrokenPipeError):  # it died at once; we find out below how
            stdin = cast(IO[bytes], process.stdin)  # a pipe, as was asked for
            pickle.dump(orders, stdin)
            stdin.close()
        seen = _watch(process, head, family, started, limit if way == "watching" else None)
        kernel_kills = fence.kills() if fence is not None else 0
    finally:
        _end(process, head, family, fence, mark)
    text = output.read_bytes().decode(errors="replace")
    ended, how = _verdict(process.returncode, _read(report), text, seen, kernel_kills, limit)
    return Run(
        ended=ended,
        how=how,
        way=f"cgroup v{fence.version}" if fence is not None else way or "no limit",
        limit=limit,
        peak=seen.peak,
        seconds=time.perf_counter() - started,
        growth=pd.DataFrame(seen.samples, columns=["seconds", "bytes"]),
        output=text[-_OUTPUT:],
        status=process.returncode,
    )


def _environment() -> dict[str, str]:
    """This process's environment, without the variables that its first nanny set for workers.

    With those, memory goes back to the system sooner, and the same code would need less after a cluster has started.
    """
    for_workers = dask.config.get("distributed.nanny.pre-spawn-environ", {})
    return {name: value for name, value in os.environ.items() if str(for_workers.get(name)) != value}


def _watch(
    process: subprocess.Popen[bytes],
    head: psutil.Process,
    family: set[psutil.Process],
    started: float,
    limit: int | None,
) -> _Watched:
    """Watch the process and its children until it ends. Kill them all if together they hold more than `limit`."""
    seen = _Watched()
    look = 0
    while True:
        if look % 10 == 0:  # finding children means going through all processes of the machine
            family |= processes.descendants(head)
        together = sum(map(processes.held, family))
        if together:
            seen.samples.append((time.perf_counter() - started, together))
        seen.peak = max(seen.peak, together)
        if limit is not None and together > limit:
            seen.killed_by_us = True
            processes.kill(family)
        look += 1
        try:
            process.wait(timeout=_INTERVAL)
            return seen
        except subprocess.TimeoutExpired:
            continue


def _end(
    process: subprocess.Popen[bytes], head: psutil.Process, family: set[psutil.Process], fence: Fence | None, mark: str
) -> None:
    """Make sure that the process, its children and all others inside the fence are gone."""
    family |= processes.descendants(head)
    if fence is not None:
        family |= {psutil.Process(pid) for pid in fence.processes() if psutil.pid_exists(pid)}
    else:  # also processes in a session of their own, because they inherited the variable
        family |= processes.carrying(_MARK, mark)
    processes.kill(family)
    processes.kill_session(process.pid)  # also those orphaned between two samples
    process.wait()
    if process.stdin is not None and not process.stdin.closed:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    psutil.wait_procs(family, timeout=30)


def _read(report: Path) -> dict[str, Any] | None:
    """The child's report of its own end; None if it couldn't write one."""
    text = report.read_text()
    return json.loads(text) if text else None


def _verdict(
    status: int, report: dict[str, Any] | None, text: str, seen: _Watched, kernel_kills: int, limit: int | None
) -> tuple[_Ended, str]:
    """How it ended, in one word and in more."""
    if seen.killed_by_us:
        return (
            "out of memory",
            f"it held {format_bytes(seen.peak)}, which is over the limit, so the watcher killed it",
        )
    if kernel_kills and limit is not None:
        who = "it" if status == -signal.SIGKILL else "a process it had started"
        return (
            "out of memory",
            f"the kernel killed {who} for exceeding {format_bytes(limit)} (SIGKILL, exit status {status})",
        )
    if report is not None and report["out_of_memory"]:
        return "out of memory", f"{report['error']}: {report['message']}".rstrip(": ")
    if status < 0:
        name = signals.name(-status)
        if status == -signal.SIGABRT and "bad_alloc" in text:
            return "out of memory", f"a library crashed because it got no memory (std::bad_alloc, {name})"
        return "killed", f"killed by {name} (exit status {status})"
    if status == 0:
        return "finished", "it ran to the end"
    if report is None:
        last = text.strip().splitlines()[-1:] or ["no output"]
        if re.match(r"(\w+\.)*_?(\w*)MemoryError\b", last[0]):
            return "out of memory", last[0]
        return "failed", f"exit status {status}: {last[0]}"
    return "failed", f"{report['error']}: {report['message']}".rstrip(": ")
