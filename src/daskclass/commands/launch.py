"""What runs while a learner works on a lab? The data, the class cluster, and JupyterLab. They all stop together."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from distributed import LocalCluster

import daskclass
from daskclass import clusters, sales, sizes
from daskclass.commands import workspace
from daskclass.errors import Problem, UsageProblem
from daskclass.system import checkout, ports
from daskclass.system.signals import held_back, until_terminated

DASHBOARD_PORT, JUPYTER_PORT = 8787, 8888
_SETTINGS = Path(daskclass.__file__).parent / "jupyter"  # the image has a copy of this folder
_START_SECONDS = 120
_EXIT_SECONDS = 5.0


def lab(size: sizes.Size, *, port: int | None = None, browser: bool = True) -> None:
    """Run the class until Ctrl-C, or until JupyterLab is shut down from its menu.

    Parameters
    ----------
    size : sizes.Size
    port : int, optional
        JupyterLab's port. By default 8888 or, if that is taken, a free one.
    browser : bool
        Also open the address in a browser.

    Raises
    ------
    UsageProblem
        If `port` is taken.
    Problem
        If this isn't a clone of the class, Dask's settings or the data are wrong, or JupyterLab doesn't start.
    """
    root = checkout.require()
    if port is not None and not ports.is_free(port):
        raise UsageProblem(f"port {port} is taken; choose another --port, or leave the option out to use a free port")
    clusters.require_dashboard_link()  # before making gigabytes of data
    # Copied now, because nannies later set OMP_NUM_THREADS=1 and the like in this process, and labs must not get that.
    before = os.environ | {"DASKCLASS_SIZE": size.name}
    os.environ["DASKCLASS_SIZE"] = size.name  # for the workers of the class cluster
    with until_terminated():
        data = sales.open_sales(size)
        print(f"Sales data: {data.rows:,} orders in {data.folder}", flush=True)
        dashboard_port = _port_near(DASHBOARD_PORT, "the dashboard", besides=port)
        port = port or _port_near(JUPYTER_PORT, "JupyterLab")
        with contextlib.ExitStack() as stack:
            with held_back(deaf_children=True):
                cluster = stack.enter_context(clusters.start(size, dashboard_address=f"127.0.0.1:{dashboard_port}"))
            print(
                f"Cluster:    {clusters.WORKERS} workers, scheduler at {cluster.scheduler_address}",
                flush=True,
            )
            print(f"Dashboard:  {cluster.dashboard_link}", flush=True)
            with _jupyter(root, cluster, port, browser, before) as (server, address):
                print(f"JupyterLab: {address}", flush=True)
                print("Ctrl-C in this terminal stops everything.", flush=True)
                try:
                    status = server.wait()
                except KeyboardInterrupt:
                    print("\nStopping …", flush=True)
                else:
                    if status:
                        raise Problem(
                            f"JupyterLab stopped by itself with exit status {status}; see build/jupyterlab-{port}.log"
                        )
    print("Stopped JupyterLab, its kernels and the cluster.", flush=True)


def _port_near(usual: int, whose: str, besides: int | None = None) -> int:
    if usual != besides and ports.is_free(usual):
        return usual
    other = ports.free()
    print(f"Port {usual} is taken, so {whose} is on {other}.", flush=True)
    return other


@contextlib.contextmanager
def _jupyter(
    root: Path, cluster: LocalCluster, port: int, browser: bool, variables: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run JupyterLab on this machine only, with a token. Stop it and its kernels when the block ends."""
    token = secrets.token_urlsafe(24)
    log, workspaces = root / "build" / f"jupyterlab-{port}.log", root / "build" / f"workspaces-{port}"
    environment = _environment(variables, cluster.scheduler_address, token)
    # In a group of its own, so that Ctrl-C reaches only this process, which then stops everything in order.
    posix = os.name == "posix"
    address = f"http://127.0.0.1:{port}"
    server = None
    try:
        with held_back():
            try:
                workspace.write(workspaces, checkout.FIRST_LAB, cluster.dashboard_link.removesuffix("/status"))
                with log.open("wb") as output:
                    server = subprocess.Popen(
                        _command(root, port, browser, workspaces),
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=posix,
                        creationflags=0 if posix else 0x200,
                    )
            except OSError as error:
                raise Problem(f"can't write {error.filename or log}: {error.strerror}") from error
        _wait_until_answers(server, f"{address}/api/status", token, log)
        _require_token(f"{address}/api/contents")
        yield server, f"{address}/lab/tree/{checkout.FIRST_LAB}?token={token}"
    finally:
        if server is not None:
            _end(server, address, token)


_OTHER_TOKEN = (
    "your Jupyter configuration has settings of its own for that; remove `token` and `password` from it "
    "(`jupyter --paths` shows where it is)"
)


def _environment(variables: dict[str, str], scheduler: str, token: str) -> dict[str, str]:
    """The environment of JupyterLab, its kernels and its terminals."""
    return variables | {
        "DASK_SCHEDULER_ADDRESS": scheduler,
        "DASKCLASS_LAB": "1",
        # so that `daskclass` works in JupyterLab's own terminals
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), variables.get("PATH", "")]),
        # the same settings as in containers: no news pop-up, and no requests to a package index
        "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, [str(_SETTINGS), variables.get("JUPYTER_CONFIG_PATH")])),
        "JUPYTER_TOKEN": token,  # not on the command line, which other users of the machine can read
    }


def _command(root: Path, port: int, browser: bool, workspaces: Path) -> list[str]:
    """The command that starts JupyterLab, with the settings of this machine and this run."""
    return [
        *(sys.executable, "-m", "jupyterlab"),
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.base_url=/",
        f"--ServerApp.open_browser={browser}",
        f"--ServerApp.root_dir={root}",
        *(["--ServerApp.allow_root=True"] if os.name == "posix" and os.geteuid() == 0 else []),
        f"--LabApp.workspaces_dir={workspaces}",
    ]


def _wait_until_answers(server: subprocess.Popen[bytes], url: str, token: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise Problem(f"JupyterLab didn't start (exit status {server.returncode}); see {log}")
        try:
            _ask(url, token)
            return
        except urllib.error.HTTPError as refusal:
            if refusal.code in (401, 403):
                raise Problem(f"JupyterLab refuses its own token, because {_OTHER_TOKEN}") from None
            raise Problem(f"JupyterLab answered with status {refusal.code}; see {log}") from None
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(timeout=0.2)
    raise Problem(f"JupyterLab didn't answer within {_START_SECONDS} seconds; see {log}")


def _ask(url: str, token: str, method: str = "GET") -> bytes:
    request = urllib.request.Request(url, headers={"Authorization": f"token {token}"}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        content: bytes = answer.read()
        return content


def _require_token(url: str) -> None:
    """The user's Jupyter configuration can switch the token off. Then anyone on this machine could run code."""
    try:
        _ask(url, token="")
    except urllib.error.HTTPError as refusal:
        if refusal.code == 403:
            return
    except OSError as error:
        raise Problem(f"JupyterLab stopped answering while we checked its token: {error}") from error
    raise Problem(f"JupyterLab doesn't ask for its token, because {_OTHER_TOKEN}")


def _end(server: subprocess.Popen[bytes], address: str, token: str) -> None:
    """Shut down the kernels, then the server. Kill whatever doesn't stop by itself."""
    if server.poll() is not None:
        return
    patience = [(15.0, server.terminate), (15.0, server.kill)]
    try:
        for kernel in json.loads(_ask(f"{address}/api/kernels", token)):
            _ask(f"{address}/api/kernels/{kernel['id']}", token, "DELETE")
        _ask(f"{address}/api/shutdown", token, "POST")
        # The server has cleaned up and stopped its event loop. If a request was unfinished, its process never ends and
        # reacts only to SIGKILL: https://github.com/jupyterlab/jupyterlab/issues/10442
        patience = [(_EXIT_SECONDS, server.kill)]
    except (OSError, ValueError):  # it does not listen yet, or no longer listens
        server.terminate()
    for seconds, harder in patience:
        try:
            server.wait(timeout=seconds)
            return
        except subprocess.TimeoutExpired:
            harder()
    server.wait()
