"""Exercises of lab 14: a model that each worker loads once, and a scoring job without its four faults."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from distributed import Client, Future, LocalCluster, Worker, WorkerPlugin

from daskclass import scoring, watch
from daskclass.exercises.apart import reason
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.exercises.trials import TooSlow, Trial, trial
from daskclass.watch import traffic

_SECONDS = 60.0
_TRIAL = 18.0  # seconds for all runs of a job together


def _judge_set_up(answer: object, home: str | Path) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the worker and the folder of the model.")

    function: Callable[..., object] = answer

    class Plugin(WorkerPlugin):
        name = "the exercise's model"

        def __init__(self, folder: str) -> None:
            self.folder = folder

        def setup(self, worker: Worker) -> None:
            function(worker, self.folder)

    first = scoring.load(home)
    loads = Mock(wraps=joblib.load)
    pages = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}  # else on every address
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 1} | pages
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
                raise TryNext(f"On the worker it raised `{reason(error)}`.") from error
            versions: dict[str, str] = client.run(_version_on)
            [version] = versions.values()
            return version

        if register(folder) != first.version:
            raise TryNext("Afterward, `worker.model` should be the model that `scoring.load(folder)` returns.")
        loads.reset_mock()
        register(folder)
        if loads.called:
            raise TryNext("We called it again with the same model, and it loaded the model again.")
        if register(another) != second:
            raise TryNext("We called it with another model, and it kept the old one. Which version do you compare?")
        register(folder)
        shutil.copytree(another, folder, dirs_exist_ok=True)
        if register(folder) != second:
            raise TryNext("We saved a new version into the same folder, and it kept the old one.")
        loads.reset_mock()
        held = client.run(_model_on)
        shutil.copytree(another, copy := Path(place) / "copy", copy_function=shutil.copyfile)  # and so with new times
        register(copy)
        if loads.called or client.run(_model_on) != held:
            raise TryNext("We called it with a copy of the folder, which has the same version, and it loaded it again.")
        cluster.scale(2)
        client.wait_for_workers(2, timeout=_SECONDS)
        if set(client.run(_version_on).values()) != {second}:
            raise TryNext("We added a worker, and that worker has another model, or none.")
    return "It loads a model once, loads another version when there is one, and works on a worker that joins later."


def _model_on(dask_worker: Worker) -> int:
    return id(getattr(dask_worker, "model", None))


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
        "`worker.model` is an ordinary attribute. It may exist already, and then it has a `version`.",
        "This gives you the folder's version without loading the model: "
        '`json.loads((Path(folder) / "model.json").read_text())["version"]`.',
    ),
    is_function=True,
    apart=True,
)

_FILES, _ROWS, _GROUP = 8, 2_000, 1_000


def _judge_score_all(answer: object, client: Client, slices: Sequence[str], home: str | Path) -> str:
    if not callable(answer):
        raise TryNext(
            "It should be a function that takes the client, the sources, the folder for parts, and the model's folder."
        )
    with (
        tempfile.TemporaryDirectory(prefix="daskclass-capstone-") as place,
        client.as_current(),  # for `wait`
        trial(client, _TRIAL) as tried,
    ):
        folder = Path(place, "parts")
        folder.mkdir()
        sources = [_cut(slices[number % len(slices)], number, Path(place)) for number in range(_FILES)]
        job = _Job(tried, answer)
        _judge_first_run(job, sources, folder, home)
        _judge_second_run(job, sources, folder, home)
        _judge_what_is_not_finished(job, sources, folder, home)
        learned = pq.read_table(slices[0]).slice(0, _ROWS).to_pandas()
        other_home = Path(place, "other")
        scoring.save(scoring.train(learned, "boosted", seed=len(learned)), other_home)
        _judge_other_models(job, sources[2:], folder, [(other_home, "an older"), (home, "another")])
        _judge_bad_source(job, sources, Path(place), home)
    return (
        f"{_FILES} sources, and a complete part for each. The model didn't travel with each task. Your job kept "
        "finished parts, and redid parts that were half-written, or came from an older model or an older source. A bad "
        "source cost only its own part."
    )


@dataclass(frozen=True)
class _Job:
    """The learner's job, with a time limit for all its runs together."""

    tried: Trial
    answer: Callable[..., object]

    @property
    def client(self) -> Client:
        return self.tried.client

    def run(self, sources: list[str], folder: Path, home: str | Path, when: str) -> None:
        """Run it. What it raises is advice that begins with `when`."""
        scored = Mock()

        def scores(model: scoring.Model, *arguments: Any, **named: Any) -> np.ndarray:
            scored()
            return _scores(model, *arguments, **named)

        try:
            with patch.object(scoring.Model, "scores", scores):  # in this process, not on the workers
                self.tried.within(self.answer, self.client, list(sources), str(folder), str(home))
        except TooSlow:
            raise TryNext(
                f"{when}All its runs together took more than {self.tried.seconds} seconds. Is it waiting for something?"
            ) from None
        except (Exception, SystemExit) as error:
            raise TryNext(f"{when}It raised `{reason(error)}`.") from error
        if scored.called:
            raise TryNext("The notebook scored orders. Let tasks do that, and let them write the parts.")


_scores = scoring.Model.scores


def _judge_first_run(job: _Job, sources: list[str], folder: Path, home: str | Path) -> None:
    """Right scores, from tasks, and a model that neither travels with each task nor is loaded by each."""
    size = sum(path.stat().st_size for path in Path(home).iterdir())
    with (
        watch.record(job.client) as recording,
        traffic.through_scheduler(job.client) as passed,
        _heard(job.client) as heard,
    ):
        job.run(sources, folder, home, "")
    _compare(sources, folder, scoring.load(home), "")
    if not (recording.tasks.action == "compute").any():
        raise TryNext("The scores are right, but the notebook computed all of them. No task ran on a worker.")
    if passed.received + passed.sent > 5 * size:
        times = (passed.received + passed.sent) / size
        raise TryNext(
            f"The scores are right, but {times:.0f} times the model's bytes went in and out of the scheduler for "
            f"{_FILES} files. Send it once, and pass what stands for it (lab 09)."
        )
    file = str(Path(home).resolve() / "model.joblib")
    workers, times_read = len(job.client.nthreads()), heard.count(("worker", "read", file))
    if times_read > min(2 * workers, _FILES - 1):  # once to compare its checksum, and once to load it
        raise TryNext(
            f"The scores are right, but {workers} workers read the model from disk {times_read} times for {_FILES} "
            "files. Once for each worker is enough."
        )


def _judge_second_run(job: _Job, sources: list[str], folder: Path, home: str | Path) -> None:
    """A second run keeps finished parts as they are."""
    before = _stamps(folder)
    job.run(sources, folder, home, "We started it again. ")
    if _stamps(folder) != before:
        raise TryNext("We started it again, and it redid finished parts.")


def _judge_what_is_not_finished(job: _Job, sources: list[str], folder: Path, home: str | Path) -> None:
    """The job redoes half a part, and a part whose source has changed, and no others."""
    half, changed, *untouched = sources
    part = folder / Path(half).name
    part.write_bytes(part.read_bytes()[:-50])
    _changed(changed)
    before, model = _stamps(folder), scoring.load(home)
    when = "We left half a part in the folder, as the colleague's job does after a kill. "
    job.run(sources, folder, home, when)
    _compare([half], folder, model, f"{when}Your job took it for finished. ")
    _compare([changed], folder, model, "We changed a source after your job wrote its part. ")
    after = _stamps(folder)
    if again := [Path(one).name for one in untouched if after[Path(one).name] != before[Path(one).name]]:
        raise TryNext(f"It should redo two parts, and it also redid {len(again)} others.")


def _judge_other_models(job: _Job, sources: list[str], folder: Path, models: list[tuple[str | Path, str]]) -> None:
    """The job redoes parts of another model, and doesn't write into an old part's file.

    All models are saved to the same folder, one after the other, as people do it every month.
    """
    final, kept = (folder / Path(sources[0]).name).resolve(), folder.parent / f"{uuid.uuid4()}.kept"
    os.link(final, kept)
    old = kept.read_bytes()
    place = folder.parent / "the month's model"
    for home, there in models:
        shutil.copytree(home, place, dirs_exist_ok=True)
        with _heard(job.client) as heard:
            job.run(sources, folder, place, "We gave it another model. ")
        deeds = {what for _who, what, path in heard if path == str(final)}
        _compare(
            sources,
            folder,
            scoring.load(place),
            f"The part came from {there} model, and we had saved a new one to the folder of models. ",
        )
        if kept.read_bytes() != old or "written" in deeds or ("removed" in deeds and "renamed to" not in deeds):
            raise TryNext(
                "The scores are right, but it writes into the part's file itself. A kill in the middle leaves half a "
                "part under the name of a finished one."
            )


def _judge_bad_source(job: _Job, sources: list[str], place: Path, home: str | Path) -> None:
    """A source that can't be read costs its own part and no other, whatever the job raises."""
    bad = place / "bad.parquet"
    bad.write_bytes(Path(sources[0]).read_bytes()[:-50])
    (folder := place / "beside a bad one").mkdir()
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(printed):
            got = job.tried.within(job.answer, job.client, [str(bad), *sources], str(folder), str(home))
        told = bad.name in printed.getvalue() or _tells(got, bad.name)
    except TooSlow:
        raise TryNext(
            "We gave it a source that can't be read, and it was still running when the "
            f"{job.tried.seconds} seconds for all its runs were over. Does it try until every source is finished? "
            "This one never is."
        ) from None
    except (Exception, SystemExit):
        told = True
    model = scoring.load(home)
    if left := len(sources) - len(scoring.finished(sources, folder, model)):
        there = [source for source in sources if (folder / Path(source).name).exists()]
        _compare(there, folder, model, "Beside a bad source: ")
        if len(there) < len(sources):
            raise TryNext(
                f"We gave it a source that can't be read, and {left} of the other {len(sources)} have no part. Let the "
                "job finish those before it raises."
            )
    if (folder / bad.name).exists():
        raise TryNext("We gave it a source that can't be read, and it wrote a part for that one.")
    if not told:
        raise TryNext(
            "We gave it a source that can't be read. The others have their parts, but nobody was told of this one. "
            "Raise an error at the end, or return or print what couldn't be scored."
        )


def _tells(got: object, name: str) -> bool:
    """Whether what a job returned says that something failed."""
    if isinstance(got, Future):
        return bool(got.status == "error")
    if isinstance(got, Mapping):
        return _tells([*got.keys(), *got.values()], name)
    if isinstance(got, list | tuple | set):
        return any(_tells(one, name) for one in got)
    return isinstance(got, BaseException) or name in repr(got)


@contextlib.contextmanager
def _heard(client: Client) -> Iterator[list[tuple[str, str, str]]]:
    """What Python does to files on the workers and here: who, the deed, and the path. Complete after the block."""
    heard: list[tuple[str, str, str]] = []
    client.run(_listen)
    _listen(client)
    try:
        yield heard
    finally:
        heard += [("notebook", what, path) for what, path in _told(client)]
        for deeds in client.run(_told).values():
            heard += [("worker", what, path) for what, path in deeds]


def _listen(dask_worker: Worker | Client) -> None:
    """Listen in this process until `_told`. An audit hook stays for good, so each worker and client has only one."""
    is_new = not hasattr(dask_worker, "daskclass_heard")
    dask_worker.daskclass_heard = []  # type: ignore[union-attr]
    if is_new:
        sys.addaudithook(functools.partial(_note, dask_worker))


def _note(holder: Any, event: str, told: tuple[Any, ...]) -> None:
    heard = holder.daskclass_heard
    if heard is None or event not in _EVENTS:
        return
    names = [name for name in told[: _EVENTS[event]] if isinstance(name, str | bytes | os.PathLike)]
    paths = [str(Path(os.fsdecode(name)).resolve()) for name in names]
    if event == "open" and paths:
        heard.append(("written" if (told[2] or 0) & (os.O_WRONLY | os.O_RDWR) else "read", paths[0]))
    elif event == "os.remove" and paths:
        heard.append(("removed", paths[0]))
    elif event == "os.rename" and len(paths) == 2:
        heard.append(("renamed to", paths[1]))


_EVENTS = {"open": 1, "os.remove": 1, "os.rename": 2}  # of Python's audit events, and how many of their first values


def _told(dask_worker: Worker | Client) -> list[tuple[str, str]]:
    heard: list[tuple[str, str]] = getattr(dask_worker, "daskclass_heard", None) or []
    dask_worker.daskclass_heard = None  # type: ignore[union-attr]
    return heard


def _cut(path: str, number: int, place: Path) -> str:
    source = place / f"orders-{number}.parquet"
    pq.write_table(pq.read_table(path).slice(number * 10, _ROWS), source, row_group_size=_GROUP)
    return str(source)


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.glob("*.parquet")}


def _compare(sources: list[str], folder: Path, model: scoring.Model, why: str) -> None:
    for source in sources:
        path, orders = folder / Path(source).name, pq.read_table(source)
        if not path.is_file():
            raise TryNext(f"{why}There's no part {path.name} in the folder.")
        try:
            part = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise TryNext(f"{why}We couldn't read the part {path.name}.") from error
        if not {"order_id", "score"} <= set(part.column_names):
            raise TryNext(f"{why}The part {path.name} should have the columns order_id and score.")
        if not part.column("order_id").equals(orders.column("order_id")):
            raise TryNext(f"{why}The part {path.name} should have each order of its source once, in the same order.")
        if not np.array_equal(part.column("score").to_numpy(), model.scores(orders.to_pandas())):
            raise TryNext(f"{why}The scores in {path.name} are not the model's.")


def _changed(source: str) -> None:
    orders = pq.read_table(source)
    place = orders.column_names.index("price")
    pq.write_table(orders.set_column(place, "price", orders.column("price").take(np.arange(_ROWS)[::-1])), source)


def _solve_score_all(client, sources, folder, home):
    from dask.distributed import wait

    from daskclass import scoring

    model = scoring.load(home)
    done = scoring.finished(sources, folder, model)
    missing = [source for source in sources if source not in done]
    there = client.scatter(model, hash=False, broadcast=True)
    futures = client.map(scoring.score_file, missing, folder=folder, model=there, pure=False)
    wait(futures)  # so that a bad source doesn't end the others
    return client.gather(futures)


score_all = Exercise(
    variable="score_all",
    judge=_judge_score_all,
    solve=_solve_score_all,
    hints=(
        "Look at what goes out with each task, at the name under which a task writes, at what a file's name says about "
        "its content, and at what happens after the first error. Each of them is a fault.",
        "The job has four faults. It sends something too often (lab 09: what crosses the network with each task?). It "
        "gives a file its final name too early (lab 12: what does a kill leave behind?). It trusts a file too easily "
        "(this lab: does the right name say which model made the file, and from which source?). And one bad source "
        "ends it (`gather` raises at the first error, and then nothing holds the other futures).",
        "`scoring.score_file` writes a complete part that says which model and source it comes from. "
        "`scoring.finished` returns the sources whose parts are finished.",
    ),
    is_function=True,
)
