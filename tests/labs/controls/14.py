"""What makes each claim of lab 14 false."""

_RUN = """
def start():
    return terminals.type("job", ["python", script, orders, scores, home])


def written():
    return {
        part.name: (part.stat().st_mtime_ns, part.stat().st_ino)
        for part in scores.glob("*.parquet")
    }


scores = Path(tempfile.mkdtemp(dir=terminals.folder))
third = len(sales.parts) // 3
job = start()
pid = int(job.wait_for(r"process (\\d+)"))
watch.until(lambda: len(written()) >= third, "a third of the parts", seconds=600)
psutil.Process(pid).kill()
job.wait()
before = written()
"""

_AGAIN = """
job = start()
status = job.wait(seconds=900)
after = written()
again = [name for name in before if after[name] != before[name]]
"""

_MEASURED = """
with traffic.through_scheduler(client) as registered:
    client.register_plugin(LoadModel(str(home)))


def between_workers():
    def sent(dask_worker):
        return dask_worker.transfer_outgoing_bytes_total

    return sum(client.run(sent).values())


def measured(way):
    folder = tempfile.mkdtemp(dir=terminals.folder)
    before = between_workers()
    with traffic.through_scheduler(client) as passed:
        way(folder)
    moved = passed.received + passed.sent + between_workers() - before
    scores = [np.load(Path(folder) / f"{Path(path).stem}.npy") for path in slices]
    return 1.0, moved, np.concatenate(scores)
"""

_BROUGHT = """
name = f"steps_{time.time_ns()}"
module = terminals.folder / f"{name}.py"
module.write_text("def in_cents(orders):\\n    return orders.assign(price=orders.price * 100)\\n")
sys.path.insert(0, str(module.parent))
in_cents = importlib.import_module(name).in_cents
sys.path.remove(str(module.parent))

step = "cents", FunctionTransformer(in_cents)
theirs = Pipeline([step, *scoring.train(training, "boosted").steps])
theirs.fit(training[FEATURES], training.returned)
elsewhere = terminals.folder / "theirs"
scoring.save(theirs, elsewhere)


def score_theirs(path):
    return scoring.load(elsewhere).scores(read(path))


def tried():
    try:
        return client.submit(score_theirs, slices[0], pure=False).result()
    except ModuleNotFoundError as error:
        return error
"""

CONTROLS = [
    {
        "claim": "all five ways gave scikit-learn's own score for every row of the slice",
        "cell": "save",
        # what is in the folder is another model
        "source": """
home = terminals.folder / "model"
version = scoring.save(scoring.train(training, "forest", seed=1), home)
model = scoring.load(home)
size = (home / "model.joblib").stat().st_size
""",
    },
    {
        "claim": "in the graph the model crossed the network with each task, by a plugin never",
        "cell": "measure",
        # it is not in the graph
        "source": _MEASURED
        + """
ways = {"in_the_graph": scattered, "scattered": scattered, "once_a_worker": once_a_worker}
results = {name: measured(way) for name, way in ways.items()}
together = pd.concat([pd.read_parquet(path, columns=FEATURES) for path in slices])
alone = pipeline.predict_proba(together)[:, 1]
""",
    },
    {
        "claim": "in the graph the model crossed the network with each task, by a plugin never",
        "cell": "measure",
        # the plugin's tasks are handed the model as well
        "source": _MEASURED
        + """
ways = {"in_the_graph": in_the_graph, "scattered": scattered, "once_a_worker": in_the_graph}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    results = {name: measured(way) for name, way in ways.items()}
together = pd.concat([pd.read_parquet(path, columns=FEATURES) for path in slices])
alone = pipeline.predict_proba(together)[:, 1]
""",
    },
    {
        "claim": "in the graph the model crossed the network with each task, by a plugin never",
        "cell": "measure",
        # the plugin has the model in it, and not its place
        "source": """
class Bring(WorkerPlugin):
    name = "model"

    def __init__(self, model):
        self.model = model

    def setup(self, worker):
        worker.model = self.model


"""
        + _MEASURED.replace("LoadModel(str(home))", "Bring(model)")
        + """
ways = {"in_the_graph": in_the_graph, "scattered": scattered, "once_a_worker": once_a_worker}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    results = {name: measured(way) for name, way in ways.items()}
together = pd.concat([pd.read_parquet(path, columns=FEATURES) for path in slices])
alone = pipeline.predict_proba(together)[:, 1]
""",
    },
    {
        "claim": "calls of one row cost over 100 times as much a row, calls of 10,000 not twice",
        "cell": "batch",
        # all rows go in one call, whatever is said
        "source": """
def curve(path):
    orders, model = read(path), get_worker().model
    rates = {}
    for batch in (1, 10, 100, 1_000, 10_000, len(orders)):
        times = []
        for _ in range(3):
            began = time.perf_counter()
            model.scores(orders)
            times.append(time.perf_counter() - began)
        rates[batch] = len(orders) / min(times)
    return rates


rates = pd.Series(client.submit(curve, slices[0], pure=False).result())
most = rates.max()
""",
    },
    {
        "claim": "killed and started again, the job did what was missing and nothing else",
        "cell": "run",
        # somebody tidies up in between
        "source": "orders = sales.parquet\n"
        + _RUN
        + """
for part in scores.iterdir():
    part.unlink()
"""
        + _AGAIN,
    },
    {
        "claim": "every order of the full data has one score; the manifest lists all of them",
        "cell": "run",
        # one file of the orders is another one's copy
        "source": """
import shutil

orders = Path(tempfile.mkdtemp(dir=terminals.folder))
for source in sales.parts:
    shutil.copy(source, orders)
shutil.copy(sales.parts[0], orders / Path(sales.parts[1]).name)
"""
        + _RUN
        + _AGAIN,
    },
    {
        "claim": "every order of the full data has one score; the manifest lists all of them",
        "cell": "verify",
        # a score that is none
        "source": """
broken = scores / Path(sales.parts[0]).name
table = pq.read_table(broken)
nobody = table.set_column(1, "score", [np.full(len(table), np.nan)])
whole = broken.read_bytes()
pq.write_table(nobody, broken)
manifest = [part for part in scoring.finished(sales.parts[1:], scores, model).values()]
manifest.append(scoring.Part(broken.name, broken.name, len(table), model.version, ""))


def same_orders(source):
    orders = pq.read_table(source, columns=["order_id"]).column("order_id")
    part = pq.read_table(scores / Path(source).name)
    score = part.column("score").to_numpy()
    same = part.column("order_id").equals(orders) and bool(((score >= 0) & (score <= 1)).all())
    return same, len(orders), orders[0].as_py(), orders[-1].as_py()


found = client.gather(client.map(same_orders, sales.parts, pure=False))
rows = sum(count for _same, count, _first, _last in found)
overlaps = [one[3] >= two[2] for one, two in pairwise(found)]
broken.write_bytes(whole)
""",
    },
    {
        "claim": "with more orders the model learned more of what can be known, and never all of it",
        "cell": "learning",
        # what came back has nothing to do with the orders
        "source": """
def learned_by(share):
    noise = training.assign(returned=training.returned.sample(frac=1, random_state=0).to_numpy())
    grown = scoring.train(noise.head(int(share * len(training))), "forest")
    scores = grown.predict_proba(unseen[FEATURES])[:, 1]
    return (nothing - scoring.quality(came_back, scores)["log_loss"]) / (nothing - best)


progress = pd.Series({share: learned_by(share) for share in (1 / 64, 1 / 8, 1)})
""",
    },
    {
        "claim": "each bad file was refused with its row group and a reason, the others were done",
        "cell": "bad-input",
        # nobody looks at what is scored
        "source": """
def spoil(number, change):
    path = bad / f"orders-{number}.parquet"
    orders = pq.read_table(slices[number]).slice(0, 3_000).to_pandas()
    change(orders)
    orders.to_parquet(path, row_group_size=1_000, index=False)
    return path


def unknown_store(orders):
    orders.loc[1_234, "store"] = "S99"


def no_price(orders):
    orders.loc[2_999, "price"] = None


def untouched(orders):
    pass


def score_blindly(path, folder, model):
    orders = pd.read_parquet(path)
    scores = pd.DataFrame({"order_id": orders.order_id, "score": model.scores(orders)})
    scores.to_parquet(folder / path.name)
    return scoring.Part(path.name, path.name, len(scores), model.version, "")


bad = Path(tempfile.mkdtemp(dir=terminals.folder))
inputs = [spoil(n, untouched) for n in range(6)] + [spoil(6, unknown_store), spoil(7, no_price)]
overwritten = bad / "orders-8.parquet"
overwritten.write_bytes(inputs[0].read_bytes()[:-100])
inputs.append(overwritten)

parts = Path(tempfile.mkdtemp(dir=terminals.folder))
handle = client.scatter(model)
jobs = client.map(score_blindly, inputs, folder=parts, model=handle, pure=False)
wait(jobs)
refused = {job.key: job.exception() for job in jobs if job.status == "error"}
done = [job.result() for job in jobs if job.status == "finished"]
""",
    },
    {
        "claim": "each bad file was refused with its row group and a reason, the others were done",
        "cell": "bad-input",
        # somebody always says the first row group
        "source": """
def spoil(number, change):
    path = bad / f"orders-{number}.parquet"
    orders = pq.read_table(slices[number]).slice(0, 3_000).to_pandas()
    change(orders)
    orders.to_parquet(path, row_group_size=1_000, index=False, write_page_checksum=True)
    return path


def unknown_store(orders):
    orders.loc[1_234, "store"] = "S99"


def no_price(orders):
    orders.loc[2_999, "price"] = None


def untouched(orders):
    pass


def score_and_guess(path, folder, model):
    try:
        return scoring.score_file(path, folder, model)
    except scoring.CannotScore as error:
        raise scoring.CannotScore(re.sub(r"row group \\d", "row group 1", str(error))) from None


bad = Path(tempfile.mkdtemp(dir=terminals.folder))
inputs = [spoil(n, untouched) for n in range(6)] + [spoil(6, unknown_store), spoil(7, no_price)]
overwritten = bad / "orders-8.parquet"
overwritten.write_bytes(inputs[0].read_bytes())
page = pq.read_metadata(overwritten).row_group(2).column(4).data_page_offset
with overwritten.open("r+b") as file:
    file.seek(page)
    file.write(bytes(200))
inputs.append(overwritten)

parts = Path(tempfile.mkdtemp(dir=terminals.folder))
handle = client.scatter(model)
jobs = client.map(score_and_guess, inputs, folder=parts, model=handle, pure=False)
wait(jobs)
refused = {job.key: job.exception() for job in jobs if job.status == "error"}
done = [job.result() for job in jobs if job.status == "finished"]
""",
    },
    {
        "claim": "four columns, texts as dictionaries: less than a third of the memory, same scores",
        "cell": "reading",
        # texts stay texts
        "source": """
def as_dictionaries():
    return pq.read_table(slices[0], columns=FEATURES).to_pandas()


steps = {
    "CSV, all columns": lambda: pd.read_csv(slices[0].replace(".parquet", ".csv")),
    "and texts as dictionaries": as_dictionaries,
}
costs = pd.DataFrame(
    {name: {"MB in memory": step().memory_usage(deep=True).sum() / 1e6} for name, step in steps.items()}
).T
""",
    },
    {
        "claim": "with nannies OpenMP had one thread in workers, and in what was started after them",
        "cell": "threads",
        # there are no nannies
        "source": """
def openmp():
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_info

    HistGradientBoostingClassifier()
    return [p["num_threads"] for p in threadpool_info() if p["user_api"] == "openmp"]


with (
    LocalCluster(**options | {"processes": False}) as free,
    Client(free, set_as_default=False) as guest,
):
    in_workers = list(guest.run(openmp).values())
later = subprocess.run([sys.executable, "-c", "print([1])"], capture_output=True, text=True, check=True)
""",
    },
    {
        "claim": "with glibc's malloc Dask's setting for it cost several times the page faults",
        "cell": "memory",
        # the variable stays, and only the profile goes
        "source": """
def once_more(path):
    orders, forest = read(path), get_worker().model.pipeline
    forest.predict_proba(orders)
    faults, began = watch.page_faults(), time.perf_counter()
    forest.predict_proba(orders)
    return watch.page_faults() - faults, time.perf_counter() - began


as_set = client.submit(once_more, slices[0], pure=False).result()
is_glibc = True

with (
    dask.config.set({"distributed.worker.profile.enabled": False}),
    LocalCluster(**options | {"n_workers": 1}) as quiet,
    Client(quiet, set_as_default=False) as other,
):
    other.register_plugin(LoadModel(str(home)))
    without = other.submit(once_more, slices[0], pure=False).result()
""",
    },
    {
        "claim": "a saved model named a module that workers had not; with it, scores were the same",
        "cell": "brought",
        # they have it before
        "source": _BROUGHT
        + """
client.upload_file(str(module))
alone_at_home = tried()
with_module = tried()
""",
    },
    {
        "claim": "a saved model named a module that workers had not; with it, scores were the same",
        "cell": "brought",
        # what they get is another version of it
        "source": _BROUGHT
        + """
alone_at_home = tried()
module.write_text("def in_cents(orders):\\n    return orders\\n")
client.upload_file(str(module))
with_module = tried()
""",
    },
    {
        "claim": "with its only worker a scattered model was gone; the plugin's was loaded again",
        "cell": "death",
        # another worker has it, too
        "source": """
def which(pipeline):
    return type(pipeline).__name__


def has_model(dask_worker):
    return dask_worker.model.version


victim = sorted(client.nthreads())[0]
everywhere = client.scatter(pipeline, hash=False, broadcast=True)
faults.kill(client, victim)
client.wait_for_workers(2, timeout=60)
try:
    told = client.submit(which, everywhere, pure=False).result()
except FutureCancelledError as error:
    told = error
after_death = list(client.run(has_model).values())
""",
    },
    {
        "claim": "a model of another kind was scored by the same function, to the same last bit",
        "cell": "xgboost",
        # the job has the forest
        "source": """
boosted = scoring.train(training, "boosted")
one = Path(tempfile.mkdtemp(dir=terminals.folder))
loaded = client.scatter(scoring.load(home))
part = client.submit(scoring.score_file, slices[0], one, loaded, pure=False).result()
by_job = pq.read_table(one / part.name).column("score").to_numpy()
""",
    },
]
