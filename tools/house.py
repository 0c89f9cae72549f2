"""Draws the house in CONTRIBUTING.md from the code: wings and rooms, their imports, and each room's question.

    python tools/house.py [--check]

With --check, it writes nothing, and the exit status is 1 if the page doesn't match the code.
"""

from __future__ import annotations

import argparse
import ast
import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
PACKAGE = "daskclass"
BEGIN, END = "<!-- house -->", "<!-- /house -->"
WINGS = ("commands", "", "watch", "system")  # from the roof to the ground; "" is what a lab imports
NAMES = {"": "what a lab imports"}
SHARED = "errors"  # everything imports it, so its arrows would tell you nothing


def rooms(source: Path) -> dict[str, str]:
    """The first line of each room's docstring, by its name: modules and packages, those of a wing as ``wing.room``."""
    found = {}
    for path in sorted(source.iterdir()):
        if path.name in WINGS:
            found |= {f"{path.name}.{name}": line for name, line in rooms(path).items()}
            continue
        file = path / "__init__.py" if path.is_dir() else path
        if file.is_file() and file.suffix == ".py" and not path.name.startswith("_"):
            docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
            found[path.stem] = docstring.split("\n")[0]
    return found


def arrows(names: list[str]) -> list[tuple[str, str]]:
    """Which room imports which, except arrows that follow from two others."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    modules = {name: {f"{PACKAGE}.{name}"} | graph.find_descendants(f"{PACKAGE}.{name}") for name in names}
    modules |= {wing: {f"{PACKAGE}.{wing}"} for wing in WINGS if wing}  # what a wing offers as a whole
    reached: dict[str, set[str]] = {}
    for name, own in modules.items():
        used = {module for one in own for module in graph.find_modules_directly_imported_by(one)} - own
        reached[name] = {other for other, those in modules.items() if other not in (name, SHARED) and used & those}
    return [
        (name, other)
        for name, direct in reached.items()
        for other in sorted(direct)
        if name not in WINGS and not any(other in _all_below(between, reached) for between in direct - {other})
    ]


def _all_below(name: str, reached: dict[str, set[str]]) -> set[str]:
    below = set(reached[name])
    for other in reached[name]:
        below |= _all_below(other, reached)
    return below


def picture(questions: dict[str, str], links: list[tuple[str, str]]) -> str:
    """The house as a Mermaid diagram, which GitHub draws, and as a table of rooms and questions for all who read."""
    lines = ["```mermaid", "flowchart TD"]
    for wing in WINGS:
        inside = [name for name in questions if (name.partition(".")[0] if "." in name else "") == wing]
        lines.append(f'  subgraph {wing or "top"}["{NAMES.get(wing, wing + "/")}"]')
        lines += [f'    {_id(name)}["{name.rpartition(".")[2]}"]' for name in inside]
        lines.append("  end")
    lines += [f"  {_id(name)} --> {_id(other)}" for name, other in links]
    lines += ["```", "", "| room | its question |", "|---|---|"]
    lines += [f"| `{name}` | {question} |" for name, question in questions.items()]
    return "\n".join(lines)


def _id(name: str) -> str:
    return name.replace(".", "_")


def filled(text: str) -> str:
    """The page's text with a house that matches the code."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{PAGE.name} needs one place between {BEGIN} and {END}")
    before, _, rest = text.partition(BEGIN)
    questions = rooms(ROOT / "src" / PACKAGE)
    return f"{before}{BEGIN}\n\n{picture(questions, arrows(list(questions)))}\n\n{END}{rest.partition(END)[2]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    before = PAGE.read_text(encoding="utf-8")
    after = filled(before)
    if before == after:
        return 0
    if check:
        print(f"the house in {PAGE.name} doesn't match the code; run tools/house.py", file=sys.stderr)
        return 1
    PAGE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
