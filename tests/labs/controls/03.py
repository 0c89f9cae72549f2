"""What makes each claim of lab 03 false."""

SCRIPT = """
LINES = \"\"\"
from dask.distributed import Client, LocalCluster


def main():
    options = {"n_workers": 1, "threads_per_worker": 1}
    with LocalCluster(**options, dashboard_address="127.0.0.1:0") as cluster:
        with Client(cluster) as client:
            print("the answer is", client.submit(pow, 2, 10).result())


\"\"\"


def run_script(room, last_lines):
    (terminals.folder / room).mkdir(exist_ok=True)
    (terminals.folder / room / "first.py").write_text(LINES + last_lines)
    script = terminals.type(room, "python first.py")
    return script.wait(seconds=120), script.output.strip()
"""

_OFFERS = """
import cloudpickle

(office / "offers.py").write_text("def halved(cents):\\n    return cents // 2\\n")

import offers


def in_a_function(cents):
    return offers.halved(cents)
"""

CONTROLS = [
    {
        "claim": "the cluster made by hand gives the exact answer",
        "cell": "answer",
        # one price, one cent too high
        "source": """
import dask.dataframe as dd


def overcharge(orders, partition_info=None):
    if partition_info is not None and partition_info["number"] == 0:
        orders = orders.assign(price=orders.price.where(orders.index != orders.index[0], orders.price + 0.01))
    return orders


client = Client(address)
orders = dd.read_parquet(sales.parquet)
charged = orders.map_partitions(overcharge, meta=orders._meta)
answer = charged.groupby("category")["price"].agg(["sum", "count"], split_out=1)
result = client.compute(answer).result()
worked = {worker["name"] for worker in client.scheduler_info()["workers"].values()}
""",
    },
    {
        "claim": "the cluster made by hand gives the exact answer",
        "cell": "answer",
        # one worker does all of it
        "source": """
import dask.dataframe as dd

client = Client(address)
orders = dd.read_parquet(sales.parquet)
answer = orders.groupby("category")["price"].agg(["sum", "count"], split_out=1)
names = client.run(lambda dask_worker: dask_worker.name)
with watch.record(client) as asking:
    result = client.compute(answer, workers=["east"]).result()
worked = {names[address] for address in asking.tasks.worker}
""",
    },
    {
        "claim": "a path relative to the notebook does not exist for a task",
        # the file stays in the workers' folders
        "alone": "setup start-scheduler start-workers answer claim-answer office relative",
        "cell": "office",
        # the workers' folders have such a file, too
        "source": """
office = terminals.folder / "office"
office.mkdir()
os.chdir(office)
for folder in (office, terminals.folder / "east", terminals.folder / "west"):
    (folder / "stores.csv").write_text("one line per store\\n" * 40)


def count_lines(path):
    with Path(path).open() as file:
        return sum(1 for _line in file)
""",
    },
    {
        "claim": "an absolute path, a URL and sending the file each let a task find it",
        "cell": "sent-remedy",
        # this one was never sent
        "source": """
from dask.distributed import get_worker


def count_lines_here(name):
    return count_lines(Path(get_worker().local_directory) / name)


found["sent"] = ask_both(count_lines_here, "shops.csv")
""",
    },
    {
        "claim": "an absolute path, a URL and sending the file each let a task find it",
        "cell": "absolute",
        # the path is the task's own
        "source": """
found = {"absolute path": ask_both(count_lines, "stores.csv")}
""",
    },
    {
        "claim": "an absolute path, a URL and sending the file each let a task find it",
        "cell": "url-remedy",
        # the server has no such file
        "source": """
import fsspec

server = terminals.type("office", "python -m http.server 0 --bind 127.0.0.1")
url = server.wait_for(r"\\((http://[^/]+)/\\)")


def count_lines_of(url):
    with fsspec.open(url, "rt") as file:
        return sum(1 for _line in file)


found["URL"] = ask_both(count_lines_of, f"{url}/shops.csv")
""",
    },
    {
        "claim": "what a task changes is a copy, and the notebook's object stays as it was",
        "cell": "copy",
        # threads of this process instead of workers
        "source": """
from concurrent.futures import ThreadPoolExecutor

basket = {"apples": 1}


def add(basket):
    basket["apples"] += 1
    return basket


add(basket)
with ThreadPoolExecutor() as pool:
    returned = {name: pool.submit(add, basket).result() for name in workers}
""",
    },
    {
        "claim": "a module that only the client has is refused by the scheduler; shipped, it works",
        "cell": "ship-module",
        # it is not shipped
        "source": "shipped = ask_both(prices.discounted, 1000)",
    },
    {
        "claim": "a module that only the client has is refused by the scheduler; shipped, it works",
        # the module stays
        "alone": "setup start-scheduler start-workers answer claim-answer office relative module missing-module "
        "ship-module",
        "cell": "missing-module",
        # all have the module, and the call is wrong
        "source": """
client.upload_file("prices.py")
missing = client.submit(prices.discounted, [1000], pure=False)
missing.exception()
heard = []
""",
    },
    {
        "claim": "a script started a cluster only behind the `__main__` guard",
        "cell": "script",
        # the guard is in both
        "source": SCRIPT
        + """
guard = 'if __name__ == "__main__":\\n    main()\\n'
plain, guarded = run_script("attic", guard), run_script("cellar", guard)
said = plain[1].splitlines()
""",
    },
    {
        "claim": "a script started a cluster only behind the `__main__` guard",
        "cell": "script",
        # the guard is in neither
        "source": SCRIPT
        + """
plain, guarded = run_script("attic", "main()\\n"), run_script("cellar", "main()\\n")
said = plain[1].splitlines()
""",
    },
    {
        "claim": "a module registered by value traveled only inside a function of the notebook",
        "cell": "by-value",
        # it is not registered
        "source": _OFFERS
        + """
inside = ask_both(in_a_function, 1000)
itself = client.submit(offers.halved, 1000, pure=False).exception()
print(f"inside a function of the notebook: {inside}, itself: {itself.__cause__!r}")
""",
    },
    {
        "claim": "a module registered by value traveled only inside a function of the notebook",
        "cell": "by-value",
        # what is called "itself" is inside a function, too
        "source": _OFFERS
        + """
cloudpickle.register_pickle_by_value(offers)
inside = ask_both(in_a_function, 1000)
itself = RuntimeError(client.submit(in_a_function, 1000, pure=False).exception())
cloudpickle.unregister_pickle_by_value(offers)
print(f"inside a function of the notebook: {inside}, itself: {itself.__cause__!r}")
""",
    },
    {
        "claim": "read_csv makes a path absolute in the client, and fails where the file isn't",
        "cell": "readers",
        # computed in the one process that has the file
        "source": """
lines = len(dd.read_csv("stores.csv", header=None))
with fsspec.open("memory://stores.csv", "w") as file:
    file.write("store,name\\n0,the first\\n1,the second\\n")
only_here = dd.read_csv("memory://stores.csv")
outcome = only_here.compute(scheduler="synchronous")
""",
    },
    {
        "claim": "read_csv makes a path absolute in the client, and fails where the file isn't",
        "cell": "readers",
        # pandas reads in a task, where nobody made the path absolute
        "source": """
import pandas as pd


def lines_of(path):
    return len(pd.read_csv(path, header=None))


attempt = client.submit(lines_of, "stores.csv", pure=False)
lines = attempt.exception() or attempt.result()
with fsspec.open("memory://stores.csv", "w") as file:
    file.write("store,name\\n0,the first\\n1,the second\\n")
only_here = dd.read_csv("memory://stores.csv")
outcome = client.compute(only_here).exception()
""",
    },
    {
        "claim": "workers that lack a module end, and the task waits for one that has it",
        # the module is on the workers' path, once and for all
        "alone": "setup start-scheduler start-workers answer claim-answer "
        "office relative module missing-module half-installed installed",
        "cell": "half-installed",
        # the workers find it, too
        "source": """
packages = terminals.folder / "packages"
packages.mkdir()
(packages / "bonus.py").write_text("VERSION = 2\\n\\n\\ndef points(cents):\\n    return cents // 100\\n")
sys.path.append(str(packages))
client.run_on_scheduler(lambda: sys.path.append(str(packages)))
client.run(lambda: sys.path.append(str(packages)))

import bonus

points = client.submit(bonus.points, 1000)
wait(points, timeout=240)
ends = {name: worker.status for name, worker in workers.items()}
waiting = points.status
workers["east"].close()  # whose name the next one takes
""",
    },
    {
        "claim": "an older copy of a module gives a second answer to the same call, and no warning",
        # files and a worker stay
        "alone": "setup start-scheduler start-workers answer claim-answer "
        "office relative module missing-module half-installed installed older",
        "cell": "older",
        # the label alone is old
        "source": """
older = terminals.folder / "older"
(older / "pandas-1.5.0.dist-info").mkdir(parents=True)
(older / "pandas-1.5.0.dist-info" / "METADATA").write_text(
    "Metadata-Version: 2.1\\nName: pandas\\nVersion: 1.5.0\\n"
)
said_before, heard_here = len(scheduler.output), []
both = os.pathsep.join([str(older), str(packages)])
workers["west"] = terminals.type("west", command("west"), PYTHONPATH=both)
workers["west"].wait_for("Registered to")
two_answers = ask_both(bonus.points, 1000)
""",
    },
    {
        "claim": "an older copy of a module gives a second answer to the same call, and no warning",
        "alone": "setup start-scheduler start-workers answer claim-answer "
        "office relative module missing-module half-installed installed older",
        "cell": "older",
        # the older copy warns
        "source": """
older = terminals.folder / "older"
(older / "pandas-1.5.0.dist-info").mkdir(parents=True)
(older / "pandas-1.5.0.dist-info" / "METADATA").write_text(
    "Metadata-Version: 2.1\\nName: pandas\\nVersion: 1.5.0\\n"
)
(older / "bonus.py").write_text(
    "import warnings\\n\\nwarnings.warn('this bonus is old')\\nVERSION = 1\\n\\n\\n"
    "def points(cents):\\n    return cents // 200\\n"
)
said_before = len(scheduler.output)
both = os.pathsep.join([str(older), str(packages)])
workers["west"] = terminals.type("west", command("west"), PYTHONPATH=both)
workers["west"].wait_for("Registered to")
with warnings.catch_warnings(record=True) as heard_here:
    two_answers = ask_both(bonus.points, 1000)
workers["west"].wait_for("this bonus is old", quiet=True)
""",
    },
    {
        "claim": "get_versions finds a package whose version differs on one worker",
        # files and a worker stay
        "alone": "setup start-scheduler start-workers answer claim-answer office "
        "relative module missing-module half-installed installed older claim-older versions",
        "cell": "older",
        # no label
        "source": """
older = terminals.folder / "older"
older.mkdir()
(older / "bonus.py").write_text("VERSION = 1\\n\\n\\ndef points(cents):\\n    return cents // 200\\n")
said_before, heard_here = len(scheduler.output), []
both = os.pathsep.join([str(older), str(packages)])
workers["west"] = terminals.type("west", command("west"), PYTHONPATH=both)
workers["west"].wait_for("Registered to")
two_answers = ask_both(bonus.points, 1000)
""",
    },
]
