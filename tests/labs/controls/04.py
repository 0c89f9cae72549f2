"""What makes each claim of lab 04 false."""

CONTROLS = [
    {
        "claim": "six processes take part, and each worker is a child of its nanny",
        "cell": "start",
        # no nannies
        "source": """
scheduler = terminals.type(
    "hall", "dask scheduler --host 127.0.0.1 --port 0 --dashboard-address 127.0.0.1:0"
)
address = scheduler.wait_for(r"Scheduler at: +(\\S+)")


def start_worker(name, nanny="--no-nanny"):
    worker = terminals.type(
        name,
        f"dask worker {address} --name {name} {nanny} --nthreads 1 --memory-limit 300MiB "
        "--local-directory . --host 127.0.0.1 --dashboard-address 127.0.0.1:0",
    )
    worker.wait_for("Registered to", quiet=True)
    return worker


workers = {name: start_worker(name) for name in ("east", "west")}
client = Client(address)
""",
    },
    {
        "claim": "a task goes from the client to the scheduler to a worker and back, in this order",
        "cell": "one-task",
        # it fails on the worker
        "source": """
asked = clock()
future = client.submit(divmod, 7, 0, pure=False)
future.exception()
received = clock()
""",
    },
    {
        "claim": "a result stays on its worker until somebody asks for it",
        "cell": "result",
        # somebody asks at once
        "source": """
with traffic.through_scheduler(client) as computing:
    block = client.submit(make, SIZE, workers=["east"], pure=False)
    block.result()

lies_on = list(client.who_has(block)[block.key])

with traffic.through_scheduler(client) as asking:
    here = block.result()
""",
    },
    {
        "claim": "a nanny replaces a killed worker with a new process; without one, nothing does",
        "cell": "kill",
        # only the one without a nanny is killed
        "source": """
north = start_worker("north", "--no-nanny")
first = topology(client).processes.set_index("who").pid

psutil.Process(first["worker north"]).kill()
north_ended = north.wait()

players = topology(client)
second = players.processes.set_index("who").pid
""",
    },
    {
        "claim": "data goes from worker to worker, and not through the scheduler",
        "cell": "between",
        # it is fetched here and sent with the call
        "source": """
def sent_and_received(dask_worker):
    fetched = [moved["total"] for moved in dask_worker.transfer_incoming_log]
    return {"sent": dask_worker.transfer_outgoing_bytes_total, "received": sum(fetched)}


block = client.submit(make, SIZE, workers=["east"], pure=False)
wait(block)
before = client.run(sent_and_received)
with traffic.through_scheduler(client) as meanwhile:
    length = client.submit(len, block.result(), workers=["west"], pure=False).result()
after = client.run(sent_and_received)

names = {who: worker["name"] for who, worker in client.scheduler_info()["workers"].items()}
moved = {names[who]: {kind: after[who][kind] - before[who][kind] for kind in after[who]} for who in after}
""",
    },
    {
        "claim": "scatter and gather go through the scheduler, unless direct=True",
        "cell": "through",
        # both are told, both times
        "source": """
data = os.urandom(SIZE)
through = {}
for direct in (None, True):
    with traffic.through_scheduler(client) as passed:
        scattered = client.scatter(data, direct=True, hash=False)
    through["scatter", direct] = passed.received + passed.sent
    with traffic.through_scheduler(client) as passed:
        client.gather(scattered, direct=True)
    through["gather", direct] = passed.received + passed.sent
""",
    },
]
