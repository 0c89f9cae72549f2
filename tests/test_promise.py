"""What the doctor says is what the labs will meet.

Each test stages a situation that people were in, with real files, environments and clusters, and runs
``daskclass doctor`` and a lab beside it. They have to agree: either it is ready and the lab passes, or it is not, the
lab fails, and the doctor names the cause.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import textwrap
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest
from distributed import LocalCluster

from daskclass import sales, sizes

SIZE = sizes.parse("2MB")
LABS = Path(__file__).parents[1] / "labs"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="staged with means of Linux")

# Of lab 00, all but the doctor, the exercises and the long computation; of lab 06, the way to its installing.
CELLS = {
    "00": "size connect dashboard-address before where claim-other-process counts claim-dashboard claim-counted close",
    "06": "setup open-start look greeting install close",
}


@dataclass
class Staged:
    """A situation: a checkout, what stands in the environment, and which Python it is."""

    checkout: Path
    folder: Path
    environment: dict[str, str]
    python: list[str] = field(default_factory=lambda: [sys.executable])

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*self.python, "-m", "daskclass", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=self.environment,
            cwd=self.checkout,
        )


@dataclass(frozen=True)
class Seen:
    """What the doctor said of a situation, and how the lab went in it."""

    ready: bool
    failed: dict[str, str]
    passed: bool
    lab: str


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """The class's own labs, of each the cells that a situation can reach."""
    root = tmp_path_factory.mktemp("promise")
    (root / "labs").mkdir()
    for number, cells in CELLS.items():
        [path] = LABS.glob(f"{number}-*.ipynb")
        notebook = nbformat.read(path, as_version=4)
        notebook.cells = [cell for cell in notebook.cells if cell.id in cells.split()]
        assert [cell.id for cell in notebook.cells] == cells.split()
        nbformat.write(notebook, root / "labs" / path.name)
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A data folder that is finished. Only to be read."""
    home = tmp_path_factory.mktemp("data")
    sales.make(SIZE, home / SIZE.name, threads=1)
    return home


@pytest.fixture
def staged(checkout, data, environment, tmp_path) -> Staged:
    """A situation in which nothing is wrong; nothing of the person who runs the tests is in its environment."""
    foreign = ("DASK", "JUPYTER", "PIP_", "PYTHON", "NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}
    ours = {name: environment[name] for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    own = shutil.copytree(checkout, tmp_path / "class")
    settings = {"DASKCLASS_DATA": str(data), "DASKCLASS_SIZE": SIZE.name, "DASK_CONFIG": str(tmp_path / "settings")}
    return Staged(own, tmp_path, clean | ours | settings)


def look(staged: Staged, lab: str = "00") -> Seen:
    """Run the doctor, and the lab at the same time."""
    report = staged.folder / "report"
    both = [
        staged.start("doctor", "--json"),
        staged.start("rehearse", "--labs", lab, "--out", str(report)),
    ]
    try:
        (found, complaint), (_out, err) = (process.communicate(timeout=240) for process in both)
    finally:
        for process in both:
            if process.poll() is None:
                process.kill()
                process.communicate()
    doctor, rehearsal = both
    if found:
        content = json.loads(found)
        findings = {
            one["check"]: f"{one['found']} -> {one['mend']}" for one in content["findings"] if one["state"] == "failed"
        }
    else:  # it could not begin, and says why as every command does
        assert complaint.startswith("daskclass: "), complaint
        findings = {"": complaint}
    assert "Traceback" not in complaint + err
    assert (doctor.returncode == 0) == (not findings)
    told = err
    if (report / "report.json").exists():
        [outcome] = json.loads((report / "report.json").read_text())["labs"]
        told += outcome["error"] or ""
    return Seen(not findings, findings, rehearsal.returncode == 0, told)


def obeying_permissions() -> list[str]:
    """How to start a program that may read and write as the files' permissions say, also as root."""
    if os.geteuid() != 0:
        return []
    obey = """
        import ctypes, os, sys
        PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                sys.exit("this root may not give up what it may")
        os.execv(sys.argv[1], sys.argv[1:])
    """
    return [sys.executable, "-c", textwrap.dedent(obey)]


@pytest.fixture
def only_read(data) -> Iterator[Path]:
    """The data as somebody else's that can be read: no file and no folder of it can be written."""
    everything = [data, *data.rglob("*")]
    modes = {path: path.stat().st_mode for path in everything}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    yield data
    for path, mode in modes.items():
        path.chmod(mode)


@pytest.fixture
def elsewhere() -> Iterator[LocalCluster]:
    """A cluster at an address that is not ``localhost`` to anybody who looks at the name, such as ``scheduler``."""
    with LocalCluster(
        n_workers=1, threads_per_worker=1, memory_limit="1 GB", host="127.0.0.2", dashboard_address="127.0.0.2:0"
    ) as cluster:
        yield cluster


@LINUX
def test_a_proxy_before_a_cluster_elsewhere_is_in_nobodys_way(staged, elsewhere):
    staged.environment |= {
        "DASK_SCHEDULER_ADDRESS": elsewhere.scheduler_address,
        "http_proxy": "http://127.0.0.1:9",
        "no_proxy": "localhost,127.0.0.1",
    }
    seen = look(staged)
    assert (seen.ready, seen.passed) == (True, True), seen


@LINUX
def test_what_looks_wrong_and_is_not(staged, only_read):
    """Somebody else's data, a proxy for everything, a folder for spilling to come, a package newer than the lock's."""
    staged.python = [*obeying_permissions(), sys.executable]
    probe = [*staged.python, "-c", f"import os; print(os.access({str(only_read)!r}, os.W_OK))"]
    if subprocess.run(probe, capture_output=True, text=True).stdout != "False\n":
        pytest.skip("this root cannot give up its right to write")
    newer = staged.folder / "packages" / "tqdm-4.999.dist-info"
    newer.mkdir(parents=True)
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: tqdm\nVersion: 4.999\n")
    staged.environment |= {
        "http_proxy": "http://127.0.0.1:9",
        "DASK_TEMPORARY_DIRECTORY": str(staged.folder / "to" / "come"),
        "PYTHONPATH": str(newer.parent),
    }
    seen = look(staged)
    assert (seen.ready, seen.passed) == (True, True), seen


def hubs_dashboard_link(staged: Staged) -> None:
    staged.environment["DASK_DISTRIBUTED__DASHBOARD__LINK"] = "{JUPYTERHUB_SERVICE_PREFIX}proxy/{port}/status"


def address_in_a_file(staged: Staged) -> None:
    (staged.folder / "settings").mkdir()
    (staged.folder / "settings" / "mine.yaml").write_text("scheduler-address: tcp://127.0.0.1:9\n")


def broken_settings(staged: Staged) -> None:
    (staged.folder / "settings").mkdir()
    (staged.folder / "settings" / "mine.yaml").write_text("distributed: [1, 2\n")


def kernel_of_another_environment(staged: Staged) -> None:
    other = staged.folder / "other"
    venv.create(other, with_pip=False)
    python = other / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    spec = {"argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Python 3"}
    kernel = staged.folder / "shared" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps(spec | {"language": "python"}))
    staged.environment["JUPYTER_PATH"] = str(staged.folder / "shared")


def module_beside_the_labs(staged: Staged) -> None:
    (staged.checkout / "labs" / "dask.py").write_text("print('my first steps')\n")


def disk_that_is_gone(staged: Staged) -> None:
    link = staged.folder / "linked"
    link.symlink_to(staged.folder / "unplugged", target_is_directory=True)
    staged.environment["DASKCLASS_DATA"] = str(link)


def disk_without_locks(staged: Staged) -> None:
    disk, code = staged.folder / "network", staged.folder / "code"
    disk.mkdir()
    code.mkdir()
    refusing = f"""
        import errno, fcntl, os
        lock = fcntl.flock
        def flock(file, operation):
            number = file if isinstance(file, int) else file.fileno()
            if os.readlink(f"/proc/self/fd/{{number}}").startswith({str(disk)!r}):
                raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
            return lock(file, operation)
        fcntl.flock = flock
    """
    (code / "sitecustomize.py").write_text(textwrap.dedent(refusing))
    staged.environment |= {"DASKCLASS_DATA": str(disk), "PYTHONPATH": str(code)}


def data_that_was_changed(staged: Staged) -> None:
    copy = shutil.copytree(staged.environment["DASKCLASS_DATA"], staged.folder / "copy")
    with (copy / SIZE.name / sales.CSV_NAME).open("a") as file:
        file.write("mine\n")
    staged.environment["DASKCLASS_DATA"] = str(copy)


TROUBLES = [
    pytest.param(hubs_dashboard_link, "dashboard link", ["distributed.dashboard.link", "JUPYTERHUB_SERVICE_PREFIX"]),
    pytest.param(
        address_in_a_file, "the class's cluster", ["tcp://127.0.0.1:9", "`scheduler-address` in", "mine.yaml"]
    ),
    pytest.param(broken_settings, "", ["mine.yaml", "fix that file"]),
    pytest.param(kernel_of_another_environment, "the labs' kernel", ["shared/kernels/python3", "ipykernel"]),
    pytest.param(module_beside_the_labs, "the labs' kernel", ["labs/dask.py", "rename that file"]),
    pytest.param(disk_that_is_gone, "disk for the data", ["linked is a link to", "connect that disk"]),
    pytest.param(disk_without_locks, "disk for the data", ["can't lock files", "DASKCLASS_DATA"], marks=LINUX),
]
TOLD_BY_THE_LAB_TOO = (hubs_dashboard_link, address_in_a_file, broken_settings, disk_that_is_gone, disk_without_locks)


@pytest.mark.parametrize(("stage", "check", "words"), TROUBLES)
def test_what_the_doctor_names_stops_the_lab(staged, stage: Callable[[Staged], None], check: str, words: list[str]):
    stage(staged)
    seen = look(staged)
    assert (seen.ready, seen.passed) == (False, False), seen
    assert list(seen.failed) == [check]
    said = seen.failed[check].replace(os.sep, "/")
    assert all(word in said for word in words), said
    if stage in TOLD_BY_THE_LAB_TOO:
        assert all(word in seen.lab for word in words), seen.lab


@LINUX
def test_a_folder_of_somebody_elses_that_is_closed_is_said(staged, tmp_path):
    staged.python = [*obeying_permissions(), sys.executable]
    closed = tmp_path / "theirs" / SIZE.name
    closed.mkdir(parents=True)
    staged.environment["DASKCLASS_DATA"] = str(closed.parent)
    closed.chmod(0)
    try:
        examine = """
from daskclass.commands import doctor
print(doctor.check_disk_for_data().found, doctor.check_data().found)
"""
        command = [*staged.python, "-c", examine]
        said = subprocess.run(command, env=staged.environment, cwd=staged.checkout, capture_output=True, text=True)
        process = staged.start("data", "--size", SIZE.name)
        _out, err = process.communicate(timeout=240)
    finally:
        closed.chmod(0o700)
    assert said.returncode == 0, said.stderr
    assert str(closed) in said.stdout
    assert (process.returncode, err.count("\n")) == (2, 1), err
    assert str(closed) in err


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (hubs_dashboard_link, "the variable JUPYTERHUB_SERVICE_PREFIX"),
        (broken_settings, "mine.yaml"),
        (disk_that_is_gone, "connect that disk"),
        (data_that_was_changed, f"compare checksums with `daskclass data --size {SIZE.name} --verify`"),
    ],
)
def test_the_class_does_not_begin_and_says_why_in_one_line(staged, stage, words):
    stage(staged)
    process = staged.start("lab", "--no-browser")
    _out, err = process.communicate(timeout=240)
    assert process.returncode == 2
    assert err.count("\n") == 1, err
    assert err.startswith("daskclass: ")
    assert words in err


def without_pip(folder: Path) -> Path:
    """An environment such as ``uv venv`` makes, with all that this one has but pip; its Python."""
    venv.create(folder, with_pip=False)
    here = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=here))
    for place in {*site.getsitepackages(), sysconfig.get_path("purelib")}:
        for entry in Path(place).iterdir() if Path(place).is_dir() else ():
            if not entry.name.startswith("pip") and not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)
    (folder / "share").symlink_to(Path(sys.prefix) / "share")
    python = folder / "bin" / "python"
    command = folder / "bin" / "dask"
    # its nanny starts it anew, so it is guarded, as the one that pip installs
    command.write_text(f"#!{python}\nfrom dask.__main__ import main\nif __name__ == '__main__':\n    main()\n")
    command.chmod(0o755)
    return python


@LINUX
def test_without_pip_lab_06_does_not_install_until_it_is_mended(staged):
    python = without_pip(staged.folder / "bare")
    staged.python = [str(python)]
    seen = look(staged, "06")
    assert (seen.ready, seen.passed) == (False, False), seen
    assert list(seen.failed) == ["pip"]
    found, mend = seen.failed["pip"].split(" -> ")
    assert "lab 06" in found
    assert "in the cell `install`" in seen.lab

    command, *arguments = mend.partition(" (")[0].split()
    subprocess.run([command, *arguments], check=True, env=staged.environment, capture_output=True)
    examine = "from daskclass.commands import doctor; print(doctor.check_pip().state)"
    again = subprocess.run([python, "-c", examine], env=staged.environment, capture_output=True, text=True)
    assert again.stdout == "ok\n", again
    lab = staged.start("rehearse", "--labs", "06", "--out", str(staged.folder / "mended"))
    assert "1 of 1 labs passed" in lab.communicate(timeout=240)[0]
