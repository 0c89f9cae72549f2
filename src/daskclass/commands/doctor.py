"""Is this machine ready? Looks at what the labs need and at what goes wrong in classes, and changes nothing.

Every check says what it looked at, what it found, and how to fix it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

import daskclass
from daskclass import sizes
from daskclass.errors import Problem
from daskclass.system import checkout, ports

OK: Final = "ok"
WARNING: Final = "warning"
FAILED: Final = "failed"

SET_UP_AGAIN = (
    "stop the class if it runs; then, in the checkout, `python3 tools/environment.py` (Windows: "
    "`py -3.13 tools\\environment.py`), and start it again; in containers, `docker compose up --build`"
)


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes
    ----------
    check : str
        What the check looked at.
    state : str
        ``ok``; ``warning`` if the class works but may surprise you; ``failed`` if a lab won't work.
    found : str
    mend : str
        What to do. Empty if nothing is wrong.
    """

    check: str
    state: Literal["ok", "warning", "failed"]
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Needs:
    """The memory and disk that a size needs, in bytes."""

    memory: int
    spill: int


def needs(size: sizes.Size) -> Needs:
    """4 GB of memory if the workers are those of smoke, else 8. Such machines report about a tenth less."""
    if size.worker_memory == sizes.SMOKE.worker_memory:
        return Needs(memory=int(3.6e9), spill=10**9)
    return Needs(memory=int(7.2e9), spill=4 * 10**9)


def examine() -> Iterator[Finding]:
    """Run all checks. A check that crashes becomes a finding and doesn't stop the others.

    Findings come in the order of `CHECKS`. The checks in `IN_PROCESSES` run at the same time.
    """
    started: dict[Callable[[], Finding], Future[Finding]] = {}
    with ThreadPoolExecutor(len(IN_PROCESSES)) as pool:
        for check in CHECKS:
            if check in IN_PROCESSES and not started:
                started = {slow: pool.submit(_finding, slow) for slow in CHECKS if slow in IN_PROCESSES}
            yield started[check].result() if check in started else _finding(check)


def _finding(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:
        name = check.__name__.replace("check_", "").replace("_", " ")
        return Finding(
            name, FAILED, f"the check itself failed: {type(error).__name__}: {error}", "please report this as a bug"
        )


def ready(findings: list[Finding]) -> bool:
    """Whether all checks passed, perhaps with warnings."""
    return all(finding.state != FAILED for finding in findings)


def as_text(finding: Finding) -> str:
    """A finding as one or two lines of text."""
    mark = {OK: "[ok]     ", WARNING: "[warning]", FAILED: "[FAILED] "}[finding.state]
    line = f"{mark} {finding.check}: {finding.found}"
    return f"{line}\n          -> {finding.mend}" if finding.mend else line


def as_json(findings: list[Finding]) -> str:
    """All findings as JSON: ``{"ready": bool, "size": str, "findings": [{check, state, found, mend}]}``."""
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
    mend = "use Python 3.11 to 3.14; in the checkout, for example `python3.13 tools/environment.py`"
    return Finding("Python", FAILED, found, mend)


def lock_file() -> Path | None:
    """Where ``requirements.lock`` is: in the checkout, or in the installed package."""
    folders = (checkout.installed_from(), Path(daskclass.__file__).parent)
    found = (folder / "requirements.lock" for folder in folders if folder is not None)
    return next((path for path in found if path.is_file()), None)


def locked_versions(lock: Path) -> dict[NormalizedName, str]:
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
        return Finding(
            "packages", WARNING, "found no requirements.lock to compare with", "run this in a clone of the class"
        )
    needed = {
        canonicalize_name(requirement.name): requirement.specifier
        for requirement in map(Requirement, importlib.metadata.requires("daskclass") or [])
        if requirement.marker is None
    }
    missing = sorted(_missing())
    wrong: list[str] = []
    other: list[str] = []
    for name, version in locked_versions(lock).items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system, or missing
        if installed != version:
            works = name not in needed or needed[name].contains(installed, prereleases=True)
            (other if works else wrong).append(f"{name} {installed} instead of {version}")
    mend = SET_UP_AGAIN
    if wrong or missing:
        return Finding("packages", FAILED, _few([*wrong, *(f"{name} is missing" for name in missing)]), mend)
    if other:
        return Finding("packages", WARNING, _few(other), mend)
    return Finding("packages", OK, "versions match requirements.lock")


def _missing() -> set[str]:
    """Packages that the class needs, directly or through others, and that aren't installed."""
    missing: set[str] = set()
    seen: set[tuple[str, str]] = set()
    asked = [("daskclass", "")]  # a package, and one of its extras or none
    while asked:
        if (one := asked.pop()) in seen:
            continue
        seen.add(one)
        name, extra = one
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            missing.add(name)
            continue
        for requirement in map(Requirement, requirements):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                asked += [(canonicalize_name(requirement.name), each) for each in ("", *requirement.extras)]
    return missing


def _few(items: list[str]) -> str:
    return ", ".join(items[:4]) + (f" and {len(items) - 4} more" if len(items) > 4 else "")


def check_cores() -> Finding:
    from daskclass.watch import dask_internals

    if (cores := dask_internals.cores()) >= 2:
        return Finding("cores", OK, f"{cores}")
    return Finding("cores", WARNING, "1", "labs work, but tasks can't run in parallel; use two cores or more")


def check_memory() -> Finding:
    import psutil
    from dask.utils import format_bytes

    from daskclass import clusters
    from daskclass.watch import dask_internals

    size = sizes.current()
    elsewhere = clusters.named() is not None and not _inside_lab()
    needed = 2 * 10**9 * 9 // 10 if elsewhere else needs(size).memory
    limit = dask_internals.memory_of_machine()
    available = min(psutil.virtual_memory().available, limit)
    found = f"{format_bytes(limit)}, {format_bytes(available)} of it free, for size {size.name}"
    if needed > limit:
        fits = not elsewhere and needs(sizes.SMOKE).memory <= min(limit, needed - 1)
        smaller = ". Or set DASKCLASS_SIZE=smoke to run the same labs on 200 MB" if fits else ""
        return Finding("memory", FAILED, found, f"the labs need {format_bytes(needed)}{smaller}")
    if available < needed / 2:
        return Finding("memory", WARNING, found, "close other programs before a lab measures memory")
    return Finding("memory", OK, found)


def check_disk_for_data() -> Finding:
    from dask.utils import format_bytes

    from daskclass import sales

    size = sizes.current()
    folder = sales.place(size)
    there = sales.look(folder)
    if there.state == "finished" and there.sales is not None and there.sales.formats == set(sales.FORMATS):
        return Finding("disk for the data", OK, f"the data in {folder} is complete, so nothing more is needed")
    if why := sales.refusal(folder):
        return Finding(
            "disk for the data", FAILED, why, "fix that, or set DASKCLASS_DATA to a folder that you can write to"
        )
    folder = _existing(folder)
    free, needed = shutil.disk_usage(folder).free, int(size.csv_bytes * 1.5)
    found = f"{format_bytes(free)} free in {folder}"
    if free >= needed:
        return Finding("disk for the data", OK, found)
    return Finding(
        "disk for the data",
        FAILED,
        found,
        f"size {size.name} needs {format_bytes(needed)}; free some space, or set DASKCLASS_DATA to a folder on "
        "another disk",
    )


def check_disk_for_spill() -> Finding:
    import dask
    from dask.utils import format_bytes

    from daskclass import sales

    # Dask makes the folder if it doesn't exist
    folder = _existing(Path(dask.config.get("temporary-directory") or tempfile.gettempdir()).absolute())
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        mend = "set DASK_TEMPORARY_DIRECTORY to a folder that you can write to"
        return Finding("disk for spilling", FAILED, f"can't write to {folder}: {error.strerror}", mend)
    size = sizes.current()
    free, needed = shutil.disk_usage(folder).free, needs(size).spill
    found = f"{format_bytes(free)} free in {folder}"
    if _is_in_memory(folder):
        found = f"{folder} is in memory, so what is spilled there frees none"
        mend = "set DASK_TEMPORARY_DIRECTORY to a folder on a disk, such as /var/tmp"
        return Finding("disk for spilling", WARNING, found, mend)
    what = f"workers spill up to {format_bytes(needed)}"
    place = sales.place(size)
    if sales.look(place).state != "finished" and _existing(place).stat().st_dev == folder.stat().st_dev:
        needed += int(size.csv_bytes * 1.5)
        what += f", and the data comes to the same disk, together {format_bytes(needed)}"
    if free >= needed:
        return Finding("disk for spilling", OK, found)
    mend = f"{what}; free some space, or set DASK_TEMPORARY_DIRECTORY to a folder on another disk"
    return Finding("disk for spilling", FAILED, found, mend)


def _is_in_memory(folder: Path) -> bool:
    """Whether the file system of `folder` keeps its files in memory, as /tmp does in some distributions of Linux."""
    import psutil

    above = (resolved := folder.resolve(), *resolved.parents)
    mounts = [mount for mount in psutil.disk_partitions(all=True) if Path(mount.mountpoint) in above]
    return bool(mounts) and max(mounts, key=lambda mount: len(mount.mountpoint)).fstype in ("tmpfs", "ramfs")


def _existing(folder: Path) -> Path:
    """`folder`, or its nearest parent that exists."""
    from daskclass.sales import folder as folders

    return next(path for path in (folder, *folder.parents) if folders.exists(path))


def _inside_lab() -> bool:
    """Whether ``daskclass lab`` started this process. If so, it uses the usual ports itself."""
    return bool(os.environ.get("DASKCLASS_LAB"))


def check_ports() -> Finding:
    taken = [port for port in (8787, 8888) if not ports.is_free(port)]
    if not taken:
        return Finding("ports", OK, "8787 (dashboard) and 8888 (JupyterLab) are free")
    found = " and ".join(map(str, taken)) + (" are" if len(taken) > 1 else " is") + " taken"
    if _inside_lab():
        return Finding("ports", OK, f"{found}; the class that runs uses the ports that it printed when it started")
    return Finding(
        "ports",
        WARNING,
        found,
        "that's fine if the class is running in another window; otherwise stop the other Dask or Jupyter, or let "
        "`daskclass lab` choose free ports and print them",
    )


def check_proxy() -> Finding:
    proxy = urllib.request.getproxies().get("http")
    if proxy is None:
        return Finding("proxy", OK, "none")
    before, scheme, after = proxy.rpartition("://") if "://" in proxy else ("", "", proxy)
    shown = before + scheme + after.rpartition("@")[2]  # without the name and the password of a person
    return Finding("proxy", OK, f"{shown}; the class and its labs bypass it when they open a cluster's pages")


def check_dashboard_link() -> Finding:
    import dask

    from daskclass import clusters

    try:
        clusters.require_dashboard_link()
    except Problem as problem:
        found, _stop, mend = str(problem).rpartition(". ")
        return Finding("dashboard link", FAILED, found, mend)
    return Finding("dashboard link", OK, dask.config.get("distributed.dashboard.link"))


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


def _probe(source: str, *arguments: str) -> dict[str, Any] | str:
    """Run a script in a separate process. Return the JSON in its last line, or an error message.

    The script runs in a temporary folder, which is its first argument.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        script = Path(folder) / "probe.py"  # a file, because workers import the main module again
        script.write_text(source, encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if name != "DASK_SCHEDULER_ADDRESS"}
        try:
            run = subprocess.run(
                [sys.executable, script, folder, *arguments],
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
    said: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return said


def check_cluster() -> Finding:
    outcome = _probe(_PROBE)
    mend = "allow Python to listen on 127.0.0.1 in your firewall or virus scanner, then run `daskclass doctor` again"
    if isinstance(outcome, str):
        if outcome.startswith(("ImportError", "ModuleNotFoundError")):
            mend = SET_UP_AGAIN
        return Finding("a cluster computes", FAILED, outcome, mend)
    if outcome["sum"] != sum(number**2 for number in range(100)) or outcome["workers"] != 2:
        return Finding("a cluster computes", FAILED, f"it answered {outcome}", mend)
    if set(outcome["pages"].values()) != {200}:
        return Finding("a cluster computes", FAILED, f"its dashboard answered {outcome['pages']}", mend)
    return Finding("a cluster computes", OK, "two workers gave the right answer, and their dashboard works")


def check_class_cluster() -> Finding:
    from distributed import KilledWorker

    from daskclass import clusters

    name, address = "the class's cluster", clusters.named()
    if address is None:
        own = "each lab starts its own (DASK_SCHEDULER_ADDRESS isn't set, and no Dask settings file names a cluster)"
        return Finding(name, OK, own)
    mend = f"start that cluster or do what it says, or remove {clusters.named_by()} to use a local one"
    try:
        with clusters.connect() as client:
            answer, workers = client.submit(pow, 2, 10, pure=False).result(timeout=30), len(client.nthreads())
            dashboard = clusters.dashboard(client)
            pages = {page: clusters.visit(dashboard + page)[0] for page in ("/status", "/json/counts.json")}
    except TimeoutError:
        mend = "wait until its workers are free, or restart it"
        return Finding(name, FAILED, f"{address} has no result for 2**10 after 30 seconds", mend)
    except (Problem, OSError, KilledWorker) as error:
        return Finding(name, FAILED, f"{address}: {error}", mend)
    if answer != 1024:
        return Finding(name, FAILED, f"{address} answered {answer} for 2**10", "restart it")
    if set(pages.values()) != {200}:
        mend = "start its scheduler with a dashboard"
        return Finding(name, FAILED, f"its dashboard at {dashboard} answered {pages}", mend)
    return Finding(name, OK, f"{address} works, with {workers} workers, and so does its dashboard at {dashboard}")


def check_jupyterlab() -> Finding:
    from jupyter_core.paths import jupyter_path

    mend = SET_UP_AGAIN
    try:
        lab = importlib.metadata.version("jupyterlab")
        extension = importlib.metadata.version("dask-labextension")
    except importlib.metadata.PackageNotFoundError as error:
        return Finding("JupyterLab", FAILED, f"{error.name} is not installed", mend)
    places = jupyter_path("labextensions")
    if not any((Path(place) / "dask-labextension" / "package.json").is_file() for place in places):
        found = f"JupyterLab {lab} can't find the Dask extension {extension}"
        return Finding("JupyterLab", WARNING, found, f"{mend}; without it, open the dashboard in a browser tab")
    return Finding("JupyterLab", OK, f"{lab} with the Dask extension {extension}")


_KERNEL_PROBE = """
import json, sys, tempfile
from queue import Empty
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import start_new_kernel

folder, labs, code = sys.argv[1:]
said = {"spec": KernelSpecManager().get_kernel_spec("python3").resource_dir}
with tempfile.TemporaryFile("w+", dir=folder) as output:
    try:
        manager, client = start_new_kernel(
            startup_timeout=60, kernel_name="python3", cwd=labs, stdout=output, stderr=output
        )
    except RuntimeError as error:
        output.seek(0)
        last = [line for line in output.read().splitlines() if line.strip() and "[IPKernelApp]" not in line][-1:]
        said["error"] = ": ".join([str(error), *last])
    else:
        printed = []
        try:
            client.execute_interactive(
                code,
                store_history=False,
                timeout=60,
                output_hook=lambda message: printed.append(message["content"].get("text", "")),
            )
            said |= json.loads("".join(printed).splitlines()[-1])
        except (TimeoutError, Empty, IndexError, ValueError) as error:
            said["error"] = f"it answered {''.join(printed)!r:.200} ({type(error).__name__})"
        finally:
            client.stop_channels()
            manager.shutdown_kernel()
print(json.dumps(said))
"""
_IN_THE_KERNEL = """
import importlib, json, pathlib, sys
said = {"prefix": sys.prefix}
try:
    for name in ("numpy", "pandas", "dask.dataframe", "distributed", "daskclass.claims", "daskclass.clusters"):
        importlib.import_module(name)
    from importlib.metadata import version
    said["versions"] = {name: version(name) for name in NAMES}
except Exception as error:
    said["error"] = f"{type(error).__name__}: {error}"
    here = pathlib.Path.cwd()
    own = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
    said["beside"] = sorted(file for file in own if here in pathlib.Path(file).parents)
print(json.dumps(said))
"""


def check_kernel() -> Finding:
    """Start the labs' kernel in their folder, and have it import what they import."""
    from daskclass import clusters

    try:
        folder = checkout.require() / "labs"
    except Problem:
        folder = Path.cwd()
    names = [name for name in clusters.SAME if name != "python"]
    said = _probe(_KERNEL_PROBE, str(folder), _IN_THE_KERNEL.replace("NAMES", repr(names)))
    if isinstance(said, str):
        return Finding("the labs' kernel", FAILED, said, SET_UP_AGAIN)
    spec = Path(said["spec"]) / "kernel.json"
    mend = f"remove {spec.parent}, or its folder from JUPYTER_PATH, so that `python3` is the kernel of {sys.prefix}"
    if Path(sys.prefix) in spec.parents:  # ours, but it doesn't start, or can't import
        mend = (
            SET_UP_AGAIN
            if "prefix" in said
            else f"start it by hand and read its output: {sys.executable} -m ipykernel_launcher. It first runs your "
            "files in `profile_default/startup` of IPython's folder (find that with `ipython locate`)"
        )
    if beside := said.get("beside"):
        return Finding("the labs' kernel", FAILED, f"{said['error']}: it imports {_few(beside)}", "rename that file")
    if "error" in said:
        return Finding("the labs' kernel", FAILED, f"{spec}: {said['error']}", mend)
    here = {name: importlib.metadata.version(name) for name in names}
    if differ := [f"{name} {said['versions'][name]}" for name in names if said["versions"][name] != here[name]]:
        return Finding("the labs' kernel", FAILED, f"{spec} starts {said['prefix']}, with {_few(differ)}", mend)
    if Path(said["prefix"]).resolve() != Path(sys.prefix).resolve():
        found = f"{spec} starts another environment, {said['prefix']}, with the same versions"
        return Finding("the labs' kernel", WARNING, found, mend)
    return Finding("the labs' kernel", OK, f"{spec} starts {said['prefix']}")


def check_pip() -> Finding:
    """Install a small package with pip, as the workers of lab 06 do."""
    from daskclass import wheels

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        wheel = wheels.make(folder, "daskclass_doctor", "1.0", "")
        try:
            run = subprocess.run(
                [sys.executable, "-m", "pip", "install", str(wheel)],
                capture_output=True,
                text=True,
                timeout=120,
                cwd=folder,
                env={**os.environ, "PIP_TARGET": str(Path(folder) / "packages"), "PIP_NO_INDEX": "1"},
            )
        except subprocess.TimeoutExpired:
            mend = f"see what it waits for: {sys.executable} -m pip install --no-index pip"
            return Finding("pip", FAILED, "pip didn't end within two minutes, and lab 06 needs it", mend)
    if run.returncode == 0:
        return Finding("pip", OK, f"{importlib.metadata.version('pip')} can install packages (lab 06)")
    if importlib.util.find_spec("pip") is None:
        mend = f"{sys.executable} -m ensurepip (`uv venv` makes environments without pip; `uv venv --seed` adds it)"
        return Finding("pip", FAILED, f"{sys.prefix} has no pip, and lab 06 needs it", mend)
    words = (run.stderr.strip().splitlines() or [f"exit status {run.returncode}"])[-1]
    settings = sorted(name for name in os.environ if name.startswith("PIP_"))
    mend = (
        f"one of these pip settings prevents it, so remove that one: {', '.join(settings)}"
        if settings
        else "a setting of pip may prevent it; `python -m pip config debug` shows them"
    )
    return Finding("pip", FAILED, f"can't install packages, and lab 06 needs that: {words}", mend)


def check_data() -> Finding:
    from daskclass import sales

    size = sizes.current()
    found = sales.look(sales.place(size))
    make = sales.command(size)
    what = f"sales data ({size.name})"
    if found.state == "missing":
        return Finding(what, WARNING, found.why, f"run `{make}`, or let `daskclass lab` or a lab make it")
    if found.state == "finished" and found.sales is not None and found.sales.formats != set(sales.FORMATS):
        return Finding(what, WARNING, f"only {', '.join(found.sales.formats)} in {found.sales.folder}", f"run `{make}`")
    if found.state == "finished" and found.sales is not None:
        if why := sales.unreadable(found.sales):
            mend = "ask its owner for read access, or set DASKCLASS_DATA to a folder that you can write to"
            return Finding(what, FAILED, why, mend)
        return Finding(what, OK, found.why)
    mend = f"compare checksums with `{make} --verify`, or make the data again with `{make} --force`"
    return Finding(what, FAILED, found.why, mend)


CHECKS: tuple[Callable[[], Finding], ...] = (
    check_python,
    check_versions,
    check_cores,
    check_memory,
    check_disk_for_data,
    check_disk_for_spill,
    check_ports,
    check_proxy,
    check_dashboard_link,
    check_jupyterlab,
    check_kernel,
    check_pip,
    check_cluster,
    check_class_cluster,
    check_data,
)

IN_PROCESSES = (check_kernel, check_pip, check_cluster)
"""Checks that start a program and wait for it. One after another, they would take most of the doctor's time."""
