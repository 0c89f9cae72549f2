"""What makes each claim of lab 08 false."""

from daskclass.sick_clusters import SICKNESSES

CONTROLS = [
    {
        "claim": "every page that only looks answered, and every plot alone",
        "cell": "visit",
        # a scheduler that was started without them
        "source": """
only_looking = [path for path in applications if path != "/hardware"]
with LocalCluster(**options, scheduler_kwargs={"dashboard": False}) as shown, Client(shown) as guest:
    port = guest.run_on_scheduler(lambda dask_scheduler: dask_scheduler.http_server.port)
    address = f"http://127.0.0.1:{port}"
    answers = {path: clusters.visit(address + path, seconds=60) for path in [*only_looking, "/info"]}
""",
    },
    *(
        {
            "claim": "every two of the six runs differed clearly in a number",
            "cell": "signs",
            # this one has nothing
            "source": f"""
from dataclasses import replace

letters = {{name: letter for letter, name in ward.names.items()}}
well = {{letters["{sickness}"]: ward.patients[letters["healthy"]]}}
signs = replace(ward, patients=ward.patients | well).signs()
""",
        }
        for sickness in SICKNESSES
    ),
    {
        "claim": "every two of the six runs differed clearly in a number",
        "cell": "signs",
        # two have the same
        "source": """
from dataclasses import replace

letters = {name: letter for letter, name in ward.names.items()}
alike = {letters["slow worker"]: ward.patients[letters["skew"]]}
signs = replace(ward, patients=ward.patients | alike).signs()
""",
    },
    {
        "claim": "a saved report needs no network with mode inline, and without it does",
        "cell": "report",
        # it is not said
        "source": """
report = {mode: terminals.folder / f"{mode}.html" for mode in (None, "inline")}


def draw(number):
    time.sleep(0.02)
    return number


for path in report.values():
    with performance_report(str(path)):
        client.gather(client.map(draw, range(20), key="drawn", pure=False))


def needed(path):
    fetched = r"<(?:script|link rel=.stylesheet.)[^>]*(?:src|href)=.(http[^\\"']+)"
    return re.findall(fetched, path.read_text())
""",
    },
    {
        "claim": "the profile found the function in which most of the time was spent",
        "cell": "dear-and-cheap",
        # both take as long
        "source": """
def turn(rounds):
    total = 0
    for number in range(rounds):
        total += number
    return total


def expensive():
    return [turn(20_000) for _ in range(100)]


def cheap():
    return [turn(20_000) for _ in range(100)]


def both(number):
    return len(expensive()) + len(cheap())
""",
    },
    {
        "claim": "/metrics counted results, and counts.json their copies",
        "cell": "metrics",
        # there are no copies
        "source": """
address = clusters.dashboard(client)
held, twice = None, None
held = client.map(draw, range(7), key="held", pure=False)
twice = client.scatter("on one worker", hash=False)
wait(held)

text = clusters.visit(f"{address}/metrics")[1]
lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
in_memory = float(lines['dask_scheduler_tasks{state="memory"}'])
counted = json.loads(clusters.visit(f"{address}/json/counts.json")[1])["memory"]
known = client.run_on_scheduler(
    lambda dask_scheduler: [len(task.who_has) for task in dask_scheduler.tasks.values() if task.state == "memory"]
)
""",
    },
    {
        "claim": "/metrics counted results, and counts.json their copies",
        "cell": "metrics",
        # two more were made after it was asked
        "source": """
address = clusters.dashboard(client)
held, twice = None, None
held = client.map(draw, range(7), key="held", pure=False)
client.amm.stop()
twice = client.scatter("on both workers", broadcast=True, hash=False)
wait(held)

text = clusters.visit(f"{address}/metrics")[1]
lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
in_memory = float(lines['dask_scheduler_tasks{state="memory"}'])
more = client.scatter(["one", "two"], hash=False)
counted = json.loads(clusters.visit(f"{address}/json/counts.json")[1])["memory"]
known = client.run_on_scheduler(
    lambda dask_scheduler: [len(task.who_has) for task in dask_scheduler.tasks.values() if task.state == "memory"]
)
del more
""",
    },
]
