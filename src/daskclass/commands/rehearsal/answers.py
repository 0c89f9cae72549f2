"""What does a run of a lab say about each claim, if some of its cells failed?

A claim *holds*, is *false*, or *could not be asked*. It couldn't be asked if its own cell failed, or if a cell failed
whose results it needs. The names in the cells tell which those are; what a cell had set before the statement that
failed is there. We are stricter with what looks false: a cell that fails half-way may have changed an object that it
only uses, such as the client. Then a claim that needs this object isn't called false, because the cell that failed may
be why.

What this can't see: an object that a function changes, if the cell that failed only called the function.
"""

from __future__ import annotations

import ast
import builtins
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
    "TypeError": re.compile("got an unexpected keyword argument '(.+)'"),
}
_CHANGES = {  # methods of Python's own containers
    *("add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "reverse"),
    *("setdefault", "sort", "update"),
}


def because(name: str, message: str, shown: str, source: str) -> Because:
    """Why a cell failed.

    Parameters
    ----------
    name : str
        The exception's class.
    message : str
        Its message.
    shown : str
        Its traceback as IPython shows it, without colors.
    source : str
        The cell.

    Returns
    -------
    str
        ``instrument`` if it went through a module of the class, unless that module says that it waited in vain or so (a
        `Problem`); ``name`` if the cell itself uses a name that isn't there; else ``error``.
    """
    frames = list(_FRAME.finditer(shown))
    ours = Path(daskclass.__file__).parent
    if any(frame["file"] and ours in Path(frame["file"]).expanduser().parents for frame in frames):
        return "error" if name == "Problem" else "instrument"
    last = max((place for place, frame in enumerate(frames) if not frame["file"]), default=-1)
    inner = [str(frame["function"] or "").rpartition(".")[2] for frame in frames[last + 1 :]]
    found = _MISSING[name].search(message) if name in _MISSING else None
    if found is None:
        return "error"
    if name == "TypeError":  # an argument can be passed on, and Dask can pass a wrong one to somebody else
        return "name" if re.search(rf"\b{re.escape(found[1])}\s*=(?!=)", source) else "error"
    # Looking a name up can lead through functions of Dask that are made for it.
    return "name" if all(function == "__getattr__" for function in inner) else "error"


def line(shown: str) -> int | None:
    """The line of the cell in which it failed, counted from 1, if IPython's traceback `shown` says so."""
    found = _LINE.findall(shown)
    return int(found[-1]) if found else None


class Names(NamedTuple):
    """The names that a cell reads and sets, those that it imports or defines, and what its functions read."""

    reads: frozenset[str]
    sets: frozenset[str]
    defines: frozenset[str]
    of_functions: Mapping[str, frozenset[str]]


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
    of_functions: dict[str, frozenset[str]] = {}
    for child in top.get_children():
        own = set()
        for inner in (child, *_inner(child)):
            for symbol in inner.get_symbols():
                if symbol.is_global() and symbol.is_referenced():
                    own.add(symbol.get_name())
                if symbol.is_declared_global() and symbol.is_assigned():
                    sets.add(symbol.get_name())
        of_functions[child.get_name()] = of_functions.get(child.get_name(), frozenset()) | own
        reads |= own
    defines = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_imported() or symbol.is_namespace()}
    named = {name: own for name, own in of_functions.items() if name in defines}
    return Names(frozenset(reads), frozenset(sets), frozenset(defines), named)


def _inner(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _inner(child)


def _set_before(source: str, line: int | None, lost: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """What did a cell do before the statement at `line` failed?

    Returns
    -------
    tuple of set
        The names that it had set by then, from nothing that was lost; and those whose objects the statement may have
        changed half-way.
    """
    there: set[str] = set()
    statements = ast.parse(source).body
    if line is None:
        return there, {name for statement in statements for name in _changed(statement)}
    for statement in statements:
        found = names(ast.unparse(statement))
        if (statement.end_lineno or 0) >= line:
            half = _changed(statement)
            return there - found.sets - half, half  # it may have set some of them anew
        if any(name in lost and name not in there for name in found.reads):
            there -= found.sets
        else:
            there |= found.sets
    return there, set()


def _changed(statement: ast.stmt) -> set[str]:
    """The names whose objects a statement changes, such as `a` in ``a[0] = 1``, ``a.b = 1`` and ``a.append(1)``."""
    found: set[str] = set()
    for step in ast.walk(statement):
        place: ast.expr | None = None
        if isinstance(step, ast.Subscript | ast.Attribute) and isinstance(step.ctx, ast.Store | ast.Del):
            place = step
        elif isinstance(step, ast.Call) and isinstance(step.func, ast.Attribute) and step.func.attr in _CHANGES:
            place = step.func
        while isinstance(place, ast.Subscript | ast.Attribute):
            place = place.value
        if isinstance(place, ast.Name):
            found.add(place.id)
    return found


def _with_functions(reads: frozenset[str], of_functions: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """`reads`, and what the functions among them read."""
    found, new = set(reads), set(reads)
    while new:
        new = {name for function in new for name in of_functions.get(function, ())} - found
        found |= new
    return frozenset(found)


def settle(lab: Lab, outcome: Outcome, stopped: str | None = None) -> None:
    """Withdraw the results of claims that need what a failed cell should have made, and say why each has none.

    Does nothing to a lab whose cells all ran. `stopped` says why the lab ended early, if it did.
    """
    failures = {failure.cell: failure for failure in outcome.failures}
    claims = {claim.cell: claim for claim in outcome.claims}
    lost: dict[str, str] = {}  # names that a failed cell should have set, with that cell
    doubtful: dict[str, str] = {}  # names of objects that a failed cell used
    stable: set[str] = set()  # functions, classes, modules: using them doesn't change them
    of_functions: dict[str, frozenset[str]] = {}
    each = {cell: names(source) for cell, source in lab.cells.items()} if failures else {}
    of_python = frozenset(dir(builtins)).difference(*(found.sets for found in each.values()))
    for cell, found in each.items():
        of_functions |= found.of_functions
        reads = _with_functions(found.reads, of_functions) - of_python
        cause = next((lost[name] for name in sorted(reads) if name in lost), None)
        doubt = next((name for name in sorted(reads) if name in doubtful), None)
        if cell in failures:
            root = cause or cell
            there, half = _set_before(lab.cells[cell], failures[cell].line, lost)
            for name in there:
                lost.pop(name, None)
            lost |= dict.fromkeys((found.sets - there) | half, root)
            doubtful |= dict.fromkeys(reads - stable - found.defines, root)
        elif cause is not None:
            lost |= dict.fromkeys(found.sets, cause)
        else:
            for name in found.sets:
                lost.pop(name, None)
                doubtful.pop(name, None)
            if doubt is not None:
                doubtful |= dict.fromkeys(found.sets, doubtful[doubt])
        stable = (stable | found.defines) - (found.sets - found.defines)
        if (claim := claims.get(cell)) is None:
            continue
        if cause is not None:
            claim.holds, claim.evidence = None, {}
            claim.because, claim.blocked_by = "cell", cause
            claim.why = f"a cell that it needs failed, `{cause}`: {failures[cause].error}"
        elif claim.holds is False and doubt is not None:
            root = doubtful[doubt]
            claim.holds = None
            claim.because, claim.blocked_by = "cell", root
            claim.why = f"it was false, but `{root}`, which uses `{doubt}`, too, failed before: {failures[root].error}"
        elif cell in failures:
            why = failures[cell].because
            claim.because, claim.blocked_by = "cell" if why == "error" else why, cell
            claim.why = f"its cell failed: {failures[cell].error}"
    for claim in outcome.claims:
        if claim.holds is None and claim.why is None and stopped is not None:
            claim.because, claim.why = "stopped", stopped
