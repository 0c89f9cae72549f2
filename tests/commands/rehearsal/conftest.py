"""A class of small labs in which everything goes wrong that can."""

import textwrap
from pathlib import Path

import nbformat
import pytest

CLAIM = "from daskclass.claims import claim"

LABS = {
    "00-start-here": [
        ("true", CLAIM + "\nvalue = 2 + 2"),
        ("claim-true", "claim('two and two are four', value == 4, value=value, parts={'a': 2, 'b': [1, 1]})"),
        ("size", "import os\nprint(os.environ['DASKCLASS_SIZE'], os.environ.get('DASK_SCHEDULER_ADDRESS'))"),
        (
            "picture",
            """
            from daskclass import charts, limits
            charts.memory(limits.run("x = b'1' * 50_000_000", memory=None))
            """,
        ),
        ("further", "# Going further"),
        ("claim-further", "claim('and one <b>more</b> is five', value + 1 == 5)"),
    ],
    "01-false": [
        ("true", CLAIM),
        ("claim-first", "claim('one is two', 1 == 2, one=1)"),
        ("claim-second", "claim('one is one', 1 == 1)"),
        ("wrong", "1 / 0"),
        ("claim-third", "claim('never measured', True)"),
    ],
    "02-leaves": [
        (
            "leave",
            """
            import subprocess, sys, tempfile
            from pathlib import Path
            hoard = "import time; hoard = b'x' * 300_000_000; print(len(hoard), flush=True); time.sleep(600)"
            deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); "
            for code in (hoard, deaf + "time.sleep(600)"):
                left = subprocess.Popen(
                    [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
                )
                left.stdout.readline()
            Path(tempfile.gettempdir(), "left.bin").write_bytes(b"left")
            Path(tempfile.gettempdir(), "empty.lock").touch()
            Path(tempfile.gettempdir(), "held.lock").write_bytes(b"held")
            """,
        ),
    ],
    "03-dies": [
        (
            "die",
            """
            import os, sys
            print("last words", file=sys.__stderr__, flush=True)
            os.kill(os.getpid(), 9)
            """,
        ),
    ],
    "04-hangs": [
        (
            "hang",
            """
            import time
            try:
                while True:
                    time.sleep(1)
            finally:
                import tempfile
                from pathlib import Path
                Path(tempfile.gettempdir(), "cleaned-up.txt").write_text("by finally")
            """,
        ),
        ("never", "print('reached')"),
    ],
    "05-broken": "this is no JSON",
    "06-only-false": [("claim", CLAIM + "\n"), ("claim-false", "claim('one is three', 1 == 3)")],
    "07-planted": [
        ("setup", CLAIM + "\nfrom daskclass.watch import dask_internals\nbox, bag = [], []"),
        ("claim-false", "claim('one is four', 1 == 4, one=1)"),
        ("name", "from dask.distributed import NotThere\nfound = NotThere()"),
        ("claim-name", "claim('it is found', found is not None)"),
        ("claim-own-name", "claim('bags measure themselves', bag.measure() == 0)"),
        (
            "instrument",
            """
            from distributed.stealing import WorkStealing
            del WorkStealing.cost_multipliers
            level = dask_internals.level_of_stealing(1, 1, 1)
            """,
        ),
        ("claim-instrument", "claim('it has a level', level == 1)"),
        ("claim-own-instrument", "claim('still', dask_internals.level_of_stealing(1, 1, 1) == 1)"),
        ("half", "kept = 'old'\nbox.append(1)"),
        ("half-way", "box.append(2)\nkept = box[7]"),
        ("claim-lost", "claim('it kept the old one', kept == 'old')"),
        ("claim-doubtful", "claim('there is one in the box', len(box) == 1)"),
        ("claim-not-doubtful", "claim('there are two in the box', len(box) == 2)"),
        ("anew", "box, kept = [], 'new'"),
        ("claim-anew", "claim('and now none', len(box) == 1, box=len(box))"),
        ("claim-kept", "claim('it kept the new one', kept == 'new')"),
    ],
}


def _write(root: Path, names=tuple(LABS)) -> Path:
    (root / "labs").mkdir(parents=True)
    for name in names:
        path = root / "labs" / f"{name}.ipynb"
        if isinstance(LABS[name], str):
            path.write_text(LABS[name])
            continue
        cells = [nbformat.v4.new_markdown_cell(f"# {name}\n\n*words*", id="title")]
        for cell, source in LABS[name]:
            new = nbformat.v4.new_markdown_cell if source.startswith("# ") else nbformat.v4.new_code_cell
            cells.append(new(textwrap.dedent(source).strip(), id=cell))
        about = {"teaching": 20, "exercises": 15, "path": "core"}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"daskclass": about}), path)
    return root


@pytest.fixture
def checkout(tmp_path):
    """A class of one lab that is good."""
    return _write(tmp_path / "class", ["00-start-here"])


@pytest.fixture(scope="session")
def troubled_checkout(tmp_path_factory):
    return _write(tmp_path_factory.mktemp("troubled") / "class")


@pytest.fixture
def class_of(tmp_path):
    """A class of the labs that are named."""
    return lambda *names: _write(tmp_path / "class", names)
