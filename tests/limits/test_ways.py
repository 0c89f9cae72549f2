"""Where a control group may be made, told from what the kernel says; on machines of both versions."""

import sys

import pytest

from daskclass.limits import ways

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")


def machine(tmp_path, mounts, membership):
    (tmp_path / "mounts").write_text(mounts)
    (tmp_path / "self").write_text(membership)
    return ways._parent(tmp_path / "mounts", tmp_path / "self")


def test_version_1_is_where_the_memory_controller_is(tmp_path):
    (tmp_path / "memory" / "mine").mkdir(parents=True)
    mounts = f"cgroup {tmp_path}/cpu cgroup rw,cpu 0 0\ncgroup {tmp_path}/memory cgroup rw,memory 0 0\n"
    assert machine(tmp_path, mounts, "4:memory:/mine\n1:cpu:/\n") == (tmp_path / "memory" / "mine", 1)


def test_version_1_in_a_container_that_does_not_see_its_own_path(tmp_path):
    (tmp_path / "memory").mkdir()
    mounts = f"cgroup {tmp_path}/memory cgroup rw,memory 0 0\n"
    assert machine(tmp_path, mounts, "4:memory:/docker/0123\n") == (tmp_path / "memory", 1)


def test_version_2_is_the_nearest_group_that_hands_memory_on(tmp_path):
    unified = tmp_path / "cgroup"
    own = unified / "user.slice" / "app.slice" / "terminal.scope"
    own.mkdir(parents=True)
    (own / "cgroup.subtree_control").write_text("\n")
    (own.parent / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (own.parents[1] / "cgroup.subtree_control").write_text("memory\n")
    mounts = f"cgroup2 {unified} cgroup2 rw,nosuid 0 0\n"
    assert machine(tmp_path, mounts, "0::/user.slice/app.slice/terminal.scope\n") == (own.parent, 2)


@pytest.mark.parametrize("handed_on", ["cpu pids\n", ""])
def test_version_2_without_the_memory_controller(tmp_path, handed_on):
    (tmp_path / "cgroup").mkdir()
    (tmp_path / "cgroup" / "cgroup.subtree_control").write_text(handed_on)
    with pytest.raises(OSError, match="no control group"):
        machine(tmp_path, f"cgroup2 {tmp_path}/cgroup cgroup2 rw 0 0\n", "0::/\n")


def test_version_2_kills_are_counted_from_its_events(tmp_path):
    (tmp_path / "memory.events").write_text("low 0\nhigh 3\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n")
    assert ways.Fence(tmp_path, 2).kills() == 1


def test_version_1_kills_are_counted_from_its_control(tmp_path):
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")
    assert ways.Fence(tmp_path, 1).kills() == 4
