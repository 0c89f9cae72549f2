"""What does a learner see when JupyterLab opens? The lab on the left, the dashboard on the right."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from daskclass.commands import jupyter_internals

NAME = "default"  # the one that JupyterLab opens when an address names none
PANES = {
    "individual-task-stream": "Task Stream",
    "individual-progress": "Progress",
    "individual-workers-memory": "Workers Memory",
}
_EXTENSION = "dask-dashboard-launcher"  # dask-labextension keeps its state under this name
_SHARES = (0.45, 0.2, 0.35)  # of the height, for the panes


def write(folder: Path, notebook: str, dashboard: str) -> Path:
    """Write the layout into JupyterLab's folder of workspaces, in place of what was there; return the file.

    Parameters
    ----------
    folder : pathlib.Path
        Made if it is not there.
    notebook : str
        Path of a notebook, as JupyterLab sees it.
    dashboard : str
        Address of the dashboard, ``http://host:port``, or its path below JupyterLab's own address.
    """
    return jupyter_internals.save_workspace(folder, NAME, layout(notebook, dashboard))


def layout(notebook: str, dashboard: str) -> dict[str, Any]:
    """The workspace as JupyterLab restores it. Panes of an extension that is not there are left out by it."""
    lab = f"notebook:{notebook}"
    panes = {
        f"{_EXTENSION}:/{route}": {"data": {"item": {"route": f"/{route}", "label": label, "key": label}}}
        for route, label in PANES.items()
    }
    right = {
        "type": "split-area",
        "orientation": "vertical",
        "sizes": list(_SHARES),
        "children": [_tab(pane) for pane in panes],
    }
    dock = {"type": "split-area", "orientation": "horizontal", "sizes": [0.58, 0.42], "children": [_tab(lab), right]}
    return {
        "data": {
            "layout-restorer:data": {
                "main": {"dock": dock, "current": lab},
                "left": {"collapsed": True, "visible": True, "current": "filebrowser", "widgets": ["filebrowser"]},
                "right": {"collapsed": True, "visible": True, "widgets": []},
                "relativeSizes": [0, 1, 0],
            },
            lab: {"data": {"path": notebook, "factory": "Notebook"}},
            _EXTENSION: {"url": f"{dashboard.rstrip('/')}/", "cluster": ""},
            **panes,
        },
        "metadata": {"id": NAME},
    }


def _tab(widget: str) -> dict[str, Any]:
    return {"type": "tab-area", "currentIndex": 0, "widgets": [widget]}


if __name__ == "__main__":  # as the image of containers does
    folder, notebook, dashboard = sys.argv[1:]
    write(Path(folder), notebook, dashboard)
