"""Set-up: real environments, from wheels in a folder, in checkouts whose lock has one small package."""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import check_lock
import environment
from daskclass import wheels

ROOT = Path(__file__).resolve().parents[1]

# The one package of the lock. It is also what builds the checkout: an editable install of `src`.
BACKEND = """
import pathlib
import zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    about = "daskclass-1.0.dist-info/"
    with zipfile.ZipFile(pathlib.Path(folder) / "daskclass-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("daskclass.pth", str(pathlib.Path.cwd() / "src"))
        wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\\nName: daskclass\\nVersion: 1.0\\n")
        wheel.writestr(about + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(about + "RECORD", "".join(name + ",,\\n" for name in [*wheel.namelist(), about + "RECORD"]))
    return "daskclass-1.0-py3-none-any.whl"
"""


def pin(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def wheel_of_scripts(folder: Path, name: str, version: str, tag: str, scripts: dict[str, bytes]) -> Path:
    """Write a wheel that has nothing but commands."""
    wheel = folder / f"{name}-{version}-{tag}.whl"
    about = f"{name}-{version}.dist-info/"
    with zipfile.ZipFile(wheel, "w") as archive:
        for script, content in scripts.items():
            entry = zipfile.ZipInfo(f"{name}-{version}.data/scripts/{script}")
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, content)
        archive.writestr(about + "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(about + "WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        archive.writestr(about + "RECORD", "".join(f"{file},,\n" for file in [*archive.namelist(), about + "RECORD"]))
    return wheel


@pytest.fixture(scope="module")
def real_uv(tmp_path_factory) -> Path:
    """The wheel of the uv that set up this very environment, so that no network is needed."""
    try:
        uv = importlib.metadata.distribution("uv")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("uv isn't in this environment: it was set up with pip")
    tag = next(line.split()[1] for line in uv.read_text("WHEEL").splitlines() if line.startswith("Tag:"))
    commands = [Path(str(file.locate())) for file in uv.files if file.stem == "uv" and file.suffix in ("", ".exe")]
    content = {command.name: command.read_bytes() for command in commands if command.is_file()}
    assert content, "uv has no command"
    return wheel_of_scripts(tmp_path_factory.mktemp("uv"), "uv", uv.version, tag, content)


@dataclass
class Checkout:
    """A checkout with the class's Makefile and set-up, and what it needs instead of an index."""

    folder: Path
    wheels: Path
    home: Path

    @property
    def ready(self) -> Path:
        return self.folder / ".venv" / ".ready"

    def variables(self, **more: str) -> dict[str, str]:
        # Of a make that runs these tests, too, this set-up is to know nothing.
        foreign = ("PIP_", "UV_", "PYTHON", "MAKE", "MFLAGS")
        ours = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        homes = dict.fromkeys(("HOME", "USERPROFILE", "APPDATA", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), str(self.home))
        return {**ours, **homes, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), **more}

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command or [sys.executable, "-I", "tools/environment.py"],
            cwd=self.folder,
            env=self.variables(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def add(self, lock: str, *new: Path) -> None:
        """Offer wheels, and pin them in a lock."""
        for wheel in new:
            shutil.copy(wheel, self.wheels)
        (self.folder / lock).write_text("".join(pin(wheel) for wheel in new))

    def python(self, program: str) -> str:
        python = environment.inside(self.folder / ".venv", "python")
        return subprocess.run([python, "-I", "-c", program], check=True, capture_output=True, text=True).stdout.strip()

    def works(self) -> bool:
        """Whether lock, checkout and pip are in the environment."""
        program = "import greeting, importlib.metadata as m; print(m.version('greeting'), m.version('daskclass'), %s)"
        return self.python(program % "bool(m.version('pip'))") == "1.2 1.0 True"


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    made = Checkout(tmp_path / "Müller's [2025] #1 kurs 50% ok", tmp_path / "wheels", tmp_path / "home")
    for folder in (made.folder / "tools", made.folder / "src", made.wheels, made.home):
        folder.mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", made.folder)
    shutil.copy(ROOT / "tools" / "environment.py", made.folder / "tools")
    (made.folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["greeting==1.2"]\nbuild-backend = "greeting"\n'
        '[project]\nname = "daskclass"\nversion = "1.0"\n'
    )
    made.add("requirements.lock", wheels.make(tmp_path, "greeting", "1.2", BACKEND))
    shutil.copy(ROOT / "requirements-uv.lock", made.folder)
    return made


@pytest.mark.skipif(not shutil.which("make"), reason="Windows has no make")
def test_variables_meant_for_other_installations_are_ignored(checkout, real_uv, tmp_path):
    checkout.add("requirements-uv.lock", real_uv)
    elsewhere = tmp_path / "elsewhere"
    shadows = tmp_path / "shadows"
    shadows.mkdir()
    for name in ("argparse", "pip", "greeting"):
        (shadows / f"{name}.py").write_text("raise SystemExit('from PYTHONPATH')\n")
    made = checkout.run(
        "make",
        f"PYTHON={sys.executable}",
        ".venv/.ready",
        PIP_USER="yes",
        PIP_TARGET=str(elsewhere / "target"),
        PIP_PREFIX=str(elsewhere / "prefix"),
        PIP_ROOT=str(elsewhere / "root"),
        PIP_DRY_RUN="1",
        PIP_NO_BINARY=":all:",
        PIP_PYTHON="/nowhere/python",
        PIP_CONSTRAINT="/nowhere/constraints.txt",
        UV_SYSTEM_PYTHON="1",
        UV_PYTHON="3.5",
        UV_PROJECT_ENVIRONMENT=str(elsewhere / "project"),
        UV_WORKING_DIR="/nowhere",
        UV_EXCLUDE_NEWER="2001-01-01",
        PYTHONHOME="/nowhere",
        PYTHONPATH=str(shadows),
    )
    assert made.returncode == 0, made.stdout
    assert made.stdout.splitlines() == ["installing the versions of requirements.lock into .venv (once)"]
    assert checkout.works()
    assert checkout.ready.exists()
    assert not elsewhere.exists()


def test_without_uv_pip_installs_and_its_files_count_only_for_the_way_to_the_packages(checkout, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    file = tmp_path / "pip.conf"
    file.write_text(
        textwrap.dedent(f"""
            [global]
            quiet = 1
            no-index = true
            find-links = {checkout.wheels}
            [install]
            user = true
            target = {elsewhere}
            """)
    )
    made = checkout.run(PIP_CONFIG_FILE=str(file), PIP_NO_INDEX="", PIP_FIND_LINKS="")
    assert made.returncode == 0, made.stdout
    [_, told] = made.stdout.splitlines()
    assert told.startswith("uv can't be installed here (ERROR: ")
    assert told.endswith("). pip installs the packages instead, which takes a minute or two.")
    assert checkout.works()
    assert not elsewhere.exists()


def test_where_uv_fails_pip_installs_and_packages_can_be_added(checkout, tmp_path):
    broken = {"uv": b"#!/bin/sh\necho 'warning: slow' >&2\necho 'error: no such index' >&2\nexit 2\n"}
    checkout.add("requirements-uv.lock", wheel_of_scripts(tmp_path, "uv", "0.1", "py3-none-any", broken))
    made = checkout.run()
    assert made.returncode == 0, made.stdout
    told = (
        "uv can't install here (error: no such index). pip installs the packages instead, which takes a minute or two."
    )
    if sys.platform != "win32":  # which has other words for a command that isn't an .exe
        assert made.stdout.splitlines()[1:] == [told]
    assert checkout.works()

    before = checkout.ready.stat().st_mtime_ns
    checkout.add("requirements-peers.lock", wheels.make(tmp_path, "polar_bear", "3.0", ""))
    added = checkout.run(sys.executable, "-I", "tools/environment.py", "peers")
    assert added.returncode == 0, added.stdout
    assert checkout.python("import polar_bear") == ""
    assert checkout.works()
    assert checkout.ready.stat().st_mtime_ns == before, "make would set up everything that depends on it again"


def test_uv_is_not_believed_where_its_own_file_sends_packages_elsewhere(checkout, real_uv, tmp_path):
    checkout.add("requirements-uv.lock", real_uv)
    file = tmp_path / "uv.toml"
    file.write_text(f"[pip]\ntarget = '{(tmp_path / 'elsewhere').as_posix()}'\n")
    made = checkout.run(UV_CONFIG_FILE=str(file))
    assert made.returncode == 0, made.stdout
    assert "uv can't install here (it reports success, but greeting isn't in .venv)." in made.stdout
    assert checkout.works()


def test_a_failed_set_up_does_not_look_finished(checkout, real_uv):
    checkout.add("requirements-uv.lock", real_uv)
    checkout.ready.parent.mkdir()
    checkout.ready.touch()
    wheels.make(checkout.wheels, "greeting", "1.2", BACKEND + "# not the file that the lock names\n")
    failed = checkout.run()
    assert failed.returncode == 1
    assert "uv can't install here" in failed.stdout
    assert "DO NOT MATCH THE HASHES" in failed.stdout
    assert failed.stdout.splitlines()[-1].startswith("pip can't install the packages")
    assert not checkout.ready.exists()
    assert not environment.inside(checkout.ready.parent, "daskclass").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal for one process")
def test_an_interrupted_set_up_does_not_look_finished(checkout):
    checkout.ready.parent.mkdir()
    checkout.ready.touch()
    hearing = "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler);"
    program = f"{hearing} runpy.run_path('tools/environment.py', run_name='__main__')"
    running = subprocess.Popen(
        [sys.executable, "-I", "-c", program],
        cwd=checkout.folder,
        env=checkout.variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    running.stdout.readline()
    os.killpg(running.pid, signal.SIGINT)
    _, complaint = running.communicate()
    assert running.returncode == 1
    assert complaint.splitlines()[-1] == "interrupted; run the same command again"
    assert not checkout.ready.exists()


def test_nothing_is_added_to_an_environment_that_is_not_finished(checkout):
    refused = checkout.run(sys.executable, "-I", "tools/environment.py", "browser")
    assert refused.returncode == 1
    assert "no finished .venv" in refused.stdout
    assert not checkout.ready.parent.exists()


@pytest.mark.parametrize(
    ("version", "system", "told"),
    [
        (
            "3.10",
            "linux-x86_64",
            "daskclass needs Python 3.11 to 3.14; .* is Python 3.10. Choose another one: make PYTHON=",
        ),
        ("3.15", "linux-x86_64", "daskclass needs Python 3.11 to 3.14"),
        ("3.13", "darwin-x86_64", "Linux on ARM, macOS on Apple silicon, .* is for darwin-x86_64. Use the containers"),
        ("3.13", "win-arm64", "is for win-arm64. Use the containers"),
    ],
)
def test_a_python_without_packages_is_refused_before_anything_happens(version, system, told):
    with pytest.raises(environment.CannotSetUp, match=told):
        environment.check_python(version, system)


def test_this_python_is_served():
    environment.check_python("{}.{}".format(*sys.version_info), environment.this_system())


def test_what_leads_to_the_packages_goes_on_working():
    ways = {
        "HTTPS_PROXY": "http://proxy.example:3128",
        "SSL_CERT_FILE": "/etc/company.pem",
        "PIP_INDEX_URL": "https://index.example/simple",
        "PIP_CERT": "/etc/pip.pem",
        "PIP_CONFIG_FILE": "/etc/company/pip.conf",
        "UV_DEFAULT_INDEX": "https://uv.example/simple",
        "UV_INDEX_COMPANY_PASSWORD": "secret",
        "UV_HTTP_TIMEOUT": "90",
        "UV_CONFIG_FILE": "/etc/company/uv.toml",
    }
    assert environment.without_settings({**ways, "PIP_USER": "1", "UV_TARGET": "x", "PYTHONPATH": "y"}) == ways


def test_uv_is_told_what_pip_knows_unless_it_knows_better():
    pips = {
        "index-url": "https://index.example/simple",
        "find-links": "/wheels /more",
        "cert": "/etc/pip.pem",
        "proxy": "http://proxy.example:3128",
    }
    told = environment.passed_on({"SSL_CERT_FILE": "/etc/own.pem"}, pips)
    assert told == {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "https://index.example/simple",
        "PIP_FIND_LINKS": "/wheels /more",
        "PIP_CERT": "/etc/pip.pem",
        "PIP_PROXY": "http://proxy.example:3128",
        "UV_DEFAULT_INDEX": "https://index.example/simple",
        "UV_FIND_LINKS": "/wheels,/more",
        "SSL_CERT_FILE": "/etc/own.pem",
        "ALL_PROXY": "http://proxy.example:3128",
    }
    assert "UV_DEFAULT_INDEX" not in environment.passed_on({"UV_INDEX_URL": "https://uv.example/simple"}, pips)


def test_the_readme_promises_the_systems_and_pythons_that_the_lock_is_checked_for():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("| system | Python |")
    rows = [line.strip("| ").split(" | ") for line in itertools.takewhile(str.strip, lines[start + 2 :])]
    assert rows == [[served.name, ", ".join(environment.PYTHONS)] for served in environment.PLATFORMS]


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for uv")
def test_checking_the_lock_names_each_system_and_python_that_it_does_not_serve(tmp_path):
    uv = tmp_path / "uv"
    uv.write_text(
        "#!/bin/sh\n"
        'case "$*" in *"--only-binary :all:"*"--python-platform aarch64-apple-darwin --python-version 3.12 "*)\n'
        "echo 'abacus==1.0 has no usable wheels' >&2; exit 1;; esac\n"
    )
    uv.chmod(0o755)
    command = [sys.executable, check_lock.__file__, str(uv)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 1
    lines = checked.stdout.splitlines()
    assert len(lines) == len(environment.PLATFORMS) * len(environment.PYTHONS)
    others = [line for line in lines if not line.endswith(": every package has a wheel")]
    assert others == ["macOS on Apple silicon, Python 3.12: abacus==1.0 has no usable wheels"]
    assert checked.stderr.startswith("The README lists 1 combination(s) that requirements.lock doesn't support.")
