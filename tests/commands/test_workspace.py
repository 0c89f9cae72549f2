"""The layout that JupyterLab restores: the lab on the left, panes of the dashboard on the right, connected."""

import json

from jupyterlab_server.workspaces_handler import WorkspacesManager

from daskclass.commands import workspace

LAB, DASHBOARD = "labs/00-start-here.ipynb", "http://127.0.0.1:8787"


def widgets(area: dict) -> list[str]:
    if area["type"] == "tab-area":
        return area["widgets"]
    assert len(area["sizes"]) == len(area["children"])
    return [name for child in area["children"] for name in widgets(child)]


def test_what_is_placed_is_also_described():
    data = workspace.layout(LAB, DASHBOARD)["data"]
    dock = data["layout-restorer:data"]["main"]["dock"]
    assert widgets(dock)[0] == f"notebook:{LAB}"
    assert len(widgets(dock)) == 1 + len(workspace.PANES)
    assert all(name in data for name in widgets(dock))
    assert data["dask-dashboard-launcher"]["url"] == f"{DASHBOARD}/"


def test_jupyterlab_finds_what_was_written_in_place_of_what_was_there(tmp_path):
    workspace.write(tmp_path / "spaces", LAB, "http://127.0.0.1:1/")
    written = workspace.write(tmp_path / "spaces", LAB, DASHBOARD)
    assert json.loads(written.read_text()) == workspace.layout(LAB, DASHBOARD)
    assert (
        WorkspacesManager(str(tmp_path / "spaces")).load(workspace.NAME)["data"]
        == workspace.layout(LAB, DASHBOARD)["data"]
    )
    assert len(list((tmp_path / "spaces").iterdir())) == 1
