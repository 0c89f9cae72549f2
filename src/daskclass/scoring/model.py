"""A model that says how likely an order is to come back: trained, judged, saved with what it expects, loaded again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from daskclass.errors import Problem, UsageProblem
from daskclass.sales import CATEGORIES, COLUMNS, STORES, Sales, return_thresholds
from daskclass.system.files import sha256, written

FEATURES = ("store", "category", "price", "quantity")
"""The columns that a model takes, in this order."""

TARGET = "returned"

_TEXTS = ("store", "category")
_MODEL, _ABOUT = "model.joblib", "model.json"


class ModelProblem(Problem):
    """A saved model cannot be used."""


class DoesNotFit(Problem):
    """Orders are not what the model was trained for."""


@dataclass(frozen=True)
class Model:
    """A trained pipeline and what it expects.

    Attributes
    ----------
    pipeline : sklearn.pipeline.Pipeline
        Takes a DataFrame with the columns `FEATURES`.
    version : str
        SHA-256 of the saved pipeline, 64 hexadecimal digits; two models of one version are the same bytes.
    types : Mapping
        For each feature the name of its Arrow type.
    known : Mapping
        For each feature that is a text the values that the model was trained with.
    """

    pipeline: Pipeline
    version: str
    types: Mapping[str, str]
    known: Mapping[str, tuple[str, ...]]

    def scores(self, orders: pd.DataFrame, batch: int | None = None) -> np.ndarray:
        """How likely each order is to come back.

        Parameters
        ----------
        orders : pandas.DataFrame
            At least the columns `FEATURES`; see `check`.
        batch : int, optional
            Rows that are handed to scikit-learn at once; all of them if not given. The scores are the same.

        Returns
        -------
        numpy.ndarray
            float64, shape (orders,), from 0 to 1.

        Raises
        ------
        UsageProblem
            If `batch` is less than 1.
        """
        if batch is not None and batch < 1:
            raise UsageProblem(f"a batch of {batch} rows makes no sense: say 1 or more")
        features = orders[list(FEATURES)]
        starts = range(0, len(features), batch or max(len(features), 1))
        pieces = [features.iloc[start : start + (batch or len(features))] for start in starts]
        return np.concatenate([np.empty(0), *(self.pipeline.predict_proba(piece)[:, 1] for piece in pieces)])


def sample(sales: Sales, rows: int, seed: int = 0) -> pd.DataFrame:
    """Orders to train with, as many from each of up to twenty files that chance picks.

    The last file is never among them: its orders are there to judge a model by.

    Parameters
    ----------
    rows : int
        How many; fewer if the files have not so many.

    Returns
    -------
    pandas.DataFrame
        Columns `FEATURES` and `TARGET`.

    Raises
    ------
    UsageProblem
        If there is one file only.
    """
    if len(sales.parts) < 2:
        raise UsageProblem("there is one file of orders, and a model that learned from it cannot be judged by it")
    random = np.random.default_rng(seed)
    paths = random.choice(sales.parts[:-1], size=min(20, len(sales.parts) - 1), replace=False)
    each = -(-rows // len(paths))
    frames = [pd.read_parquet(path, columns=[*FEATURES, TARGET]) for path in sorted(paths)]
    chosen = [frame.iloc[np.sort(random.permutation(len(frame))[:each])] for frame in frames]
    return pd.concat(chosen, ignore_index=True).head(rows)


def train(orders: pd.DataFrame, kind: str = "forest", seed: int = 0) -> Pipeline:
    """A pipeline with its own preprocessing, trained on `orders`.

    Parameters
    ----------
    orders : pandas.DataFrame
        Columns `FEATURES` and `TARGET`; a row for each order.
    kind : str
        ``forest``, thirty trees, some 17 MB on 400,000 rows; or ``boosted``, gradient boosting on histograms, which is
        small; or ``xgboost``, which needs the extra of that name.
    seed : int
        Of what the model draws at random.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Takes a DataFrame with the columns `FEATURES`. It scores on one thread.

    Raises
    ------
    UsageProblem
        If there is no such kind, or XGBoost is not installed.
    KeyError
        If `orders` lacks a column.

    Examples
    --------
    `data` is sales data of 2 MB. A model says for each order how likely it stays and how likely it comes back.

    >>> import pandas as pd
    >>> from daskclass import scoring
    >>> orders = pd.read_parquet(data.parts[0])
    >>> pipeline = scoring.train(orders.head(5000))
    >>> pipeline.predict_proba(orders.tail(100)[list(scoring.FEATURES)]).shape
    (100, 2)
    """
    if kind not in _KINDS:
        raise UsageProblem(f"there is no model {kind!r}: say {', '.join(_KINDS)}")
    codes = OrdinalEncoder(categories=[list(STORES), list(CATEGORIES)], dtype=np.float32)
    columns = ColumnTransformer([("codes", codes, list(_TEXTS))], remainder="passthrough")
    pipeline = Pipeline([("columns", columns), ("model", _KINDS[kind](seed))])
    pipeline.fit(orders[list(FEATURES)], orders[TARGET])
    if "n_jobs" in pipeline["model"].get_params():
        pipeline.set_params(model__n_jobs=1)  # trained by all cores; when it scores, the workers are what is parallel
    return pipeline


def _forest(seed: int) -> RandomForestClassifier:
    return RandomForestClassifier(30, max_depth=15, min_samples_leaf=30, n_jobs=-1, random_state=seed)


def _boosted(seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=100, random_state=seed)


def _xgboost(seed: int) -> Any:
    try:
        from xgboost import XGBClassifier
    except (ImportError, OSError, ValueError) as error:  # the last: its library is there and cannot be loaded
        what = f"XGBoost cannot be loaded ({type(error).__name__}): pip install 'daskclass[xgboost]'"
        raise UsageProblem(f"{what}; on macOS it needs OpenMP as well (brew install libomp)") from None
    return XGBClassifier(n_estimators=100, max_depth=6, n_jobs=-1, random_state=seed)


_KINDS: dict[str, Callable[[int], Any]] = {"forest": _forest, "boosted": _boosted, "xgboost": _xgboost}


def best_possible(orders: pd.DataFrame) -> np.ndarray:
    """The chance with which each order really comes back, by the rule that the data were made with.

    Returns
    -------
    numpy.ndarray
        float64, shape (orders,). No model can know more.
    """
    store = pd.Index(STORES).get_indexer(pd.Index(orders.store))
    category = pd.Index(CATEGORIES).get_indexer(pd.Index(orders.category))
    band = (np.rint(orders.price.to_numpy() * 100).astype(np.int64) - 1_000) // 9_901
    chances: np.ndarray = return_thresholds()[category, band, orders.quantity.to_numpy() - 1, store] / 65_536
    return chances


def quality(returned: np.ndarray | pd.Series, scores: np.ndarray) -> dict[str, float]:
    """How good scores are: ``log_loss`` (nats an order, less is better) and ``auc`` (0.5 is chance, 1 perfect)."""
    return {"log_loss": float(log_loss(returned, scores)), "auc": float(roc_auc_score(returned, scores))}


def save(pipeline: Pipeline, folder: str | Path) -> str:
    """Save a pipeline and what it expects into `folder`, which is made if it is not there.

    Parameters
    ----------
    pipeline : sklearn.pipeline.Pipeline
        As `train` returns it.
    folder : str or path

    Returns
    -------
    str
        The model's version: SHA-256 of the saved pipeline, 64 hexadecimal digits.

    Raises
    ------
    ModelProblem
        If it cannot be written. A model that was there before stays.

    Examples
    --------
    `model` is a trained model, and `folder` is an empty folder.

    >>> from daskclass import scoring
    >>> version = scoring.save(model.pipeline, folder)
    >>> len(version)
    64
    >>> sorted(path.name for path in folder.iterdir())
    ['model.joblib', 'model.json']
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Both are complete before either takes its place: the model when its block ends, then its description. A
        # process that dies between the two leaves a checksum that does not fit, which `load` refuses.
        with written(folder / _ABOUT) as about, written(folder / _MODEL) as model:
            joblib.dump(pipeline, model)
            version = sha256(model)
            about.write_text(json.dumps(_description(pipeline, version), indent=1) + "\n")
    except OSError as error:
        raise ModelProblem(f"the model cannot be saved into {folder} ({error.strerror or error})") from error
    return version


def _description(pipeline: Pipeline, version: str) -> dict[str, Any]:
    """What is saved beside a pipeline: what it expects, and what to know it by."""
    categories = pipeline["columns"].named_transformers_["codes"].categories_
    return {
        "version": version,
        "scikit-learn": sklearn.__version__,
        "types": {name: str(COLUMNS.field(name).type) for name in FEATURES},
        "known": {name: [str(value) for value in values] for name, values in zip(_TEXTS, categories, strict=True)},
    }


def load(folder: str | Path) -> Model:
    """The model that was saved into `folder`.

    Only load what you trust: a saved pipeline is a pickle, and loading it can run anything.

    Parameters
    ----------
    folder : str or path

    Returns
    -------
    Model

    Raises
    ------
    ModelProblem
        If it is not there, cannot be read, is not what was saved, or was saved by another version of scikit-learn.

    Examples
    --------
    `model` is a trained model, and `folder` is an empty folder. The loaded model has the version that saving returned.

    >>> from daskclass import scoring
    >>> version = scoring.save(model.pipeline, folder)
    >>> loaded = scoring.load(folder)
    >>> loaded.version == version
    True
    >>> loaded.types["price"]
    'double'

    A file that changed since isn't loaded:

    >>> saved = (folder / "model.joblib").write_bytes(b"something else")
    >>> scoring.load(folder)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    daskclass.scoring.model.ModelProblem: ... is not what was saved: its checksum begins with ...
    """
    folder = Path(folder)
    try:
        about = json.loads((folder / _ABOUT).read_text())
        version, saved_by = about["version"], about["scikit-learn"]
        types, known = dict(about["types"]), {name: tuple(values) for name, values in about["known"].items()}
        if list(types) != list(FEATURES) or set(known) != set(_TEXTS) or not isinstance(version, str):
            raise ValueError("version, types or known values are not those of a model")
        found = sha256(folder / _MODEL)
    except FileNotFoundError as error:
        raise ModelProblem(f"there is no model in {folder}: {error.filename} is missing") from None
    except OSError as error:
        raise ModelProblem(f"the model in {folder} cannot be read: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelProblem(f"{folder / _ABOUT} is not what `save` writes: {type(error).__name__}: {error}") from None
    if found != version:
        raise ModelProblem(
            f"{folder / _MODEL} is not what was saved: its checksum begins with {found[:12]}, "
            f"and {version[:12]} is right"
        )
    if saved_by != sklearn.__version__:
        raise ModelProblem(
            f"the model in {folder} was saved by scikit-learn {saved_by}, and this process has {sklearn.__version__}; "
            "install that version here, or train it anew"
        )
    return Model(joblib.load(folder / _MODEL), version, types, known)


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of texts, of whatever layout; which one is taken is a matter of who wrote them."""
    text: bool = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return text


def check(orders: pa.Table, model: Model) -> None:
    """Whether a model can score these orders.

    Raises
    ------
    DoesNotFit
        If a column is missing or of another type, if a value is missing, or if a text is not known to the model.
    """
    for name, wanted in model.types.items():
        if name not in orders.column_names:
            raise DoesNotFit(f"there is no column {name!r}; the model takes {', '.join(model.types)}")
        column = orders.column(name)
        values = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if str(pa.string() if is_text(values) else values) != wanted:
            raise DoesNotFit(f"column {name!r} is {values}, and the model was trained with {wanted}")
        if column.null_count:
            raise DoesNotFit(f"column {name!r} has {column.null_count:,} of {len(column):,} values missing")
        if name in model.known and (strangers := set(pc.unique(column).to_pylist()) - set(model.known[name])):
            raise DoesNotFit(f"column {name!r} has {min(strangers)!r}, which the model has never seen")
        if pa.types.is_floating(values) and not pc.all(pc.is_finite(column), min_count=0).as_py():
            raise DoesNotFit(f"column {name!r} has values that are not finite")
