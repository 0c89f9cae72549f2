"""How ``pytest --nbval-lax labs`` runs them: small, each on a cluster of its own."""

import os
from collections import Counter

import pytest

from daskclass import labs, machines, sizes
from daskclass.errors import Problem

# Asynchronous log lines on standard error are no part of what a claim says.
NOT_COMPARED = ("stderr",)
# A cell's last output can come late on a busy machine; nbval waits five seconds for it.
OUTPUT_SECONDS = 60
# With these, pytest-xdist sends the cells of one lab to different processes.
CELL_BY_CELL = ("load", "loadgroup", "worksteal")


def pytest_configure(config):
    if os.environ.get("DASKCLASS_LAB_RUNS"):  # only the class's own CI wants to know
        config.pluginmanager.register(Runs())
    os.environ.setdefault("DASKCLASS_SIZE", "smoke")
    try:
        sizes.current()
    except Problem as problem:
        raise pytest.UsageError(str(problem)) from problem
    if not os.environ.get("DASKCLASS_TEST_SCHEDULER"):
        os.environ.pop("DASK_SCHEDULER_ADDRESS", None)
    if (
        getattr(config.option, "dist", "no") in CELL_BY_CELL
    ):  # pytest-xdist may be missing
        config.option.dist = "loadfile"


def pytest_collection_modifyitems(items):
    notebooks = [item for item in items if item.path.suffix == ".ipynb"]
    elsewhere = pytest.mark.skip(reason="needs several machines: make test-machines")
    needs = {item.path: labs.Lab(item.path).needs for item in notebooks}
    for item in notebooks:
        if needs[item.path] == "machines" and not machines.here():
            item.add_marker(elsewhere)
    for item in notebooks:
        if not hasattr(item, "output_timeout"):
            raise pytest.UsageError(
                "nbval has no output_timeout any more; see labs/conftest.py"
            )
        item.output_timeout = OUTPUT_SECONDS
    for notebook in {item.parent for item in notebooks}:
        notebook.skip_compare = (*notebook.skip_compare, *NOT_COMPARED)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    option, one_of_several = (
        session.config.option,
        hasattr(session.config, "workerinput"),
    )
    side_by_side = (
        getattr(option, "dist", "no") != "no"
    )  # then it's the others that know which tests there are
    if one_of_several or option.collectonly or not (session.items or side_by_side):
        return
    from daskclass.sales import open_sales

    open_sales()  # once: the processes of pytest-xdist would be in each other's way


class Runs:
    """Notes which labs ran, and whether as a whole: each cell, and none failed."""

    def __init__(self):
        self.passed = Counter()

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            self.passed[report.nodeid.partition("::")[0]] += report.passed

    def pytest_sessionfinish(self, session):
        if hasattr(session.config, "workerinput"):  # one of several processes
            return
        import lab_runs

        for path, passed in self.passed.items():
            lab = labs.Lab(session.config.rootpath / path)
            lab_runs.note(lab.number, "nbval", whole=passed == len(lab.cells))
