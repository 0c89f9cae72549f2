"""What makes each claim of lab 20 false."""

_JOIN = """
moved = {
    "small": share_that_moved(with_stores),
    "large": share_that_moved(with_shipments),
}
"""

_COST = """
def by(column, joined):
    return joined.groupby(column).price.agg(["sum", "count"], split_out=1)


regions, small = cost_of(by("region", orders.merge(stores, on="store")))
carriers, large = cost_of(by("carrier", orders.merge(shipments, on="order_id")))
costs = pd.DataFrame({"with the stores": small, "with the shipments": large})
"""

_HELPED = """
SALTS = pd.DataFrame({"salt": range(8)})

salted = bought.assign(salt=bought.order_id % len(SALTS))
repeated = customers.map_partitions(pd.DataFrame.merge, SALTS, how="cross")
helped = {
    "salted": spread(salted.merge(repeated, on=["customer", "salt"])),
    "sent to all": spread(
        bought.merge(customers.repartition(npartitions=1), on="customer")
    ),
}
"""

_PERSIST = """
planned = [cost_of(question)[1] for question in questions(joined)]
kept, persisting = cost_of(joined, persisted)
ready = [cost_of(question)[1] for question in questions(kept)]

keys = {future.key for future in futures_of(kept)}
after_persist = held(keys)
late = kept[kept.days > 7]
del kept
after_del = held(keys)
_sum, late_cost = cost_of(late.price.sum())
del late
in_the_end = held(keys)
"""

_ONCE = """
prices = orders.groupby("category").price
asked = [prices.sum(split_out=1), prices.max(split_out=1), prices.count(split_out=1)]


def reading_tasks(compute):
    with watch.record(client) as seen:
        compute()
    ran = seen.tasks[seen.tasks.action == "compute"].prefix
    return int(ran.str.startswith("read").sum())


"""

_GOING_IN = """
ran = stream.tasks[stream.tasks.action == "compute"]
last_in = ran[ran.prefix == "hash-join-transfer"].stop.max()
first_out = ran[ran.prefix == "hashjoinp2p"].start.min()
going_in = stream.memory[stream.memory.seconds < last_in]
results = going_in.groupby("worker").managed.max().sum() / 1e6
"""

_MEMORY = (
    """
counts = orders.merge(shipments, on="order_id").map_partitions(len, meta=(None, int))
with watch.record(client) as stream:
    _counts, by_files = cost_of(counts)
"""
    + _GOING_IN
)

_INDEX = """
shipments.set_index("order_id").to_parquet(place / "sorted")
by_order = dd.read_parquet(place / "sorted", calculate_divisions=True)
one = int(by_order.divisions[len(by_order.divisions) // 2]) + 1

found, by_index = cost_of(by_order.loc[one:one])
filtered, by_filter = cost_of(shipments[shipments.order_id == one])
orders_by_id = dd.read_parquet(
    place / "orders", index="order_id", calculate_divisions=True
)
together, by_divisions = cost_of(by("carrier", orders_by_id.join(by_order)))
"""

_FILTER = """
limit = float(orders.price.quantile(0.999).compute())
top = orders[orders.price > limit]
few = top.persist()
packed = top.repartition(npartitions=1).persist()
wait([few, packed])

total, of_few = cost_of(few.price.sum())
same, of_packed = cost_of(packed.price.sum())
rows = few.map_partitions(len).compute().tolist()
del few, packed
"""

_META = """
def in_cents(rows):
    cents = (rows.price * 100).round().astype("int64")
    return pd.DataFrame({"order_id": rows.order_id, "cents": cents})


def promised(**columns):
    plan = orders.partitions[:2].map_partitions(
        in_cents, meta={"order_id": "int64", **columns}
    )
    try:
        return str(plan.dtypes.iloc[-1]), str(plan.compute().dtypes.iloc[-1])
    except ValueError as error:
        return str(plan.dtypes.iloc[-1]), error


promises = {
    "cents, int64": promised(cents="int64"),
    "cents, float64": promised(cents="float64"),
    "dollars": promised(dollars="int64"),
}
"""

_GUESSED = """
codes = [f"{number:05}" for number in range(60_000)]
pd.DataFrame({"code": codes, "amount": 1}).to_csv(place / "codes.csv", index=False)
known = pd.DataFrame({"code": codes[:100], "name": "known"})


def matches(**options):
    ours = dd.read_csv(place / "codes.csv", blocksize="200 kB", **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            return len(ours.merge(known, on="code")), caught
        except ValueError as error:
            return str(error), caught


guess, warned = matches()
said, _quiet = matches(dtype={"code": "string"})
"""

_GRAPH = """
prices_known = pd.DataFrame({"price": random.random(2_000_000)})


def cheaper(rows, known):
    return int((rows.price < 1000 * known.price.mean()).sum())


def of_eight(known):
    question = orders.partitions[:8].map_partitions(cheaper, known, meta=(None, int))
    return question.compute()


def sent(ask):
    with (
        warnings.catch_warnings(record=True) as caught,
        traffic.through_scheduler(client) as passed,
    ):
        warnings.simplefilter("always")
        ask()
    return passed.sent / 1e6, [str(warning.message) for warning in caught]


in_graph, told = sent(lambda: of_eight(prices_known))
by_future, quiet = sent(lambda: of_eight(client.scatter(prices_known)))
"""

_NESTED = """
stuck = nested(with_get_client, seconds=3)
moving = nested(with_worker_client, seconds=60)
"""

_DOOR = """
def ask(number, door=None):
    if door is not None:
        with door:
            return ask(number)
    began = time.monotonic()
    time.sleep(0.05)
    return began, time.monotonic()


def most_at_once(times):
    ends = [(began, 1) for began, _ended in times] + [(ended, -1) for _, ended in times]
    return int(np.cumsum([step for _, step in sorted(ends)]).max())


"""

_LOOP = """
def heard(other):
    plugins = other.run(lambda dask_worker: dask_worker.plugins["hears"].heard)
    return [text for heard in plugins.values() for text in heard if "Event" in text]


limit = "DASK_DISTRIBUTED__ADMIN__TICK__LIMIT"
with (
    dask.config.set({f"distributed.nanny.pre-spawn-environ.{limit}": "500 ms"}),
    LocalCluster(n_workers=1, **options) as one_worker,
    Client(one_worker, set_as_default=False) as other,
):
    other.register_plugin(Hears(), name="hears")
    other.submit(in_steps, seconds).result()
    after_steps = heard(other)
    other.submit(in_one_step, exponent).result()
    after_one_step = heard(other)
os.environ.pop(limit, None)
"""

CONTROLS = [
    {
        "claim": "the plan with the small table had no shuffle; with the large one most rows moved",
        "cell": "join",
        # fifty rows in eight partitions
        "source": """
with_stores = read.merge(dd.from_pandas(stores, npartitions=8), on="store")
with_shipments = read.merge(shipments, on="order_id")
"""
        + _JOIN,
    },
    {
        "claim": "the plan with the small table had no shuffle; with the large one most rows moved",
        "cell": "join",
        # the large table is in one partition
        "source": """
with_stores = read.merge(stores, on="store")
with_shipments = read.merge(shipments.repartition(npartitions=1), on="order_id")
"""
        + _JOIN,
    },
    {
        "claim": "the shuffled rows went from worker to worker, by files, and not by the scheduler",
        "cell": "cost",
        # tasks cut everything up, in memory
        "source": _COST.replace('on="order_id")', 'on="order_id", shuffle_method="tasks")'),
    },
    {
        "claim": "the shuffled rows went from worker to worker, by files, and not by the scheduler",
        "cell": "cost",
        # the small table has eight partitions
        "source": _COST.replace("orders.merge(stores,", "orders.merge(dd.from_pandas(stores, npartitions=8),"),
    },
    {
        "claim": "the shuffled rows went from worker to worker, by files, and not by the scheduler",
        "cell": "cost",
        "alone": "setup join-how join cost-how cost",
        # there is only one worker, so all that's cut up stays there
        "source": """
client.close()
cluster.close()
cluster = LocalCluster(n_workers=1, **options)
client = Client(cluster)
"""
        + _JOIN
        + _COST,
    },
    {
        "claim": "one key filled a partition and a worker; salt and a copy for each worker helped",
        "cell": "skew",
        # nobody is a guest
        "source": 'as_it_is = spread(orders.merge(customers, on="customer"))\n',
    },
    {
        "claim": "one key filled a partition and a worker; salt and a copy for each worker helped",
        "cell": "helped",
        # there is only one salt
        "source": _HELPED.replace("range(8)", "range(1)"),
    },
    {
        "claim": "one key filled a partition and a worker; salt and a copy for each worker helped",
        "cell": "helped",
        # the customers are in eight partitions, and nobody gets a copy
        "source": _HELPED.replace("customers.repartition(npartitions=1)", "customers"),
    },
    {
        "claim": "what was kept answered without reading, and stayed until its last reference went",
        "cell": "persist",
        # what persist returns is dropped
        "source": _PERSIST.replace("joined, persisted)", "joined, persisted)\nkept = joined"),
    },
    {
        "claim": "what was kept answered without reading, and stayed until its last reference went",
        "cell": "persist",
        # the late orders are not made of what is kept
        "source": _PERSIST.replace("late = kept[kept.days > 7]", "late = joined[joined.days > 7]"),
    },
    {
        "claim": "what was kept answered without reading, and stayed until its last reference went",
        "cell": "persist",
        # another name refers to it
        "source": _PERSIST.replace("del kept", "also = kept\ndel kept") + "\ndel also\n",
    },
    {
        "claim": "a loop of three read everything three times; one dask.compute read it once",
        "cell": "once",
        # the three are computed one by one both times
        "source": _ONCE
        + """
in_a_loop = reading_tasks(lambda: [question.compute() for question in asked])
at_once = reading_tasks(lambda: [dask.compute(question) for question in asked])
""",
    },
    {
        "claim": "a loop of three read everything three times; one dask.compute read it once",
        "cell": "once",
        # the three are computed at once both times
        "source": _ONCE
        + """
in_a_loop = reading_tasks(lambda: dask.compute(asked))
at_once = reading_tasks(lambda: dask.compute(*asked))
""",
    },
    {
        "claim": "until all pieces were in, results took less than half of what was in files",
        "cell": "memory",
        # tasks hold all pieces in memory, while the other way had them in files
        "source": """
_counts, by_files = cost_of(orders.merge(shipments, on="order_id").map_partitions(len, meta=(None, int)))
with watch.record(client) as stream:
    orders.merge(shipments, on="order_id", shuffle_method="tasks").map_partitions(len, meta=(None, int)).compute()
"""
        + _GOING_IN.replace("hash-join-transfer", "split-taskshuffle"),
    },
    {
        "claim": "until all pieces were in, results took less than half of what was in files",
        "cell": "memory",
        # everything is brought into memory first
        "source": """
ours, theirs = orders.persist(), shipments.persist()
wait([ours, theirs])
with watch.record(client) as stream:
    _counts, by_files = cost_of(ours.merge(theirs, on="order_id").map_partitions(len, meta=(None, int)))
del ours, theirs
"""
        + _GOING_IN,
    },
    {
        "claim": "no partition came out of the shuffle before the last one had gone in",
        "cell": "memory",
        # nothing is shuffled: the other table is small
        "source": _MEMORY
        + """
with watch.record(client) as stream:
    orders.merge(stores, on="store").map_partitions(len, meta=(None, int)).compute()
ran = stream.tasks[stream.tasks.action == "compute"]
last_in = ran[ran.prefix.str.startswith("read")].stop.max()
first_out = ran[ran.prefix == "blockwisemerge"].start.min()
""",
    },
    {
        "claim": "sorted by its key, a table was looked up in one task and joined without a shuffle",
        "cell": "index",
        # the files are sorted, but Dask doesn't know the divisions
        "source": _INDEX.replace(
            "found, by_index",
            'by_order = dd.read_parquet(place / "sorted")\nfound, by_index',
        ),
    },
    {
        "claim": "sorted by its key, a table was looked up in one task and joined without a shuffle",
        "cell": "index",
        # the join is by a column
        "source": _INDEX.replace("orders_by_id.join(by_order)", 'orders.merge(shipments, on="order_id")'),
    },
    {
        "claim": "a filter left all partitions, nearly empty; packed in one, they took fewer tasks",
        "cell": "filter",
        # nearly all orders pass
        "source": _FILTER.replace("quantile(0.999)", "quantile(0.001)"),
    },
    {
        "claim": "a filter left all partitions, nearly empty; packed in one, they took fewer tasks",
        "cell": "filter",
        # nobody packs them
        "source": _FILTER.replace(".repartition(npartitions=1)", ""),
    },
    {
        "claim": "a promised column that didn't come raised an error; a wrong type passed silently",
        "cell": "meta",
        # types are made what was promised
        "source": _META.replace(
            'in_cents, meta={"order_id": "int64", **columns}\n    )',
            'in_cents, meta={"order_id": "int64", **columns}\n    ).map_partitions(\n'
            "        lambda rows: rows.astype(columns | {}, errors='ignore') if 'cents' in columns else rows,\n"
            '        meta={"order_id": "int64", **columns},\n    )',
        ),
    },
    {
        "claim": "a promised column that didn't come raised an error; a wrong type passed silently",
        "cell": "meta",
        # the column that comes is promised
        "source": _META.replace('promised(dollars="int64")', 'promised(cents="int32")'),
    },
    {
        "claim": "a key guessed to be a number didn't join with texts; with dtype= all did",
        "cell": "guessed",
        # the codes don't look like numbers
        "source": _GUESSED.replace('f"{number:05}"', 'f"C{number:05}"'),
    },
    {
        "claim": "a key guessed to be a number didn't join with texts; with dtype= all did",
        "cell": "guessed",
        # the type that is given is the guessed one
        "source": _GUESSED.replace('"code": "string"', '"code": "int64"'),
    },
    {
        "claim": "a table in the plan raised a warning and went out eight times; scattered, once",
        "cell": "graph",
        # the table is small
        "source": _GRAPH.replace("2_000_000", "2_000"),
    },
    {
        "claim": "a table in the plan raised a warning and went out eight times; scattered, once",
        "cell": "graph",
        # it's in the plan both times
        "source": _GRAPH.replace("client.scatter(prices_known)", "prices_known"),
    },
    {
        "claim": "a table in the plan raised a warning and went out eight times; scattered, once",
        "cell": "graph",
        # it's scattered twice
        "source": _GRAPH.replace(
            "of_eight(client.scatter(prices_known))",
            "of_eight([client.scatter(prices_known, hash=False) for _ in range(2)][0])",
        ),
    },
    {
        "claim": "a connection couldn't be sent, and the cause named it; one opened there answered",
        "cell": "travel",
        # what is sent is a path
        "source": """
def tried(function, *arguments):
    try:
        return client.submit(function, *arguments, pure=False).result()
    except TypeError as error:
        return error


brought = tried(opened_there, "S07")
cause = getattr(brought, "__cause__", None)
opened = tried(opened_there, "S07")
""",
    },
    {
        "claim": "tasks that waited for tasks had all threads; with worker_client they all ended",
        "cell": "nested",
        # there is a thread for each of them, and one more
        "source": "options = options | {'threads_per_worker': 3}\n"
        + _NESTED
        + "options = options | {'threads_per_worker': 1}\n",
    },
    {
        "claim": "tasks that waited for tasks had all threads; with worker_client they all ended",
        "cell": "nested",
        # nobody leaves their thread
        "source": _NESTED.replace("nested(with_worker_client, seconds=60)", "nested(with_get_client, seconds=3)"),
    },
    {
        "claim": "with a semaphore of two leases, two tasks were in at once, without it more",
        "cell": "door",
        # it has as many leases as there are threads
        "source": _DOOR
        + """
door = Semaphore(max_leases=4, name="a wide one")
without_door = most_at_once(client.gather(client.map(ask, range(40), pure=False)))
asked = client.map(ask, range(40), door=door, pure=False)
with_door = most_at_once(client.gather(asked))
""",
    },
    {
        "claim": "with a semaphore of two leases, two tasks were in at once, without it more",
        "cell": "door",
        # only two workers ask in the first place
        "source": _DOOR
        + """
door = Semaphore(max_leases=2, name="database")
two = list(client.nthreads())[:2]
without_door = most_at_once(client.gather(client.map(ask, range(40), workers=two, pure=False)))
asked = client.map(ask, range(40), door=door, pure=False)
with_door = most_at_once(client.gather(asked))
""",
    },
    {
        "claim": "one long step in C made a worker's event loop unresponsive; a Python loop didn't",
        "cell": "loop-run",
        # both run in steps
        "source": _LOOP.replace("in_one_step, exponent", "in_steps, seconds"),
    },
    {
        "claim": "one long step in C made a worker's event loop unresponsive; a Python loop didn't",
        "cell": "loop-run",
        # both are one step
        "source": _LOOP.replace("in_steps, seconds", "in_one_step, exponent"),
    },
]
