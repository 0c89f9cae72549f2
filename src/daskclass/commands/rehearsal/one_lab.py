"""How does one lab go? Runs it in its own kernel, and returns whatever happens in there."""

from __future__ import annotations

import contextlib
import copy
import logging
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from daskclass.commands import jupyter_internals
from daskclass.commands.rehearsal import answers
from daskclass.commands.rehearsal.family import MARK, Family
from daskclass.commands.rehearsal.outcome import Claim, Failure, Outcome
from daskclass.errors import Problem
from daskclass.labs import METADATA, Lab
from daskclass.system import signals

_START_SECONDS = 120
_OUTPUT_SECONDS = 60  # how late a cell's last output may arrive on a busy machine
_LEAST_SECONDS = 0.001  # to nbclient, zero means no limit


class Listener(Protocol):
    """Receives a lab's progress."""

    def cell(self, name: str, number: int, of: int, family: Family) -> None:
        """The cell `name` starts. It is number `number` of `of`."""

    def claim(self, claim: Claim) -> None:
        """The lab measured a claim."""


def run(
    lab: Lab,
    environment: Mapping[str, str],
    seconds: float | None,
    listener: Listener,
    keep_going: bool = False,
) -> Outcome:
    """Run all cells of `lab`, until a cell fails for another reason than a false claim.

    Parameters
    ----------
    lab : Lab
    environment : mapping
        The kernel's environment variables.
    seconds : float or None
        Time limit; None for the minutes planned for the lab.
    listener : Listener
    keep_going : bool
        Whether to run the other cells after one that raised an error. Then a claim counts only if nothing that it needs
        comes from a cell that failed; see `answers`.

    Returns
    -------
    Outcome
        Also if the lab can't be read, its kernel doesn't start or dies, or time runs out.
    """
    outcome = Outcome(lab.name)
    ended: str | None = None
    try:
        outcome.minutes_planned = lab.minutes.total
        with opened(lab, environment, outcome.minutes_planned * 60 if seconds is None else seconds, outcome) as kernel:
            for number, cell in enumerate(lab.cells, start=1):
                listener.cell(cell, number, len(lab.cells), kernel.family)
                try:
                    claim = kernel.run(cell).claim
                except Stopped as stopped:
                    if stopped.failure is not None:
                        outcome.failures.append(stopped.failure)
                    if stopped.failure is None or not keep_going:
                        raise
                    outcome.fail(str(stopped))
                    continue
                if claim is not None and claim.holds is not None:
                    listener.claim(claim)
    except Stopped as stopped:
        ended = str(stopped)
        outcome.fail(ended, stopped.status)
    except Problem as problem:
        outcome.fail(str(problem))
        return outcome
    answers.settle(lab, outcome, ended)
    for claim in outcome.claims:
        if claim.holds is None:
            outcome.fail(claim.why or f"it didn't measure: {claim.text}")
        elif not claim.holds:
            outcome.fail(f"this claim is false here: {claim.text}")
    return outcome


class Stopped(Exception):
    """A lab stopped: a cell failed, time ran out, or its kernel didn't start or died.

    Attributes
    ----------
    cell : str or None
        The cell in which it stopped; None if its kernel did not start.
    failure : Failure or None
        The error that the cell raised, if it raised one. Then the kernel can go on.
    status : str
        ``timed out`` or ``failed``.
    """

    def __init__(
        self,
        why: str,
        cell: str | None = None,
        failure: Failure | None = None,
        status: Literal["failed", "timed out"] = "failed",
    ) -> None:
        super().__init__(why)
        self.cell, self.failure, self.status = cell, failure, status


@dataclass(frozen=True)
class Ran:
    """The result of one cell.

    Attributes
    ----------
    outputs : list of nbformat.NotebookNode
    claim : Claim or None
        The claim that it measured, if it is a claim's cell.
    """

    outputs: list[nbformat.NotebookNode]
    claim: Claim | None


@dataclass
class Kernel:
    """A kernel that runs cells of one lab, in any order and any number of times.

    Attributes
    ----------
    lab : Lab
    family : Family
        The kernel and its descendants.
    ran : collections.Counter
        How often each unchanged cell ran to its end.
    """

    lab: Lab
    family: Family
    _client: NotebookClient
    _claims: Mapping[str, Claim]
    _log: Path
    _limit: float
    ran: Counter[str] = field(default_factory=Counter)

    def run(self, cell: str, source: str | None = None) -> Ran:
        """Run the cell `cell`, or `source` in place of it.

        Raises
        ------
        Stopped
            If it fails for another reason than a false claim, if time runs out, or if the kernel dies.
        """
        [(index, node)] = [(index, node) for index, node in enumerate(self._client.nb.cells) if node.id == cell]
        node.source = self.lab.cells[cell] if source is None else source
        try:
            self._client.execute_cell(node, index)
        except KeyboardInterrupt:
            # The pending work ends with the kernel, so nothing retrieves its result.
            logging.getLogger("asyncio").disabled = True
            raise
        except CellTimeoutError:
            jupyter_internals.interrupt(self._client)  # so that `finally` blocks run
            raise Stopped(
                f"it didn't finish within {_minutes(self._limit)}; it was in the cell `{cell}`",
                cell,
                status="timed out",
            ) from None
        except DeadKernelError:
            how = _how(jupyter_internals.exit_status(self._client))
            raise Stopped(f"its kernel died in the cell `{cell}`, {how}{_last_words(self._log)}", cell) from None
        except CellExecutionError as error:
            raise _stopped(cell, error.ename, error.evalue, node) from None
        claim = self._claims.get(cell)
        _note(claim, node)
        for output in node.outputs:
            if output.output_type == "error" and claim is None:  # a false claim in a cell that isn't a claim's
                raise _stopped(cell, output.ename, output.evalue, node)
        if source is None:
            self.ran[cell] += 1
        return Ran(node.outputs, claim)


def _stopped(cell: str, name: str, text: str, node: nbformat.NotebookNode) -> Stopped:
    message = _plain(text).strip().split("\n")[0]
    lines = [line for output in node.outputs if output.output_type == "error" for line in output.traceback]
    shown, error = _plain("\n".join(lines)), f"{name}: {message}".rstrip(": ")
    failure = Failure(cell, answers.because(name, message, shown, node.source), error, answers.line(shown))
    return Stopped(f"{name} in the cell `{cell}`: {message}".rstrip(": "), cell, failure)


@contextlib.contextmanager
def opened(lab: Lab, environment: Mapping[str, str], seconds: float, outcome: Outcome) -> Iterator[Kernel]:
    """A kernel for cells of `lab`. When the block ends, the kernel and all its descendants are gone.

    Parameters
    ----------
    lab : Lab
    environment : mapping
        The kernel's environment variables. The kernel also gets its own folder for temporary files.
    seconds : float
        Time limit of the block. A cell that still runs then is stopped.
    outcome : Outcome
        Receives the executed notebook, its time and memory, the measured claims, and what was left behind.

    Raises
    ------
    Stopped
        If the kernel doesn't start.
    """
    started = time.perf_counter()
    outcome.notebook = copy.deepcopy(lab.notebook)
    outcome.claims = outcome.claims or [Claim(text, core, cell=cell) for cell, text, core in lab.claims]
    claimed = {cell: claim for (cell, _text, _core), claim in zip(lab.claims, outcome.claims, strict=True)}
    family = Family()
    with tempfile.TemporaryDirectory(prefix="daskclass-rehearsal-", ignore_cleanup_errors=True) as name:
        log, scratch = Path(name) / "kernel.log", Path(name) / "tmp"
        scratch.mkdir()
        own = {variable: str(scratch) for variable in ("TMPDIR", "TEMP", "TMP")} | {MARK: family.mark}
        client = NotebookClient(
            outcome.notebook,
            resources={"metadata": {"path": str(lab.path.parent)}},
            startup_timeout=_START_SECONDS,
            iopub_timeout=_OUTPUT_SECONDS,
            store_widget_state=False,
            allow_error_names=["ClaimIsFalse"],
            timeout_func=lambda _cell: max(started + seconds - time.perf_counter(), _LEAST_SECONDS),
        )
        client.log.setLevel("CRITICAL")  # its log repeats the outcome
        try:
            with log.open("wb") as output, contextlib.ExitStack() as stack:
                try:
                    stack.enter_context(client.setup_kernel(env={**environment, **own}, stdout=output, stderr=output))
                except (RuntimeError, OSError, ValueError, KeyError) as error:  # a KeyError: there is no such kernel
                    raise Stopped(f"its kernel didn't start: {error}") from error
                stack.enter_context(family.watched(jupyter_internals.pid(client)))
                yield Kernel(lab, family, client, claimed, log, seconds)
        finally:
            outcome.left_behind += [*family.end(), *files(scratch)]
            outcome.peak_bytes = family.peak
            outcome.seconds = time.perf_counter() - started


def _note(claim: Claim | None, cell: nbformat.NotebookNode) -> None:
    """Read a claim's result from its cell."""
    if claim is None:
        return
    for output in cell.outputs:
        found = output.get("metadata", {}).get(METADATA, {})
        if found.get("claim") == claim.text:
            claim.holds, claim.evidence = found["holds"], found["evidence"]


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} seconds"


def _plain(text: str) -> str:
    """`text` without a terminal's colors."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _how(status: int | None) -> str:
    """How a kernel ended, judging by its exit status."""
    if status is None:
        return "or it no longer answers"
    if status >= 0:
        return f"with exit status {status}"
    name = signals.name(-status)
    often = ", which is how the system kills when memory runs out" if name == "SIGKILL" else ""
    return f"killed by {name}{often}"


def _last_words(log: Path) -> str:
    lines = _plain(log.read_text(errors="replace")).strip().splitlines()
    own = [line for line in lines if line.strip() and "[IPKernelApp]" not in line]  # IPKernelApp warns at every start
    return f"; its last output: {own[-1]}" if own else ""


def files(folder: Path) -> list[str]:
    """Files left in `folder`, except the empty locks by which distributed finds scratch folders of dead workers."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [
        f"the file {path.relative_to(folder)}"
        for path in found
        if path.suffix not in (".lock", ".dirlock") or path.stat().st_size
    ]
