"""What the tests share: data made once, one cluster, one notebook, and ways to run the command line."""

from __future__ import annotations

import ast
import contextlib
import errno
import importlib
import inspect
import io
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import dask
import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from time_left import pytest_collection_modifyitems, pytest_runtest_setup  # noqa: F401 - hooks

HERE = Path(__file__).parent
OURS = ("DASKCLASS_SIZE", "DASKCLASS_DATA", "DASKCLASS_LAB", "DASK_SCHEDULER_ADDRESS", "DASK_TEMPORARY_DIRECTORY")
NOTES = ("DASKCLASS_LAB_RUNS",)  # the class's own labs are noted there, not those that a test makes up

# The same examples in every run, and no example is too slow: a busy machine is no failure.
hypothesis.settings.register_profile(
    "daskclass",
    database=None,
    deadline=None,
    derandomize=True,
    print_blob=False,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("daskclass")
_scratch = tempfile.TemporaryDirectory(prefix="daskclass-tests-", ignore_cleanup_errors=True)
set_hypothesis_home_dir(_scratch.name)

# As `python -m daskclass`, but Ctrl-C is heard even where the shell that runs the tests made them deaf to it.
HEARING = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from daskclass.commands.cli import main; main()"
)


@pytest.fixture(autouse=True, scope="session")
def _workers():
    """Workers of the tests' own clusters are forked from a process that has imported Dask already.

    Otherwise such tests spend half of their processor time on importing. Forked workers have the environment of the
    first one: a variable that a test sets later doesn't reach them. Labs, and commands that run as programs, start
    their workers as people do.

    And clusters keep workers that die twice: a judge restarts a worker whose task doesn't end, and many tests share it.
    """
    method = {"distributed.worker.multiprocessing-method": "forkserver"} if sys.platform == "linux" else {}
    with dask.config.set(method | {"distributed.deploy.lost-worker-timeout": "1 day"}):
        yield


@pytest.fixture(autouse=True)
def _apart(request, monkeypatch, tmp_path):
    """Each unit test has a data folder of its own, nobody's settings, and no `scheduler` that an earlier one left."""
    if (HERE / "labs") in request.node.path.parents:
        yield
        return
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DASKCLASS_DATA", str(tmp_path / "data"))
    with dask.config.set({"scheduler-address": None}):
        yield
    if dask.config.get("scheduler", None) == "dask.distributed":
        from distributed import default_client

        try:
            default_client()  # of a fixture that lives longer than this test
        except ValueError:
            dask.config.config.pop("scheduler")  # so that no later test suffers
            pytest.fail("Dask's setting `scheduler` was left at 'dask.distributed', and there's no client")


def _make(folder: Path, size: str):
    from daskclass import sales, sizes

    return sales.make(sizes.parse(size), folder, threads=2)


@pytest.fixture(scope="session")
def small_sales(tmp_path_factory):
    """A finished folder of 2 MB: one block, one part. Only to be read."""
    return _make(tmp_path_factory.mktemp("small"), "2MB")


@pytest.fixture(scope="session")
def large_sales(tmp_path_factory):
    """A finished folder of 30 MB: five blocks, three parts. Only to be read."""
    return _make(tmp_path_factory.mktemp("large"), "30MB")


@pytest.fixture
def own_sales(small_sales, tmp_path):
    """A copy of the small folder with its times, to be spoiled."""
    from daskclass import sales

    folder = tmp_path / "own"
    shutil.copytree(small_sales.folder, folder)
    found = sales.look(folder)
    assert found.state == "finished", found.why
    return found.sales


@pytest.fixture
def usual_pace(monkeypatch):
    """A judge's time limit isn't extended, however slow this machine is."""
    from daskclass.system import pace

    monkeypatch.setattr(pace, "slowness", lambda: 1.0)


@pytest.fixture
def full_disk(monkeypatch):
    """While the block runs, a text is written in half before the system says that the disk is full."""

    def half(path, text, *_arguments, **_options):
        path.write_bytes(text.encode()[: len(text) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    @contextlib.contextmanager
    def block():
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_text", half)
            yield

    return block()


@pytest.fixture(scope="session")
def cluster():
    """Two workers; with room, since all that the tests import adds up, and a worker that pauses lets tests wait."""
    from distributed import LocalCluster

    with dask.config.set({"distributed.worker.profile.enabled": False}):  # it looks a hundred times a second
        started = LocalCluster(n_workers=2, threads_per_worker=1, memory_limit="2 GB", dashboard_address="127.0.0.1:0")
    with started as running:
        yield running


@pytest.fixture(scope="session")
def client(cluster):
    from distributed import Client

    with Client(cluster, set_as_default=False) as connected:
        yield connected


@pytest.fixture(scope="session")
def by_hand(tmp_path_factory):
    """The client of the cluster of lab 03: typed workers east and west, which have different copies of a module."""
    from distributed import Client

    from daskclass.terminals import Terminals

    with Terminals() as terminals:
        with contextlib.redirect_stdout(io.StringIO()):
            scheduler = terminals.type(
                "hall", "dask scheduler --host 127.0.0.1 --port 0 --dashboard-address 127.0.0.1:0"
            )
            address = scheduler.wait_for(r"Scheduler at: +(\S+)", 60)
            own = "--host 127.0.0.1 --dashboard-address 127.0.0.1:0 --nthreads 1 --memory-limit 500MiB"
            for version, name in enumerate(("west", "east"), start=1):
                packages = tmp_path_factory.mktemp("packages")
                (packages / "bonus.py").write_text(f"VERSION = {version}\n")
                variables = {"PYTHONPATH": str(packages), "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
                worker = terminals.type(name, f"dask worker {address} --name {name} {own}", **variables)
                worker.wait_for("Registered to", 60)
        with Client(address, set_as_default=False) as client:
            yield client


@pytest.fixture
def url():
    """Where lab 03 serves its office."""
    from daskclass.terminals import Terminals

    with Terminals() as terminals:
        office = terminals.folder / "office"
        office.mkdir()
        (office / "stores.csv").write_text("one line per store\n" * 40)
        (office / "other.csv").write_text("one line per store\n" * 41)
        with contextlib.redirect_stdout(io.StringIO()):
            server = terminals.type("office", "python -m http.server 0 --bind 127.0.0.1")
            address = server.wait_for(r"\((http://[^/]+)/\)")
        yield address


@pytest.fixture
def players():
    """What lab 04 hands out: who called whom."""
    from daskclass.watch.topology import Topology

    calls = [
        ("client", "scheduler", 8786, 2),
        ("worker east", "scheduler", 8786, 2),
        ("worker west", "scheduler", 8786, 2),
        ("scheduler", "nanny east", 4001, 1),
        ("worker west", "worker east", 4002, 1),
    ]
    whose = sorted({who for call in calls for who in call[:2]})
    return Topology(
        pd.DataFrame(
            [(who, number, 1, []) for number, who in enumerate(whose, 100)], columns=["who", "pid", "parent", "listens"]
        ),
        pd.DataFrame(calls, columns=["caller", "called", "port", "count"]),
    )


@pytest.fixture(scope="session")
def offers():
    """What lab 05 gives with its second exercise, from the lab itself: `machines` and `colleagues`."""
    from daskclass import labs, sizing

    [lab] = labs.choose("05", labs.find(HERE.parent))
    given = {"sizing": sizing}
    exec(lab.cells["job"].partition("job = ...")[0], given)
    return given


@pytest.fixture(scope="session")
def machines(offers):
    return offers["machines"]


@pytest.fixture(scope="session")
def colleagues(offers):
    return offers["colleagues"]


@pytest.fixture(scope="session")
def vault(tmp_path_factory):
    """A cluster behind TLS, its files, and the certificate of somebody else's authority."""
    from distributed import LocalCluster
    from distributed.security import Security

    security, stranger = Security.temporary(), Security.temporary()
    folder = tmp_path_factory.mktemp("vault")
    for name, text in {
        "ca.pem": security.tls_ca_file,
        "cert.pem": security.tls_client_cert,
        "key.pem": security.tls_client_key,
        "other.pem": stranger.tls_ca_file,
    }.items():
        (folder / name).write_text(text)
    with LocalCluster(
        1, security=security, processes=False, dashboard_address="127.0.0.1:0", protocol="tls"
    ) as cluster:
        yield SimpleNamespace(address=cluster.scheduler_address, folder=str(folder), security=security)


@pytest.fixture(scope="session")
def three():
    """What lab 06 shows of three clusters."""
    from daskclass.exercises import lab06

    return lab06.three()


@pytest.fixture
def vault_address(vault):
    return vault.address


@pytest.fixture
def folder(vault):
    return vault.folder


@pytest.fixture
def storyteller():
    """As much of a client as lab 04's second exercise asks: the story of a task that failed twice."""
    tries = [
        ("w", "stubborn", "waiting", "ready", "ready", {"stubborn": "executing"}, "why", 1.0),
        ("w", "stubborn", "ready", "executing", "executing", {}, "why", 2.0),
        ("w", "stubborn", "executing", "error", "error", {}, "why", 3.0),
    ]
    story = [("scheduler", "stubborn", "waiting", "processing", {}, "why", 0.0), *tries * 3]
    return SimpleNamespace(story=lambda key: story if key == "stubborn" else [])


@pytest.fixture
def orders_at():
    """Prices 0 to 9: half of the 20 orders cost 3 or less, most of them 7, on average 4.6."""
    return np.array([2, 1, 3, 4, 0, 0, 0, 8, 1, 1])


@pytest.fixture(scope="session")
def prices():
    """An array of 4 MB, beside which messages do not count."""
    return np.random.default_rng(0).random(500_000)


@pytest.fixture
def rank():
    def rank(number, prices):
        return float(prices[number])

    return rank


@pytest.fixture
def draw():
    """As lab 10 draws, an eighth as much."""

    def draw(number):
        return np.random.default_rng(number).random(500_000)

    return draw


@pytest.fixture
def piece():
    """As lab 11 reads a piece, from nowhere."""

    def piece(number):
        return np.arange(number, number + 10)

    return piece


@pytest.fixture(scope="session")
def home(large_sales, tmp_path_factory):
    """A model's folder, as lab 14 saves it: a forest, since a model in every call has to be seen among other bytes."""
    from daskclass import scoring

    folder = tmp_path_factory.mktemp("model")
    scoring.save(scoring.train(scoring.sample(large_sales, 40_000), "forest"), folder)
    return folder


@pytest.fixture(scope="session")
def slices(large_sales, tmp_path_factory):
    """Two files of 5,000 orders, as lab 14 cuts them."""
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("slices")
    orders = pq.read_table(large_sales.parts[0])
    for number in range(2):
        pq.write_table(orders.slice(number * 5_000, 5_000), folder / f"slice-{number}.parquet")
    return sorted(str(path) for path in folder.iterdir())


@pytest.fixture
def broken(tmp_path, small_sales):
    """Files as lab 13 hands them out, of which some are spoilt."""
    from daskclass.exercises import lab13

    return lab13.break_files(tmp_path, small_sales)


@pytest.fixture(scope="session")
def ward(small_sales):
    """Six patients, as lab 08 admits them. Only to be looked at."""
    from distributed import Client, LocalCluster

    from daskclass.sick_clusters import admit

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit="600 MiB", dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        return admit(client, small_sales)


@pytest.fixture
def haystack(client):
    """A client of a cluster with a haystack on it."""
    from daskclass.exercises import lab07

    held = lab07.hay(client)
    yield client
    client.cancel(held)


@pytest.fixture
def rounding(tmp_path, monkeypatch):
    """The module of lab 03 that lies in the notebook's folder and nowhere else."""
    (tmp_path / "rounding.py").write_text("def to_cents(text):\n    return round(float(text) * 100)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("rounding")
    sys.modules.pop("rounding")


@pytest.fixture
def environment(tmp_path):
    """For subprocesses: nothing of the person's settings, and nothing written to their home."""
    kept = {name: value for name, value in os.environ.items() if name not in (*OURS, *NOTES)}
    return kept | {
        "DASKCLASS_DATA": str(tmp_path / "data"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "jupyter-config"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "jupyter-runtime"),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def daskclass(environment, tmp_path):
    """Start ``daskclass …`` in a process of its own; what still runs at the end is killed by its own pid."""
    running = []

    def start(*arguments, env=None, cwd=tmp_path) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", HEARING, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment | (env or {}),
            cwd=cwd,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.err.rstrip("\n").split("\n")[-1]


@pytest.fixture
def say(monkeypatch):
    """Run ``daskclass …`` in this process."""
    from daskclass.commands import cli

    def run(*arguments) -> Said:
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "argv", ["daskclass", *map(str, arguments)])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
            cli.main()
        return Said(left.value.code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def until_it_writes():
    """Wait until a process has written to a file; bounded, and over at once if the process ends."""

    def wait(process: subprocess.Popen, path: Path) -> None:
        for _ in range(6_000):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size > 0:
                    return
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.01)
                break
        raise AssertionError(f"nothing was written; exit status {process.poll()}")

    return wait


NOTEBOOK = {
    "true": "from daskclass.claims import claim\nclaim('Two and two are four', 2 + 2 == 4, result=2 + 2)",
    "false": "claim('Two and two are five', 2 + 2 == 5, result=2 + 2)",
    "check": "from daskclass.exercises import lab01\nlab01.partitions.check(...)",
    "hint": "lab01.partitions.hint()",
    "solution": "lab01.partitions.solution()",
}


@pytest.fixture(scope="session")
def notebook(tmp_path_factory):
    """The outputs of `NOTEBOOK`, run by a real kernel."""
    import nbformat
    from nbclient import NotebookClient

    cells = {name: nbformat.v4.new_code_cell(source) for name, source in NOTEBOOK.items()}
    book = nbformat.v4.new_notebook(cells=list(cells.values()))
    folder = tmp_path_factory.mktemp("notebook")
    before = os.environ.get("IPYTHONDIR")
    os.environ["IPYTHONDIR"] = str(folder / "ipython")
    try:
        NotebookClient(book, allow_errors=True, timeout=240, resources={"metadata": {"path": folder}}).execute()
    finally:
        os.environ.pop("IPYTHONDIR")
        if before is not None:
            os.environ["IPYTHONDIR"] = before
    return {name: cell.outputs for name, cell in zip(cells, book.cells, strict=True)}


def _exercises() -> dict:
    from daskclass import exercises
    from daskclass.exercises.exercise import Exercise

    found = {}
    for module in pkgutil.iter_modules(exercises.__path__):
        contents = vars(importlib.import_module(f"daskclass.exercises.{module.name}"))
        found |= {f"{module.name}.{name}": value for name, value in contents.items() if isinstance(value, Exercise)}
    return found


def pytest_generate_tests(metafunc):
    if "exercise" in metafunc.fixturenames:
        found = _exercises()
        metafunc.parametrize("exercise", found.values(), ids=found.keys())


@pytest.fixture
def plan():
    """What lab 00 hands out: four tasks that add prices up in cents."""

    @dask.delayed
    def in_cents(price):
        return round(price * 100)

    return dask.delayed(sum)([in_cents(price) for price in (10.0, 5.5, 10.0)])


@pytest.fixture
def parts():
    """What lab 02 hands out: pandas' peaks for a 32nd and a 16th of the rows; 50 MB of it is pandas itself."""
    return {32: SimpleNamespace(peak=350_000_000), 16: SimpleNamespace(peak=650_000_000)}


@pytest.fixture
def needed(small_sales):
    """What pandas would need for all of them, as lab 02 finds it."""
    return 3.2 * small_sales.bytes


@pytest.fixture
def recording():
    """What lab 02 hands out: two workers, one of which also fetched something."""
    from daskclass.watch import Recording

    rows = [("a", "compute", 0, 3), ("a", "compute", 3, 4), ("b", "transfer", 0, 1), ("b", "compute", 1, 3)]
    return Recording(seconds=5.0, tasks=pd.DataFrame(rows, columns=["worker", "action", "start", "stop"]))


@pytest.fixture
def live(request):
    """The things that a notebook hands to an exercise, by the parameter's name."""

    exercise = getattr(request.node, "callspec", None) and request.node.callspec.params.get("exercise")
    lab = exercise.judge.__module__.rpartition(".")[2] if exercise else None

    def resource(name: str):
        if lab == "lab03":
            request.getfixturevalue("rounding")
        fixture = {
            ("lab03", "client"): "by_hand",
            ("lab04", "client"): "storyteller",
            ("lab06", "address"): "vault_address",
            ("lab07", "client"): "haystack",
            ("lab09", "sales"): "large_sales",
        }.get((lab, name), {"sales": "small_sales"}.get(name, name))
        return request.getfixturevalue(fixture)

    return resource


@pytest.fixture
def judged(live):
    """The verdict on an answer, with what else the judge of that exercise wants."""

    def verdict(exercise, answer, **instead):
        _answer, *more = inspect.signature(exercise.judge).parameters
        return exercise.verdict(answer, *(instead[name] if name in instead else live(name) for name in more))

    return verdict


@pytest.fixture(scope="session")
def advice():
    """What a judge says of a wrong answer, and the lines on which it says so. An answer is judged once a process."""
    from daskclass.exercises.exercise import TryNext

    told: dict = {}

    def ask(exercise, answer, *more) -> tuple[str, set[int]]:
        key = (exercise.judge, id(answer))
        if key not in told:
            with pytest.raises(TryNext) as raised:
                exercise.judge(answer, *more)
            lines = {line for _frame, line in traceback.walk_tb(raised.tb)}
            told[key] = (answer, str(raised.value), lines)  # with the answer, so that no other gets its id
        return told[key][1:]

    return ask


@pytest.fixture
def unreached(live):
    """Which ``raise TryNext`` of a module none of the answers reaches, nor `seen` has, by line."""
    from daskclass.exercises.exercise import TryNext

    def find(module, answers, seen=frozenset()) -> list[str]:
        source = inspect.getsource(module)
        raises = [
            range(node.lineno, node.end_lineno + 1)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.func.id == "TryNext"
        ]
        assert raises, "there is nothing to reach"
        reached = set(seen)
        for exercise, answer, instead in answers:
            _answer, *more = inspect.signature(exercise.judge).parameters
            try:
                exercise.judge(answer, *(instead[name] if name in instead else live(name) for name in more))
            except TryNext as advice:
                reached |= {line for _frame, line in traceback.walk_tb(advice.__traceback__)}
        lines = source.splitlines()
        return [lines[span.start - 1].strip() for span in raises if reached.isdisjoint(span)]

    return find
