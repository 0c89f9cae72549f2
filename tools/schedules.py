"""Writes the instructor's schedules into docs/instructors-guide.md, from the labs' minutes.

    python tools/schedules.py [--check]

With --check, it writes nothing, and the exit status is 1 if the guide's schedules don't match the labs.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Mapping
from pathlib import Path

from daskclass import labs

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "instructors-guide.md"

# Labs by number, and breaks with their minutes. "14/2" means the first half of its teaching.
PLANS: dict[str, tuple[str, list[str | tuple[str, int]]]] = {
    "one day": (
        "09:00",
        [
            *("00", "02", ("Pause", 15), "03", "04", ("Pause", 10), "05", "07", ("Lunch", 60)),
            *("08", "09", ("Pause", 15), "10", "11", "12", ("Pause", 10), "13", "14", ("Questions", 20)),
        ],
    ),
    "first half day": ("09:00", ["00", "02", ("Pause", 10), "03", "04", ("Pause", 10), "05", "07", ("Questions", 15)]),
    "second half day": (
        "09:00",
        ["08", "09", ("Pause", 10), "10", "11", "12", ("Pause", 10), "13", "14", ("Questions", 15)],
    ),
    "taster": ("09:00", ["00", "02", "10", "12", "14/2", ("Questions", 5)]),
    "administrators": (
        "09:00",
        ["00", "03", "04", ("Pause", 15), "05", "06", ("Pause", 15), "08", "10", "12", "13", ("Questions", 15)],
    ),
}


def numbered() -> dict[str, labs.Lab]:
    """The labs by their numbers."""
    return {lab.number: lab for lab in labs.find(ROOT)}


def table(start: str, plan: list[str | tuple[str, int]], known: Mapping[str, labs.Lab]) -> str:
    """A schedule as a table, with its end and the share of the participants' own work."""
    clock = datetime.datetime.strptime(start, "%H:%M")
    lines, taught, own = ["| from | what | teaching | exercises |", "|---|---|---|---|"], 0, 0
    for item in plan:
        if isinstance(item, tuple):
            what, teaching, exercises = item[0], item[1], 0
            lines.append(f"| {clock:%H:%M} | *{what}* | {teaching} | |")
        else:
            number, _, half = item.partition("/")
            title, (teaching, exercises) = known[number].title, known[number].minutes
            if half:
                title, teaching, exercises = f"{title}, the first half, shown by you", teaching // int(half), 0
            lines.append(f"| {clock:%H:%M} | {number} {title} | {teaching} | {exercises or ''} |")
            taught, own = taught + teaching, own + exercises
        clock += datetime.timedelta(minutes=teaching + exercises)
    lines += [f"| {clock:%H:%M} | *End* | | |", ""]
    lines.append(f"{taught + own} minutes of class, {own / (taught + own):.0%} of them the room's own work.")
    return "\n".join(lines)


def filled(text: str) -> str:
    """The guide's text with schedules that match the labs."""
    known = numbered()
    for name, (start, plan) in PLANS.items():
        begin, end = f"<!-- schedule: {name} -->", "<!-- end -->"
        if text.count(begin) != 1:
            raise SystemExit(
                f"{GUIDE.name} has {text.count(begin)} places for the schedule {name!r}, but should have one"
            )
        before, _, rest = text.partition(begin)
        after = rest.partition(end)[2]
        text = f"{before}{begin}\n\n{table(start, plan, known)}\n\n{end}{after}"
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    text = GUIDE.read_text(encoding="utf-8")
    right = filled(text)
    if asked.check:
        if text != right:
            print(f"{GUIDE.name}: its schedules don't match the labs; run python tools/schedules.py", file=sys.stderr)
        return int(text != right)
    GUIDE.write_text(right, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
