"""How does one lab go? Runs it in a kernel of its own and comes back whatever happens in there."""

from __future__ import annotations

import contextlib
import logging
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import nbformat
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from daskclass import signals
from daskclass.labs import METADATA, Lab, claims
from daskclass.rehearsal.family import MARK, Family

_START_SECONDS = 120
_OUTPUT_SECONDS = 60  # how late a cell's last output may come on a busy machine
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
_LEAST_SECONDS = 0.001  # nbclient takes zero for no limit


@dataclass
class Claim:
    """A sentence of a lab and what was measured of it.

    Attributes
    ----------
    text : str
    core : bool
        Whether it stands before the heading *Going further*.
    holds : bool or None
        None if the lab ended before it was measured.
    evidence : dict
        The numbers behind it.
    """

    text: str
    core: bool
    holds: bool | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """How a lab went.

    Attributes
    ----------
    lab : str
        Its name, such as ``02-pandas-vs-dask``.
    status : str
        ``passed``: it came to its end and all claims hold; ``timed out``; else ``failed``.
    seconds : float
    minutes_planned : int
        Of teaching and exercises together, as the notebook's metadata says.
    peak_bytes : int
        The most memory that its kernel and everything it started held at the same time.
    error : str or None
        What went wrong, in a sentence.
    claims : list of Claim
    left_behind : list of str
        Processes and files that stayed after the kernel had ended, and were ended and removed.
    notebook : nbformat.NotebookNode or None
        As it was executed; None if it could not be read.
    """

    lab: str
    status: Literal["passed", "failed", "timed out"] = "passed"
    seconds: float = 0.0
    minutes_planned: int = 0
    peak_bytes: int = 0
    error: str | None = None
    claims: list[Claim] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)
    notebook: nbformat.NotebookNode | None = field(default=None, repr=False)

    def fail(self, error: str, status: Literal["failed", "timed out"] = "failed") -> None:
        """Note what went wrong; what went wrong first counts."""
        if self.error is None:
            self.status, self.error = status, error


class Listener(Protocol):
    """Who is told how far a lab is."""

    def cell(self, name: str, number: int, of: int, family: Family) -> None:
        """The cell `name` begins, the `number`-th `of` all."""

    def claim(self, claim: Claim) -> None:
        """A claim was measured."""


def run(lab: Lab, environment: Mapping[str, str], seconds: float | None, listener: Listener) -> Outcome:
    """Run all cells of `lab`, up to the first that fails otherwise than by a false claim.

    Parameters
    ----------
    lab : Lab
    environment : mapping
        The kernel's.
    seconds : float or None
        When it has to be done; None for the minutes that are planned for it.
    listener : Listener

    Returns
    -------
    Outcome
        Also when the lab cannot be read, its kernel does not start or dies, or time is up.
    """
    outcome, started = Outcome(lab.name), time.perf_counter()
    try:
        outcome.notebook = nbformat.read(lab.path, as_version=4)
        about = outcome.notebook.metadata.get(METADATA, {})
        outcome.minutes_planned = sum(_minutes_of(about, kind) for kind in ("teaching", "exercises"))
        claimed = {cell: Claim(text, core) for cell, text, core in claims(outcome.notebook)}
    except (*_UNREADABLE, nbformat.ValidationError) as error:
        outcome.fail(f"{lab.path.name} is not a lab that can be read: {type(error).__name__}: {error}")
        return outcome
    outcome.claims = list(claimed.values())
    limit = outcome.minutes_planned * 60 if seconds is None else seconds
    with tempfile.TemporaryDirectory(prefix="daskclass-rehearsal-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        log = folder / "kernel.log"
        scratch = folder / "tmp"
        scratch.mkdir()
        own = {variable: str(scratch) for variable in ("TMPDIR", "TEMP", "TMP")}
        with (
            log.open("wb") as output,
            _kernel(lab, outcome, {**environment, **own}, output) as (client, family),
        ):
            if client is not None:
                process = client.km.provisioner.process
                died_in = _run_cells(client, outcome, claimed, started + limit, limit, listener, family)
                if died_in is not None:
                    outcome.fail(f"its kernel died in the cell `{died_in}`, {_how(process.poll())}{_last_words(log)}")
        outcome.left_behind += _files(scratch)
    outcome.seconds = time.perf_counter() - started
    for claim in outcome.claims:
        if claim.holds is None:
            outcome.fail(f"it did not measure: {claim.text}")
        elif not claim.holds:
            outcome.fail(f"false here: {claim.text}")
    return outcome


@contextlib.contextmanager
def _kernel(lab: Lab, outcome: Outcome, environment: dict[str, str], output) -> Iterator[tuple]:
    """A client of a kernel and the kernel's family, which is gone afterwards; no client if it does not start."""
    family = Family()
    client = NotebookClient(
        outcome.notebook,
        resources={"metadata": {"path": str(lab.path.parent)}},
        startup_timeout=_START_SECONDS,
        iopub_timeout=_OUTPUT_SECONDS,
        store_widget_state=False,
    )
    client.log.setLevel("CRITICAL")  # it logs what the outcome says
    try:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(
                    client.setup_kernel(env={**environment, MARK: family.mark}, stdout=output, stderr=output)
                )
            except (RuntimeError, OSError, ValueError, KeyError) as error:  # a KeyError is a kernel that is not there
                outcome.fail(f"its kernel did not start: {error}")
                yield None, family
                return
            stack.enter_context(family.watched(client.km.provisioner.pid))
            yield client, family
    finally:
        outcome.left_behind += family.end()
        outcome.peak_bytes = family.peak


def _run_cells(
    client: NotebookClient,
    outcome: Outcome,
    claimed: Mapping[str, Claim],
    deadline: float,
    limit: float,
    listener: Listener,
    family: Family,
) -> str | None:
    """Run the cells; the one in which the kernel died, if it did."""
    client.timeout_func = lambda _cell: max(deadline - time.perf_counter(), _LEAST_SECONDS)
    cells = [(index, cell) for index, cell in enumerate(client.nb.cells) if cell.cell_type == "code"]
    for number, (index, cell) in enumerate(cells, start=1):
        listener.cell(cell.id, number, len(cells), family)
        claim = claimed.get(cell.id)
        try:
            client.execute_cell(cell, index)
        except KeyboardInterrupt:
            # What was waited for ends with the kernel, and nobody will ask it how.
            logging.getLogger("asyncio").disabled = True
            raise
        except CellTimeoutError:
            outcome.fail(f"it did not end within {_minutes(limit)}; it was in the cell `{cell.id}`", "timed out")
            run_sync(client.km.interrupt_kernel)()  # so that what is to be cleaned up `finally` is
            return None
        except DeadKernelError:
            return cell.id
        except CellExecutionError as error:
            if claim is None or error.ename != "ClaimIsFalse":
                message = _plain(error.evalue).strip().split("\n")[0]
                outcome.fail(f"{error.ename} in the cell `{cell.id}`: {message}".rstrip(": "))
                return None
        _note(claim, cell)
        if claim is not None and claim.holds is not None:
            listener.claim(claim)
    return None


def _minutes_of(about: Mapping, kind: str) -> int:
    minutes = about[kind]
    if not isinstance(minutes, int) or minutes < 0:
        raise ValueError(f"its minutes of {kind} are {minutes!r}")
    return minutes


def _note(claim: Claim | None, cell: nbformat.NotebookNode) -> None:
    """Take what a claim's cell says of it."""
    for output in cell.outputs if claim is not None else ():
        found = output.get("metadata", {}).get(METADATA, {})
        if found.get("claim") == claim.text:
            claim.holds, claim.evidence = found["holds"], found["evidence"]


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} seconds"


def _plain(text: str) -> str:
    """`text` without a terminal's colors."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _how(status: int | None) -> str:
    """What an exit status says of a kernel's end."""
    if status is None:
        return "or does not answer any more"
    if status >= 0:
        return f"with exit status {status}"
    name = signals.name(-status)
    often = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"killed by {name}{often}"


def _last_words(log: Path) -> str:
    lines = _plain(log.read_text(errors="replace")).strip().splitlines()
    own = [line for line in lines if line.strip() and "[IPKernelApp]" not in line]  # which warns at every start
    return f"; its last words: {own[-1]}" if own else ""


def _files(folder: Path) -> list[str]:
    """Files left in `folder`, but for the empty locks by which distributed finds the scratch folders of the dead."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [
        f"the file {path.relative_to(folder)}"
        for path in found
        if path.suffix not in (".lock", ".dirlock") or path.stat().st_size
    ]
