import pytest
from dask.utils import parse_bytes
from hypothesis import example, given
from hypothesis import strategies as st

from daskclass import sizes
from daskclass.errors import UsageProblem

UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def refused(text) -> str:
    with pytest.raises(UsageProblem) as problem:
        sizes.parse(text)
    return str(problem.value)


@pytest.mark.parametrize("text", ["class", "CLASS", " class\n"])
def test_class_is_three_gib(text):
    assert sizes.parse(text) is sizes.CLASS
    assert sizes.CLASS.csv_bytes == 3 * 1024**3


@pytest.mark.parametrize("text", ["smoke", "Smoke", "\tsmoke "])
def test_smoke_is_200_mb(text):
    assert sizes.parse(text) is sizes.SMOKE
    assert sizes.SMOKE.csv_bytes == 200_000_000


@given(st.integers(1, 999), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " ", "\t"]), st.booleans())
@example(1000, "kB", "", False)
def test_bytes_are_read_with_decimal_and_binary_units(number, unit, blank, lower):
    text = f"{number}{blank}{unit.lower() if lower else unit}"
    wanted = number * UNITS[unit]
    if wanted < 10**6:
        assert "smallest size is 1MB" in refused(text)
        return
    size = sizes.parse(text)
    assert size.csv_bytes == wanted
    assert sizes.parse(size.name) == size


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["10GB", "10gb", "10 GB", "10e9", "10000MB", "10000000000", "10G"], "10GB"),
        (["1.5GiB", "1.5gib", "1536MiB", "1610612736"], "1.5GiB"),
        (["1MB", "1e6", "1000kB", "1000000B"], "1MB"),
        (["1234567", "1234567b", "1.234567MB"], "1234567"),
        (["4.35GB", "4350MB"], "4.35GB"),
        (["200MB", "0.2GB", "2e8", "SMOKE"], "smoke"),
        (["3GiB", "3072 MiB", "3221225472"], "class"),
    ],
)
def test_the_same_bytes_have_one_name(texts, name):
    assert {sizes.parse(text).name for text in texts} == {name}


@given(st.integers(10**6, 4 * 10**11))
def test_a_name_means_its_bytes(number):
    size = sizes.parse(str(number))
    assert size.csv_bytes == number
    assert sizes.parse(size.name) == size


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("1.5GiB", 3 * 2**29), ("1000000", 10**6), ("2e6", 2 * 10**6), ("3m", 3 * 10**6), ("3Mi", 3 * 2**20)],
)
def test_other_ways_to_write_bytes(text, wanted):
    assert sizes.parse(text).csv_bytes == wanted


@given(st.text().filter(lambda text: not any(map(str.isdigit, text))))
@example("")
@example("GB")
@example("klass")
@example("../data")
def test_what_has_no_digit_is_no_size(text):
    if "".join(text.split()).lower() in ("class", "smoke"):
        return
    message = refused(text)
    assert repr(text) in message
    assert "class, smoke, or bytes such as 100MB" in message


@pytest.mark.parametrize(
    "text", ["-1GB", "+1GB", "10XB", "1,5GB", "1.GB", "10GB/..", "0x10MB", "1e100GB", "nan", "inf", "1_000_000"]
)
def test_nonsense_with_digits_is_no_size(text):
    assert f"{text!r} is not a size" in refused(text)


@pytest.mark.parametrize("text", [None, 3.5, ["1GB"]])
def test_what_is_no_text_is_refused_in_words(text):
    assert "class, smoke, or bytes" in refused(text)


@given(st.integers(0, 999_999))
@example(999_999)
def test_less_than_a_megabyte_is_refused(number):
    message = refused(str(number))
    assert f"{number:,} bytes" in message
    assert "1MB" in message


@given(st.integers(200 * 10**6, 10**12))
def test_pandas_would_need_one_and_a_half_times_its_limit(number):
    """Measured: two and a half times the CSV, and 112 MiB to begin with."""
    size = sizes.parse(str(number))
    assert 112 * 2**20 + 2.5 * number >= 1.5 * parse_bytes(size.pandas_memory)


@given(st.integers(200 * 10**6, 10**12))
def test_a_block_is_a_small_part_of_the_file_and_of_a_worker(number):
    size = sizes.parse(str(number))
    assert parse_bytes(size.blocksize) * 12 <= number
    assert parse_bytes(size.blocksize) * 16 <= parse_bytes(size.worker_memory)


def test_a_megabyte_is_enough():
    assert sizes.parse("1MB").csv_bytes == sizes.MINIMUM_BYTES == 10**6


def test_a_number_beyond_floats_is_refused_in_words():
    assert "class, smoke, or bytes" in refused("9" * 400)


def test_the_environment_names_the_size(monkeypatch):
    monkeypatch.setenv("DASKCLASS_SIZE", "smoke")
    assert sizes.current() is sizes.SMOKE
    monkeypatch.setenv("DASKCLASS_SIZE", "10GB")
    assert sizes.current() == sizes.Size("10GB", 10 * 10**9)


@pytest.mark.parametrize("value", [None, ""])
def test_class_is_the_size_of_an_environment_that_says_nothing(monkeypatch, value):
    if value is None:
        monkeypatch.delenv("DASKCLASS_SIZE", raising=False)
    else:
        monkeypatch.setenv("DASKCLASS_SIZE", value)
    assert sizes.current() is sizes.CLASS


def test_nonsense_in_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("DASKCLASS_SIZE", "huge")
    with pytest.raises(UsageProblem, match="'huge' is not a size"):
        sizes.current()
