"""A fresh copy of the checkout and the cluster of containers that it describes, on this machine's Docker engine."""

from __future__ import annotations

import json
import os
import re
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

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.settings}

    def command(self, *arguments: str) -> list[str]:
        files = [word for name in self.files for word in ("-f", name)]
        return ["docker", "compose", *files, "-p", self.project, *arguments]

    def compose(self, *arguments, check=True, timeout=600) -> subprocess.CompletedProcess:
        """Run ``docker compose …`` in the folder."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def up(self, workers: int) -> None:
        """Start what is not running, with so many workers, and wait until all is healthy and known to the scheduler."""
        self.compose(
            *("up", "--detach", "--wait", "--wait-timeout", "180", "--no-build", "--no-recreate"),
            *("--timeout", "2", "--scale", f"worker={workers}"),
        )
        self.wait_for_workers(workers)

    def down(self) -> None:
        """Remove containers, spill volume, network and the image's name, without patience."""
        self.compose("down", "--volumes", "--timeout", "1", "--rmi", "all", check=False)

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
        return subprocess.Popen(
            self.command("exec", "-T", "notebook", "python", "-u", "-c", source),
            cwd=self.folder,
            env=self.environment,
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
            with OPENER.open(request, timeout=240) as answer:
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
    """What git knows, and the small data; owned by the user that the containers run as.

    No letter of the folder's name is one that Compose allows in a project's name.
    """
    folder = tmp_path_factory.mktemp("clone") / "课程" / "数据"
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
    hand_over(folder)
    for above in folder.parents:  # pytest's folders are closed to others
        if above.owner() == folder.parent.owner() and above.is_relative_to(tmp_path_factory.getbasetemp().parent):
            above.chmod(0o755)
    return folder


def hand_over(folder: Path) -> None:
    """Give a folder to the user that the containers run as."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 1000, 1000)


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
        stack.compose("up", "--build", "--detach", "--wait", "--scale", "worker=2", timeout=1800)
        yield stack
    finally:
        stack.down()


@pytest.fixture
def stack(shared_stack):
    """The cluster with two workers and everything healthy, whatever the test before did to it."""
    shared_stack.up(2)
    return shared_stack


@pytest.fixture
def another_stack(shared_stack):
    """Makes further projects of the same checkout and image, with one worker; they end with the test."""
    stacks = []

    def make(name: str, workers: int = 1, files: tuple[str, ...] = (), **further_settings: str) -> Stack:
        project = f"daskclass-{name}-{os.getpid()}"
        subprocess.run(["docker", "tag", shared_stack.project, project], check=True)
        stack = Stack(shared_stack.folder, project, settings() | further_settings, ["docker-compose.yml", *files])
        stacks.append(stack)
        stack.up(workers)
        return stack

    yield make
    for stack in stacks:
        stack.down()


@pytest.fixture
def two_checkouts(copy, tmp_path_factory):
    """A project name that no other checkout here has, and two folders of it, each with its settings."""
    project = f"daskclass-both-{os.getpid()}"
    above = tmp_path_factory.mktemp("two")
    above.chmod(0o755)
    folders = [above / name / "数据" for name in ("first", "second")]
    for folder in folders:
        shutil.copytree(copy, folder, ignore=shutil.ignore_patterns("data"))
        (folder / "data").mkdir()
        described = folder / "docker-compose.yml"
        own = f'name: "${{COMPOSE_PROJECT_NAME:-{project}}}"'
        text, count = re.subn(r"(?m)^name: .*$", own, described.read_text())
        assert count == 1
        described.write_text(text)
        hand_over(folder)
    yield project, *((folder, settings()) for folder in folders)
    for folder in folders:
        name = subprocess.run(
            ["sh", "tools/compose_project.sh"], cwd=folder, check=True, capture_output=True, text=True
        )
        Stack(folder, name.stdout.strip(), settings()).down()


@pytest.fixture
def full_stack(copy, another_stack):
    """One worker whose spill volume holds 20 MB."""
    (copy / "full.yml").write_text(
        "volumes:\n  spill:\n    driver_opts: {type: tmpfs, device: tmpfs, o: 'size=20m,mode=1777'}\n"
    )
    return another_stack("full", files=("full.yml",))


@pytest.fixture
def docker_behind_a_proxy(tmp_path) -> Path:
    """A configuration of Docker's command line as in a company: every container gets a proxy. This one is dead."""
    real = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    folder = tmp_path / "docker"
    folder.mkdir()
    for name in ("cli-plugins", "contexts"):
        if (real / name).exists():
            (folder / name).symlink_to(real / name)
    said = json.loads((real / "config.json").read_text()) if (real / "config.json").exists() else {}
    context = {"currentContext": said["currentContext"]} if "currentContext" in said else {}
    dead = "http://127.0.0.1:9"
    proxies = {"default": {"httpProxy": dead, "httpsProxy": dead, "noProxy": ".corp.example"}}
    (folder / "config.json").write_text(json.dumps(context | {"proxies": proxies}))
    return folder
