"""A terminal says what was typed and what came of it, and nothing stays when it or its process is gone."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from daskclass.errors import Problem
from daskclass.terminals import Terminal, Terminals


def gone(pid: int, seconds: float = 15) -> bool:
    try:
        psutil.Process(pid).wait(seconds)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


@pytest.fixture
def type_in(tmp_path):
    opened = []

    def typed(command, folder="hall", **environment):
        opened.append(Terminal(tmp_path / folder, command, **environment))
        return opened[-1]

    yield typed
    for terminal in opened:
        terminal.close()


def script(tmp_path: Path, source: str) -> str:
    path = tmp_path / "said.py"
    path.write_text(source)
    return f'python "{path.as_posix()}"'


def test_the_prompt_shows_folder_settings_and_command(type_in, capsys):
    type_in("python --version", folder="hall", COLOR="dark green").wait_for("Python")
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "hall$ COLOR='dark green' python --version"
    assert out[1].startswith("Python 3.")


def test_it_runs_in_its_folder_with_its_variables(type_in, tmp_path):
    command = script(tmp_path, "import os; print('in', os.getcwd(), os.environ['WHO'])")
    assert type_in(command, folder="east", WHO="me").wait_for(r"in (.*) me") == str((tmp_path / "east").resolve())


def test_python_and_dask_are_those_of_this_environment(type_in):
    assert Path(type_in('python -c "import sys; print(sys.prefix)"').wait_for(".+")) == Path(sys.prefix)


def test_words_with_spaces_are_handed_over_one_by_one(type_in, tmp_path, capsys):
    path = tmp_path / "my program.py"
    path.write_text("import sys; print(sys.argv[1:])")
    assert type_in(["python", path, "a b", 7]).wait_for(".+") == "['a b', '7']"
    assert "my program.py' 'a b' 7" in capsys.readouterr().out


def test_what_matched_is_returned_and_each_line_shown_once(type_in, tmp_path, capsys):
    terminal = type_in(script(tmp_path, "print('a 1'); print('b 2'); print('c 3')"))
    capsys.readouterr()
    assert terminal.wait_for(r"b (\d)") == "2"
    assert capsys.readouterr().out == "a 1\nb 2\n"
    assert terminal.wait_for("c") == "c"
    assert capsys.readouterr().out == "c 3\n"
    assert terminal.wait() == 0
    assert terminal.output == "a 1\nb 2\nc 3"


def test_the_same_words_are_waited_for_anew(type_in, tmp_path):
    terminal = type_in(script(tmp_path, "print('up 1'); print('down'); print('up 2')"))
    assert [terminal.wait_for(r"up (\d)") for _ in range(2)] == ["1", "2"]
    with pytest.raises(Problem, match="ended with exit status 0"):
        terminal.wait_for("up")


def test_times_of_day_are_left_out(type_in, tmp_path):
    terminal = type_in(script(tmp_path, "print('2026-11-21 13:10:50,521 - distributed.scheduler - INFO - hello')"))
    terminal.wait_for("hello")
    assert terminal.output == "distributed.scheduler - INFO - hello"


def test_a_command_that_is_not_there_is_said(tmp_path):
    with pytest.raises(Problem, match="no command 'dsak' here"):
        Terminal(tmp_path / "hall", "dsak scheduler")
    with pytest.raises(Problem, match="no command '' here"):
        Terminal(tmp_path / "hall", " ")


def test_a_folder_that_cannot_be_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem, match="as a terminal's folder"):
        Terminal(tmp_path / "file", "python --version")


def test_a_port_in_use_is_said(type_in):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        scheduler = type_in(f"dask scheduler --host 127.0.0.1 --port {port} --dashboard-address 127.0.0.1:0")
        with pytest.raises(
            Problem, match=r"exit status 1 before it printed .* It printed: OSError: .*[Aa]ddress already in use"
        ):
            scheduler.wait_for("Scheduler at")


def test_a_worker_that_never_comes_is_said(type_in):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and never answers
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        worker = type_in(f"dask worker {address} --host 127.0.0.1 --no-dashboard --local-directory .")
        with pytest.raises(Problem, match=r"hasn't printed 'Registered to' in 6 s. Its last line is: .+"):
            worker.wait_for("Registered to", seconds=6)


def test_a_worker_whose_scheduler_goes_is_said(type_in):
    scheduler = type_in("dask scheduler --host 127.0.0.1 --port 0 --dashboard-address 127.0.0.1:0")
    address = scheduler.wait_for(r"Scheduler at: +(\S+)")
    worker = type_in(f"dask worker {address} --host 127.0.0.1 --no-dashboard --local-directory .", folder="east")
    worker.wait_for("Registered to")
    scheduler.close()
    with pytest.raises(Problem, match=r"ended with exit status \d before it printed 'never'"):
        worker.wait_for("never")


def test_waiting_for_the_end_of_what_goes_on_is_said(type_in, tmp_path):
    with pytest.raises(Problem, match=r"is still running after 0\.2 s"):
        type_in(script(tmp_path, "import time; time.sleep(60)")).wait(0.2)


@pytest.mark.skipif(os.name == "nt", reason="signals are not told apart")
def test_a_signal_shows_in_the_exit_status(type_in, tmp_path):
    terminal = type_in(script(tmp_path, "import os; os.kill(os.getpid(), 9)"))
    assert terminal.wait() == 137


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("pids", os.getpid(), child.pid, flush=True)
time.sleep(600)
"""
ORPHANED = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdout=subprocess.DEVNULL)
print("pids", os.getpid(), child.pid, flush=True)
"""


@pytest.mark.parametrize("source", [STUBBORN, ORPHANED], ids=["deaf", "orphaned"])
@pytest.mark.skipif(os.name == "nt", reason="an orphan is not found there")
def test_closing_ends_all_that_came_of_it(type_in, tmp_path, source):
    terminal = type_in(script(tmp_path, source))
    pids = list(map(int, terminal.wait_for(r"pids (\d+ \d+)").split()))
    terminal.close()
    assert all(gone(pid) for pid in pids)
    terminal.close()  # twice does no harm


OWNER = """
import sys, time
from daskclass.terminals import Terminals
terminals = Terminals()
sleeper = "python -c 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'"
pid = terminals.type("hall", sleeper).wait_for("[0-9]+")
print(f"here {pid} {terminals.folder}", flush=True)
{END}
"""


@pytest.mark.parametrize(
    "end",
    ["pass", "raise SystemExit(3)", "import os; os._exit(1)", "time.sleep(600)"],
    ids=["end", "exit", "at once", "killed"],
)
@pytest.mark.skipif(os.name == "nt", reason="quotes of a POSIX shell")
def test_nothing_stays_however_the_process_ends(tmp_path, end):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.replace("{END}", end)], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    pid, folder = next(line.split()[1:] for line in owner.stdout if line.startswith("here"))
    if "sleep" in end:
        owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert gone(int(pid))
    wait_until_removed(folder)


@pytest.mark.skipif(os.name == "nt", reason="groups of processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_signal_to_the_whole_group_reaches_no_keeper(tmp_path, number):
    """As Jupyter interrupts and kills a kernel: interrupted, all goes on; killed, all goes."""
    calm = "import os, signal; signal.signal(signal.SIGINT, lambda *_: os.write(1, b'interrupted\\n'))\n"
    owner = subprocess.Popen(
        [sys.executable, "-c", calm + OWNER.replace("{END}", "while True: time.sleep(1)")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    pid, folder = next(line.split()[1:] for line in owner.stdout if line.startswith("here"))
    os.killpg(owner.pid, number)
    if number == signal.SIGINT:
        assert next(line for line in owner.stdout if line.startswith("interrupted"))
        assert not gone(int(pid), seconds=1)
        assert Path(folder).exists()
        owner.kill()
    owner.wait()
    assert gone(int(pid))
    wait_until_removed(folder)


def wait_until_removed(folder: str) -> None:
    keepers = [one for one in psutil.process_iter(["cmdline"]) if folder in (one.info["cmdline"] or [])]
    psutil.wait_procs(keepers, timeout=15)
    assert not Path(folder).exists()


def test_whoever_lets_go_of_terminals_ends_them(capsys):
    terminals = Terminals()
    server = terminals.type("office", "python -m http.server 0 --bind 127.0.0.1")
    server.wait_for("Serving")
    keeper, folder = psutil.Process(server._keeper.pid), str(terminals.folder)
    del terminals, server
    gc.collect()
    assert gone(keeper.pid)
    wait_until_removed(folder)


def test_a_terminal_runs_one_command_at_a_time(capsys):
    with Terminals() as terminals:
        first = terminals.type("office", "python -m http.server 0 --bind 127.0.0.1")
        first.wait_for("Serving")
        second = terminals.type("office", "python -m http.server 0 --bind 127.0.0.1")
        second.wait_for("Serving", quiet=True)
        assert first.status is not None
        assert second.status is None


def test_quiet_prints_the_line_alone(type_in, tmp_path, capsys):
    terminal = type_in(script(tmp_path, "print('a 1'); print('b 2')"))
    capsys.readouterr()
    terminal.wait_for("b", quiet=True)
    assert capsys.readouterr().out == "b 2\n"


def test_closing_all_of_them_removes_the_folder(capsys):
    with Terminals() as terminals:
        (terminals.folder / "office").mkdir()
        server = terminals.type("office", "python -m http.server 0 --bind 127.0.0.1")
        server.wait_for("Serving")
    assert server.status is not None
    assert not terminals.folder.exists()
