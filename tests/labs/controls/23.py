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

_STATE = """
def state_of(job):
    said = on("head", f"scontrol show job {job}").text
    return said.split("JobState=")[1].split()[0]
"""

_STAMP = """
def stamp(number):
    return number, time.time_ns(), os.environ["SLURM_JOB_ID"]


def state_of(job):
    said = on("head", f"scontrol show job {job}").text
    return said.split("JobState=")[1].split()[0]


held = {}


def hold(name, started):
    guest = Client(started, set_as_default=False)
    guest.wait_for_workers(1)
    futures = guest.map(stamp, range(20), pure=False)
    held[name] = guest, futures, guest.gather(futures)


def guest_of(name):
    return held[name][0]


def first_of(name):
    return {int(job) for *_, job in held[name][2]}
"""

_LOG = """
def log_of(job):
    said = on("head", f"scontrol show job {{job}}").text
    node = said.split(" NodeList=")[1].split()[0]
    return on(node, f"cat /tmp/*-{{job}}.err").text


by_slurm = log_of(*first["{ended}"])
hungry = client.submit(lambda: {task}, pure=False)
jobs = squeue_once(lambda jobs: (jobs["name"] == "class").any(), "a job for it")
[job] = jobs.job[jobs["name"] == "class"]
failure = hungry.exception()
by_dask = log_of(job)
squeue_once(lambda jobs: not (jobs["name"] == "class").any(), "the end of that job")
"""

_CLAIMS = {
    "scale": "squeue listed the jobs that scale had asked for, on the nodes where workers ran",
    "full": "jobs that didn't fit waited for room, and the tasks were done without them",
    "colleague": "a colleague waited for idle workers, and adapt kept only the job that held data",
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
        "alone": "setup script scale full colleague adapt",
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
        "alone": "setup script scale full colleague adapt",
        "source": _STATE
        + """
del work
cluster.adapt(minimum_jobs=0, maximum_jobs=6, interval="500ms", wait_count=2)
kept = squeue_once(lambda jobs: jobs.empty, "the end of all jobs")
watch.until(lambda: state_of(hello) == "COMPLETED", "the colleague's job")
""",
    },
    {
        "claim": _CLAIMS["colleague"],
        "cell": "adapt",
        # the idle workers stay
        "alone": "setup script scale full colleague adapt",
        "source": _STATE
        + """
del work
time.sleep(6)
kept = squeue()
cluster.scale(0)
squeue_once(lambda jobs: jobs.empty, "the end of all jobs")
""",
    },
    {
        "claim": _CLAIMS["lifetime"],
        "cell": "lives",
        # it has a lifetime, and nobody to hand over to
        "alone": "setup lives lifetime-over",
        "source": _STAMP
        + """
leaving = SLURMCluster(job_name="leaving", worker_extra_args=["--lifetime", "10s"], **OPTIONS)
leaving.adapt(minimum_jobs=1, maximum_jobs=1, interval="500ms")
hold("leaving", leaving)
first = {"leaving": first_of("leaving")}
""",
    },
    {
        "claim": _CLAIMS["lifetime"],
        "cell": "lives",
        # it's told to end at once
        "alone": "setup lives lifetime-over",
        "source": _STAMP
        + """
leaving = SLURMCluster(job_name="leaving", **OPTIONS)
leaving.adapt(minimum_jobs=1, maximum_jobs=1, interval="500ms")
hold("leaving", leaving)
first = {"leaving": first_of("leaving")}
on("head", f"scancel {min(first['leaving'])}")
""",
    },
    {
        "claim": _CLAIMS["walltime"],
        "cell": "lives",
        # a walltime that isn't over; somebody cancels the job
        "alone": "setup lives lifetime-over claim-lifetime walltime-over",
        "source": _STAMP
        + """
short = SLURMCluster(job_name="short", **OPTIONS)
short.adapt(minimum_jobs=1, maximum_jobs=1, interval="500ms")
leaving = SLURMCluster(job_name="leaving", worker_extra_args=["--lifetime", "45s"], **OPTIONS)
leaving.scale(jobs=1)
hold("short", short)
hold("leaving", leaving)
first = {name: first_of(name) for name in held}
time.sleep(15)
leaving.adapt(minimum_jobs=2, maximum_jobs=2, interval="500ms")
guest_of("leaving").wait_for_workers(2)
on("head", f"scancel {min(first['short'])}")
""",
    },
    {
        "claim": _CLAIMS["walltime"],
        "cell": "lives",
        # a second job, which began later, has copies of the results
        "alone": "setup lives lifetime-over walltime-over",
        "source": _STAMP
        + """
short = SLURMCluster(job_name="short", **OPTIONS | {"walltime": "00:01:00"})
short.scale(jobs=1)
hold("short", short)
leaving = SLURMCluster(job_name="leaving", worker_extra_args=["--lifetime", "10s"], **OPTIONS)
leaving.adapt(minimum_jobs=1, maximum_jobs=1, interval="500ms")
hold("leaving", leaving)
first = {name: first_of(name) for name in held}
time.sleep(35)
short.scale(jobs=2)
guest_of("short").wait_for_workers(2)
guest_of("short").replicate(held["short"][1])
""",
    },
    {
        "claim": _CLAIMS["log"],
        "cell": "log",
        # another error than memory
        "source": _LOG.format(ended="short", task="1 / 0"),
    },
    {
        "claim": _CLAIMS["log"],
        "cell": "log",
        # the log of a job that left by itself
        "source": _LOG.format(ended="leaving", task="len(bytearray(600_000_000))"),
    },
]
