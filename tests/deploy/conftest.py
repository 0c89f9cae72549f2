"""Machines for tests: four containers of a project of their own, which end with the tests."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daskclass.system import ports

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "machines" / "compose.yml"
TOKEN = "machines-of-a-test"


@dataclass
class Machines:
    """A project of ours. What it starts is gone after `down`."""

    project: str
    settings: dict[str, str]
    files: list[Path] = field(default_factory=lambda: [FILE])

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DASKCLASS_", "COMPOSE_"))}
        named = {"MACHINES_PROJECT": self.project, "COMPOSE_PROJECT_NAME": self.project}
        return kept | named | {"CLASS_IMAGE": f"{self.project}-class"} | self.settings

    def start(self) -> subprocess.CompletedProcess[str]:
        """As `make machines` does."""
        return subprocess.run(
            ["sh", "tools/machines_up.sh"], cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=900
        )

    def compose(self, *arguments: str, check: bool = True, **options) -> subprocess.CompletedProcess[str]:
        files = [word for file in self.files for word in ("--file", str(file))]
        run = subprocess.run(
            ["docker", "compose", *files, *arguments],
            cwd=ROOT,
            env=self.environment,
            text=True,
            encoding="utf-8",
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )
        assert not check or run.returncode == 0, run.stdout
        return run

    def run(self, machine: str, *command: str, user: str = "learner", check: bool = True, **options):
        """A command on a machine, as a user who has logged in there."""
        home = ["env", f"HOME=/home/{user}", f"USER={user}"] if user != "root" else []
        return self.compose("exec", "-T", "--user", user, machine, *home, *command, check=check, **options)

    def left(self) -> list[str]:
        """Containers, volumes and networks of this project."""
        label = f"label=com.docker.compose.project={self.project}"
        return [
            line
            for kind in (["ps", "--all"], ["volume", "ls"], ["network", "ls"])
            for line in subprocess.run(
                ["docker", *kind, "--quiet", "--filter", label], check=True, capture_output=True, text=True
            ).stdout.split()
        ]

    def get(self, path: str, token: str | None = None) -> tuple[int, str]:
        """What JupyterLab answers, without following it elsewhere."""

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_arguments):
                return None

        headers = {"Authorization": f"token {token}"} if token else {}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.settings['DASKCLASS_MACHINES_PORT']}{path}", None, headers
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay)
        try:
            with opener.open(request, timeout=240) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def inspect(self, machine: str) -> dict:
        identity = self.compose("ps", "--quiet", machine).stdout.strip()
        found = subprocess.run(["docker", "inspect", identity], check=True, capture_output=True, text=True).stdout
        return json.loads(found)[0]

    def down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "2", check=False)
        for image in (self.project, f"{self.project}-class"):
            subprocess.run(["docker", "rmi", image], capture_output=True, check=False)


def machines_of(name: str, **more: str) -> Machines:
    """A project that isn't started yet, with a free port."""
    settings = {"DASKCLASS_MACHINES_PORT": str(ports.free()), "DASKCLASS_TOKEN": TOKEN} | more
    return Machines(f"daskclass-{name}-{os.getpid()}", settings)


@pytest.fixture(scope="session")
def started() -> Iterator[Machines]:
    """Four machines that run, and in the head a copy of what git knows."""
    machines = machines_of("machines")
    try:
        run = machines.start()
        assert run.returncode == 0, run.stdout + run.stderr
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        ).stdout
        packed = subprocess.run(
            ["tar", "--create", "--null", "--files-from=-", "--ignore-failed-read"],
            cwd=ROOT,
            check=True,
            input=names,
            stdout=subprocess.PIPE,
        ).stdout
        files = [word for file in machines.files for word in ("--file", str(file))]
        unpack = "mkdir -p /home/learner/checkout && tar --extract --directory /home/learner/checkout"
        subprocess.run(
            ["docker", "compose", *files, "exec", "-T", "--user", "learner", "head", "sh", "-c", unpack],
            env=machines.environment,
            check=True,
            input=packed,
        )
        yield machines
    finally:
        machines.down()
    assert machines.left() == []


@pytest.fixture
def another() -> Iterator:
    """Makes further machines; they end with the test."""
    made: list[Machines] = []

    def make(name: str, **more: str) -> Machines:
        made.append(machines_of(name, **more))
        return made[-1]

    yield make
    for machines in made:
        machines.down()
