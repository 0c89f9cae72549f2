"""What makes each claim of lab 00 false."""

CONTROLS = [
    {
        "claim": "a task ran in another process than the notebook's",
        "cell": "connect",
        # the scheduler and the workers as threads of the notebook's own process
        "source": """
import dask
from dask.distributed import Client

from daskclass import clusters

with dask.config.set({"scheduler-address": None}):
    client = Client(
        processes=False, protocol="tcp", host="127.0.0.1", n_workers=2, threads_per_worker=1, dashboard_address=":0"
    )
""",
    },
    {
        "claim": "the dashboard answers",
        "cell": "connect",
        # a scheduler without the dashboard's pages; its counts are still served
        "source": """
import dask
from dask.distributed import Client

from daskclass import clusters

with dask.config.set({"scheduler-address": None}):
    client = Client(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
""",
    },
    {
        "claim": "the dashboard counted the tasks that ran",
        "cell": "where",
        # equal calls of a pure function are one task
        "source": """
import os
import socket


def where(number):
    return socket.gethostname(), os.getpid()


futures = client.map(where, [1] * 20, pure=True)
places = client.gather(futures)
here = where(0)
""",
    },
    {
        "claim": "more numbers than fit into the workers' memory passed through it",
        # the workers that it killed come back in their own time
        "alone": "size connect pi",
        "cell": "pi",
        # in blocks each larger than a worker
        "source": """
import dask.array as da

from daskclass import charts, watch

limits = [worker["memory_limit"] for worker in client.scheduler_info()["workers"].values()]
points = int(1.5 * sum(limits)) // 16
random = da.random.default_rng(2026)
x = random.random(points, chunks=int(min(limits) * 1.2) // 8)
y = random.random(points, chunks=int(min(limits) * 1.2) // 8)
inside = (x**2 + y**2 < 1).sum()

with watch.record(client) as recording:
    failure = client.compute(inside).exception()
    pi = 3.1416
""",
    },
]
