"""What do we ask of Jupyter beyond its documented interfaces? All of it is here, as `watch.dask_internals` for Dask."""

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
    """Jupyter does not have what the class leans on."""


@contextlib.contextmanager
def leaning_on(package: str, file: str) -> Iterator[None]:
    """Turn what is missing in `file` of `package` into an `UpstreamChanged` that names its release."""
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
    """Interrupt what the kernel runs, as the square in JupyterLab does. Leans on jupyter_core/utils/__init__.py."""
    with leaning_on("jupyter_core", "jupyter_core/utils/__init__.py"):
        run_sync(cast("AsyncKernelManager", client.km).interrupt_kernel)()


def _process(client: NotebookClient) -> subprocess.Popen[bytes]:
    """The process of a kernel that was started. Kernels of this machine have one; the base class promises none."""
    process: subprocess.Popen[bytes] = cast(Any, client.km).provisioner.process
    return process


def save_workspace(folder: Path, name: str, layout: dict[str, Any]) -> Path:
    """Write a layout into JupyterLab's folder of workspaces, in place of what was there; return the file.

    Leans on jupyterlab_server/workspaces_handler.py, which names the file.
    """
    # It brings all of Jupyter's server, two seconds of processor time that no rehearsal needs.
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    with leaning_on("jupyterlab_server", "jupyterlab_server/workspaces_handler.py"):
        return Path(WorkspacesManager(str(folder)).save(name, json.dumps(layout)))
