"""What does a run of a lab say about each claim, if some of its cells failed?

A claim *holds*, is *false*, or *could not be asked*. It couldn't be asked if its own cell failed, or if a cell failed
whose results it needs. The names in the cells tell which those are; what a cell had set before the statement that
failed is there. We are stricter with what looks false: a cell that fails half-way may have changed an object that it
only uses, such as the client. Then a claim that needs this object isn't called false, because the cell that failed may
be why.
"""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import daskclass

if TYPE_CHECKING:
    from daskclass.commands.rehearsal.outcome import Because, Outcome
    from daskclass.labs import Lab

_FRAME = re.compile(r"^(?:File (?P<file>.+?):\d+(?:, in (?P<function>[\w.<>]+))?|Cell In\[\d+\])", re.MULTILINE)
_LINE = re.compile(r"^Cell In\[\d+\], line (\d+)$", re.MULTILINE)  # of a cell itself, not of a function in it
_MISSING = {
    "AttributeError": re.compile(r"(?<!'NoneType' object) has no attribute '"),
    "ImportError": re.compile("cannot import name "),
    "ModuleNotFoundError": re.compile("No module named "),
    "TypeError": re.compile("got an unexpected keyword argument "),
}


def because(name: str, message: str, shown: str) -> Because:
    """Why a cell failed.

    Parameters
    ----------
    name : str
        The exception's class.
    message : str
        Its message.
    shown : str
        Its traceback as IPython shows it, without colors.

    Returns
    -------
    str
        ``instrument`` if it went through a module of the class; ``name`` if the cell itself uses a name that isn't
        there; else ``error``.
    """
    frames = list(_FRAME.finditer(shown))
    ours = Path(daskclass.__file__).parent
    if any(frame["file"] and ours in Path(frame["file"]).expanduser().parents for frame in frames):
        return "instrument"
    last = max((place for place, frame in enumerate(frames) if not frame["file"]), default=-1)
    inner = [str(frame["function"] or "").rpartition(".")[2] for frame in frames[last + 1 :]]
    # Looking a name up can lead through functions of Dask that are made for it. An argument can be passed on.
    looked_up = all(function == "__getattr__" for function in inner) or name == "TypeError"
    if name in _MISSING and _MISSING[name].search(message) and looked_up:
        return "name"
    return "error"


def line(shown: str) -> int | None:
    """The line of the cell in which it failed, counted from 1, if IPython's traceback `shown` says so."""
    found = _LINE.findall(shown)
    return int(found[-1]) if found else None


class Names(NamedTuple):
    """The names of the notebook that a cell reads and sets, and those that it imports or defines."""

    reads: frozenset[str]
    sets: frozenset[str]
    defines: frozenset[str]


def names(source: str) -> Names:
    """Which names of the notebook does a cell use? Those of its functions count, but not their own variables.

    Raises
    ------
    SyntaxError
        If it isn't Python.
    """
    top = symtable.symtable(source, "a cell", "exec")
    reads = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    sets = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    for step in ast.walk(ast.parse(source)):
        if isinstance(step, ast.AugAssign) and isinstance(step.target, ast.Name) and step.target.id in sets:
            reads.add(step.target.id)  # which a symbol table calls assigned only
    for inner in _inner(top):
        for symbol in inner.get_symbols():
            if symbol.is_global() and symbol.is_referenced():
                reads.add(symbol.get_name())
            if symbol.is_declared_global() and symbol.is_assigned():
                sets.add(symbol.get_name())
    defines = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_imported() or symbol.is_namespace()}
    return Names(frozenset(reads), frozenset(sets), frozenset(defines))


def _inner(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _inner(child)


def _set_before(source: str, line: int | None, lost: Mapping[str, str]) -> set[str]:
    """The names that a cell had set when the statement at `line` failed, from nothing that was lost."""
    there: set[str] = set()
    if line is None:
        return there
    for statement in ast.parse(source).body:
        found = names(ast.unparse(statement))
        if (statement.end_lineno or 0) >= line:
            return there - found.sets  # it may have set some of them anew
        if any(name in lost and name not in there for name in found.reads):
            there -= found.sets
        else:
            there |= found.sets
    return there


def settle(lab: Lab, outcome: Outcome) -> None:
    """Withdraw the results of claims that need what a failed cell should have made, and say why each has none.

    Does nothing to a lab whose cells all ran.
    """
    failures = {failure.cell: failure for failure in outcome.failures}
    claims = {claim.cell: claim for claim in outcome.claims}
    lost: dict[str, str] = {}  # names that a failed cell should have set, with that cell
    doubtful: dict[str, str] = {}  # names of objects that a failed cell used
    stable: set[str] = set()  # functions, classes, modules: using them doesn't change them
    for cell, source in lab.cells.items() if failures else ():
        found = names(source)
        cause = next((lost[name] for name in sorted(found.reads) if name in lost), None)
        doubt = next((doubtful[name] for name in sorted(found.reads) if name in doubtful), None)
        if cell in failures:
            root = cause or cell
            there = _set_before(source, failures[cell].line, lost)
            lost |= dict.fromkeys(found.sets - there, root)
            for name in there:
                lost.pop(name, None)
            doubtful |= dict.fromkeys(found.reads - stable - found.defines, root)
        elif cause is not None:
            lost |= dict.fromkeys(found.sets, cause)
        else:
            for name in found.sets:
                lost.pop(name, None)
                doubtful.pop(name, None)
            if doubt is not None:
                doubtful |= dict.fromkeys(found.sets, doubt)
        stable = (stable | found.defines) - (found.sets - found.defines)
        if (claim := claims.get(cell)) is None:
            continue
        if cause is not None or (claim.holds is False and doubt is not None):
            root = str(cause or doubt)
            claim.holds, claim.evidence = None, {}
            claim.because, claim.blocked_by = "cell", root
            claim.why = f"a cell that it needs failed, `{root}`: {failures[root].error}"
        elif cell in failures:
            why = failures[cell].because
            claim.because, claim.blocked_by = "cell" if why == "error" else why, cell
            claim.why = f"its cell failed: {failures[cell].error}"
    for claim in outcome.claims:
        if claim.holds is None and claim.why is None and outcome.error is not None:
            claim.because, claim.why = "stopped", outcome.error
