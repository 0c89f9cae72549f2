import errno
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daskclass import sales
from daskclass.sales import making

COMMANDS = ["data", "doctor", "lab", "rehearse"]
HEAVY = ("numpy", "pandas", "dask", "distributed", "pyarrow", "IPython", "tqdm")
ONLY_IMPORTS = f"""
import sys
from daskclass.commands.cli import main
sys.argv = ["daskclass", *sys.argv[1:]]
try:
    main()
finally:
    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
printable = st.text(st.characters(exclude_categories=["Cs"]))


def no_number(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return True
    return False


@pytest.fixture
def bad(say, tmp_path, monkeypatch):
    """Run bad input: exit 2, a last line that says what is wrong, and nothing is made."""
    monkeypatch.setattr(making, "_write", lambda *_arguments: pytest.fail("it was taken for good"))
    out = tmp_path / "out"

    def run(*arguments) -> str:
        said = say(*arguments, *(["--out", out] if arguments[0] == "data" else []))
        assert said.status == 2
        assert said.out == ""
        assert said.last.startswith(("Error: ", "daskclass: ")), said.err
        assert "Traceback" not in said.err
        assert not out.exists()
        assert list(tmp_path.iterdir()) == []
        return said.last

    return run


@pytest.mark.parametrize("arguments", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help_answers_without_heavy_imports(arguments, environment):
    run = subprocess.run(
        [sys.executable, "-c", ONLY_IMPORTS, *arguments], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0
    assert run.stdout.startswith("Usage: daskclass")
    assert run.stderr == "[]\n"


def test_help_lists_the_commands(say):
    said = say("--help")
    assert said.status == 0
    listed = re.findall(r"^  (\w+) ", said.out.partition("Commands:\n")[2], re.M)
    assert listed == COMMANDS


def test_the_module_is_the_command(environment):
    run = subprocess.run([sys.executable, "-m", "daskclass", "--version"], env=environment, capture_output=True)
    assert run.returncode == 0
    assert b"daskclass, version 0." in run.stdout


def test_nothing_typed_is_bad_input(say):
    said = say()
    assert said.status == 2
    assert "Commands:" in said.err


@given(printable.filter(lambda text: not any(map(str.isdigit, text))))
@example("")
@example("huge")
@example("../../x")
def test_a_size_that_is_none(bad, text):
    if "".join(text.split()).lower() not in ("class", "smoke"):
        assert "class, smoke, or bytes" in bad("data", f"--size={text}")
        assert "class, smoke, or bytes" in bad("lab", "--no-browser", f"--size={text}")


@given(st.integers(1, 10**6), st.sampled_from(["XB", "GBB", ",5GB", "/GB", "GB--", "e", "e999", "_000", " is a lot"]))
def test_a_number_that_is_no_size(bad, number, end):
    assert "is not a size" in bad("data", f"--size={number}{end}")


@given(st.integers(0, 999_999))
def test_a_size_too_small(bad, number):
    assert "the smallest size is 1MB" in bad("data", f"--size={number}")


@given(st.integers(500, 10**12))
def test_a_size_too_large(bad, number):
    assert "enough for 400GB" in bad("data", f"--size={number}GB")


def test_a_size_beyond_floats(bad):
    bad("data", f"--size={'9' * 400}")


@given(st.integers().filter(lambda number: not 1 <= number <= 4).map(str) | printable.filter(no_number))
@example("1.0")
@example("")
def test_threads_that_make_no_sense(bad, text):
    assert "--threads" in bad("data", "--size=1MB", f"--threads={text}")


@given(st.integers(max_value=-1).map(str) | printable.filter(no_number))
@example("9" * 5_000)
@example("1e3")
def test_a_seed_that_makes_no_sense(bad, text):
    assert "--seed" in bad("data", "--size=1MB", f"--seed={text}")


@given(printable.filter(lambda text: text not in ("csv", "parquet", "both")))
@example("")
@example("CSV")
def test_a_format_that_makes_no_sense(bad, text):
    last = bad("data", "--size=1MB", f"--format={text}")
    assert "--format" in last
    assert "'csv', 'parquet', 'both'" in last


@given(st.integers().filter(lambda port: not 1024 <= port <= 65535).map(str) | printable.filter(no_number))
@example("80")
@example("65536")
def test_a_port_that_makes_no_sense(bad, text):
    assert "--port" in bad("lab", "--no-browser", f"--port={text}")


@settings(max_examples=30)
@given(printable.filter(lambda text: text not in COMMANDS and not text.startswith("-")))
def test_a_command_that_is_none(say, text):
    said = say(text)
    assert said.status == 2
    assert said.last.startswith("Error: No such command")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["data", "--sizes", "1MB"], "--sizes"),
        (["data", "1MB"], "unexpected extra argument"),
        (["data", "--verify", "--force"], "so it can't be combined with --force"),
        (["data", "--verify", "--seed", "99"], "so it can't be combined with --seed"),
        (["data", "--verify", "--format", "csv"], "so it can't be combined with --format"),
    ],
)
def test_other_bad_input(bad, arguments, named):
    assert named in bad(*arguments)


def test_an_option_without_its_value(say):
    said = say("data", "--size")
    assert said.status == 2
    assert said.last == "Error: Option '--size' requires an argument."


@pytest.mark.parametrize("command", COMMANDS)
def test_nonsense_in_the_environment_is_said_first(daskclass, tmp_path, command):
    process = daskclass(command, env={"DASKCLASS_SIZE": "huge"})
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert err == "daskclass: 'huge' is not a size; use class, smoke, or bytes such as 100MB, 3GiB or 10GB\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_is_no_folder(say, tmp_path, below):
    file = tmp_path / "file"
    file.write_text("mine\n")
    said = say("data", "--size=1MB", "--out", file / below)
    assert (said.status, said.out) == (2, "")
    assert said.last == (
        f"daskclass: {file} is a file, but should be a folder. Or set DASKCLASS_DATA to another folder, or use --out "
        "with `daskclass data`"
    )
    assert file.read_text() == "mine\n"


def test_a_folder_whose_name_is_too_long(say, tmp_path):
    said = say("data", "--size=1MB", "--out", tmp_path / ("x" * 300))
    assert said.status == 2
    assert "--out" in said.last


def test_an_empty_folder_name(say, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = say("data", "--size=1MB", "--out", "")
    assert said.status == 2
    assert "a folder needs a name" in said.last
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(say, tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(making, "_write", full)
    said = say("data", "--size=1MB", "--out", tmp_path / "out")
    assert said.status == 2
    assert "is full; we kept nothing" in said.last
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {".making.lock"}


def test_threads_make_no_difference(say, tmp_path):
    checksums = set()
    for threads in (1, 2, 3):
        said = say("data", "--size=16MB", "--threads", threads, "--out", tmp_path / str(threads))
        assert said.status == 0, said.err
        assert said.out.startswith("303,")
        assert "15.26 MiB of CSV, 2 Parquet files" in said.out
        checksums.add(hashlib.sha256((tmp_path / str(threads) / sales.CSV_NAME).read_bytes()).hexdigest())
    assert len(checksums) == 1


def test_the_seed_makes_the_difference(say, tmp_path):
    for seed in (1, 2):
        assert say("data", "--size=1MB", "--seed", seed, "--out", tmp_path / str(seed)).status == 0
    one, two = ((tmp_path / str(seed) / sales.CSV_NAME).read_bytes() for seed in (1, 2))
    assert one != two


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_one_format_alone(say, tmp_path, kind):
    said = say("data", "--size=1MB", "--format", kind, "--out", tmp_path / "out")
    assert said.status == 0
    assert ("CSV" in said.out, "Parquet" in said.out) == (kind == "csv", kind == "parquet")
    assert sales.look(tmp_path / "out").sales.formats == {kind}


def test_a_size_of_ones_own_is_made_where_labs_look_for_it(say, tmp_path):
    said = say("data", "--size=1MB")
    assert said.status == 0
    assert said.out.endswith("to use this data in the labs, set DASKCLASS_SIZE=1MB\n")
    assert sales.look(tmp_path / "data" / "1MB").state == "finished"


def test_another_seed_is_refused_and_forced(say, own_sales):
    there = ["data", "--size=2MB", "--seed=1", "--out", own_sales.folder]
    said = say(*there)
    assert said.status == 2
    again = f"`daskclass data --size 2MB --seed 1 --out {own_sales.folder} --force`"
    assert f"seed 2026, not 1; replace it with {again}" in said.last
    assert say(*there, "--force").status == 0
    assert sales.look(own_sales.folder).sales.seed == 1


def test_verify_good(say, own_sales):
    said = say("data", "--verify", "--out", own_sales.folder)
    assert (said.status, said.err) == (0, "")
    assert said.out == f"2 files in {own_sales.folder} match their checksums\n"


def test_verify_bad(say, own_sales):
    before = Path(own_sales.csv).stat()
    with Path(own_sales.csv).open("r+b") as file:
        file.seek(-2, os.SEEK_END)
        file.write(b"7")
    os.utime(own_sales.csv, ns=(before.st_atime_ns, before.st_mtime_ns))
    said = say("data", "--verify", "--out", own_sales.folder)
    assert (said.status, said.out) == (2, "")
    assert said.last.startswith(f"daskclass: {own_sales.csv} has changed")


def test_verify_a_copy_with_other_times(say, own_sales):
    os.utime(own_sales.csv, (0, 0))
    assert sales.look(own_sales.folder).state == "changed"
    assert say("data", "--verify", "--out", own_sales.folder).status == 0
    assert sales.look(own_sales.folder).state == "finished"


def test_verify_does_not_hide_what_does_not_belong_there(say, own_sales):
    (own_sales.folder / sales.PARQUET_NAME / "part-7.parquet").write_bytes(b"")
    said = say("data", "--verify", "--out", own_sales.folder)
    assert said.status == 2
    again = f"`daskclass data --size 2MB --out {own_sales.folder} --force`"
    assert f"part-7.parquet does not belong there; make the data again with {again}" in said.last


@pytest.mark.parametrize("gone", ["everything", "the csv", "the manifest"])
def test_verify_what_is_not_there(say, own_sales, tmp_path, gone):
    folder = tmp_path / "nowhere" if gone == "everything" else own_sales.folder
    if gone != "everything":
        (folder / (sales.CSV_NAME if gone == "the csv" else sales.MANIFEST_NAME)).unlink()
    said = say("data", "--size", "smoke", "--verify", "--out", folder)
    assert (said.status, said.out) == (2, "")
    command = {
        "everything": f"make it with `daskclass data --size smoke --out {folder}`",
        "the csv": f"make the data again with `daskclass data --size 2MB --out {folder} --force`",  # as it was
        "the manifest": f"make it with `daskclass data --size smoke --out {folder} --force`",
    }
    assert said.last.endswith(command[gone])


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_leaves_nothing(daskclass, until_it_writes, tmp_path):
    import signal

    out = tmp_path / "out"
    process = daskclass("data", "--size", "1GB", "--out", out)
    until_it_writes(process, out / ".unfinished" / sales.CSV_NAME)
    process.send_signal(signal.SIGINT)
    said, err = process.communicate()
    assert process.returncode == 130
    assert said == ""
    assert err.endswith("daskclass: interrupted; unfinished work was discarded\n")
    assert "Traceback" not in err
    assert {path.name for path in out.iterdir()} <= {".making.lock"}


def test_nobody_reads_on(environment, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        run = subprocess.run(
            [sys.executable, "-m", "daskclass", "--help"],
            env=environment,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(writer)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert "Exception ignored" not in run.stderr
