"""Asks releases of Dask which of the class's claims hold, keeps the answers, and makes a page of them.

    make drift                                   # the releases of two years, as below; takes hours
    make drift VERSIONS="2025.7.0 newest"        # these
    .venv/bin/python tools/drift.py page         # only the page, build/drift/index.html

Each release gets an environment with the newest of everything else that it accepts, and all labs run in it at size
smoke. The answers go to docs/evidence/dask-RELEASE.json when the release is finished. By default it asks the last
release of each quarter, and then, wherever two neighbors differ, the ones in between. If it's stopped, what is finished
stays, and the next run goes on from there.

The exit status is 0 if every release could be asked; 1 if one couldn't, which its file says, unless it has answers from
an earlier time, which stay; and 2 if it could not begin.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

import psutil
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

import drift_page
import environment
import upstream
from daskclass import labs, sales, sizes
from daskclass.commands.rehearsal import evidence
from daskclass.commands.rehearsal.evidence import Asked, Evidence, LabRun
from daskclass.errors import Problem, UsageProblem
from daskclass.system import processes
from daskclass.system.files import written
from daskclass.system.signals import until_terminated

ROOT = Path(__file__).resolve().parents[1]
EVIDENCE, BUILD = ROOT / "docs" / "evidence", ROOT / "build" / "drift"
YEARS = 2
TIMED = ("05", "11", "14")  # as in the Makefile: their claims compare times, so each has the machine to itself
AT_ONCE = 2  # of the other labs
MERCY = 30.0  # seconds that a lab has to clean up when it's told to end
EXTRAS = ("managers", "object-store", "xgboost")
BESIDES = ("pip", "hatchling", "editables")  # lab 06 needs pip, and installing the class the others


class CannotAsk(Exception):
    """A release can't be asked. The message says why."""


class Setup(NamedTuple):
    """How packages are reached: uv's command, and the environment variables for it."""

    uv: Path
    variables: dict[str, str]


def releases(setup: Setup) -> list[Version]:
    """Every release of Dask in the index, the newest first.

    Raises
    ------
    Problem
        If the index can't be reached.
    """
    told = subprocess.run(
        [*environment.pip(ROOT / ".venv"), "index", "versions", "dask"],
        env=setup.variables,
        capture_output=True,
        text=True,
    )
    found = re.search(r"^Available versions: (.+)$", told.stdout, re.MULTILINE)
    if told.returncode or not found:
        raise Problem(f"can't ask the package index for the releases of Dask: {_last_line(told.stderr)}")
    versions = []
    for text in found[1].split(","):
        with contextlib.suppress(InvalidVersion):
            versions.append(Version(text.strip()))
    return sorted(versions, reverse=True)


def quarterly(every: list[Version], today: datetime.date, years: int = YEARS) -> list[Version]:
    """The last release of each quarter, the newest first. A version says the year and the month of its release."""
    last: dict[tuple[int, int], Version] = {}
    for version in sorted(every):
        if (today.year - version.major) * 12 + today.month - version.minor < 12 * years:
            last[version.major, (version.minor - 1) // 3] = version
    return sorted(last.values(), reverse=True)


def between(every: list[Version], one: Version, other: Version) -> Version | None:
    """The one of these releases that is half-way between two; None if there is none."""
    inner = [version for version in sorted(every) if min(one, other) < version < max(one, other)]
    return inner[len(inner) // 2] if inner else None


def differ(one: Evidence, other: Evidence) -> list[str]:
    """The claims that two releases answer differently. What was flaky, or couldn't be asked at all, doesn't count."""
    if one.failed or other.failed:
        return []
    return [
        key
        for key, asked in one.claims.items()
        if key in other.claims
        and asked.answer != other.claims[key].answer
        and not asked.flaky
        and not other.claims[key].flaky
    ]


def ask_all(
    wanted: list[Version], every: list[Version], ask: Callable[[Version], Evidence], halve: bool
) -> dict[Version, Evidence]:
    """Ask the releases in `wanted`; with `halve`, also those in between wherever neighbors differ."""
    answers = {version: ask(version) for version in wanted}
    good = sorted(version for version, told in answers.items() if not told.failed)
    todo = list(pairwise(good)) if halve else []
    while todo:
        older, newer = todo.pop()
        asked = [version for version in every if version not in answers]
        middle = between(asked, older, newer)
        if middle is not None and differ(answers[older], answers[newer]):
            answers[middle] = ask(middle)
            failed = answers[middle].failed
            todo += [(older, newer)] if failed else [(older, middle), (middle, newer)]
    return answers


def unpinned(text: str, extras: Iterable[str]) -> list[str]:
    """The requirements of a ``pyproject.toml`` and of these extras, without versions.

    Raises
    ------
    Problem
        If it doesn't list them.
    """
    try:
        project = tomllib.loads(text)["project"]
        more = [project["optional-dependencies"][name] for name in extras]
        found = [Requirement(line) for lines in (project["dependencies"], *more) for line in lines]
    except (InvalidRequirement, KeyError, tomllib.TOMLDecodeError) as error:
        raise Problem(f"pyproject.toml doesn't list what the class needs ({type(error).__name__}: {error})") from error
    names = [one.name + (f"[{','.join(sorted(one.extras))}]" if one.extras else "") for one in found]
    return [name + (f"; {one.marker}" if one.marker else "") for name, one in zip(names, found, strict=True)]


def requirements(release: Version) -> str:
    """What to resolve for a release: it, and whatever else the class needs, in any version."""
    needed = unpinned((ROOT / "pyproject.toml").read_text(encoding="utf-8"), EXTRAS)
    others = [line for line in needed if not re.match(r"(dask|distributed)\b(?!-)", line)]
    return "\n".join([f"dask[complete]=={release}", f"distributed=={release}", *others, *BESIDES]) + "\n"


def python_of(folder: Path) -> Path:
    """The Python of the environment in `folder`."""
    return folder / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def make_environment(release: Version, folder: Path, setup: Setup) -> dict[str, str]:
    """An environment for `release` in `folder`. Returns the version of each of its packages.

    Raises
    ------
    CannotAsk
        If this Python has no such packages, or they can't be installed.
    """
    python = python_of(folder)
    wanted, lock = folder / "wanted.txt", folder / "lock.txt"
    wanted.write_text(requirements(release), encoding="utf-8")

    def uv(what: str, *arguments: str | Path) -> str:
        done = subprocess.run(
            [setup.uv, *arguments], env=setup.variables, capture_output=True, text=True, encoding="utf-8"
        )
        if done.returncode:
            raise CannotAsk(f"{what}: {_first_error(done.stderr)}")
        return done.stdout

    where = f"with Python {platform.python_version()}"
    uv(f"can't be resolved {where}", "pip", "compile", "--no-header", "--python", sys.executable, wanted, "-o", lock)
    uv("no environment", "venv", "--allow-existing", "--python", sys.executable, folder / "env")
    uv(f"can't be installed {where}", "pip", "sync", "--python", python, lock)
    uv(
        "the class can't be installed beside it",
        *("pip", "install", "--no-deps", "--no-build-isolation", "--python", python, "--editable", ROOT),
    )
    listed = json.loads(uv("can't list its packages", "pip", "list", "--format", "json", "--python", python))
    return {one["name"]: one["version"] for one in listed if one["name"] != "daskclass"}


def unasked(release: Version, why: str | None) -> Evidence:
    """Evidence of a release without any answers, and why there are none."""
    return Evidence(
        release=str(release),
        asked=datetime.date.today().isoformat(),
        seconds=0,
        size="smoke",
        python=platform.python_version(),
        machine={
            "system": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
            "memory": psutil.virtual_memory().total,
        },
        versions={},
        labs={},
        claims={},
        failed=why,
    )


def ask_release(release: Version, chosen: list[labs.Lab], setup: Setup) -> Evidence:
    """Ask one release, lab by lab. Labs that an interrupted run finished with the same versions aren't asked again."""
    began, folder = time.monotonic(), BUILD / str(release)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        versions = make_environment(release, folder, setup)
    except CannotAsk as problem:
        return unasked(release, str(problem))
    stamp = json.dumps([versions, fingerprint()])
    if not (folder / "stamp").exists() or (folder / "stamp").read_text(encoding="utf-8") != stamp:
        for old in folder.glob("[0-9][0-9].json"):
            old.unlink()
        (folder / "stamp").write_text(stamp, encoding="utf-8")
    try:
        run_labs(release, [lab for lab in chosen if not (folder / f"{lab.number}.json").exists()], folder)
    except CannotAsk as problem:
        return unasked(release, str(problem))
    python = python_of(folder)
    faults = {page.name: upstream.run(page, python) for page in upstream.pages(ROOT / "docs" / "upstream")}
    found = [json.loads((folder / f"{lab.number}.json").read_text(encoding="utf-8")) for lab in chosen]
    return dataclasses.replace(
        unasked(release, None),
        seconds=time.monotonic() - began,
        versions=versions,
        labs={lab.number: LabRun(**one["run"]) for lab, one in zip(chosen, found, strict=True)},
        claims={key: _asked(told) for one in found for key, told in one["claims"].items()},
        upstream=faults,
    )


def _asked(told: Mapping[str, object]) -> Asked:
    controls = tuple(evidence.Control(*one) for one in told["controls"])  # type: ignore[attr-defined]
    return Asked(**{**told, "held": tuple(told["held"]), "controls": controls})  # type: ignore[arg-type]


def run_labs(release: Version, chosen: list[labs.Lab], folder: Path) -> None:
    """Run `tools/drift_ask.py` for each lab in the environment of `folder`. Each writes a file there.

    Raises
    ------
    CannotAsk
        If that doesn't work at all for a lab, for example because the class can't be imported there.
    """
    python = python_of(folder)
    running: set[subprocess.Popen[bytes]] = set()
    stopping = False
    turn = threading.Lock()  # whoever holds it may start or end labs

    def started(lab: labs.Lab, said: BinaryIO) -> subprocess.Popen[bytes] | None:
        with turn:
            if stopping:
                return None
            process = subprocess.Popen(
                [python, ROOT / "tools" / "drift_ask.py", lab.number, folder / f"{lab.number}.json"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
            running.add(process)
            return process

    def end() -> None:
        nonlocal stopping
        with turn:
            stopping = True
            _end(running)

    def one(lab: labs.Lab) -> None:
        log = folder / f"{lab.number}.log"
        began = time.monotonic()
        with log.open("wb") as said:
            if (process := started(lab, said)) is None:
                return
            status = process.wait()
        if status:
            raise CannotAsk(f"lab {lab.number} can't be asked: {_last_line(log.read_text(errors='replace'))}")
        told = json.loads((folder / f"{lab.number}.json").read_text(encoding="utf-8"))["claims"].values()
        counts = {answer: sum(one["answer"] == answer for one in told) for answer in ("holds", "false")}
        unasked = len(told) - sum(counts.values())
        print(
            f"  {release}, lab {lab.number}: {counts['holds']} hold, {counts['false']} false, {unasked} could not be "
            f"asked, {time.monotonic() - began:.0f} s",
            flush=True,
        )

    try:
        for lab in chosen:
            if lab.number in TIMED:
                one(lab)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            done = [pool.submit(one, lab) for lab in chosen if lab.number not in TIMED]
            try:
                for future in done:
                    future.result()
            except BaseException:
                end()
                raise
    finally:
        end()


def _end(running: Iterable[subprocess.Popen[bytes]]) -> None:
    """End the labs that run, which clean up after themselves. What doesn't end in time is killed with its processes."""
    families = []
    for process in running:
        if process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                families.append((process, processes.descendants(psutil.Process(process.pid))))
            process.terminate()
    deadline = time.monotonic() + MERCY
    for process, family in families:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            processes.kill([psutil.Process(process.pid), *family])
            process.wait()


def fingerprint() -> str:
    """Changes if anything does that answers depend on, other than the packages."""
    digest = hashlib.sha256(platform.python_version().encode())
    rooms = {"labs": "*.ipynb", "labs/materials": "*", "src": "*.py", "tests/labs/controls": "*.py"}
    rooms |= {"tools": "drift_ask.py"}
    for path in sorted({path for room, names in rooms.items() for path in (ROOT / room).rglob(names)}):
        if path.is_file() and not {".ipynb_checkpoints", "__pycache__"} & set(path.parts):
            digest.update(path.read_bytes())
    for page in upstream.pages(ROOT / "docs" / "upstream"):  # the rest of a page is about the answers
        digest.update(f"{page.name}\0{page.code}\0{page.prints}\0".encode())
    return digest.hexdigest()


class Progress:
    """Which releases an interrupted run had finished. A run that asks for something else starts anew."""

    def __init__(self, path: Path, asked: Sequence[str]) -> None:
        self.path, self.run = path, [fingerprint(), *asked]
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            self.finished = set(told["finished"]) if told["run"] == self.run else set()
        except (OSError, ValueError, KeyError, TypeError):  # there is none, or it's of another version of this
            self.finished = set()

    def add(self, release: str) -> None:
        """Remember that `release` is finished."""
        self.finished.add(release)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with written(self.path) as unfinished:
            unfinished.write_text(json.dumps({"finished": sorted(self.finished), "run": self.run}), encoding="utf-8")

    def end(self) -> None:
        """Forget it all: the run is complete."""
        self.path.unlink(missing_ok=True)


def get_setup() -> Setup:
    """uv and its settings, as set-up uses them.

    Raises
    ------
    Problem
        If there is no uv.
    """
    folder = ROOT / ".venv"
    variables = environment.without_settings(dict(os.environ))
    try:
        variables = environment.passed_on(variables, environment.pip_settings(folder, variables))
    except environment.CannotSetUp as problem:
        raise Problem(str(problem)) from problem
    uv = environment.inside(folder, "uv.exe" if sys.platform == "win32" else "uv")
    if not uv.exists():
        raise Problem("this needs uv, which could not be installed into .venv; run `make clean lab` where it can")
    return Setup(uv, variables)


def versions(texts: list[str], every: list[Version]) -> list[Version]:
    """The releases that somebody typed, without repetitions; ``newest`` is one.

    Raises
    ------
    UsageProblem
        If one isn't a version.
    """
    found = []
    for text in texts:
        if text != "newest" and not re.fullmatch(r"\d{4}\.\d{1,2}\.\d+", text):
            raise UsageProblem(f"{text!r} isn't a release of Dask; use one such as {every[0]}, or newest")
        found.append(every[0] if text == "newest" else Version(text))
    return list(dict.fromkeys(found))


def ask(texts: list[str], out: Path, wanted_labs: str | None) -> int:
    """Ask the releases in `texts`, or those of two years, and write their evidence to `out`."""
    found = labs.on_one_machine(labs.find(ROOT))
    chosen = found if wanted_labs is None else labs.choose(wanted_labs, found)
    if len(chosen) < len(found) and out.resolve() == EVIDENCE.resolve():
        raise UsageProblem("evidence of some labs only can't go to docs/evidence; choose another folder with --out")
    setup = get_setup()
    every = releases(setup)
    first = versions(texts, every) if texts else quarterly(every, datetime.date.today())
    sales.open_sales(sizes.SMOKE)
    out.mkdir(parents=True, exist_ok=True)
    progress = Progress(BUILD / "progress.json", [str(out.resolve()), wanted_labs or "", *texts])

    def one(release: Version) -> Evidence:
        path = out / f"dask-{release}.json"
        if str(release) in progress.finished and path.exists():
            print(f"Dask {release}: asked before this was interrupted", flush=True)
            return evidence.read(path)
        print(f"Dask {release}", flush=True)
        told = ask_release(release, chosen, setup) if release in every else unasked(release, "there is no such release")
        keep(told, path)
        if not told.failed:
            progress.add(str(release))
        shutil.rmtree(BUILD / str(release), ignore_errors=True)
        return told

    answers = ask_all(first, every, one, halve=not texts)
    progress.end()
    for told in sorted(answers.values(), key=lambda told: Version(told.release)):
        print(summary(told), flush=True)
    return int(any(told.failed for told in answers.values()))


def keep(told: Evidence, path: Path) -> None:
    """Write evidence. A release that could be asked once keeps its evidence if it can't be asked today."""
    if told.failed and path.exists() and not evidence.read(path).failed:
        print(f"  {told.failed}; its earlier evidence stays", flush=True)
        return
    with written(path) as unfinished:
        unfinished.write_text(evidence.as_json(told), encoding="utf-8")


def summary(told: Evidence) -> str:
    """One line about a release."""
    if told.failed:
        return f"Dask {told.release}: {told.failed}"
    answers = [asked.answer for asked in told.claims.values()]
    flaky = sum(asked.flaky for asked in told.claims.values())
    return (
        f"Dask {told.release}: {answers.count('holds')} hold, {answers.count('false')} false, "
        f"{answers.count('could not be asked')} could not be asked, {flaky} flaky, {told.seconds:.0f} s"
    )


def _first_error(text: str) -> str:
    """What uv complains about, on one line, without its drawing."""
    lines = [re.sub(r"^[\s×╰─▶├│]+", "", line).strip() for line in text.splitlines()]
    told = " ".join(line for line in lines if line and not line.startswith(("warning", "Using", "Creating")))
    return told[:300] or "it doesn't say why"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it doesn't say why"


@contextlib.contextmanager
def _stopped_in_order() -> Iterator[None]:
    try:
        with until_terminated():
            yield
    except KeyboardInterrupt:
        print("interrupted: what is finished stays, and the same command goes on from there", file=sys.stderr)
        sys.exit(130)


def parser() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    asking = commands.add_parser("ask", help="ask releases")
    asking.add_argument("releases", nargs="*", help="such as 2025.7.0, or newest; by default those of two years")
    asking.add_argument("--out", type=Path, default=EVIDENCE, help="folder for the evidence; by default docs/evidence")
    asking.add_argument("--labs", help="numbers and ranges such as 00,02-04; by default all")
    page = commands.add_parser("page", help="make build/drift/index.html")
    page.add_argument("--evidence", type=Path, default=EVIDENCE)
    page.add_argument("--out", type=Path, default=BUILD / "index.html")
    return parser


def main() -> int:
    asked = parser().parse_args()
    try:
        with _stopped_in_order():
            if asked.command == "ask":
                return ask(asked.releases, asked.out, asked.labs)
            drift_page.write(asked.evidence, asked.out)
            if asked.evidence.resolve() == EVIDENCE.resolve():
                upstream.update((told.release, dict(told.upstream)) for told in drift_page.read_all(EVIDENCE))
            print(asked.out)
            return 0
    except Problem as problem:
        print(f"drift: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
