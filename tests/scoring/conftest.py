"""A model that was trained once, in a second, and files of orders that it can score."""

from __future__ import annotations

import pytest

from daskclass import scoring


@pytest.fixture(scope="session")
def sales(large_sales):
    """Half a million orders."""
    return large_sales


@pytest.fixture(scope="session")
def trained(sales):
    """A boosted pipeline: it is small, and trained soon."""
    return scoring.train(scoring.sample(sales, 20_000), "boosted")


@pytest.fixture(scope="session")
def saved(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    scoring.save(trained, folder)
    return folder


@pytest.fixture
def model(saved):
    return scoring.load(saved)
