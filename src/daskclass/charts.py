"""What does a recording look like?

Bokeh draws the figures, without a network. They are readable in grayscale: lines differ in dashes, bars in lightness.
Each figure has a caption that says what it shows, for screen readers, for print, and for a tired reader.
"""

from __future__ import annotations

import html
import json
import re
import typing
import warnings
from dataclasses import dataclass
from typing import Any

import pandas as pd
from bokeh.embed import file_html, json_item
from bokeh.models import ColumnDataSource, DataRange1d, FactorRange, Range1d
from bokeh.models.annotations import Arrow as BokehArrow
from bokeh.models.annotations import Label, NormalHead, Span
from bokeh.plotting import figure
from bokeh.resources import Resources

from daskclass.errors import UsageProblem
from daskclass.labs import METADATA
from daskclass.limits import Run
from daskclass.watch import Recording
from daskclass.watch.topology import Topology

_HEIGHT = 260
_DASHES = ("solid", "dashed", "dotted", "dotdash", "dashdot")
_SHADES = ("#1b4b72", "#e8a33d", "#5b8c5a", "#b0483b", "#7d6b91", "#9a9a9a")
_ACTIONS = {"transfer": "#b0483b", "disk-read": "#e8a33d", "disk-write": "#e8a33d", "deserialize": "#9a9a9a"}
_KINDS = ("#1b4b72", "#5b8c5a", "#7d6b91", "#a8c5da", "#9a9a9a")  # of computed tasks; the colors above are taken
_MIB = 2**20
_BOX = (0.31, 0.27)  # half of the width and height of a process in the picture of a topology


@dataclass(frozen=True)
class Chart:
    """A figure and its caption. A notebook draws the figure, offline. Anywhere else, you see the caption.

    Attributes
    ----------
    figure : bokeh.plotting.figure
    summary : str
        The caption: what the figure shows, in a sentence or two.
    """

    figure: figure
    summary: str

    def html(self) -> str:
        """A complete web page that needs no other files."""
        return file_html(self.figure, Resources(mode="inline"), title=self.summary)

    def __repr__(self) -> str:
        return self.summary

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        # In an iframe, so that the page's scripts and styles don't affect it.
        page, text = html.escape(self.html(), quote=True), html.escape(self.summary, quote=True)
        frame = (
            f'<iframe srcdoc="{page}" title="{text}" width="100%" height="{_HEIGHT + 20}" style="border:0"></iframe>'
        )
        shown = {
            "text/plain": self.summary,
            "text/html": f"<figure style='margin:0'>{frame}<figcaption>{text}</figcaption></figure>",
        }
        # As text, because Jupyter sorts the keys that it saves, and the order matters in Bokeh's JSON.
        return shown, {METADATA: {"summary": self.summary, "figure": json.dumps(json_item(self.figure))}}


def memory(seen: Run | Recording, title: str | None = None) -> Chart:
    """Memory over time, with the limit: for code that ran under a limit, or for every worker of a recording.

    Parameters
    ----------
    seen : limits.Run or watch.Recording
    title : str, optional
        Title above the figure.

    Returns
    -------
    Chart
        Seconds on the x-axis, MiB on the y-axis.

    Examples
    --------
    A notebook draws the chart. Anywhere else, you see its caption.

    >>> from daskclass import charts, limits
    >>> chart = charts.memory(limits.run("pass", "200MiB"), title="Nothing at all")
    >>> chart.summary.split("Memory rose to")[0]
    'Nothing at all: '
    >>> chart.summary.partition(" under ")[2]
    'a limit of 200 MiB. Then it ran to the end.'
    """
    return _memory_of_run(seen, title) if isinstance(seen, Run) else _memory_of_workers(seen, title)


def on_one_scale(*drawn: Chart) -> tuple[Chart, ...]:
    """Give these charts the same axes, so that you can compare them. Each axis covers the numbers of all charts.

    Axes with names, such as the rows of `tasks`, stay as they are.
    """
    for axis in ("x_range", "y_range"):
        ranges = [getattr(chart.figure, axis) for chart in drawn]
        numbers = [one for one in ranges if not isinstance(one, FactorRange)]
        if numbers:
            start, end = min(one.start for one in numbers), max(one.end for one in numbers)
            for one in numbers:
                one.start, one.end = start, end
    return drawn


def _plot(**options: Any) -> figure:
    plot = figure(height=_HEIGHT, sizing_mode="stretch_width", toolbar_location=None, **options)
    plot.grid.grid_line_alpha = 0.4
    return plot


def _told(plot: figure, text: str, title: str | None) -> Chart:
    """A chart whose caption includes its title, so that users of a screen reader know which chart it is."""
    return Chart(plot, f"{title}: {text}" if title else text)


def _mib(number: float) -> str:
    """A number of bytes, in the unit of the axis."""
    return f"{number / _MIB:,.0f} MiB"


def _then(run: Run) -> str:
    """How the code ended, as a sentence."""
    if run.how.startswith(("it ", "the ", "a ")):
        return f"Then {run.how}"
    return f"Then it was {run.how}" if run.how.startswith("killed") else f"Then it failed with {run.how}"


def _from_zero(plot: figure, top: float) -> None:
    """Let the y-axis go from 0 to `top`."""
    axis = typing.cast(DataRange1d, plot.y_range)  # which `figure` makes where it is given no other
    axis.start, axis.end = 0, top


def _limit_line(plot: figure, limit: float) -> None:
    plot.add_layout(
        Span(location=limit / _MIB, dimension="width", line_color="black", line_dash="dashed", line_width=2)
    )
    label = f"limit {_mib(limit)}"
    plot.add_layout(Label(x=6, y=limit / _MIB, x_units="screen", text=label, text_font_size="12px", y_offset=3))


def _legend_above(plot: figure) -> None:
    legend = plot.legend[0]
    legend.orientation, legend.location = "horizontal", "left"
    if len(legend.items) > 4:
        legend.ncols = 2
    legend.padding = legend.margin = 2  # type: ignore[assignment]  # Bokeh's stub says what declares a margin
    legend.border_line_color = None
    plot.add_layout(legend, "above")


def _memory_of_run(run: Run, title: str | None) -> Chart:
    last = max(run.seconds, run.growth.seconds.max() if len(run.growth) else 0) or 1
    plot = _plot(title=title, x_axis_label="seconds", y_axis_label="MiB held", x_range=Range1d(start=0, end=last))
    plot.line(run.growth.seconds.to_numpy(), (run.growth.bytes / _MIB).to_numpy(), line_width=2, color=_SHADES[0])
    top = run.peak
    text = f"Memory rose to {_mib(run.peak)} in {run.seconds:.1f} seconds. {_then(run)}."
    if run.limit is not None:
        _limit_line(plot, run.limit)
        top = max(top, run.limit)
        text = f"Memory rose to {_mib(run.peak)} under a limit of {_mib(run.limit)}. {_then(run)}."
    _from_zero(plot, top / _MIB * 1.25)
    return _told(plot, text, title)


def _memory_of_workers(recording: Recording, title: str | None) -> Chart:
    plot = _plot(title=title, x_axis_label="seconds", y_axis_label="MiB")
    frame, top = recording.memory, 0.0
    for number, (_worker, rows) in enumerate(frame.groupby("worker", sort=False)):
        dash, color = _DASHES[number % len(_DASHES)], _SHADES[number % len(_SHADES)]
        style: dict[str, Any] = {"line_dash": dash, "color": color, "line_width": 2}
        seconds, held = rows.seconds.to_numpy(), (rows.process / _MIB).to_numpy()
        plot.line(seconds, held, legend_label=f"worker {number + 1}", **style)
        top = max(top, rows.process.max())
        if rows.spilled.any():
            spilled = style | {"line_width": 1}
            on_disk = (rows.spilled / _MIB).to_numpy()
            plot.line(seconds, on_disk, legend_label=f"worker {number + 1}, on disk", **spilled)
    workers, limit = frame.worker.nunique(), max(recording.limits.values(), default=0)
    again = ", counting each restart as a new one" if recording.restarts else ""
    text = f"{workers} workers{again}. At most {_mib(top)} on one of them, sampled ten times a second"
    new = [peak for worker, peak in recording.peaks.items() if peak > recording.peaks_before.get(worker, 0)]
    if (peak := max(new, default=0)) >= top > 0:
        text += f" ({_mib(peak)} between two samples)"
    if limit:
        _limit_line(plot, limit)
        text += f". The limit is {_mib(limit)}"
    text += "." if not recording.restarts else f". Restarts because of memory: {recording.restarts}."
    _from_zero(plot, max(top, limit) / _MIB * 1.25 or 1)
    plot.x_range = Range1d(start=0, end=max(recording.seconds, frame.seconds.max() if workers else 0) or 1)
    if workers:
        _legend_above(plot)
    return _told(plot, text, title)


def thresholds(recording: Recording) -> Chart:
    """One worker's memory over time, with the thresholds of its configuration.

    The lines show the whole process, the managed and the unmanaged part of it, and the bytes on disk.

    Raises
    ------
    UsageProblem
        If the recording doesn't have exactly one worker with a memory limit.
    """
    if len(recording.limits) - recording.restarts != 1:
        raise UsageProblem(f"this chart shows one worker, but the recording has {len(recording.limits)}")
    if not (limit := max(recording.limits.values())):
        raise UsageProblem("thresholds are shares of a memory limit, but the worker in this recording has no limit")
    frame = recording.memory
    kinds = {
        "process": frame.process,
        "managed": frame.managed,
        "unmanaged": (frame.process - frame.managed).clip(lower=0),
        "spilled, on disk": frame.spilled,
    }
    last = max(recording.seconds, frame.seconds.max() if len(frame) else 0) or 1
    plot = _plot(x_axis_label="seconds", y_axis_label="MiB", x_range=Range1d(start=0, end=last * 1.22))
    for number, (kind, held) in enumerate(kinds.items()):
        style: dict[str, Any] = {"line_dash": _DASHES[number], "color": _SHADES[number], "line_width": 2.5}
        plot.line(frame.seconds.to_numpy(), (held / _MIB).to_numpy(), legend_label=kind, **style)
    for name, share in recording.thresholds.items():
        height = share * limit / _MIB
        plot.add_layout(Span(location=height, dimension="width", line_color="black", line_width=0.7))
        text = f"{name} {share:.0%}"
        plot.add_layout(Label(x=last * 1.22, y=height, text=text, text_font_size="11px", text_align="right"))
    top = max([frame.process.max(), frame.spilled.max(), limit] if len(frame) else [limit])
    _from_zero(plot, top / _MIB * 1.08)
    if len(frame):
        _legend_above(plot)
    of_results = {"target"}  # the other thresholds apply to the whole process
    crossed = [
        name
        for name, share in recording.thresholds.items()
        if ((frame.managed if name in of_results else frame.process) > share * limit).any()
    ]
    text = "Nothing was recorded. "
    if len(frame):
        largest = frame.iloc[int(frame.process.argmax())]
        text = (
            f"The process held at most {_mib(largest.process)} of {_mib(limit)}; {_mib(largest.managed)} of that were "
            f"results. At most {_mib(frame.spilled.max())} were on disk. "
        )
    if crossed:
        text += f"It crossed these thresholds: {', '.join(crossed)}."
    elif recording.thresholds and len(frame) and frame.spilled.max() > frame.spilled.iloc[0]:
        text += "Results went to disk, so it crossed a threshold between two samples."
    else:
        text += "It crossed no threshold."
    return Chart(plot, text)


def tasks(recording: Recording, title: str | None = None) -> Chart:
    """Which worker did what, and when: a row for each busy thread, and a bar for each action.

    If no worker used a second thread, rows have the names of their workers only.

    Workers are numbered in the order of their addresses. Idle workers have an empty row. Actions other than computing
    are hatched, in the dashboard's colors: red for the network, orange for the disk, gray for unpickling.

    Parameters
    ----------
    recording : watch.Recording
    title : str, optional
        Title above the figure.
    """
    frame = recording.tasks.copy()
    numbers = {address: number + 1 for number, address in enumerate(sorted({*recording.limits, *frame.worker}))}
    several = bool(frame.thread.any())
    frame["row"] = [
        _thread(numbers[worker], thread, several) for worker, thread in zip(frame.worker, frame.thread, strict=True)
    ]
    idle = {_thread(number, 0, several) for address, number in numbers.items() if address not in set(frame.worker)}
    frame["what"] = frame.prefix.where(frame.action == "compute", frame.action)
    rows = FactorRange(*sorted({*frame.row, *idle}, key=_natural, reverse=True))
    last = max(recording.seconds, frame.stop.max() if len(frame) else 0) or 1
    plot = _plot(title=title, y_range=rows, x_range=Range1d(start=0, end=last), x_axis_label="seconds")
    most = frame.groupby("what").apply(lambda rows: (rows.stop - rows.start).sum())
    names = list(most.sort_values(ascending=False).index) if len(frame) else []
    kinds = [name for name in names if name not in _ACTIONS]
    thin = len(frame) > 0 and (frame.stop - frame.start).median() < last / 200  # a white edge would cover the bar
    for name in names:
        source = ColumnDataSource(frame.loc[frame.what == name, ["row", "start", "stop"]])
        number = len(_KINDS) if name in _ACTIONS else kinds.index(name)
        colour = _ACTIONS.get(name) or _KINDS[min(number, len(_KINDS) - 1)]
        style: dict[str, Any] = {"fill_color": colour, "line_color": colour if thin else "white", "line_width": 0.5}
        hatch: dict[str, Any] = {"hatch_pattern": "/", "hatch_alpha": 0.5} if name in _ACTIONS else {}
        label = {"legend_label": name} if name in _ACTIONS or number < len(_KINDS) - 1 else {}
        plot.hbar(y="row", left="start", right="stop", height=0.8, source=source, **style, **hatch, **label)
    if names:
        _legend_above(plot)
    busy = (frame.stop - frame.start).sum()
    share = busy / (recording.seconds * max(frame.row.nunique(), 1)) if recording.seconds else 0.0
    longest = f", most of it in {names[0]}" if names else ""
    threads = frame.row.nunique()
    text = f"{frame.key.nunique()} tasks on {threads} threads, which were busy {share:.0%} of the time{longest}"
    if idle:
        text += f". {' and '.join(sorted(idle, key=_natural)).capitalize()} had nothing to do".replace(", thread 1", "")
    return _told(plot, f"{text}.", title)


def _thread(worker: int, thread: int, several: bool) -> str:
    return f"worker {worker}, thread {thread + 1}" if several else f"worker {worker}"


def _natural(row: str) -> list[int]:
    return [int(word) for word in re.findall(r"\d+", row)]


def workers(recording: Recording) -> Chart:
    """The number of workers over time, and when the last task finished."""
    there, done = recording.workers, recording.tasks.stop.max()
    last = max(recording.seconds, there.seconds.max()) or 1
    plot = _plot(x_axis_label="seconds", y_axis_label="workers", x_range=Range1d(start=0, end=last))
    numbers = there.workers.tolist()
    plot.step([*there.seconds, last], [*numbers, numbers[-1]], mode="after", color=_SHADES[0], line_width=3)
    _from_zero(plot, max(numbers) + 1)
    plot.yaxis.ticker = list(range(max(numbers) + 1))
    text = f"Workers: {' → '.join(map(str, numbers))}, in {recording.seconds:.1f} seconds"
    if len(recording.tasks):
        plot.add_layout(Span(location=done, dimension="height", line_color="black", line_dash="dashed"))
        late = done > last / 2  # then there is more room to the left of the line
        label = Label(
            x=done,
            y=max(numbers) + 0.5,
            text="last task finished",
            text_font_size="12px",
            text_align="right" if late else "left",
            x_offset=-4 if late else 4,
        )
        plot.add_layout(label)
        text += f". The last task finished after {done:.1f} seconds"
    return Chart(plot, f"{text}.")


def __getattr__(name: str) -> Any:
    """Notebooks of version 0.1 use the old names of `topology` and `story`. Those work until 0.3."""
    now = {"cast": topology, "journey": story}.get(name)
    if now is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"charts.{name} is now charts.{now.__name__}; the old name works until version 0.3", FutureWarning, 2)
    return now


def topology(seen: Topology) -> Chart:
    """The processes of a cluster, with an arrow from each caller to the process that it connected to.

    Parameters
    ----------
    seen : watch.topology.Topology
    """
    columns = ("client", "scheduler", "nanny", "worker")
    places: dict[str, tuple[float, float]] = {}
    for column, role in enumerate(columns):
        those = [who for who in seen.processes.who if who.split(" ")[0] == role]
        for row, who in enumerate(sorted(those)):
            apart = 1.4 if role == "nanny" else 1.0  # so that they don't cover the lines to the workers
            places[who] = (column, ((len(those) - 1) / 2 - row) * apart)
    tallest = max(abs(y) for _x, y in places.values())
    across, up = Range1d(start=-0.5, end=len(columns) - 0.3), Range1d(start=-tallest - 0.7, end=tallest + 0.7)
    plot = _plot(x_range=across, y_range=up)
    plot.axis.visible, plot.grid.visible = False, False
    for caller, called in zip(seen.connections.caller, seen.connections.called, strict=True):
        start, end = _between_boxes(places[caller], places[called])
        head = NormalHead(size=9, fill_color=_SHADES[0], line_color=_SHADES[0])
        ends = {"x_start": start[0], "y_start": start[1], "x_end": end[0], "y_end": end[1]}
        options: dict[str, Any] = ends | {"line_color": _SHADES[0]}  # which Bokeh's types take for body_line_color
        plot.add_layout(BokehArrow(**options, end=head))
    rows = seen.processes.assign(
        x=seen.processes.who.map(lambda who: places[who][0]),
        y=seen.processes.who.map(lambda who: places[who][1]),
        text=seen.processes.who + "\n" + seen.processes.pid.map("process {}".format),
    )
    source = ColumnDataSource(rows[["x", "y", "text"]])
    plot.rect("x", "y", width=2 * _BOX[0], height=2 * _BOX[1], source=source, fill_color="white", line_color="black")
    plot.text("x", "y", "text", source=source, text_align="center", text_baseline="middle", text_font_size="13px")
    callers = seen.connections.groupby("called").caller.nunique().sort_values(ascending=False)
    most = f". The most called process is {callers.index[0]}, with {callers.iloc[0]} callers" if len(callers) else ""
    return Chart(plot, f"{len(seen.processes)} processes, {seen.connections['count'].sum()} connections{most}.")


def _between_boxes(
    start: tuple[float, float], end: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The part of the line between two boxes' centers that lies outside both boxes."""
    across, up = end[0] - start[0], end[1] - start[1]
    inside = min(_BOX[0] / abs(across) if across else 1.0, _BOX[1] / abs(up) if up else 1.0)
    return (
        (start[0] + across * inside, start[1] + up * inside),
        (end[0] - across * inside, end[1] - up * inside),
    )


def story(steps: pd.DataFrame) -> Chart:
    """What happened to a task: a lane for each process involved, with the steps from left to right.

    Parameters
    ----------
    steps : DataFrame
        As `watch.story.story` returns it.
    """
    lanes = list(dict.fromkeys(sorted(steps.who, key=_lane)))
    across = Range1d(start=0.4, end=len(steps) + 0.8)
    plot = _plot(y_range=FactorRange(*reversed(lanes)), x_range=across, x_axis_label="step")
    rows = steps.assign(
        step=range(1, len(steps) + 1),
        text=steps.finish + "\n" + (steps.seconds * 1000).map("{:.1f} ms".format),
    )
    plot.xaxis.ticker = list(rows.step)
    plot.line(rows.step.to_numpy(), rows.who.to_numpy(), color=_SHADES[-1], line_width=2)
    source = ColumnDataSource(rows[["step", "who", "text"]])
    plot.scatter("step", "who", source=source, size=9, color=_SHADES[0])
    plot.text("step", "who", "text", source=source, text_font_size="11px", y_offset=-8, text_align="center")
    path = " → ".join(f"{row.finish} ({row.who})" for row in rows.itertuples())
    return Chart(plot, f"{len(rows)} steps in {steps.seconds.max() * 1000:.0f} ms: {path}.")


def _lane(who: str) -> tuple[int, str]:
    return ({"client": 0, "scheduler": 1}.get(who, 2), who)
