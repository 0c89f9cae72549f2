"""What makes each claim of lab 10 false."""

CONTROLS = [
    {
        "claim": "below the lines nothing was spilled, above them what did not fit was",
        "cell": "fill",
        # what comes fits, too
        "source": """
def numbers(seed):
    return np.random.default_rng(seed).random(4 * MIB)


def draw(number):
    time.sleep(0.04)
    return numbers(number)


with watch.record(client) as below:
    few = client.map(draw, range(13))
    wait(few)

with watch.record(client) as above:
    many = client.map(draw, range(16))
    wait(many)
""",
    },
    {
        "claim": "below the lines nothing was spilled, above them what did not fit was",
        "cell": "fill",
        # or the first is recorded when all are there already
        "alone": "setup start fill fill-numbers",
        # what comes first does not fit either
        "source": """
def numbers(seed):
    return np.random.default_rng(seed).random(4 * MIB)


def draw(number):
    time.sleep(0.04)
    return numbers(number)


with watch.record(client) as below:
    few = client.map(draw, range(30))
    wait(few)

with watch.record(client) as above:
    many = client.map(draw, range(48))
    wait(many)
""",
    },
    {
        "claim": "the configured folder has a file for each spilled result, as large as Dask says",
        "cell": "start",
        # another cluster
        "alone": "setup start fill fill-numbers claim-spilled files",
        # another folder was configured
        "source": """
disk = terminals.folder / "disk"
options = {
    "n_workers": 1,
    "threads_per_worker": 1,
    "memory_limit": "1 GiB",
    "local_directory": str(terminals.folder / "another"),
    "dashboard_address": "127.0.0.1:0",
    "silence_logs": "CRITICAL",
}
cluster = LocalCluster(**options)
client = Client(cluster)
""",
    },
    {
        "claim": "the configured folder has a file for each spilled result, as large as Dask says",
        "cell": "fill-numbers",
        # the files stay as they are
        "alone": "setup start fill fill-numbers claim-spilled files",
        # somebody writes into the files
        "source": """
def on_this_worker(dask_worker):
    data = dask_worker.data
    return {
        "in memory": len(data.memory),
        "on disk": len(data.disk),
        "bytes": data.spilled_total.disk,
    }


[says] = client.run(on_this_worker).values()
limit = above.limits[above.memory.worker[0]]
target = above.thresholds["target"] * limit
for file in disk.glob("dask-scratch-space/worker-*/storage/*"):
    with file.open("ab") as longer:
        longer.write(bytes(1))
""",
    },
    {
        "claim": "what came back from disk was what had gone there, bit for bit",
        "cell": "files",
        # the files stay as they are
        "alone": "setup start fill fill-numbers files claim-files back",
        # somebody writes into the files
        "source": """
[says] = client.run(on_this_worker).values()
files = list(disk.glob("dask-scratch-space/worker-*/storage/*"))
file_bytes = sum(file.stat().st_size for file in files)
for file in files:
    with file.open("r+b") as damaged:
        damaged.seek(10 * MIB)
        damaged.write(bytes(4096))
""",
    },
    {
        "claim": "a full worker paused, began nothing, and went on by itself when memory was free",
        "cell": "pause",
        # the three come before the worker is full
        "source": """
def leak(share):
    worker, process = get_worker(), psutil.Process()
    worker.kept = getattr(worker, "kept", [])
    while process.memory_info().rss < share * worker.memory_manager.memory_limit:
        worker.kept.append(np.ones(4 * MIB))
        time.sleep(0.1)


def forget(dask_worker):
    dask_worker.kept.clear()


def began():
    return watch.clock()


def changes(client, address):
    events = client.get_events(address)
    return [
        (when, event["status"])
        for when, event in events
        if event.get("action") == "worker-status-change"
    ]


def status(client):
    return [worker["status"] for worker in client.scheduler_info()["workers"].values()]


def count(futures):
    return pd.Series([future.status for future in futures]).value_counts().to_dict()


[address] = client.nthreads()
earlier = len(changes(client, address))
eight = client.map(draw, range(8))
wait(eight)

with watch.record(client) as leaking:
    three = [client.submit(began, pure=False) for _ in range(3)]
    starts = client.gather(three)
    client.submit(leak, 0.87, pure=False).result()
    watch.until(lambda: status(client) == ["paused"], "a pause")
    waiting = [future.status for future in three]
    client.run(forget)
    watch.until(lambda: status(client) == ["running"], "the end of the pause")
""",
    },
    {
        "claim": "a full worker paused, began nothing, and went on by itself when memory was free",
        "alone": "setup start fill fill-numbers leak pause-how pause pause-numbers",
        "cell": "pause",
        # no memory is freed
        "source": """
[address] = client.nthreads()
earlier = len(changes(client, address))
eight = client.map(draw, range(8), pure=False)
wait(eight)


def all_on_disk():
    [worker] = client.run(on_this_worker).values()
    return worker["on disk"] >= 8


with watch.record(client) as leaking:
    client.submit(leak, 0.75, pure=False).result()
    watch.until(all_on_disk, "the last of the eight on disk")
    client.submit(leak, 0.87, pure=False).result()
    watch.until(lambda: status(client) == ["paused"], "a pause")
    three = [client.submit(began, pure=False) for _ in range(3)]
    time.sleep(2)
    waiting = [future.status for future in three]
    starts = [float("inf")]
""",
    },
    {
        "claim": "without spilling the same work did not fit: the worker paused and stayed paused",
        "cell": "off",
        # spilling is on
        "source": """
off = {}
with LocalCluster(**options) as without, Client(without, set_as_default=False) as other, other.as_current():
    with watch.record(other) as full:
        arrays = other.map(draw, range(48))
        wait(arrays)
        outcome = count(arrays)
        state = status(other)
""",
    },
    {
        "claim": "what Dask does not manage drove all results to disk and stayed in memory itself",
        "cell": "unmanaged",
        # it is Dask's own results that fill the memory
        "source": """
with watch.record(client) as leaking:
    wait(client.map(draw, range(100, 130)))

most = {
    "managed": int(leaking.memory.managed.max()),
    "unmanaged": int((leaking.memory.process - leaking.memory.managed).max()),
    "spilled": int(leaking.memory.spilled.max()),
}
""",
        # the recording of the leak is gone
        "alone": "setup start fill fill-numbers leak pause-how pause off unmanaged",
    },
    {
        "claim": "Dask counted an object, not what it holds, until the object said how large it is",
        "cell": "weigh",
        # the second one doesn't say it
        "source": """
class Box:
    def __init__(self, seed):
        self.array = numbers(seed)


class WeighedBox(Box):
    pass


counted = {}
for kind in (Box, WeighedBox):
    boxes = client.map(kind, range(6), pure=False)
    wait(boxes)
    sizes = client.nbytes(summary=False)
    counted[kind.__name__] = sum(sizes[box.key] for box in boxes)
    del boxes
""",
    },
    {
        "claim": "Dask counted an object, not what it holds, until the object said how large it is",
        "cell": "weigh",
        # the first one is of a type that Dask knows
        "source": """
class WeighedBox:
    def __init__(self, seed):
        self.array = numbers(seed)

    def __sizeof__(self):
        return self.array.nbytes


counted = {}
for name, kind in {"Box": numbers, "WeighedBox": WeighedBox}.items():
    boxes = client.map(kind, range(6), pure=False)
    wait(boxes)
    sizes = client.nbytes(summary=False)
    counted[name] = sum(sizes[box.key] for box in boxes)
    del boxes
""",
    },
    {
        "claim": "with only the last threshold left the nanny killed the worker, and tasks failed",
        "cell": "last",
        # pausing is on
        "source": """
with (
    dask.config.set(off),
    LocalCluster(**options) as doomed,
    Client(doomed, set_as_default=False) as other,
):
    arrays = other.map(draw, range(48))
    watch.until(lambda: status(other) == ["paused"], "a pause")
    errors = {type(future.exception()) for future in arrays if future.status == "error"}
    killed = [event for _when, event in other.get_events("worker-restart-memory")]
""",
    },
    {
        "claim": "zeros took less than a hundredth of their size on disk, noise took all of it",
        "cell": "compress",
        # nothing is compressed
        "source": """
def zeros(number):
    return np.zeros(4 * MIB)


def spilled_by(client):
    spilled = client.run(lambda dask_worker: dask_worker.data.spilled_total)
    return next(iter(spilled.values()))


sizes, still, highest = {}, {}, 0
with (
    dask.config.set({"distributed.worker.memory.target": 0.01, "distributed.worker.memory.spill-compression": False}),
    LocalCluster(**options) as early,
    Client(early, set_as_default=False) as other,
    other.as_current(),
):
    for kind in (draw, zeros):
        held = other.map(kind, range(4), pure=False)
        wait(held)
        on_disk = spilled_by(other)
        sizes[kind.__name__] = {"in memory": on_disk.memory, "on disk": on_disk.disk}
        [there] = other.run(on_this_worker).values()
        still[kind.__name__] = there["in memory"]
        highest = max(highest, *other.run(resident).values())
        del held
        watch.until(lambda: spilled_by(other).disk == 0, "the end of the files")

sizes = pd.DataFrame.from_dict(sizes, orient="index")
sizes["share"] = sizes["on disk"] / sizes["in memory"]
""",
    },
    {
        "claim": "zeros took less than a hundredth of their size on disk, noise took all of it",
        "cell": "compress",
        # the noise repeats itself
        "source": """
def zeros(number):
    return np.zeros(4 * MIB)


def repeated(number):
    return np.tile(np.random.default_rng(number).random(1024), 4 * MIB // 1024)


repeated.__name__ = "draw"


def spilled_by(client):
    spilled = client.run(lambda dask_worker: dask_worker.data.spilled_total)
    return next(iter(spilled.values()))


sizes, still, highest = {}, {}, 0
with (
    dask.config.set({"distributed.worker.memory.target": 0.01}),
    LocalCluster(**options) as early,
    Client(early, set_as_default=False) as other,
    other.as_current(),
):
    for kind in (repeated, zeros):
        held = other.map(kind, range(4), pure=False)
        wait(held)
        on_disk = spilled_by(other)
        sizes[kind.__name__] = {"in memory": on_disk.memory, "on disk": on_disk.disk}
        [there] = other.run(on_this_worker).values()
        still[kind.__name__] = there["in memory"]
        highest = max(highest, *other.run(resident).values())
        del held
        watch.until(lambda: spilled_by(other).disk == 0, "the end of the files")

sizes = pd.DataFrame.from_dict(sizes, orient="index")
sizes["share"] = sizes["on disk"] / sizes["in memory"]
""",
    },
    {
        "claim": "with the target at 1% every result went to disk, the process was far from full",
        "cell": "compress",
        # the target is where it always is
        "source": """
def zeros(number):
    return np.zeros(4 * MIB)


def spilled_by(client):
    spilled = client.run(lambda dask_worker: dask_worker.data.spilled_total)
    return next(iter(spilled.values()))


sizes, still, highest = {}, {}, 0
with (
    dask.config.set({"distributed.worker.memory.target": 0.6}),
    LocalCluster(**options) as early,
    Client(early, set_as_default=False) as other,
    other.as_current(),
):
    for kind in (draw, zeros):
        held = other.map(kind, range(4), pure=False)
        wait(held)
        on_disk = spilled_by(other)
        sizes[kind.__name__] = {"in memory": on_disk.memory, "on disk": on_disk.disk}
        [there] = other.run(on_this_worker).values()
        still[kind.__name__] = there["in memory"]
        highest = max(highest, *other.run(resident).values())
        del held
        watch.until(lambda: spilled_by(other).disk == 0, "the end of the files")

sizes = pd.DataFrame.from_dict(sizes, orient="index")
sizes["share"] = sizes["on disk"] / sizes["in memory"]
""",
    },
    {
        "claim": "at the limit of its disk the worker stood still; given memory back, it went on",
        "cell": "max-spill",
        # its disk has no limit
        "source": """
with LocalCluster(**options) as small, Client(small, set_as_default=False) as other, other.as_current():
    arrays = other.map(draw, range(48))
    wait(arrays)
    alone = {"arrays": count(arrays), "status": status(other)}
    on_disk = spilled_by(other).disk
    in_hand = 0
    del arrays[:16]
    helped = count(arrays)
    begins_again = status(other)
""",
    },
    {
        "claim": "at the limit of its disk the worker stood still; given memory back, it went on",
        "cell": "max-spill",
        # nothing is given back
        "source": """
with (
    dask.config.set({"distributed.worker.memory.max-spill": "256 MiB"}),
    LocalCluster(**options) as small,
    Client(small, set_as_default=False) as other,
    other.as_current(),
):
    arrays = other.map(draw, range(48))
    watch.until(lambda: status(other) == ["paused"], "a pause")
    time.sleep(2)
    alone = {"arrays": count(arrays), "status": status(other)}
    on_disk = spilled_by(other).disk
    in_hand = sum(len(keys) for keys in other.processing().values())
    small.scale(2)
    watch.until(
        lambda: count(arrays)["finished"] == 48 - in_hand, "what was not handed out"
    )
    helped = count(arrays[16:])
    begins_again = status(other)
""",
    },
    {
        "claim": "only the worker's log mentioned the full disk: tasks waited, and none failed",
        "cell": "full-disk",
        # the disk is not full
        "source": """
with LocalCluster(**guarded) as stuck, Client(stuck, set_as_default=False) as other, other.as_current():
    other.run(log_to, str(worker_log))
    arrays = other.map(draw, range(48))
    wait(arrays, timeout=240)
    quiet = count(arrays)
    elsewhere = ""
log = worker_log.read_text().splitlines() or [""]
""",
    },
    {
        "claim": "a watchdog turned it into an error that names the disk; nothing wrong came back",
        "cell": "full-disk",
        # nobody watches
        "source": """
with LocalCluster(**options) as stuck, Client(stuck, set_as_default=False) as other:
    other.run(log_to, str(worker_log))
    faults.full_disk(other)
    arrays = other.map(draw, range(48))
    watch.until(lambda: status(other) == ["paused"], "a pause")
    time.sleep(6)
    quiet = count(arrays)
    elsewhere = ""
    error = next((future.exception() for future in arrays if future.status == "error"), None)
    made = [n for n, future in enumerate(arrays) if future.status == "finished"]
    same = [zlib.crc32(arrays[number].result()) == expected[number] for number in made]
log = worker_log.read_text().splitlines() or [""]
""",
    },
    {
        "claim": "a watchdog turned it into an error that names the disk; nothing wrong came back",
        "cell": "full-disk",
        # what comes back is something else
        "source": """
with (
    dask.config.set({"daskclass.spill_guard.patience": "4s"}),
    LocalCluster(**guarded) as stuck,
    Client(stuck, set_as_default=False) as other,
    other.as_current(),
):
    other.run(log_to, str(worker_log))
    faults.full_disk(other)
    arrays = other.map(draw, range(48, 96))
    watch.until(lambda: status(other) == ["paused"], "a pause")
    time.sleep(2)
    quiet = count(arrays)
    elsewhere = str([other.get_worker_logs(), other.get_scheduler_logs()])
    wait(arrays, timeout=240)
    error = next(future.exception() for future in arrays if future.status == "error")
    made = [n for n, future in enumerate(arrays) if future.status == "finished"]
    sums = [zlib.crc32(arrays[number].result()) for number in made]
    same = [one == expected[number] for one, number in zip(sums, made, strict=True)]
log = worker_log.read_text().splitlines() or [""]
""",
    },
]
