"""A wheel that pip takes, without a network."""

import subprocess
import sys

from daskclass import wheels


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
