"""What can be said of the machines of labs 22 and 23 without them; tests/deploy starts them."""

import sys
from pathlib import Path

import pytest

from daskclass import machines
from daskclass.errors import Problem


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """A command `ssh` of ours, in place of the system's: a script in Python that gets the words."""

    def put(script: str) -> None:
        program = tmp_path / "ssh"
        program.write_text(f"#!{sys.executable} -I\nimport sys, time\nhost, command = sys.argv[-2:]\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return put


def test_this_is_none_of_the_machines_and_labs_say_so(monkeypatch):
    monkeypatch.delenv("DASKCLASS_MACHINE", raising=False)
    assert not machines.here()
    with pytest.raises(Problem, match=r"lab 22 needs several machines: `make machines`"):
        machines.require("22")
    monkeypatch.setenv("DASKCLASS_MACHINE", "head")
    assert machines.here()
    machines.require("22")


def test_a_command_says_what_it_prints_and_how_it_ended(ssh):
    ssh("print(host, command); print('more', file=sys.stderr); sys.exit(3)")
    said = machines.on("node1", "do it", check=False)
    assert (said.status, said.ok) == (3, False)
    assert set(said.text.splitlines()) == {"node1 do it", "more"}
    with pytest.raises(Problem, match="`do it` ended with exit status 3 on node1: "):
        machines.on("node1", "do it")


def test_another_user_logs_in(ssh):
    ssh("print(host)")
    assert machines.on("head", "true", user="colleague").text == "colleague@head"


def test_a_machine_that_is_not_there_is_named(ssh):
    ssh("print('Connection timed out'); sys.exit(255)")
    with pytest.raises(Problem, match="can't log in to node2: Connection timed out"):
        machines.on("node2", "true")
    assert not machines.answers("node2")
    with pytest.raises(Problem, match="there is no machine 'node4'; there are head, node1, node2, node3"):
        machines.on("node4", "true")


def test_a_command_that_does_not_end_is_given_up(ssh):
    ssh("time.sleep(60)")
    with pytest.raises(Problem, match=r"`sleep` hasn't ended on node1 in 0\.5 s"):
        machines.on("node1", "sleep", seconds=0.5)


def test_without_ssh_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problem, match="there is no command `ssh`"):
        machines.on("node1", "true")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("sys.exit(0)", None),
        ("print('RTNETLINK answers: Operation not permitted'); sys.exit(2)", "tc on node3: RTNETLINK answers: Oper"),
        ("sys.exit(126)", "tc on node3: 126"),
    ],
)
def test_why_a_network_can_not_be_slowed_down(ssh, script, why):
    ssh(script)
    said = machines.why_not_slower("node3")
    assert said is None if why is None else said.startswith(why)


def test_the_machines_are_those_of_the_compose_file():
    described = (Path(__file__).parents[1] / "deploy" / "machines" / "compose.yml").read_text()
    assert all(f"  {name}:" in described for name in machines.NAMES)
