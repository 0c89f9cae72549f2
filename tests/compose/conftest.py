"""A fresh copy of the checkout and the cluster of containers that it describes, on this machine's Docker engine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daskclass.sales import open_sales

ROOT = Path(__file__).parents[2]
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
TOKEN = "a-token-of-this-test"


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.compose)


@dataclass
class Stack:
    """One project of Docker Compose."""

    folder: Path
    project: str
    settings: dict[str, str]
    files: list[str] = field(default_factory=lambda: ["docker-compose.yml"])

    def compose(self, *arguments, check=True, timeout=600) -> subprocess.CompletedProcess:
        """Run ``docker compose …`` in the folder."""
        files = [word for name in self.files for word in ("-f", name)]
        done = subprocess.run(
            ["docker", "compose", *files, "-p", self.project, *arguments],
            cwd=self.folder,
            env={**os.environ, **self.settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def up(self, workers: int) -> None:
        """Start what is not running, with so many workers, and wait until all is healthy and known to the scheduler."""
        self.compose("up", "-d", "--no-recreate", "--scale", f"worker={workers}", timeout=1800)
        self.wait_for_workers(workers)
        deadline = time.monotonic() + 120
        while unhealthy := [one["Name"] for one in self.containers() if one["State"]["Health"]["Status"] != "healthy"]:
            assert time.monotonic() < deadline, f"not healthy: {unhealthy}"
            time.sleep(0.5)

    def wait_for_workers(self, count: int, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while (found := self.known_workers()) != count:
            assert time.monotonic() < deadline, f"{found} workers after {seconds} s, not {count}"
            time.sleep(0.5)

    def known_workers(self) -> int | None:
        """How many workers the scheduler says it has; None if it does not answer."""
        port = self.settings["DASKCLASS_DASHBOARD_PORT"]
        try:
            with OPENER.open(f"http://127.0.0.1:{port}/json/counts.json", timeout=5) as answer:
                return json.load(answer)["workers"]
        except (OSError, ValueError):
            return None

    def run(self, source: str, *, cwd="/class", check=True, timeout=300) -> subprocess.CompletedProcess:
        """Run Python in the notebook's container."""
        return self.compose("exec", "-T", "-w", cwd, "notebook", "python", "-c", source, check=check, timeout=timeout)

    def start(self, source: str, stdin=subprocess.DEVNULL) -> subprocess.Popen:
        """Run Python in the notebook's container, meanwhile."""
        files = [word for name in self.files for word in ("-f", name)]
        command = [
            "docker",
            "compose",
            *files,
            "-p",
            self.project,
            "exec",
            "-T",
            "notebook",
            "python",
            "-u",
            "-c",
            source,
        ]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **self.settings},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def containers(self, service: str | None = None) -> list[dict]:
        """What the engine says of the running containers of one service, or of all."""
        ids = self.compose("ps", "-q", *([service] if service else [])).stdout.split()
        found = subprocess.run(["docker", "inspect", *ids], check=True, capture_output=True, text=True).stdout
        return [one for one in json.loads(found) if one["State"]["Running"]]

    def jupyter(self, path: str, token: str | None = TOKEN, method="GET", body=None) -> tuple[int, bytes]:
        """Status and answer of JupyterLab."""
        headers = {"Authorization": f"token {token}"} if token is not None else {}
        url = f"http://127.0.0.1:{self.settings['DASKCLASS_JUPYTER_PORT']}{path}"
        request = urllib.request.Request(url, data=body, headers=headers, method=method)
        try:
            with OPENER.open(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


def free_ports(count: int) -> list[str]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture(scope="session")
def copy(tmp_path_factory) -> Path:
    """What git knows, and the small data; owned by the user that the containers run as."""
    folder = tmp_path_factory.mktemp("clone") / "daskclass"
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    shutil.copytree(open_sales("smoke").folder, folder / "data" / "smoke")
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 1000, 1000)
    for above in (folder.parent, *folder.parent.parents):  # pytest's folders are closed to others
        if above.name.startswith("pytest-"):
            above.chmod(0o755)
    folder.parent.chmod(0o755)
    return folder


def settings() -> dict[str, str]:
    jupyter, dashboard, scheduler = free_ports(3)
    owner = {} if os.geteuid() == 0 else {"DASKCLASS_UID": str(os.getuid()), "DASKCLASS_GID": str(os.getgid())}
    return owner | {
        "DASKCLASS_JUPYTER_PORT": jupyter,
        "DASKCLASS_DASHBOARD_PORT": dashboard,
        "DASKCLASS_SCHEDULER_PORT": scheduler,
        "DASKCLASS_TOKEN": TOKEN,
        "DASKCLASS_SIZE": "smoke",
    }


@pytest.fixture(scope="session")
def shared_stack(copy):
    stack = Stack(copy, f"daskclass-test-{os.getpid()}", settings())
    try:
        stack.compose("up", "--build", "-d", "--scale", "worker=2", timeout=1800)
        yield stack
    finally:
        stack.compose("down", "-v", "-t", "2", check=False)


@pytest.fixture
def stack(shared_stack):
    """The cluster with two workers and everything healthy, whatever the test before did to it."""
    shared_stack.up(2)
    return shared_stack


@pytest.fixture
def full_stack(copy):
    """One worker whose spill volume holds 20 MB."""
    (copy / "full.yml").write_text(
        "volumes:\n  spill:\n    driver_opts: {type: tmpfs, device: tmpfs, o: 'size=20m,mode=1777'}\n"
    )
    stack = Stack(copy, f"daskclass-full-{os.getpid()}", settings(), ["docker-compose.yml", "full.yml"])
    try:
        stack.up(1)
        yield stack
    finally:
        stack.compose("down", "-v", "-t", "2", check=False)
