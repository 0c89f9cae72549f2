"""Runs labs one after the other and writes a report."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import psutil
from dask.utils import format_bytes
from tqdm import tqdm

from daskclass import clusters, labs, machines, sales, sizes
from daskclass.claims import as_line
from daskclass.commands.rehearsal import evidence, one_lab, pages
from daskclass.commands.rehearsal.family import Family
from daskclass.commands.rehearsal.outcome import Claim, Outcome, Rehearsal
from daskclass.errors import Problem, UsageProblem
from daskclass.system import checkout
from daskclass.system.signals import until_terminated

_UTF8 = {"encoding": "utf-8", "errors": "backslashreplace"}  # half a surrogate pair must not cost us the report
_PACKAGES = ("daskclass", "dask", "distributed", "numpy", "pandas", "pyarrow", "bokeh", "scikit-learn", "jupyterlab")


def rehearse(
    size: sizes.Size,
    *,
    wanted: str | None = None,
    scheduler: str | None = None,
    out: Path | None = None,
    minutes: float | None = None,
    keep_going: bool = False,
    against: Path | None = None,
) -> Rehearsal:
    """Run labs one after the other, print how they go, and write a report.

    Parameters
    ----------
    size : sizes.Size
        If its data is missing, this makes it.
    wanted : str, optional
        Numbers and ranges such as ``00,02-04``; by default all labs that need nothing but this machine.
    scheduler : str, optional
        Address of a cluster for the labs. By default, the cluster that ``DASK_SCHEDULER_ADDRESS`` or a Dask settings
        file names. If none is named, each lab starts its own.
    out : pathlib.Path, optional
        Folder for ``report.html``, ``report.json`` and the executed labs; by default ``build/rehearsal`` in the
        checkout. The new report replaces an old one when it is complete.
    minutes : float, optional
        Time limit for each lab; by default the minutes planned for it.
    keep_going : bool
        Whether a lab goes on after a cell that fails; see `one_lab.run`.
    against : pathlib.Path, optional
        Published evidence. Prints in which claims this rehearsal differs from it.

    Raises
    ------
    UsageProblem
        If there is no such lab, or `against` isn't evidence that these labs can be compared with.
    Problem
        If this isn't a checkout, a lab needs several machines, the scheduler doesn't answer, the folder isn't writable,
        or the data is wrong.
    """
    root = checkout.require(installed=False)
    found = labs.find(root)
    chosen = _chosen(found, wanted)
    published = None if against is None else evidence.read(against)
    if published is not None and published.failed:
        raise UsageProblem(f"{against} has no answers of Dask {published.release}: {published.failed}")
    settings = os.environ.get("DASK_SCHEDULER_ADDRESS") or clusters.named()
    try:
        cluster = _cluster(size, settings if scheduler is None else scheduler)
    except Problem as problem:
        if scheduler is None:
            raise Problem(f"{clusters.named_by()} names a cluster, but {problem}") from problem
        raise
    scheduler = settings if scheduler is None else scheduler
    environment = {name: value for name, value in os.environ.items() if name != "DASK_SCHEDULER_ADDRESS"}
    environment |= {"DASKCLASS_SIZE": size.name} | ({"DASK_SCHEDULER_ADDRESS": scheduler} if scheduler else {})
    out = (root / "build" / "rehearsal" if out is None else out).absolute()
    with until_terminated(), _replacing(out) as unfinished:
        data = sales.open_sales(size)
        print(f"Size {size.name}: {data.rows:,} orders in {data.folder}\nCluster: {cluster}", flush=True)
        rehearsal = Rehearsal(
            size=size.name,
            cluster=cluster,
            versions=_versions(),
            machine={
                "system": platform.platform(terse=True),
                "cores": os.cpu_count(),
                "memory": psutil.virtual_memory().total,
            },
            data={"rows": data.rows, "bytes": data.bytes or 0},
            started=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        )
        started = time.perf_counter()
        for lab in chosen:
            seconds = None if minutes is None else minutes * 60
            rehearsal.labs.append(_one(lab, environment, seconds, keep_going))
        rehearsal.seconds = time.perf_counter() - started
        if published is not None:
            rehearsal.differences = [str(one) for one in evidence.differences(published, rehearsal.labs)]
        _write(rehearsal, unfinished)
    _say_all(rehearsal, out)
    if published is not None:
        _say_differences(rehearsal.differences or [], published)
    return rehearsal


def _chosen(found: list[labs.Lab], wanted: str | None) -> list[labs.Lab]:
    """The labs that somebody wants, or those that run here. Then the others are named, so that nobody misses them."""
    here = labs.on_one_machine(found)
    if wanted is None:
        if others := ", ".join(lab.number for lab in found if lab not in here):
            print(f"Left out, because they need several machines (make machines): {others}", flush=True)
        return here
    chosen = labs.choose(wanted, found)
    for lab in chosen:
        if lab not in here:
            machines.require(lab.number)
    return chosen


def _cluster(size: sizes.Size, scheduler: str | None) -> str:
    """The labs' cluster, in words. Raises a Problem if no scheduler answers."""
    if scheduler is None:
        return f"each lab starts its own, with {clusters.WORKERS} workers of one thread and {size.worker_memory} each"
    if not scheduler.strip():
        raise UsageProblem("--scheduler is empty; use an address such as tcp://127.0.0.1:8786, or leave the option out")
    with clusters.reach(scheduler) as client:
        workers = clusters.workers(client).values()
        threads, memory = sum(one["nthreads"] for one in workers), sum(one["memory_limit"] for one in workers)
        return f"{scheduler}, {len(workers)} workers with {threads} threads and {format_bytes(memory)} in total"


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in _PACKAGES}


@contextlib.contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A folder whose files replace those in `out` when the block succeeds. Otherwise `out` stays as it was."""
    made: list[Path] = []
    unfinished = None
    try:
        try:
            made += [folder for folder in (out, *out.parents) if not folder.exists()]
            out.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=out))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise Problem(f"can't write a report to {out} ({reason}); choose another folder with --out") from error
        yield unfinished
        try:
            _clear(out)
            for page in sorted(unfinished.iterdir()):
                page.replace(out / page.name)
        except OSError as error:
            raise Problem(f"couldn't write the report to {out} ({error.strerror})") from error
    finally:
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)
        for folder in made:  # those that are ours and still empty
            with contextlib.suppress(OSError):
                folder.rmdir()


def _clear(out: Path) -> None:
    """Remove the pages of an earlier report, and nothing else."""
    try:
        earlier = [lab["lab"] for lab in json.loads((out / "report.json").read_text(encoding="utf-8"))["labs"]]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for name in earlier:
        if isinstance(name, str) and re.fullmatch(r"\d\d-[\w-]+", name):
            (out / f"{name}.html").unlink(missing_ok=True)


def _write(rehearsal: Rehearsal, folder: Path) -> None:
    try:
        for lab in rehearsal.labs:
            if lab.notebook is not None:
                (folder / f"{lab.lab}.html").write_text(pages.notebook(lab), **_UTF8)
        (folder / "report.html").write_text(pages.report(rehearsal), **_UTF8)
        (folder / "report.json").write_text(pages.as_json(rehearsal), **_UTF8)
    except OSError as error:
        raise Problem(f"couldn't write the report ({error.strerror})") from error


def _one(lab: labs.Lab, environment: dict[str, str], seconds: float | None, keep_going: bool) -> Outcome:
    with _Progress(lab) as progress:
        try:
            outcome = one_lab.run(lab, environment, seconds, progress, keep_going)
        except Exception as error:  # an error with one lab must not cost us the report on the others
            outcome = Outcome(lab.name)
            outcome.fail(f"the rehearsal itself crashed: {type(error).__name__}: {error}")
            traceback.print_exc()  # this is our bug, so show where it happened
    told = f"  {outcome.status}: {_claims(outcome.claims)} in {outcome.seconds:.0f} s"
    print(f"{told}, peak memory {format_bytes(outcome.peak_bytes)}", flush=True)
    if outcome.error is not None:
        print(f"  {outcome.error}", flush=True)
    for claim in outcome.claims if keep_going else ():
        if claim.holds is None:
            print(f"  {as_line(claim.text, None)}\n    could not be asked: {claim.why}", flush=True)
    for left in outcome.left_behind:
        print(f"  left behind (now stopped or removed): {left}", flush=True)
    return outcome


def _claims(claims: list[Claim]) -> str:
    return f"{sum(claim.holds is True for claim in claims)} of {len(claims)} claims hold"


class _Progress:
    """Shows a lab's progress in a terminal, and prints which claims hold."""

    def __init__(self, lab: labs.Lab) -> None:
        print(lab.name, flush=True)
        self.bar = tqdm(
            disable=not sys.stderr.isatty(),
            leave=False,
            bar_format="  {n_fmt} of {total_fmt} cells, {elapsed}{postfix}",
        )

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_error: object) -> None:
        self.bar.close()

    def cell(self, name: str, number: int, of: int, family: Family) -> None:
        self.bar.total, self.bar.n = of, number
        self.bar.set_postfix_str(f"{name}, peak memory {format_bytes(family.peak)} so far")

    def claim(self, claim: Claim) -> None:
        with tqdm.external_write_mode():
            print(f"  {as_line(claim.text, claim.holds)}", flush=True)


def _say_all(rehearsal: Rehearsal, out: Path) -> None:
    claims = [claim for lab in rehearsal.labs for claim in lab.claims]
    passed = sum(lab.status == "passed" for lab in rehearsal.labs)
    peak = max((lab.peak_bytes for lab in rehearsal.labs), default=0)
    print(
        f"{passed} of {len(rehearsal.labs)} labs passed, {_claims(claims)}, {rehearsal.seconds:.0f} s, "
        f"peak memory {format_bytes(peak)}\nThe report is {out / 'report.html'}",
        flush=True,
    )


def _say_differences(differences: list[str], published: evidence.Evidence) -> None:
    where = f"Dask {published.release}, asked on {published.asked}"
    if not differences:
        print(f"Every claim is as published ({where})", flush=True)
    for one in differences:
        print(f"differs from what was published ({where}): {one}", flush=True)
