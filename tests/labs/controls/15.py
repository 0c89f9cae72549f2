"""What makes each claim of lab 15 false."""

_OVERLAP = """
folder = Path(tempfile.mkdtemp(dir=terminals.folder))
changed = place / "changed.py"
changed.write_text(text)


def start(terminal):
    return terminals.type(terminal, ["python", changed, tonight, folder, home])


def parts():
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}


slow = start("two o'clock")
pid = int(slow.wait_for(r"process (\\d+)"))
watch.until(parts, "the first part", seconds=60)
psutil.Process(pid).suspend()
second = start("three o'clock")
refused = second.wait(60)

psutil.Process(pid).kill()
slow.wait()
third = start("four o'clock")
took_over = third.wait(120)
"""

_ROLLBACK = """
def written():
    return {path: path.stat().st_mtime_ns for path in shelf.rglob("*.parquet")}


newer = place / "newer"
scoring.save(scoring.train(training.tail(len(training) // 4), "boosted"), newer)

use(night(home))
before = scores_that_count()
use(night(newer))
after = scores_that_count()
parts_then = written()
"""

_DRIFT = """
def cheaper(orders):
    return orders.assign(price=orders.price / 2)


healthy = [psi(model.scores(read(path))) for path in slices]
planted = psi(model.scores(cheaper(read(slices[0]))))
swapped_scores = np.random.default_rng(0).permutation(model.scores(read(slices[0])))
swapped = psi(swapped_scores)
returned = pd.read_parquet(slices[0], columns=["returned"]).returned
losses = [
    scoring.quality(returned, scores)["log_loss"]
    for scores in (model.scores(read(slices[0])), swapped_scores)
]
"""

_FSYNC = """
deeds = []


def recorded(what, function):
    def noted(*arguments):
        deeds.append(what(*arguments))
        return function(*arguments)

    return noted


def what_is_synced(descriptor):
    is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
    return "sync the folder" if is_folder else "sync the file"


power = Path(tempfile.mkdtemp(dir=terminals.folder))
with (
    mock.patch("os.fsync", recorded(what_is_synced, os.fsync)),
    mock.patch.object(Path, "replace", recorded(lambda *_: "rename", Path.replace)),
):
"""

CONTROLS = [
    {
        "claim": "a second run was turned away, and after a crash the next one took over",
        "cell": "overlap",
        # there is no lock
        "source": """
lock = "with only_one(folder):"
assert script.read_text().count(lock) == 1
text = script.read_text().replace(lock, "with contextlib.nullcontext():")
"""
        + _OVERLAP,
    },
    {
        "claim": "a second run was turned away, and after a crash the next one took over",
        "cell": "overlap",
        # the lock is a file that exists
        "source": """
text = script.read_text()
for old, new in {
    "lock.acquire()": 'os.close(os.open(folder / "run.lock", os.O_CREAT | os.O_EXCL))',
    "except Timeout:": "except FileExistsError:",
    "lock.release()": '(folder / "run.lock").unlink()',
}.items():
    assert text.count(old) == 1, old
    text = text.replace(old, new)
"""
        + _OVERLAP,
    },
    {
        "claim": "with a window of eight the scheduler never had many more, without one it had all",
        "cell": "window",
        # the window is as large as the work
        "source": """
numbers = range(300)
windows = {at_once: through_a_window(300, numbers) for at_once in (8, 300)}
""",
    },
    {
        "claim": "with a window of eight the scheduler never had many more, without one it had all",
        "cell": "window",
        # there is always a window
        "source": """
numbers = range(300)
windows = {at_once: through_a_window(8, numbers) for at_once in (8, 300)}
""",
    },
    {
        "claim": "going back to the old model wrote no part, and readers got the old scores exactly",
        "cell": "rollback",
        # both models score into one folder
        "source": """
only = Path(tempfile.mkdtemp(dir=terminals.folder))


def night_in_place(home):
    model = scoring.load(home)
    there = client.scatter(model, hash=False, broadcast=True)
    done = client.map(scoring.score_file, slices, folder=only, model=there, pure=False)
    scoring.write_manifest(only, client.gather(done))
    return model.version[:12]


def all_scores(version):
    tables = [pd.read_parquet(only / part.name) for part in scoring.read_manifest(only)]
    return version, pd.concat(tables, ignore_index=True)


newer = place / "newer"
scoring.save(scoring.train(training.tail(len(training) // 4), "boosted"), newer)
before = all_scores(night_in_place(home))
after = all_scores(night_in_place(newer))
parts_then = {path: path.stat().st_mtime_ns for path in only.iterdir()}
back = all_scores(before[0])  # a small file says that the old ones count again
rewritten = [path for path in only.iterdir() if parts_then.get(path) != path.stat().st_mtime_ns]
""",
    },
    {
        "claim": "going back to the old model wrote no part, and readers got the old scores exactly",
        "cell": "rollback",
        # all of it is scored again with the old model
        "source": _ROLLBACK
        + """
use(night(home))
back = scores_that_count()
rewritten = [path for path, at in written().items() if parts_then.get(path) != at]
""",
    },
    {
        "claim": "the alarm rang for planted drift, for no healthy file, and not for swapped scores",
        "cell": "drift",
        # nothing is planted
        "source": _DRIFT.replace("price=orders.price / 2", "price=orders.price"),
    },
    {
        "claim": "the alarm rang for planted drift, for no healthy file, and not for swapped scores",
        "cell": "drift",
        # one of the files that are called healthy is cheaper, too
        "source": _DRIFT + "healthy[-1] = psi(model.scores(cheaper(read(slices[-1]))))\n",
    },
    {
        "claim": "the alarm rang for planted drift, for no healthy file, and not for swapped scores",
        "cell": "drift",
        # the scores that are swapped are of the cheaper orders
        "source": _DRIFT.replace(
            "permutation(model.scores(read(slices[0])))", "permutation(model.scores(cheaper(read(slices[0]))))"
        ),
    },
    {
        "claim": "with nannies OpenMP had one thread in workers, and in what was started after them",
        "cell": "threads",
        # nannies set nothing of the kind
        "source": """
names = [name for name in set_by_nannies if name.endswith("_NUM_THREADS")]
left = {name: os.environ.pop(name) for name in names}  # by the nannies of this notebook
with (
    dask.config.set({f"distributed.nanny.pre-spawn-environ.{name}": None for name in names}),
    LocalCluster(**options) as free,
    Client(free, set_as_default=False) as guest,
):
    in_workers = list(guest.run(openmp).values())
program = f"{inspect.getsource(openmp)}\\nprint(openmp())"
later = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
os.environ.update(left)
""",
    },
    {
        "claim": "with nannies OpenMP had one thread in workers, and in what was started after them",
        "cell": "threads",
        # what is started after them does not inherit their variables
        "source": """
in_workers = list(client.run(openmp).values())
program = f"{inspect.getsource(openmp)}\\nprint(openmp())"
clean = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
later = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=clean)
""",
    },
    {
        "claim": "with glibc's malloc Dask's setting for it cost several times the page faults",
        "cell": "memory",
        # the variable stays, and only the profile goes
        "source": """
def once_more(path, home):
    orders, forest = read(path), scoring.load(home).pipeline
    forest.predict_proba(orders)
    looks = []
    for _ in range(3):
        faults, began = watch.page_faults(), time.perf_counter()
        forest.predict_proba(orders)
        looks.append((watch.page_faults() - faults, time.perf_counter() - began))
    return [min(column) for column in zip(*looks, strict=True)]


def in_a_new_worker(**setting):
    with (
        dask.config.set(setting),
        LocalCluster(**options | {"n_workers": 1, "memory_limit": "600 MiB"}) as quiet,
        Client(quiet, set_as_default=False) as other,
    ):
        return other.submit(once_more, slices[0], of_forest, pure=False).result()


as_set = in_a_new_worker()
without = in_a_new_worker(**{"distributed.worker.profile.enabled": False})
is_glibc = True
""",
    },
    {
        "claim": "four columns, texts as dictionaries: less than a third of the memory, same scores",
        "cell": "reading",
        # texts stay texts
        "source": """
def as_dictionaries():
    return pq.read_table(slices[0], columns=FEATURES).to_pandas()


as_csv = place / "orders-0.csv"
pd.read_parquet(slices[0]).to_csv(as_csv, index=False)
steps = {"CSV, all columns": lambda: pd.read_csv(as_csv), "and texts as dictionaries": as_dictionaries}
costs = pd.DataFrame(
    {name: {"MB in memory": step().memory_usage(deep=True).sum() / 1e6} for name, step in steps.items()}
).T
scored = forest.predict_proba(as_dictionaries())[:, 1]
""",
    },
    {
        "claim": "a part was synced before it got its name, and its folder after that",
        "cell": "fsync",
        # as pandas writes
        "source": _FSYNC
        + """
    pd.read_parquet(slices[0]).to_parquet(power / "part.tmp")
    (power / "part.tmp").replace(power / "part.parquet")
""",
    },
    {
        "claim": "a part was synced before it got its name, and its folder after that",
        "cell": "fsync",
        # synced, but under its name
        "source": _FSYNC
        + """
    pd.read_parquet(slices[0]).to_parquet(power / "part.tmp")
    (power / "part.tmp").replace(power / "part.parquet")
    with (power / "part.parquet").open("rb+") as file:
        os.fsync(file.fileno())
""",
    },
    {
        "claim": "a saved model named a module that workers had not; with it, scores were the same",
        "cell": "brought",
        # they have it before
        "source": """
module, theirs = of_a_colleague()
client.upload_file(str(module))
alone_at_home = tried()
with_module = tried()
""",
    },
    {
        "claim": "a saved model named a module that workers had not; with it, scores were the same",
        "cell": "brought",
        # what they get is another version of it
        "source": """
module, theirs = of_a_colleague()
alone_at_home = tried()
module.write_text("def in_cents(orders):\\n    return orders\\n")
client.upload_file(str(module))
with_module = tried()
""",
    },
    {
        "claim": "a model of another kind was scored by the same function, to the same last bit",
        "cell": "xgboost",
        # the job has the forest
        "source": """
another = scoring.train(training, "boosted")
one = Path(tempfile.mkdtemp(dir=terminals.folder))
loaded = client.scatter(scoring.load(of_forest))
part = client.submit(scoring.score_file, slices[0], one, loaded, pure=False).result()
by_job = pq.read_table(one / part.name).column("score").to_numpy()
""",
    },
]
