"""The exercise of lab 22: on which workers does a package differ?"""

from __future__ import annotations

import contextlib
import io
import random
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from distributed import Client

from daskclass import wheels
from daskclass.exercises.apart import reason
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.terminals import Terminals

_SECONDS = 90.0  # for a judge, which starts five processes
_START = 60.0  # for one of them
_WORKERS = 5


@contextmanager
def _machines(packages: Mapping[str, Mapping[str, str]]) -> Iterator[Client]:
    """A client of a cluster whose workers have their own packages.

    `packages` has the versions by package and by the worker's name; a worker that isn't there lacks the package.
    """
    names = sorted({name for versions in packages.values() for name in versions})
    own = "--host 127.0.0.1 --dashboard-address 127.0.0.1:0 --nthreads 1 --no-nanny --memory-limit 0"
    with contextlib.redirect_stdout(io.StringIO()), Terminals() as terminals:
        scheduler = terminals.type(
            "scheduler", "dask scheduler --host 127.0.0.1 --port 0 --dashboard-address 127.0.0.1:0"
        )
        address = scheduler.wait_for(r"Scheduler at: +(\S+)", _START)
        workers = []
        for name in names:
            folder = terminals.folder / f"{name}-packages"
            folder.mkdir()
            for package, versions in packages.items():
                if name in versions:
                    wheel = wheels.make(terminals.folder, package, versions[name], "")
                    with zipfile.ZipFile(wheel) as archive:
                        archive.extractall(folder)
            workers.append(terminals.type(name, f"dask worker {address} --name {name} {own}", PYTHONPATH=str(folder)))
        for worker in workers:
            worker.wait_for("Registered to", _START)
        with Client(address, set_as_default=False) as client:
            yield client


def _judge_whose(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes a client and the name of a package.")
    names = random.sample(["alder", "birch", "cedar", "maple", "rowan", "willow"], _WORKERS)
    old, without, *_ = names
    another = names[-1]
    behind = names[1:3]
    number = random.randrange(1_000, 10_000)  # so that nobody has written the packages down
    most = dict.fromkeys(names, "2.0")
    cases = {
        f"shop_{number}": ({**most, old: "1.0"}, {old}),
        f"shelf_{number}": ({name: "2.0" for name in names if name != without}, {without}),
        f"till_{number}": ({old: "1.4"}, {old}),
        f"stock_{number}": ({**dict.fromkeys(names, "0.9"), another: "1.0"}, {another}),
        f"labels_{number}": ({**most, **dict.fromkeys(behind, "1.0")}, set(behind)),
        f"taxes_{number}": ({**most, old: "1.0", another: "3.0"}, {old, another}),
        f"rules_{number}": (most, set()),
    }
    with _machines({package: versions for package, (versions, _) in cases.items()}) as client:
        for package, (versions, expected) in cases.items():
            _check(answer, client, package, versions, expected)
    return (
        f"Of {_WORKERS} workers, it named those that were behind, the one that was ahead, the one that had no such "
        "package and the one that alone had it, and none where all agreed."
    )


def _check(answer: object, client: Client, package: str, versions: Mapping[str, str], expected: set[str]) -> None:
    assert callable(answer)
    try:
        got = answer(client, package)
    except Exception as error:
        raise TryNext(f"It raised `{reason(error)}`. {_said(versions, client)}") from error
    if isinstance(got, str) or not isinstance(got, Collection):
        raise TryNext("It should return a list of names.")
    told = {str(one) for one in got}
    if told == expected:
        return
    if any("://" in one for one in told):
        raise TryNext(f"It returned addresses, such as {next(iter(told))!r}. Which names do these workers have?")
    shown = f"It returned {sorted(told) or 'nothing'}. {_said(versions, client)}"
    if told == set(versions) - expected and told:
        raise TryNext(f"{shown} These are those that agree.")
    raise TryNext(shown)


def _said(versions: Mapping[str, str], client: Client) -> str:
    """What the workers have, in a sentence."""
    names = sorted(str(worker["name"]) for worker in client.scheduler_info(n_workers=-1)["workers"].values())
    return "The workers have: " + ", ".join(f"{name} {versions.get(name, 'no such package')}" for name in names) + "."


def _solve_whose(client, package):
    from collections import Counter
    from importlib.metadata import PackageNotFoundError, version

    def here(dask_worker):
        try:
            return dask_worker.name, version(package)
        except PackageNotFoundError:
            return dask_worker.name, None

    found = dict(client.run(here).values())
    [(usual, _)] = Counter(found.values()).most_common(1)
    return [name for name, version in found.items() if version != usual]


whose = Exercise(
    variable="whose",
    judge=_judge_whose,
    solve=_solve_whose,
    hints=(
        "`client.run` calls a function on every worker. Let it return the worker's name and the version there.",
        "`importlib.metadata.version(package)` is the version, or a `PackageNotFoundError`. Or look at "
        '`client.get_versions(packages=[package])["workers"]`, which has addresses; `client.scheduler_info()` has the '
        "names.",
        "`Counter(versions).most_common(1)` is the version that most have.",
    ),
    is_function=True,
    apart=True,
    seconds=_SECONDS,
)
