"""What goes through the proxy arrives as it was sent, is counted, and breaks off where the other side does."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from daskclass.object_store.proxy import Proxy

HEADERS = {"Authorization": "AWS4-HMAC-SHA256 Credential=ANN/2026/x/s3/aws4_request, Signature=1", "X-Mine": "a, b"}


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked: the line, the headers, and the body."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.heard.append((self.command, self.path, list(self.headers.items()), body))
        if self.path == "/breaks/off":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
            self.close_connection = True
            return
        told = body if self.command != "HEAD" else b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def target():
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.heard = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(target):
    opened = Proxy(f"http://127.0.0.1:{target.server_port}")
    yield opened
    opened.close()


def ask(proxy, method, path, body=None, **headers):
    line = http.client.HTTPConnection(proxy.address.removeprefix("http://"), timeout=240)
    with contextlib.closing(line):
        line.request(method, path, body, HEADERS | headers)
        answer = line.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()


def test_path_headers_and_body_arrive_as_they_were_sent(proxy, target):
    path = "/bucket/a%20name%2Fwith+signs?x-id=Put%2F&list-type=2"
    status, headers, body = ask(proxy, "PUT", path, b"12345", **{"x-amz-date": "now"})
    [(method, heard, sent, content)] = target.heard
    assert (status, headers["etag"], body) == (200, '"1"', b"12345")
    assert (method, heard, content) == ("PUT", path, b"12345")
    arrived = {name.lower(): value for name, value in sent}
    assert {"x-amz-date": "now", "x-mine": "a, b", "authorization": HEADERS["Authorization"]}.items() <= arrived.items()
    assert arrived["host"] == proxy.address.removeprefix("http://")  # it's part of the signature
    assert not {"user-agent", "accept", "content-type"} & arrived.keys()  # nobody sent these


def test_a_request_is_told_by_its_key_and_its_bytes(proxy):
    ask(proxy, "PUT", "/orders/2026/one", b"x" * 1_000_000)
    [put] = proxy.requests()
    assert (put.method, put.bucket, put.name, put.key) == ("PUT", "orders", "2026/one", "ANN")
    assert (put.status, put.received, put.sent) == (200, 1_000_000, 1_000_000)
    assert not put.ranged
    assert not put.copied
    ask(proxy, "GET", "/orders", Range="bytes=0-1", **{"x-amz-copy-source": "/a/b", "Authorization": "none"})
    other = proxy.requests()[1]
    assert (other.bucket, other.name, other.key) == ("orders", "", None)
    assert other.ranged
    assert other.copied


def test_a_head_has_no_body(proxy):
    assert ask(proxy, "HEAD", "/orders/one")[2] == b""
    [head] = proxy.requests()
    assert (head.method, head.status, head.sent) == ("HEAD", 200, 0)


def test_an_answer_that_breaks_off_breaks_off_here_too(proxy):
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        ask(proxy, "GET", "/breaks/off")
    assert [request.status for request in proxy.requests()] == [0]


def test_a_sender_that_breaks_off_is_counted_with_what_came(proxy, target):
    line = socket.create_connection(("127.0.0.1", int(proxy.address.rpartition(":")[2])))
    line.sendall(b"PUT /orders/one HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 1_000_000)
    line.shutdown(socket.SHUT_WR)
    line.recv(1)  # it's closed at the other end, too
    line.close()
    [put] = proxy.requests()
    assert put.status == 0
    assert 0 < put.received <= 1_000_000


def test_a_server_that_is_gone_is_an_error_that_is_counted():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    proxy = Proxy(f"http://127.0.0.1:{port}")
    status, _headers, _body = ask(proxy, "GET", "/orders/one")
    assert status >= 500
    assert [request.status for request in proxy.requests()] == [0]
    proxy.close()


def test_faults_end_with_their_block_and_meet_whom_they_mean(proxy, target):
    with proxy.fault(lambda method, path: (method, path) == ("GET", "/orders/one"), status=503):
        assert ask(proxy, "GET", "/orders/one")[0] == 503
        assert b"SlowDown" in ask(proxy, "GET", "/orders/one")[2]
        assert ask(proxy, "PUT", "/orders/one", b"x")[0] == 200
        assert ask(proxy, "GET", "/orders/two")[0] == 200
    assert ask(proxy, "GET", "/orders/one")[0] == 200
    assert [path for method, path, *_ in target.heard if method == "GET"] == ["/orders/two", "/orders/one"]


def test_so_many_times_is_so_many_times_whoever_asks(proxy):
    with proxy.fault(lambda *_: True, status=503, times=3):
        told = []
        threads = [threading.Thread(target=lambda: told.append(ask(proxy, "GET", "/o/1")[0])) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(told) == [200] * 5 + [503] * 3


def test_a_closed_proxy_leaves_no_thread_and_no_port(target):
    before = threading.active_count()
    proxy = Proxy(f"http://127.0.0.1:{target.server_port}")
    ask(proxy, "GET", "/orders/one")
    proxy.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "proxy of the store"]
    assert threading.active_count() <= before + 1  # the target's, for a connection that it keeps
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(proxy.address.rpartition(":")[2]))) != 0
