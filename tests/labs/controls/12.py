"""What makes each claim of lab 12 false."""

_KILL = """
client.wait_for_workers(2, timeout=240)
exact = cents_of(inputs)
journal = Journal(terminals.folder)
numbers = range(len(inputs))
"""

CONTROLS = [
    {
        "claim": "a worker was killed in the middle, and the answer is exact",
        "cell": "kill",
        # the tables were handed over by the notebook: nobody can make them again
        "source": _KILL
        + """
with watch.record(client) as drill:
    frames = [pd.read_parquet(path, columns=["price", "quantity"]) for path in inputs]
    tables = client.scatter(frames, hash=False)
    sums = [client.submit(add_up, n, tables[n], journal, pure=False) for n in numbers]
    watch.until(lambda: journal.count("sum") > len(inputs) // 3, "a third of the sums")
    victim, survivor = sorted(client.nthreads())
    dead = faults.kill(client, victim)
    before_death = journal.count("sum")
    total = sum(client.gather(sums, errors="skip"))
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
    for victim in sorted(client.nthreads()):
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
            victim, survivor = sorted(client.nthreads())
            dead = faults.kill(client, victim)
        total = sum(client.gather(sums))
""",
    },
    {
        "claim": "what ran again had been on the dead worker or was needed for it, and nothing else",
        "cell": "kill",
        # the tables are all on the other worker, and somebody holds them
        "source": _KILL
        + """
victim, survivor = sorted(client.nthreads())
with watch.record(client) as drill:
    tables = [
        client.submit(read, n, inputs[n], journal, workers=[survivor], pure=False)
        for n in numbers
    ]
    wait(tables)
    sums = [
        client.submit(
            *(add_up, n, tables[n], journal),
            workers=[victim],
            allow_other_workers=True,
            pure=False,
        )
        for n in numbers
    ]
    watch.until(lambda: journal.count("sum") > len(inputs) // 3, "a third of the sums")
    dead = faults.kill(client, victim)
    before_death = journal.count("sum")
    total = sum(client.gather(sums))
""",
    },
    {
        "claim": "after four deaths the poison task was given up; others ran, the cluster lived on",
        "cell": "poison",
        # one more death is forgiven
        "source": """
poisoned = Journal(terminals.folder)
with (
    dask.config.set({"distributed.scheduler.allowed-failures": 4}),
    LocalCluster(**options | {"threads_per_worker": 2}) as shared,
    Client(shared, set_as_default=False) as guest,
):
    others = guest.map(innocent, range(60), key="innocent")
    poison = guest.submit(crash, poisoned, key="poison", priority=1)
    verdict = poison.exception(timeout=240)
    fine = guest.gather(others)
    marked = guest.run_on_scheduler(marks)
    guest.wait_for_workers(2, timeout=240)
    alive = guest.submit(innocent, 7, pure=False).result(timeout=240)

deaths = len(poisoned.entries())
bystanders = Counter(times for key, times in marked.items() if key != "poison")
""",
    },
    {
        "claim": "lost spill files ended in errors that name them; after a restart all was right",
        "cell": "disk",
        # the worker goes away together with its files, and the scheduler knows
        "source": """
early = {"distributed.worker.memory.target": 0.03}
place = terminals.folder / f"disk-{uuid.uuid4()}"
with (
    dask.config.set(early),
    LocalCluster(**options | {"n_workers": 1, "local_directory": str(place)}) as one,
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
    deleted = list(place.glob("dask-scratch-space/worker-*/storage/*"))
    guest.restart_workers(list(guest.nthreads()))
    sums = guest.map(add_prices, tables, pure=False)
    wait(sums)
    failed = [future for future in sums if future.status == "error"]
    errors = Counter(type(future.exception()).__name__ for future in failed)
    named = []
    after = guest.gather(sums)
    readings = len(reading.entries())
""",
    },
    {
        "claim": "the client learned of the scheduler's death; no finished part was written again",
        "cell": "scheduler",
        # it dies when all is done
        "source": """
address = start_scheduler()
workers = {name: start_worker(name, address) for name in ("east", "west")}
folder = Path(tempfile.mkdtemp(dir=terminals.folder))
parts = Journal(terminals.folder)


def finished():
    return {part.name for part in folder.glob("*.parquet")}


with Client(address, set_as_default=False) as guest:
    job = [
        guest.submit(write_part, n, path, str(folder), parts, pure=False)
        for n, path in enumerate(inputs)
    ]
    told = None
    try:
        guest.gather(job)
    except FutureCancelledError as error:
        told = error
    pid = guest.run_on_scheduler(lambda: psutil.Process().pid)
    psutil.Process(pid).kill()

ends = {name: worker.wait() for name, worker in workers.items()}
saved = finished()
""",
    },
    {
        "claim": "the client learned of the scheduler's death; no finished part was written again",
        "cell": "resume",
        # nobody looks what is there
        "source": """
def stamps():
    return {
        part.name: (part.stat().st_mtime_ns, part.stat().st_ino)
        for part in folder.glob("*.parquet")
    }


stamps_before = stamps()
address = start_scheduler()
workers = {name: start_worker(name, address) for name in ("east", "west")}
rest = Journal(terminals.folder)
with Client(address, set_as_default=False) as guest:
    missing = [
        guest.submit(write_part, n, path, str(folder), rest, pure=False)
        for n, path in enumerate(inputs)
    ]
    guest.gather(missing)

stamps_after = stamps()
rewritten = [name for name, at in stamps_before.items() if stamps_after[name] != at]
resumed = cents_of([str(folder / name) for name in sorted(finished())])
""",
    },
    {
        "claim": "a worker ended with its nanny, and nobody started another one",
        "cell": "nanny",
        # another worker of that name
        "alone": "setup journal sums kill start-up scheduler resume nanny",
        # the worker is killed, and its nanny lives
        "source": """
def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


with Client(address, set_as_default=False) as guest:
    pids = guest.run(lambda dask_worker: psutil.Process().pid)
    names = {info["name"]: a for a, info in guest.scheduler_info()["workers"].items()}
    worker_pid = pids[names["east"]]
    psutil.Process(worker_pid).kill()
    watch.until(lambda: len(guest.nthreads()) == 1, "the loss")
    guest.wait_for_workers(2, timeout=240)
    status = None
    left = [info["name"] for info in guest.scheduler_info()["workers"].values()]
""",
    },
    {
        "claim": "a damaged spill file went unnoticed, the answer was wrong; a checksum caught it",
        "cell": "damage",
        # nobody writes into the files
        "source": """
def untouched(make, use):
    place = terminals.folder / f"untouched-{uuid.uuid4()}"
    with (
        dask.config.set(early),
        LocalCluster(**options | {"n_workers": 1, "local_directory": str(place)}) as one,
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
        "claim": "a damaged spill file went unnoticed, the answer was wrong; a checksum caught it",
        "cell": "damage",
        # nobody compares the checksums
        "source": """
def not_compared(pair):
    return float(pair[0].sum())


right = [total_of(noise(seed)) for seed in range(10)]
trusted, files_of_trusted = damaged(noise, total_of)
checked, files_of_checked = damaged(sealed, not_compared)
wrong = sum(
    not np.isclose(one, other) for one, other in zip(trusted, right, strict=True)
)
refused = sum(isinstance(one, OSError) for one in checked)
""",
    },
    {
        "claim": "with tables on disk a lost worker cost its sums, and no source was read again",
        "cell": "store",
        # nobody looks whether a table is there
        "source": """
def store(number, path, folder, journal):
    part = Path(folder) / Path(path).name
    journal.note("read", number)
    pd.read_parquet(path, columns=["price", "quantity"]).to_parquet(part)
    return str(part)


def add_up_stored(number, part, journal):
    return add_up(number, pd.read_parquet(part), journal)
""",
    },
]
