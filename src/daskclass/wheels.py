"""How does one make a package to install, without a network and without a build system?"""

from __future__ import annotations

import zipfile
from pathlib import Path

from daskclass.errors import Problem


def make(folder: str | Path, name: str, version: str, source: str) -> Path:
    """Write a wheel that holds one module, for pip to install; return its path.

    Parameters
    ----------
    folder : str or path
        An existing folder, where the wheel is written.
    name : str
        Of the package and of its module.
    version : str
    source : str
        Of the module.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    Problem
        If nothing of this name could be imported.
    OSError
        If the wheel cannot be written.

    Examples
    --------
    `folder` is an empty folder. A wheel is an archive, with the module and what pip reads about it.

    >>> import zipfile
    >>> from daskclass import wheels
    >>> wheel = wheels.make(folder, "greeting", "1.2", "def hello():\\n    return 'hello'\\n")
    >>> wheel.name
    'greeting-1.2-py3-none-any.whl'
    >>> zipfile.ZipFile(wheel).namelist()[0]
    'greeting.py'
    """
    if not name.isidentifier():
        raise Problem(f"{name!r} cannot be imported; a name such as {'my_package'!r} can")
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
