"""What makes each claim of lab 13 false."""

CONTROLS = [
    {
        "claim": "the remote error was reproduced here, on the same input, down to the row",
        "cell": "recreate",
        # it is called here on another file
        "source": """
def last_frame(error):
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return frame.f_locals, line


other = raw / "another.csv"
other.write_text("order_id,price,quantity\\n1,free,2\\n")
try:
    revenue(str(other))
except ValueError as error:
    here, line = error, last_frame(error)[1]
    variables = last_frame(error)[0]
""",
    },
    {
        "claim": "call_stack named the line at which a task hung",
        "cell": "hang",
        # it is another line at which it hangs
        "source": """
def patient(number):
    lock = threading.Lock()
    lock.acquire()
    time.sleep(30)
    return lock.acquire(timeout=60)


def others():
    return [w for w in client.scheduler_info()["workers"] if w != failed_on]


[elsewhere] = others()
hung = client.submit(patient, 1, workers=[elsewhere], pure=False)
watch.until(lambda: hung.key in client.processing()[elsewhere], "the task's arrival")


def stack_of(future):
    stacks = client.call_stack(future)
    return [text for tasks in stacks.values() for text in tasks.get(future.key, ())]


frames = watch.until(lambda: stack_of(hung), "the beginning of the task")


def text_of(function, number):
    return linecache.getline(function.__code__.co_filename, number).strip()


number = int(re.search(r"line (\\d+), in patient", frames[-1])[1])
""",
        "alone": True,  # the logs of the workers go with them
    },
    {
        "claim": "the profile named the line in which most of the time went",
        "cell": "slow",
        # the look-up is quick, and the time goes elsewhere
        "source": """
good = [path for path in paths if path != paths[5]]


def is_there(price, prices):
    return any(other == price for other in prices)


def dearest_first(prices):
    return sorted(set(prices), reverse=True)


def turn(rounds):
    return sum(range(rounds))


def summary(path):
    prices = pd.read_csv(path).price.tolist()
    for _ in range(60):
        turn(200_000)
    return sum(prices), dearest_first(prices)[:3]


began = time.time()
client.gather(client.map(summary, good, key="summary", pure=False))
time.sleep(1.5)
tree = client.profile(key="summary", start=began)


def heaviest(node):
    while node["children"]:
        node = max(node["children"].values(), key=lambda child: child["count"])
        if node["count"] == 0:
            return
        where = node["description"]
        yield where["name"], where["line_number"], node["count"]


calls = list(heaviest(tree))
name, number, count = calls[-1]
""",
    },
    {
        "claim": "the log of the worker on which the task failed names its key and its error",
        "cell": "logs",
        # it is looked for on the other worker
        "source": """
by_worker = client.get_worker_logs()
about = {
    worker: [text for _level, text in reversed(lines) if failed.key in text]
    for worker, lines in by_worker.items()
}
where = next(worker for worker, texts in about.items() if not texts)
about[where] = [""]
""",
    },
    {
        "claim": "with an input from another task it was not reproduced, with it fetched it was",
        "cell": "gone",
        # the task has its input as an argument
        "source": """
def rows_of(path):
    return Path(path).read_text().splitlines()[1:]


def revenue_of(rows):
    total = 0
    for row in rows:
        _order_id, price, quantity = row.split(",")
        total += round(float(price) * 100) * int(quantity)
    return total


def attempt(future):
    try:
        client.recreate_error_locally(future)
    except Exception as error:
        return error


total = client.submit(revenue_of, rows_of(paths[5]), pure=False)
wait(total)
as_it_is = attempt(total)
try:
    revenue_of(rows_of(paths[5]))
except ValueError as error:
    by_hand = error
""",
    },
]
