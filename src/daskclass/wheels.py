"""How do we make a package to install, without a network or a build system?"""

from __future__ import annotations

import zipfile
from pathlib import Path

from daskclass.errors import Problem


def make(folder: str | Path, name: str, version: str, source: str) -> Path:
    """Write a wheel with one module for pip to install. Return its path.

    Parameters
    ----------
    folder : str or path
        An existing folder for the wheel.
    name : str
        Name of the package and of its module.
    version : str
    source : str
        Source of the module.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    Problem
        If Python can't import a module of this name.
    OSError
        If it can't write the wheel.

    Examples
    --------
    `folder` is an empty folder. A wheel is an archive with the module and its metadata for pip.

    >>> import zipfile
    >>> from daskclass import wheels
    >>> wheel = wheels.make(folder, "greeting", "1.2", "def hello():\\n    return 'hello'\\n")
    >>> wheel.name
    'greeting-1.2-py3-none-any.whl'
    >>> zipfile.ZipFile(wheel).namelist()[0]
    'greeting.py'
    """
    if not name.isidentifier():
        raise Problem(f"Python can't import a module called {name!r}; use a name such as {'my_package'!r}")
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": source,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: daskclass\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{about}/RECORD"])
    wheel = Path(folder) / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return wheel
