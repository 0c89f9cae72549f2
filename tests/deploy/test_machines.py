"""Four containers as machines: labs 22 and 23 prove themselves there, and what isn't meant to be reached isn't."""

import json
import os
import re
import socket
import subprocess

import pytest

import time_left

pytestmark = pytest.mark.machines

TOKEN = "machines-of-a-test"
NODES = ("node1", "node2", "node3")
LEFT = "pgrep -fa '[d]ask_spec|[d]ask_worker|[d]ask worker|[d]ask scheduler' || true"


# Each on machines of its own, from the beginning.
each = pytest.mark.parametrize(
    "number", [pytest.param(number, marks=pytest.mark.xdist_group(number)) for number in ("23", "22")]
)


@pytest.mark.always
@each
def test_a_lab_proves_itself_in_the_head(started, number):
    """In one pass, as `make test-controls` does elsewhere: claims hold, and are false without their causes."""
    proves_itself(started, number, "whole", until="")


@each
def test_its_other_controls(started, number):
    """Those that need a kernel of their own."""
    proves_itself(started, number, "parts and not whole", until=os.environ.get(time_left.UNTIL, ""))


def proves_itself(started, number: str, which: str, until: str) -> None:
    run = started.run(
        "head",
        *("sh", "-c", f'cd /home/learner/checkout && {time_left.UNTIL}={until} exec "$@"', "-"),
        *("python", "-m", "pytest", "--timeout", "840", "-p", "no:cacheprovider", "-m", which),
        *("tests/labs/test_proof.py", "-k", number),
        check=False,
        timeout=880,
    )
    print(run.stdout)
    assert run.returncode == 0
    assert re.search(r"\d+ (passed|skipped)", run.stdout)
    assert until or "skipped" not in run.stdout
    assert {machine: started.run(machine, "sh", "-c", LEFT).stdout for machine in ("head", *NODES)} == dict.fromkeys(
        ("head", *NODES), ""
    )
    assert started.run("head", "squeue", "--noheader").stdout == ""
    assert "tbf" not in "".join(started.run(node, "/usr/sbin/tc", "qdisc", "show").stdout for node in NODES)


def test_nothing_is_published_but_jupyterlab_on_this_machine_with_a_token(started):
    published = {machine: started.inspect(machine)["NetworkSettings"]["Ports"] for machine in ("head", *NODES)}
    assert [port for ports in published.values() for port, ends in ports.items() if ends] == ["8888/tcp"]
    assert {end["HostIp"] for end in published["head"]["8888/tcp"]} == {"127.0.0.1"}
    assert started.get("/api/contents")[0] == 403
    assert started.get("/api/contents", TOKEN)[0] == 200


def test_no_disk_is_shared(started):
    """The notebooks are on the head alone, and the folder for keys has nothing secret that a user could read."""
    mounts = {
        machine: {mount["Destination"] for mount in started.inspect(machine)["Mounts"]} for machine in ("head", *NODES)
    }
    assert mounts == {"head": {"/keys", "/class/labs"}} | {node: {"/keys"} for node in NODES}
    started.run("node1", "sh", "-c", "echo here > /tmp/mine")
    assert started.run("node2", "cat", "/tmp/mine", check=False).returncode != 0
    for user in ("learner", "colleague"):
        assert "Permission denied" in started.run("node1", "cat", "/keys/munge.key", user=user, check=False).stdout
    names = set(started.run("node1", "ls", "/keys").stdout.split())
    assert names == {"learner.pub", "munge.key", *(f"{machine}.host" for machine in ("head", *NODES))}


def test_people_are_not_root_and_only_nodes_may_shape_their_network(started):
    processes = started.run("head", "ps", "-eo", "user:20,args", user="root").stdout
    jupyter = [line.split()[0] for line in processes.splitlines() if "jupyter" in line]
    assert set(jupyter) == {"learner"}
    assert [line.split()[0] for line in processes.splitlines() if "slurmctld" in line] == ["slurm"]
    shape = (
        "/usr/sbin/tc",
        "qdisc",
        "add",
        "dev",
        "eth0",
        "root",
        "tbf",
        "rate",
        "1gbit",
        "burst",
        "1mb",
        "limit",
        "9mb",
    )
    assert started.run("head", *shape, check=False).returncode != 0
    granted = {machine: started.inspect(machine)["HostConfig"]["CapAdd"] for machine in ("head", *NODES)}
    assert [machine for machine, rights in granted.items() if any("NET_ADMIN" in right for right in rights)] == list(
        NODES
    )


def test_people_log_in_with_keys_only(started):
    sshd = started.run("node1", "/usr/sbin/sshd", "-T", user="root").stdout
    for line in ("permitrootlogin no", "passwordauthentication no", "kbdinteractiveauthentication no"):
        assert line in sshd
    assert started.run("head", "ssh", "-o", "BatchMode=yes", "root@node1", "true", check=False).returncode == 255
    assert started.run("head", "ssh", "colleague@node2", "whoami").stdout.strip() == "colleague"
    # a node's users have no key to go on with
    on = started.run("head", "ssh", "node1", "ssh -o BatchMode=yes node2 true", check=False)
    assert on.returncode == 255


def test_the_image_has_no_keys(started):
    look = "ls /etc/ssh/ssh_host_* /etc/munge/munge.key /home/*/.ssh 2>/dev/null; true"
    run = subprocess.run(
        ["docker", "run", "--rm", "--entrypoint", "sh", started.project, "-c", look],
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stdout == ""


def test_without_the_right_to_shape_a_network_lab_22_says_so(another, tmp_path):
    """As where an engine doesn't grant NET_ADMIN. New machines have new keys, too."""
    machines = another("bare")
    less = tmp_path / "less.yml"
    kept = "[CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID, SYS_CHROOT]"
    less.write_text("services:\n" + "".join(f"  {node}: {{cap_add: !override {kept}}}\n" for node in NODES))
    assert machines.start().returncode == 0
    first = machines.run("head", "cat", "/home/learner/.ssh/known_hosts").stdout
    machines.compose("down", "--volumes", "--timeout", "2")
    machines.files.append(less)
    machines.compose("up", "--detach", "--wait", "--wait-timeout", "120")
    assert machines.run("head", "cat", "/home/learner/.ssh/known_hosts").stdout != first
    asks = """
from daskclass import claims, machines
why = machines.why_not_slower("node3")
claims.claim("a killed worker was missed at once", why is None, left_out=why)
"""
    said = machines.run("head", "python", "-c", asks).stdout
    assert said.startswith("– a killed worker was missed at once (left out: tc on node3: ")


def test_a_taken_port_is_one_line_and_leaves_nothing(another):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        machines = another("taken", DASKCLASS_MACHINES_PORT=str(taken.getsockname()[1]))
        run = machines.start()
    assert (run.returncode, run.stdout) == (2, "")
    assert re.fullmatch(r"Labs 22 and 23 need four machines, and [^\n]*DASKCLASS_MACHINES_PORT[^\n]*\n", run.stderr)
    assert machines.left() == []


def test_machines_that_are_too_small_are_named_and_leave_nothing(another):
    machines = another("small", DASKCLASS_MACHINE_MEMORY="8m")
    run = machines.start()
    assert (run.returncode, run.stdout) == (2, "")
    assert re.fullmatch(r"Labs 22 and 23 need four machines, and these didn't start: .*node.*\n", run.stderr)
    assert machines.left() == []


def test_started_twice_they_are_the_same(started):
    before = started.compose("ps", "--quiet").stdout
    run = started.start()
    assert run.returncode == 0
    assert started.compose("ps", "--quiet").stdout == before
    assert json.loads(started.get("/api/status", TOKEN)[1])["kernels"] == 0
    assert [line.split(":")[0] for line in run.stdout.splitlines()[:2]] == ["Lab 22", "Lab 23"]


JOBS = r"""
import re
import subprocess
import sys

from daskclass import machines, watch
from daskclass.exercises import lab23


def submit(command):
    asked = ["sbatch", "--parsable", "--mem=300", "--time=5", "--output=/tmp/%j.log", "--wrap", command]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def job(number, field):
    said = machines.on("head", f"scontrol show job {number}").text
    return said.split(f" {field}=")[1].split()[0]


def shapes(text):
    return {re.sub(r"\d+([.:]\d+)*", "0", line) for line in text.splitlines()}


from dask_jobqueue import SLURMCluster

options = {"cores": 1, "memory": "400 MB", "interface": "eth0", "local_directory": "/tmp"}
with SLURMCluster(**options, scheduler_options={"interface": "eth0", "dashboard_address": ":0"}) as cluster:
    [worker] = [line for line in cluster.job_script().splitlines() if "dask_worker" in line]
nowhere = re.sub(r"(tcp://[\d.]+):\d+", r"\1:1", worker)
alone = submit(nowhere)
soon = submit(f"{nowhere} --death-timeout 5")
asleep = submit("sleep 300")
watch.until(lambda: job(asleep, "JobState") == "RUNNING", "the start of a job", seconds=120)
subprocess.run(["scancel", asleep], check=True)
ends = {alone: "no scheduler", soon: "no scheduler, soon", asleep: "cancelled"}
for number, end in ends.items():
    over = {"COMPLETED", "CANCELLED", "FAILED"}
    watch.until(lambda: job(number, "JobState") in over, "the end of a job", seconds=120)
    node = job(number, "NodeList")
    real = watch.until(lambda: machines.on(node, f"cat /tmp/{number}.log").text, "its log")
    print(real)
    assert lab23._solve_last_words(real) == end.partition(",")[0], end
    known = shapes(lab23._log(int(number), node, end))
    assert known <= shapes(real), known - shapes(real)
print("as written down")
"""


def test_the_logs_that_an_exercise_shows_are_what_slurm_and_dask_write(started):
    """Its judge makes them up, so that it needs no Slurm. Memory and the time limit are in claims of lab 23."""
    run = started.run("head", "python", "-c", JOBS, check=False, timeout=400)
    assert run.stdout.endswith("as written down\n"), run.stdout
