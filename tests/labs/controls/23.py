"""What makes each claim of lab 23 false."""

_FULL = """
work = client.map(lambda number: (time.sleep(0.2), socket.gethostname())[1], range(40))
places = pd.Series(client.gather(work)).value_counts()
"""

_COLLEAGUE = """
SUBMIT = "sbatch --parsable --mem=300 --time=1 --output=/dev/null --wrap 'hostname'"
hello = on("head", SUBMIT, user="colleague").text
behind = squeue_once(lambda jobs: jobs.empty or jobs.reason.notna().all(), "an answer", "colleague")
"""

_ADAPT = """
cluster.adapt(minimum_jobs=0, maximum_jobs=6, interval="500ms", wait_count=2)
squeue_once(lambda jobs: {until}, "the end of jobs")
watch.until(lambda: state_of(hello) == "COMPLETED", "the colleague's job")
time.sleep(3)
kept = squeue()
homes = {{address for held in client.who_has(work).values() for address in held}}
"""

_HOLD = """
short = SLURMCluster(job_name="short", **OPTIONS | {"walltime": "00:01:00"})
short.adapt(minimum_jobs=1, maximum_jobs=1, interval="500ms")
lifetime = ["--lifetime", "45s"]
leaving = SLURMCluster(job_name="leaving", worker_extra_args=lifetime, **OPTIONS)
leaving.scale(jobs=1)

held = {"short": hold(short), "leaving": hold(leaving)}
first = {name: job for name, (*_, job) in held.items()}
time.sleep(15)
leaving.adapt(minimum_jobs=2, maximum_jobs=2, interval="500ms")
held["leaving"][0].wait_for_workers(2)
"""

_OUTLIVES = """
from dask.distributed import Worker

guest, futures, *_ = held["short"]
guest.amm.stop()  # it would drop one of two copies
guest.sync(Worker, guest.scheduler.address, nthreads=1, local_directory="/tmp")
guest.wait_for_workers(2)
guest.replicate(futures)

"""

_LOG = """
def log_of(job):
    said = on("head", f"scontrol show job {{job}}").text
    node = said.split(" NodeList=")[1].split()[0]
    return on(node, f"cat /tmp/*-{{job}}.err").text


by_slurm = log_of(first["{ended}"])


def swell():
    taken = bytearray({size})
    time.sleep({seconds})
    return len(taken){then}


hungry = client.submit(swell, pure=False)
jobs = squeue_once(lambda jobs: (jobs["name"] == "class").any(), "a job for it")
[job] = jobs.job[jobs["name"] == "class"]
failure = hungry.exception()
by_dask = log_of(job)
squeue_once(lambda jobs: not (jobs["name"] == "class").any(), "the end of that job")
"""

_CLAIMS = {
    "scale": "squeue listed the jobs that scale had asked for, on the nodes where workers ran",
    "full": "jobs that didn't fit waited for room, and the tasks were done without them",
    "colleague": "a colleague waited for idle workers; adapt kept one job, and moved all data there",
    "lifetime": "a worker with a lifetime left by itself, and handed over every result it had",
    "walltime": "at its walltime Slurm ended the job, and the next one computed its results again",
    "log": "the logs on the nodes said why: one job's time limit, one worker's memory budget",
}

CONTROLS = [
    {
        "claim": _CLAIMS["scale"],
        "cell": "scale",
        # workers that nobody asked Slurm for
        "source": """
from dask.distributed import LocalCluster

with LocalCluster(2, threads_per_worker=1, dashboard_address=":0") as here, Client(here, set_as_default=False) as mine:
    jobs = squeue()
    submitted = set()
    ran_on = sorted(mine.run(socket.gethostname).values())
""",
    },
    {
        "claim": _CLAIMS["scale"],
        "cell": "scale",
        # the jobs run, and the workers that compute are on another machine
        "source": """
from dask.distributed import LocalCluster

cluster.scale(jobs=2)
client.wait_for_workers(2)
jobs = squeue()
submitted = {int(worker.job_id) for worker in cluster.workers.values()}
with LocalCluster(2, threads_per_worker=1, dashboard_address=":0") as here, Client(here, set_as_default=False) as mine:
    ran_on = sorted(mine.run(socket.gethostname).values())
""",
    },
    {
        "claim": _CLAIMS["full"],
        "cell": "full",
        # as many as there's room for
        "source": """
cluster.scale(jobs=4)
client.wait_for_workers(4)
waiting = squeue_once(lambda jobs: sorted(jobs.state) == ["RUNNING"] * 4, "four jobs")
"""
        + _FULL,
    },
    {
        "claim": _CLAIMS["full"],
        "cell": "full",
        # some tasks may run nowhere but on a worker whose job waits
        "source": """
cluster.scale(jobs=6)
client.wait_for_workers(4)
waiting = squeue_once(
    lambda jobs: len(jobs) == 6 and (jobs.state == "PENDING").sum() == 2 and jobs.reason.notna().sum() == 2,
    "two that wait",
)
there = {worker["name"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()}
away = sorted({str(name) for name in cluster.workers} - {str(name) for name in there})
work = client.map(lambda number: (time.sleep(0.2), socket.gethostname())[1], range(36))
more = client.map(lambda number: socket.gethostname(), range(4), workers=away[:1])
places = pd.Series(client.gather(work)).value_counts()
places = places + sum(one.status == "finished" for one in more)
client.cancel(more)
""",
    },
    {
        "claim": _CLAIMS["colleague"],
        "cell": "colleague",
        # there's room
        "alone": "setup options script scale full colleague adapt forget",
        "source": """
cluster.scale(jobs=3)
squeue_once(lambda jobs: len(jobs) == 3, "three jobs")
"""
        + _COLLEAGUE,
    },
    {
        "claim": _CLAIMS["colleague"],
        "cell": "adapt",
        # nobody holds a result
        "alone": "setup options script scale full colleague adapt forget",
        "source": "work = []\n" + _ADAPT.format(until="jobs.empty"),
    },
    {
        "claim": _CLAIMS["colleague"],
        "cell": "adapt",
        # the idle workers stay
        "alone": "setup options script scale full colleague adapt forget",
        "source": """
time.sleep(3)
kept = squeue()
homes = {address for held in client.who_has(work).values() for address in held}
cluster.scale(0)
watch.until(lambda: state_of(hello) == "COMPLETED", "the colleague's job")
""",
    },
    {
        "claim": _CLAIMS["lifetime"],
        "cell": "hold",
        # it's over before there's anybody to hand over to
        "alone": "setup options lives hold lifetime-over",
        "source": _HOLD.replace("45s", "10s"),
    },
    {
        "claim": _CLAIMS["lifetime"],
        "cell": "hold",
        # somebody ends the job
        "alone": "setup options lives hold lifetime-over",
        "source": _HOLD + """on("head", f"scancel {first['leaving']}")\n""",
    },
    {
        "claim": _CLAIMS["walltime"],
        "cell": "hold",
        # its walltime isn't over; somebody ends the job
        "alone": "setup options lives hold lifetime-over claim-lifetime walltime-over",
        "source": _HOLD + """on("head", f"scancel {first['short']}")\n""",
    },
    {
        "claim": _CLAIMS["walltime"],
        "cell": "hold",
        # a worker that Slurm doesn't know has copies of the results
        "alone": "setup options lives hold lifetime-over claim-lifetime walltime-over",
        "source": _HOLD.replace("first = {", _OUTLIVES + "first = {"),
    },
    {
        "claim": _CLAIMS["log"],
        "cell": "log",
        # another error than memory
        "source": _LOG.format(ended="short", size=1, seconds=0, then=" / 0"),
    },
    {
        "claim": _CLAIMS["log"],
        "cell": "log",
        # the log of a job that left by itself
        "source": _LOG.format(ended="leaving", size=600_000_000, seconds=60, then=""),
    },
]
