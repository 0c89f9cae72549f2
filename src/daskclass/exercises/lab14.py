"""Exercises of lab 14: a model that is loaded once a worker, and a scoring job without its three faults."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import Mock, patch

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from distributed import Client, LocalCluster, Worker, WorkerPlugin

from daskclass import scoring, watch
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.watch import traffic

_SECONDS = 60.0


def _judge_set_up(answer: object, home: str | Path) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the worker and the model's folder.")

    function: Callable[..., object] = answer

    class Plugin(WorkerPlugin):
        name = "the exercise's model"

        def __init__(self, folder: str) -> None:
            self.folder = folder

        def setup(self, worker: Worker) -> None:
            function(worker, self.folder)

    first = scoring.load(home)
    loads = Mock(wraps=joblib.load)
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with (
        patch.object(joblib, "load", loads),  # the workers are in this process
        tempfile.TemporaryDirectory() as place,
        LocalCluster(**options, local_directory=place, silence_logs="CRITICAL") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        folder, another = Path(shutil.copytree(home, Path(place) / "model")), Path(place) / "another"
        second = scoring.save(first.pipeline.set_params(verbose=not first.pipeline.verbose), another)

        def register(folder: Path) -> str:
            try:
                client.register_plugin(Plugin(str(folder)))
            except Exception as error:
                raise TryNext(f"On the worker it raised {type(error).__name__}: {error}") from error
            versions: dict[str, str] = client.run(_version_on)
            [version] = versions.values()
            return version

        if register(folder) != first.version:
            raise TryNext("After it, `worker.model` should be what `scoring.load(folder)` returns.")
        loads.reset_mock()
        register(folder)
        if loads.called:
            raise TryNext("Called a second time with the same model, it loaded it again.")
        if register(another) != second:
            raise TryNext("Called with another model, it kept the old one. Whose version do you look at?")
        register(folder)
        shutil.copytree(another, folder, dirs_exist_ok=True)
        if register(folder) != second:
            raise TryNext("A new version was saved into the same folder, and it kept the old one.")
        cluster.scale(2)
        client.wait_for_workers(2, timeout=_SECONDS)
        if set(client.run(_version_on).values()) != {second}:
            raise TryNext("A worker that came later has another model, or none.")
    return "Loaded once, loaded anew for another version, and there on a worker that came later."


def _version_on(dask_worker: Worker) -> str:
    version: str = getattr(getattr(dask_worker, "model", None), "version", "")
    return version


def _solve_set_up(worker, folder):
    import json
    from pathlib import Path

    from daskclass import scoring

    version = json.loads((Path(folder) / "model.json").read_text())["version"]
    if getattr(worker, "model", None) is None or worker.model.version != version:
        worker.model = scoring.load(folder)


set_up = Exercise(
    variable="set_up",
    judge=_judge_set_up,
    solve=_solve_set_up,
    hints=(
        "`worker.model` is an attribute like any other: it may be there already, with a `version`.",
        'The folder\'s version, without loading: `json.loads((Path(folder) / "model.json").read_text())["version"]`.',
    ),
    is_function=True,
)

_FILES, _ROWS, _GROUP = 8, 2_000, 1_000


def _judge_score_all(answer: object, client: Client, slices: Sequence[str], home: str | Path) -> str:
    if not callable(answer):
        raise TryNext("It should be a function of the client, the sources, the folder for parts, the model's folder.")
    with tempfile.TemporaryDirectory(prefix="daskclass-capstone-") as place:
        folder = Path(place, "parts")
        folder.mkdir()
        sources = [_cut(slices[number % len(slices)], number, Path(place)) for number in range(_FILES)]
        _judge_first_run(answer, client, sources, folder, home)
        _judge_second_run(answer, client, sources, folder, home)
        _judge_what_is_not_finished(answer, client, sources, folder, home)
        learned = pq.read_table(slices[0]).slice(0, _ROWS).to_pandas()
        other_home = Path(place, "other")
        scoring.save(scoring.train(learned, "boosted", seed=len(learned)), other_home)
        _judge_other_models(answer, client, sources[2], folder, [(other_home, "an older"), (home, "another")])
    return (
        f"{_FILES} sources, a whole part for each; the model did not travel with each task; what was finished stayed; "
        "what was half, of an older model or of an older source was done anew."
    )


def _judge_first_run(
    answer: Callable[..., object], client: Client, sources: list[str], folder: Path, home: str | Path
) -> None:
    """Right scores, from tasks, and a model that does not travel with each of them."""
    size = sum(path.stat().st_size for path in Path(home).iterdir())
    with watch.record(client) as recording, traffic.through_scheduler(client) as passed:
        _run(answer, client, sources, folder, home, "")
    _compare(sources, folder, scoring.load(home), "")
    if not (recording.tasks.action == "compute").any():
        raise TryNext("The scores are right, and the notebook computed all of them: no task ran on a worker.")
    if passed.received + passed.sent > 5 * size:
        times = (passed.received + passed.sent) / size
        raise TryNext(
            f"The scores are right, and {times:.0f} times the model's bytes went through the scheduler for "
            f"{_FILES} files. Which lab counted this?"
        )


def _judge_second_run(
    answer: Callable[..., object], client: Client, sources: list[str], folder: Path, home: str | Path
) -> None:
    """What is finished stays as it is."""
    before = _stamps(folder)
    _run(answer, client, sources, folder, home, "Started a second time: ")
    if _stamps(folder) != before:
        raise TryNext("Started a second time, it did again what was finished.")


def _judge_what_is_not_finished(
    answer: Callable[..., object], client: Client, sources: list[str], folder: Path, home: str | Path
) -> None:
    """Half a part, and a part whose source has changed, are done anew, and no others."""
    half, changed, *untouched = sources
    part = folder / Path(half).name
    part.write_bytes(part.read_bytes()[:-50])
    _changed(changed)
    before, model = _stamps(folder), scoring.load(home)
    when = "With half a part in the folder, as the colleague's job leaves it when killed: "
    _run(answer, client, sources, folder, home, when)
    _compare([half], folder, model, f"{when}it was taken for finished. ")
    _compare([changed], folder, model, "A source had changed since its part was written. ")
    after = _stamps(folder)
    if again := [Path(one).name for one in untouched if after[Path(one).name] != before[Path(one).name]]:
        raise TryNext(f"Some parts were to be done again, and it did {len(again)} others as well.")


def _judge_other_models(
    answer: Callable[..., object], client: Client, source: str, folder: Path, models: list[tuple[str | Path, str]]
) -> None:
    """A part of another model is done anew, and the file of the old part is not written into."""
    kept = folder.parent / f"{uuid.uuid4()}.kept"
    os.link(folder / Path(source).name, kept)
    old = kept.read_bytes()
    for home, there in models:
        _run(answer, client, [source], folder, home, "With another model: ")
        _compare([source], folder, scoring.load(home), f"A part was of {there} model, and was taken for finished. ")
        if kept.read_bytes() != old:
            raise TryNext(
                "The scores are right. But it writes into the file of the part itself: a kill in the middle of "
                "this leaves half a part under a whole part's name."
            )


def _cut(path: str, number: int, place: Path) -> str:
    source = place / f"orders-{number}.parquet"
    pq.write_table(pq.read_table(path).slice(number * 10, _ROWS), source, row_group_size=_GROUP)
    return str(source)


def _run(
    answer: Callable[..., object], client: Client, sources: list[str], folder: Path, home: str | Path, when: str
) -> None:
    try:
        answer(client, list(sources), str(folder), str(home))
    except Exception as error:
        raise TryNext(f"{when}It raised {type(error).__name__}: {error}") from error


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.glob("*.parquet")}


def _compare(sources: list[str], folder: Path, model: scoring.Model, why: str) -> None:
    for source in sources:
        path, orders = folder / Path(source).name, pq.read_table(source)
        if not path.is_file():
            raise TryNext(f"{why}There is no part {path.name} in the folder.")
        try:
            part = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise TryNext(f"{why}The part {path.name} cannot be read.") from error
        if not {"order_id", "score"} <= set(part.column_names):
            raise TryNext(f"{why}The part {path.name} should have the columns order_id and score.")
        if not part.column("order_id").equals(orders.column("order_id")):
            raise TryNext(f"{why}The part {path.name} should have each order of its source once, in order.")
        if not np.array_equal(part.column("score").to_numpy(), model.scores(orders.to_pandas())):
            raise TryNext(f"{why}The scores in {path.name} are not the model's.")


def _changed(source: str) -> None:
    orders = pq.read_table(source)
    place = orders.column_names.index("price")
    pq.write_table(orders.set_column(place, "price", orders.column("price").take(np.arange(_ROWS)[::-1])), source)


def _solve_score_all(client, sources, folder, home):
    from daskclass import scoring

    model = scoring.load(home)
    done = scoring.finished(sources, folder, model)
    missing = [source for source in sources if source not in done]
    there = client.scatter(model, hash=False, broadcast=True)
    return client.gather(client.map(scoring.score_file, missing, folder=folder, model=there, pure=False))


score_all = Exercise(
    variable="score_all",
    judge=_judge_score_all,
    solve=_solve_score_all,
    hints=(
        "Something is sent too often, something is there too early, and something is believed too easily. "
        "What crosses the network with each task (lab 09)? What does a kill leave behind (lab 12)? And does a file of "
        "the right name say which model made it, and from what (this lab)?",
        "`scoring.score_file` writes a part that is whole and says what it is; `scoring.finished` knows which count.",
    ),
    is_function=True,
)
