"""What does a rehearsal look like? Pages that open without a network, and JSON for programs."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any, cast

from bokeh.resources import Resources
from dask.utils import format_bytes
from jinja2 import Environment, PackageLoader, StrictUndefined
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from daskclass.claims import MARKS
from daskclass.commands.rehearsal.outcome import Outcome, Rehearsal
from daskclass.labs import METADATA


def as_json(rehearsal: Rehearsal) -> str:
    """The rehearsal for programs, ``report.json``: all fields except the notebooks."""
    found = asdict(rehearsal)
    if rehearsal.differences is None:
        del found["differences"]
    for lab in found["labs"]:
        del lab["notebook"]
        lab["seconds"] = round(lab["seconds"], 3)
    found["seconds"] = round(found["seconds"], 3)
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def report(rehearsal: Rehearsal) -> str:
    """The rehearsal for people, ``report.html``."""
    pictures = {lab.lab: figures(lab) for lab in rehearsal.labs}
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            rehearsal=rehearsal,
            started=datetime.datetime.fromisoformat(rehearsal.started),
            pictures=pictures,
            bokeh=Resources(mode="inline", components=["bokeh"]).render() if any(pictures.values()) else "",
            longest=max((lab.seconds for lab in rehearsal.labs), default=0) or 1,
            largest=max((lab.peak_bytes for lab in rehearsal.labs), default=0) or 1,
        )
    )


def notebook(lab: Outcome) -> str:
    """An executed lab as a page that links back to the report."""
    exporter = HTMLExporter(raw_template=files(__package__).joinpath("notebook.html.j2").read_text(encoding="utf-8"))
    executed = cast(NotebookNode, lab.notebook)  # one that could not be read has no page
    page, _resources = exporter.from_notebook_node(executed, {"metadata": {"name": lab.lab}})
    return page


def figures(lab: Outcome) -> list[dict[str, Any]]:
    """The pictures of an executed lab.

    Returns
    -------
    list of dict
        ``id`` of lab and cell, ``heading`` above it, ``summary``, and ``figure``, which is Bokeh's JSON as a string.
    """
    found, heading = [], lab.lab
    for cell in lab.notebook.cells if lab.notebook is not None else ():
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^#+ +(.+)$", cell.source, re.MULTILINE) or [heading])[-1]
        for output in cell.get("outputs", ()):
            about = output.get("metadata", {}).get(METADATA, {})
            if {"figure", "summary"} <= about.keys():
                found.append({"id": f"{lab.lab}-{cell.id}", "heading": heading, **about})
    return found


def said(value: Any) -> str:
    """A value of the evidence, on one line."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "nothing"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {said(element)}" for name, element in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(said, value)) or "none"
    return str(value)


def duration(seconds: float) -> str:
    """A duration such as ``42 s`` or ``3 min 05 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("daskclass.commands.rehearsal", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"size": format_bytes, "said": said, "duration": duration, "mark": MARKS.__getitem__}
    return environment
