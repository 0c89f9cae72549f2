"""Makes the page of the drift report: which claim of the class holds in which release of Dask.

`tools/drift.py page` calls this. Everything on the page comes from docs/evidence: a file a release, and changes.toml,
which says what upstream change explains a difference, where somebody has found and read one.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from packaging.version import InvalidVersion, Version

from daskclass import labs
from daskclass.commands.rehearsal import evidence
from daskclass.commands.rehearsal.evidence import Asked, Evidence
from daskclass.commands.rehearsal.pages import said
from daskclass.errors import UsageProblem
from daskclass.system.files import written

ROOT = Path(__file__).resolve().parents[1]
OLD = 30  # days
SHOWN = ("pandas", "numpy", "pyarrow", "bokeh")  # packages that decide much beside Dask
MARKS = {"holds": "✔", "false": "✘", "could not be asked": "?"}
FAMILY = re.compile(r"dask-(.+)\.json")


@dataclass(frozen=True)
class Change:
    """An upstream change that explains why claims have another answer from a release on.

    Attributes
    ----------
    since : str
        The first release that has it.
    claims : tuple of str
        By lab and cell.
    pull : str
        Such as ``dask/distributed#8675``.
    says : str
        What it changed, in a sentence or two.
    """

    since: str
    claims: tuple[str, ...]
    pull: str
    says: str

    @property
    def address(self) -> str:
        """Of the pull request."""
        repository, _, number = self.pull.partition("#")
        return f"https://github.com/{repository}/pull/{number}"


@dataclass(frozen=True)
class Column:
    """Neighboring releases that answer every claim alike, oldest first."""

    releases: tuple[Evidence, ...]

    @property
    def newest(self) -> Evidence:
        """The newest of them."""
        return self.releases[-1]

    @property
    def name(self) -> str:
        """Such as ``2025.1.0 to 2025.3.1``."""
        first, last = self.releases[0].release, self.releases[-1].release
        return first if first == last else f"{first} to {last}"


@dataclass(frozen=True)
class Span:
    """Neighboring columns that answer one claim alike, the release that its numbers are from, and whether today's lab
    has the code that measured them."""

    asked: Asked | None
    first: str
    last: str
    measured: str
    same_code: bool = True

    @property
    def name(self) -> str:
        """Such as ``2025.1.0 to 2025.3.1``."""
        return self.first if self.first == self.last else f"{self.first} to {self.last}"


@dataclass(frozen=True)
class Row:
    """A claim against all columns."""

    key: str
    says: str
    code: str
    answers: tuple[Asked | None, ...]
    spans: tuple[Span, ...]
    changes: tuple[Change, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether two releases answer it differently."""
        return len({asked.answer for asked in self.answers if asked is not None}) > 1

    @property
    def told(self) -> bool:
        """Whether there is more to say than that it holds everywhere."""
        return any(asked is not None and (asked.answer != "holds" or asked.flaky) for asked in self.answers)


@dataclass(frozen=True)
class Step:
    """What somebody who upgrades from one column to the next should know."""

    older: str
    newer: str
    broke: tuple[Row, ...]
    gained: tuple[Row, ...]
    lost_sight: tuple[Row, ...]
    got_sight: tuple[Row, ...]
    flaky: tuple[Row, ...]
    not_both: tuple[Row, ...]


@dataclass(frozen=True)
class Report:
    """Everything that the page shows."""

    releases: tuple[Evidence, ...]
    columns: tuple[Column, ...]
    rows: Mapping[str, tuple[Row, ...]]
    titles: Mapping[str, str]
    today: datetime.date
    steps: tuple[Step, ...] = field(default=())

    @cached_property
    def all_rows(self) -> tuple[Row, ...]:
        """The rows of all labs."""
        return tuple(row for rows in self.rows.values() for row in rows)

    @cached_property
    def days(self) -> tuple[datetime.date, ...]:
        """The days on which releases were asked, the first one first. One that couldn't be asked doesn't count."""
        good = [one for one in self.releases if not one.failed]
        return tuple(sorted(datetime.date.fromisoformat(one.asked) for one in good or self.releases))

    @property
    def asked(self) -> datetime.date:
        """The day on which a release was last asked."""
        return self.days[-1]

    @property
    def age(self) -> int:
        """Days since then."""
        return (self.today - self.asked).days


def read_all(folder: Path) -> tuple[Evidence, ...]:
    """The evidence of every release in `folder`, oldest first.

    Raises
    ------
    UsageProblem
        If there is none, or a file isn't evidence.
    """
    found = []
    for path in sorted(folder.glob("dask-*.json")):
        name = FAMILY.fullmatch(path.name)
        one = evidence.read(path)
        try:
            Version(one.release)
        except InvalidVersion:
            raise UsageProblem(f"{path} is about {one.release!r}, which isn't a release") from None
        if name is None or name[1] != one.release:
            raise UsageProblem(f"{path} is about Dask {one.release}, so it should be dask-{one.release}.json")
        found.append(one)
    if not found:
        raise UsageProblem(f"{folder} has no evidence; make some with `make drift`")
    return tuple(sorted(found, key=lambda one: Version(one.release)))


def read_changes(path: Path) -> tuple[Change, ...]:
    """The upstream changes that explain differences; none if there is no such file.

    Raises
    ------
    UsageProblem
        If it isn't a list of changes.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))["change"]
        return tuple(Change(**{**one, "claims": tuple(one["claims"])}) for one in told)
    except FileNotFoundError:
        return ()
    except (KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise UsageProblem(f"{path} isn't a list of changes ({type(error).__name__}: {error})") from error


def answers_alike(one: Evidence, other: Evidence) -> bool:
    """Whether two releases could be asked and answer every claim alike."""
    if one.failed or other.failed or one.claims.keys() != other.claims.keys():
        return False
    return all(
        (asked.answer, asked.flaky) == (other.claims[key].answer, other.claims[key].flaky)
        for key, asked in one.claims.items()
    )


def merged(releases: tuple[Evidence, ...]) -> tuple[Column, ...]:
    """Columns: neighbors that answer alike are one."""
    columns: list[list[Evidence]] = []
    for one in releases:
        if columns and answers_alike(columns[-1][-1], one):
            columns[-1].append(one)
        else:
            columns.append([one])
    return tuple(Column(tuple(column)) for column in columns)


def row(
    key: str,
    says: str,
    code: str,
    columns: tuple[Column, ...],
    changes: tuple[Change, ...],
    sha256: str | None = None,
) -> Row:
    """A claim against the columns. `sha256` is of its lab's code today."""
    answers = tuple(column.newest.claims.get(key) for column in columns)
    spans: list[Span] = []
    for _answer, group in groupby(
        zip(columns, answers, strict=True), key=lambda pair: pair[1] and (pair[1].answer, pair[1].flaky)
    ):
        members = list(group)
        # The numbers on both sides of a change should be those nearest to it.
        near = members[0][0].releases[0] if spans else members[-1][0].newest
        first, last = members[0][0].releases[0].release, members[-1][0].newest.release
        lab = near.labs.get(key[:2])
        same = sha256 is None or lab is None or lab.sha256 == sha256
        spans.append(Span(near.claims.get(key), first, last, near.release, same))
    return Row(key, says, code, answers, tuple(spans), tuple(one for one in changes if key in one.claims))


def step(older: Column, newer: Column, rows: tuple[Row, ...]) -> Step:
    """What changes between two columns."""

    pairs = [(one, older.newest.claims.get(one.key), newer.newest.claims.get(one.key)) for one in rows]
    both = [(one, there, here) for one, there, here in pairs if there is not None and here is not None]

    def went(before: str, after: str) -> tuple[Row, ...]:
        return tuple(
            one
            for one, there, here in both
            if (there.answer, here.answer) == (before, after) and not there.flaky and not here.flaky
        )

    unasked = "could not be asked"
    return Step(
        older.newest.release,
        newer.releases[0].release,
        broke=went("holds", "false"),
        gained=went("false", "holds"),
        lost_sight=went("holds", unasked) + went("false", unasked),
        got_sight=went(unasked, "holds") + went(unasked, "false"),
        flaky=tuple(
            one
            for one, there, here in both
            if (there.answer, there.flaky) != (here.answer, here.flaky) and (there.flaky or here.flaky)
        ),
        not_both=tuple(one for one, there, here in pairs if (there is None) != (here is None)),
    )


def report(folder: Path, today: datetime.date) -> Report:
    """What there is to show."""
    releases, changes = read_all(folder), read_changes(folder / "changes.toml")
    columns = merged(releases)
    rows, titles = {}, {}
    for lab in labs.on_one_machine(labs.find(ROOT)):
        titles[lab.number] = lab.title
        code = evidence.code_of(lab)
        rows[lab.number] = tuple(
            row(f"{lab.number}/{cell}", text, lab.cells[cell], columns, changes, code)
            for cell, text, _core in lab.claims
        )
    flat = tuple(one for some in rows.values() for one in some)
    asked = [column for column in columns if not column.newest.failed]
    steps = tuple(step(older, newer, flat) for older, newer in pairwise(asked))
    return Report(releases, columns, rows, titles, today, steps)


def ours(one: Evidence) -> int:
    """How many claims could not be asked because of an instrument of ours."""
    count = 0
    for key, asked in one.claims.items():
        failures = {cell: because for cell, because, _error in one.labs[key[:2]].failures}
        count += asked.answer == "could not be asked" and failures.get(asked.blocked_by or "") == "instrument"
    return count


def counts(one: Evidence) -> dict[str, int]:
    """How many claims have each answer, how many are flaky, and how many our instruments couldn't ask."""
    answers = [asked.answer for asked in one.claims.values()]
    return {answer: answers.count(answer) for answer in MARKS} | {
        "flaky": sum(asked.flaky for asked in one.claims.values()),
        "ours": ours(one),
    }


def coded(text: str) -> Markup:
    """`text` with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def page(told: Report) -> str:
    """The page."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "said": said,
        "coded": coded,
        "mark": MARKS.__getitem__,
        "anchor": lambda key: key.replace("/", "-"),
    }
    compared: dict[str, Any] = {
        "releases": [one.release for one in told.releases if not one.failed],
        "claims": [
            {
                "says": one.says,
                "lab": one.key[:2],
                "anchor": one.key.replace("/", "-"),
                "because": ", ".join(dict.fromkeys(change.pull for change in one.changes)),
                "answers": {
                    release.release: "flaky" if release.claims[one.key].flaky else release.claims[one.key].answer
                    for release in told.releases
                    if one.key in release.claims
                },
            }
            for one in told.all_rows
        ],
    }
    return templates.get_template("drift.html.j2").render(
        told=told, compared=compared, counts=counts, shown=SHOWN, old=OLD, marks=MARKS
    )


def write(folder: Path, out: Path, today: datetime.date | None = None) -> None:
    """Make the page of the evidence in `folder`."""
    text = page(report(folder, today or datetime.date.today()))
    out.parent.mkdir(parents=True, exist_ok=True)
    with written(out) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
