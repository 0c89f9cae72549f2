import contextlib
import http.server
import os
import socket
import socketserver
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from types import SimpleNamespace

import dask
import pandas
import psutil
import pytest
from distributed import Client

from daskclass import clusters, sizes
from daskclass.errors import Problem


@pytest.mark.parametrize("address", [None, ""])
def test_without_an_address_a_lab_has_a_cluster_of_its_own(monkeypatch, address):
    def in_this_process(dask_worker):  # here, because workers cannot import the tests
        import os

        return os.getpid(), os.getppid(), dask_worker.memory_manager.memory_limit

    monkeypatch.setenv("DASKCLASS_SIZE", "smoke")
    children = {child.pid for child in psutil.Process().children(recursive=True)}
    with dask.config.set({"scheduler-address": address}), clusters.connect() as client:
        assert sorted(client.nthreads().values()) == [1, 1]
        workers = client.run(in_this_process)
        pids = [psutil.Process(pid) for pid, _parent, _limit in workers.values()]
        assert len(set(pids)) == 2
        assert {limit for _pid, _parent, limit in workers.values()} == {500 * 2**20}
        assert client.scheduler.address.startswith("tcp://127.0.0.1:")
        base = clusters.dashboard(client)
        assert base.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{base}/status", timeout=240) as answer:
            assert answer.status == 200
            assert answer.url == f"{base}/status"
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in pids)
    left = {child.pid for child in psutil.Process().children(recursive=True)} - children
    assert not left & {process.pid for process in pids}


def test_the_class_cluster_is_as_large_as_the_size_says(monkeypatch):
    asked = {}
    monkeypatch.setattr(clusters, "LocalCluster", lambda **settings: asked.update(settings))
    for name, memory in (("smoke", "500 MiB"), ("class", "1 GiB"), ("10GB", "1 GiB")):
        monkeypatch.setenv("DASKCLASS_SIZE", name)
        clusters.start(dashboard_address="127.0.0.1:1")
        assert asked == {
            "n_workers": 2,
            "threads_per_worker": 1,
            "memory_limit": memory,
            "dashboard_address": "127.0.0.1:1",
        }
        assert sizes.current().worker_memory == memory


def test_a_named_cluster_is_used_and_left_alive(cluster, client):
    with dask.config.set({"scheduler-address": cluster.scheduler_address}), clusters.connect() as connected:
        assert connected.scheduler.address == cluster.scheduler_address
        assert connected.submit(pow, 3, 4, pure=False).result() == 81
    with Client(cluster.scheduler_address, set_as_default=False) as again:
        assert len(again.nthreads()) == 2
    assert client.submit(pow, 2, 5, pure=False).result() == 32


def test_what_is_known_of_each_worker(cluster, client):
    known = clusters.workers(client)
    assert sorted(known) == sorted(client.nthreads())
    assert sorted(worker["name"] for worker in known.values()) == sorted(cluster.workers)
    assert {worker["status"] for worker in known.values()} == {"running"}


def test_the_dashboard_is_where_the_scheduler_serves_it(client):
    with dask.config.set({"distributed.dashboard.link": "https://proxy.example/{port}"}):
        base = clusters.dashboard(client)
    assert base.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(f"{base}/json/counts.json", timeout=240) as answer:
        assert answer.status == 200


def test_a_cluster_without_a_dashboard_says_so(client, monkeypatch):
    monkeypatch.setattr(client, "scheduler_info", lambda: {"services": {}})
    with pytest.raises(Problem, match="has no dashboard"):
        clusters.dashboard(client)


def test_an_address_where_nobody_listens_is_named(monkeypatch):
    real = clusters.Client
    monkeypatch.setattr(clusters, "Client", lambda address, timeout: real(address, timeout=min(timeout, 0.5)))
    with socket.socket() as deaf:  # bound and not listening: nobody else can listen there meanwhile
        deaf.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{deaf.getsockname()[1]}"
        with dask.config.set({"scheduler-address": address}), pytest.raises(Problem) as problem:
            clusters.connect()
    assert address in str(problem.value)
    assert "DASK_SCHEDULER_ADDRESS" in str(problem.value)
    assert "unset the variable" in str(problem.value)


@pytest.mark.parametrize("address", ["nonsense://127.0.0.1:1", "tcp://127.0.0.1:notaport"])
def test_an_address_that_is_none_is_named(address):
    with dask.config.set({"scheduler-address": address}), pytest.raises(Problem, match=address):
        clusters.connect()


NO_FILES = {f"distributed.comm.tls.{name}": "/not/there.pem" for name in ("ca-file", "client.cert", "client.key")}


@pytest.mark.parametrize(
    ("address", "settings", "named"),
    [
        ("tls://127.0.0.1:1", {}, "needs certificates"),
        ("wss://127.0.0.1:1", {}, "needs certificates"),
        ("tls://127.0.0.1:1", NO_FILES, "can't read the certificates in distributed.comm.tls of Dask's settings"),
        ("tcp://127.0.0.1:1", {"distributed.comm.require-encryption": True}, "require-encryption requires it"),
    ],
)
def test_settings_with_which_no_connection_is_made_are_named(address, settings, named):
    with dask.config.set(settings), pytest.raises(Problem, match=named):
        clusters.reach(address)


def test_a_mistake_of_ours_is_not_called_a_cluster_that_does_not_answer(monkeypatch):
    def greet(address):
        return address.nonsense

    monkeypatch.setattr(clusters, "_greet", greet)
    with pytest.raises(AttributeError):
        clusters.reach("tcp://127.0.0.1:1")


def test_the_file_of_settings_that_names_a_cluster_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.yaml").write_text("array: {slicing: {split-large-chunks: null}}\n")
    (tmp_path / "b.yaml").write_text("scheduler_address: tcp://127.0.0.1:notaport\n")
    monkeypatch.setattr(dask.config, "paths", [str(tmp_path)])
    with dask.config.set({"scheduler-address": "tcp://127.0.0.1:notaport"}):
        assert clusters.named() == "tcp://127.0.0.1:notaport"
        with pytest.raises(Problem, match=r"`scheduler-address` in .*b\.yaml names.*or remove that line and restart"):
            clusters.connect()
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:notaport")
        with pytest.raises(Problem, match=r"DASK_SCHEDULER_ADDRESS names.*or unset the variable and restart"):
            clusters.connect()


def test_a_page_is_asked_for_around_any_proxy(client, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    base = clusters.dashboard(client)
    with pytest.raises(OSError, match="refused"):
        urllib.request.build_opener().open(f"{base}/status", timeout=240)
    status, page = clusters.visit(f"{base}/json/counts.json")
    assert status == 200
    assert '"tasks"' in page
    assert clusters.visit(f"{base}/not/there") == (404, "")


@contextlib.contextmanager
def serving(kind: type[socketserver.TCPServer], handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """A server of that kind on a free port, which it yields."""
    with kind(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@pytest.mark.parametrize("scheme", ["tcp", "ws"])
def test_somebody_else_at_the_address_is_said(scheme):
    """A dashboard takes the connection and never greets as Dask does."""

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    with serving(http.server.ThreadingHTTPServer, Silent) as port, pytest.raises(Problem, match="no Dask scheduler"):
        clusters.reach(f"{scheme}://127.0.0.1:{port}")


@pytest.mark.parametrize(
    "words", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\1\0\0\0\0\0\0\0\0"]
)
def test_somebody_who_speaks_first_is_said(words):
    """Dask takes the first eight bytes for a length."""

    class Talkative(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(words)
            self.request.recv(1)

    with serving(socketserver.ThreadingTCPServer, Talkative) as port, pytest.raises(Problem, match="no Dask scheduler"):
        clusters.reach(f"tcp://127.0.0.1:{port}")


def test_a_kind_of_address_that_nobody_serves_is_said():
    with pytest.raises(Problem, match="no Dask scheduler answers at"):
        clusters.reach("ucx://127.0.0.1:8786")


def test_a_cluster_of_another_version_is_refused(cluster, tmp_path):
    """A worker that says it has an older pandas joins the cluster; an older copy's metadata is all that says it."""
    older = tmp_path / "older" / "pandas-1.5.0.dist-info"
    older.mkdir(parents=True)
    (older / "METADATA").write_text("Metadata-Version: 2.1\nName: pandas\nVersion: 1.5.0\n")
    command = [sys.executable, "-m", "dask", "worker", cluster.scheduler_address, "--no-nanny", "--nthreads", "1"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "older")}
    worker = subprocess.Popen(
        [*command, "--no-dashboard", "--local-directory", str(tmp_path)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with Client(cluster.scheduler_address, set_as_default=False) as client:
            client.wait_for_workers(3, timeout=240)
        with pytest.raises(Problem) as problem:
            clusters.reach(cluster.scheduler_address)
    finally:
        worker.terminate()
        worker.wait()
        with Client(cluster.scheduler_address, set_as_default=False) as client:
            while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.workers)) > 2:
                worker.poll()
    said = str(problem.value)
    assert "pandas 1.5.0 on worker tcp://127.0.0.1:" in said
    assert f"{pandas.__version__} here. Rebuild it from this checkout (`docker compose up --build`" in said
    assert said.count(" here") == 1


def said_by(packages: dict) -> dict:
    return {"packages": {"python": "3.11.7.final.0", **packages}}


@pytest.mark.parametrize(
    ("there", "phrases"),
    [
        ({}, []),
        ({"python": "3.11.9.final.0"}, []),
        ({"python": "3.13.5.final.0"}, ["python 3.13 on the scheduler and 1 more, 3.11 here"]),
        ({"dask": "2026.1.0"}, ["dask 2026.1.0 on the scheduler and 1 more, 2026.8.0 here"]),
        ({"daskclass": None}, ["daskclass missing on the scheduler and 1 more, 0.1.0 here"]),
        ({"tornado": "1.0"}, []),
    ],
)
def test_what_counts_as_another_version(there, phrases):
    ours = {name: "2026.8.0" for name in clusters.SAME} | {"daskclass": "0.1.0"}
    ours = said_by({name: version for name, version in ours.items() if name != "python"})
    theirs = {"packages": ours["packages"] | there}
    client = SimpleNamespace(
        get_versions=lambda packages: {"client": ours, "scheduler": theirs, "workers": {"tcp://a": theirs}}
    )
    assert clusters._differences(client) == phrases
