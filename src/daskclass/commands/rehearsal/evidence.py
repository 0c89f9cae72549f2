"""What did a release of Dask do to each claim? Evidence is a file a release, which `tools/drift.py` writes.

A claim is known by its lab and its cell, so that its sentence may be reworded. Numbers stand apart from answers,
because they differ from run to run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from daskclass.commands.rehearsal.outcome import Because, Claim, Outcome
from daskclass.errors import UsageProblem
from daskclass.labs import Lab

SCHEMA = 1

Answer = Literal["holds", "false", "could not be asked"]

_UNREADABLE = (AttributeError, KeyError, RecursionError, TypeError, ValueError)


class Control(NamedTuple):
    """What became of a claim when its cause was taken away: whether it held, and its numbers; None if it has none."""

    holds: bool | None
    numbers: Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A claim and what a release answered.

    Attributes
    ----------
    says : str
        Its sentence at that time.
    answer : str
        ``holds``, ``false`` or ``could not be asked``.
    held : tuple of bool
        Whether it held each time it was asked, if the first time it did not. The answer is that of most.
    because : str or None
        Why it could not be asked; see `outcome.Claim`.
    blocked_by : str or None
        The id of the cell that failed.
    why : str or None
        The same in a sentence.
    numbers : mapping
        The numbers behind the answer.
    controls : tuple of Control
        For a claim that did not hold.
    """

    says: str
    answer: Answer
    held: tuple[bool | None, ...] = ()
    because: str | None = None
    blocked_by: str | None = None
    why: str | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    controls: tuple[Control, ...] = ()

    @property
    def flaky(self) -> bool:
        """Whether it held at some times and not at others."""
        return len({held for held in self.held if held is not None}) > 1


@dataclass(frozen=True)
class LabRun:
    """A lab as it was asked: the SHA-256 of its code (`code_of`), the seconds it took, and its failed cells."""

    name: str
    sha256: str
    seconds: float
    failures: tuple[tuple[str, Because, str], ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What a release did.

    Attributes
    ----------
    release : str
        Of Dask, such as ``2026.8.0``.
    asked : str
        The day in ISO 8601.
    seconds : float
    size : str
    python : str
    machine : mapping
        ``system``, ``cores``, ``memory`` in bytes.
    versions : mapping
        Of every package, by name.
    labs : mapping of LabRun
        By number.
    claims : mapping of Asked
        By lab and cell, such as ``02/claim-exact``, in the order of the labs.
    failed : str or None
        Why nothing could be asked, such as a release that can't be installed.
    upstream : mapping of str
        For each page of docs/upstream, whether its fault happens.
    """

    release: str
    asked: str
    seconds: float
    size: str
    python: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    labs: Mapping[str, LabRun]
    claims: Mapping[str, Asked]
    failed: str | None = None
    upstream: Mapping[str, str] = field(default_factory=dict)


def name(lab: str, claim: Claim) -> str:
    """How evidence calls a claim."""
    return f"{lab[:2]}/{claim.cell}"


def code_of(lab: Lab) -> str:
    """The SHA-256 of a notebook's code, so that rewording a text doesn't make evidence look old."""
    return hashlib.sha256("\n\n".join(f"# {cell}\n{source}" for cell, source in lab.cells.items()).encode()).hexdigest()


def as_json(evidence: Evidence) -> str:
    """The evidence as a file: a line a claim, answers first, then the numbers."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    def block(values: Mapping[str, Any]) -> str:
        return "{\n" + ",\n".join(f"  {line(key)}: {line(value)}" for key, value in values.items()) + "\n }"

    answers, numbers = {}, {}
    for key, asked in evidence.claims.items():
        answers[key] = {
            "answer": asked.answer,
            **({"held": list(asked.held)} if asked.held else {}),
            **({"because": asked.because, "blocked_by": asked.blocked_by, "why": asked.why} if asked.why else {}),
            "says": asked.says,
        }
        if asked.numbers or asked.controls:
            numbers[key] = {
                **({"numbers": asked.numbers} if asked.numbers else {}),
                **({"without": [one._asdict() for one in asked.controls]} if asked.controls else {}),
            }
    labs = {key: {**asdict(lab), "seconds": round(lab.seconds, 1)} for key, lab in evidence.labs.items()}
    head = {
        "schema": SCHEMA,
        "release": evidence.release,
        "asked": evidence.asked,
        "seconds": round(evidence.seconds),
        "size": evidence.size,
        "python": evidence.python,
        "machine": dict(evidence.machine),
        "failed": evidence.failed,
    }
    parts = [f" {line(key)}: {line(value)}" for key, value in head.items()]
    blocks: dict[str, Mapping[str, Any]] = {
        "versions": evidence.versions,
        "labs": labs,
        "upstream": evidence.upstream,
        "claims": answers,
        "numbers": numbers,
    }
    for key, values in blocks.items():
        parts.append(f" {line(key)}: {block(values) if values else '{}'}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def read(path: Path) -> Evidence:
    """Read a file of evidence.

    Raises
    ------
    UsageProblem
        If it can't be read, or isn't evidence.
    """
    try:
        return _understood(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageProblem(f"can't read {path} ({error.strerror}); use a file of docs/evidence") from error
    except _UNREADABLE as error:
        wrong = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UsageProblem(f"{path} isn't evidence of a release ({wrong}); use a file of docs/evidence") from error


def _understood(found: Mapping[str, Any]) -> Evidence:
    if found["schema"] != SCHEMA:
        raise ValueError(f"its schema is {found['schema']!r}, and this reads {SCHEMA}")
    claims = {}
    for key, told in found["claims"].items():
        if told["answer"] not in get_args(Answer):
            raise ValueError(f"{told['answer']!r} is not an answer")
        behind = found["numbers"].get(key, {})
        claims[key] = Asked(
            told["says"],
            told["answer"],
            tuple(told.get("held", ())),
            told.get("because"),
            told.get("blocked_by"),
            told.get("why"),
            behind.get("numbers", {}),
            tuple(Control(one["holds"], one["numbers"]) for one in behind.get("without", ())),
        )
    labs = {
        key: LabRun(lab["name"], lab["sha256"], lab["seconds"], tuple(tuple(one) for one in lab["failures"]))
        for key, lab in found["labs"].items()
    }
    rest = ("release", "asked", "seconds", "size", "python", "machine", "versions", "failed", "upstream")
    return Evidence(**{name: found[name] for name in rest}, labs=labs, claims=claims)


class Difference(NamedTuple):
    """A claim that has another answer."""

    claim: str
    says: str
    published: str
    here: str

    def __str__(self) -> str:
        return f"{self.claim}: {self.published} there, {self.here} here: {self.says}"


def differences(published: Evidence, labs: Iterable[Outcome]) -> list[Difference]:
    """In which claims do these labs differ from what was published? Claims that only one of the two has count, too."""
    found = []
    for outcome in labs:
        here_now = {name(outcome.lab, claim) for claim in outcome.claims}
        for claim in outcome.claims:
            key = name(outcome.lab, claim)
            there = published.claims.get(key)
            before = "not asked" if there is None else there.answer
            if before != (here := answer(claim)):
                found.append(Difference(key, claim.text, before, here))
        for key, asked in published.claims.items():
            if key[:2] == outcome.lab[:2] and key not in here_now:
                found.append(Difference(key, asked.says, asked.answer, "not in this class"))
    return found


def answer(claim: Claim) -> Answer:
    """The answer of one run."""
    return "could not be asked" if claim.holds is None else "holds" if claim.holds else "false"
