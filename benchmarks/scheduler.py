"""How much can one scheduler do? Measures tasks per second and bytes per task, up to 100,000 tasks and 64 workers.

With ``--workers 1000``, it measures as many connections: what a worker costs the scheduler that only knows it.

The client sends tasks that do nothing, and keeps their futures. Client, scheduler and workers each have a process; all
workers share one, because two cores have no room for 64. So the tasks per second are those of a machine on which three
processes share the cores. Every cluster is limited by the scheduler's own CPU time: a second of it is enough for `1 /
cpu` tasks, no matter how many workers there are. For comparison, we measure the same calls with the standard library's
process pool, which keeps no results, no graph and no record of which process did what.

Before the tasks, the workers are idle for some seconds. What the scheduler holds and does meanwhile, for each of them,
is the cost of a worker: memory, CPU time, and bytes on the network.

Each row runs in separate processes, one after the other, for several rounds. Only the ratio within a round counts.

    python benchmarks/scheduler.py [--rounds 3] [--tasks 1000 10000 100000] [--workers 2 8 64] [--out FILE]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

POOL = """
import sys, time
from concurrent.futures import ProcessPoolExecutor

def nothing(number):
    return number

if __name__ == "__main__":
    tasks = int(sys.argv[1])
    with ProcessPoolExecutor(2) as pool:
        sum(pool.map(nothing, range(100)))
        start = time.perf_counter()
        total = sum(pool.map(nothing, range(tasks)))
        print((time.perf_counter() - start) / tasks)
        assert total == tasks * (tasks - 1) // 2
"""

WORKERS = """
import asyncio, contextlib, sys
from distributed import Worker

with contextlib.suppress(ImportError):  # Windows has no such limit
    import resource

    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # each worker takes several

# A thousand profilers, monitors and clocks would take all of this process's core. The scheduler sees none of them.
import dask
dask.config.set({
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "1 hour",
    "distributed.admin.tick.interval": "1 minute",
})

async def main(address, count):
    own = {"nthreads": 1, "memory_limit": 0, "dashboard": False, "host": "127.0.0.1"}
    workers = []
    for first in range(0, count, 50):  # so many at once that none waits too long for its answer
        some = range(first, min(count, first + 50))
        workers += await asyncio.gather(*(Worker(address, **own) for _ in some))
    await asyncio.gather(*(worker.finished() for worker in workers))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""

DASK = """
import json, subprocess, sys, time
import dask, psutil
from distributed import Client, wait
from daskclass.watch import traffic

def nothing(number):
    return number

def scheduler_is(dask_scheduler):
    me = psutil.Process()
    return {"cpu": sum(me.cpu_times()[:2]), "memory": me.memory_info().rss}

tasks, count, idle = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[5])
here = {"scheduler_file": sys.argv[3] + "/scheduler.json"}
scheduler = subprocess.Popen([
    sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0",
    "--dashboard-address", "127.0.0.1:0", "--scheduler-file", here["scheduler_file"],
], stderr=subprocess.DEVNULL)
workers = None
try:
    with Client(**here, timeout=60) as client:
        alone = client.run_on_scheduler(scheduler_is)
        workers = subprocess.Popen([sys.executable, "-c", sys.argv[4], client.scheduler.address, str(count)],
                                   stderr=subprocess.DEVNULL)
        client.wait_for_workers(count, timeout=600)
        with traffic.through_scheduler(client) as quiet:
            began, joined = time.perf_counter(), client.run_on_scheduler(scheduler_is)
            time.sleep(idle)
            rested, passed_by = client.run_on_scheduler(scheduler_is), time.perf_counter() - began
        wait(client.map(nothing, range(-500, 0), pure=False))
        before, me = client.run_on_scheduler(scheduler_is), psutil.Process()
        own = sum(me.cpu_times()[:2])
        with traffic.through_scheduler(client) as passed:
            start = time.perf_counter()
            futures = client.map(nothing, range(tasks), pure=False)
            wait(futures)
            seconds = time.perf_counter() - start
        after = client.run_on_scheduler(scheduler_is)
        client_cpu = sum(me.cpu_times()[:2]) - own
        assert {future.status for future in futures} == {"finished"}
        print(json.dumps({
            "seconds": seconds / tasks,
            "cpu": (after["cpu"] - before["cpu"]) / tasks,
            "client_cpu": client_cpu / tasks,
            "memory": (after["memory"] - before["memory"]) / tasks,
            "received": passed.received / tasks,
            "sent": passed.sent / tasks,
            "worker_memory": (joined["memory"] - alone["memory"]) / count,
            "worker_cpu": (rested["cpu"] - joined["cpu"]) / count / passed_by,
            "worker_traffic": (quiet.received + quiet.sent) / count / passed_by,
        }))
finally:
    for process in filter(None, (scheduler, workers)):
        process.terminate()
        process.wait()
"""


def run(source: str, *arguments: object) -> str:
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def pool(tasks: int) -> float:
    """Seconds per task in the standard library's pool of two processes."""
    with tempfile.TemporaryDirectory() as folder:  # the pool's processes import the program that started them
        program = Path(folder) / "pool.py"
        program.write_text(POOL)
        command = [sys.executable, str(program), str(tasks)]
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def scheduler(tasks: int, workers: int, idle: float = 5.0) -> dict[str, float]:
    """The cost of a task: ``seconds``; CPU seconds of scheduler and client; bytes in memory and on the network.

    And the cost of an idle worker to the scheduler: ``worker_memory`` in bytes, ``worker_cpu`` in seconds a second, and
    ``worker_traffic`` in bytes a second.
    """
    with tempfile.TemporaryDirectory() as folder:
        return json.loads(run(DASK, tasks, workers, folder, WORKERS, idle))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 8, 64])
    parser.add_argument("--out", type=Path, help="a file for the figures, as JSON")
    asked = parser.parse_args()
    figures: dict[str, list[dict[str, float]]] = {}
    for number in range(asked.rounds):
        print(f"round {number + 1}", flush=True)
        for tasks in asked.tasks:
            other = pool(tasks)
            print(f"  {tasks:>7,} tasks, process pool: {1 / other:>7,.0f} per second", flush=True)
            for workers in asked.workers:
                row = scheduler(tasks, workers) | {"pool": other}
                figures.setdefault(f"{tasks} tasks, {workers} workers", []).append(row)
                print(
                    f"  {tasks:>7,} tasks, {workers:>2} workers: {1 / row['seconds']:>7,.0f} per second; "
                    f"CPU of the scheduler {row['cpu'] * 1000:.2f} ms, client {row['client_cpu'] * 1000:.2f} ms; "
                    f"{row['memory']:,.0f} bytes held; {row['received']:,.0f} in, {row['sent']:,.0f} out; each idle "
                    f"worker {row['worker_memory'] / 1e3:,.0f} kB, {row['worker_cpu'] * 1e6:,.0f} µs and "
                    f"{row['worker_traffic']:,.0f} bytes a second",
                    flush=True,
                )
    for name, rows in figures.items():
        ratios = [row["seconds"] / row["pool"] for row in rows]
        print(
            f"{name}: {statistics.median(ratios):.0f} times the process pool's time ({min(ratios):.0f} to "
            f"{max(ratios):.0f}); at most {1 / statistics.median(row['cpu'] for row in rows):,.0f} tasks per second on "
            f"its own core, {statistics.median(row['memory'] for row in rows):,.0f} bytes per task"
        )
    print(json.dumps(figures))
    if asked.out:
        asked.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
