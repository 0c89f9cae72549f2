"""Exercises of lab 08: which page answers which question, and what six clusters have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.sick_clusters import HEALTHY, SICKNESSES, Ward

PAGES = {
    "lost": ("events", "info", "workers"),
    "slow line": ("profile",),
    "busy scheduler": ("system", "profile-server"),
    "failed": ("exceptions",),
}
_ADVICE = {
    "lost": "a page about what happened, by subject",
    "slow line": "a page that knows lines of code, and your code, not the scheduler's",
    "busy scheduler": "a page about the scheduler itself",
    "failed": "a page that keeps tracebacks",
}


def _judge_page(answer: object) -> str:
    answer = _by_name(answer, PAGES, "questions")
    for question, right in PAGES.items():
        said = answer[question]
        if not isinstance(said, str):
            raise TryNext(f"The page for *{question}* should be text, such as `/events`.")
        if said.strip().strip("/") not in right:
            raise TryNext(f"For *{question}*, look in the table for {_ADVICE[question]}.")
    return "Four questions, four pages. Each of them has its answer by code, too, for a program that looks."


def _solve_page():
    return {"lost": "/events", "slow line": "/profile", "busy scheduler": "/system", "failed": "/exceptions"}


page = Exercise(
    variable="page",
    judge=_judge_page,
    solve=_solve_page,
    hints=(
        "The table above has a question for each page; one of them is about the scheduler's own CPU and memory.",
        "Two pages are called as what they show: `/events` and `/exceptions`.",
    ),
)

_SIGNS = {
    HEALTHY: "Its numbers are quite in order.",
    "skew": "Compare its longest task with the median, and look in which rows the long ones are.",
    "tiny tasks": "How many tasks does it have, and how long does each take?",
    "object shipped": "Look at the bytes that were sent for each task.",
    "memory tight": "Look at its memory, and at what went to disk.",
    "slow worker": "Compare its two rows with each other.",
}


def _judge_diagnosis(answer: object, ward: Ward) -> str:
    names = (*SICKNESSES, HEALTHY)
    answer = _by_name(answer, ward.names, "letters")
    said = {letter: name.strip().lower() if isinstance(name, str) else name for letter, name in answer.items()}
    for letter, name in said.items():
        if not isinstance(name, str) or name not in names:
            raise TryNext(f"`{_shown(name)}` for {letter} is none of {', '.join(names)}.")
    wrong = [letter for letter in ward.names if said[letter] != ward.names[letter]]
    if wrong:
        first = wrong[0]
        right = len(ward.names) - len(wrong)
        raise TryNext(f"{right} of {len(ward.names)} are right. Look at {first} once more: {_SIGNS[ward.names[first]]}")
    return "All six. You did it from pictures and numbers that every cluster has."


def _solve_diagnosis(ward):
    signs = ward.signs()
    found = {signs.median_ms.idxmin(): "tiny tasks", signs.sent.idxmax(): "object shipped"}
    found[signs.spilled.idxmax()] = "memory tight"
    rest = signs.drop(index=list(found))
    found[rest.longest.idxmax()] = "skew"  # longer than the others on the same worker
    rest = rest.drop(index=rest.longest.idxmax())
    found[rest.slowest.idxmax()] = "slow worker"
    found[rest.slowest.idxmin()] = "healthy"
    return found


diagnosis = Exercise(
    variable="diagnosis",
    judge=_judge_diagnosis,
    solve=_solve_diagnosis,
    hints=(
        "Begin with the three that stand out in one column of `signs`: `median_ms`, `sent`, `spilled`.",
        "Of the three that are left, one has a task that is far longer than the others, and one has two unlike rows.",
    ),
)


def _shown(name: object) -> str:
    return repr(name) if isinstance(name, str) else type(name).__name__


def _by_name(answer: object, expected: Mapping[str, object], what: str) -> dict[str, Any]:
    """The answer as a dictionary with just these keys."""
    if not isinstance(answer, Mapping):
        raise TryNext(f"It should be a dictionary, with the {what} {', '.join(expected)}.")
    if missing := [name for name in expected if name not in answer]:
        raise TryNext(f"Missing: {', '.join(missing)}.")
    if more := [str(name) for name in answer if name not in expected]:
        raise TryNext(f"{', '.join(more)}: there is no such one among the {what} {', '.join(expected)}.")
    return dict(answer)
