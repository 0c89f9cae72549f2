"""Which labs are there, and what does each notebook say about itself?

A `Lab` reads its notebook once. Slides, schedules, outline, rehearsal and tests use it.
"""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from daskclass.errors import Problem, UsageProblem

if TYPE_CHECKING:
    from nbformat import NotebookNode

METADATA = "daskclass"
"""Our key in the metadata of a notebook (its minutes) and of an output (a claim, a picture)."""

FURTHER = "going further"
"""The heading that ends the core part."""

_NAME = re.compile(r"\d\d-.+")
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


class ClaimCell(NamedTuple):
    """A claim in a notebook: the id of its cell, its sentence, and whether it is core."""

    cell: str
    text: str
    core: bool


class Minutes(NamedTuple):
    """The minutes planned for a lab."""

    teaching: int
    exercises: int

    @property
    def total(self) -> int:
        """Teaching and exercises together."""
        return self.teaching + self.exercises


@dataclass(frozen=True)
class Lab:
    """A numbered notebook. It is read on first use, and only once.

    Attributes
    ----------
    path : pathlib.Path

    Raises
    ------
    Problem
        From each property that needs the notebook's contents, if it can't be read as a lab.

    Examples
    --------
    In a clone of the class, lab 00 has a number, a title, planned minutes and claims.

    >>> from pathlib import Path
    >>> from daskclass import labs
    >>> lab = labs.Lab(Path("labs/00-start-here.ipynb"))
    >>> lab.number, lab.title, lab.track
    ('00', 'Start here', 'core')
    >>> lab.minutes.total == lab.minutes.teaching + lab.minutes.exercises
    True
    >>> lab.claims[0].core
    True
    """

    path: Path

    @property
    def name(self) -> str:
        """The name, such as ``02-pandas-vs-dask``."""
        return self.path.stem

    @property
    def number(self) -> str:
        """The number, such as ``02``."""
        return self.name[:2]

    @cached_property
    def notebook(self) -> NotebookNode:
        """The notebook. All callers share it, so run or change a copy."""
        import nbformat

        with self._read(nbformat.ValidationError):
            notebook: NotebookNode = nbformat.read(self.path, as_version=4)
            return notebook

    @cached_property
    def title(self) -> str:
        """The heading without the number, such as ``Spill``."""
        found = re.search(r"^# (?:\d\d · )?(.+)$", self.text, re.MULTILINE)
        with self._read():
            if found is None:
                raise ValueError("it has no heading that begins with #")
            return found[1]

    @cached_property
    def minutes(self) -> Minutes:
        """The minutes of teaching and of exercises."""
        return Minutes(*(self._minutes_of(kind) for kind in Minutes._fields))

    @property
    def track(self) -> str:
        """``core``; ``prework``, before class; ``admin``, for administrators; or ``further``, after the day."""
        with self._read():
            track: str = self._about["path"]
            return track

    @property
    def needs(self) -> str | None:
        """What the lab needs besides this machine: ``machines`` (see `daskclass.machines`), or None."""
        with self._read():
            needs: str | None = self._about.get("needs")
            return needs

    @cached_property
    def cells(self) -> dict[str, str]:
        """The sources of the code cells by their ids, in order."""
        with self._read():
            return {cell.id: cell.source for cell in self.notebook.cells if cell.cell_type == "code"}

    @property
    def code(self) -> str:
        """The sources of all code cells, joined."""
        return "\n".join(self.cells.values())

    @cached_property
    def text(self) -> str:
        """The text of all Markdown cells."""
        with self._read():
            return "\n\n".join(cell.source for cell in self.notebook.cells if cell.cell_type == "markdown")

    @cached_property
    def claims(self) -> tuple[ClaimCell, ...]:
        """Every claim, in order."""
        with self._read():
            return tuple(claims(self.notebook))

    @cached_property
    def exercises(self) -> tuple[str, ...]:
        """The titles of the exercises, in order."""
        return tuple(re.sub(r"[.:]$", "", title) for title in re.findall(r"\*\*Exercise: (.+?)\*\*", self.text))

    def cell(self, name: str) -> str:
        """The source of the cell `name`, code or text.

        Raises
        ------
        Problem
            If there is no such cell.
        """
        with self._read():
            found: list[str] = [cell.source for cell in self.notebook.cells if cell.id == name]
        if not found:
            raise Problem(f"{self.path.name} has no cell {name!r}")
        return found[0]

    @property
    def _about(self) -> NotebookNode:
        about: NotebookNode = self.notebook.metadata.get(METADATA, {})
        return about

    def _minutes_of(self, kind: str) -> int:
        with self._read():
            minutes = self._about[kind]
            if not isinstance(minutes, int) or minutes < 0:
                raise ValueError(f"its minutes of {kind} are {minutes!r}")
            return minutes

    @contextlib.contextmanager
    def _read(self, *more: type[Exception]) -> Iterator[None]:
        """Turn any error of reading the notebook into a Problem that names it."""
        unreadable: tuple[type[Exception], ...] = (*_UNREADABLE, *more)
        try:
            yield
        except unreadable as error:
            raise Problem(f"can't read {self.path.name} as a lab: {type(error).__name__}: {error}") from error


def find(root: Path) -> list[Lab]:
    """The labs of the checkout `root`, in order. Notebooks without a number don't count; you can add your own."""
    return [Lab(path) for path in sorted((root / "labs").glob("*.ipynb")) if _NAME.fullmatch(path.stem)]


def on_one_machine(labs: list[Lab]) -> list[Lab]:
    """The labs that need nothing but this machine, in the same order, and those that can't be read.

    Examples
    --------
    In a clone of the class, labs 22 and 23 need several machines.

    >>> from pathlib import Path
    >>> from daskclass import labs
    >>> every = labs.find(Path())
    >>> [lab.number for lab in every if lab not in labs.on_one_machine(every)]
    ['22', '23']
    """
    return [lab for lab in labs if _needs(lab) is None]


def _needs(lab: Lab) -> str | None:
    """What it needs. A notebook that can't be read needs nothing: whoever runs it says what's wrong with it."""
    try:
        return lab.needs
    except Problem:
        return None


def choose(text: str, labs: list[Lab]) -> list[Lab]:
    """The labs that `text` names, in the order of `labs`: numbers and ranges such as ``00,02-04``.

    Parameters
    ----------
    text : str
        Spaces are ignored, and ``2`` means ``02``.
    labs : list of Lab
        As `find` returns them.

    Returns
    -------
    list of Lab

    Raises
    ------
    UsageProblem
        If `text` names no lab, or a lab that doesn't exist.

    Examples
    --------
    In a clone of the class, a range of three labs and one more:

    >>> from pathlib import Path
    >>> from daskclass import labs
    >>> [lab.number for lab in labs.choose("02-04,0", labs.find(Path()))]
    ['00', '02', '03', '04']
    >>> labs.choose("99", labs.find(Path()))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    daskclass.errors.UsageProblem: there is no lab 99; use numbers and ranges such as 00,02-04, of 00, 01, ...
    """
    numbers = [lab.number for lab in labs]
    right = f"use numbers and ranges such as 00,02-04, of {', '.join(numbers)}"
    wanted: set[str] = set()
    for part in "".join(text.split()).split(","):
        found = re.fullmatch(r"(\d{1,2})(?:-(\d{1,2}))?", part, re.ASCII)
        if not found:
            raise UsageProblem(f"{text!r} names no labs; {right}")
        first, last = (end.zfill(2) for end in (found[1], found[2] or found[1]))
        missing = [end for end in dict.fromkeys((first, last)) if end not in numbers]
        if missing:
            raise UsageProblem(f"there is no lab {' and no lab '.join(missing)}; {right}")
        if first > last:
            raise UsageProblem(f"{part} runs backwards; {right}")
        wanted |= {number for number in numbers if first <= number <= last}
    return [lab for lab in labs if lab.number in wanted]


def claim_text(source: str) -> str | None:
    """The sentence of a claim cell; None for any other cell.

    Raises
    ------
    ValueError
        If the cell does anything besides the claim, or builds the sentence at run time.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a line magic; ruff parses those and finds other mistakes
        return None
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "claim"
    ]
    if not calls:
        return None
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.Expr) or tree.body[0].value is not calls[0]:
        raise ValueError("a claim must be alone in its cell")
    sentence = calls[0].args[0] if calls[0].args else None
    if not isinstance(sentence, ast.Constant) or not isinstance(sentence.value, str):
        raise ValueError("a claim's sentence must be a plain string, the same in every run")
    return sentence.value


def claims(notebook: NotebookNode) -> list[ClaimCell]:
    """Every claim in `notebook`, in order."""
    found, core = [], True
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for heading in re.findall(r"^#{1,2} +(.+)$", cell.source, re.MULTILINE):
                core = heading.strip().lower() != FURTHER
        elif cell.cell_type == "code" and (text := claim_text(cell.source)) is not None:
            found.append(ClaimCell(cell.id, text, core))
    return found
