"""Where is the checkout of the class?"""

from __future__ import annotations

from pathlib import Path

from daskclass.errors import Problem

FIRST_LAB = "labs/00-start-here.ipynb"
"""The file by which we recognize a checkout."""


def around(folder: Path) -> Path | None:
    """The checkout that contains `folder`, or is `folder`; None if there is none."""
    for candidate in (folder, *folder.parents):
        if (candidate / FIRST_LAB).is_file():
            return candidate
    return None


def installed_from() -> Path | None:
    """The checkout of an editable install of this package; None if it was installed from a wheel."""
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
        Whether the second one counts.

    Raises
    ------
    Problem
        If there is none.
    """
    found = find() if installed else around(Path.cwd())
    if found is None:
        raise Problem(f"there are no labs in or above {Path.cwd()}; go to the folder that you cloned the class into")
    return found
