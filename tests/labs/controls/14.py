"""What makes each claim of lab 14 false."""

_REGISTER = """
with traffic.through_scheduler(client) as registered:
    client.register_plugin(LoadModel(str(home)))
"""

_WAYS = """
ways = {
    "gather_and_loop": scattered,
    "with_joblib": with_joblib,
    "joblib_at_best": joblib_at_best,
    "in_the_graph": in_the_graph,
    "graph_at_best": graph_at_best,
    "in_each_call": in_each_call,
    "scattered": scattered,
    "once_a_worker": once_a_worker,
}
"""

_MEASURE = """
results = {name: measured(way) for name, way in ways.items()}
orders = [read(path) for path in slices]
in_and_out = 2 * sum(len(pickle.dumps(each, protocol=5)) for each in orders)
together = pd.concat(orders)
alone = pipeline.predict_proba(together)[:, 1]
times_moved = pd.Series(
    {
        name: (moved - in_and_out * (ways[name] is with_joblib)) / size
        for name, (_seconds, moved, _scores) in results.items()
    }
)
"""

_BAD = """
bad = Path(tempfile.mkdtemp(dir=terminals.folder))
inputs = [spoil(n, lambda orders: None) for n in range(6)]
inputs += [spoil(6, unknown_store), spoil(7, no_price)]
inputs.append(overwrite(inputs[0], bad / "orders-8.parquet"))
parts = Path(tempfile.mkdtemp(dir=terminals.folder))
handle = client.scatter(model)
"""

_SCORED = """
jobs = client.map(one_file, inputs, folder=parts, model=handle, pure=False)
wait(jobs)
refused = {job.key: job.exception() for job in jobs if job.status == "error"}
done = [job.result() for job in jobs if job.status == "finished"]
"""

_FOUND = """
found = client.gather(client.map(same_orders, sales.parts, pure=False))
rows = sum(count for _same, count, _first, _last in found)
overlaps = [one[3] >= two[2] for one, two in pairwise(found)]
broken.write_bytes(whole)
"""

_SAME_ORDERS = """
def same_orders(source):
    orders = pq.read_table(source, columns=["order_id"]).column("order_id")
    part = pq.read_table(scores / Path(source).name)
    score = part.column("score").to_numpy()
    same = part.column("order_id").equals(orders) and bool(((score >= 0) & (score <= 1)).all())
    return same, len(orders), orders[0].as_py(), orders[-1].as_py()


"""

CONTROLS = [
    {
        "claim": "all eight gave scikit-learn's own score for every row of the slice",
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
        "claim": "the model went out with every task, at best once a worker, by a plugin not at all",
        "cell": "measure",
        # it is a task of its own in each graph
        "source": _REGISTER + _WAYS + 'ways["in_the_graph"] = graph_at_best\n' + _MEASURE,
    },
    {
        "claim": "the model went out with every task, at best once a worker, by a plugin not at all",
        "cell": "measure",
        # joblib scatters it each time
        "source": _REGISTER + _WAYS + 'ways["with_joblib"] = joblib_at_best\n' + _MEASURE,
    },
    {
        "claim": "the model went out with every task, at best once a worker, by a plugin not at all",
        "cell": "measure",
        # joblib never scatters it
        "source": _REGISTER + _WAYS + 'ways["joblib_at_best"] = with_joblib\n' + _MEASURE,
    },
    {
        "claim": "the model went out with every task, at best once a worker, by a plugin not at all",
        "cell": "measure",
        # the plugin's tasks are handed the model as well
        "source": _REGISTER + _WAYS + 'ways["once_a_worker"] = in_each_call\n' + _MEASURE,
    },
    {
        "claim": "the model went out with every task, at best once a worker, by a plugin not at all",
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
        + _REGISTER.replace("LoadModel(str(home))", "Bring(model)")
        + _WAYS
        + _MEASURE,
    },
    {
        "claim": "the model went out with every task, at best once a worker, by a plugin not at all",
        "cell": "measure",
        # one worker sends it to the other one for each task, and nothing of it goes through the scheduler
        "source": """
def load_anew(_path):
    return scoring.load(home).pipeline


def passed_on(folder):
    one, other = sorted(client.nthreads())
    models = [client.submit(load_anew, path, workers=[one], pure=False) for path in slices]
    calls = [
        client.submit(score, path, model, folder, workers=[other], pure=False)
        for path, model in zip(slices, models, strict=True)
    ]
    client.gather(calls)


"""
        + _REGISTER
        + _WAYS
        + 'ways["scattered"] = passed_on\n'
        + _MEASURE,
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
            began = time.thread_time()
            model.scores(orders)
            times.append(time.thread_time() - began)
        rates[batch] = len(orders) / min(times)
    return rates


rates = pd.Series(client.submit(curve, slices[0], pure=False).result())
most = rates.max()
""",
    },
    {
        "claim": "killed and started again, the job did what was missing and nothing else",
        "cell": "second-run",
        # somebody has tidied up in between: the folder is empty
        "source": """
here, scores = scores, Path(tempfile.mkdtemp(dir=terminals.folder))
job = start()
status = job.wait(seconds=900)
after = written()
again = [name for name in before if after[name] != before[name]]
scores = here
""",
    },
    {
        "claim": "every order of the full data has one score; the manifest lists all of them",
        "cell": "verify",
        # one part is another one's copy
        "source": _SAME_ORDERS
        + """
manifest = scoring.read_manifest(scores)
broken = scores / Path(sales.parts[1]).name
whole = broken.read_bytes()
broken.write_bytes((scores / Path(sales.parts[0]).name).read_bytes())
"""
        + _FOUND,
    },
    {
        "claim": "every order of the full data has one score; the manifest lists all of them",
        "cell": "verify",
        # a score that is none
        "source": _SAME_ORDERS
        + """
manifest = scoring.read_manifest(scores)
broken = scores / Path(sales.parts[0]).name
whole = broken.read_bytes()
table = pq.read_table(broken)
pq.write_table(table.set_column(1, "score", [np.full(len(table), np.nan)]), broken)
"""
        + _FOUND,
    },
    {
        "claim": "every order of the full data has one score; the manifest lists all of them",
        "cell": "verify",
        # the manifest leaves one out
        "source": _SAME_ORDERS
        + """
manifest = scoring.read_manifest(scores)[1:]
broken = scores / Path(sales.parts[0]).name
whole = broken.read_bytes()
"""
        + _FOUND,
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
        "claim": "with more orders the model learned more of what can be known, and never all of it",
        "cell": "learning",
        # every model is trained on all orders
        "source": "progress = pd.Series({share: learned for share in (1 / 64, 1 / 8, 1)})",
    },
    {
        "claim": "each bad file was refused with its row group and a reason, the others were done",
        "cell": "bad-input",
        # nobody looks at what is scored
        "source": _BAD
        + """
def one_file(path, folder, model):
    orders = pd.read_parquet(path)
    scores = pd.DataFrame({"order_id": orders.order_id, "score": model.scores(orders)})
    scores.to_parquet(folder / path.name)
    return scoring.Part(path.name, path.name, len(scores), model.version, "")

"""
        + _SCORED,
    },
    {
        "claim": "each bad file was refused with its row group and a reason, the others were done",
        "cell": "bad-input",
        # somebody always says the first row group
        "source": _BAD
        + """
def one_file(path, folder, model):
    try:
        return scoring.score_file(path, folder, model)
    except scoring.CannotScore as error:
        raise scoring.CannotScore(re.sub(r"row group \\d", "row group 1", str(error))) from None

"""
        + _SCORED,
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
client.wait_for_workers(2, timeout=240)
try:
    told = client.submit(which, everywhere, pure=False).result()
except FutureCancelledError as error:
    told = error
after_death = list(client.run(has_model).values())
""",
    },
    {
        "claim": "with its only worker a scattered model was gone; the plugin's was loaded again",
        "cell": "death",
        # nobody registers the plugin for the new worker
        "source": """
def which(pipeline):
    return type(pipeline).__name__


def has_model(dask_worker):
    model = getattr(dask_worker, "model", None)
    return "none" if model is None else model.version


client.unregister_worker_plugin("model")
victim = sorted(client.nthreads())[0]
only_there = client.scatter(pipeline, hash=False, workers=[victim])
faults.kill(client, victim)
client.wait_for_workers(2, timeout=240)
try:
    told = client.submit(which, only_there, pure=False).result()
except FutureCancelledError as error:
    told = error
after_death = list(client.run(has_model).values())
client.register_plugin(LoadModel(str(home)))
""",
    },
]
