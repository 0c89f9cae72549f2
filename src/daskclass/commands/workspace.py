"""What does a learner see when JupyterLab opens? The lab on the left, the dashboard on the right."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from daskclass.commands import jupyter_internals

NAME = "default"  # the workspace that JupyterLab opens by default
PANES = {
    "individual-task-stream": "Task Stream",
    "individual-progress": "Progress",
    "individual-workers-memory": "Workers Memory",
}
_EXTENSION = "dask-dashboard-launcher"  # dask-labextension keeps its state under this name
_SHARES = (0.45, 0.2, 0.35)  # of the height, for the panes


def write(folder: Path, notebook: str, dashboard: str) -> Path:
    """Write the layout into JupyterLab's workspaces folder, replacing an earlier one. Return the file.

    Parameters
    ----------
    folder : pathlib.Path
        Created if it doesn't exist.
    notebook : str
        Path of a notebook, as JupyterLab sees it.
    dashboard : str
        Address of the dashboard, ``http://host:port``, or its path below JupyterLab's own address.
    """
    return jupyter_internals.save_workspace(folder, NAME, layout(notebook, dashboard))


def layout(notebook: str, dashboard: str) -> dict[str, Any]:
    """The workspace as JupyterLab restores it. JupyterLab skips panes whose extension isn't installed."""
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
