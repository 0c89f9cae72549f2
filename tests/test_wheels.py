"""A wheel that pip takes, without a network."""

import subprocess
import sys

import pytest

from daskclass import wheels
from daskclass.errors import Problem


def test_pip_installs_it_and_it_can_be_imported(tmp_path):
    wheel = wheels.make(tmp_path, "greeting", "1.2", "def hello():\n    return 'hello'\n")
    assert wheel.name == "greeting-1.2-py3-none-any.whl"
    target = tmp_path / "packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(pip, check=True)
    program = "import greeting, importlib.metadata as m; print(greeting.hello(), m.version('greeting'))"
    said = subprocess.run(
        [sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(target)}, capture_output=True, text=True
    )
    assert said.stdout == "hello 1.2\n"


@pytest.mark.parametrize("name", ["my-package", "1st", ""])
def test_what_cannot_be_imported_is_refused(tmp_path, name):
    with pytest.raises(Problem, match="can't import a module called"):
        wheels.make(tmp_path, name, "1.0", "")
    assert list(tmp_path.iterdir()) == []
