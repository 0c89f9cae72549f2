"""Is this machine ready? Looks at what the labs need and at what goes wrong in classes, and changes nothing.

Every check says what it looked at, what it found, and how to mend it.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from daskclass import sizes
from daskclass.errors import Problem

OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's.

    Attributes
    ----------
    check : str
        What was looked at.
    state : str
        ``ok``; ``warning`` if the class works but something may surprise; ``failed`` if a lab will not work.
    found : str
    mend : str
        What to do; empty where nothing is wrong.
    """

    check: str
    state: Literal["ok", "warning", "failed"]
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Needs:
    """What a size needs. Memory and disk in bytes."""

    memory: int
    spill: int


def needs(size: sizes.Size) -> Needs:
    """4 GB of memory at smoke size, 8 at any other (a tenth less is what such machines report)."""
    if size == sizes.SMOKE:
        return Needs(memory=int(3.6e9), spill=10**9)
    return Needs(memory=int(7.2e9), spill=4 * 10**9)


def examine() -> Iterator[Finding]:
    """Run all checks, each on its own: one that breaks is a finding and does not stop the others."""
    for check in CHECKS:
        try:
            yield check()
        except Exception as error:
            name = check.__name__.replace("check_", "").replace("_", " ")
            yield Finding(name, FAILED, f"the check broke: {type(error).__name__}: {error}", "report this as a bug")


def ready(findings: list[Finding]) -> bool:
    """Whether no check failed."""
    return all(finding.state != FAILED for finding in findings)


def as_text(finding: Finding) -> str:
    """A finding as a line for a person, or two."""
    mark = {OK: "[ok]     ", WARNING: "[warning]", FAILED: "[FAILED] "}[finding.state]
    line = f"{mark} {finding.check}: {finding.found}"
    return f"{line}\n          -> {finding.mend}" if finding.mend else line


def as_json(findings: list[Finding]) -> str:
    """All findings for a program: ``{"ready": bool, "size": str, "findings": [{check, state, found, mend}]}``."""
    content = {
        "ready": ready(findings),
        "size": sizes.current().name,
        "findings": list(map(asdict, findings)),
    }
    return json.dumps(content, indent=1)


def check_python() -> Finding:
    found = f"{platform.python_version()} ({platform.system()} {platform.machine()})"
    if (3, 11) <= sys.version_info[:2] <= (3, 14):
        return Finding("Python", OK, found)
    return Finding("Python", FAILED, found, "make the environment anew with Python 3.11 to 3.14")


def lock_file() -> Path | None:
    """Where ``requirements.lock`` is: in the checkout, or in the installed package."""
    here = Path(__file__).parent
    for path in (here.parents[1] / "requirements.lock", here / "requirements.lock"):
        if path.is_file():
            return path
    return None


def locked_versions(lock: Path) -> dict[str, str]:
    """Name and version of every package that `lock` pins for this Python and this system."""
    versions = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            requirement = Requirement(line.rstrip("\\ "))
            if requirement.marker is None or requirement.marker.evaluate():
                versions[canonicalize_name(requirement.name)] = next(iter(requirement.specifier)).version
    return versions


def check_versions() -> Finding:
    lock = lock_file()
    if lock is None:
        return Finding("packages", WARNING, "no requirements.lock to compare with", "run from a checkout of the class")
    needed = {
        canonicalize_name(Requirement(text).name)
        for text in importlib.metadata.requires("daskclass") or []
        if "extra ==" not in text
    }
    wrong, missing, other = [], [], []
    for name, version in locked_versions(lock).items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if name in needed:
                missing.append(name)
            continue
        if installed != version:
            (wrong if name in needed else other).append(f"{name} {installed} instead of {version}")
    mend = "python -m pip install --require-hashes -r requirements.lock"
    if wrong or missing:
        return Finding("packages", FAILED, _few([*wrong, *(f"{name} is missing" for name in missing)]), mend)
    if other:
        return Finding("packages", WARNING, _few(other), mend)
    return Finding("packages", OK, "the versions of requirements.lock")


def _few(items: list[str]) -> str:
    return ", ".join(items[:4]) + (f" and {len(items) - 4} more" if len(items) > 4 else "")


def check_cores() -> Finding:
    from dask.system import CPU_COUNT

    if CPU_COUNT >= 2:
        return Finding("cores", OK, f"{CPU_COUNT}")
    return Finding("cores", WARNING, "1", "labs work, but nothing will run at the same time: use two cores or more")


def check_memory() -> Finding:
    import psutil
    from dask.utils import format_bytes
    from distributed.system import MEMORY_LIMIT

    size = sizes.current()
    elsewhere = bool(os.environ.get("DASK_SCHEDULER_ADDRESS")) and not _inside_lab()
    needed = 2 * 10**9 * 9 // 10 if elsewhere else needs(size).memory
    available = min(psutil.virtual_memory().available, MEMORY_LIMIT)
    found = f"{format_bytes(MEMORY_LIMIT)}, {format_bytes(available)} of it free, for size {size.name}"
    if needed > MEMORY_LIMIT:
        smaller = "" if size == sizes.SMOKE else " Or set DASKCLASS_SIZE=smoke: the same labs on 200 MB"
        return Finding("memory", FAILED, found, f"{format_bytes(needed)} are needed.{smaller}")
    if available < needed / 2:
        return Finding("memory", WARNING, found, "close other programs before a lab measures memory")
    return Finding("memory", OK, found)


def check_disk_for_data() -> Finding:
    from dask.utils import format_bytes

    from daskclass import sales

    size = sizes.current()
    folder = sales.home()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        mend = "make it a folder of yours, or set DASKCLASS_DATA to one"
        return Finding("disk for the data", FAILED, f"{folder} cannot be written", mend)
    free, needed = shutil.disk_usage(folder).free, int(size.csv_bytes * 1.5)
    found = f"{format_bytes(free)} free in {folder}"
    if sales.look(sales.place(size)).state == "finished" or free >= needed:
        return Finding("disk for the data", OK, found)
    return Finding(
        "disk for the data",
        FAILED,
        found,
        f"{format_bytes(needed)} are needed for size {size.name}; free some, or set DASKCLASS_DATA to another disk",
    )


def check_disk_for_spill() -> Finding:
    import dask
    from dask.utils import format_bytes

    folder = Path(dask.config.get("temporary-directory") or tempfile.gettempdir())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        mend = "set DASK_TEMPORARY_DIRECTORY to a folder of yours"
        return Finding("disk for spilling", FAILED, f"{folder} cannot be written", mend)
    free, needed = shutil.disk_usage(folder).free, needs(sizes.current()).spill
    found = f"{format_bytes(free)} free in {folder}"
    if free >= needed:
        return Finding("disk for spilling", OK, found)
    return Finding(
        "disk for spilling",
        FAILED,
        found,
        f"workers spill up to {format_bytes(needed)}; free some, or set DASK_TEMPORARY_DIRECTORY to another disk",
    )


def _inside_lab() -> bool:
    """Whether ``daskclass lab`` started this process: then the usual ports are taken by itself."""
    return bool(os.environ.get("DASKCLASS_LAB"))


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        if os.name == "posix":  # what servers do; on Windows it would share a port that is taken
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def check_ports() -> Finding:
    taken = [port for port in (8787, 8888) if _taken(port)]
    if not taken:
        return Finding("ports", OK, "8787 (dashboard) and 8888 (JupyterLab) are free")
    found = " and ".join(map(str, taken)) + (" are" if len(taken) > 1 else " is") + " taken"
    if _inside_lab():
        return Finding("ports", OK, f"{found}, by this class itself")
    return Finding(
        "ports",
        WARNING,
        found,
        "fine if that is this class, in another window; otherwise end the other Dask or Jupyter there, or let "
        "`daskclass lab` take free ports and print them",
    )


def check_proxy() -> Finding:
    proxies = urllib.request.getproxies()
    for host in ("localhost", "127.0.0.1"):
        if "http" in proxies and not urllib.request.proxy_bypass(host):
            return Finding(
                "proxy",
                FAILED,
                f"{proxies['http']} is asked for {host} too",
                "set NO_PROXY=localhost,127.0.0.1, or the dashboard will not be reached",
            )
    return Finding("proxy", OK, "none in the way of this machine's own addresses")


_PROBE = """
import json, sys, urllib.request
import dask
dask.config.set({"temporary-directory": sys.argv[1]})
from distributed import Client, LocalCluster

if __name__ == "__main__":
    settings = {"threads_per_worker": 1, "memory_limit": "500 MB", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=2, **settings) as cluster, Client(cluster) as client:
        squares = client.gather(client.map(pow, range(100), [2] * 100))
        base = f"http://127.0.0.1:{client.scheduler_info()['services']['dashboard']}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        pages = {}
        for page in ("/status", "/json/counts.json"):
            with opener.open(base + page, timeout=20) as answer:
                pages[page] = answer.status
        print(json.dumps({"sum": sum(squares), "workers": len(client.nthreads()), "pages": pages}))
"""


def _probe_cluster() -> dict | str:
    """Start a cluster in a process of its own, compute on it, ask its dashboard; what came out, or what went wrong."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        script = Path(folder) / "probe.py"  # a file, because workers import the main module anew
        script.write_text(_PROBE, encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if name != "DASK_SCHEDULER_ADDRESS"}
        try:
            run = subprocess.run(
                [sys.executable, script, folder],
                capture_output=True,
                text=True,
                timeout=120,
                cwd=folder,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            return "no answer within two minutes"
    if run.returncode:
        return (run.stderr.strip().splitlines() or [f"exit status {run.returncode}"])[-1]
    return json.loads(run.stdout.splitlines()[-1])


def check_cluster() -> Finding:
    outcome = _probe_cluster()
    mend = "let a firewall or virus scanner allow Python to listen on 127.0.0.1; then `daskclass doctor` again"
    if isinstance(outcome, str):
        return Finding("a cluster computes", FAILED, outcome, mend)
    if outcome["sum"] != sum(number**2 for number in range(100)) or outcome["workers"] != 2:
        return Finding("a cluster computes", FAILED, f"it answered {outcome}", mend)
    if set(outcome["pages"].values()) != {200}:
        return Finding("a cluster computes", FAILED, f"its dashboard answered {outcome['pages']}", mend)
    return Finding("a cluster computes", OK, "two workers answered rightly, and their dashboard too")


def check_class_cluster() -> Finding:
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    if not address:
        return Finding("the class's cluster", OK, "each lab starts its own (DASK_SCHEDULER_ADDRESS is not set)")
    from daskclass import clusters

    try:
        with clusters.connect() as client:
            answer, workers = client.submit(pow, 2, 10, pure=False).result(timeout=30), len(client.nthreads())
    except (Problem, TimeoutError, OSError) as error:
        mend = "start that cluster, or unset DASK_SCHEDULER_ADDRESS for one of your own"
        return Finding("the class's cluster", FAILED, f"{address}: {error}", mend)
    if answer != 1024:
        return Finding("the class's cluster", FAILED, f"{address} answered {answer} for 2**10", "restart it")
    return Finding("the class's cluster", OK, f"{address} answers, with {workers} workers")


def check_jupyterlab() -> Finding:
    from jupyter_core.paths import jupyter_path

    mend = "python -m pip install --require-hashes -r requirements.lock, in the environment that runs JupyterLab"
    try:
        lab = importlib.metadata.version("jupyterlab")
        extension = importlib.metadata.version("dask-labextension")
    except importlib.metadata.PackageNotFoundError as error:
        return Finding("JupyterLab", FAILED, f"{error.name} is not installed", mend)
    places = jupyter_path("labextensions")
    if not any((Path(place) / "dask-labextension" / "package.json").is_file() for place in places):
        found = f"JupyterLab {lab} does not see the Dask extension {extension}"
        return Finding("JupyterLab", WARNING, found, f"{mend}; without it, open the dashboard in a browser tab")
    return Finding("JupyterLab", OK, f"{lab} with the Dask extension {extension}")


def check_data() -> Finding:
    from daskclass import sales

    size = sizes.current()
    found = sales.look(sales.place(size))
    make = "daskclass data" if size == sizes.CLASS else f"daskclass data --size {size.name}"
    what = f"sales data ({size.name})"
    if found.state == "missing":
        return Finding(what, WARNING, found.why, f"{make}; `daskclass lab` and the labs make it too")
    if found.state == "finished" and found.sales is not None and found.sales.formats != set(sales.FORMATS):
        return Finding(what, WARNING, f"only {', '.join(found.sales.formats)} in {found.sales.folder}", make)
    if found.state == "finished":
        return Finding(what, OK, found.why)
    return Finding(what, FAILED, found.why, f"{make} --verify compares checksums, {make} --force makes it anew")


CHECKS: tuple[Callable[[], Finding], ...] = (
    check_python,
    check_versions,
    check_cores,
    check_memory,
    check_disk_for_data,
    check_disk_for_spill,
    check_ports,
    check_proxy,
    check_jupyterlab,
    check_cluster,
    check_class_cluster,
    check_data,
)
