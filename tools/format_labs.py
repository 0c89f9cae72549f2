"""Are the notebooks ready for git? Lists what is wrong with them; with ``--fix``, fixes what it can.

In git, only claim cells have outputs: the claim's own line, with an execution count of 1 (nbval calls an output
without one "unrun") and without metadata (a run's numbers belong in the rehearsal's report). nbstripout removes
everything else that a run leaves in a notebook. A cell fits on a screen; only the first one, `setup`,
may be longer, and JupyterLab then shows it collapsed.

    python tools/format_labs.py [--fix] [NOTEBOOK …]
"""

from __future__ import annotations

import argparse
import copy
import re
import sys
from pathlib import Path

import nbformat
from nbstripout import strip_output

from daskclass.claims import as_line
from daskclass.labs import claim_text, claims

LABS = Path(__file__).resolve().parents[1] / "labs"
CLAIM_TAGS = ["keep_output", "nbval-check-output"]
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
PATHS = ("core", "prework", "admin", "further")
SCREEN = 30  # lines


def lines(cell: nbformat.NotebookNode) -> int:
    """The number of lines of a cell."""
    return len(cell.source.splitlines())


def formatted(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """`notebook` as it should be in git."""
    notebook = copy.deepcopy(notebook)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        text = claim_text(cell.source)
        tags = [tag for tag in cell.metadata.get("tags", []) if tag not in CLAIM_TAGS]
        cell.metadata = nbformat.NotebookNode()
        if cell.id == "setup" and lines(cell) > SCREEN:
            cell.metadata["jupyter"] = nbformat.from_dict({"source_hidden": True})
        if text is not None:
            tags = sorted([*tags, *CLAIM_TAGS])
        if tags:
            cell.metadata["tags"] = tags
    notebook = strip_output(notebook, keep_output=False, keep_count=False, keep_id=True)
    for cell in notebook.cells:
        if cell.cell_type == "code" and (text := claim_text(cell.source)) is not None:
            cell.execution_count = 1
            cell.outputs = [nbformat.v4.new_output("display_data", {"text/plain": as_line(text, True)})]
    kept = notebook.metadata.get("daskclass", {})
    notebook.metadata = nbformat.from_dict(
        {"daskclass": kept, "kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    return notebook


def faults(path: Path) -> list[str]:
    """Faults that no formatter can fix, one sentence each."""
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    found = []
    if (notebook.nbformat, notebook.nbformat_minor) != (4, 5):
        found.append(f"its nbformat is {notebook.nbformat}.{notebook.nbformat_minor}, but should be 4.5")
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        return [*found, f"not a valid notebook: {error}"]
    ids = [cell.id for cell in notebook.cells]
    found += [f"cell id {one!r} appears twice" for one in sorted({one for one in ids if ids.count(one) > 1})]
    found += [
        f"cell id {one!r} isn't descriptive; name it in words-with-hyphens"
        for one in ids
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", one) or re.fullmatch(r"[0-9a-f]{8}", one)
    ]
    about = notebook.metadata.get("daskclass", {})
    if set(about) - {"needs"} != {"teaching", "exercises", "path"} or about.get("path") not in PATHS:
        found.append(f"metadata daskclass needs teaching and exercises (minutes), and path (one of {', '.join(PATHS)})")
    elif not all(type(about[key]) is int and about[key] > 0 for key in ("teaching", "exercises")):
        found.append("metadata daskclass: minutes must be whole numbers above 0")
    if about.get("needs", "machines") != "machines":
        found.append("metadata daskclass: what a lab needs can only be machines")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            try:
                claim_text(cell.source)
            except ValueError as error:
                found.append(f"cell {cell.id!r}: {error}")
            if lines(cell) > SCREEN and cell.id != "setup":
                found.append(f"cell {cell.id!r} has {lines(cell)} lines, but {SCREEN} fit on a screen; split it")
    if not found:
        texts = [text for _id, text, _core in claims(notebook)]
        found += [f"claim {text!r} appears twice" for text in sorted({text for text in texts if texts.count(text) > 1})]
        if sum(core for *_, core in claims(notebook)) > 5:
            found.append("more than five core claims; move some below the heading 'Going further'")
    return found


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all in labs/")
    parser.add_argument("--fix", action="store_true", help="fix what can be fixed")
    arguments = parser.parse_args(words)
    bad = 0
    for path in arguments.notebooks or sorted(LABS.glob("*.ipynb")):
        found = faults(path)
        if not found:
            before = path.read_text(encoding="utf-8")
            after = nbformat.writes(formatted(nbformat.read(path, as_version=4))) + "\n"
            if before != after and arguments.fix:
                path.write_text(after, encoding="utf-8")
                print(f"{path.name}: fixed")
            elif before != after:
                found.append("not formatted for git; run tools/format_labs.py --fix")
        for fault in found:
            print(f"{path.name}: {fault}", file=sys.stderr)
        bad += bool(found)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
