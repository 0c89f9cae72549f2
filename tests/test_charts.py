"""Figures say what they show, and need no network for it."""

import dataclasses
import json
import re

import pandas as pd
import pytest

from daskclass import charts, limits
from daskclass.errors import UsageProblem
from daskclass.watch import Recording
from daskclass.watch.topology import Topology


@pytest.fixture(scope="module")
def run():
    return limits.run("import time; x = bytearray(b'x') * 50_000_000; time.sleep(0.2)", "200MiB", way="watching")


@pytest.fixture
def cluster():
    memory = pd.DataFrame(
        [(0.0, "a", 100 << 20, 0, 0), (0.5, "b", 110 << 20, 0, 0), (1.0, "a", 300 << 20, 9, 50 << 20)],
        columns=["seconds", "worker", "process", "managed", "spilled"],
    )
    tasks = pd.DataFrame(
        [
            ("k1", "read", "a", 0, "compute", 0.0, 0.5),
            ("k2", "read", "b", 0, "compute", 0.0, 1.0),
            ("k2", "read", "b", 0, "transfer", 1.0, 1.25),
        ],
        columns=["key", "prefix", "worker", "thread", "action", "start", "stop"],
    )
    limit = 400 << 20
    return Recording(1.25, memory, tasks, limits={"a": limit, "b": limit}, peaks={"a": 310 << 20}, restarts=2)


def all_charts(run, cluster):
    return {"run": charts.memory(run), "memory": charts.memory(cluster), "tasks": charts.tasks(cluster)}


@pytest.mark.parametrize("name", ["run", "memory", "tasks"])
def test_a_chart_stands_alone(name, run, cluster):
    chart = all_charts(run, cluster)[name]
    page = chart.html()
    assert not re.findall(r"<script[^>]*\ssrc=|<link[^>]*\shref=", page)
    assert "Bokeh" in page
    bundle, metadata = chart._repr_mimebundle_()
    assert bundle["text/plain"] == chart.summary == repr(chart)
    assert chart.summary.replace("'", "&#x27;") in bundle["text/html"]
    assert "<figcaption>" in bundle["text/html"]
    kept = metadata["daskclass"]
    assert kept["summary"] == chart.summary
    document = json.loads(kept["figure"])
    assert document["root_id"] == document["doc"]["roots"][0]["id"]


def test_summaries_say_what_is_to_be_seen(run, cluster):
    found = all_charts(run, cluster)
    assert re.match(r"Memory rose to \d+ MiB under a limit of 200 MiB\. Then it ran to the end", found["run"].summary)
    assert found["memory"].summary == (
        "2 workers, counting each restart as a new one. At most 300 MiB on one of them, sampled ten times a second "
        "(310 MiB between two samples). The limit is 400 MiB. Restarts because of memory: 2."
    )
    cluster.peaks, cluster.restarts = {"b": 90 << 20}, 0  # of who lives at the end; the others held more
    assert charts.memory(cluster).summary == (
        "2 workers. At most 300 MiB on one of them, sampled ten times a second. The limit is 400 MiB."
    )
    assert found["tasks"].summary == "2 tasks on 2 threads, which were busy 70% of the time, most of it in read."


def test_a_title_is_seen_and_heard(run, cluster):
    for chart, plain in (
        (charts.memory(run, "A"), charts.memory(run)),
        (charts.memory(cluster, "A"), charts.memory(cluster)),
        (charts.tasks(cluster, "A"), charts.tasks(cluster)),
    ):
        assert chart.figure.title.text == "A"
        assert chart.summary == f"A: {plain.summary}"
        assert plain.figure.title is None or not plain.figure.title.text


def test_on_one_scale_what_is_longer_looks_longer(run, cluster):
    longer = dataclasses.replace(run, seconds=2 * run.seconds)
    for drawn in (charts.memory(run), charts.memory(longer)), (charts.tasks(cluster), charts.memory(longer)):
        ends = {chart.figure.x_range.end for chart in drawn}
        assert len(ends) == 2
        rows = drawn[0].figure.y_range
        assert charts.on_one_scale(*drawn) == drawn
        assert {(chart.figure.x_range.start, chart.figure.x_range.end) for chart in drawn} == {(0, max(ends))}
        assert drawn[0].figure.y_range is rows  # names have no scale
    tall, low = charts.memory(run), charts.memory(dataclasses.replace(run, limit=run.limit // 4, peak=1))
    assert tall.figure.y_range.end > low.figure.y_range.end
    charts.on_one_scale(low, tall)
    assert low.figure.y_range.end == tall.figure.y_range.end


def test_lines_differ_without_colour(cluster):
    glyphs = [renderer.glyph for renderer in charts.memory(cluster).figure.renderers]
    dashes = [(tuple(glyph.line_dash), glyph.line_width) for glyph in glyphs]
    assert len(set(dashes)) == len(dashes) == 3  # two processes, and what one of them spilled


def test_the_limit_is_in_the_picture(run):
    plot = charts.memory(run).figure
    assert plot.y_range.end > 200
    assert any(getattr(thing, "location", None) == 200 for thing in plot.center)


def test_workers_that_come_and_go_are_steps(cluster):
    cluster.workers = pd.DataFrame([(0.0, 1), (0.3, 2), (0.6, 3), (1.5, 1)], columns=["seconds", "workers"])
    chart = charts.workers(cluster)
    assert chart.summary == "Workers: 1 → 2 → 3 → 1, in 1.2 seconds. The last task finished after 1.2 seconds."
    [steps] = [renderer for renderer in chart.figure.renderers if type(renderer.glyph).__name__ == "Step"]
    assert list(steps.data_source.data["y"]) == [1, 2, 3, 1, 1]
    assert list(steps.data_source.data["x"]) == [0, 0.3, 0.6, 1.5, 1.5]
    cluster.tasks = cluster.tasks.head(0)
    assert charts.workers(cluster).summary == "Workers: 1 → 2 → 3 → 1, in 1.2 seconds."


def test_the_cast_is_drawn_with_who_called_whom(players):
    chart = charts.topology(players)
    assert chart.summary == "5 processes, 8 connections. The most called process is scheduler, with 3 callers."
    assert len([one for one in chart.figure.center if type(one).__name__ == "Arrow"]) == 5
    drawn = next(one.data_source.data["text"] for one in chart.figure.renderers if type(one.glyph).__name__ == "Text")
    assert sorted(text.partition("\n")[0] for text in drawn) == sorted(players.processes.who)


def test_a_cast_that_shares_a_process_is_drawn_too():
    alone = Topology(
        pd.DataFrame([("client + scheduler + worker 0", 7, 1, [])], columns=["who", "pid", "parent", "listens"]),
        pd.DataFrame([], columns=["caller", "called", "port", "count"]),
    )
    assert charts.topology(alone).summary == "1 processes, 0 connections."


def test_a_story_is_told_from_left_to_right():
    rows = [
        (0.0, "client", "", "asked"),
        (0.001, "scheduler", "released", "waiting"),
        (0.002, "worker east", "ready", "executing"),
    ]
    chart = charts.story(pd.DataFrame(rows, columns=["seconds", "who", "start", "finish"]))
    assert chart.summary == ("3 steps in 2 ms: asked (client) → waiting (scheduler) → executing (worker east).")
    assert list(chart.figure.y_range.factors) == ["worker east", "scheduler", "client"]


def test_a_worker_with_nothing_to_do_has_a_row(cluster):
    cluster.limits["c"] = cluster.limits["a"]
    cluster.tasks = pd.concat([cluster.tasks, cluster.tasks.head(1).assign(key="k3", thread=10)], ignore_index=True)
    chart = charts.tasks(cluster)
    assert chart.figure.y_range.factors == [
        "worker 3, thread 1",
        "worker 2, thread 1",
        "worker 1, thread 11",
        "worker 1, thread 1",
    ]
    assert chart.summary.endswith(". Worker 3 had nothing to do.")


def test_a_recording_without_tasks_can_be_drawn(cluster):
    cluster.tasks = cluster.tasks.head(0)
    assert charts.tasks(cluster).summary == (
        "0 tasks on 0 threads, which were busy 0% of the time. Worker 1 and worker 2 had nothing to do."
    )


def test_an_old_peak_is_not_told(cluster):
    assert "310 MiB between two samples" in charts.memory(cluster).summary
    cluster.peaks_before = {"a": 310 << 20}
    assert "between two samples" not in charts.memory(cluster).summary


def test_what_is_not_computing_has_the_dashboards_colours(cluster):
    drawn = {renderer.glyph.fill_color for renderer in charts.tasks(cluster).figure.renderers}
    assert "#b0483b" in drawn
    assert len(drawn) == 2


def alone(**changes) -> Recording:
    """One worker of 400 MiB that spilled."""
    memory = pd.DataFrame(
        [(0.0, "a", 100 << 20, 20 << 20, 0), (1.0, "a", 330 << 20, 200 << 20, 50 << 20)],
        columns=["seconds", "worker", "process", "managed", "spilled"],
    )
    shares = {"target": 0.6, "spill": 0.7, "pause": 0.8, "terminate": 0.95}
    return Recording(**({"seconds": 1.0, "memory": memory, "limits": {"a": 400 << 20}, "thresholds": shares} | changes))


def test_thresholds_are_drawn_and_who_crossed_them():
    chart = charts.thresholds(alone())
    assert chart.summary == (
        "The process held at most 330 MiB of 400 MiB; 200 MiB of that were results. At most 50 MiB were on disk. "
        "It crossed these thresholds: spill, pause."
    )
    page = chart.html()
    for share in ("target 60%", "spill 70%", "pause 80%", "terminate 95%"):
        assert share in page


def test_the_target_is_crossed_by_results():
    recording = alone()
    recording.memory.loc[1, "managed"] = 250 << 20
    assert charts.thresholds(recording).summary.endswith("It crossed these thresholds: target, spill, pause.")


def test_what_went_to_disk_between_two_looks_crossed_a_line():
    recording = alone()
    recording.memory["process"] = 100 << 20
    assert charts.thresholds(recording).summary.endswith("so it crossed a threshold between two samples.")
    recording.memory["spilled"] = 0
    assert charts.thresholds(recording).summary.endswith("It crossed no threshold.")


def test_without_a_look_nothing_was_recorded():
    summary = charts.thresholds(alone(memory=alone().memory.iloc[:0])).summary
    assert summary == "Nothing was recorded. It crossed no threshold."


def test_without_thresholds_none_is_drawn():
    chart = charts.thresholds(alone(thresholds={}))
    assert chart.summary.endswith("It crossed no threshold.")
    assert "pause 80%" not in chart.html()


@pytest.mark.parametrize(
    ("limits", "text"),
    [({}, "the recording has 0"), ({"a": 1, "b": 1}, "the recording has 2"), ({"a": 0}, "has no limit")],
)
def test_thresholds_are_of_one_worker_with_a_limit(limits, text):
    with pytest.raises(UsageProblem, match=text):
        charts.thresholds(alone(limits=limits))
