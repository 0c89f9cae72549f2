"""Where a control group may be made, told from what the kernel says; and that abandoned groups do not stay."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

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


@pytest.fixture
def group(tmp_path):
    """Make a folder as a caller makes its group; on any file system, so that every Linux machine can try it."""

    def make(name):
        folder = tmp_path / name
        folder.mkdir()
        return folder

    return make


@pytest.mark.parametrize("whose", [1, os.getpid(), 2**31 - 1], ids=["another", "this one", "nobody"])
def test_a_group_that_nobody_holds_is_abandoned_whatever_process_has_that_number_now(tmp_path, group, whose):
    left = group(f"daskclass-{whose}-1")
    ways._remove_abandoned(tmp_path)
    assert not left.exists()


def test_a_group_that_its_maker_holds_is_left_alone(tmp_path):
    with ways._own_group(tmp_path) as mine:
        ways._remove_abandoned(tmp_path)
        assert mine.is_dir()
    assert not mine.exists()


def test_a_group_with_something_inside_and_groups_of_other_makers_are_left_alone(tmp_path, group):
    kept = {group("daskclass-1-1"), group("daskclass-lab-2"), group("docker-1-1")}
    (tmp_path / "daskclass-1-1" / "process").mkdir()
    ways._remove_abandoned(tmp_path)
    assert set(tmp_path.iterdir()) == kept


def test_a_group_that_was_removed_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    lock, taken = ways._lock, []

    def too_late(folder, *, wait):
        if not taken:
            taken.append(folder)
            ways._remove_if_abandoned(folder)
        return lock(folder, wait=wait)

    monkeypatch.setattr(ways, "_lock", too_late)
    with ways._own_group(tmp_path) as mine:
        assert mine.is_dir()
        assert mine not in taken
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_keeps_nothing(tmp_path, monkeypatch):
    import errno
    import fcntl

    def refuse(_descriptor, _how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="No locks available"), ways._own_group(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_callers_at_the_same_time_do_not_break_each_other(tmp_path):
    """As threads: a lock belongs to one opening of a group, so two threads exclude each other as two processes do."""

    def call(_number):
        for _ in range(200):
            ways._remove_abandoned(tmp_path)
            with ways._own_group(tmp_path) as mine:
                (mine / "inside").mkdir()
                (mine / "inside").rmdir()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(call, range(4))) == [True] * 4
    assert list(tmp_path.iterdir()) == []
