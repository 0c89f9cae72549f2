"""Where is the checkout of the class?"""

from __future__ import annotations

from pathlib import Path

from daskclass.errors import Problem

FIRST_LAB = "labs/00-start-here.ipynb"
"""What every checkout has."""


def around(folder: Path) -> Path | None:
    """The checkout that `folder` lies in, or is; None if there is none."""
    for candidate in (folder, *folder.parents):
        if (candidate / FIRST_LAB).is_file():
            return candidate
    return None


def installed_from() -> Path | None:
    """The checkout that this package is installed from, as an editable install; None for a wheel's."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / FIRST_LAB).is_file() else None


def find() -> Path | None:
    """The checkout around the working directory, else the one that this package is installed from."""
    return around(Path.cwd()) or installed_from()


def require(*, installed: bool = True) -> Path:
    """The checkout around the working directory, else the one that this package is installed from.

    Parameters
    ----------
    installed : bool
        Whether the latter counts.

    Raises
    ------
    Problem
        If there is none.
    """
    found = find() if installed else around(Path.cwd())
    if found is None:
        raise Problem(f"there are no labs around {Path.cwd()}: go to the folder that you cloned the class into")
    return found
