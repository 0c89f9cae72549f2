"""Lab 13's debugger: what it lets in is reached over its own protocol, as an editor would."""

import contextlib
import itertools
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import dask
import pytest
from dask.distributed import Client, Future, LocalCluster

from daskclass import labs, watch

pytestmark = pytest.mark.labs

ROOT = Path(__file__).parents[2]

MODULE = """
def cents(euros):
    whole = euros * 100
    return whole + 1
"""
STOP = 4  # its last line


class Editor:
    """A client of the Debug Adapter Protocol: requests, their responses, and events, each as a dict."""

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=240)
        self.stream = self.socket.makefile("rb")
        self.numbers = itertools.count(1)
        self.messages: list[dict] = []

    def send(self, command: str, **arguments) -> int:
        number = next(self.numbers)
        message = {"seq": number, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self.socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        return number

    def next(self, **wanted) -> dict:
        """The next message with these values, whether it has come already or not."""
        for message in itertools.chain(list(self.messages), iter(self._receive, None)):
            if wanted.items() <= message.items():
                self.messages.remove(message)
                return message

    def _receive(self) -> dict:
        header, _empty = self.stream.readline(), self.stream.readline()
        self.messages.append(json.loads(self.stream.read(int(header.partition(b":")[2]))))
        return self.messages[-1]

    def ask(self, command: str, **arguments) -> dict:
        """A request, and the body of its response."""
        response = self.next(type="response", request_seq=self.send(command, **arguments))
        assert response["success"], response
        return response.get("body", {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stream.close()
        self.socket.close()


@contextlib.contextmanager
def at_a_breakpoint(client: Client, folder: Path) -> Iterator[tuple[Future, Editor, str, dict]]:
    """A task that stands at line `STOP` of a module that was uploaded, after lab 13's cell has let an editor in."""
    [lab] = labs.choose("13", labs.find(ROOT))
    given = {"client": client, "os": os, "__name__": "__main__"}
    exec(compile(lab.cells["debugger"], "debugger", "exec"), given)

    (folder / "till.py").write_text(MODULE)
    client.upload_file(str(folder / "till.py"))

    def where():
        import till

        return till.__file__

    def run(euros):
        import till

        return till.cents(euros)

    [path] = client.run(where).values()
    with Editor(given["port"]) as editor:
        editor.ask("initialize", adapterID="python", pathFormat="path", linesStartAt1=True)
        editor.send("attach", justMyCode=False)  # its response comes after the configuration
        editor.next(type="event", event="initialized")
        [point] = editor.ask("setBreakpoints", source={"path": path}, breakpoints=[{"line": STOP}])["breakpoints"]
        assert point["verified"]
        editor.ask("configurationDone")

        future = client.submit(run, 20, workers=[given["debugged"]], pure=False)
        stopped = editor.next(type="event", event="stopped")["body"]
        assert stopped["reason"] == "breakpoint"
        yield future, editor, given["debugged"], stopped


@pytest.fixture
def client(request):
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with (
        dask.config.set(getattr(request, "param", {})),
        LocalCluster(**options, silence_logs="CRITICAL") as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_a_debugger_stops_a_task_on_its_worker_and_lets_it_go(client, tmp_path):
    with at_a_breakpoint(client, tmp_path) as (future, editor, worker, stopped):
        frames = editor.ask("stackTrace", threadId=stopped["threadId"])["stackFrames"]
        assert (frames[0]["name"], frames[0]["line"]) == ("cents", STOP)
        assert editor.ask("evaluate", expression="whole", frameId=frames[0]["id"])["result"] == "2000"

        # The scheduler believes that it is running.
        assert future.status == "pending"
        assert client.processing() == {worker: (future.key,)}

        editor.ask("continue", threadId=stopped["threadId"])
        assert future.result(timeout=240) == 2001
        editor.ask("disconnect", terminateDebuggee=False)
    assert client.submit(sum, [20, 21], workers=[worker], pure=False).result(timeout=240) == 41


def workers(client: Client) -> list[str]:
    return client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.workers))


@pytest.mark.parametrize("client", [{"distributed.scheduler.worker-ttl": "1 s"}], indirect=True)
def test_a_worker_at_a_breakpoint_is_taken_for_dead_after_its_time(client, tmp_path):
    """All of its threads stand still, and so do its heartbeats. (Dask waits for ten of them at least.)"""

    def given_up():
        return [event["workers"] for _when, event in client.get_events("scheduler") if "ttl" in event]

    with at_a_breakpoint(client, tmp_path) as (future, _editor, worker, stopped):
        assert stopped["allThreadsStopped"]
        assert [list(workers) for workers in watch.until(given_up, "the scheduler's giving up")] == [[worker]]
        # The nanny ends the process and starts another, to which the task may not go: its one worker is gone.
        watch.until(lambda: set(workers(client)) - {worker}, "another worker")
        assert future.status == "pending"
        assert client.processing()[workers(client)[0]] == ()
