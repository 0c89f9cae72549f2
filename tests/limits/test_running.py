"""Code under a limit: how it ends, in each of the three ways, and that nothing of it stays."""

import functools
import os
import signal
import subprocess
import sys

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskclass import limits
from daskclass.errors import UsageProblem
from daskclass.limits import ways
from daskclass.system import processes

MIB = 2**20
HOG = "import time\nblocks = [bytearray(b'x') * 2**20 for _ in range(MIBS)]\ntime.sleep(0.3)  # thirty looks long"
POSIX = pytest.mark.skipif(os.name != "posix", reason="a signal of POSIX")


@functools.cache  # trying makes a group, and removes those that are abandoned
def offered(way):
    try:
        ways.require(way)
    except UsageProblem:
        return False
    return True


WAYS = [
    pytest.param(way, marks=pytest.mark.skipif(not offered(way), reason=f"no {way} on this machine"))
    for way in limits.WAYS
]


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


@pytest.fixture(autouse=True)
def _nothing_stays():
    """No process and no control group of ours is left after any of these."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    yield
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before
    assert groups_of(os.getpid()) == []


def groups_of(pid):
    """The control groups that the process `pid` made; other processes on this machine have their own."""
    if not offered("cgroup"):
        return []
    parent, _version = ways._parent()
    return list(parent.glob(f"daskclass-{pid}-*"))


def test_what_fits_finishes(way):
    run = limits.run(f"{HOG}\nprint('done', len(blocks))", "200MiB", way=way, MIBS=60)
    assert (run.ended, run.status, run.out_of_memory) == ("finished", 0, False)
    assert run.output == "done 60\n"
    assert 60 * MIB < run.peak < 200 * MIB
    assert run.limit == 200 * MIB
    assert run.way.startswith(way)


def test_what_does_not_fit_runs_out_of_memory(way):
    run = limits.run(f"print('begun', flush=True)\n{HOG}\nprint('done')", "100MiB", way=way, MIBS=400)
    assert (run.ended, run.out_of_memory) == ("out of memory", True), run
    assert run.output.startswith("begun\n")
    assert "done" not in run.output
    assert 50 * MIB < run.peak < 160 * MIB


def test_growth_rises_to_the_peak(way):
    before = "import time\ntime.sleep(0.3)  # as many looks before it grows\n"
    run = limits.run(before + HOG, "200MiB", way=way, MIBS=60)
    assert list(run.growth.columns) == ["seconds", "bytes"]
    assert run.growth.seconds.is_monotonic_increasing
    assert run.growth.bytes.max() == run.peak
    assert run.growth.bytes.iloc[0] < 30 * MIB
    assert run.growth.seconds.iloc[-1] <= run.seconds


def test_memory_of_children_counts(way):
    child = "x = bytearray(b'x') * (300 * 2**20)"
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}], check=True)"
    run = limits.run(code, "100MiB", way=way)
    assert run.ended != "finished"
    if way != "rlimit":  # whose child dies of a MemoryError that its parent only sees as an exit status
        assert run.out_of_memory, run


def test_without_a_limit_it_is_only_watched():
    run = limits.run(HOG, None, MIBS=60)
    assert (run.ended, run.way, run.limit) == ("finished", "no limit", None)
    assert run.peak > 60 * MIB


def test_what_a_nanny_left_in_the_environment_is_not_handed_on(monkeypatch):
    import dask
    import distributed  # noqa: F401 (reads its settings)

    left = dask.config.get("distributed.nanny.pre-spawn-environ")
    assert "MALLOC_TRIM_THRESHOLD_" in left
    for name, value in left.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MY_OWN", "1")
    run = limits.run("import os; print(sorted(NAMES & set(os.environ)))", None, NAMES={*left, "MY_OWN"})
    assert run.output == "['MY_OWN']\n"


def test_a_function_with_arguments():
    def greet(name, *, loud):
        print(f"hello {name}{'!' * loud}")

    assert limits.run(greet, "200MiB", name="Ada", loud=3).output == "hello Ada!!!\n"


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("raise ValueError('not so')", "ValueError: not so"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise SystemExit('go')", "SystemExit: go"),
        ("this is no Python", "SyntaxError: invalid syntax (<cell>, line 1)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import os; os._exit(4)", "exit status 4: no output"),
        ("import os; print('about a MemoryError', flush=True); os._exit(4)", "exit status 4: about a MemoryError"),
        ("raise ValueError('I cannot allocate memory')", "ValueError: I cannot allocate memory"),
    ],
)
def test_other_ends_are_failures(code, how):
    run = limits.run(code, "200MiB")
    assert (run.ended, run.how) == ("failed", how)
    assert not run.out_of_memory


def test_leaving_with_status_zero_is_no_failure():
    assert limits.run("raise SystemExit", "200MiB").ended == "finished"


@pytest.mark.parametrize(
    "code",
    [
        "raise MemoryError",
        "import errno; raise OSError(errno.ENOMEM, 'Cannot allocate memory')",
        "import pandas; raise pandas.errors.ParserError('Error tokenizing data. C error: out of memory')",
        "import pyarrow; raise pyarrow.lib.ArrowMemoryError('malloc of size 64 failed')",
        "import numpy; numpy.ones(2**50)",
        "import os; print('MemoryError: no room for a report', flush=True); os._exit(1)",
        "try:\n    raise MemoryError\nexcept MemoryError as error:\n    raise RuntimeError('reading') from error",
    ],
)
def test_what_libraries_say_when_memory_runs_out(code):
    run = limits.run(code, "1GiB", way="watching")
    assert run.out_of_memory, run


@pytest.mark.parametrize(
    "code", ["import pandas; raise pandas.errors.ParserError('expected 3 fields')", "raise OSError(13, 'denied')"]
)
def test_other_errors_of_the_same_kind_are_failures(code):
    assert limits.run(code, "1GiB", way="watching").ended == "failed"


@POSIX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signal_that_no_limit_accounts_for_is_killed(way, number):
    run = limits.run("import os; os.kill(os.getpid(), NUMBER)", "100MiB", way=way, NUMBER=int(number))
    assert (run.ended, run.status) == ("killed", -number)
    assert number.name in run.how


@pytest.mark.skipif(sys.platform != "linux", reason="signals without a name are Linux's")
def test_a_signal_without_a_name_has_its_number():
    run = limits.run("import os, signal; os.kill(os.getpid(), signal.SIGRTMIN + 1)", "100MiB")
    assert (run.ended, run.how) == ("killed", f"killed by signal {signal.SIGRTMIN + 1} (exit status {run.status})")


def still_there(pid):
    """The process, if it is there; one that was killed may be gone a moment after the signal."""
    try:
        return [psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return []


@POSIX
def test_children_that_outlive_their_parent_are_gone(way):
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid)"
    run = limits.run(code, "200MiB", way=way)  # the parent leaves at once, before anybody could look
    assert run.ended == "finished"
    _gone, alive = psutil.wait_procs(still_there(int(run.output)), timeout=240)
    assert alive == []


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    daemon = os.fork()
    if daemon == 0:
        time.sleep(600)
    print(daemon, flush=True)
    os._exit(0)
os.wait()
time.sleep(PAUSE)
"""


@POSIX
@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_a_daemon_is_gone_as_well(way, pause):
    run = limits.run(DAEMON, "200MiB", way=way, PAUSE=pause)
    assert run.ended == "finished"
    _gone, alive = psutil.wait_procs(still_there(int(run.output)), timeout=240)
    assert alive == []


@POSIX
def test_after_ctrl_c_nothing_stays(way, tmp_path):
    """In a process of its own: what is interrupted is the caller."""
    caller = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from daskclass import limits\n"
        "code = 'import os, time; open(PATH, \"w\").write(str(os.getpid())); time.sleep(600)'\n"
        f"limits.run(code, '200MiB', way={way!r}, PATH='pid')"
    )
    process = subprocess.Popen([sys.executable, "-c", caller], cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        limited = None
        while limited is None and process.poll() is None:
            try:
                limited = int((tmp_path / "pid").read_text())
            except (OSError, ValueError):
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(timeout=0.02)
        process.send_signal(signal.SIGINT)
        _out, error = process.communicate(timeout=240)
    finally:
        process.kill()
        process.wait()
    assert b"KeyboardInterrupt" in error
    assert not psutil.pid_exists(limited)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_when_the_caller_is_killed_the_child_dies_too(tmp_path):
    caller = (
        "import os, signal\nfrom daskclass import limits\n"
        "limits.run('import os; os.kill(os.getppid(), 9); input()', '200MiB', way='watching')"
    )
    # Who is killed can't remove its folder.
    environment = os.environ | {"DASKCLASS_TEST": str(tmp_path), "TMPDIR": str(tmp_path)}
    process = subprocess.run([sys.executable, "-c", caller], cwd=tmp_path, env=environment, check=False)
    assert process.returncode == -signal.SIGKILL
    _gone, alive = psutil.wait_procs(processes.carrying("DASKCLASS_TEST", str(tmp_path)), timeout=240)
    assert alive == []


FOREVER = """
from daskclass import limits
code = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
limits.run(code, "200MiB", way="cgroup")
"""


@pytest.mark.skipif(not offered("cgroup"), reason="no cgroup on this machine")
def test_what_a_killed_caller_left_is_removed_by_the_next(tmp_path, until_it_writes):
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # who is killed can't remove its folder
    caller = subprocess.Popen([sys.executable, "-c", FOREVER], cwd=tmp_path, env=environment)
    try:
        until_it_writes(caller, tmp_path / "pid")
        limited = psutil.Process(int((tmp_path / "pid").read_text()))
        assert len(groups_of(caller.pid)) == 1
    finally:
        caller.kill()
        caller.wait()
    _gone, alive = psutil.wait_procs([limited], timeout=240)
    assert alive == []
    assert limits.run("print('here')", "200MiB", way="cgroup").output == "here\n"
    assert groups_of(caller.pid) == []


@pytest.mark.parametrize("memory", ["plenty", "", " ", "1QB", float("nan"), float("inf"), object(), "-2GiB"])
def test_what_is_no_size_is_said(memory):
    with pytest.raises(UsageProblem, match=r"is not a size|too small for Python itself"):
        limits.run("", memory)


def test_a_number_with_thousands_of_digits_is_said():
    with pytest.raises(UsageProblem, match="a number with thousands of digits is more than this machine"):
        limits.run("", 10**5000)


@given(st.integers(max_value=32 * MIB - 1))
def test_too_small_for_python_itself(memory):
    with pytest.raises(UsageProblem, match="too small for Python itself"):
        limits.run("", memory)


@given(st.integers(min_value=psutil.virtual_memory().total + 1))
def test_larger_than_the_machine(memory):
    with pytest.raises(UsageProblem, match="more than this machine"):
        limits.run("", memory)


def test_the_smallest_limit_holds_python_itself(way):
    assert limits.run("print('here')", "32MiB", way=way).output == "here\n"


def test_a_way_that_is_none():
    with pytest.raises(UsageProblem, match="choose from cgroup, rlimit, watching"):
        limits.run("", "100MiB", way="hope")
    with pytest.raises(UsageProblem, match="nothing to enforce"):
        limits.run("", None, way="watching")


def test_the_way_is_named_and_the_best_one_is_taken():
    assert limits.run("", "100MiB").way.startswith(limits.best_way())


def test_pandas_and_its_arrow_strings_fit_in_every_way(way, tmp_path):
    """Arrow reserves a gigabyte of addresses by itself, which `RLIMIT_DATA` would count."""
    csv = tmp_path / "small.csv"
    csv.write_text("category,price\n" + "Toys,1.5\n" * 1000)
    code = "import pandas as pd\nprint(pd.read_csv(CSV).groupby('category')['price'].mean())"
    run = limits.run(code, "300MiB", way=way, CSV=str(csv))
    assert run.ended == "finished", run
    assert "1.5" in run.output
