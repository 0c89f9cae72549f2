"""Prints the packages that the class needs, without versions, for `pip install --upgrade --requirement`.

    python tools/newest.py > build/newest.txt

The weekly job installs the newest versions with it, to see which claims they change.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
EXTRAS = ("dev", "managers", "xgboost")  # those of requirements.lock


class NoProject(Exception):
    """A pyproject.toml doesn't list what its project needs."""


def unpinned(text: str, extras: Iterable[str] = EXTRAS) -> list[str]:
    """The requirements of a ``pyproject.toml`` and of these extras, without versions.

    Raises
    ------
    NoProject
        If it doesn't list them.
    """
    try:
        project = tomllib.loads(text)["project"]
        more = [project["optional-dependencies"][name] for name in extras]
        return [_unpinned(line) for lines in (project["dependencies"], *more) for line in lines]
    except (InvalidRequirement, KeyError, tomllib.TOMLDecodeError) as error:
        raise NoProject(f"{type(error).__name__}: {error}") from error


def _unpinned(line: str) -> str:
    found = Requirement(line)
    extras = f"[{','.join(sorted(found.extras))}]" if found.extras else ""
    return f"{found.name}{extras}" + (f"; {found.marker}" if found.marker else "")


def main() -> int:
    try:
        print("\n".join(unpinned(PYPROJECT.read_text(encoding="utf-8"))))
    except (OSError, NoProject) as error:
        print(f"{PYPROJECT}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
