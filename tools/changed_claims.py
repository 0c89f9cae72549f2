"""Compares two rehearsals, or the evidence of two releases: which claims changed, which labs, and which versions.

    python tools/changed_claims.py base/report.json newest/report.json [--markdown]
    python tools/changed_claims.py docs/evidence build/evidence [--markdown]

Of a folder of evidence, it takes the newest release. In a rehearsal, a claim is known by its sentence; in evidence, by
its cell. What was flaky in one of two evidences doesn't count as changed.

The exit status is 0 if every lab and every claim has the same result, 1 if one changed, and 2 if a file is neither.
New versions alone don't count as a change: they are the reason to compare.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from daskclass.commands.rehearsal import evidence
from daskclass.errors import UsageProblem

_HOLDS = {True: "true", False: "false", None: "not reached"}
_ABSENT = "not in the report"


class NoReport(Exception):
    """A file isn't what ``daskclass rehearse`` or ``tools/drift.py`` writes."""


@dataclass(frozen=True)
class Report:
    """The parts of a rehearsal that we compare.

    Attributes
    ----------
    versions : dict of str
        Versions of Python and of packages, by name.
    labs : dict of str
        The status of each lab, by its name.
    errors : dict of str
        Errors of labs that didn't pass. They can contain numbers, so we show them, but don't compare them.
    claims : dict of str
        ``true``, ``false`` or ``not reached``, by lab and text; in evidence, the answer by lab and cell.
    says : dict of str
        The sentence of a claim in evidence.
    flaky : frozenset
        The claims whose answer was not always the same.
    """

    versions: dict[str, str]
    labs: dict[str, str]
    errors: dict[str, str]
    claims: dict[tuple[str, str], str]
    says: dict[tuple[str, str], str] = field(default_factory=dict)
    flaky: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Change:
    """One result that changed."""

    what: str
    old: str
    new: str


def read(path: Path) -> Report:
    """Read a rehearsal's ``report.json``, a file of evidence, or the newest one in a folder.

    Raises
    ------
    NoReport
        If it can't be read, or isn't a report.
    """
    try:
        if path.is_dir():
            path = _newest(path)
        found = json.loads(path.read_text(encoding="utf-8"))
        return _evidence(path) if "schema" in found else _understood(found)
    except UsageProblem as problem:
        raise NoReport(str(problem)) from problem
    except OSError as error:
        raise NoReport(f"can't read {path} ({error.strerror})") from error
    except (AttributeError, InvalidVersion, KeyError, RecursionError, TypeError, ValueError) as error:
        wrong = f"{type(error).__name__}: {error}".splitlines()[0]
        raise NoReport(f"{path} isn't a report.json of daskclass rehearse or evidence ({wrong})") from error


def _newest(folder: Path) -> Path:
    """The evidence of the newest release in `folder`."""
    files = {Version(path.stem.removeprefix("dask-")): path for path in folder.glob("dask-*.json")}
    if not files:
        raise NoReport(f"{folder} has no evidence; make some with `make drift`")
    return files[max(files)]


def _evidence(path: Path) -> Report:
    told = evidence.read(path)
    if told.failed:
        raise NoReport(f"Dask {told.release}: {told.failed}")

    def key(name: str) -> tuple[str, str]:
        return told.labs[name[:2]].name, name[3:]

    return Report(
        versions={"python": told.python, **told.versions},
        labs={lab.name: "asked" for lab in told.labs.values()},
        errors={},
        claims={key(name): asked.answer for name, asked in told.claims.items()},
        says={key(name): asked.says for name, asked in told.claims.items()},
        flaky=frozenset(key(name) for name, asked in told.claims.items() if asked.flaky),
    )


def _understood(found: Mapping[str, Any]) -> Report:
    labs: dict[str, str] = {}
    errors: dict[str, str] = {}
    claims: dict[tuple[str, str], str] = {}
    for lab in found["labs"]:
        name = _text(lab["lab"])
        if name in labs:
            raise ValueError(f"{name} appears twice")
        labs[name] = _text(lab["status"])
        if lab["error"] is not None:
            errors[name] = _text(lab["error"])
        claims |= _claims(name, lab["claims"])
    if not labs:
        raise ValueError("it contains no labs")
    versions = {_text(package): _text(version) for package, version in found["versions"].items()}
    return Report(versions, labs, errors, claims)


def _claims(lab: str, found: list[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """A lab's claims. If a loop makes a claim several times, its worst result counts."""
    worst = (False, None, True)
    claims: dict[tuple[str, str], bool | None] = {}
    for claim in found:
        key, holds = (lab, _text(claim["text"])), claim["holds"]
        if holds not in worst or not isinstance(holds, bool | None):
            raise ValueError(f"{holds!r} is not true, false or null")
        claims[key] = min(claims.get(key, True), holds, key=worst.index)
    return {key: _HOLDS[holds] for key, holds in claims.items()}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} should be a string")
    return value


def differences(old: Mapping[Any, str], new: Mapping[Any, str]) -> list[tuple[Any, str, str]]:
    """Keys whose values differ, in the order of `old`, then keys that are only in `new`."""
    keys = [*old, *(key for key in new if key not in old)]
    pairs = [(key, old.get(key, _ABSENT), new.get(key, _ABSENT)) for key in keys]
    return [(key, before, after) for key, before, after in pairs if before != after]


def changed(old: Report, new: Report) -> list[Change]:
    """Claims and labs whose results changed, claims first."""
    says, flaky = {**old.says, **new.says}, old.flaky | new.flaky
    claims = [
        Change(f"{key[0]}: {says.get(key, key[1])}", *values)
        for key, *values in differences(old.claims, new.claims)
        if key not in flaky
    ]
    labs = [
        Change(f"lab {lab}", f"{before}{_because(old, lab)}", f"{after}{_because(new, lab)}")
        for lab, before, after in differences(old.labs, new.labs)
    ]
    return claims + labs


def _because(report: Report, lab: str) -> str:
    return f" ({report.errors[lab]})" if lab in report.errors else ""


def versions(old: Report, new: Report) -> list[Change]:
    """Packages whose versions differ."""
    return [Change(name, *values) for name, *values in differences(old.versions, new.versions)]


def as_text(changes: list[Change], updated: list[Change]) -> str:
    """One line for each change, for a terminal."""
    lines = [f"{change.what}: {change.old} -> {change.new}" for change in changes] or ["no claim and no lab changed"]
    return "\n".join(lines + [f"{change.what} {change.old} -> {change.new}" for change in updated])


def as_markdown(changes: list[Change], updated: list[Change]) -> str:
    """The same as the body of an issue."""
    return "\n".join(
        [
            *("## What changed", "", *_bullets(changes, "No claim and no lab changed.")),
            *("", "## Versions", "", *_bullets(updated, "The versions are the same.")),
        ]
    )


def _bullets(changes: list[Change], none: str) -> list[str]:
    return [f"- {_plain(one.what)}: {_plain(one.old)} → {_plain(one.new)}" for one in changes] or [none]


def _plain(text: str) -> str:
    """Text on one line, escaped so that it contains no Markdown, HTML or mention of a user."""
    escaped = re.sub(r"[\\`*_\[\]<>#|~&]", r"\\\g<0>", text)
    return " ".join(escaped.replace("@", "@\N{ZERO WIDTH SPACE}").split())  # a backslash doesn't stop a mention


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path, help="report.json of the first rehearsal, or evidence")
    parser.add_argument("new", type=Path, help="the same of the second one")
    parser.add_argument("--markdown", action="store_true", help="write the body of an issue")
    asked = parser.parse_args()
    try:
        old, new = read(asked.old), read(asked.new)
    except NoReport as error:
        print(error, file=sys.stderr)
        return 2
    changes, updated = changed(old, new), versions(old, new)
    sys.stdout.reconfigure(encoding="utf-8")
    print((as_markdown if asked.markdown else as_text)(changes, updated))
    return int(bool(changes))


if __name__ == "__main__":
    sys.exit(main())
