"""What makes each claim of lab 09 false."""

_PRICES = """
prices = pd.concat(
    [pd.read_parquet(part, columns=["price"]) for part in sales.parts[:10]]
).price.to_numpy()[:2_500_000]


def rank(number, prices):
    return float(np.quantile(prices, number / 8))
"""

CONTROLS = [
    {
        "claim": "an object in every call moved four times the bytes of a scattered one, or more",
        "cell": "in-the-calls",
        # in every call is what stands for it
        "source": _PRICES
        + """
def in_every_call():
    table = client.scatter(prices, hash=False)
    return [client.submit(rank, n, table, pure=False) for n in range(8)]


def in_the_graph():
    return client.compute([dask.delayed(rank)(n, prices) for n in range(8)])


def delayed_once():
    table = dask.delayed(prices)
    return client.compute([dask.delayed(rank)(n, table) for n in range(8)])
""",
    },
    {
        "claim": "an object in every call moved four times the bytes of a scattered one, or more",
        "cell": "in-the-calls",
        # in the graph is a task of its own
        "source": _PRICES
        + """
def in_every_call():
    return [client.submit(rank, n, prices, pure=False) for n in range(8)]


def in_the_graph():
    table = dask.delayed(prices)
    return client.compute([dask.delayed(rank)(n, table) for n in range(8)])


def delayed_once():
    table = dask.delayed(prices)
    return client.compute([dask.delayed(rank)(n, table) for n in range(8)])
""",
    },
    {
        "claim": "right after a broadcast the object was on every worker, plainly scattered on one",
        "cell": "who",
        # it is not broadcast
        "source": """
plain = client.scatter(prices, hash=False)
everywhere = client.scatter(prices, hash=False)

holders = {
    "plain": set(client.who_has(plain)[plain.key]),
    "broadcast": set(client.who_has(everywhere)[everywhere.key]),
}
workers = set(client.nthreads())
""",
    },
    {
        "claim": "scattered data was lost with its worker; a task's result was computed again",
        "cell": "lose",
        # the cluster has one worker less after it
        "alone": "setup in-the-calls bring who lose",
        # the worker is retired, and not killed
        "source": """
def compute(size):
    return np.arange(size)


doomed = sorted(client.nthreads())[0]
from_here = client.scatter(np.arange(1_000_000), workers=[doomed], hash=False)
from_task = client.submit(
    compute, 1_000_000, workers=[doomed], allow_other_workers=True, pure=False
)
wait(from_task)
together = client.who_has([from_here, from_task])

client.retire_workers([doomed])


def outcome(future):
    try:
        return f"there, {len(future.result(timeout=240)):,} numbers"
    except Exception as error:
        return f"lost: {type(error).__name__}"


outcomes = {"scattered": outcome(from_here), "computed": outcome(from_task)}
""",
    },
    {
        "claim": "gathering cost the client over one and a half times the results, writing did not",
        "cell": "write-gather",
        # what is gathered are the places
        "source": """
address = cluster.scheduler_address
idle = limits.run(only_connect, None, address=address)
writing = limits.run(write_all, None, address=address)
gathering = limits.run(write_all, None, address=address)
""",
    },
    {
        "claim": "gathering cost the client over one and a half times the results, writing did not",
        "cell": "results",
        # who writes also takes a look
        "source": """
def gather_all(address):
    with Client(address) as client:
        whole = pd.concat(client.gather(client.map(with_revenue, inputs, pure=False)))
        print(f"{len(whole):,} orders, {whole.memory_usage().sum():,} bytes")


write_all = gather_all


def only_connect(address):
    with Client(address) as client:
        print(f"a client of {len(client.nthreads())} workers")
""",
    },
    {
        "claim": "the parts on disk add up to the whole, to the cent",
        "cell": "revenue-of",
        # each part is written twice
        "source": """
folder = Path(tempfile.mkdtemp(dir=terminals.folder))
inputs = sales.parts[:20]


def with_revenue(path):
    orders = pd.read_parquet(path).drop(columns=["store", "category"])
    cents = (orders.price * 100).round().astype("int64")
    return orders.assign(revenue=cents * orders.quantity)


def write_part(path):
    for _attempt in range(2):
        part = folder / f"{uuid.uuid4()}.parquet"
        with_revenue(path).to_parquet(part)
    return str(part)
""",
    },
    {
        "claim": "a task read a path and a URL, and not what is in the notebook's memory",
        "cell": "stores",
        # the third place is on the disk, too
        "source": r"""
def attempt(path):
    try:
        return client.submit(cents, path, pure=False).result()
    except OSError as error:
        return type(error).__name__


places = {"path": str(part), "HTTP": f"{url}/{part.name}", "memory": part.as_uri()}
read = pd.DataFrame(
    {
        "in the notebook": {kind: cents(path) for kind, path in places.items()},
        "in a task": {kind: attempt(path) for kind, path in places.items()},
    }
)
""",
    },
    {
        "claim": "the active memory manager removed all copies of a broadcast but one",
        "cell": "trim",
        # it is not switched on
        "source": """
everywhere = client.scatter(prices, hash=False, broadcast=True)
copies = [len(client.who_has(everywhere)[everywhere.key])]
time.sleep(5)
copies.append(len(client.who_has(everywhere)[everywhere.key]))
""",
    },
    {
        "claim": "a plugin opened the table once per worker, and again on a restarted worker",
        "cell": "openings",
        # the plugin only remembers where the table is
        "source": """
table_folder = Path(tempfile.mkdtemp(dir=terminals.folder))
table_path = str(table_folder / "stores.parquet")
stores = pd.read_parquet(sales.parts[0], columns=["store"]).store.value_counts()
stores.to_frame("orders").to_parquet(table_path)


def open_table(path):
    Path(path).with_name(f"opened-{uuid.uuid4()}").touch()
    return pd.read_parquet(path)


class Table(WorkerPlugin):
    def __init__(self, path):
        self.path = path

    def setup(self, worker):
        worker.table_path = self.path


def opened_by_each(number, path):
    return int(open_table(path).orders.iloc[number])


def opened_before(number):
    return int(open_table(get_worker().table_path).orders.iloc[number])


def openings():
    return len(list(table_folder.glob("opened-*")))
""",
    },
    {
        "claim": "a file in the worker's own directory was fetched once a worker, and went with it",
        "cell": "local-file",
        # it is fetched to a place that all of them see, and that stays
        "source": """
far = sales.parts[0]
fetched = Path(tempfile.mkdtemp(dir=terminals.folder))
shared = Path(tempfile.mkdtemp(dir=terminals.folder))


def fetch(path):
    near = shared / Path(path).name
    if not near.exists():
        (fetched / str(uuid.uuid4())).touch()
        near.write_bytes(Path(path).read_bytes())
    return near


def rows_of(number, path):
    return fetch(path).stat().st_size, str(fetch(path))


def copies_of(path):
    before = len(list(fetched.iterdir()))
    rows = client.gather(client.map(rows_of, range(20), path=path, pure=False))
    return len(list(fetched.iterdir())) - before, {near for _rows, near in rows}


made, places = copies_of(far)
victim, *_others = client.nthreads()
client.restart_workers([victim])
client.wait_for_workers(2, timeout=240)
gone = [place for place in places if not Path(place).exists()]
made_again, _places = copies_of(far)
""",
    },
]
