"""A port is free until somebody listens on it."""

import socket

from daskclass.system import ports


def test_a_port_that_is_listened_on_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not ports.is_free(server.getsockname()[1])


def test_a_port_that_was_just_left_is_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            pass  # closed by the server's side first: the port lingers
    assert ports.is_free(port)


def test_one_that_is_found_is_free():
    assert ports.is_free(ports.free())
