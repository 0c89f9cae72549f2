"""A store knows who asks, counts, spoils what it's told to, and leaves nothing behind."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

import psutil
import pytest
import s3fs

from daskclass.errors import UsageProblem
from daskclass.object_store import ObjectStore
from daskclass.object_store import store as module
from daskclass.terminals import Terminals


def server_of(store):
    """The process that serves, which keeps the program of the store as its child."""
    found = [
        process
        for process in psutil.Process().children(recursive=True)
        if {"daskclass.object_store.serve", store.program} <= set(process.cmdline())
        and "daskclass.object_store.serve" not in process.parent().cmdline()
    ]
    return max(found, key=psutil.Process.create_time)


def test_what_is_put_there_is_there(files):
    files.pipe_file(f"{files.bucket}/one", b"12345")
    assert files.cat_file(f"{files.bucket}/one") == b"12345"
    assert files.cat_file(f"{files.bucket}/one", start=1, end=3) == b"23"


def test_requests_and_bytes_are_counted_by_who_asks(store, files):
    with store.counted() as seen:
        files.pipe_file(f"{files.bucket}/one", b"x" * 100_000)
        with mock.patch.dict(os.environ, store.variables("others")):
            s3fs.S3FileSystem(skip_instance_cache=True).cat_file(f"{files.bucket}/one", start=0, end=60_000)
    [put] = [request for request in seen.requests if request.method == "PUT"]
    [got] = [request for request in seen.requests if request.method == "GET"]
    assert (put.key, put.bucket, put.name, put.status) == (store.key("me"), files.bucket, "one", 200)
    assert (put.received, put.ranged) == (100_000, False)
    status = {"weed": 206, "rclone": 200}[store.program]  # rclone sends a part, and says that it's all
    assert (got.key, got.status, got.ranged, got.sent) == (store.key("others"), status, True, 60_000)
    assert seen.received == 100_000
    assert seen.bytes_to(store.key("others")) == 60_000
    assert {request.key for request in seen.of(store.key("me"))} == {store.key("me")}


def test_only_what_ends_in_a_block_is_counted_there(store, files):
    with store.counted() as first:
        files.exists(f"{files.bucket}/one")
    with store.counted() as second:
        pass
    assert len(first.requests) >= 1
    assert second.requests == []


def test_a_rename_is_a_copy_and_a_deletion(store, files):
    files.pipe_file(f"{files.bucket}/one", b"x")
    with store.counted() as seen:
        files.mv(f"{files.bucket}/one", f"{files.bucket}/two")
    [copy] = [request for request in seen.requests if request.copied]
    assert (copy.method, copy.name) == ("PUT", "two")
    assert files.cat_file(f"{files.bucket}/two") == b"x"
    assert not files.exists(f"{files.bucket}/one")


def test_a_wrong_secret_is_refused(store, files):
    with pytest.raises(PermissionError):
        s3fs.S3FileSystem(key=store.key("me"), secret="wrong", skip_instance_cache=True).pipe_file(
            f"{files.bucket}/one", b"x"
        )


def test_nobody_can_ask_without_a_key(store, files):
    files.pipe_file(f"{files.bucket}/one", b"x")
    with pytest.raises(OSError, match=r"Access Denied|Forbidden|Bad Request"), store.counted() as seen:
        s3fs.S3FileSystem(anon=True, skip_instance_cache=True).cat_file(f"{files.bucket}/one")
    assert {request.status for request in seen.requests} <= {400, 401, 403}


def test_a_refusal_counts_as_often_as_it_was_told(store, files):
    files.pipe_file(f"{files.bucket}/one", b"x")
    with (
        store.proxy.fault(lambda method, _path: method == "GET", status=503, times=2),
        store.counted() as seen,
    ):
        assert files.cat_file(f"{files.bucket}/one") == b"x"
    assert [request.status for request in seen.requests if request.method == "GET"] == [503, 503, 200]
    with store.counted() as later:
        files.cat_file(f"{files.bucket}/one")
    assert {request.status for request in later.requests} == {200}


def test_a_delay_comes_before_the_answer_of_those_only(store, files):
    """The one that waits ends after one that began later."""
    for name in ("slow", "quick"):
        files.pipe_file(f"{files.bucket}/{name}", name.encode())
    asked = threading.Event()

    def is_slow(_method, path):
        if path.endswith("/slow"):
            asked.set()
        return path.endswith("/slow")

    with store.proxy.fault(is_slow, seconds=1.0), store.counted() as seen:
        slow = threading.Thread(target=files.cat_file, args=(f"{files.bucket}/slow",))
        slow.start()
        assert asked.wait(30)
        s3fs.S3FileSystem(skip_instance_cache=True).cat_file(f"{files.bucket}/quick")
        slow.join()
    assert [request.name for request in seen.requests if request.method == "GET"] == ["quick", "slow"]


def test_everything_listens_on_this_machine_only(store):
    server = server_of(store)
    family = [server, *server.children(recursive=True), psutil.Process()]
    listening = [
        one.laddr for process in family for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN
    ]
    assert int(store.address.rpartition(":")[2]) in {address.port for address in listening}
    assert {address.ip for address in listening} == {"127.0.0.1"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_keys_are_in_no_command_line_and_in_files_that_only_their_owner_can_reach(store):
    server = server_of(store)
    words = [word for process in (server, *server.children(recursive=True)) for word in process.cmdline()]
    secrets = [store.secret(person) for person in ("me", "others")]
    assert not [word for word in words for secret in secrets if secret in word]
    folder = Path(server.cwd())
    assert [path for path in folder.rglob("*.json") if secrets[0] in path.read_text()]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def sockets(family) -> list[Path]:
    """Those that SeaweedFS makes in /tmp for the ports in its command; other tests have stores too."""
    ports = [word.rpartition("=")[2] for process in family for word in process.cmdline() if ".port" in word]
    return [path for port in ports for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")]


@pytest.mark.parametrize("program", ["weed", "rclone"])
def test_nothing_is_left(program):
    with Terminals() as terminals:
        store = ObjectStore(terminals, "me", program=program)
        server = server_of(store)
        family = [server, *server.children(recursive=True)]
        folder, port, made = terminals.folder, int(store.address.rpartition(":")[2]), sockets(family)
        store.close()
    assert len(family) > 1
    assert not [process for process in family if process.is_running()]
    assert not folder.exists()
    assert (made != []) == (program == "weed" and os.name != "nt")
    assert not [path for path in made if path.exists()]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


KILLED = """
import sys, time
from daskclass.object_store import ObjectStore
from daskclass.terminals import Terminals

terminals = Terminals()
store = ObjectStore(terminals, "me")
print("folder", terminals.folder, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="the end of a family is found by its group")
def test_when_the_notebook_is_killed_the_server_goes_too():
    notebook = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)
    try:
        said = next(line for line in notebook.stdout if line.startswith("folder"))
        family = psutil.Process(notebook.pid).children(recursive=True)
        assert any(process.name() == "weed" for process in family)
        made = sockets(family)
    finally:
        notebook.kill()
        notebook.wait()
        notebook.stdout.close()
    _gone, left = psutil.wait_procs(family, timeout=240)
    assert left == []
    assert not Path(said.split()[1]).exists()
    assert made
    assert not [path for path in made if path.exists()]


ELSEWHERE = {
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_PROFILE": "work",
    "AWS_DEFAULT_PROFILE": "work",
    "AWS_SESSION_TOKEN": "of-another-account",
    "AWS_RETRY_MODE": "standard",
    "AWS_MAX_ATTEMPTS": "1",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
}


@pytest.mark.parametrize("program", ["weed", "rclone"])
def test_settings_of_the_person_lead_nowhere_else(program, monkeypatch):
    """Neither the client nor the server's own look at whether it's ready."""
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(name, value)
    with Terminals() as terminals:
        store = ObjectStore(terminals, "me", program=program)
        with mock.patch.dict(os.environ, store.variables("me")), store.counted() as seen:
            found = s3fs.S3FileSystem(skip_instance_cache=True)
            found.mkdir("orders")
            found.pipe_file("orders/one", b"12345")
            assert found.cat_file("orders/one") == b"12345"
        store.close()
    assert {"PUT", "GET"} <= {request.method for request in seen.of(store.key("me"))}


def test_variables_without_a_person_hold_no_key(store):
    told = store.variables()
    assert "AWS_ACCESS_KEY_ID" not in told
    assert told["AWS_ENDPOINT_URL"] == store.address


def test_without_a_program_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda *_, **__: None)
    with Terminals() as terminals, pytest.raises(UsageProblem, match=r"pip install 'daskclass\[object-store\]'"):
        ObjectStore(terminals, "me")
