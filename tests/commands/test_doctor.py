import errno
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import dask.system
import distributed.system
import jupyter_core.paths
import psutil
import pytest

from daskclass import clusters, sales, sizes
from daskclass.commands import doctor
from daskclass.commands.doctor import FAILED, OK, WARNING, Finding
from daskclass.errors import Problem
from daskclass.system import ports

Usage = namedtuple("Usage", "total used free")
GB = 10**9
GOOD_PROBE = {"sum": 328_350, "workers": 2, "pages": {"/status": 200, "/json/counts.json": 200}}


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """Write a requirements.lock for the doctor to read."""
    path = tmp_path / "requirements.lock"
    monkeypatch.setattr(doctor, "lock_file", lambda: path)

    def write(*lines):
        path.write_text("".join(f"{line} \\\n    --hash=sha256:00 \\\n    # via dask\n" for line in lines))
        return path

    return write


@pytest.fixture
def memory(monkeypatch):
    def is_(total, free):
        monkeypatch.setattr(distributed.system, "MEMORY_LIMIT", int(total))
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=int(free)))

    return is_


@pytest.fixture
def disk(monkeypatch):
    asked = []

    def has(free):
        def usage(path):
            asked.append(Path(path))
            return Usage(10 * free, 9 * free, free)

        monkeypatch.setattr(shutil, "disk_usage", usage)
        return asked

    return has


def test_every_check_is_run():
    checks = {check for name, check in vars(doctor).items() if name.startswith("check_")}
    assert checks == set(doctor.CHECKS)


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10, 9), FAILED), ((3, 11, 0), OK), ((3, 14, 2), OK), ((3, 15, 0), FAILED)]
)
def test_python(monkeypatch, version, state):
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(version_info=version))
    finding = doctor.check_python()
    assert finding.state == state
    assert ("3.11 to 3.14" in finding.mend) == (state == FAILED)


def test_the_lock_of_the_checkout_is_found_and_holds_what_the_package_needs():
    versions = doctor.locked_versions(doctor.lock_file())
    assert versions["dask"] == importlib.metadata.version("dask")
    assert {"distributed", "numpy", "pandas", "pyarrow", "jupyterlab", "filelock"} <= set(versions)
    assert all(version[0].isdigit() for version in versions.values())


def test_markers_of_other_systems_are_left_out(lock):
    path = lock(
        "Some.Thing[extra]==1.2.3",
        "never==1 ; python_full_version < '3'",
        "always==2 ; python_full_version >= '3'",
        "elsewhere==3 ; sys_platform == 'amiga'",
        "either==4.post1 ; os_name == 'amiga' or python_version > '3'",
    )
    path.write_text("# made by hand\n\n" + path.read_text())
    assert doctor.locked_versions(path) == {"some-thing": "1.2.3", "always": "2", "either": "4.post1"}


def test_packages_as_locked(lock):
    lock(f"dask=={importlib.metadata.version('dask')}", f"NumPy=={importlib.metadata.version('numpy')}")
    assert doctor.check_versions() == Finding("packages", OK, "versions match requirements.lock")


def test_a_version_that_the_class_cannot_use_fails(lock, monkeypatch):
    lock("dask==2026.8.0")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2025.1.0")
    finding = doctor.check_versions()
    assert (finding.state, finding.found) == (FAILED, "dask 2025.1.0 instead of 2026.8.0")
    assert finding.mend == doctor.SET_UP_AGAIN
    assert (Path(__file__).parents[2] / "tools" / "environment.py").is_file()


@pytest.mark.parametrize("name", ["tornado", "tqdm"])
def test_a_version_that_will_do_and_is_not_the_locks_is_a_warning(lock, name):
    here = importlib.metadata.version(name)
    lock(f"{name}==1.0.0")
    finding = doctor.check_versions()
    assert (finding.state, finding.found) == (WARNING, f"{name} {here} instead of 1.0.0")


def test_a_missing_package_fails_only_if_it_is_needed(lock, monkeypatch):
    """Also if only another package needs it: jupyter-server-proxy comes with the Dask extension."""
    lock("not-there-at-all==1.0")
    assert doctor.check_versions().state == OK
    requires = importlib.metadata.requires

    def without(name):
        if name == "jupyter-server-proxy":
            raise importlib.metadata.PackageNotFoundError(name)
        return requires(name)

    monkeypatch.setattr(importlib.metadata, "requires", without)
    finding = doctor.check_versions()
    assert (finding.state, finding.found) == (FAILED, "jupyter-server-proxy is missing")


def test_many_wrong_versions_are_told_in_few_words(lock):
    lock(*(f"{name}==0.0.1" for name in ("dask", "distributed", "numpy", "pandas", "pyarrow", "click")))
    assert doctor.check_versions().found.endswith(" and 2 more")


def test_without_a_lock_nothing_is_compared(monkeypatch):
    monkeypatch.setattr(doctor, "lock_file", lambda: None)
    finding = doctor.check_versions()
    assert finding.state == WARNING
    assert "no requirements.lock" in finding.found


@pytest.mark.parametrize(("cores", "state"), [(1, WARNING), (2, OK), (64, OK)])
def test_cores(monkeypatch, cores, state):
    monkeypatch.setattr(dask.system, "CPU_COUNT", cores)
    finding = doctor.check_cores()
    assert (finding.state, finding.found) == (state, str(cores))
    assert bool(finding.mend) == (state != OK)


@pytest.mark.parametrize(
    ("size", "total", "free", "state", "mend"),
    [
        ("class", 8 * GB, 6 * GB, OK, ""),
        ("class", 8 * GB, 2 * GB, WARNING, "close other programs"),
        ("class", 4 * GB, 4 * GB, FAILED, "Or set DASKCLASS_SIZE=smoke"),
        ("10GB", 4 * GB, 4 * GB, FAILED, "Or set DASKCLASS_SIZE=smoke"),
        ("smoke", 4 * GB, 3 * GB, OK, ""),
        ("999MB", 4 * GB, 3 * GB, OK, ""),
        ("1GB", 4 * GB, 4 * GB, FAILED, "Or set DASKCLASS_SIZE=smoke"),
        ("smoke", 4 * GB, 1 * GB, WARNING, "close other programs"),
        ("smoke", 2 * GB, 2 * GB, FAILED, "the labs need"),
    ],
)
def test_memory(monkeypatch, memory, size, total, free, state, mend):
    monkeypatch.setenv("DASKCLASS_SIZE", size)
    memory(total, free)
    finding = doctor.check_memory()
    assert finding.state == state
    assert finding.mend == mend if state == OK else mend in finding.mend
    assert f"for size {size}" in finding.found
    if size == "smoke":
        assert "DASKCLASS_SIZE=smoke" not in finding.mend


def test_with_workers_elsewhere_little_memory_will_do(monkeypatch, memory):
    memory(2 * GB, 1.9 * GB)
    assert doctor.check_memory().state == FAILED
    with dask.config.set({"scheduler-address": "tcp://10.0.0.1:8786"}):
        assert doctor.check_memory().state == OK
        monkeypatch.setenv("DASKCLASS_LAB", "1")  # then the workers are on this machine after all
        assert doctor.check_memory().state == FAILED


def test_disk_for_the_data(disk, monkeypatch, tmp_path):
    asked = disk(5 * GB)
    assert doctor.check_disk_for_data().state == OK
    assert asked[-1] == tmp_path  # the data folder is not there yet
    disk(4 * GB)
    finding = doctor.check_disk_for_data()
    assert finding.state == FAILED
    assert "size class needs 4.50 GiB" in finding.mend
    assert "DASKCLASS_DATA" in finding.mend
    monkeypatch.setenv("DASKCLASS_SIZE", "smoke")
    assert doctor.check_disk_for_data().state == OK


def test_no_disk_is_needed_for_data_that_is_there(disk, monkeypatch):
    monkeypatch.setenv("DASKCLASS_SIZE", "1MB")
    sales.make(sizes.parse("1MB"), formats=["csv"])
    disk(1)
    assert doctor.check_disk_for_data().state == FAILED  # the labs will make the other format
    disk(GB)
    sales.make(sizes.parse("1MB"))
    disk(1)
    assert doctor.check_disk_for_data().state == OK


def test_a_file_is_no_place_for_the_data(tmp_path, monkeypatch):
    (tmp_path / "mine").touch()
    monkeypatch.setenv("DASKCLASS_DATA", str(tmp_path / "mine"))
    finding = doctor.check_disk_for_data()
    assert (finding.state, finding.found) == (FAILED, f"{tmp_path / 'mine'} is a file, but should be a folder")
    assert "DASKCLASS_DATA" in finding.mend


def test_a_folder_for_spilling_is_made_by_dask_and_not_by_the_doctor(tmp_path, monkeypatch):
    monkeypatch.setenv("DASKCLASS_SIZE", "smoke")
    with dask.config.set({"temporary-directory": str(tmp_path / "to" / "come")}):
        assert doctor.check_disk_for_spill().state == OK
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with dask.config.set({"temporary-directory": str(tmp_path / "file" / "below")}):
        finding = doctor.check_disk_for_spill()
    assert finding.state == FAILED
    assert f"can't write to {tmp_path / 'file'}" in finding.found
    assert "DASK_TEMPORARY_DIRECTORY" in finding.mend


def test_memory_is_no_disk_for_spilling(disk, tmp_path, monkeypatch):
    disk(100 * GB)
    mounts = [SimpleNamespace(mountpoint="/", fstype="ext4"), SimpleNamespace(mountpoint=str(tmp_path), fstype="tmpfs")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    with dask.config.set({"temporary-directory": str(tmp_path / "to come")}):
        finding = doctor.check_disk_for_spill()
    assert (finding.state, finding.found) == (
        WARNING,
        f"{tmp_path} is in memory, so what is spilled there frees none",
    )
    assert "DASK_TEMPORARY_DIRECTORY" in finding.mend


def test_spilling_and_the_data_need_room_together_on_one_disk(disk, tmp_path, monkeypatch):
    with dask.config.set({"temporary-directory": str(tmp_path)}):
        disk(5 * GB)
        assert doctor.check_disk_for_data().state == OK
        finding = doctor.check_disk_for_spill()
        assert finding.state == FAILED
        assert "the data comes to the same disk, together" in finding.mend
        disk(9 * GB)
        assert doctor.check_disk_for_spill().state == OK


def test_disk_for_spilling(disk, tmp_path, monkeypatch):
    monkeypatch.setattr(sales, "look", lambda folder: SimpleNamespace(state="finished"))
    with dask.config.set({"temporary-directory": str(tmp_path)}):
        asked = disk(4 * GB)
        assert doctor.check_disk_for_spill().state == OK
        assert asked == [tmp_path]
        disk(4 * GB - 1)
        finding = doctor.check_disk_for_spill()
        assert finding.state == FAILED
        assert "DASK_TEMPORARY_DIRECTORY" in finding.mend
        monkeypatch.setenv("DASKCLASS_SIZE", "smoke")
        assert doctor.check_disk_for_spill().state == OK


@pytest.mark.parametrize(
    ("taken", "inside", "state", "found"),
    [
        ((), False, OK, "8787 (dashboard) and 8888 (JupyterLab) are free"),
        ((8787,), False, WARNING, "8787 is taken"),
        ((8888,), False, WARNING, "8888 is taken"),
        ((8787, 8888), False, WARNING, "8787 and 8888 are taken"),
        (
            (8787, 8888),
            True,
            OK,
            "8787 and 8888 are taken; the class that runs uses the ports that it printed when it started",
        ),
    ],
)
def test_ports(monkeypatch, taken, inside, state, found):
    monkeypatch.setattr(ports, "is_free", lambda port: port not in taken)
    if inside:
        monkeypatch.setenv("DASKCLASS_LAB", "1")
    finding = doctor.check_ports()
    assert (finding.state, finding.found) == (state, found)


@pytest.mark.parametrize("proxy", [None, "http://proxy.example:3128", "http://ada:se:c@ret@proxy.example:3128"])
def test_proxy(monkeypatch, proxy):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    if proxy:
        monkeypatch.setenv("http_proxy", proxy)
    finding = doctor.check_proxy()
    assert (finding.state, finding.mend) == (OK, "")
    assert finding.found.startswith("http://proxy.example:3128;" if proxy else "none")


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ("https://hub.example/{NOBODY_SET_THIS}/proxy/{port}", "the variable NOBODY_SET_THIS"),
        ("http://{host}:{port", "a valid template"),
        ("http://{}/status", "a valid template"),
        (7, "a valid template"),
    ],
)
def test_a_dashboard_link_that_makes_no_address(template, named):
    with dask.config.set({"distributed.dashboard.link": template}):
        finding = doctor.check_dashboard_link()
        with pytest.raises(Problem, match=r"distributed\.dashboard\.link doesn't give a valid address"):
            clusters.connect()
        with pytest.raises(Problem, match=r"distributed\.dashboard\.link doesn't give a valid address"):
            clusters.start()
    assert finding.state == FAILED
    assert named in finding.found
    assert finding.mend.startswith("Unset DASK_DISTRIBUTED__DASHBOARD__LINK")
    assert doctor.check_dashboard_link().state == OK


@pytest.mark.parametrize(
    ("outcome", "state", "found"),
    [
        (GOOD_PROBE, OK, "two workers gave the right answer"),
        ("PermissionError: not allowed", FAILED, "PermissionError: not allowed"),
        (GOOD_PROBE | {"sum": 7}, FAILED, "'sum': 7"),
        (GOOD_PROBE | {"workers": 1}, FAILED, "'workers': 1"),
        (GOOD_PROBE | {"pages": {"/status": 200, "/json/counts.json": 404}}, FAILED, "404"),
    ],
)
def test_a_cluster_computes(monkeypatch, outcome, state, found):
    monkeypatch.setattr(doctor, "_probe", lambda source: outcome)
    finding = doctor.check_cluster()
    assert finding.state == state
    assert found in finding.found
    assert ("127.0.0.1" in finding.mend) == (state == FAILED)


def test_a_probe_that_fails_tells_its_last_line():
    assert doctor._probe("raise RuntimeError('no cluster today')") == "RuntimeError: no cluster today"
    assert doctor._probe("raise SystemExit(7)") == "exit status 7"


def test_a_probe_that_hangs_is_given_up(monkeypatch):
    def run(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", run)
    assert doctor._probe("print({})") == "no answer within two minutes"


def test_without_an_address_each_lab_has_its_own_cluster():
    finding = doctor.check_class_cluster()
    assert finding.state == OK
    assert "DASK_SCHEDULER_ADDRESS isn't set" in finding.found


def test_the_classs_cluster_answers(cluster):
    address = cluster.scheduler_address
    with dask.config.set({"scheduler-address": address}):
        finding = doctor.check_class_cluster()
    assert finding.state == OK
    assert finding.found.startswith(f"{address} works, with 2 workers, and so does its dashboard at http://127.0.0.1:")


def test_the_classs_cluster_has_no_dashboard(cluster, monkeypatch):
    """Lab 00 claims that it answers."""
    monkeypatch.setattr(clusters, "visit", lambda url, seconds=30: (404 if url.endswith("/status") else 200, ""))
    with dask.config.set({"scheduler-address": cluster.scheduler_address}):
        finding = doctor.check_class_cluster()
    assert finding.state == FAILED
    assert "'/status': 404" in finding.found


def test_the_classs_cluster_does_not_answer(monkeypatch):
    def connect():
        raise Problem("nobody there")

    monkeypatch.setattr(clusters, "connect", connect)
    with dask.config.set({"scheduler-address": "tcp://10.0.0.1:8786"}):
        finding = doctor.check_class_cluster()
    assert (finding.state, finding.found) == (FAILED, "tcp://10.0.0.1:8786: nobody there")
    assert "remove DASK_SCHEDULER_ADDRESS" in finding.mend


KERNEL = {"spec": "/there/kernels/python3", "prefix": sys.prefix}
VERSIONS = {name: importlib.metadata.version(name) for name in clusters.SAME if name != "python"}


@pytest.mark.parametrize(
    ("said", "state", "named"),
    [
        ({"versions": VERSIONS}, OK, sys.prefix),
        ({"versions": VERSIONS, "prefix": "/other"}, WARNING, "starts another environment, /other"),
        ({"versions": VERSIONS | {"dask": "1.0"}, "prefix": "/other"}, FAILED, "starts /other, with dask 1.0"),
        ({"error": "No module named ipykernel"}, FAILED, "python3/kernel.json: No module named ipykernel"),
        ({"error": "AttributeError: x", "beside": ["/labs/dask.py"]}, FAILED, "it imports /labs/dask.py"),
    ],
)
def test_the_kernel_of_the_labs(monkeypatch, said, state, named):
    monkeypatch.setattr(doctor, "_probe", lambda source, *arguments: KERNEL | said)
    finding = doctor.check_kernel()
    assert finding.state == state
    assert named in finding.found.replace(os.sep, "/")
    assert bool(finding.mend) == (state != OK)


def test_a_kernel_of_our_own_that_does_not_start_is_not_to_be_taken_away(monkeypatch):
    said = {"spec": f"{sys.prefix}/share/jupyter/kernels/python3", "error": "Kernel died before replying"}
    monkeypatch.setattr(doctor, "_probe", lambda source, *arguments: said)
    finding = doctor.check_kernel()
    assert finding.state == FAILED
    assert "Kernel died before replying" in finding.found
    assert "away" not in finding.mend
    assert "profile_default/startup" in finding.mend


def test_pip_installs_what_lab_06_installs(monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    assert doctor.check_pip().state == OK


@pytest.mark.parametrize("setting", ["PIP_REQUIRE_HASHES", "PIP_USER"])
def test_a_setting_of_pip_under_which_lab_06_installs_nothing_is_named(monkeypatch, setting):
    monkeypatch.setenv(setting, "1")
    finding = doctor.check_pip()
    assert finding.state == FAILED
    assert setting in finding.mend
    assert "lab 06" in finding.found


def test_jupyterlab_with_the_extension():
    finding = doctor.check_jupyterlab()
    assert finding.state == OK, finding
    assert importlib.metadata.version("jupyterlab") in finding.found


def test_jupyterlab_that_does_not_see_the_extension(monkeypatch, tmp_path):
    monkeypatch.setattr(jupyter_core.paths, "jupyter_path", lambda *_parts: [str(tmp_path)])
    finding = doctor.check_jupyterlab()
    assert finding.state == WARNING
    assert "can't find the Dask extension" in finding.found


@pytest.mark.parametrize("absent", ["jupyterlab", "dask-labextension"])
def test_jupyterlab_that_is_not_there(monkeypatch, absent):
    real = importlib.metadata.version

    def version(name):
        if name == absent:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    finding = doctor.check_jupyterlab()
    assert (finding.state, finding.found) == (FAILED, f"{absent} is not installed")


def test_data_that_is_missing_unfinished_partial_finished_and_changed(monkeypatch):
    monkeypatch.setenv("DASKCLASS_SIZE", "1MB")
    size = sizes.current()
    found = doctor.check_data()
    assert (found.check, found.state) == ("sales data (1MB)", WARNING)
    assert found.mend.startswith("run `daskclass data --size 1MB`,")

    folder = sales.place(size)
    folder.mkdir(parents=True)
    (folder / sales.CSV_NAME).write_text("mine\n")
    found = doctor.check_data()
    assert found.state == FAILED
    assert "--force" in found.mend

    (folder / sales.CSV_NAME).unlink()
    made = sales.make(size, formats=["csv"])
    found = doctor.check_data()
    assert (found.state, found.mend) == (WARNING, "run `daskclass data --size 1MB`")
    assert found.found.startswith("only csv in ")

    sales.make(size)
    assert doctor.check_data().state == OK

    os.utime(made.csv, (0, 0))
    found = doctor.check_data()
    assert found.state == FAILED
    assert "compare checksums with `daskclass data --size 1MB --verify`" in found.mend


def test_data_that_cannot_be_read(monkeypatch):
    monkeypatch.setenv("DASKCLASS_SIZE", "1MB")
    made = sales.make(sizes.current())
    opened = Path.open

    def refuse(path, *arguments, **options):
        if str(path) == made.csv:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), made.csv)
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    found = doctor.check_data()
    assert (found.state, found.found) == (FAILED, f"can't read {made.csv}: Permission denied")


def test_data_of_size_class_needs_no_size_to_be_made():
    assert doctor.check_data().mend.startswith("run `daskclass data`,")


def test_a_check_that_breaks_is_a_finding_and_does_not_stop_the_others(monkeypatch):
    def check_the_weather():
        raise ZeroDivisionError("no clouds")

    def check_fine():
        return Finding("fine", OK, "all well")

    monkeypatch.setattr(doctor, "CHECKS", (check_the_weather, check_fine))
    broken, fine = doctor.examine()
    assert broken.state == FAILED
    assert broken.check == "the weather"
    assert "ZeroDivisionError: no clouds" in broken.found
    assert fine == check_fine()
    assert not doctor.ready([broken, fine])
    assert doctor.ready([fine, Finding("a", WARNING, "b", "c")])


def test_checks_that_wait_for_programs_run_at_the_same_time_and_findings_stay_in_order(monkeypatch):
    together = threading.Barrier(3, timeout=240)

    def waiting(name):
        def check():
            together.wait()
            return Finding(name, OK, "")

        return check

    slow = tuple(waiting(name) for name in ("b", "c", "e"))
    quick = tuple(lambda name=name: Finding(name, OK, "") for name in ("a", "d", "f"))
    monkeypatch.setattr(doctor, "CHECKS", (quick[0], slow[0], slow[1], quick[1], slow[2], quick[2]))
    monkeypatch.setattr(doctor, "IN_PROCESSES", slow)
    assert [finding.check for finding in doctor.examine()] == list("abcdef")


def test_json_has_the_documented_keys(monkeypatch):
    monkeypatch.setenv("DASKCLASS_SIZE", "smoke")
    content = json.loads(doctor.as_json([Finding("a", OK, "b"), Finding("c", FAILED, "d", "e")]))
    assert content == {
        "ready": False,
        "size": "smoke",
        "findings": [
            {"check": "a", "state": "ok", "found": "b", "mend": ""},
            {"check": "c", "state": "failed", "found": "d", "mend": "e"},
        ],
    }


def test_text_says_how_to_mend():
    assert doctor.as_text(Finding("a", OK, "b")) == "[ok]      a: b"
    assert doctor.as_text(Finding("a", FAILED, "b", "c")) == "[FAILED]  a: b\n          -> c"


@pytest.mark.parametrize("space", ["enough", "none"])
def test_the_command_agrees_with_itself_and_leaves_nothing(daskclass, tmp_path, space):
    folder = tmp_path / "empty"
    folder.mkdir()
    small = {"DASKCLASS_SIZE": "smoke"}
    if space == "none":
        small = {"DASKCLASS_SIZE": "300000TB"}  # no disk has room for that
    process = daskclass("doctor", "--json", env=small, cwd=folder)
    out, err = process.communicate()
    content = json.loads(out)
    assert set(content) == {"ready", "size", "findings"}
    assert all(set(finding) == {"check", "state", "found", "mend"} for finding in content["findings"])
    assert len(content["findings"]) == len(doctor.CHECKS)
    assert content["ready"] == all(finding["state"] != "failed" for finding in content["findings"])
    assert process.returncode == (0 if content["ready"] else 1), err
    states = {finding["check"]: finding["state"] for finding in content["findings"]}
    assert states["a cluster computes"] == "ok"
    assert states["disk for the data"] == ("ok" if space == "enough" else "failed")
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "data").exists()
