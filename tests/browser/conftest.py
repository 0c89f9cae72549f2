"""A real browser, and the class as `daskclass lab` runs it; nothing may be fetched from elsewhere."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import browser

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "browser"


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass
class Watched:
    """What pages asked for and complained about."""

    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def elsewhere(self) -> list[str]:
        """What was asked of other machines."""
        own = ("127.0.0.1", "localhost", None)
        return [url for url in self.asked if urlsplit(url).hostname not in own]


@pytest.fixture(scope="session")
def installed() -> str:
    """Path of a Chromium."""
    found = browser.find()
    assert found, browser.MISSING
    return found


@pytest.fixture(scope="session")
def chromium(installed):
    with browser.running(installed) as running:
        yield running


@pytest.fixture
def page(chromium):
    """A page in a profile of its own."""
    context = chromium.new_context(viewport={"width": 1600, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture
def watched(page) -> Watched:
    seen = Watched()
    page.on("request", lambda request: seen.asked.append(request.url))
    page.on("console", lambda said: seen.errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    return seen


@pytest.fixture
def shot(page, request):
    """Keep a picture of the page, to be looked at."""

    def keep(name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png")

    return keep


@pytest.fixture
def checkout(tmp_path) -> Path:
    """The labs in a folder of their own: whoever presses Run All saves what came out."""
    shutil.copytree(ROOT / "labs", tmp_path / "class" / "labs", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    return tmp_path / "class"


@dataclass(frozen=True)
class Session:
    address: str
    dashboard: str
    said: str


@pytest.fixture(scope="session")
def sales_data(tmp_path_factory):
    """The data at size smoke, made once."""
    from daskclass import sales, sizes

    folder = tmp_path_factory.mktemp("data")
    sales.make(sizes.SMOKE, folder / "smoke", threads=2)
    return folder


@pytest.fixture
def start(checkout, sales_data, tmp_path):
    """Run ``daskclass lab`` in the checkout until the test ends."""
    running = []
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DASK", "JUPYTER"))}
    environment = kept | {
        "DASKCLASS_DATA": str(sales_data),
        "DASKCLASS_SIZE": "smoke",
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
        "PYTHONUNBUFFERED": "1",
    }

    def run(**more: str) -> Session:
        log = tmp_path / f"daskclass-lab-{len(running)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "daskclass", "lab", "--no-browser"],
                cwd=checkout,
                env=environment | more,
                stdout=output,  # a pipe that nobody reads fills up, and then its writers stand still
                stderr=subprocess.STDOUT,
            )
        running.append(process)
        while "\nJupyterLab:" not in (said := log.read_text(encoding="utf-8")) or not said.endswith("\n"):
            assert process.poll() is None, said
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.2)
        found = dict(re.findall(r"^(Dashboard|JupyterLab): +(\S+)$", said, re.M))
        assert set(found) == {"Dashboard", "JupyterLab"}, said
        return Session(found["JupyterLab"], found["Dashboard"], said)

    yield run
    for process in running:
        process.terminate()
        process.wait(timeout=240)
