"""Fixtures for the examples in docstrings. `pytest --doctest-modules src/daskclass` runs the examples.

This file is here, and not in `tests`, because pytest reads only the conftest.py files above the files that it runs.
Tests and labs use nothing from it.
"""

from __future__ import annotations

import ast

import pytest

# The user's own settings, which would give the examples other data or another cluster.
THEIRS = ("DASKCLASS_SIZE", "DASKCLASS_DATA", "DASK_SCHEDULER_ADDRESS")
GIVEN = ("client", "data", "folder", "model")


@pytest.fixture
def doctest_namespace(request, monkeypatch, tmp_path):
    """The names that an example may use without defining them. Only makes those that the example uses.

    client : distributed.Client
        Connected to a class cluster, which all examples share.
    data : daskclass.sales.Sales
        2 MB of sales data. Don't change it.
    folder : pathlib.Path
        A new, empty folder for each example.
    model : daskclass.scoring.Model
        A model trained with `data`.
    """
    import dask

    for name in THEIRS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DASKCLASS_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(request.config.rootpath)  # where an example finds the labs
    given = {name: request.getfixturevalue(f"example_{name}") for name in GIVEN if name in _undefined(request.node)}
    with dask.config.set({"scheduler-address": None}):  # which Dask read from the environment
        yield given


def _undefined(item) -> set[str]:
    """The names that an example uses and doesn't assign itself."""
    source = "".join(example.source for example in item.dtest.examples)
    names = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
    return {name.id for name in names} - {name.id for name in names if isinstance(name.ctx, ast.Store)}


@pytest.fixture(scope="session")
def example_client():
    from distributed import Client

    from daskclass import clusters, sizes

    with clusters.start(sizes.CLASS) as cluster, Client(cluster, set_as_default=False) as client:
        yield client


@pytest.fixture(scope="session")
def example_data(tmp_path_factory):
    from daskclass import sales, sizes

    return sales.make(sizes.parse("2MB"), tmp_path_factory.mktemp("sales"), threads=1)


@pytest.fixture
def example_folder(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def example_model(example_data, tmp_path_factory):
    import pandas as pd

    from daskclass import scoring

    folder = tmp_path_factory.mktemp("model")
    scoring.save(scoring.train(pd.read_parquet(example_data.parts[0]).head(5000)), folder)
    return scoring.load(folder)
