import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field

import nbformat
import psutil
import pytest

from daskclass.commands import launch
from daskclass.errors import Problem
from daskclass.system import ports
from daskclass.system.checkout import FIRST_LAB

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Ctrl-C cannot be sent to one process on Windows")

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """As much of a checkout as the launcher looks for, so that nothing is written to the real one."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "labs").mkdir()
    nbformat.write(nbformat.v4.new_notebook(), root / FIRST_LAB)
    return root


@dataclass
class Session:
    """What was seen of one run of ``daskclass lab``, from its start to Ctrl-C."""

    usual: int
    said: dict = field(default_factory=dict)
    ended: str = ""
    errors: str = ""
    status: int | None = None
    answers: dict = field(default_factory=dict)
    environment: str = ""
    listening: set = field(default_factory=set)
    command_lines: str = ""
    kernel: psutil.Process | None = None
    tree: list = field(default_factory=list)
    token: str = ""


def ask(url, token=None, method="GET", body=None):
    headers = {"Authorization": f"token {token}"} if token else {}
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        with OPENER.open(request, timeout=240) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.fixture(scope="session")
def session(checkout, tmp_path_factory):
    """Run the class once and look at it from all sides; all its processes are gone afterwards."""
    scratch = tmp_path_factory.mktemp("lab")
    others = ("DASK", "JUPYTER", "OMP_NUM_THREADS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    environment = kept | {
        "DASKCLASS_DATA": str(scratch / "data"),
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTER_CONFIG_DIR": str(scratch / "config"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
        "PYTHONUNBUFFERED": "1",
    }
    with contextlib.ExitStack() as stack:
        blocker = stack.enter_context(socket.socket())
        blocker.bind(("127.0.0.1", 0))
        blocker.listen()
        # The usual port of its dashboard is this one, which is taken: whoever listens on the real one is not asked.
        seen = Session(usual=blocker.getsockname()[1])
        hearing = (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
            f"from daskclass.commands import launch; launch.DASHBOARD_PORT = {seen.usual}; "
            "from daskclass.commands.cli import main; main()"
        )
        errors = stack.enter_context((scratch / "errors").open("w+", encoding="utf-8"))
        process = subprocess.Popen(
            [sys.executable, "-c", hearing, "lab", "--no-browser", "--size", "1MB"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            env=environment,
            cwd=checkout / "labs",
        )
        stack.enter_context(process.stdout)
        top = psutil.Process(process.pid)
        try:
            for line in process.stdout:
                name, _colon, rest = line.strip().partition(":")
                seen.said[name] = rest.strip()
                if line.startswith("Ctrl-C"):
                    break
            seen.tree = [top, *top.children(recursive=True)]
            look_at(seen, top)
            process.send_signal(signal.SIGINT)
            seen.ended = process.stdout.read()
            process.wait(timeout=240)
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                seen.tree = list({*seen.tree, top, *top.children(recursive=True)})
            # Helpers of multiprocessing end a moment after the process whose pipe they hold.
            psutil.wait_procs(seen.tree, timeout=10)
            left = [one for one in seen.tree if alive(one)]
            seen.status = process.poll()
            seen.tree = left
            for one in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            process.wait()
            errors.seek(0)
            seen.errors = errors.read()
    return seen


def look_at(seen: Session, top: psutil.Process) -> None:
    if "JupyterLab" not in seen.said:
        return
    base, _slash, rest = seen.said["JupyterLab"].partition("/lab/")
    seen.token = rest.partition("token=")[2]
    seen.answers = {
        "with": ask(f"{base}/api/contents/labs", seen.token),
        "without": ask(f"{base}/api/contents/labs"),
        "wrong": ask(f"{base}/api/contents/labs", "0" * len(seen.token)),
        "page": ask(seen.said["JupyterLab"]),
        "dashboard": ask(seen.said["Dashboard"]),
    }
    status, body = ask(f"{base}/api/kernels", seen.token, "POST", b"{}")
    assert status == 201, body
    kernel_id = json.loads(body)["id"]
    processes = [top, *top.children(recursive=True)]
    kernels = [one for one in processes if kernel_id in " ".join(one.cmdline())]
    (seen.kernel,) = kernels
    seen.environment = seen.kernel.environ()
    seen.tree = processes
    seen.command_lines = "\n".join(" ".join(one.cmdline()) for one in processes)
    for one in processes:
        for connection in one.net_connections(kind="inet"):
            if connection.status == psutil.CONN_LISTEN:
                seen.listening.add((connection.laddr.ip, connection.laddr.port))


def test_the_class_says_where_it_is(session):
    assert re.fullmatch(r"18,\d{3} orders in .*1MB", session.said["Sales data"]), session.errors
    assert re.fullmatch(r"2 workers, scheduler at tcp://127\.0\.0\.1:\d+", session.said["Cluster"])
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/status", session.said["Dashboard"])
    address = session.said["JupyterLab"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/lab/tree/labs/00-start-here\.ipynb\?token=\S{20,}", address)


def test_jupyterlab_answers_those_who_have_the_token(session):
    status, body = session.answers["with"]
    assert status == 200
    assert "00-start-here.ipynb" in {entry["name"] for entry in json.loads(body)["content"]}
    assert session.answers["page"][0] == 200
    assert session.answers["without"][0] == 403
    assert session.answers["wrong"][0] == 403


def test_jupyterlab_has_the_settings_of_the_class(session):
    _status, page = session.answers["page"]
    told = json.loads(re.search(rb'<script id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.S)[1])
    assert told["news"] == {"disabled": True}
    assert told["extensionManager"]["can_install"] is False


def test_the_token_is_on_no_command_line(session):
    assert session.token
    assert session.command_lines.count("jupyterlab") >= 1
    assert session.token not in session.command_lines


def test_the_dashboard_answers_on_another_port_when_the_usual_one_is_taken(session):
    assert session.answers["dashboard"][0] == 200
    (line,) = [line for line in session.said if line.startswith(f"Port {session.usual} is taken")]
    other = re.search(r"the dashboard is on (\d+)", line).group(1)
    assert session.said["Dashboard"] == f"http://127.0.0.1:{other}/status"


def test_everything_listens_on_this_machine_only(session):
    assert {ip for ip, _port in session.listening} == {"127.0.0.1"}
    ports = {port for _ip, port in session.listening}
    for name in ("Cluster", "Dashboard", "JupyterLab"):
        assert int(re.search(r"127\.0\.0\.1:(\d+)", session.said[name]).group(1)) in ports


def test_a_notebook_finds_the_cluster_and_the_size(session):
    assert session.said["Cluster"].endswith(session.environment["DASK_SCHEDULER_ADDRESS"])
    assert session.environment["DASKCLASS_SIZE"] == "1MB"
    assert session.environment["DASKCLASS_LAB"] == "1"
    assert "OMP_NUM_THREADS" not in session.environment  # the nannies' of the class cluster, and not a notebook's


def test_ctrl_c_ends_everything(session):
    assert session.status == 0, session.errors
    assert session.ended.endswith("Stopped JupyterLab, its kernels and the cluster.\n")
    assert session.tree == []
    assert not session.kernel.is_running()
    assert "Traceback" not in session.errors


@pytest.fixture
def taken():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_that_is_taken_is_named(daskclass, checkout, taken, tmp_path):
    process = daskclass("lab", "--no-browser", "--size", "1MB", "--port", taken, cwd=checkout)
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert (
        err == f"daskclass: port {taken} is taken; choose another --port, or leave the option out to use a free port\n"
    )
    assert not (tmp_path / "data").exists()


def test_a_usual_port_that_is_taken_is_passed_over(taken, capsys):
    other = launch._port_near(taken, "JupyterLab")
    assert other != taken
    assert ports.is_free(other)
    assert capsys.readouterr().out == f"Port {taken} is taken, so JupyterLab is on {other}.\n"
    assert launch._port_near(other, "JupyterLab") == other
    assert capsys.readouterr().out == ""


def test_data_that_was_changed_stops_the_class_before_it_starts(daskclass, checkout, tmp_path):
    folder = tmp_path / "data" / "1MB"
    folder.mkdir(parents=True)
    (folder / "sales_data.csv").write_text("mine\n")
    process = daskclass("lab", "--no-browser", "--size", "1MB", cwd=checkout)
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert "sales_data.csv has no manifest; make the data again with `daskclass data --size 1MB --force`" in err


def test_a_server_that_does_not_start_is_a_problem(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    gone.wait()
    with pytest.raises(Problem, match=r"didn't start \(exit status 3\); see .*jupyterlab\.log"):
        launch._wait_until_answers(gone, "http://127.0.0.1:9/api/status", "token", tmp_path / "jupyterlab.log")


def test_a_server_without_a_token_is_not_used(monkeypatch):
    monkeypatch.setattr(launch, "_ask", lambda url, token, method="GET": b"{}")
    with pytest.raises(Problem, match="doesn't ask for its token"):
        launch._require_token("http://127.0.0.1:9/api/contents")


REFUSES = """
import http.server, sys

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[1]))
        self.send_header("Content-Length", "0")
        self.end_headers()

server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.mark.parametrize(("status", "words"), [(403, "refuses its own token"), (500, "answered with status 500")])
def test_a_server_that_refuses_its_token_is_not_waited_for(tmp_path, status, words):
    """As where the user's configuration sets another token."""
    server = subprocess.Popen([sys.executable, "-c", REFUSES, str(status)], stdout=subprocess.PIPE)
    try:
        address = f"http://127.0.0.1:{int(server.stdout.readline())}/api/status"
        with pytest.raises(Problem, match=words):
            launch._wait_until_answers(server, address, "token", tmp_path / "jupyterlab.log")
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def test_a_server_that_stops_answering_is_said():
    with pytest.raises(Problem, match="stopped answering while we checked its token"):
        launch._require_token("http://127.0.0.1:9/api/contents")


HANGS = """
import http.server, json, signal, sys

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        content = json.dumps([]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *arguments):
        print(self.command, self.path, file=sys.stderr, flush=True)

signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_a_server_that_has_shut_down_and_does_not_exit_is_killed(monkeypatch, tmp_path):
    """Its threads can keep it alive; a person who pressed Ctrl-C waits for it."""
    waits = []
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.PIPE, stderr=log)
    address = f"http://127.0.0.1:{int(server.stdout.readline())}"
    wait = server.wait
    monkeypatch.setattr(server, "wait", lambda timeout=None: waits.append(timeout) or wait(timeout and timeout / 50))
    launch._end(server, address, "token")
    asked = (tmp_path / "log").read_text().splitlines()
    server.stdout.close()
    assert server.returncode == -signal.SIGKILL
    assert asked == ["GET /api/kernels", "POST /api/shutdown"]
    assert sum(seconds for seconds in waits if seconds) <= 5
