"""What we ask of Jupyter beyond its documented interfaces is there, or an error says that it is not."""

import json
import os
import signal
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from daskclass.commands import jupyter_internals
from daskclass.commands.jupyter_internals import UpstreamChanged
from daskclass.system.waiting import until


@pytest.fixture
def client(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    client = NotebookClient(nbformat.v4.new_notebook(), resources={"metadata": {"path": str(tmp_path)}})
    with client.setup_kernel():
        yield client


@pytest.mark.skipif(os.name != "posix", reason="on Windows a process has no exit status that names a signal")
def test_a_kernel_has_a_process_and_then_an_exit_status(client):
    process = psutil.Process(jupyter_internals.pid(client))
    assert "ipykernel_launcher" in " ".join(process.cmdline())
    assert jupyter_internals.exit_status(client) is None
    process.kill()
    assert until(lambda: jupyter_internals.exit_status(client), "the kernel's end") == -signal.SIGKILL


def test_a_workspace_is_saved_where_jupyterlab_finds_it(tmp_path):
    layout = {"data": {"one": 1}, "metadata": {"id": "default"}}
    file = jupyter_internals.save_workspace(tmp_path, "default", layout)
    assert file.is_relative_to(tmp_path)
    assert json.loads(file.read_text()) == layout


@pytest.mark.parametrize(
    ("ask", "file"),
    [
        (jupyter_internals.pid, "jupyter_client/provisioning/local_provisioner.py"),
        (jupyter_internals.exit_status, "jupyter_client/provisioning/local_provisioner.py"),
        (jupyter_internals.interrupt, "jupyter_core/utils/__init__.py"),
    ],
)
def test_what_upstream_no_longer_has_is_an_error_that_names_the_release(ask, file):
    with pytest.raises(UpstreamChanged, match=rf"jupyter_\w+ \d+\.\d+.* has changed {file}"):
        ask(SimpleNamespace(km=SimpleNamespace()))
