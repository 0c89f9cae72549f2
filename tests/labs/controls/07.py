"""What makes each claim of lab 07 false."""

_PRIORITY = """
def hold(number):
    return Event("go").wait(timeout="60s")


def short(number):
    time.sleep(0.02)


def queued(dask_scheduler):
    return len(dask_scheduler.queued)


Event("go").clear()
"""

CONTROLS = [
    {
        "claim": "equal calls ran once, with pure=False each time; delayed ones were never equal",
        "cell": "pure",
        # they are not the same function: each has a number of its own in it
        "source": """
def squares(factor):
    return lambda number: factor * number * number


with watch.record(client) as as_usual:
    equal = [client.submit(squares(factor), 7) for factor in range(5)]
    client.gather(equal)

with watch.record(client) as told_otherwise:
    client.gather([client.submit(squares(1), 7, pure=False) for _ in range(5)])

delayed_keys = set(range(5))


def runs(recording):
    return int((recording.tasks.action == "compute").sum())
""",
    },
    {
        "claim": "equal calls ran once, with pure=False each time; delayed ones were never equal",
        "cell": "pure",
        # the delayed function says that it is pure
        "source": """
def square(number):
    return number * number


with watch.record(client) as as_usual:
    equal = [client.submit(square, 7) for _ in range(5)]
    client.gather(equal)

with watch.record(client) as told_otherwise:
    client.gather([client.submit(square, 7, pure=False) for _ in range(5)])

wrapped = dask.delayed(square, pure=True)
delayed_keys = {wrapped(7).key for _ in range(5)}


def runs(recording):
    return int((recording.tasks.action == "compute").sum())
""",
    },
    {
        "claim": "a restricted task ran where it was told, an unrestricted one anywhere",
        "cell": "where",
        # it is said of a worker that is not there, and meant as a wish
        "source": """
def work(number):
    time.sleep(0.1)
    return get_worker().address


first, second = sorted(client.nthreads())

with watch.record(client) as free:
    client.gather(client.map(work, range(8), key="anywhere", pure=False))

with watch.record(client) as restricted:
    nobody = {"workers": ["tcp://127.0.0.1:9"], "allow_other_workers": True}
    ran_on = client.gather(client.map(work, range(8), key="there", **nobody, pure=False))
""",
    },
    {
        "claim": "a task went to where its data were, and the data stayed, however small they were",
        "cell": "locality",
        # the tasks are told to run on the other worker
        "source": """
def make(number):
    return np.random.default_rng(number).random(2_500_000)


def use(block):
    return get_worker().address


holders = [first, second, second, first, second, first, first, second]
with watch.record(client) as making:
    blocks = [
        client.submit(make, number, workers=[holder], pure=False)
        for number, holder in enumerate(holders)
    ]
    wait(blocks)

other = {first: second, second: first}
with watch.record(client) as using:
    used_on = client.gather(
        [
            client.submit(use, block, workers=[other[holder]], pure=False)
            for block, holder in zip(blocks, holders, strict=True)
        ]
    )

moved = int(using.transfers.bytes.sum())
made = int(making.tasks.bytes.sum())
small_on = {first: 12}
beside = using
""",
    },
    {
        "claim": "a task went to where its data were, and the data stayed, however small they were",
        "cell": "locality",
        # the small numbers are arguments, and in no place
        "source": """
def make(number):
    return np.random.default_rng(number).random(2_500_000)


def use(block):
    return get_worker().address


holders = [first, second, second, first, second, first, first, second]
with watch.record(client) as making:
    blocks = [
        client.submit(make, number, workers=[holder], pure=False)
        for number, holder in enumerate(holders)
    ]
    wait(blocks)

with watch.record(client) as using:
    used_on = client.gather(client.map(use, blocks, pure=False))

moved = int(using.transfers.bytes.sum())
made = int(making.tasks.bytes.sum())
with watch.record(client) as beside:
    small_on = Counter(client.gather(client.map(work, range(12), pure=False)))
""",
    },
    {
        "claim": "tasks that share one small input were spread over the workers",
        "cell": "shared",
        # each has one of its own
        "source": """
def work_with(number, shared):
    return work(number)


own = [client.submit(int, n, workers=[first], pure=False) for n in range(12)]
wait(own)
with watch.record(client) as sharing:
    shared_on = Counter(client.gather(client.map(work_with, range(12), own, pure=False)))
""",
    },
    {
        "claim": "urgent tasks overtook all that had not been handed to a worker",
        "cell": "priority",
        # nobody says that they are urgent
        "source": _PRIORITY
        + """
with watch.record(client) as queue:
    busy = client.map(hold, range(2), pure=False)
    ordinary = client.map(short, range(10), key="ordinary", pure=False)
    urgent = client.map(short, range(10), key="urgent", pure=False)
    watch.until(lambda: client.run_on_scheduler(queued) == 18, "the arrival of all")
    on_workers = {key for keys in client.processing().values() for key in keys}
    Event("go").set()
    client.gather(busy + ordinary + urgent)
""",
    },
    {
        "claim": "urgent tasks overtook all that had not been handed to a worker",
        "cell": "priority",
        # the urgent ones come first, so that no ordinary one has been handed to a worker
        "source": _PRIORITY
        + """
with watch.record(client) as queue:
    busy = client.map(hold, range(2), pure=False)
    urgent = client.map(short, range(10), key="urgent", priority=10, pure=False)
    watch.until(lambda: client.run_on_scheduler(queued) == 8, "the arrival of the urgent ones")
    ordinary = client.map(short, range(10), key="ordinary", pure=False)
    watch.until(lambda: client.run_on_scheduler(queued) == 18, "the arrival of all")
    on_workers = {key for keys in client.processing().values() for key in keys}
    Event("go").set()
    client.gather(busy + ordinary + urgent)
""",
    },
    {
        "claim": "a resource limited how many tasks ran at once",
        "cell": "resource",
        # the workers have licenses enough
        "source": """
def busy_for(number):
    began = time.time()
    time.sleep(0.1)
    return began, time.time()


threads = options | {"threads_per_worker": 4, "resources": {"LICENSE": 8}}
with (
    LocalCluster(**threads) as licensed,
    Client(licensed, set_as_default=False) as guest,
):
    with watch.record(guest) as as_they_like:
        free = guest.gather(guest.map(busy_for, range(16), pure=False))
    with watch.record(guest) as by_license:
        limited = guest.gather(
            guest.map(busy_for, range(16), resources={"LICENSE": 1}, pure=False)
        )


def most_at_once(spans):
    return max(sum(began <= at < ended for began, ended in spans) for at, _ in spans)


at_once = {"as they like": most_at_once(free), "by license": most_at_once(limited)}
""",
    },
    {
        "claim": "tasks whose futures were dropped never ran, with fire_and_forget all did",
        "cell": "forget",
        # somebody still holds them
        "source": """
def let_go(kind):
    folder = tempfile.mkdtemp(dir=parts)
    tasks = client.map(touch, [folder] * 8, range(8), key=kind, pure=False)
    client.gather(tasks)
    return len(list(Path(folder).iterdir()))


files = {"dropped": let_go("dropped"), "kept": let_go("kept")}
""",
    },
    {
        "claim": "tasks whose futures were dropped never ran, with fire_and_forget all did",
        "cell": "forget",
        # nobody says fire_and_forget
        "source": """
def let_go(kind):
    folder = tempfile.mkdtemp(dir=parts)
    Event("go").clear()
    busy = client.map(hold, range(2), pure=False)
    tasks = client.map(touch, [folder] * 8, range(8), key=kind, pure=False)
    of_them = {"who": client.id, "kind": kind}
    watch.until(lambda: len(client.run_on_scheduler(wanted, **of_them)) == 8, "arrival")
    del tasks
    watch.until(lambda: not client.run_on_scheduler(wanted, **of_them), "letting go")
    Event("go").set()
    client.gather(busy)
    watch.until(lambda: not client.run_on_scheduler(known, kind=kind), "their end")
    return len(list(Path(folder).iterdir()))


files = {"dropped": let_go("dropped"), "kept": let_go("kept")}
""",
    },
    {
        "claim": "a published result outlived the client that made it, the other did not",
        "cell": "publish",
        # nothing is published
        "source": """
with Client(cluster, set_as_default=False) as colleague:
    shared = colleague.submit(sum, range(10), key="shared-result", pure=False)
    private = colleague.submit(sum, range(20), key="private-result", pure=False)
    wait([shared, private])
""",
    },
    {
        "claim": "a published result outlived the client that made it, the other did not",
        "cell": "publish",
        # the other one stays
        "alone": "setup delayed pure where locality priority find output agree claim-agree files-left forget publish "
        "published",
        # both are published
        "source": """
with Client(cluster, set_as_default=False) as colleague:
    shared = colleague.submit(sum, range(10), key="shared-result", pure=False)
    private = colleague.submit(sum, range(20), key="private-result", pure=False)
    wait([shared, private])
    colleague.publish_dataset(theirs=shared, others=private, override=True)
""",
    },
    {
        "claim": "who_has, has_what and the events said of each task what it said itself",
        "cell": "agree",
        # results are copied to where their tasks did not run
        "source": """
topic = f"where-{uuid.uuid4()}"


def report(number):
    get_worker().log_event(topic, number)
    return get_worker().address


reports = client.map(report, range(10), pure=False)
says = dict(zip([f.key for f in reports], client.gather(reports), strict=True))
client.replicate(reports)
who = {key: client.who_has(reports)[key] for key in says}
what = client.has_what()
events = [number for _when, number in client.get_events(topic)]
""",
    },
    {
        "claim": "with the queue at most four blocks were held on two workers, and without it more",
        "cell": "saturation",
        # the scheduler never hears of it, and there is no queue
        "source": """
def run_both(saturation):
    seen, setting = [], "distributed.scheduler.worker-saturation"
    with (
        dask.config.set({setting: float("inf")}),
        LocalCluster(**options) as own,
        Client(own, set_as_default=False) as guest,
    ):
        for neighbors in (1, 4):
            guest.register_plugin(Peak(), name="peak")
            with watch.record(guest) as recording:
                guest.compute(graph(neighbors)).result()
            peak = guest.run_on_scheduler(
                lambda dask_scheduler: dask_scheduler.plugins["peak"].most
            )
            guest.unregister_scheduler_plugin("peak")
            traveled = int(recording.transfers.bytes.sum() // BLOCK)
            seen.append((saturation, neighbors, peak, traveled, recording))
    return seen


names = ["saturation", "neighbors", "held", "traveled", "recording"]
runs_of = pd.DataFrame(run_both(1.1) + run_both(float("inf")), columns=names)
runs_of = runs_of.set_index(["neighbors", "saturation"]).sort_index()
""",
    },
    {
        "claim": "from the queue neighbors were spread and had to travel, without it few had",
        "cell": "roots",
        # no block has a neighbor that it is needed with
        "source": """
class Peak(SchedulerPlugin):
    def __init__(self):
        self.there, self.most = set(), 0

    def transition(self, key, start, finish, *args, **kwargs):
        if str(key).startswith("make") and "memory" in (start, finish):
            (self.there.add if finish == "memory" else self.there.discard)(key)
            self.most = max(self.most, len(self.there))


BLOCK = 2_000_000


@dask.delayed
def make_block(number):
    return np.full(BLOCK // 8, number)


@dask.delayed
def reduce(*blocks):
    return sum(float(block.sum()) for block in blocks)


def graph(neighbors):
    blocks = [make_block(n, dask_key_name=f"make-{n:02}") for n in range(60)]
    return dask.delayed(sum)([reduce(block) for block in blocks])
""",
    },
    {
        "claim": "an equal call gave the old answer after its file had changed",
        "cell": "stale",
        # it is told that the function is not pure
        "source": """
price = parts / "price"


def read(path):
    return Path(path).read_text()


price.write_text("10")
yesterday = client.submit(read, str(price), pure=False)
wait(yesterday)
price.write_text("12")
today = client.submit(read, str(price), pure=False)
""",
    },
    {
        "claim": "allow_other_workers helps when a worker is gone, and not when it is busy",
        "cell": "others",
        # no worker is named
        "source": """
either = client.map(work, range(8), pure=False)
while_busy = Counter(client.gather(either))

gone = "tcp://127.0.0.1:9"
loose = client.submit(
    work, 1, workers=[gone], allow_other_workers=True, key="loose", pure=False
)
strict = client.submit(work, 1, workers=[gone], key="strict", pure=False)
elsewhere = loose.result(timeout=240)
state = client.story("strict")[-1][3]
strict.cancel()
""",
    },
    {
        "claim": "allow_other_workers helps when a worker is gone, and not when it is busy",
        "cell": "others",
        # nobody allows others
        "source": """
either = client.map(work, range(8), workers=[first], pure=False)
while_busy = Counter(client.gather(either))

gone = "tcp://127.0.0.1:9"
loose = client.submit(work, 1, workers=[gone], pure=False)
strict = client.submit(work, 1, workers=[gone], pure=False)
watch.until(
    lambda: {entry[3] for one in (loose, strict) for entry in client.story(one.key)[-1:]} == {"no-worker"},
    "both where no worker is",
)
elsewhere, state = loose.status, "no-worker"
loose.cancel()
strict.cancel()
""",
    },
    {
        "claim": "map with a large keyword argument failed, with the same object scattered it ran",
        "cell": "keyword",
        # the keyword argument is small
        "source": """
table = np.ones(20_000)


def total_of(number, table):
    return number + 20_000 * float(table.mean())


with (
    LocalCluster(**options) as own,
    Client(own, set_as_default=False) as guest,
):
    lent = guest.scatter(table)
    scattered = guest.gather(guest.map(total_of, range(3), table=lent))
    as_keyword = guest.gather(guest.map(total_of, range(3), table=table[:20]))
""",
    },
    {
        "claim": "a task that failed twice succeeded with retries=2, and not with fewer",
        "cell": "again",
        # it does not fail
        "source": """
def with_retries(number):
    folder = tempfile.mkdtemp(dir=parts)
    future = client.submit(touch, folder, number, retries=number, pure=False)
    wait(future)
    return future.status, len(list(Path(folder).iterdir()))


attempts = {number: with_retries(number) for number in (0, 1, 2)}
""",
    },
    {
        "claim": "an annotation around a DataFrame's building was lost, around compute it held",
        "cell": "annotate",
        # the tasks are made where they are written down
        "source": """
with dask.annotate(workers=[second]):
    built = [dask.delayed(work)(number) for number in range(8)]
around_building = set(dask.compute(*built))

with dask.annotate(workers=[second]):
    built = [dask.delayed(work)(number) for number in range(8, 16)]
    around_computing = set(dask.compute(*built))
""",
    },
    {
        "claim": "an annotation around a DataFrame's building was lost, around compute it held",
        "cell": "annotate",
        # nothing stands around compute
        "source": """
def where_it_ran(frame, name):
    return pd.DataFrame({"worker": [get_worker().address]})


def plan(name):
    numbers = dd.from_pandas(pd.DataFrame({"number": range(80)}), npartitions=8)
    return numbers.map_partitions(where_it_ran, name, meta={"worker": "object"})


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    with dask.annotate(workers=[second]):
        built = plan("around the building")
around_building = set(built.compute().worker)
around_computing = set(plan("around compute").compute().worker)
""",
    },
]
