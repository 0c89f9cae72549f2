"""Which labs are there, and what do they claim?"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daskclass.errors import Problem, UsageProblem

if TYPE_CHECKING:
    from nbformat import NotebookNode

FIRST_LAB = "labs/00-start-here.ipynb"
METADATA = "daskclass"
"""What is the class's in a notebook's metadata (its minutes), and in an output's (a claim, a picture)."""

FURTHER = "going further"
"""The heading that ends what is core."""

_NAME = re.compile(r"\d\d-.+")


@dataclass(frozen=True)
class Lab:
    """A numbered notebook.

    Attributes
    ----------
    path : pathlib.Path
    """

    path: Path

    @property
    def name(self) -> str:
        """Such as ``02-pandas-vs-dask``."""
        return self.path.stem

    @property
    def number(self) -> str:
        """Such as ``02``."""
        return self.name[:2]


def checkout(*, installed: bool = True) -> Path:
    """The checkout of the class around the working directory, or the one this package is installed from.

    Parameters
    ----------
    installed : bool
        Whether the latter counts.

    Raises
    ------
    Problem
        If there is none.
    """
    here = Path.cwd()
    beyond = (Path(__file__).resolve().parents[2],) if installed else ()
    for folder in (here, *here.parents, *beyond):
        if (folder / FIRST_LAB).is_file():
            return folder
    raise Problem(f"there are no labs around {here}: go to the folder that you cloned the class into")


def find(root: Path) -> list[Lab]:
    """The labs of the checkout `root`, in order. Notebooks without a number are nobody's but their writer's."""
    return [Lab(path) for path in sorted((root / "labs").glob("*.ipynb")) if _NAME.fullmatch(path.stem)]


def choose(text: str, labs: list[Lab]) -> list[Lab]:
    """Those of `labs` that `text` names, in their own order: numbers and ranges such as ``00,02-04``.

    Raises
    ------
    UsageProblem
        If `text` names none, or one that is not there.
    """
    numbers = [lab.number for lab in labs]
    right = f"say numbers and ranges such as 00,02-04, of {', '.join(numbers)}"
    wanted: set[str] = set()
    for part in "".join(text.split()).split(","):
        found = re.fullmatch(r"(\d{1,2})(?:-(\d{1,2}))?", part, re.ASCII)
        if not found:
            raise UsageProblem(f"{text!r} names no labs: {right}")
        first, last = (end.zfill(2) for end in (found[1], found[2] or found[1]))
        missing = [end for end in dict.fromkeys((first, last)) if end not in numbers]
        if missing:
            raise UsageProblem(f"there is no lab {' and no lab '.join(missing)}: {right}")
        if first > last:
            raise UsageProblem(f"{part} runs backwards: {right}")
        wanted |= {number for number in numbers if first <= number <= last}
    return [lab for lab in labs if lab.number in wanted]


def claim_text(source: str) -> str | None:
    """The sentence of a claim cell; None for any other cell.

    Raises
    ------
    ValueError
        If a cell makes a claim and does anything else, or the sentence is put together at run time.
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
        raise ValueError("a claim stands alone in its cell")
    sentence = calls[0].args[0] if calls[0].args else None
    if not isinstance(sentence, ast.Constant) or not isinstance(sentence.value, str):
        raise ValueError("a claim's sentence is a plain text, the same in every run")
    return sentence.value


def claims(notebook: NotebookNode) -> list[tuple[str, str, bool]]:
    """Cell id, sentence, and whether it is core, of every claim in `notebook`, in order."""
    found, core = [], True
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for heading in re.findall(r"^#{1,2} +(.+)$", cell.source, re.MULTILINE):
                core = heading.strip().lower() != FURTHER
        elif cell.cell_type == "code" and (text := claim_text(cell.source)) is not None:
            found.append((cell.id, text, core))
    return found
