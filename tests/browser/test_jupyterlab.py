"""What a person sees who types `make lab` and presses Run All, in a real browser."""

import json
import re
import socket
import time

import nbformat

from daskclass.errors import Problem
from daskclass.labs import Lab

# How many rectangles, or bars, the plot of a pane has: rows of its data.
ROWS = """() => typeof Bokeh === "undefined" ? 0 : Math.max(0,
    ...Bokeh.documents.flatMap(one => [...one.all_models ?? one._all_models.values()])
    .filter(model => model.type === 'ColumnDataSource')
    .map(source => Math.max(0, ...Object.values(source.data).map(column => column.length))))"""
SECONDS = 240
TO_THE_DASHBOARD = "size connect dashboard-address before where claim-other-process counts claim-dashboard close"


def until(page, look, what: str, seconds: float = 60, instead=str):
    """What `look` gives, once it is true; a page has no event for what is waited for here.

    Where it does not come, `instead` says what there is.
    """
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"{what} did not come within {seconds} seconds; {instead()}"
        page.wait_for_timeout(200)  # in which the page's events are heard
    return found


def pane(page, route: str):
    """The frame of a pane of the dashboard."""
    return until(page, lambda: next((one for one in page.frames if route in one.url), None), f"the pane {route}")


def rows(page, route: str) -> int:
    return pane(page, route).evaluate(ROWS)


def open_lab(page, name: str) -> None:
    """Double-click a lab in the list of files, as a person does, and wait for its kernel."""
    page.locator(".jp-DirListing-item", has_text=name).dblclick()
    page.locator(".lm-TabBar-tab.jp-mod-current", has_text=name).wait_for()


def run_all(page, lab: Lab) -> list[str]:
    """Run, Run All Cells; then wait until the last code cell has run. What is red in the notebook.

    JupyterLab runs nothing, and doesn't say so, as long as there is no kernel. So this waits for one, as lab 00 says.
    """
    shown = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    shown.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for(timeout=90_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    saved = {}

    def all_have_run() -> bool:
        if not shown.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").count():
            return False
        page.keyboard.press("Control+s")
        until(
            page, lambda: not page.locator(".lm-TabBar-tab.jp-mod-current.jp-mod-dirty").count(), "the saved notebook"
        )
        try:
            saved["notebook"] = Lab(lab.path).notebook
        except Problem:  # it is being written
            return False
        counts = [cell.execution_count for cell in saved["notebook"].cells if cell.cell_type == "code"]
        return len(counts) == len(lab.cells) and all(counts)

    def state() -> str:
        status = shown.locator(".jp-Notebook-ExecutionIndicator").get_attribute("data-status")
        cells = saved["notebook"].cells if saved else []
        waiting = [cell.id for cell in cells if cell.cell_type == "code" and not cell.execution_count]
        return f"the kernel is {status}; not run when last saved: {waiting}; dialogs: {dialogs.all_inner_texts()}"

    dialogs = page.locator(".jp-Dialog")
    until(page, all_have_run, "the end of Run All", SECONDS, state)
    outputs = [output for cell in saved["notebook"].cells if cell.cell_type == "code" for output in cell.outputs]
    return [str(output)[:500] for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


def type_and_run(page, source: str) -> str:
    """Add a cell below the selected one, run it, and return what it says."""
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.type(source)
    page.keyboard.press("Control+Enter")
    cell = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell.jp-mod-selected")
    cell.locator(".jp-OutputArea-output").first.wait_for(timeout=60_000)
    return cell.locator(".jp-OutputArea").inner_text()


def test_jupyterlab_opens_with_the_lab_and_the_cluster_in_view(start, page, watched, shot, checkout):
    session = start()
    page.goto(session.address)
    page.locator(".jp-NotebookPanel h1", has_text="Start here").wait_for(timeout=90_000)
    for title in ("Task Stream", "Progress", "Workers Memory"):
        page.locator(".lm-TabBar-tab", has_text=title).wait_for()
    until(page, lambda: rows(page, "individual-workers-memory") >= 2, "a bar for each worker")
    before = rows(page, "individual-task-stream")
    lab = page.locator(".jp-NotebookPanel").bounding_box()
    stream = page.locator("iframe[src*='individual-task-stream']").bounding_box()
    assert lab["x"] + lab["width"] <= stream["x"], "the lab is on the left, the dashboard on the right"
    assert page.locator(".jp-toast, .Toastify__toast").count() == 0, "nothing pops up"
    shot("jupyterlab")

    assert run_all(page, Lab(checkout / "labs" / "00-start-here.ipynb")) == []
    until(page, lambda: rows(page, "individual-task-stream") > before + 20, "twenty calls and more in the stream")
    shot("lab-00")

    page.locator(".jp-Notebook .jp-Cell", has_text="lab00.mean_price.hint() gives you a nudge").first.click()
    assert "Hint" in type_and_run(page, "lab00.mean_price.hint()")
    assert "def " in type_and_run(page, "lab00.mean_price.solution()")
    shot("exercise")

    open_lab(page, "01-sales-data")
    page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) h1", has_text="The sales data").wait_for(timeout=60_000)
    assert run_all(page, Lab(checkout / "labs" / "01-sales-data.ipynb")) == []
    shot("lab-01")

    assert watched.elsewhere == []
    assert watched.errors == []


def test_without_the_extension_the_lab_works_and_says_where_to_look(start, page, watched, shot, checkout, tmp_path):
    (tmp_path / "config" / "labconfig").mkdir(parents=True)
    disabled = {"disabledExtensions": {"dask-labextension": True}}
    (tmp_path / "config" / "labconfig" / "page_config.json").write_text(json.dumps(disabled))
    path = checkout / "labs" / "00-start-here.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [
        cell for cell in notebook.cells if cell.id in TO_THE_DASHBOARD.split() or cell.source.startswith("# ")
    ]
    nbformat.write(notebook, path)
    session = start()
    page.goto(session.address)
    page.locator(".jp-NotebookPanel h1", has_text="Start here").wait_for(timeout=90_000)
    assert not [one.url for one in page.frames if "individual-" in one.url]
    assert run_all(page, Lab(path)) == []
    assert page.locator(".jp-OutputArea-output", has_text=session.dashboard).count() > 0, "the address is plain text"
    shot("without-extension")
    assert watched.elsewhere == []


def test_panes_follow_to_a_port_that_is_not_the_usual_one_and_by_a_click_to_the_cluster_of_a_lab(start, page, checkout):
    """As labs say from 03 on: the Dask symbol, then the magnifying glass."""
    [path] = (checkout / "labs").glob("11-*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id in ("title", "setup")]
    nbformat.write(notebook, path)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 8787))
        taken.listen()
        session = start()
        assert re.search(r"^Port 8787 is taken, so the dashboard is on \d+\.$", session.said, re.M)
        page.goto(session.address)
        assert session.dashboard.removesuffix("/status") in pane(page, "individual-task-stream").url

        open_lab(page, "11-work-stealing")
        page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) h1", has_text="Work stealing").wait_for(timeout=60_000)
        assert run_all(page, Lab(path)) == []
        [link] = [output.text.strip() for output in Lab(path).notebook.cells[-1].outputs]
        own = link.removesuffix("/status")
        assert own not in pane(page, "individual-task-stream").url
        page.locator(".jp-SideBar [title*='Dask']").click()
        page.locator(".dask-URLInput button").click()
        until(page, lambda: own in pane(page, "individual-task-stream").url, "the lab's cluster in the panes")
