"""Can every pin of requirements.lock be installed from wheels on every system and Python in the README?

    python tools/check_lock.py build/lock/bin/uv

`make lock` ends with this check. uv resolves the lock for each system and each Python from the index's metadata, and
installs nothing. The exit status is 1 if a package has no wheel on one of them.
"""

from __future__ import annotations

import subprocess
import sys

from environment import PLATFORMS, PYTHONS, ROOT, Platform


def refusal(uv: str, system: Platform, python: str) -> str | None:
    """Return uv's error for the lock on that system and Python, or None."""
    install = [uv, "pip", "install", "--dry-run", "--quiet", "--only-binary", ":all:", "--require-hashes"]
    there = ["--python-platform", system.uv, "--python-version", python, "--target", "build/lock/nothing"]
    done = subprocess.run(
        [*install, *there, "--python", sys.executable, "-r", "requirements.lock"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    return done.stderr.strip() if done.returncode else None


def main() -> None:
    [uv] = sys.argv[1:]
    refused = 0
    for system in PLATFORMS:
        for python in PYTHONS:
            why = refusal(uv, system, python)
            print(f"{system.name}, Python {python}: {why or 'every package has a wheel'}", flush=True)
            refused += why is not None
    if refused:
        sys.exit(
            f"The README lists {refused} combination(s) that requirements.lock doesn't support. Limit the package's "
            "version in pyproject.toml, or remove the system from PLATFORMS in tools/environment.py and from the README"
        )


if __name__ == "__main__":
    main()
