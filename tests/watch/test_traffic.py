"""Bytes through a scheduler, that of another process and that of this one."""

import pytest
from distributed.comm import tcp

from daskclass.watch import traffic

SIZE = 5_000_000


@pytest.fixture(params=["by_hand", "client"])
def one(request):
    """A client of a scheduler in a process of its own, or in this one."""
    return request.getfixturevalue(request.param)


def test_what_workers_exchange_does_not_count(one):
    first, second = list(one.nthreads())[:2]
    with traffic.through_scheduler(one) as seen:
        made = one.submit(bytes, SIZE, workers=[first], pure=False)
        assert one.submit(len, made, workers=[second], pure=False).result() == SIZE
    assert 0 < seen.received < SIZE / 100
    assert 0 < seen.sent < SIZE / 100


def test_what_is_gathered_passes_in_and_out(one):
    made = one.submit(bytes, SIZE, pure=False)
    assert made.exception() is None  # waits, and fetches nothing
    with traffic.through_scheduler(one) as seen:
        made.result()
    assert SIZE <= seen.received < SIZE * 1.01
    assert SIZE <= seen.sent < SIZE * 1.01


def test_what_is_scattered_passes_on_connections_that_the_scheduler_made(one):
    with traffic.through_scheduler(one) as seen:
        one.scatter(b"x" * SIZE, hash=False)
    assert SIZE <= seen.received < SIZE * 1.01
    assert SIZE <= seen.sent < SIZE * 1.01
    with traffic.through_scheduler(one) as seen:
        one.scatter(b"x" * SIZE, hash=False, direct=True)
    assert seen.received + seen.sent < SIZE / 100


def test_one_block_within_another(client):
    before = tcp.TCP.write, tcp.read_bytes_rw
    with traffic.through_scheduler(client) as outer:
        with traffic.through_scheduler(client) as inner:
            client.scatter(b"x" * SIZE, hash=False)
        client.scatter(b"y" * SIZE, hash=False)
    assert SIZE <= inner.received < SIZE * 1.01
    assert 2 * SIZE <= outer.received < 2 * SIZE * 1.01
    assert (tcp.TCP.write, tcp.read_bytes_rw) == before


def test_blocks_that_end_out_of_order(client):
    before = tcp.TCP.write, tcp.read_bytes_rw
    first, second = traffic.through_scheduler(client), traffic.through_scheduler(client)
    early = first.__enter__()
    late = second.__enter__()
    client.scatter(b"x" * SIZE, hash=False)
    first.__exit__(None, None, None)
    client.scatter(b"y" * SIZE, hash=False)
    second.__exit__(None, None, None)
    assert (tcp.TCP.write, tcp.read_bytes_rw) == before
    assert SIZE <= early.received < SIZE * 1.01
    assert 2 * SIZE <= late.received < 2 * SIZE * 1.01


def test_a_block_that_cannot_begin_leaves_nothing(client, monkeypatch):
    before = tcp.TCP.write, tcp.read_bytes_rw
    run, asked = client.run_on_scheduler, []

    def interrupted(function, **names):
        answer = run(function, **names)
        asked.append(function)
        if len(asked) == 1:
            raise KeyboardInterrupt  # pressed while the answer was on its way
        return answer

    monkeypatch.setattr(client, "run_on_scheduler", interrupted)
    with pytest.raises(KeyboardInterrupt), traffic.through_scheduler(client):
        pytest.fail("the block should not run")
    assert (tcp.TCP.write, tcp.read_bytes_rw) == before


def test_an_error_in_the_block_ends_the_counting_too(client):
    before = tcp.TCP.write, tcp.read_bytes_rw
    with pytest.raises(KeyError), traffic.through_scheduler(client) as seen:
        raise KeyError
    assert (tcp.TCP.write, tcp.read_bytes_rw) == before
    assert seen.received > 0
