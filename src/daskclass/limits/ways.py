"""How can this machine hold a process to N bytes?

*cgroup*: the kernel counts the memory of the process and its children, and kills if it is too much. This needs the
right to make a control group (version 2 with a delegated memory controller, or version 1 as root). *rlimit*: the
kernel refuses to enlarge the process's data beyond N (``RLIMIT_DATA``, on Linux). It counts requested memory, also
memory that isn't used yet. *watching*: we check a hundred times a second, and kill. This works everywhere.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daskclass.errors import UsageProblem

WAYS = ("cgroup", "rlimit", "watching")
_GROUP = re.compile(r"daskclass-\d+-\d+")  # process ID of the caller, and a number of its own
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Fence:
    """A control group of our own.

    Attributes
    ----------
    folder : pathlib.Path
    version : int
        1 or 2.
    """

    folder: Path
    version: int

    def admit(self, pid: int) -> None:
        """Put a process in. All processes that it starts afterwards are in, too."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    def processes(self) -> list[int]:
        """The IDs of the processes inside."""
        return [int(line) for line in (self.folder / "cgroup.procs").read_text().split()]

    def kills(self) -> int:
        """How often the kernel killed a process in here because memory ran out."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        for line in (self.folder / name).read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
        return 0


@contextlib.contextmanager
def fence(limit: int) -> Iterator[Fence]:
    """A control group with a limit of `limit` bytes for all its processes together, without swap. Removed afterwards.

    Raises
    ------
    OSError
        If this machine doesn't allow it.
    """
    parent, version = _parent()
    _remove_abandoned(parent)
    with _own_group(parent) as folder:
        if version == 2:
            (folder / "memory.max").write_text(str(limit))
            _write_if_there(folder / "memory.swap.max", "0")
            _write_if_there(folder / "memory.oom.group", "0")
        else:
            (folder / "memory.limit_in_bytes").write_text(str(limit))
            _write_if_there(folder / "memory.memsw.limit_in_bytes", str(limit))
            _write_if_there(folder / "memory.swappiness", "0")
        yield Fence(folder, version)


@contextlib.contextmanager
def _own_group(parent: Path) -> Iterator[Path]:
    """A new group in `parent`, locked while the block runs and removed afterwards.

    The kernel releases the lock when this process ends, even by SIGKILL. So a group without a lock is
    abandoned. Its name alone could not tell: the process ID in it may belong to another process by now.
    """
    folder, lock = _make_and_lock(parent)
    try:
        yield folder
    finally:
        try:
            folder.rmdir()  # fails loudly if a process is still inside
        finally:
            os.close(lock)


def _make_and_lock(parent: Path) -> tuple[Path, int]:
    """Make a group and lock it; return it with the descriptor that holds the lock."""
    while True:
        folder = parent / f"daskclass-{os.getpid()}-{next(_numbers)}"
        try:
            folder.mkdir()
        except FileExistsError:  # an earlier process with our ID abandoned it, and a process is still inside
            continue
        try:
            lock = _lock(folder, wait=True)
        except BaseException:
            folder.rmdir()
            raise
        # Between making and locking, another caller may have taken the group for an abandoned one and removed it.
        if lock is not None and folder.is_dir():
            return folder, lock
        if lock is not None:
            os.close(lock)


def _lock(folder: Path, *, wait: bool) -> int | None:
    """Lock a group; return the descriptor that holds the lock, or None if it is gone or another caller holds it."""
    import fcntl  # not on Windows, which has no control groups either

    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    locked = False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        locked = True
        return descriptor
    except BlockingIOError:
        return None
    finally:
        if not locked:
            os.close(descriptor)


def _remove_abandoned(parent: Path) -> None:
    """Remove the empty groups in `parent` whose callers died before they could."""
    for folder in parent.glob("daskclass-*"):
        if _GROUP.fullmatch(folder.name):
            with contextlib.suppress(PermissionError):  # another user's, whose next call removes it
                _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    lock = _lock(folder, wait=False)
    if lock is None:
        return
    try:
        folder.rmdir()  # the kernel refuses while a process is inside
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.ENOTEMPTY, errno.ENOENT):  # the last: another caller was faster
            raise
    finally:
        os.close(lock)


def _write_if_there(file: Path, text: str) -> None:
    """Write to the file if it exists. Files about swap only exist if the kernel accounts for swap."""
    if file.exists():
        file.write_text(text)


def _parent(mounts: Path = Path("/proc/mounts"), membership: Path = Path("/proc/self/cgroup")) -> tuple[Path, int]:
    """The folder where we may make a control group, and its version."""
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "only Linux has control groups")
    own: dict[str, str] = {}
    for line in membership.read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        own |= {name: path.lstrip("/") for name in controllers.split(",")}
    for line in mounts.read_text().splitlines():
        _device, mount, kind, options, *_ = line.split()
        if kind == "cgroup" and "memory" in options.split(",") and "memory" in own:
            folder = Path(mount) / own["memory"]
            return (folder if folder.is_dir() else Path(mount)), 1
        if kind == "cgroup2" and "" in own:
            # Only a group that hands the memory controller to its children can have a child that limits memory.
            here = Path(mount) / own[""]
            for folder in (here, *here.parents):
                if not folder.is_relative_to(mount):
                    break
                handed_on = folder / "cgroup.subtree_control"
                if handed_on.is_file() and "memory" in handed_on.read_text().split() and os.access(folder, os.W_OK):
                    return folder, 2
    raise OSError(errno.EACCES, "this process has no control group that can limit memory")


def best_way() -> str:
    """The strictest way that works on this machine. We try cgroup to find out."""
    if _fence_works():
        return "cgroup"
    return "rlimit" if sys.platform == "linux" else "watching"


def _fence_works() -> bool:
    """Whether we can make a control group and put a process into it."""
    import subprocess

    try:
        with fence(2**30) as tried, subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as probe:
            try:
                tried.admit(probe.pid)
            finally:
                probe.kill()
                probe.wait()
    except OSError:
        return False
    return True


def require(way: str) -> None:
    """Raise a UsageProblem if `way` doesn't exist, or doesn't work on this machine."""
    if way not in WAYS:
        raise UsageProblem(f"{way!r} is not a way to limit memory; choose from {', '.join(WAYS)}")
    if way == "cgroup" and not _fence_works():
        raise UsageProblem("this machine doesn't let us make a control group; choose rlimit or watching")
    if way == "rlimit" and sys.platform != "linux":
        raise UsageProblem("RLIMIT_DATA has no effect on this system; choose watching")
