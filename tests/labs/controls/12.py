"""What makes each claim of lab 12 false."""

_KILL = """
def read(number, path, journal):
    journal.note("read", number)
    return pd.read_parquet(path, columns=["price", "quantity"])


def add_up(number, orders, journal):
    journal.note("sum", number)
    time.sleep(0.1)
    return int(((orders.price * 100).round().astype("int64") * orders.quantity).sum())


def cents_of(paths):
    table = pyarrow.dataset.dataset(paths).to_table(columns=["price", "quantity"])
    cents = (table["price"].to_numpy() * 100).round().astype("int64")
    return int((cents * table["quantity"].to_numpy()).sum())


client.wait_for_workers(2, timeout=60)
exact = cents_of(inputs)
journal = Journal(terminals.folder)
numbers = range(len(inputs))
"""

CONTROLS = [
    {
        "claim": "a worker was killed in the middle, and the answer is exact",
        "cell": "kill",
        # what was lost with the worker is left out
        "source": _KILL
        + """
with watch.record(client) as drill:
    tables = [client.submit(read, n, inputs[n], journal, pure=False) for n in numbers]
    sums = [client.submit(add_up, n, tables[n], journal, pure=False) for n in numbers]
    del tables
    wait(sums)
    victim, survivor = sorted(client.scheduler_info()["workers"])
    there = client.who_has(sums)
    kept = [future for future in sums if victim not in there[future.key]]
    dead = faults.kill(client, victim)
    total = sum(client.gather(kept))
""",
    },
    {
        "claim": "what ran again had been on the dead worker or was needed for it, and nothing else",
        "cell": "kill",
        # all that was lost is not only on one worker: both are killed, one after the other
        "source": _KILL
        + """
with watch.record(client) as drill:
    tables = [client.submit(read, n, inputs[n], journal, pure=False) for n in numbers]
    sums = [client.submit(add_up, n, tables[n], journal, pure=False) for n in numbers]
    wait(sums)
    for victim in sorted(client.scheduler_info()["workers"]):
        dead = faults.kill(client, victim)
    total = sum(client.gather(sums))
""",
    },
    {
        "claim": "what ran again had been on the dead worker or was needed for it, and nothing else",
        "cell": "kill",
        # somebody does not trust it, and sends all of it a second time
        "source": _KILL
        + """
with watch.record(client) as drill:
    once = {"pure": False}
    for kill in (True, False):
        tables = [client.submit(read, n, inputs[n], journal, **once) for n in numbers]
        sums = [client.submit(add_up, n, tables[n], journal, **once) for n in numbers]
        if kill:
            watch.until(lambda: journal.count("sum") > len(inputs) // 3, "a third of the sums")
            victim, survivor = sorted(client.scheduler_info()["workers"])
            dead = faults.kill(client, victim)
        total = sum(client.gather(sums))
""",
    },
    {
        "claim": "a poison task was named after four deaths; others were done, the cluster lived on",
        "cell": "poison",
        # one more death is forgiven
        "source": """
def crash(journal):
    journal.note("crash", 0)
    psutil.Process().kill()


def innocent(number):
    time.sleep(0.05)
    return number


def marks(dask_scheduler):
    tasks = dask_scheduler.tasks.values()
    return {str(task.key): task.suspicious for task in tasks if task.suspicious}


def forgive(dask_scheduler, deaths):
    dask_scheduler.allowed_failures = deaths


poisoned = Journal(terminals.folder)
client.run_on_scheduler(forgive, deaths=4)
others = client.map(innocent, range(30), key="innocent", pure=False)
poison = client.submit(crash, poisoned, key=f"poison-{uuid.uuid4()}", priority=1)
try:
    poison.result(timeout=120)
except KilledWorker as error:
    verdict = error
suspects = client.run_on_scheduler(marks)
deaths = len(poisoned.entries())
fine = client.gather(others)
client.wait_for_workers(2, timeout=60)
alive = client.submit(innocent, 7, pure=False).result(timeout=60)
client.run_on_scheduler(forgive, deaths=3)
""",
    },
    {
        "claim": "lost spill files ended in errors that name them; after a restart all was right",
        "cell": "disk",
        # the worker goes away together with its files, and the scheduler knows
        "source": """
def add_prices(orders):
    return int((orders.price * 100).round().astype("int64").sum())


early = {"distributed.worker.memory.target": 0.03}
place = terminals.folder / f"disk-{uuid.uuid4()}"
with (
    dask.config.set(early),
    LocalCluster(**options | {"n_workers": 1}, local_directory=str(place)) as one,
    Client(one, set_as_default=False) as guest,
    guest.as_current(),
):
    reading = Journal(terminals.folder)
    tables = [
        guest.submit(read, n, path, reading, pure=False)
        for n, path in enumerate(inputs[:12] * 2)
    ]
    wait(tables)
    before = guest.gather(guest.map(add_prices, tables, pure=False))
    files = list(place.glob("dask-scratch-space/worker-*/storage/*"))
    guest.restart_workers(list(guest.scheduler_info()["workers"]))
    sums = guest.map(add_prices, tables, pure=False)
    wait(sums)
    failed = [future for future in sums if future.status == "error"]
    errors = Counter(type(future.exception()).__name__ for future in failed)
    named = all("storage" in str(future.exception()) for future in failed)
    after = guest.gather(sums)
    readings = len(reading.entries())
""",
    },
    {
        "claim": "the scheduler's death was told at once, and no finished part was done again",
        "cell": "resume",
        # nobody looks what is there
        "source": """
address = start_scheduler()
workers = {name: start_worker(name, address) for name in ("east", "west")}
with Client(address, set_as_default=False) as guest:
    missing = [
        guest.submit(write_part, n, path, str(folder), parts, pure=False)
        for n, path in enumerate(inputs)
    ]
    guest.gather(missing)

written = parts.entries().number.value_counts()
resumed = cents_of([str(folder / name) for name in sorted(finished())])
""",
        "alone": True,  # what was written twice stays in the journal
    },
    {
        "claim": "a worker ended with its nanny, and nobody started another one",
        "cell": "nanny",
        "alone": True,  # another worker of that name
        # the worker is killed, and its nanny lives
        "source": """
with Client(address, set_as_default=False) as guest:
    pids = guest.run(lambda dask_worker: psutil.Process().pid)
    names = {info["name"]: a for a, info in guest.scheduler_info()["workers"].items()}
    worker_pid = pids[names["east"]]
    psutil.Process(worker_pid).kill()
    watch.until(lambda: len(guest.scheduler_info()["workers"]) == 1, "the loss")
    guest.wait_for_workers(2, timeout=60)
    status = None
    left = [info["name"] for info in guest.scheduler_info()["workers"].values()]
""",
    },
    {
        "claim": "a damaged spill file went unnoticed, the answer was wrong; a checksum caught it",
        "cell": "damage",
        # nobody writes into the files
        "source": """
def noise(seed):
    return np.random.default_rng(seed).random(2**21)


def sealed(seed):
    data = noise(seed)
    return data, zlib.crc32(data)


def opened(pair):
    data, checksum = pair
    if zlib.crc32(data) != checksum:
        raise OSError("these are not the bytes that were put away")
    return float(data.sum())


def total_of(data):
    return float(data.sum())


def untouched(make, use):
    place = terminals.folder / f"untouched-{uuid.uuid4()}"
    with (
        dask.config.set(early),
        LocalCluster(**options | {"n_workers": 1}, local_directory=str(place)) as one,
        Client(one, set_as_default=False) as guest,
        guest.as_current(),
    ):
        made = guest.map(make, range(10), pure=False)
        wait(made)
        files = list(place.glob("dask-scratch-space/worker-*/storage/*"))
        used = guest.map(use, made, pure=False)
        wait(used)
        return [f.exception() or f.result() for f in used], len(files)


right = [total_of(noise(seed)) for seed in range(10)]
trusted, files_of_trusted = untouched(noise, total_of)
checked, files_of_checked = untouched(sealed, opened)
wrong = sum(not np.isclose(one, other) for one, other in zip(trusted, right, strict=True))
refused = sum(isinstance(one, OSError) for one in checked)
""",
    },
    {
        "claim": "with tables on disk a lost worker cost its sums, and no table was read again",
        "cell": "checkpoint",
        # nobody looks whether a table is there
        "source": """
def store(number, path, folder, journal):
    part = Path(folder) / Path(path).name
    journal.note("read", number)
    pd.read_parquet(path, columns=["price", "quantity"]).to_parquet(part)
    return str(part)


def add_up_stored(number, part, journal):
    return add_up(number, pd.read_parquet(part), journal)


between = tempfile.mkdtemp(dir=terminals.folder)
kept = Journal(terminals.folder)
stored = [client.submit(store, n, inputs[n], between, kept, pure=False) for n in numbers]
wait(stored)
sums = [client.submit(add_up_stored, n, stored[n], kept, pure=False) for n in numbers]
watch.until(lambda: kept.count("sum") > len(inputs) // 3, "a third of the sums")
victim = sorted(client.scheduler_info()["workers"])[0]
dead = faults.kill(client, victim)
total = sum(client.gather(sums))
client.wait_for_workers(2, timeout=60)

entries = kept.entries()
twice = entries.groupby("what").number.apply(lambda n: int(n.duplicated().sum())).to_dict()
""",
    },
]
