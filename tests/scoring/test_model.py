"""Models: what they know beside what can be known, and that a wrong one, or wrong orders, are refused in words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sklearn

from daskclass import scoring
from daskclass.errors import UsageProblem
from daskclass.sales import CATEGORIES, STORES


def orders_of(sales, columns=(*scoring.FEATURES, scoring.TARGET)):
    return pd.read_parquet(sales.parts[-1], columns=list(columns))


def test_a_sample_is_the_same_each_time_and_from_many_files(sales):
    once, twice = scoring.sample(sales, 999), scoring.sample(sales, 999)
    pd.testing.assert_frame_equal(once, twice)
    assert len(once) == 999
    assert list(once.columns) == [*scoring.FEATURES, scoring.TARGET]
    assert not once.equals(scoring.sample(sales, 999, seed=1))


def test_the_file_that_judges_teaches_nobody(sales, monkeypatch):
    asked = []
    read = pd.read_parquet
    monkeypatch.setattr(pd, "read_parquet", lambda path, **options: asked.append(path) or read(path, **options))
    scoring.sample(sales, 999)
    assert sorted(asked) == sorted(sales.parts[:-1])
    with pytest.raises(UsageProblem, match="one file of orders"):
        scoring.sample(SimpleNamespace(parts=sales.parts[:1]), 999)


def test_a_sample_is_no_more_than_there_is(sales):
    assert len(scoring.sample(sales, 10**9)) <= sales.rows


def test_what_is_possible_is_the_rule_that_the_data_were_made_with(sales):
    orders = orders_of(sales)
    chances = scoring.best_possible(orders)
    # In each tenth of the orders as many come back as the rule says, to within four standard errors.
    for tenth in np.array_split(np.argsort(chances), 10):
        error = np.sqrt((chances[tenth] * (1 - chances[tenth])).sum()) / len(tenth)
        assert abs(orders.returned.to_numpy()[tenth].mean() - chances[tenth].mean()) < 4 * error


@pytest.mark.parametrize("kind", ["forest", "boosted"])
def test_a_model_is_nearly_as_good_as_possible_on_orders_it_has_not_seen(sales, kind):
    orders = orders_of(sales)
    pipeline = scoring.train(scoring.sample(sales, 40_000), kind)
    best = scoring.quality(orders.returned, scoring.best_possible(orders))
    found = scoring.quality(orders.returned, pipeline.predict_proba(orders[list(scoring.FEATURES)])[:, 1])
    chance = scoring.quality(orders.returned, np.full(len(orders), orders.returned.mean()))
    assert chance["auc"] == 0.5
    assert found["log_loss"] - best["log_loss"] < 0.15 * (chance["log_loss"] - best["log_loss"])


@pytest.mark.parametrize("kind", ["forest", "xgboost"])
def test_a_model_scores_with_one_thread_since_workers_are_what_is_parallel(sales, kind):
    assert scoring.train(scoring.sample(sales, 100), kind)["model"].n_jobs == 1


def test_an_unknown_kind_is_refused(sales):
    with pytest.raises(UsageProblem, match="no model 'linear'; choose from forest, boosted, xgboost"):
        scoring.train(scoring.sample(sales, 100), "linear")


def test_what_was_saved_is_what_is_loaded(trained, saved, sales):
    model, orders = scoring.load(saved), orders_of(sales)
    expected = trained.predict_proba(orders[list(scoring.FEATURES)])[:, 1]
    np.testing.assert_array_equal(model.scores(orders), expected)
    assert model.known == {"store": tuple(STORES), "category": tuple(CATEGORIES)}
    assert len(model.version) == 64


@pytest.mark.parametrize("batch", [1, 7, 1_000, 10**9])
def test_batches_do_not_change_scores(model, sales, batch):
    orders = orders_of(sales).head(60)
    np.testing.assert_array_equal(model.scores(orders, batch), model.scores(orders))


def test_no_orders_have_no_scores(model, sales):
    assert model.scores(orders_of(sales).head(0)).shape == (0,)


def test_a_batch_of_nothing_is_refused(model, sales):
    with pytest.raises(UsageProblem, match="a batch can't have 0 rows"):
        model.scores(orders_of(sales), 0)


def without_the_model(folder):
    (folder / "model.joblib").unlink()


def without_words(folder):
    (folder / "model.json").unlink()


def with_a_byte_more(folder):
    with (folder / "model.joblib").open("ab") as file:
        file.write(b"!")


def half_written(folder):
    (folder / "model.json").write_text('{"version": ')


def a_list(folder):
    (folder / "model.json").write_text("[]")


def a_folder_instead(folder):
    (folder / "model.joblib").unlink()
    (folder / "model.joblib").mkdir()


def by_another_version(folder):
    about = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(about | {"scikit-learn": "0.1"}))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (shutil.rmtree, "there is no model in .*model.json is missing"),
        (without_words, "model.json is missing"),
        (without_the_model, "model.joblib is missing"),
        (a_folder_instead, "can't read the model in .*model.joblib"),
        (with_a_byte_more, "has changed since it was saved: its checksum starts with"),
        (half_written, "wasn't written by `save`: JSONDecodeError"),
        (a_list, "wasn't written by `save`: TypeError"),
        (by_another_version, f"comes from scikit-learn 0.1, but this process has {sklearn.__version__}"),
    ],
)
def test_a_saved_model_that_is_not_right_is_refused(saved, tmp_path, harm, words):
    folder = tmp_path / "model"
    shutil.copytree(saved, folder)
    harm(folder)
    with pytest.raises(scoring.ModelProblem, match=words):
        scoring.load(folder)


def test_a_full_disk_leaves_the_model_that_was_there(saved, sales, tmp_path, full_disk):
    folder = Path(shutil.copytree(saved, tmp_path / "model"))
    another = scoring.train(scoring.sample(sales, 200), "boosted", seed=1)
    with full_disk, pytest.raises(scoring.ModelProblem, match=r"can't save the model to .*No space left"):
        scoring.save(another, folder)
    assert scoring.load(folder).version == scoring.load(saved).version
    assert sorted(path.name for path in folder.iterdir()) == ["model.joblib", "model.json"]


def test_a_save_that_ends_between_its_files_is_no_model_with_the_words_of_another(saved, sales, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(saved, tmp_path / "model"))
    rename = Path.replace

    def ends(path, target):
        if target.name == "model.json":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", ends)
    with pytest.raises(KeyboardInterrupt):
        scoring.save(scoring.train(scoring.sample(sales, 200), "boosted", seed=1), folder)
    with pytest.raises(scoring.ModelProblem, match="has changed since it was saved: its checksum starts with"):
        scoring.load(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["model.joblib", "model.json"]


def test_a_model_that_is_replaced_while_it_is_loaded_keeps_its_own_version(saved, sales, tmp_path, monkeypatch):
    folder, before = Path(shutil.copytree(saved, tmp_path / "model")), scoring.load(saved)
    loaded = joblib.load

    def meanwhile(file):
        scoring.save(scoring.train(scoring.sample(sales, 200), "boosted", seed=1), folder)
        return loaded(file)

    monkeypatch.setattr(joblib, "load", meanwhile)
    found, orders = scoring.load(folder), orders_of(sales)
    assert found.version == before.version
    assert np.array_equal(found.scores(orders), before.scores(orders))


def replaced(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)


@pytest.fixture
def table(sales):
    return pq.read_table(sales.parts[0], columns=list(scoring.FEATURES)).slice(0, 100)


def test_orders_that_fit_pass(table, model):
    scoring.check(table, model)
    scoring.check(replaced(table, "store", table.column("store").dictionary_encode()), model)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda table: table.drop_columns("price"),
            "no column 'price'; the model needs store, category, price, quantity",
        ),
        (lambda table: replaced(table, "price", pa.array(["1"] * 100)), "'price' is string, but .* with double"),
        (lambda table: replaced(table, "quantity", pa.array([1] * 100)), "'quantity' is int64, but .* with int8"),
        (lambda table: replaced(table, "price", pa.array([None] + [1.0] * 99)), "'price' has 1 of 100 values missing"),
        (
            lambda table: replaced(table, "store", pa.array(["S01"] * 99 + [None])),
            "'store' has 1 of 100 values missing",
        ),
        (
            lambda table: replaced(table, "category", pa.array(["Cars"] * 100)),
            "'category' has 'Cars', which the model has",
        ),
        (
            lambda table: replaced(table, "price", pa.array([float("nan")] * 100)),
            "'price' has values that are not finite",
        ),
        (
            lambda table: replaced(table, "store", pa.array(["S99"] * 100).dictionary_encode()),
            "'store' has 'S99', which the model has never seen",
        ),
    ],
)
def test_orders_that_do_not_fit_are_named(table, model, change, words):
    with pytest.raises(scoring.DoesNotFit, match=words):
        scoring.check(change(table), model)
