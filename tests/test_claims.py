import datetime
import decimal
import json
import math

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

from daskclass import claims
from daskclass.claims import ClaimIsFalse, claim

HOLDS = {
    "bool": True,
    "numpy bool": np.True_,
    "comparison": np.float64(2) > 1,
    "list": [True, np.True_],
    "nested": [(True, True), [np.True_]],
    "array": np.array([True, True]),
    "two dimensions": np.ones((2, 3), dtype=bool),
    "no dimension": np.array(True),
    "array of objects": np.array([True, np.True_], dtype=object),
    "masked array without a mask": np.ma.array([True, True], mask=[False, False]),
    "series": pd.Series([True, True]),
    "nullable series": pd.Series([True, True], dtype="boolean"),
    "arrow series": pd.Series([True, True], dtype="bool[pyarrow]"),
    "series of objects": pd.Series([True, np.True_], dtype=object),
    "index": pd.Index([True, True]),
    "extension array": pd.array([True, True], dtype="boolean"),
    "frame": pd.DataFrame({"a": [True, True], "b": [True, True]}),
    "mixed frame": pd.DataFrame({"a": [True], "b": pd.array([True], dtype="boolean")}),
    "frame with two columns of one name": pd.DataFrame([[True, True]], columns=["a", "a"]),
}
DOES_NOT = {
    "bool": False,
    "numpy bool": np.False_,
    "None": None,
    "NaN": math.nan,
    "numpy NaN": np.float64("nan"),
    "NA": pd.NA,
    "NaT": pd.NaT,
    "comparison with NA": pd.NA > 1,
    "empty list": [],
    "empty tuple": (),
    "empty array": np.array([], dtype=bool),
    "empty array of floats": np.array([]),
    "empty series": pd.Series([], dtype=bool),
    "empty series of objects": pd.Series([], dtype=object),
    "empty frame": pd.DataFrame(),
    "frame without rows": pd.DataFrame({"a": []}, dtype=bool),
    "empty list within": [True, []],
    "list": [True, False],
    "list with None": [True, None],
    "list with NaN": [True, math.nan],
    "array": np.array([True, False]),
    "array of objects with None": np.array([True, None], dtype=object),
    "no dimension": np.array(False),
    "masked array": np.ma.array([True, True], mask=[False, True]),
    "wholly masked array": np.ma.array([True], mask=[True]),
    "masked array without a mask": np.ma.array([True, False], mask=[False, False]),
    "series": pd.Series([True, False]),
    "series with NA": pd.Series([True, pd.NA], dtype="boolean"),
    "arrow series with NA": pd.Series([True, None], dtype="bool[pyarrow]"),
    "series of objects with NaN": pd.Series([True, math.nan], dtype=object),
    "extension array with NA": pd.array([True, None], dtype="boolean"),
    "frame": pd.DataFrame({"a": [True], "b": [False]}),
    "frame with NA": pd.DataFrame({"a": [True], "b": pd.array([None], dtype="boolean")}),
    "frame with two columns of one name": pd.DataFrame([[True, False]], columns=["a", "a"]),
}
NO_COMPARISON = {
    "count": 3,
    "zero": 0,
    "one": 1,
    "float": 0.5,
    "text": "yes",
    "empty text": "",
    "set": {True},
    "mapping": {"a": True},
    "function": lambda: True,
    "array of counts": np.array([1, 2]),
    "array of floats": np.array([1.0]),
    "array of texts": np.array(["a"]),
    "series of counts": pd.Series([1, 2]),
    "frame of counts": pd.DataFrame({"a": [1]}),
    "list of counts": [True, 1],
}


@pytest.mark.parametrize("condition", HOLDS.values(), ids=HOLDS.keys())
def test_what_is_true_everywhere_holds(condition, capsys):
    claim("This is so", condition)
    assert capsys.readouterr().out == "✔ This is so\n"


@pytest.mark.parametrize("condition", DOES_NOT.values(), ids=DOES_NOT.keys())
def test_what_is_false_unknown_or_empty_does_not_hold(condition, capsys):
    with pytest.raises(ClaimIsFalse, match=r"^This is so\. Measured: no numbers given$"):
        claim("This is so", condition)
    assert capsys.readouterr().out == "✘ This is so\n"


@pytest.mark.parametrize("condition", NO_COMPARISON.values(), ids=NO_COMPARISON.keys())
def test_what_is_no_comparison_is_refused(condition, capsys):
    with pytest.raises(TypeError, match="a claim needs a comparison that is True or False; got"):
        claim("This is so", condition)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kind", ["array", "series", "scalar", "delayed"])
def test_a_plan_is_not_yet_a_result(kind, plan):
    series = dd.from_pandas(pd.Series([True, True]), npartitions=1)
    collection = {"array": da.ones(3) > 0, "series": series, "scalar": series.all(), "delayed": plan}[kind]
    with pytest.raises(TypeError, match=r"this hasn't been computed: call .compute\(\)"):
        claim("This is so", collection)


conditions = st.recursive(
    st.booleans() | st.sampled_from([None, math.nan, pd.NA, pd.NaT, np.True_, np.False_]),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple),
)


def plainly(condition) -> bool:
    if isinstance(condition, list | tuple):
        return bool(condition) and all(plainly(element) for element in condition)
    return condition is True or condition is np.True_


@given(conditions)
def test_only_true_all_through_is_true(condition):
    assert claims.is_true(condition) is plainly(condition)


@given(st.lists(st.sampled_from([True, False, None]), max_size=6))
def test_series_arrays_and_lists_agree(values):
    wanted = plainly(values)
    for dtype in ("boolean", "bool[pyarrow]", "object"):
        assert claims.is_true(pd.Series(values, dtype=dtype)) is wanted
        assert claims.is_true(pd.Series(values, dtype=dtype).to_frame()) is wanted
    assert claims.is_true(np.array(values, dtype=object)) is wanted
    masked = np.ma.array([value is True for value in values], mask=[value is None for value in values], dtype=bool)
    assert claims.is_true(masked) is wanted


@pytest.mark.parametrize("text", ["", "  ", "two\nlines", None, 7, True])
def test_a_claim_begins_with_its_sentence(text):
    with pytest.raises(TypeError, match="a claim starts with its sentence, on one line"):
        claim(text, True)


def test_a_claim_that_is_left_out_neither_holds_nor_fails(capsys):
    claim("The network is slow", False, left_out="no right to slow it down", measured=1)
    assert capsys.readouterr().out == "– The network is slow (left out: no right to slow it down)\n"
    with pytest.raises(ClaimIsFalse):
        claim("The network is slow", False, left_out=None)


def test_the_numbers_stand_in_the_error():
    with pytest.raises(ClaimIsFalse, match=r"^Less is more. Measured: \{'less': 1, 'more': 2\.5\}$"):
        claim("Less is more", False, less=np.int64(1), more=np.float64(2.5))


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary(max_size=5)
    | st.complex_numbers()
    | st.decimals()
    | st.datetimes()
    | st.timedeltas()
    | st.sampled_from([pd.NA, pd.NaT, object, len, b"", ..., pd.Timestamp(0), range(3), frozenset({1, "a"})])
    | of_numpy.from_dtype(np.dtype("float32"))
    | of_numpy.from_dtype(np.dtype("int8"))
    | of_numpy.from_dtype(np.dtype("datetime64[ns]"))
    | of_numpy.from_dtype(np.dtype("complex64"))
    | of_numpy.arrays(
        st.sampled_from([np.float64, np.int16, np.bool_, "U2", "m8[s]"]), of_numpy.array_shapes(max_side=3)
    )
)
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text()) | st.none()
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
        | st.lists(inner, max_size=3).map(lambda values: pd.Series(values, dtype=object))
    ),
)


@given(anything)
def test_any_evidence_becomes_json(value):
    text = json.dumps(claims.plain(value), allow_nan=False)
    assert json.loads(text) == json.loads(json.dumps(claims.plain(claims.plain(value))))


@pytest.mark.parametrize(
    "value",
    [
        np.longdouble(1.5),
        np.clongdouble(1.5),
        np.array([1.5], dtype=np.longdouble),
        np.void(b"ab"),
        np.zeros(2, dtype=[("a", "i4"), ("b", "f8")]),
        pd.DataFrame({"a": [1]}),
        pd.Categorical(["a"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_odd_evidence_becomes_json(value):
    json.dumps(claims.plain(value), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.True_, True),
        (math.inf, "inf"),
        (np.float64("nan"), "nan"),
        (pd.Series({"a": 1, "b": 2}), {"a": 1, "b": 2}),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ({"b", "a"}, ["a", "b"]),
        ({1: (2, 3)}, {"1": [2, 3]}),
        (pd.Index([1, 2]), [1, 2]),
        (decimal.Decimal("1.50"), "1.50"),
        (datetime.date(2025, 1, 2), "2025-01-02"),
    ],
)
def test_numbers_stay_numbers(value, wanted):
    got = claims.plain(value)
    assert got == wanted
    assert json.loads(json.dumps(got)) == wanted


def test_in_a_notebook_a_claim_is_one_line_with_its_numbers_behind_it(notebook):
    (output,) = notebook["true"]
    assert output.output_type == "display_data"
    assert output.data == {"text/plain": "✔ Two and two are four"}
    assert output.metadata == {"daskclass": {"claim": "Two and two are four", "holds": True, "evidence": {"result": 4}}}


def test_in_a_notebook_a_false_claim_fails_its_cell_shortly(notebook):
    output, error = notebook["false"]
    assert output.data == {"text/plain": "✘ Two and two are five"}
    assert output.metadata["daskclass"]["holds"] is False
    assert error.output_type == "error"
    assert error.ename == "ClaimIsFalse"
    assert error.traceback == ["ClaimIsFalse: Two and two are five. Measured: {'result': 4}"]
