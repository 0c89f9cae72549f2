"""Dask's private names are used in one module only. Exceptions are listed here, each with a reason.

Private is what distributed neither exports nor documents: a name that is imported from a module of dask or distributed,
an attribute of a scheduler, a worker or a nanny that its class does not explain, the name of an event or a logger, and
everything with an underscore. What a server hands out (its tasks, its workers, its extensions) is not followed.
"""

import ast
import inspect
import re
from pathlib import Path

import dask.distributed
import pytest
from distributed import Nanny, Scheduler, Worker

from daskclass import labs

ROOT = Path(__file__).parents[1]
SEAMS = {"src/daskclass/watch/dask_internals.py", "src/daskclass/commands/jupyter_internals.py"}

EVERYWHERE = {
    "dask.config": "documented, as a module",
    "dask.dataframe": "documented, as a module",
    "dask.array": "documented, as a module",
    "dask.utils.format_bytes": "has its examples in its docstring",
    "dask.utils.format_time": "has its examples in its docstring",
    "dask.utils.parse_bytes": "has its examples in its docstring",
    "dask.utils.parse_timedelta": "has its examples in its docstring",
    "dask.typing.Key": "the type of a key",
    "distributed.client.FutureCancelledError": "what a person catches; dask.distributed exports only its parent",
    "distributed.diagnostics.plugin.NannyPlugin": "documented under Plugins",
    "distributed.diagnostics.plugin.SchedulerPlugin": "documented under Plugins",
    "distributed.diagnostics.plugin.WorkerPlugin": "documented under Plugins",
    "distributed.security.Security": "what dask.distributed exports, where type checkers find it",
}
HERE_ONLY = {
    "src/daskclass/clusters.py": {"distributed.client.VersionsDict": "only for the type checker"},
    "tools/soak.py": {"distributed.chaos.KillWorker": "distributed's own way to kill workers at random"},
    "02": {
        "dask.bytes.read_bytes": "documented under Bytes: the exercise of tasks by hand shows it",
        "._parameters": "the optimized plan is shown; its expressions say so what they read",
    },
    "05": {"distributed.deploy.Cluster": "the class that every way to start a cluster has in common"},
    "10": {
        "worker-restart-memory": "the event by which a nanny says that it restarted its worker",
        "distributed.spill": "the logger that says when spilling fails, which the lab shows",
    },
    "11": {"stealing": "the events of work stealing, which are the lab's subject"},
    "08": {"distributed.dashboard.scheduler.applications": "the list of all pages, from the dashboard itself"},
}

# Attributes that no docstring explains. Labs show some of them on purpose: `client.run` and what it can see.
ATTRIBUTES = {
    "04": {
        "transfer_incoming_log": "the cell shows where a worker keeps what it received",
        "transfer_outgoing_bytes_total": "the cell shows what a worker counts",
    },
    "06": {
        "extensions": "spans and their bills are read from the scheduler's extension; the dashboard has only pictures",
        "task_prefixes": "what each kind of task took is read from the scheduler",
    },
    "07": {
        "plugins": "the plugin that the lab itself has registered",
        "queued": "the lab's subject: tasks that the scheduler keeps",
    },
    "09": {"transfer_outgoing_bytes_total": "the lab's subject: bytes between workers"},
    "10": {"memory_manager": "the lab's subject: thresholds are changed where the worker has them"},
    "11": {"extensions": "the levels of work stealing are shown where the scheduler keeps them"},
    "14": {"transfer_outgoing_log": "bytes between workers, by each way to bring a model to them"},
    "15": {"plugins": "the plugin that the lab itself has registered"},
    "20": {
        "digests_total": "what a worker counts, among it the bytes of shuffles: no page of the dashboard adds them up",
        "plugins": "the plugin that the lab itself has registered",
    },
}
OWN = {"kept", "model", "daskclass_heard"}  # what labs and judges put on a worker themselves
TEXTS = {"worker-restart-memory", "stealing", "distributed.spill"}  # events and loggers that a seam listens to
SERVERS = {"Scheduler": Scheduler, "Worker": Worker, "Nanny": Nanny}


def documented(server: type) -> set[str]:
    """What a class of distributed explains: state that its docstring lists, and public methods with a docstring.

    What the seam asks for itself is left out: distributed explains it to its own developers.
    """
    listed = set(re.findall(r"\*\*(\w+)", server.__doc__ or ""))
    explained = {
        name
        for name, what in inspect.getmembers(server)
        if (callable(what) or isinstance(what, property)) and inspect.getdoc(what) and not name.startswith("_")
    }
    return (listed | explained | {"address"}) - {"state", "transition", "transitions", "unrunnable"}


def imported(tree: ast.AST) -> set[str]:
    """Names from modules of dask and distributed, without what these two, and ``dask.distributed``, export."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith(("dask.", "distributed."))}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("dask", "distributed"):
            exports = {"dask": dask, "distributed": dask.distributed, "dask.distributed": dask.distributed}
            exported = vars(exports[node.module]) if node.module in exports else {}
            exported = {name for name, what in exported.items() if not inspect.ismodule(what) or name == "config"}
            found |= {f"{node.module}.{alias.name}" for alias in node.names if alias.name not in exported}
    return found


def underscored(tree: ast.AST) -> set[str]:
    """Private attributes of something that is not the class's own or a named tuple's."""
    ours = {"self", "cls", "os", "hashlib"}
    named_tuple = {"_asdict", "_replace", "_fields"}
    return {
        f".{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and re.match(r"_[a-z]", node.attr)
        and node.attr not in named_tuple
        and ast.unparse(node.value) not in ours
    }


def of_servers(tree: ast.AST) -> set[str]:
    """Attributes of servers of Dask that their classes do not explain.

    A server is what `Client.run` and `get_worker` hand out, a parameter that is annotated as one, and one that a class
    keeps under the name of such a parameter.
    """
    own_classes = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    names = {function: {"dask_scheduler": {Scheduler}, "dask_worker": {Worker}} for function in functions}
    kept: dict[str, set[type]] = {}
    for function, servers in names.items():
        arguments = function.args
        for arg in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            said = ast.unparse(arg.annotation).strip("'\"") if arg.annotation is not None else ""
            kinds = set(said.split(" | "))
            if kinds & (SERVERS.keys() - own_classes):
                servers[arg.arg] = {SERVERS[kind] for kind in kinds & SERVERS.keys()}
                kept[f"self.{arg.arg}"] = servers[arg.arg]
    for function, servers in names.items():
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                targets, values = (getattr(side, "elts", [side]) for side in (node.targets[0], node.value))
                for to, value in zip(targets, values, strict=False):
                    given = ast.unparse(value)
                    if given == "get_worker()":
                        servers[ast.unparse(to)] = {Worker}
                    elif alias := (kept | servers).get(given):
                        servers[ast.unparse(to)] = alias
    return {
        node.attr
        for function, servers in names.items()
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and (kinds := (kept | servers).get(ast.unparse(node.value)))
        and not any(node.attr in documented(kind) for kind in kinds)  # `isinstance` tells which of them it is
    }


def texts(tree: ast.AST) -> set[str]:
    """Names of events and loggers that a seam listens to."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in TEXTS}


def programs() -> list[tuple[str, str]]:
    """What is read: our programs by their paths, and labs by their numbers."""
    paths = [
        path
        for folder in ("src", "tools", "benchmarks", "labs/materials")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    found = [(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]
    found += [(lab.number, "\n".join(lab.cells.values())) for lab in labs.find(ROOT)]
    return [(name, text) for name, text in found if name not in SEAMS]


PROGRAMS = programs()


@pytest.mark.parametrize("name", [name for name, _text in PROGRAMS])
def test_what_is_private_is_asked_for_at_a_seam(name):
    tree = ast.parse(dict(PROGRAMS)[name])
    allowed = EVERYWHERE.keys() | HERE_ONLY.get(name, {}).keys()
    assert (imported(tree) | underscored(tree) | texts(tree)) - allowed == set()
    assert of_servers(tree) - ATTRIBUTES.get(name, {}).keys() - OWN == set()


def test_every_exception_is_one():
    trees = {name: ast.parse(text) for name, text in PROGRAMS}
    used = {name: imported(tree) | underscored(tree) | texts(tree) for name, tree in trees.items()}
    assert EVERYWHERE.keys() - set().union(*used.values()) == set()
    for name, exceptions in HERE_ONLY.items():
        assert exceptions.keys() - used[name] == set(), name
    for name, exceptions in ATTRIBUTES.items():
        assert exceptions.keys() - of_servers(trees[name]) == set(), name
    assert OWN - set().union(*(of_servers(tree) for tree in trees.values())) == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from distributed.utils import key_split", "distributed.utils.key_split"),
        ("import distributed.comm.tcp", "distributed.comm.tcp"),
        ("from distributed import Client; client._start()", "._start"),
        ("def look(dask_worker): return dask_worker.transfer_incoming_log", "transfer_incoming_log"),
        ("def look(server: Scheduler | Worker): return server.extensions", "extensions"),
        (
            "class Plugin:\n    def setup(self, nanny: Nanny): ...\n    def pid(self): return self.nanny.process",
            "process",
        ),
    ],
)
def test_a_private_name_is_seen(source, found):
    tree = ast.parse(source)
    assert imported(tree) | underscored(tree) | texts(tree) | of_servers(tree) == {found}


def test_what_is_exported_or_explained_is_not_private():
    tree = ast.parse(
        "from dask.distributed import Client, wait\nimport dask\n"
        "def look(dask_scheduler): return dask_scheduler.tasks, dask_scheduler.add_plugin\n"
        "def own(self, row): return self._own, row._asdict()\n"
    )
    assert imported(tree) | underscored(tree) | of_servers(tree) == set()
