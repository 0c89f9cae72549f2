"""What do we use of Jupyter beyond its documented interfaces? For Dask, see `watch.dask_internals`."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from jupyter_core.utils import run_sync

from daskclass.errors import Problem

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient


class UpstreamChanged(Problem):
    """This Jupyter lacks an internal interface that the class relies on."""


@contextlib.contextmanager
def leaning_on(package: str, file: str) -> Iterator[None]:
    """If something in `file` of `package` is missing, raise an `UpstreamChanged` that names the release."""
    try:
        yield
    except (AttributeError, TypeError) as error:
        raise UpstreamChanged(
            f"{package} {version(package)} has changed {file} ({type(error).__name__}: {error}): install the versions "
            "of requirements.lock"
        ) from error


def pid(client: NotebookClient) -> int:
    """Number of the kernel's process. Leans on jupyter_client/provisioning/local_provisioner.py."""
    with leaning_on("jupyter_client", "jupyter_client/provisioning/local_provisioner.py"):
        return _process(client).pid


def exit_status(client: NotebookClient) -> int | None:
    """The kernel's exit status, negative for a signal; None while it runs. Leans on the same file as `pid`."""
    with leaning_on("jupyter_client", "jupyter_client/provisioning/local_provisioner.py"):
        return _process(client).poll()


def interrupt(client: NotebookClient) -> None:
    """Interrupt the running cell, as JupyterLab's stop button does. Leans on jupyter_core/utils/__init__.py."""
    with leaning_on("jupyter_core", "jupyter_core/utils/__init__.py"):
        run_sync(cast("AsyncKernelManager", client.km).interrupt_kernel)()


def _process(client: NotebookClient) -> subprocess.Popen[bytes]:
    """The process of a kernel that was started. Kernels of this machine have one; the base class promises none."""
    process: subprocess.Popen[bytes] = cast(Any, client.km).provisioner.process
    return process


def save_workspace(folder: Path, name: str, layout: dict[str, Any]) -> Path:
    """Write a layout into JupyterLab's workspaces folder, replacing an earlier one. Return the file.

    Leans on jupyterlab_server/workspaces_handler.py, which names the file.
    """
    # It brings all of Jupyter's server, two seconds of processor time that no rehearsal needs.
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    with leaning_on("jupyterlab_server", "jupyterlab_server/workspaces_handler.py"):
        return Path(WorkspacesManager(str(folder)).save(name, json.dumps(layout)))
