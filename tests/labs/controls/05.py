"""What makes each claim of lab 05 false."""

ONE_WORKER = """
cluster = LocalCluster(
    n_workers=1,
    threads_per_worker=1,
    memory_limit="300 MiB",
    dashboard_address="127.0.0.1:0",
    silence_logs=logging.CRITICAL,
)
client = Client(cluster)
"""

_CORES_BUSY = """
TASKS = "Dask-Default-Threads"


def cores_busy(client, work):
    before, start = client.run(watch.core_seconds, TASKS), time.perf_counter()
    work(client)
    seconds, after = time.perf_counter() - start, client.run(watch.core_seconds, TASKS)
    return sum(after[worker] - before[worker] for worker in after) / seconds
"""

CONTROLS = [
    {
        "claim": "scale reaches the workers that were asked for, up and down",
        "cell": "scale",
        # the wish for three is never said
        "source": ONE_WORKER
        + """

def known():
    return {
        "planned": len(cluster.plan),
        "requested": len(cluster.requested),
        "observed": len(cluster.observed),
    }


asked = known()
up = clusters.until(client, workers=3, seconds=3)
cluster.scale(1)
down = clusters.until(client, workers=1)
""",
    },
    {
        "claim": "two threads were nearer to two cores for NumPy, nearer to one for a Python loop",
        "cell": "threads",
        # the loop is one of NumPy's, which lets go of the lock
        "source": """
client.close()
cluster.close()


def numpy_sort(count):
    return np.sort(np.random.default_rng(0).random(count)).sum()


def sorts(client):
    client.gather(client.map(numpy_sort, [3_000_000] * 8, pure=False))


def loops(client):
    sorts(client)
"""
        + _CORES_BUSY,
    },
    {
        "claim": "two threads were nearer to two cores for NumPy, nearer to one for a Python loop",
        "cell": "threads",
        # NumPy's part is a loop in Python, too
        "source": """
client.close()
cluster.close()


def loops(client):
    client.gather(client.map(lambda count: sum(number % 7 for number in range(count)), [1_000_000] * 8, pure=False))


def sorts(client):
    loops(client)
"""
        + _CORES_BUSY,
    },
    {
        "claim": "adaptive scaling grows under load and shrinks when it is gone",
        "cell": "adaptive",
        # it may not grow
        "source": ONE_WORKER
        + """

def takes_a_while(number):
    time.sleep(0.1)
    return number


adaptive = cluster.adapt(minimum=1, maximum=1, interval="500ms", wait_count=2)
with watch.record(client) as recording:
    futures = client.map(takes_a_while, range(24), pure=False)
    total = sum(client.gather(futures))
    at_the_end = clusters.until(client, workers=1)
adaptive.stop()
""",
    },
    {
        "claim": "the model contains the measured next size, and without overhead it misses",
        "cell": "model-compare",
        # the model does not know of the tasks
        "source": """
low, high = sizing.fit(calibration, overhead=False).interval(*new)
without = (0.0, 1e-9)
took = runs[runs.bytes == 100 * MB].seconds.min()
""",
    },
    {
        "claim": "the model contains the measured next size, and without overhead it misses",
        "cell": "model-compare",
        # both know of the tasks
        "source": """
low, high = model.interval(*new)
without = (low, high)
took = runs[runs.bytes == 100 * MB].seconds.min()
""",
    },
    {
        "claim": "a hundred times the tasks for the same loop cost more than twice the CPU",
        "cell": "small-tasks",
        # as few tasks the second time
        "source": """
from daskclass.watch import traffic


def spent(tasks):
    mine, theirs = time.process_time(), client.run(time.process_time)
    with traffic.through_scheduler(client) as passed:
        client.gather(client.map(python_loop, [4_000_000 // tasks] * tasks, pure=False))
    after = client.run(time.process_time)
    cpu = time.process_time() - mine + sum(after.values()) - sum(theirs.values())
    return {"tasks": tasks, "cpu": cpu, "bytes": passed.received + passed.sent}


few, many = spent(8), spent(8)
""",
    },
    {
        "claim": "scale down loses scattered data; retiring the worker first keeps it",
        # it takes the name of a function that the cell needs
        "alone": "setup scale threads model-cluster scale-down",
        "cell": "scale-down",
        # nobody is retired, neither time
        "source": """
client.close()
cluster.close()
cluster = LocalCluster(
    2,
    threads_per_worker=1,
    memory_limit="300 MiB",
    dashboard_address="127.0.0.1:0",
    silence_logs=logging.CRITICAL,
)
client = Client(cluster)


def kept():
    cluster.scale(2)
    client.wait_for_workers(2)
    scattered = client.scatter([bytes([number]) * 1000 for number in range(8)], hash=False)
    places = set().union(*client.who_has(scattered).values())
    cluster.scale(1)
    clusters.until(client, workers=1)
    there = client.who_has()
    kept = sum(bool(there.get(future.key)) for future in scattered)
    return {"workers before": len(places), "scattered": kept, "computed": 8, "computed again": 8 - kept}


after_scale, after_retiring = kept(), kept()
""",
    },
    {
        "claim": "scale down loses scattered data; retiring the worker first keeps it",
        "alone": "setup scale threads model-cluster scale-down-how scale-down",
        "cell": "scale-down",
        # the worker is retired both times
        "source": """
client.close()
cluster.close()
cluster = LocalCluster(
    2,
    threads_per_worker=1,
    memory_limit="300 MiB",
    dashboard_address="127.0.0.1:0",
    silence_logs=logging.CRITICAL,
)
client = Client(cluster)
after_scale, after_retiring = kept(retire=True), kept(retire=True)
""",
    },
]
