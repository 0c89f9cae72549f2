"""How did a lab go, and how did all labs go? The results of a rehearsal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import nbformat


@dataclass
class Claim:
    """A claim of a lab and its measurement.

    Attributes
    ----------
    text : str
    core : bool
        Whether it comes before the heading *Going further*.
    holds : bool or None
        None if it wasn't measured.
    evidence : dict
        The numbers behind it.
    cell : str
        The id of its cell.
    because : str or None
        Why it wasn't measured, or why its result doesn't count: ``name``, ``instrument`` (its own cell failed; see
        `Failure`), ``cell`` (it, or one that it needs, failed otherwise), or ``stopped`` (the lab).
    blocked_by : str or None
        The id of the cell that failed.
    why : str or None
        The same in a sentence.
    """

    text: str
    core: bool
    holds: bool | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    cell: str = ""
    because: Literal["name", "instrument", "cell", "stopped"] | None = None
    blocked_by: str | None = None
    why: str | None = None


Because = Literal["name", "instrument", "error"]
"""Why a cell failed: it uses a name that isn't there, an instrument of the class can't see, or something else."""


@dataclass(frozen=True)
class Failure:
    """A cell that failed for another reason than a false claim.

    Attributes
    ----------
    cell : str
        Its id.
    because : str
        ``name``, ``instrument`` or ``error``.
    error : str
        What it raised, in a sentence.
    line : int or None
        The line of the cell in which it failed, if that is known.
    """

    cell: str
    because: Because
    error: str
    line: int | None = None


@dataclass
class Outcome:
    """How a lab went.

    Attributes
    ----------
    lab : str
        Its name, such as ``02-pandas-vs-dask``.
    status : str
        ``passed`` if it ran to the end and all claims hold; ``timed out``; else ``failed``.
    seconds : float
    minutes_planned : int
        Minutes of teaching and exercises together, from the notebook's metadata.
    peak_bytes : int
        The most memory that its kernel and everything it started held at the same time.
    error : str or None
        What went wrong, in a sentence.
    claims : list of Claim
    left_behind : list of str
        Processes and files that remained after the kernel's end. The rehearsal stopped and removed them.
    notebook : nbformat.NotebookNode or None
        The executed notebook; None if it couldn't be read.
    failures : list of Failure
        The cells that failed. There are several only if the rehearsal went on after the first one.
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
    failures: list[Failure] = field(default_factory=list)

    def fail(self, error: str, status: Literal["failed", "timed out"] = "failed") -> None:
        """Record an error. Only the first one counts."""
        if self.error is None:
            self.status, self.error = status, error


@dataclass
class Rehearsal:
    """How the labs went on one machine at one size.

    Attributes
    ----------
    size : str
    cluster : str
        The cluster that the labs ran on, in words.
    versions : dict of str
        Versions of Python and of the packages that matter.
    machine : dict
        ``system``, ``cores``, ``memory`` in bytes.
    data : dict
        ``rows`` and ``bytes`` of the CSV.
    started : str
        Local time in ISO 8601, with its offset.
    seconds : float
    labs : list of Outcome
    differences : list of str or None
        In which claims it differs from published evidence; None if it wasn't compared with any.
    """

    size: str
    cluster: str
    versions: dict[str, str]
    machine: dict[str, Any]
    data: dict[str, int]
    started: str
    seconds: float = 0.0
    labs: list[Outcome] = field(default_factory=list)
    differences: list[str] | None = None

    @property
    def passed(self) -> bool:
        """Whether every lab ran to the end and every claim holds."""
        return all(lab.status == "passed" for lab in self.labs)
