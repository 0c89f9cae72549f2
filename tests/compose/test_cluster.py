"""The cluster of containers: what a reader types, what an instructor relies on, and what goes wrong on the way."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import yaml

import lab_runs
from daskclass.commands import workspace
from daskclass.system.checkout import FIRST_LAB

# As a reader of the text that the class grew from would paste them, in front of sales_data.csv.
PANDAS = """
import pandas as pd
df_pandas = pd.read_csv('./sales_data.csv')
print(df_pandas.groupby('category')['price'].mean())
"""
DASK = """
import dask.dataframe as dd
from dask.distributed import Client
client = Client('tcp://scheduler:8786')
ddf = dd.read_csv('./sales_data.csv')
result = ddf.groupby('category')['price'].mean().compute()
print(result.to_json())
"""

# A computation of some seconds, which says when it has begun and what came out.
WORK = """
import time
from dask.distributed import Client

def square(number):
    time.sleep(0.2)
    return number * number

with Client("tcp://scheduler:8786") as client:
    futures = client.map(square, range(COUNT), pure=False)
    while not any(future.done() for future in futures):
        time.sleep(0.05)
    print("begun")
    print("sum", sum(client.gather(futures)))
"""


PORTS = ("DASKCLASS_JUPYTER_PORT", "DASKCLASS_DASHBOARD_PORT", "DASKCLASS_SCHEDULER_PORT")


def begun(stack, count: int) -> subprocess.Popen:
    process = stack.start(WORK.replace("COUNT", str(count)))
    for line in process.stdout:
        if line.strip() == "begun":
            return process
    pytest.fail(f"the work did not begin: {process.wait()}")


def ended(process: subprocess.Popen, seconds=240) -> str:
    """What came out; not the last line, which may be a word of the client's about a connection that it lost."""
    out, _ = process.communicate(timeout=seconds)
    print(out)
    assert process.returncode == 0
    return next((line for line in out.splitlines() if line.startswith("sum ")), "")


def right(count: int) -> str:
    return f"sum {sum(number * number for number in range(count))}"


@pytest.fixture(scope="module")
def large_csv(copy, shared_stack):
    """3 GiB of CSV where the two recipes look for it."""
    owner = ["-u", "1000:1000"] if os.geteuid() == 0 else ["-u", f"{os.getuid()}:{os.getgid()}"]
    made = subprocess.run(
        [
            "docker",
            "run",
            "--rm",
            *owner,
            "-v",
            f"{copy}/data:/class/data",
            shared_stack.project,
            "daskclass",
            "data",
            "--size",
            "class",
            "--format",
            "csv",
            "--out",
            "/class/data",
        ],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    return json.loads((copy / "data" / "manifest.json").read_text())


def test_pandas_is_killed_and_the_container_lives(stack, large_csv):
    (before,) = stack.containers("notebook")
    run = stack.run(PANDAS, cwd="/class/data", check=False)
    assert run.returncode == 137
    (after,) = stack.containers("notebook")
    assert after["Id"] == before["Id"]
    assert after["State"]["StartedAt"] == before["State"]["StartedAt"]
    assert stack.jupyter("/api/status")[0] == 200


def test_dask_answers_the_same_question_exactly(stack, large_csv):
    said = json.loads(stack.run(DASK, cwd="/class/data").stdout.strip().splitlines()[-1])
    exact = {name: one["price_cents"] / one["rows"] / 100 for name, one in large_csv["answers"].items()}
    assert said == pytest.approx(exact, rel=1e-9)


LABS = ("00", "01", "02", "07", "09", "14")
"""00 to 02 work on the cluster of containers; 07, 09 and 14 start clusters of their own in the notebook's 2 GB."""


@pytest.mark.labs
def test_labs_pass_in_the_containers_and_leave_nothing_behind(stack):
    rehearse = ("daskclass", "rehearse", "--labs", ",".join(LABS))
    run = stack.compose("exec", "-T", "notebook", *rehearse, check=False, timeout=900)
    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads((stack.folder / "build" / "rehearsal" / "report.json").read_text())
    assert report["size"] == "smoke"
    assert report["cluster"].startswith("tcp://scheduler:8786, 2 workers with 2 threads and 2.00 GiB in total")
    assert [lab["lab"][:2] for lab in report["labs"]] == list(LABS)
    assert {lab["status"] for lab in report["labs"]} == {"passed"}
    assert [left for lab in report["labs"] for left in lab["left_behind"]] == []
    assert all(claim["holds"] is True for lab in report["labs"] for claim in lab["claims"])
    for lab in LABS:
        lab_runs.note(lab, "in containers", whole=True)


def test_scaling_during_work_loses_nothing(stack):
    stack.up(1)
    work = begun(stack, 120)
    stack.up(4)
    stack.compose("up", "-d", "--no-recreate", "--scale", "worker=2")
    assert ended(work) == right(120)
    stack.wait_for_workers(2)


def test_a_worker_killed_in_the_middle_comes_back(stack):
    victim = stack.containers("worker")[0]
    work = begun(stack, 100)
    os.kill(victim["State"]["Pid"], 9)  # by its pid: the engine takes `docker kill` for a wish
    assert ended(work) == right(100)
    stack.wait_for_workers(2)
    (again,) = [one for one in stack.containers("worker") if one["Id"] == victim["Id"]]
    assert again["RestartCount"] == victim["RestartCount"] + 1


def test_a_worker_that_loses_the_network_comes_back(stack):
    victim = stack.containers("worker")[0]
    (network,) = victim["NetworkSettings"]["Networks"]
    work = begun(stack, 100)
    subprocess.run(["docker", "network", "disconnect", network, victim["Id"]], check=True)
    try:
        assert ended(work) == right(100)
    finally:
        subprocess.run(["docker", "network", "connect", network, victim["Id"]], check=True)
    stack.wait_for_workers(2, seconds=240)
    assert ended(begun(stack, 10)) == right(10)


def test_after_a_restart_of_the_scheduler_the_next_run_works(stack):
    work = begun(stack, 300)
    stack.compose("restart", "-t", "2", "scheduler")
    lost = work.communicate(timeout=240)[0]
    assert work.returncode == 1
    assert "scheduler-connection-lost" in lost
    stack.wait_for_workers(2)
    assert ended(begun(stack, 10)) == right(10)


OVERDRAW = """
import subprocess, sys
from dask.distributed import Client

def overdraw(mine, the_childs):
    '''The nanny weighs this process, the kernel the whole container, of which it kills the heaviest: this one.'''
    held = b"1" * mine
    take = f"import sys; held = b'1' * {the_childs}; sys.stdin.read()"  # until this process is gone
    subprocess.Popen([sys.executable, "-c", take], stdin=subprocess.PIPE).wait()
    return len(held)

client = Client("tcp://scheduler:8786")
error = client.submit(overdraw, 700 * 2**20, 550 * 2**20, pure=False).exception()
print(type(error).__name__, client.submit(pow, 2, 10).result())
"""


def kernel_kills(container: dict) -> int:
    read = "cat /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null || cat /sys/fs/cgroup/memory.events"
    said = subprocess.run(
        ["docker", "exec", container["Id"], "sh", "-c", read], check=True, capture_output=True, text=True
    )
    return next(int(line.split()[1]) for line in said.stdout.splitlines() if line.startswith("oom_kill "))


def test_a_worker_that_the_kernel_kills_comes_back(stack):
    before = sum(map(kernel_kills, stack.containers("worker")))
    said = stack.run(OVERDRAW).stdout.strip().splitlines()[-1]
    assert said == "KilledWorker 1024"
    stack.wait_for_workers(2)
    assert sum(map(kernel_kills, stack.containers("worker"))) > before


HOARD = """
import os
from dask.distributed import Client

def hold(number):
    return os.urandom(100_000_000)

client = Client("tcp://scheduler:8786")
futures = client.map(hold, range(30), pure=False)
try:
    client.gather([client.submit(len, future) for future in futures])
except Exception as error:
    print(type(error).__name__, error)
client.cancel(futures)
print(client.submit(pow, 2, 10).result())
"""


def test_a_full_spill_volume_is_said(full_stack):
    *_more, said, afterwards = full_stack.run(HOARD, timeout=180).stdout.strip().splitlines()
    assert said.startswith("SpillVolumeIsFull worker tcp://")
    assert "its spill volume at /spill/" in said
    assert afterwards == "1024"


def test_jupyterlab_survives_a_kernel_that_is_killed_for_memory(stack):
    from jupyter_client.session import Session
    from websocket import create_connection

    (before,) = stack.containers("notebook")
    address = f"127.0.0.1:{stack.settings['DASKCLASS_JUPYTER_PORT']}"
    authorization = [f"Authorization: token {stack.settings['DASKCLASS_TOKEN']}"]
    session, kernels = Session(key=b""), []

    def in_a_new_kernel(code: str, until) -> dict:
        status, said = stack.jupyter("/api/kernels", method="POST", body=b"{}")
        assert status == 201
        kernel = json.loads(said)["id"]
        kernels.append(kernel)
        connection = create_connection(
            f"ws://{address}/api/kernels/{kernel}/channels", header=authorization, timeout=240
        )
        try:
            content = {
                "code": code,
                "silent": False,
                "allow_stdin": False,
                "user_expressions": {},
                "store_history": False,
            }
            message = session.msg("execute_request", content) | {"channel": "shell"}
            connection.send(json.dumps(message, default=str))
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                heard = json.loads(connection.recv())
                if until(heard):
                    return heard
            return pytest.fail(f"not heard; last: {heard}")
        finally:
            connection.close()

    in_a_new_kernel(
        "hoard = bytearray(b'x') * (4 * 2**30)",
        lambda heard: heard["content"].get("execution_state") == "restarting",
    )
    stream = in_a_new_kernel("print(6 * 7)", lambda heard: heard["content"].get("name") == "stdout")
    assert stream["content"]["text"] == "42\n"
    assert [stack.jupyter(f"/api/kernels/{kernel}", method="DELETE")[0] for kernel in kernels] == [204, 204]
    (after,) = stack.containers("notebook")
    assert after["State"]["StartedAt"] == before["State"]["StartedAt"]


OLDER = """
import pathlib, subprocess, sys, os
older = pathlib.Path("/tmp/older/pandas-1.5.0.dist-info")
older.mkdir(parents=True, exist_ok=True)
(older / "METADATA").write_text("Metadata-Version: 2.1\\nName: pandas\\nVersion: 1.5.0\\n")
command = ["dask", "worker", "tcp://scheduler:8786", "--no-nanny", "--no-dashboard", "--local-directory", "/tmp"]
worker = subprocess.Popen(
    command, env={**os.environ, "PYTHONPATH": "/tmp/older"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
)
try:
    from dask.distributed import Client
    from daskclass import clusters
    from daskclass.errors import Problem
    Client("tcp://scheduler:8786").wait_for_workers(3, timeout=240)
    try:
        clusters.connect()
    except Problem as problem:
        print(problem)
finally:
    worker.terminate()
    worker.wait()
"""


def test_a_worker_of_another_version_is_refused(stack):
    said = stack.run(OLDER).stdout.strip().splitlines()[-1]
    assert "pandas 1.5.0 on worker tcp://" in said
    assert "Rebuild it from this checkout (`docker compose up --build`" in said
    stack.wait_for_workers(2)


def test_nothing_listens_beyond_this_machine(stack):
    ports = {int(value) for name, value in stack.settings.items() if name.endswith("_PORT")}
    listening = {
        (one.laddr.ip, one.laddr.port)
        for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr.port in ports
    }
    assert listening == {("127.0.0.1", port) for port in ports}
    published = [
        binding
        for container in stack.containers()
        for bindings in container["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    ]
    assert {binding["HostIp"] for binding in published} == {"127.0.0.1"}
    assert {int(binding["HostPort"]) for binding in published} == ports


def test_no_container_runs_as_root_or_may_become_so(stack):
    containers = stack.containers()
    assert len(containers) == 4
    for container in containers:
        table = subprocess.run(
            ["docker", "top", container["Id"], "-eo", "pid,uid"], check=True, capture_output=True, text=True
        ).stdout
        assert all(line.split()[1] != "0" for line in table.splitlines()[1:])
        assert container["HostConfig"]["CapDrop"] == ["ALL"]
        assert "no-new-privileges:true" in container["HostConfig"]["SecurityOpt"]
        assert not container["HostConfig"]["Privileged"]


def test_limits_are_as_said_and_there_is_no_swap(stack):
    expected = {"notebook": 2 * 2**30, "worker": 1280 * 2**20, "scheduler": 2**30}
    for service, limit in expected.items():
        for container in stack.containers(service):
            assert container["HostConfig"]["Memory"] == limit
            assert container["HostConfig"]["MemorySwap"] == limit
            assert container["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    said = stack.run(
        "from dask.distributed import Client; print(sorted({w['memory_limit'] for w in "
        "Client('tcp://scheduler:8786').scheduler_info()['workers'].values()}))"
    ).stdout.strip()
    assert said == str([int(0.8 * 1280 * 2**20)])


@pytest.mark.parametrize("path", ["/api/contents", "/proxy/scheduler:8787/status", "/lab"])
def test_a_wrong_token_gets_nothing(stack, path):
    for token in ("wrong", ""):
        status, said = stack.jupyter(path, token=token)
        assert status == 403 or b'name="password"' in said  # the page that asks for the token
        assert b"labs" not in said or b'name="password"' in said


def test_the_dashboard_comes_through_the_notebooks_port(stack):
    status, page = stack.jupyter("/proxy/scheduler:8787/status")
    assert status == 200
    assert b"Dask" in page
    assert json.loads(stack.jupyter("/proxy/scheduler:8787/individual-plots.json")[1])
    assert stack.jupyter("/proxy/elsewhere:8787/status")[0] == 403
    link = stack.run("from dask.distributed import Client; print(Client().dashboard_link)").stdout.strip()
    assert link == "/proxy/scheduler:8787/status"


def test_the_panes_know_their_scheduler_and_nothing_asks_for_news(stack):
    status, said = stack.jupyter("/lab/api/settings/dask-labextension:plugin")
    assert status == 200
    assert json.loads(said)["schema"]["properties"]["defaultURL"]["default"] == "/proxy/scheduler:8787/status"
    said = json.loads(stack.jupyter("/lab/api/settings/@jupyterlab/apputils-extension:notification")[1])
    assert said["schema"]["properties"]["fetchNews"]["default"] == "false"


def test_jupyterlab_opens_with_the_lab_and_panes_and_keeps_what_people_change(stack):
    status, said = stack.jupyter("/lab/api/workspaces/default")
    assert status == 200
    assert json.loads(said)["data"] == workspace.layout(FIRST_LAB, "/proxy/scheduler:8787")["data"]
    assert stack.jupyter("/lab/api/workspaces/default", method="PUT", body=said)[0] == 204


OWN_CLUSTER = """
from dask.distributed import Client, LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=1, dashboard_address="127.0.0.1:0") as cluster, Client(cluster) as client:
        print(client.dashboard_link)
        input()
"""


def test_the_dashboard_of_a_labs_own_cluster_comes_through_the_notebooks_port_too(stack):
    own = stack.start(OWN_CLUSTER, stdin=subprocess.PIPE)
    try:
        link = next(line for line in own.stdout if "/status" in line).strip()
        assert link.startswith("/proxy/127.0.0.1:")
        status, page = stack.jupyter(link)
        assert (status, b"Dask" in page) == (200, True)
    finally:
        own.communicate("\n", timeout=240)


def test_a_terminal_in_jupyterlab_finds_our_commands(stack):
    from websocket import create_connection

    status, said = stack.jupyter("/api/terminals", method="POST", body=b"{}")
    assert status == 200
    name = json.loads(said)["name"]
    connection = create_connection(
        f"ws://127.0.0.1:{stack.settings['DASKCLASS_JUPYTER_PORT']}/terminals/websocket/{name}",
        header=[f"Authorization: token {stack.settings['DASKCLASS_TOKEN']}"],
        timeout=240,
    )
    try:
        connection.send(json.dumps(["stdin", "daskclass --help; echo status $?\r"]))
        heard = ""
        while not (found := re.search(r"^status (\d+)", heard, re.MULTILINE)):
            kind, *more = json.loads(connection.recv())
            heard += more[0] if kind == "stdout" else ""
    finally:
        connection.close()
        stack.jupyter(f"/api/terminals/{name}", method="DELETE")
    assert found[1] == "0", heard


def make_up(folder: Path, settings: dict[str, str], **further: str) -> subprocess.CompletedProcess:
    """What ``make up`` runs."""
    return subprocess.run(
        ["sh", "tools/compose_up.sh"],
        cwd=folder,
        env={**os.environ, **settings, **further},
        capture_output=True,
        text=True,
        timeout=600,
    )


def ids(project: str, *filters: str) -> list[str]:
    """The containers of a project, also those that do not run."""
    found = [word for one in (f"label=com.docker.compose.project={project}", *filters) for word in ("--filter", one)]
    command = ["docker", "ps", "--all", "--quiet", "--no-trunc", *found]
    return sorted(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_make_up_shows_what_compose_says_of_a_value_that_makes_no_sense(stack):
    project = f"daskclass-sense-{os.getpid()}"
    run = make_up(stack.folder, stack.settings, COMPOSE_PROJECT_NAME=project, DASKCLASS_WORKER_MEMORY="lots")
    assert run.returncode == 1
    assert "'lots'" in run.stderr
    assert "The cluster didn't start;" in run.stderr
    assert ".env.example" in run.stderr
    assert ids(project) == []


def test_make_up_shows_what_compose_says_of_a_port_that_is_taken(stack):
    project = f"daskclass-taken-{os.getpid()}"
    other = replace(stack, project=project, settings=stack.settings | dict.fromkeys(PORTS, "0"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        try:
            run = make_up(stack.folder, other.settings, COMPOSE_PROJECT_NAME=project, DASKCLASS_DASHBOARD_PORT=port)
        finally:
            other.down()
    assert run.returncode == 1
    assert f"127.0.0.1:{port}" in run.stderr
    assert "The cluster didn't start; see Compose's message" in run.stderr


def test_make_up_shows_which_container_is_not_healthy_and_its_last_words(stack):
    project = f"daskclass-sick-{os.getpid()}"
    other = replace(stack, project=project, settings=stack.settings | dict.fromkeys(PORTS, "0"))
    try:
        run = make_up(stack.folder, other.settings, COMPOSE_PROJECT_NAME=project, DASKCLASS_WORKER_THREADS="several")
    finally:
        other.down()
    assert run.returncode == 1
    assert re.search(rf"{project}-worker-\d: .* Its last lines:", run.stderr)
    assert "'several' is not a valid integer" in run.stderr


def test_make_up_in_two_checkouts_makes_two_clusters(two_checkouts):
    project, first, second = two_checkouts
    run = make_up(*first, WORKERS="1")
    assert run.returncode == 0, run.stderr
    assert all(f"//127.0.0.1:{first[1][name]}" in run.stdout for name in PORTS)
    assert f"?token={first[1]['DASKCLASS_TOKEN']}" in run.stdout
    before = ids(project, "health=healthy")
    assert len(before) == 3  # under the name that plain `docker compose` uses here

    run = make_up(*second, WORKERS="1")
    assert run.returncode == 0, run.stderr
    apart = re.search(rf"docker compose -p ({project}-\d+)", run.stderr)[1]
    assert len(ids(apart, "health=healthy")) == 3
    assert ids(project, "health=healthy") == before

    run = make_up(*second, WORKERS="1")
    assert run.returncode == 0, run.stderr
    assert len(ids(apart)) == len(ids(project)) == 3


ASK = """
import os, urllib.request
print(sorted({os.environ[name] for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY")}))
for page in ("scheduler:8787/health", "worker:8787/health", "notebook:8888/api", "127.0.0.1:8888/api"):
    print(urllib.request.urlopen(f"http://{page}", timeout=240).status)
"""


def test_a_companys_proxy_is_not_asked_for_the_cluster(another_stack, docker_behind_a_proxy):
    stack = another_stack("proxy", DOCKER_CONFIG=str(docker_behind_a_proxy), NO_PROXY="files.example")
    assert stack.run(ASK).stdout.split("\n") == ["['http://127.0.0.1:9']", "200", "200", "200", "200", ""]
    assert stack.run("import os; print(os.environ['NO_PROXY'])").stdout.startswith("files.example,")
    own = (
        "env",
        "-u",
        "no_proxy",
        "-u",
        "NO_PROXY",
        "daskclass",
        "rehearse",
        "--labs",
        "00",
    )  # our code needs no names
    rehearse = stack.compose("exec", "-T", "notebook", *own, check=False)
    assert rehearse.returncode == 0, rehearse.stdout + rehearse.stderr


def test_another_python_that_is_not_there_is_said(copy):
    command = ["sh", "tools/rehearse_on_python.sh", "daskclass-has-no-such/python:1"]
    run = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert run.returncode == 2
    assert "There is no image daskclass-has-no-such/python:1 here, and Docker can't pull it." in run.stderr


def test_a_folder_without_a_latin_letter_has_a_project(copy):
    environment = {name: value for name, value in os.environ.items() if name != "COMPOSE_PROJECT_NAME"}
    command = ["docker", "compose", "config", "--format", "json"]
    run = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["name"] == "daskclass"


def test_what_a_container_writes_belongs_to_the_person_outside(stack):
    stack.run("open('/class/data/note.txt', 'w').write('mine')")
    note = stack.folder / "data" / "note.txt"
    assert note.stat().st_uid == (1000 if os.geteuid() == 0 else os.getuid())
    for service in ("scheduler", "worker", "notebook"):
        assert stack.compose("exec", "-T", service, "cat", "/class/data/note.txt").stdout == "mine"
    note.unlink()


def test_one_image_for_all_and_nothing_unpinned(stack):
    (used,) = {container["Image"] for container in stack.containers()}
    made_here = [
        "docker",
        "images",
        "--quiet",
        "--no-trunc",
        "--filter",
        f"label=com.docker.compose.project={stack.project}",
    ]
    assert set(subprocess.run(made_here, check=True, capture_output=True, text=True).stdout.split()) == {used}
    text = (stack.folder / "docker-compose.yml").read_text()
    assert "latest" not in text
    described = yaml.safe_load(text)
    assert "version" not in described
    documented = (stack.folder / ".env.example").read_text()
    assert set(re.findall(r"\$\{(\w+)", text)) == set(re.findall(r"^#(\w+)=", documented, re.MULTILINE))


def test_nothing_is_lost_from_the_data(stack):
    """Runs wherever it runs: whatever the tests before did, the data is what was made."""
    stack.compose("exec", "-T", "notebook", "daskclass", "data", "--size", "smoke", "--verify")
