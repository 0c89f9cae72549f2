"""Compares two rehearsals: which claims changed between them, which labs, and which versions.

    python tools/changed_claims.py base/report.json newest/report.json [--markdown]

The exit status is 0 if every lab and every claim came out the same, 1 if one changed, and 2 if a file is no report.
Versions alone are no change: they are the reason to compare.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HOLDS = {True: "true", False: "false", None: "not reached"}
_ABSENT = "not in the report"


class NoReport(Exception):
    """A file isn't what ``daskclass rehearse`` writes."""


@dataclass(frozen=True)
class Report:
    """What two rehearsals have to agree on.

    Attributes
    ----------
    versions : dict of str
        Of Python and of packages, by name.
    labs : dict of str
        The status of each lab, by its name.
    errors : dict of str
        What went wrong in labs that didn't pass, in a sentence. It can contain numbers, so it is shown, not compared.
    claims : dict of str
        ``true``, ``false`` or ``not reached``, by lab and text.
    """

    versions: dict[str, str]
    labs: dict[str, str]
    errors: dict[str, str]
    claims: dict[tuple[str, str], str]


@dataclass(frozen=True)
class Change:
    """One thing that came out differently."""

    what: str
    old: str
    new: str


def read(path: Path) -> Report:
    """A rehearsal's ``report.json``.

    Raises
    ------
    NoReport
        If it can't be read, or is something else.
    """
    try:
        return _understood(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise NoReport(f"{path} cannot be read ({error.strerror})") from error
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        wrong = f"{type(error).__name__}: {error}".splitlines()[0]
        raise NoReport(f"{path} is no report.json of daskclass rehearse ({wrong})") from error


def _understood(found: Mapping[str, Any]) -> Report:
    labs: dict[str, str] = {}
    errors: dict[str, str] = {}
    claims: dict[tuple[str, str], str] = {}
    for lab in found["labs"]:
        name = _text(lab["lab"])
        if name in labs:
            raise ValueError(f"{name} is there twice")
        labs[name] = _text(lab["status"])
        if lab["error"] is not None:
            errors[name] = _text(lab["error"])
        claims |= _claims(name, lab["claims"])
    if not labs:
        raise ValueError("there are no labs in it")
    versions = {_text(package): _text(version) for package, version in found["versions"].items()}
    return Report(versions, labs, errors, claims)


def _claims(lab: str, found: list[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """A lab's claims. One that a loop states several times is as true as its worst time."""
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
        raise TypeError(f"{value!r} should be text")
    return value


def differences(old: Mapping[Any, str], new: Mapping[Any, str]) -> list[tuple[Any, str, str]]:
    """Keys whose values differ, in the order of `old`, then those that are in `new` alone."""
    keys = [*old, *(key for key in new if key not in old)]
    pairs = [(key, old.get(key, _ABSENT), new.get(key, _ABSENT)) for key in keys]
    return [(key, before, after) for key, before, after in pairs if before != after]


def changed(old: Report, new: Report) -> list[Change]:
    """Claims and labs that came out differently, claims first."""
    claims = [Change(f"{lab}: {text}", *values) for (lab, text), *values in differences(old.claims, new.claims)]
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
    """Text on one line in which nothing is Markdown, HTML or the name of a person to notify."""
    escaped = re.sub(r"[\\`*_\[\]<>#|~&]", r"\\\g<0>", text)
    return " ".join(escaped.replace("@", "@\N{ZERO WIDTH SPACE}").split())  # no backslash stops a mention


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path, help="report.json of the first rehearsal")
    parser.add_argument("new", type=Path, help="report.json of the second one")
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
