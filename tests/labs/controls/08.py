"""What makes each claim of lab 08 false."""

CONTROLS = [
    {
        "claim": "every page that only looks answered, and every plot alone",
        "cell": "visit",
        # a worker is asked for them, which LocalCluster starts without pages
        "source": """
only_looking = [path for path in applications if path != "/hardware"]
worker = next(iter(client.scheduler_info()["workers"].values()))
address = f"http://{worker['host']}:{worker['services']['dashboard']}"
answers = {path: clusters.visit(address + path, seconds=60) for path in [*only_looking, "/info"]}
""",
    },
    {
        "claim": "each sickness showed in a number of its own, and not in the healthy cluster's",
        "cell": "admit",
        # nobody is sick
        "source": """
from dataclasses import replace

ward = admit(client, sales)
well = {name: letter for letter, name in ward.names.items()}["healthy"]
ward = replace(ward, patients=dict.fromkeys(ward.patients, ward.patients[well]))
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
        "cell": "profile",
        # both take as long
        "source": """
def turn(rounds):
    total = 0
    for number in range(rounds):
        total += number
    return total


def dear():
    return [turn(20_000) for _ in range(100)]


def cheap():
    return [turn(20_000) for _ in range(100)]


def both(number):
    return len(dear()) + len(cheap())


began = time.time()
client.gather(client.map(both, range(8), key="both", pure=False))
time.sleep(1.5)
tree = client.profile(key="both", start=began)


def samples(node, name):
    if node["description"]["name"] == name:
        return node["count"]
    return sum(samples(child, name) for child in node["children"].values())


seen = {name: samples(tree, name) for name in ("both", "dear", "cheap")}
""",
    },
    {
        "claim": "metrics and counts said what the scheduler held, to the task",
        "cell": "metrics",
        # nobody holds them any more when the numbers are read
        "source": """
address = clusters.dashboard(client)
held = client.map(draw, range(7), key="held", pure=False)
wait(held)
known = client.run_on_scheduler(
    lambda dask_scheduler: [
        task.prefix.name
        for task in dask_scheduler.tasks.values()
        if task.state == "memory"
    ]
)
client.cancel(held)
while any(key.startswith("held") for key in client.who_has()):
    time.sleep(0.02)

text = clusters.visit(f"{address}/metrics")[1]
lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
in_memory = float(lines['dask_scheduler_tasks{state="memory"}'])
counted = json.loads(clusters.visit(f"{address}/json/counts.json")[1])["memory"]
""",
    },
]
