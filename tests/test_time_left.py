"""A run that has to end in time leaves out what has not begun by then, says so, and leaves out others the next time."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import time_left

FILES = [f"test_{letter}.py" for letter in "abcde"]
OURS = {"PYTHONPATH": str(Path(time_left.__file__).parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture
def ask(tmp_path):
    """Runs five files with two tests each; what the runner said, and which tests ran."""
    (tmp_path / "conftest.py").write_text("from time_left import pytest_collection_modifyitems, pytest_runtest_setup\n")
    for name in FILES:
        (tmp_path / name).write_text("def test_one(): pass\n\n\ndef test_two(): pass\n")

    def run(**environment):
        command = [sys.executable, "-m", "pytest", "-v", "-rs", "-p", "no:cacheprovider", "-c", os.devnull, "."]
        everything = {name: value for name, value in os.environ.items() if name != time_left.UNTIL}
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=everything | OURS | environment
        )
        return done, re.findall(r"(test_\w\.py)::(test_\w+) PASSED", done.stdout)

    return run


def test_without_the_variable_all_tests_run_in_their_order(ask):
    done, ran = ask()
    assert done.returncode == 0, done.stdout
    assert ran == [(name, test) for name in FILES for test in ("test_one", "test_two")]


def test_a_test_that_would_begin_too_late_is_skipped_and_the_runner_says_so(ask):
    done, ran = ask(DASKCLASS_TESTS_UNTIL="1000000000.5")
    assert done.returncode == 0, done.stdout
    assert ran == []
    assert "SKIPPED [10]" in done.stdout
    assert time_left.WHY in done.stdout
    assert "10 skipped in" in done.stdout.splitlines()[-1]


def test_one_that_is_always_to_run_is_never_left_out(ask, tmp_path):
    (tmp_path / FILES[0]).write_text("import pytest\n\n\n@pytest.mark.always\ndef test_one(): pass\n")
    done, ran = ask(DASKCLASS_TESTS_UNTIL="1000000000.5")
    assert ran == [(FILES[0], "test_one")], done.stdout
    assert "1 passed, 8 skipped" in done.stdout.splitlines()[-1]


def test_one_that_has_begun_ends(ask, tmp_path):
    later = f"import os\n\n\ndef test_one(): os.environ[{time_left.UNTIL!r}] = '0'\n\n\ndef test_two(): pass\n"
    for name in FILES:
        (tmp_path / name).write_text(later)
    _done, ran = ask(DASKCLASS_TESTS_UNTIL="9000000000")
    assert len(ran) == 1


def test_each_run_has_an_order_of_its_own_but_not_within_a_file(ask):
    orders = []
    for until in ("9000000000", "9000000000", "9000000001", "9000000002"):
        _done, ran = ask(DASKCLASS_TESTS_UNTIL=until)
        orders.append([name for name, _test in ran[::2]])
        assert ran == [(name, test) for name in orders[-1] for test in ("test_one", "test_two")]
    assert all(sorted(order) == FILES for order in orders)
    assert orders[0] == orders[1]  # so that several processes agree
    assert len(set(map(tuple, orders))) > 1


def test_labs_are_put_in_order_one_by_one(ask, tmp_path):
    for name in FILES:
        (tmp_path / name).unlink()
    (tmp_path / FILES[0]).write_text(
        textwrap.dedent("""
        import pytest


        @pytest.mark.parametrize("lab", range(8))
        @pytest.mark.parts
        def test_one(lab): pass
        """)
    )
    orders = set()
    for until in ("9000000000", "9000000001", "9000000002"):
        done, _ran = ask(DASKCLASS_TESTS_UNTIL=until)
        orders.add(tuple(re.findall(r"test_one\[(\d)\] PASSED", done.stdout)))
    assert len(orders) > 1
