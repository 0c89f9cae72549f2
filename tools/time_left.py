"""Which tests does a slow machine leave out, so that a run ends in time? Hooks of pytest, for tests/conftest.py.

    DASKCLASS_TESTS_UNTIL=1800000000 make test  # seconds since 1970: a test that has not begun by then is skipped

The runner's last line counts what was skipped, and the lines before it say why. The order of the files (of the labs, in
`make test-controls`) depends on that time, so another run leaves out others.

A test that's marked `always` is never left out. Without the variable, everything runs, in the usual order.
"""

from __future__ import annotations

import hashlib
import os
import time

import pytest

UNTIL = "DASKCLASS_TESTS_UNTIL"
WHY = "no time left on this machine"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files in another order each time; tests that stand by themselves, one by one."""
    if until := os.environ.get(UNTIL):

        def place(item: pytest.Item) -> bytes:
            alone = any(map(item.get_closest_marker, ("parts", "controls")))
            name = item.nodeid if alone else item.nodeid.split("::")[0]
            return hashlib.sha256(f"{until} {name}".encode()).digest()

        items.sort(key=place)  # it keeps the order within a file


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that would begin too late, unless no other run would prove what it proves."""
    if time.time() > float(os.environ.get(UNTIL) or "inf") and not item.get_closest_marker("always"):
        pytest.skip(WHY)
