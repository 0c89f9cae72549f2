"""Exercises of lab 08: the page for each question, and the diagnosis of six clusters."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from daskclass.exercises import kinds
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.sick_clusters import HEALTHY, SICKNESSES, Ward

PAGES = {
    "lost": ("events", "info", "workers"),
    "slow line": ("profile",),
    "busy scheduler": ("system", "profile-server"),
    "failed": ("exceptions",),
}
_KNOWN = {page for pages in PAGES.values() for page in pages}
_ADVICE = {
    "lost": "a page that shows the past, or a line for each worker",
    "slow line": "a page that knows the lines of your own code, not the scheduler's",
    "busy scheduler": "a page about the scheduler itself",
    "failed": "a page that keeps tracebacks",
}


def _judge_page(answer: object) -> str:
    pages = _by_name(answer, PAGES, "questions")
    for question, right in PAGES.items():
        said = pages[question]
        if not isinstance(said, str):
            raise TryNext(f"The page for *{question}* should be text, such as `/events`.")
        if _page(said) not in right:
            raise TryNext(f"For *{question}*, look in the table for {_ADVICE[question]}.")
    return (
        "Four questions, four pages. A program can get most of these answers, too. An exception needs someone who "
        "still holds the future."
    )


def _page(said: str) -> str:
    """The page's name, from a path, from the address that the browser shows, or from a page with one plot.

    In containers, that address is `/proxy/127.0.0.1:8787/events`. To `urlsplit`, the path of `localhost:8787/events`
    is `8787/events`.
    """
    names = [name.removeprefix("individual-") for name in urlsplit(said.strip().lower()).path.strip("/").split("/")]
    return next((name for name in names if name in _KNOWN), names[-1])


def _solve_page():
    return {"lost": "/events", "slow line": "/profile", "busy scheduler": "/system", "failed": "/exceptions"}


page = Exercise(
    variable="page",
    judge=_judge_page,
    solve=_solve_page,
    hints=(
        "The table above has a question for each page. One of them is about the scheduler's own CPU and memory.",
        "Two of the pages have the names of the things they show: `/events` and `/exceptions`.",
    ),
)

_SIGNS = {
    HEALTHY: "Its numbers look normal.",
    "skew": "Compare its longest task with the median, and check which rows have the long tasks.",
    "tiny tasks": "How many tasks does it have, and how long does each one take?",
    "object shipped": "Look at the bytes that the scheduler sent for each task.",
    "memory tight": "Look at its memory, and at how much went to disk.",
    "slow worker": "Compare its two rows.",
}


def _judge_diagnosis(answer: object, ward: Ward) -> str:
    names = (*SICKNESSES, HEALTHY)
    typed = _by_name(answer, ward.names, "letters")
    said = {letter: _plain(name) for letter, name in typed.items()}
    for letter, name in said.items():
        if name not in names:
            raise TryNext(f"`{_shown(typed[letter])}` for {letter} should be one of {', '.join(names)}.")
    wrong = [letter for letter in ward.names if said[letter] != ward.names[letter]]
    if wrong:
        first = wrong[0]
        right = len(ward.names) - len(wrong)
        raise TryNext(f"{right} of {len(ward.names)} are right. Look at {first} again. {_SIGNS[ward.names[first]]}")
    return "All six. You used only pictures and numbers that every cluster has."


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
        "Of the other three, one has a task that's far longer than the rest, and one has two very different rows.",
    ),
)


def _plain(name: object) -> object:
    """`Tiny_tasks` and `tiny-tasks` are `tiny tasks`."""
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split()) if isinstance(name, str) else None


def _shown(name: object) -> str:
    return repr(name) if isinstance(name, str) else type(name).__name__


def _by_name(answer: object, expected: Collection[str], what: str) -> dict[str, object]:
    """The answer as a dictionary with exactly these keys, in whichever case they were typed."""
    given = kinds.mapping(answer)
    if given is None:
        raise TryNext(f"It should be a dictionary with the {what} {', '.join(expected)}.")
    spelled = {name.casefold(): name for name in expected}
    given = {spelled.get(str(name).strip().casefold(), name): said for name, said in given.items()}
    if missing := [name for name in expected if name not in given]:
        raise TryNext(f"Missing: {', '.join(missing)}.")
    if more := [str(name) for name in given if name not in expected]:
        raise TryNext(f"`{', '.join(more)}` isn't one of the {what} {', '.join(expected)}.")
    return {name: given[name] for name in expected}
