"""Exercises of lab 14: each wrong answer that we thought of gets its own advice."""

from __future__ import annotations

import inspect
import shutil
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from distributed import Client, LocalCluster, wait

from daskclass import scoring
from daskclass.errors import Problem
from daskclass.exercises import apart, lab14


@pytest.fixture(scope="module")
def client():
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        yield client


def always(worker, folder):
    worker.model = scoring.load(folder)


def only_once(worker, folder):
    if not hasattr(worker, "model"):
        worker.model = scoring.load(folder)


def the_pipeline(worker, folder):
    worker.model = scoring.load(folder).pipeline


def fails(worker, folder):
    raise KeyError("model")


def on_the_first_worker_only(worker, folder):
    import sys

    if sys.__dict__.setdefault("first_worker", worker.address) == worker.address:
        lab14._solve_set_up(worker, folder)


def by_folder_and_version(worker, folder):
    import json

    is_this = folder, json.loads((Path(folder) / "model.json").read_text())["version"]
    if getattr(worker, "is_this", None) != is_this:
        worker.is_this, worker.model = is_this, scoring.load(folder)


def waits_for_a_model(worker, folder):
    while getattr(worker, "model", None) is None:
        time.sleep(0.1)


def loads_to_compare(worker, folder):
    model = scoring.load(folder)
    if getattr(getattr(worker, "model", None), "version", None) != model.version:
        worker.model = model


def by_folder(worker, folder):
    if getattr(worker, "folder", None) != folder:
        worker.folder, worker.model = folder, scoring.load(folder)


SET_UP = {
    "a number": (7, "should be a function"),
    "fails": (fails, "On the worker it raised `KeyError"),
    "the pipeline": (the_pipeline, "should be the model that `scoring.load(folder)` returns"),
    "always": (always, "it loaded the model again"),
    "loads to compare": (loads_to_compare, "it loaded the model again"),
    "by folder": (by_folder, "a new version into the same folder"),
    "only once": (only_once, "it kept the old one"),
    "the first": (on_the_first_worker_only, "has another model, or none"),
    "by folder and version": (by_folder_and_version, "a copy of the folder"),
    "waits": (waits_for_a_model, "It was still running after "),
}


@pytest.mark.parametrize("name", SET_UP)
def test_a_wrong_way_to_load_has_advice_of_its_own(name, home, monkeypatch, request):
    answer, advice = SET_UP[name]
    if answer is waits_for_a_model:
        request.getfixturevalue("usual_pace")
        monkeypatch.setattr(apart, "SECONDS", 4.0)  # so that it's over sooner
    verdict = lab14.set_up.verdict(answer, home)
    assert verdict.state == "not yet"
    assert advice in verdict.message


def test_the_model_is_loaded_once(home):
    verdict = lab14.set_up.verdict(lab14._solve_set_up, home)
    assert verdict.state == "right", verdict.message


def variant(**changes):
    """A job that is right but for what `changes` say."""

    def job(client, sources, folder, home):
        return changes.get("run", whole)(client, sources, folder, home, changes)

    return job


def score(source, folder, model):
    scoring.score_file(source, folder, model)


def in_place(source, folder, model):
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    part = scoring.score_file(source, elsewhere, model)
    (folder / part.name).write_bytes((elsewhere / part.name).read_bytes())


def unlinks_and_copies(source, folder, model):
    (elsewhere := folder.parent / "elsewhere").mkdir(exist_ok=True)
    part = scoring.score_file(source, elsewhere, model)
    (folder / part.name).unlink(missing_ok=True)
    shutil.copyfile(elsewhere / part.name, folder / part.name)


def unlinks_and_writes(source, folder, model):
    """PyArrow writes by itself: Python doesn't hear of it."""
    (elsewhere := folder.parent / "elsewhere").mkdir(exist_ok=True)
    part = scoring.score_file(source, elsewhere, model)
    (folder / part.name).unlink(missing_ok=True)
    about = {name: text for name, text in pq.read_metadata(elsewhere / part.name).metadata.items() if b"dask" in name}
    table = pq.read_table(elsewhere / part.name).replace_schema_metadata(about)
    pq.write_table(table, folder / part.name)


def loads_in_each(client, sources, folder, home):
    done = scoring.finished(sources, folder, scoring.load(home))
    missing = [source for source in sources if source not in done]
    jobs = client.map(lambda one: scoring.score_file(one, folder, scoring.load(home)), missing, pure=False)
    wait(jobs)
    return client.gather(jobs)


def a_part_for_each(source, folder, model):
    try:
        scoring.score_file(source, folder, model)
    except scoring.CannotScore:
        (folder / Path(source).name).write_text("")


def backwards(source, folder, model):
    scoring.score_file(source, folder, model)
    path = folder / Path(source).name
    pq.write_table(pq.read_table(path).slice(0, 1_999), path)


def text(source, folder, model):
    (folder / Path(source).name).write_text("scores")


def other_columns(source, folder, model):
    pd.DataFrame({"scores": [0.5]}).to_parquet(folder / Path(source).name)


def rounded(source, folder, model):
    scoring.score_file(source, folder, model)
    path = folder / Path(source).name
    frame = pq.read_table(path).to_pandas()
    frame.round(2).to_parquet(path)


def not_there(source, folder, model):
    return None


def by_finished(sources, folder, model):
    return scoring.finished(sources, folder, model)


def by_existence(sources, folder, model):
    return {source for source in sources if (folder / Path(source).name).exists()}


def by_reading(sources, folder, model):
    """Whole files of any model."""
    found = set()
    for source in by_existence(sources, folder, model):
        try:
            pq.read_table(folder / Path(source).name)
        except (OSError, ValueError):
            continue
        found.add(source)
    return found


def by_model(sources, folder, model):
    """Whole files of this model, whatever their source was."""
    found = set()
    for source in by_reading(sources, folder, model):
        about = pq.read_metadata(folder / Path(source).name).metadata or {}
        if about.get(b"daskclass.model") == model.version.encode():
            found.add(source)
    return found


def by_its_footer(sources, folder, model):
    """As `by_model`, and nobody thinks of parts that cannot be read."""
    there = by_existence(sources, folder, model)
    about = {source: pq.read_metadata(folder / Path(source).name).metadata for source in there}
    return {source for source, found in about.items() if found[b"daskclass.model"] == model.version.encode()}


def by_source(sources, folder, model):
    """Whole files of this source, whatever their model was."""
    found = set()
    for source in by_reading(sources, folder, model):
        about = pq.read_metadata(folder / Path(source).name).metadata or {}
        status = Path(source).stat()
        if (
            about.get(b"daskclass.source")
            == f'["{Path(source).name}", {status.st_size}, {status.st_mtime_ns}]'.encode()
        ):
            found.add(source)
    return found


def nothing_is(sources, folder, model):
    return set()


def all_or_nothing(sources, folder, model):
    done = set(by_finished(sources, folder, model))
    return done if len(done) == len(sources) else set()


def whole(client, sources, folder, home, changes):
    folder, model = Path(folder), scoring.load(home)
    done = changes.get("done", by_finished)(sources, folder, model)
    missing = [source for source in sources if source not in done]
    one = changes.get("score", score)
    if changes.get("each"):
        jobs = [client.submit(one, source, folder, model, pure=False) for source in missing]
    else:
        there = client.scatter(model, hash=False, broadcast=True)
        jobs = client.map(one, missing, folder=folder, model=there, pure=False)
    if not changes.get("stops"):
        wait(jobs)
    return client.gather(jobs)


def only_the_pipeline(client, sources, folder, home):
    """It scores here, with what is in the model."""
    pipeline = scoring.load(home).pipeline
    for source in sources:
        orders = pd.read_parquet(source)
        scores = pipeline.predict_proba(orders[list(scoring.FEATURES)])[:, 1]
        orders.assign(score=scores)[["order_id", "score"]].to_parquet(Path(folder) / Path(source).name)


def in_the_notebook(client, sources, folder, home):
    model = scoring.load(home)
    done = scoring.finished(sources, folder, model)
    return [scoring.score_file(source, folder, model) for source in sources if source not in done]


def read_there_and_scored_here(client, sources, folder, home):
    model = scoring.load(home)
    done = scoring.finished(sources, folder, model)
    missing = [source for source in sources if source not in done]
    for source, orders in zip(missing, client.gather(client.map(pd.read_parquet, missing, pure=False)), strict=True):
        orders.assign(score=model.scores(orders))[["order_id", "score"]].to_parquet(Path(folder) / Path(source).name)


def removed_here(client, sources, folder, home):
    """The notebook removes what isn't finished, and the tasks write under the final name."""
    model = scoring.load(home)
    done = scoring.finished(sources, folder, model)
    missing = [source for source in sources if source not in done]
    for source in missing:
        (Path(folder) / Path(source).name).unlink(missing_ok=True)
    there = client.scatter(model, hash=False, broadcast=True)
    jobs = client.map(unlinks_and_writes, missing, folder=Path(folder), model=there, pure=False)
    wait(jobs)
    return client.gather(jobs)


def by_folder_of_the_model(source, folder, home):
    import sys

    models = sys.__dict__.setdefault("models_by_folder", {})
    if home not in models:
        models[home] = scoring.load(home)
    scoring.score_file(source, folder, models[home])


def with_a_cache(client, sources, folder, home):
    done = scoring.finished(sources, folder, scoring.load(home))
    missing = [source for source in sources if source not in done]
    jobs = client.map(by_folder_of_the_model, missing, folder=folder, home=home, pure=False)
    wait(jobs)
    return client.gather(jobs)


def until_all_are_done(client, sources, folder, home):
    model = scoring.load(home)
    there = client.scatter(model, hash=False, broadcast=True)
    while True:
        done = scoring.finished(sources, folder, model)
        missing = [source for source in sources if source not in done]
        if not missing:
            return
        wait(client.map(scoring.score_file, missing, folder=folder, model=there, pure=False))


def all_done(client, sources, folder, home):
    """The missing sources and their futures, all of which have ended."""
    from dask.distributed import wait

    model = scoring.load(home)
    done = scoring.finished(sources, folder, model)
    missing = [source for source in sources if source not in done]
    there = client.scatter(model, hash=False, broadcast=True)
    futures = client.map(scoring.score_file, missing, folder=folder, model=there, pure=False)
    wait(futures)
    return missing, futures


def hides_the_bad_one(client, sources, folder, home):
    """Everything is right, but whoever called it thinks that every source has a part."""
    _missing, futures = all_done(client, sources, folder, home)
    return client.gather(futures, errors="skip")


def returns_what_failed(client, sources, folder, home):
    missing, futures = all_done(client, sources, folder, home)
    return {source: future.exception() for source, future in zip(missing, futures, strict=True)}


def prints_what_failed(client, sources, folder, home):
    for source, error in returns_what_failed(client, sources, folder, home).items():
        if error is not None:
            print(f"{source}: {error}")


def returns_futures(client, sources, folder, home):
    _missing, futures = all_done(client, sources, folder, home)
    return futures


def never_ends(client, sources, folder, home):
    while True:
        time.sleep(0.01)


SCORE_ALL = {
    "a number": (7, "should be a function"),
    "fails": (lambda client, sources, folder, home: 1 // 0, "It raised `ZeroDivisionError"),
    "not there": (variant(score=not_there), "There's no part orders-0.parquet"),
    "text": (variant(score=text), "couldn't read the part orders-0.parquet"),
    "other columns": (variant(score=other_columns), "should have the columns order_id and score"),
    "backwards": (variant(score=backwards), "each order of its source once, in the same order"),
    "rounded": (variant(score=rounded), "are not the model's"),
    "in each call": (variant(each=True), "times the model's bytes went in and out of the scheduler"),
    "in the notebook": (in_the_notebook, "The notebook scored orders"),
    "without tasks": (only_the_pipeline, "No task ran on a worker"),
    "read there, scored here": (read_there_and_scored_here, "The notebook scored orders"),
    "removed here": (removed_here, "it writes into the part's file itself"),
    "with a cache": (with_a_cache, "we had saved a new one to the folder of models"),
    "until all are done": (until_all_are_done, "This one never is"),
    "hides the bad one": (hides_the_bad_one, "nobody was told of this one"),
    "never ends": (never_ends, "All its runs together took more than"),
    "exits": (lambda client, sources, folder, home: sys.exit("no model"), "It raised `SystemExit: no model"),
    "raises": (
        variant(done=by_its_footer),
        "as the colleague's job does after a kill. It raised",
    ),
    "all again": (variant(done=nothing_is), "it redid finished parts"),
    "by existence": (variant(done=by_existence), "Your job took it for finished"),
    "by reading": (variant(done=by_reading), "We changed a source after your job wrote its part"),
    "by source": (variant(done=by_source), "The part came from an older model"),
    "by model": (variant(done=by_model), "We changed a source after your job wrote its part"),
    "all or nothing": (variant(done=all_or_nothing), "it also redid 6 others"),
    "in place": (variant(score=in_place), "it writes into the part's file itself"),
    "unlinks, copies": (variant(score=unlinks_and_copies), "it writes into the part's file itself"),
    "unlinks, writes": (variant(score=unlinks_and_writes), "it writes into the part's file itself"),
    "loads in each": (loads_in_each, "2 workers read the model from disk 8 times"),
    "stops": (variant(stops=True), "Let the job finish those before it raises"),
    "a part for each": (variant(score=a_part_for_each), "it wrote a part for that one"),
}


# As functions of a notebook do, these travel with all that is in them: workers cannot import this module.
for _function in [value for value in globals().values() if inspect.isfunction(value)]:
    if _function.__module__ == __name__:
        _function.__module__ = "__main__"


# Seconds for all runs of a job. Tests share the cores, so a job that ends gets many; one that does not costs them all.
PATIENCE = {never_ends: 3.0, until_all_are_done: 12.0}


def patience(answer):
    return PATIENCE.get(answer, 120.0) if callable(answer) else 120.0


@pytest.fixture(autouse=True)
def enough_time(monkeypatch):
    monkeypatch.setattr(lab14, "_TRIAL", 120.0)


@pytest.mark.parametrize("name", SCORE_ALL)
def test_a_fault_has_advice_of_its_own(name, advice, client, slices, home, monkeypatch):
    answer, expected = SCORE_ALL[name]
    monkeypatch.setattr(lab14, "_TRIAL", patience(answer))
    said, _lines = advice(lab14.score_all, answer, client, slices, home)
    assert expected in said


def test_the_solution_has_no_fault(client, slices, home):
    verdict = lab14.score_all.verdict(lab14._solve_score_all, client, slices, home)
    assert verdict.state == "right", verdict.message


@pytest.mark.parametrize("answer", [returns_what_failed, prints_what_failed, returns_futures])
def test_there_are_several_ways_to_tell_what_failed(client, slices, home, answer):
    verdict = lab14.score_all.verdict(answer, client, slices, home)
    assert verdict.state == "right", verdict.message


def test_a_client_that_is_closed_is_said(client, slices, home):
    other = Client(client.scheduler.address, set_as_default=False)
    other.close()
    with pytest.raises(Problem, match=r"has lost its scheduler \(it is closed\)"):
        lab14.score_all.verdict(lab14._solve_score_all, other, slices, home)


def test_every_advice_is_reached(unreached, advice, client, slices, home):
    rows = [
        (lab14.set_up, answer, {"home": home})
        for answer, _expected in SET_UP.values()
        if answer is not waits_for_a_model
    ]
    told = []
    for answer, _expected in SCORE_ALL.values():
        if answer not in PATIENCE:
            told.append(advice(lab14.score_all, answer, client, slices, home))
    left = unreached(lab14, rows, set().union(*(lines for _said, lines in told)))
    assert left == ["raise TryNext("] * len(PATIENCE)  # what only a job that never ends is told, by the test above


def test_nothing_is_left_in_the_model(home):
    assert sorted(path.name for path in Path(home).iterdir()) == ["model.joblib", "model.json"]
