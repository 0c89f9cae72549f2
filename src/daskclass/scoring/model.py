"""A model of how likely an order is to come back: train it, judge it, save it with what it expects, load it."""

from __future__ import annotations

import hashlib
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
"""The columns that a model needs, in this order."""

TARGET = "returned"

_TEXTS = ("store", "category")
_MODEL, _ABOUT = "model.joblib", "model.json"


class ModelProblem(Problem):
    """We can't use a saved model."""


class DoesNotFit(Problem):
    """The orders don't fit the model."""


@dataclass(frozen=True)
class Model:
    """A trained pipeline and what it expects.

    Attributes
    ----------
    pipeline : sklearn.pipeline.Pipeline
        Takes a DataFrame with the columns `FEATURES`.
    version : str
        SHA-256 of the saved pipeline, 64 hexadecimal digits; models of the same version have the same bytes.
    types : Mapping
        The name of each feature's Arrow type.
    known : Mapping
        For each feature that is a string, the values that the model was trained with.
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
            With at least the columns `FEATURES`; see `check`.
        batch : int, optional
            Rows to hand to scikit-learn at once; by default all. The scores are the same.

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
            raise UsageProblem(f"a batch can't have {batch} rows; use 1 or more")
        features = orders[list(FEATURES)]
        starts = range(0, len(features), batch or max(len(features), 1))
        pieces = [features.iloc[start : start + (batch or len(features))] for start in starts]
        return np.concatenate([np.empty(0), *(self.pipeline.predict_proba(piece)[:, 1] for piece in pieces)])


def sample(sales: Sales, rows: int, seed: int = 0) -> pd.DataFrame:
    """Orders to train with, the same number from each of up to twenty random files.

    It never uses the last file. Those orders are there to judge a model.

    Parameters
    ----------
    rows : int
        How many; fewer if the files don't have that many.

    Returns
    -------
    pandas.DataFrame
        Columns `FEATURES` and `TARGET`.

    Raises
    ------
    UsageProblem
        If there is only one file.
    """
    if len(sales.parts) < 2:
        raise UsageProblem("there is only one file of orders, and a model that learned from it can't be judged with it")
    random = np.random.default_rng(seed)
    paths = random.choice(sales.parts[:-1], size=min(20, len(sales.parts) - 1), replace=False)
    each = -(-rows // len(paths))
    frames = [pd.read_parquet(path, columns=[*FEATURES, TARGET]) for path in sorted(paths)]
    chosen = [frame.iloc[np.sort(random.permutation(len(frame))[:each])] for frame in frames]
    return pd.concat(chosen, ignore_index=True).head(rows)


def train(orders: pd.DataFrame, kind: str = "forest", seed: int = 0) -> Pipeline:
    """Train a pipeline on `orders`. It includes the preprocessing.

    Parameters
    ----------
    orders : pandas.DataFrame
        Columns `FEATURES` and `TARGET`; a row for each order.
    kind : str
        ``forest``: thirty trees, about 17 MB for 400,000 rows. ``boosted``: gradient boosting on histograms, fifty
        small trees. ``xgboost``: needs the extra of that name.
    seed : int
        Seed of the model's random numbers.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Takes a DataFrame with the columns `FEATURES`. It scores on one thread.

    Raises
    ------
    UsageProblem
        If there is no such kind, or XGBoost isn't installed.
    KeyError
        If `orders` lacks a column.

    Examples
    --------
    `data` is sales data of 2 MB. For each order, a model predicts how likely it is to stay and to come back.

    >>> import pandas as pd
    >>> from daskclass import scoring
    >>> orders = pd.read_parquet(data.parts[0])
    >>> pipeline = scoring.train(orders.head(5000))
    >>> pipeline.predict_proba(orders.tail(100)[list(scoring.FEATURES)]).shape
    (100, 2)
    """
    if kind not in _KINDS:
        raise UsageProblem(f"there is no model {kind!r}; choose from {', '.join(_KINDS)}")
    codes = OrdinalEncoder(categories=[list(STORES), list(CATEGORIES)], dtype=np.float32)
    columns = ColumnTransformer([("codes", codes, list(_TEXTS))], remainder="passthrough")
    pipeline = Pipeline([("columns", columns), ("model", _KINDS[kind](seed))])
    pipeline.fit(orders[list(FEATURES)], orders[TARGET])
    if "n_jobs" in pipeline["model"].get_params():
        pipeline.set_params(
            model__n_jobs=1
        )  # training uses all cores; scoring uses one, because the workers run in parallel
    return pipeline


def _forest(seed: int) -> RandomForestClassifier:
    return RandomForestClassifier(30, max_depth=15, min_samples_leaf=30, n_jobs=-1, random_state=seed)


def _boosted(seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=50, learning_rate=0.2, random_state=seed)


def _xgboost(seed: int) -> Any:
    try:
        from xgboost import XGBClassifier
    except (ImportError, OSError, ValueError) as error:  # ValueError: its library exists but doesn't load
        what = f"can't load XGBoost ({type(error).__name__}): pip install 'daskclass[xgboost]'"
        raise UsageProblem(f"{what}; on macOS it needs OpenMP as well (brew install libomp)") from None
    return XGBClassifier(n_estimators=100, max_depth=6, n_jobs=-1, random_state=seed)


_KINDS: dict[str, Callable[[int], Any]] = {"forest": _forest, "boosted": _boosted, "xgboost": _xgboost}


def best_possible(orders: pd.DataFrame) -> np.ndarray:
    """The true probability that each order comes back, by the rule that made the data.

    Returns
    -------
    numpy.ndarray
        float64, shape (orders,). No model can do better.
    """
    store = pd.Index(STORES).get_indexer(pd.Index(orders.store))
    category = pd.Index(CATEGORIES).get_indexer(pd.Index(orders.category))
    band = (np.rint(orders.price.to_numpy() * 100).astype(np.int64) - 1_000) // 9_901
    chances: np.ndarray = return_thresholds()[category, band, orders.quantity.to_numpy() - 1, store] / 65_536
    return chances


def quality(returned: np.ndarray | pd.Series, scores: np.ndarray) -> dict[str, float]:
    """How good scores are: ``log_loss`` (nats per order; less is better) and ``auc`` (0.5 is chance, 1 is perfect)."""
    return {"log_loss": float(log_loss(returned, scores)), "auc": float(roc_auc_score(returned, scores))}


def save(pipeline: Pipeline, folder: str | Path) -> str:
    """Save a pipeline and what it expects to `folder`. Creates the folder if needed.

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
        If it can't write the model. An earlier model stays.

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
        # Both files are complete before either is moved to its place: first the model, then its description. If the
        # process dies between the two, the checksum doesn't match, and `load` refuses the model.
        with written(folder / _ABOUT) as about, written(folder / _MODEL) as model:
            joblib.dump(pipeline, model)
            version = sha256(model)
            about.write_text(json.dumps(_description(pipeline, version), indent=1) + "\n")
    except OSError as error:
        raise ModelProblem(f"can't save the model to {folder} ({error.strerror or error})") from error
    return version


def _description(pipeline: Pipeline, version: str) -> dict[str, Any]:
    """The description that we save beside a pipeline: what it expects, and its checksum."""
    categories = pipeline["columns"].named_transformers_["codes"].categories_
    return {
        "version": version,
        "scikit-learn": sklearn.__version__,
        "types": {name: str(COLUMNS.field(name).type) for name in FEATURES},
        "known": {name: [str(value) for value in values] for name, values in zip(_TEXTS, categories, strict=True)},
    }


def load(folder: str | Path) -> Model:
    """Load the model from `folder`.

    Only load models that you trust. A saved pipeline is a pickle, and loading it can run any code.

    Parameters
    ----------
    folder : str or path

    Returns
    -------
    Model

    Raises
    ------
    ModelProblem
        If it is missing, can't be read, has changed, comes from another version of scikit-learn, or needs a module that
        isn't here.

    Examples
    --------
    `model` is a trained model, and `folder` is an empty folder. The loaded model has the version that `save` returned.

    >>> from daskclass import scoring
    >>> version = scoring.save(model.pipeline, folder)
    >>> loaded = scoring.load(folder)
    >>> loaded.version == version
    True
    >>> loaded.types["price"]
    'double'

    If the file has changed since, `load` refuses it:

    >>> saved = (folder / "model.joblib").write_bytes(b"something else")
    >>> scoring.load(folder)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    daskclass.scoring.model.ModelProblem: ... has changed since it was saved: its checksum starts with ...
    """
    folder = Path(folder)
    try:
        about = json.loads((folder / _ABOUT).read_text())
        version, saved_by = about["version"], about["scikit-learn"]
        types, known = dict(about["types"]), {name: tuple(values) for name, values in about["known"].items()}
        if list(types) != list(FEATURES) or set(known) != set(_TEXTS) or not isinstance(version, str):
            raise ValueError("its version, types or known values aren't those of a model")
        # The file that is checked is the one that is loaded, whoever saves meanwhile.
        file = (folder / _MODEL).open("rb")
    except FileNotFoundError as error:
        raise ModelProblem(f"there is no model in {folder}: {error.filename} is missing") from None
    except OSError as error:
        raise ModelProblem(f"can't read the model in {folder}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelProblem(f"{folder / _ABOUT} wasn't written by `save`: {type(error).__name__}: {error}") from None
    with file:
        try:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelProblem(f"can't read the model in {folder}: {error}") from None
        if found != version:
            raise ModelProblem(
                f"{folder / _MODEL} has changed since it was saved: its checksum starts with {found[:12]} "
                f"instead of {version[:12]}"
            )
        if saved_by != sklearn.__version__:
            raise ModelProblem(
                f"the model in {folder} comes from scikit-learn {saved_by}, but this process has "
                f"{sklearn.__version__}; install that version here, or train the model again"
            )
        file.seek(0)
        try:
            pipeline = joblib.load(file)
        except ModuleNotFoundError as error:
            raise ModelProblem(
                f"the model in {folder} needs the module {error.name!r}, which this process doesn't have"
            ) from None
        except Exception as error:  # a pickle is a program: it can raise anything
            raise ModelProblem(f"can't load the model in {folder}: {type(error).__name__}: {error}") from error
        return Model(pipeline, version, types, known)


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is a string type of any layout. Different programs write different layouts."""
    text: bool = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return text


def check(orders: pa.Table, model: Model) -> None:
    """Check that a model can score these orders.

    Raises
    ------
    DoesNotFit
        If a column is missing or has another type, if a value is missing, or if the model doesn't know a string.
    """
    for name, wanted in model.types.items():
        if name not in orders.column_names:
            raise DoesNotFit(f"there is no column {name!r}; the model needs {', '.join(model.types)}")
        column = orders.column(name)
        values = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if str(pa.string() if is_text(values) else values) != wanted:
            raise DoesNotFit(f"column {name!r} is {values}, but the model was trained with {wanted}")
        if column.null_count:
            raise DoesNotFit(f"column {name!r} has {column.null_count:,} of {len(column):,} values missing")
        if name in model.known and (strangers := set(pc.unique(column).to_pylist()) - set(model.known[name])):
            raise DoesNotFit(f"column {name!r} has {min(strangers)!r}, which the model has never seen")
        if pa.types.is_floating(values) and not pc.all(pc.is_finite(column), min_count=0).as_py():
            raise DoesNotFit(f"column {name!r} has values that are not finite")
