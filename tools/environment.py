"""Make the virtual environment of daskclass, with exactly the versions of a lock.

    python3 tools/environment.py             .venv, with requirements.lock and daskclass itself
    python3 tools/environment.py elsewhere   build/elsewhere, with requirements-elsewhere.lock
    .venv/bin/python tools/environment.py browser    adds requirements-browser.lock to .venv
    .venv/bin/python tools/environment.py peers      adds requirements-peers.lock to .venv

The Makefile calls this, and on Windows you do. uv installs the packages in seconds. Where uv can't be installed or
can't reach the packages, pip installs the same versions in a minute or two.

This needs only the standard library. On an older Python it still starts, and names the right one.
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


class Platform(NamedTuple):
    """A system that the locks support: its name in the README, in Python and in uv."""

    name: str
    python: str
    uv: str


PLATFORMS = (
    Platform("Linux on x86_64", "linux-x86_64", "x86_64-manylinux_2_28"),
    Platform("Linux on ARM", "linux-aarch64", "aarch64-manylinux_2_28"),
    Platform("macOS on Apple silicon", "darwin-arm64", "aarch64-apple-darwin"),
    Platform("Windows on x86_64", "win-amd64", "x86_64-pc-windows-msvc"),
)

# The settings of pip that say how to reach the packages. Set-up ignores all others: `user`, `target` or `no-deps` are
# meant for other installations, and break this one.
PIP_KEPT = re.compile(
    "cache-dir|cert|client-cert|default-timeout|extra-index-url|find-links|index-url|keyring-provider|no-cache-dir"
    "|no-index|proxy|retries|timeout|trusted-host|use-deprecated|use-feature"
)
# The same for uv, which has them in variables and in its own files.
UV_KEPT = re.compile(
    "UV_(CACHE_DIR|CONCURRENT_.*|CONFIG_FILE|CREDENTIALS_DIR|DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|HTTP_.*|INDEX"
    "|INDEX_.*|INSECURE_HOST|KEYRING_PROVIDER|NATIVE_TLS|NO_CACHE|NO_CONFIG|OFFLINE|REQUEST_TIMEOUT|SYSTEM_CERTS)"
)
PYTHON_KEPT = ("PYTHONIOENCODING", "PYTHONUTF8")

# uv doesn't read pip's files, so we pass these settings on. We leave out extra indexes: uv would ask them first.
UV_FROM_PIP = {
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "find-links": "UV_FIND_LINKS",
    "index-url": "UV_DEFAULT_INDEX",
    "proxy": "ALL_PROXY",
    "trusted-host": "UV_INSECURE_HOST",
}


FALLING_BACK = "pip installs the packages instead, which takes a minute or two."


class CannotSetUp(Exception):
    """The message says why, and what to do."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the virtual environment of daskclass, or add to it.")
    parser.add_argument("what", nargs="?", default="class", choices=["class", "elsewhere", "browser", "peers"])
    what = parser.parse_args().what
    try:
        check_python("{}.{}".format(*sys.version_info), this_system())
        set_up(what)
    except CannotSetUp as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit("interrupted; run the same command again")


def set_up(what: str) -> None:
    """Make the environment `what`, or add the packages `what` to the class's."""
    lock = ROOT / ("requirements.lock" if what == "class" else f"requirements-{what}.lock")
    folder = ROOT / "build" / "elsewhere" if what == "elsewhere" else ROOT / ".venv"
    variables = without_settings(dict(os.environ))
    if what in ("class", "elsewhere"):
        (folder / ".ready").unlink(missing_ok=True)
        say(f"installing the versions of {lock.name} into {folder.relative_to(ROOT).as_posix()} (once)")
        create(folder, variables)
    elif not (folder / ".ready").exists():
        raise CannotSetUp(
            "there is no finished .venv to add packages to. Make it first: make lab (Windows: py -3.13"
            " tools\\environment.py)"
        )
    variables = passed_on(variables, pip_settings(folder, variables))
    uv = get_uv(folder, variables)
    pins = ["--only-binary", ":all:", "--require-hashes", "-r", lock.name]
    uv = install(folder, variables, pins, pinned(lock), uv)
    if what == "class":
        install(folder, variables, ["--no-deps", "--no-build-isolation", "--editable", "."], ["daskclass"], uv)
    if what in ("class", "elsewhere"):
        (folder / ".ready").touch()


def this_system() -> str:
    """Return what `PLATFORMS` calls the system that this Python is made for."""
    # Windows on ARM runs a Python for x86_64. On macOS, one Python is for both processors.
    return sysconfig.get_platform() if sys.platform == "win32" else f"{sys.platform}-{platform.machine()}"


def check_python(version: str, system: str) -> None:
    """Refuse a Python or a system that the locks have no packages for."""
    if version not in PYTHONS:
        raise CannotSetUp(
            f"daskclass needs Python {PYTHONS[0]} to {PYTHONS[-1]}; {sys.executable} is Python {version}. Choose"
            " another one: make PYTHON=python3.13 lab (Windows: py -3.13 tools\\environment.py)"
        )
    if system not in [served.python for served in PLATFORMS]:
        names = ", ".join(served.name for served in PLATFORMS)
        raise CannotSetUp(
            f"daskclass's packages exist for {names}; {sys.executable} is for {system}. Use the containers: see 'On"
            " containers' in README.md"
        )


def without_settings(variables: dict[str, str]) -> dict[str, str]:
    """Return the environment variables without the settings of Python, pip and uv that set-up ignores."""

    def kept(name: str) -> bool:
        if name.startswith("PIP_"):
            return name == "PIP_CONFIG_FILE" or bool(PIP_KEPT.fullmatch(name[4:].lower().replace("_", "-")))
        if name.startswith("UV_"):
            return bool(UV_KEPT.fullmatch(name))
        return not name.startswith("PYTHON") or name in PYTHON_KEPT

    return {name: value for name, value in variables.items() if kept(name.upper())}


def create(folder: Path, variables: dict[str, str]) -> None:
    """Make an environment with nothing but pip, replacing an earlier one."""
    if subprocess.run([sys.executable, "-I", "-m", "venv", "--clear", str(folder)], env=variables).returncode:
        raise CannotSetUp(
            "Can't make a virtual environment. On Debian and Ubuntu: apt install python3-venv. On Windows:"
            f" first close JupyterLab and the terminals that use {folder.name}"
        )


def pip_settings(folder: Path, variables: dict[str, str]) -> dict[str, str]:
    """Ask pip for the settings in its files and variables that say how to reach the packages."""
    # --verbose, because a file that says `quiet` would silence the answer.
    listed = subprocess.run(
        [*pip(folder), "config", "--verbose", "list"], env=variables, stdout=subprocess.PIPE, text=True
    )
    if listed.returncode:
        raise CannotSetUp("pip can't read its configuration; it says why above. Mend that file")
    found = re.findall(r"^(global|install|:env:)\.([\w-]+)=(['\"].*)$", listed.stdout, re.MULTILINE)
    found.sort(key=lambda setting: ("global", "install", ":env:").index(setting[0]))  # the last one counts
    return {name: ast.literal_eval(value) for _, name, value in found if PIP_KEPT.fullmatch(name) and value != "''"}


def passed_on(variables: dict[str, str], settings: dict[str, str]) -> dict[str, str]:
    """Return the variables with pip's settings: all that pip will read, and for uv where it has none of its own."""
    given = {**variables, "PIP_CONFIG_FILE": os.devnull}
    given.update({"PIP_" + name.upper().replace("-", "_"): value for name, value in settings.items()})
    for name, variable in UV_FROM_PIP.items():
        if name in settings and not (name == "index-url" and "UV_INDEX_URL" in given):
            given.setdefault(variable, ",".join(settings[name].split()) if name == "find-links" else settings[name])
    return given


def get_uv(folder: Path, variables: dict[str, str]) -> list[str] | None:
    """Have pip install uv. Return the command that installs packages with it, or None if there is no uv."""
    if missing(folder, ["uv"]):
        lock = ["--only-binary", ":all:", "--require-hashes", "-r", "requirements-uv.lock"]
        complaint = complaint_of([*pip(folder), "install", "--quiet", *lock], variables)
        if complaint:
            say(f"uv can't be installed here ({complaint}). {FALLING_BACK}")
            return None
    command = [str(inside(folder, "uv")), "pip", "install", "--quiet", "--python", str(inside(folder, "python"))]
    no_index = variables.get("PIP_NO_INDEX", "").lower() in ("1", "y", "yes", "t", "true", "on")
    return [*command, "--no-index"] if no_index else command


def install(
    folder: Path, variables: dict[str, str], what: list[str], names: list[str], uv: list[str] | None
) -> list[str] | None:
    """Install with uv, or else with pip. Return uv's command if it worked.

    uv's own settings file may install packages elsewhere. So we don't rely on its exit status, and check that `names`
    are in the environment.
    """
    if uv:
        complaint = complaint_of([*uv, *what], variables)
        absent = missing(folder, names)
        if not complaint and absent:
            complaint = f"it reports success, but {absent[0]} isn't in {folder.name}"
        if not complaint:
            return uv
        say(f"uv can't install here ({complaint}). {FALLING_BACK}")
    if subprocess.run([*pip(folder), "install", "--quiet", *what], env=variables, cwd=ROOT).returncode:
        raise CannotSetUp(
            "pip can't install the packages; see its message above. Set-up isn't finished, so run the command again"
        )
    return None


def complaint_of(command: list[str], variables: dict[str, str]) -> str | None:
    """Run a command silently. Return None if it succeeds, or else its error in one line."""
    try:
        done = subprocess.run(
            command,
            env=variables,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return [*errors, *lines, f"exit status {done.returncode}"][0]


def pinned(lock: Path) -> list[str]:
    """Return the packages that a lock has for every Python and every system."""
    return re.findall(r"^([\w.-]+)==[^\s;]+(?= *\\?$)", lock.read_text(encoding="utf-8"), re.MULTILINE)


def missing(folder: Path, names: list[str]) -> list[str]:
    """Return the packages among `names` that the environment doesn't have."""

    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    library = folder / ("Lib" if sys.platform == "win32" else "lib/python{}.{}".format(*sys.version_info))
    there = {plain(info.stem.rsplit("-", 1)[0]) for info in (library / "site-packages").glob("*.dist-info")}
    return [name for name in names if plain(name) not in there]


def pip(folder: Path) -> list[str]:
    """Return the command that is the environment's pip. -I hides what lies in the current folder."""
    return [str(inside(folder, "python")), "-I", "-m", "pip", "--disable-pip-version-check"]


def inside(folder: Path, command: str) -> Path:
    """Return the path of an environment's command."""
    return folder / ("Scripts" if sys.platform == "win32" else "bin") / command


def say(line: str) -> None:
    print(line.encode("ascii", "replace").decode(), flush=True)


if __name__ == "__main__":
    main()
