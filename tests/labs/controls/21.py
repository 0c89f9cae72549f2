"""What makes each claim of lab 21 false."""

_RANGES = """
with store.counted() as planning:
    orders = dd.read_parquet("s3://orders/", columns=COLUMNS, storage_options=FRESH)
    revenue = (orders.price * orders.quantity).sum()
with store.counted() as reading:
    total = revenue.compute()

exact = sum((o.price * o.quantity).sum() for o in map(pd.read_parquet, parts))
gets = [request for request in reading.requests if request.method == "GET"]
"""

_KEYLESS = """
no_key = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
with (
    LocalCluster(n_workers=1, env=no_key, **options) as bare,
    Client(bare, set_as_default=False) as other,
):
    plan = (orders.price * orders.quantity).sum()
    without = attempt(lambda: other.compute(plan).result())
    mine = {"key": store.key("notebook"), "secret": store.secret("notebook")} | FRESH
    carried = dd.read_parquet("s3://orders/", columns=COLUMNS, storage_options=mine)
    with store.counted() as by_worker:
        in_plan = other.compute((carried.price * carried.quantity).sum()).result()
"""

_SECRET = """
def shown(collection):
    with redirect_stdout(io.StringIO()) as said:
        collection.pprint()
    return said.getvalue()


secret = store.secret("notebook")
found = {
    how: {
        "in the plan": secret.encode() in pickle.dumps(plan.optimize().expr),
        "printed": secret in shown(plan),
    }
    for how, plan in {"storage_options": carried, "environment": orders}.items()
}
"""

_CRUMBLE = """
def crumble(name, pieces=20):
    with files.open(f"orders/{name}") as whole:
        table = pq.read_table(whole)
    rows = -(-len(table) // pieces)
    for number in range(pieces):
        with files.open(f"crumbs/{number:02}-{name}", "wb") as crumb:
            pq.write_table(table.slice(number * rows, rows), crumb)


client.gather(client.map(crumble, [part.name for part in parts[:4]]))


def revenue_of(place):
    orders = dd.read_parquet(place, columns=COLUMNS, storage_options=FRESH)
    return (orders.price * orders.quantity).sum()


def timed(places, seconds):
    plan = revenue_of(places)
    with store.proxy.fault(lambda *_: True, seconds=seconds), store.counted() as seen:
        began = time.perf_counter()
        total = plan.compute()
        return total, seen, time.perf_counter() - began
"""

_BROKEN_OFF = """
old, new = b"old" * 1_000_000, b"new" * 1_000_000
files.pipe_file("notes/report", old)
there = urlsplit(files.url("notes/report", client_method="put_object"))

come = len(store.proxy.requests())
line = http.client.HTTPConnection(there.netloc)
line.putrequest("PUT", f"{there.path}?{there.query}")
line.putheader("Content-Length", str(len(new)))
line.endheaders()
line.send(new[: len(new) // 2])
line.close()
ended = watch.until(lambda: store.proxy.requests()[come:], "the end of the request")

here = terminals.folder / "report"
here.write_bytes(old)
with here.open("wb") as file:
    file.write(new[: len(new) // 2])

read = files.cat_file("notes/report")
"""

_RENAME = """
with store.counted() as renaming:
    for part in parts:
        files.mv(f"orders/{part.name}", f"orders/final/{part.name}")
copies = [request for request in renaming.requests if request.copied]
left = [part.name for part in parts if files.exists(f"orders/{part.name}")]
with store.counted() as back:
    for part in parts:
        files.mv(f"orders/final/{part.name}", f"orders/{part.name}")
"""

_LOCK = """
def put_lock(number, path, mode):
    try:
        s3fs.S3FileSystem().pipe_file(path, str(number).encode(), mode=mode)
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return "it worked"


left_out = None
lock = f"notes/lock-{time.time_ns()}"
answers = {
    mode: client.gather(
        client.map(
            put_lock, range(8), path=f"{lock}-{mode}", mode=mode, pure=False
        )
    )
    for mode in ("overwrite", "create")
}
"""

_BUSY = """
def of_orders(method, path):
    return method == "GET" and path.startswith("/orders/part-")


plan = revenue_of("s3://orders/part-*.parquet")
with (
    store.proxy.fault(of_orders, status=503, times=10),
    store.counted() as refused,
):
    began = time.perf_counter()
    busy = plan.compute()
    seconds = time.perf_counter() - began
turned_away = [request for request in refused.requests if request.status == 503]
"""

_ONE_REFUSED = """
def rows_of(path):
    files = s3fs.S3FileSystem()
    with files.open(path) as file:
        return pq.read_metadata(file).num_rows


def bad(_method, path):
    return path == f"/orders/{parts[3].name}"


with store.proxy.fault(bad, status=503), store.counted() as asked:
    jobs = client.map(rows_of, [f"orders/{part.name}" for part in parts], pure=False)
    wait(jobs)
states = {part.name: job.status for part, job in zip(parts, jobs, strict=True)}
tries = [request for request in asked.requests if request.status == 503]
failed = jobs[3].exception()
"""

CONTROLS = [
    {
        "claim": "two columns came as ranges, less than half of the files' bytes, and sum up right",
        "cell": "ranges",
        # all columns are needed
        "source": _RANGES.replace(", columns=COLUMNS", "").replace(
            "total = revenue.compute()",
            "total = (orders.price * orders.quantity).sum().compute() if orders.count().compute().all() else 0",
        ),
    },
    {
        "claim": "two columns came as ranges, less than half of the files' bytes, and sum up right",
        "cell": "ranges",
        # objects are fetched whole
        "source": _RANGES.replace(
            "total = revenue.compute()",
            "whole = [pd.read_parquet(io.BytesIO(files.cat_file(f'orders/{part.name}'))) for part in parts]\n"
            "    total = sum((o.price * o.quantity).sum() for o in whole)",
        ),
    },
    {
        "claim": "two columns came as ranges, less than half of the files' bytes, and sum up right",
        "cell": "ranges",
        # one of the objects is left out
        "source": _RANGES.replace('"s3://orders/"', '[f"s3://orders/{part.name}" for part in parts[1:]]'),
    },
    {
        "claim": "the workers fetched the columns, and the notebook little more than a footer",
        "cell": "ranges",
        # the notebook computes
        "source": _RANGES.replace("revenue.compute()", 'revenue.compute(scheduler="sync")'),
    },
    {
        "claim": "without a key the worker failed, although the notebook had one; with one it read",
        "cell": "keyless",
        # the worker has one
        "source": _KEYLESS.replace("env=no_key", 'env=store.variables("workers")'),
    },
    {
        "claim": "without a key the worker failed, although the notebook had one; with one it read",
        "cell": "keyless",
        # it isn't the notebook's that travels
        "source": _KEYLESS.replace(
            '{"key": store.key("notebook"), "secret": store.secret("notebook")}',
            '{"key": store.key("workers"), "secret": store.secret("workers")}',
        ),
    },
    {
        "claim": "a key in storage_options was in the plan, and printed; from the environment, not",
        "cell": "secret",
        # it's in the environment both times
        "source": _SECRET.replace('"storage_options": carried', '"storage_options": orders'),
    },
    {
        "claim": "a key in storage_options was in the plan, and printed; from the environment, not",
        "cell": "secret",
        # it's in the plan both times
        "source": _SECRET.replace('"environment": orders', '"environment": carried'),
    },
    {
        "claim": "in twenty times the files, the same orders took over seven times the requests",
        "cell": "crumbs",
        # there are twice as many
        "source": _CRUMBLE.replace("pieces=20", "pieces=2"),
    },
    {
        "claim": "in twenty times the files, the same orders took over seven times the requests",
        "cell": "crumbs",
        # each small file has all rows
        "source": _CRUMBLE.replace("table.slice(number * rows, rows)", "table"),
    },
    {
        "claim": "an upload that broke off left the old object whole; a disk had half of the new",
        "cell": "broken-off",
        # what was sent is all that there is to send
        "source": _BROKEN_OFF.replace(
            '"Content-Length", str(len(new))', '"Content-Length", str(len(new) // 2)'
        ).replace("line.close()", "line.getresponse().read()\nline.close()"),
    },
    {
        "claim": "an upload that broke off left the old object whole; a disk had half of the new",
        "cell": "broken-off",
        # the disk gets it under another name
        "source": _BROKEN_OFF.replace('with here.open("wb")', 'with here.with_suffix(".tmp").open("wb")'),
    },
    {
        "claim": "to rename eight objects the store copied each of them and deleted the old ones",
        "cell": "rename",
        # the notebook fetches and sends them
        "source": _RENAME.replace(
            'files.mv(f"orders/{part.name}", f"orders/final/{part.name}")',
            'files.pipe_file(f"orders/final/{part.name}", files.cat_file(f"orders/{part.name}"))\n'
            '        files.rm_file(f"orders/{part.name}")',
        ),
    },
    {
        "claim": "to rename eight objects the store copied each of them and deleted the old ones",
        "cell": "rename",
        # nothing is deleted
        "source": _RENAME.replace("files.mv(", "files.cp_file("),
    },
    {
        "claim": "of eight tasks that put an object under a condition, one did; without it, all did",
        "cell": "lock",
        # there is no condition
        "source": _LOCK.replace("mode=mode)\n", 'mode="overwrite")\n', 1),
    },
    {
        "claim": "of eight tasks that put an object under a condition, one did; without it, all did",
        "cell": "lock",
        # there is one both times
        "source": _LOCK.replace("mode=mode)\n", 'mode="create")\n', 1),
    },
    {
        "claim": "ten requests were refused and asked again, and the sum was right",
        "cell": "busy",
        # none is refused
        "source": _BUSY.replace("times=10", "times=0"),
    },
    {
        "claim": "ten requests were refused and asked again, and the sum was right",
        "cell": "busy",
        # what is refused is left out
        "source": _BUSY
        + """
gone = {request.name for request in turned_away}
kept = [pd.read_parquet(part, columns=COLUMNS) for part in parts if part.name not in gone]
busy = sum((orders_.price * orders_.quantity).sum() for orders_ in kept)
""",
    },
    {
        "claim": "an object that was always refused was tried five times or more, and failed alone",
        "cell": "one-refused",
        # it's refused twice
        "source": _ONE_REFUSED.replace("status=503)", "status=503, times=2)"),
    },
    {
        "claim": "an object that was always refused was tried five times or more, and failed alone",
        "cell": "one-refused",
        # all are refused
        "source": _ONE_REFUSED.replace('path == f"/orders/{parts[3].name}"', 'path.startswith("/orders/part-")'),
    },
    {
        "claim": "an object that was always refused was tried five times or more, and failed alone",
        "cell": "one-refused",
        # the answer means that asking again won't help
        "source": _ONE_REFUSED.replace("status=503)", "status=403)"),
    },
]
