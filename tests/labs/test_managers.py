"""What lab 06 shows of resource managers whose packages are here."""

import inspect
import re
from pathlib import Path

from dask_jobqueue import SLURMCluster
from distributed import SSHCluster

ROOT = Path(__file__).parents[2]


def test_the_job_for_slurm_starts_a_worker_as_it_was_typed(numbered):
    made = {}
    exec(numbered["06"].cells["slurm"], made)
    *directives, command = [line for line in made["script"].splitlines() if line]
    assert {"#SBATCH --cpus-per-task=1", "#SBATCH --mem=1G", "#SBATCH -t 01:00:00"} <= set(directives)
    assert re.search(r" -m distributed\.cli\.dask_worker tcp://127\.0\.0\.1:\d+ ", command)
    assert "--nthreads 1 --memory-limit 1.00GiB" in command
    assert made["SLURMCluster"] is SLURMCluster


def test_ssh_takes_the_arguments(numbered):
    [call] = re.findall(r"```python\n(SSHCluster\(.*?\))\n```", numbered["06"].text, re.DOTALL)
    asked = {}

    def listen(*hosts, **arguments):
        asked.update(arguments, hosts=hosts[0])

    exec(call, {"SSHCluster": listen})
    assert asked["hosts"] == ["head", "one", "two"]
    inspect.signature(SSHCluster).bind(**asked)
    # what is not SSHCluster's own goes to the scheduler and the workers, as their flags do
    from distributed import Nanny, Scheduler

    inspect.signature(Scheduler).bind(**asked["scheduler_options"])
    inspect.signature(Nanny).bind("tcp://head:8786", **asked["worker_options"])


def test_lab_06_and_the_readme_start_the_containers_with_the_same_command(numbered):
    assert "docker compose up --build --scale worker=2" in numbered["06"].text
    assert "docker compose up --build --scale worker=2" in (ROOT / "README.md").read_text(encoding="utf-8")
