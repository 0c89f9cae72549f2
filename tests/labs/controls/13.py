"""What makes each claim of lab 13 false."""

CONTROLS = [
    {
        "claim": "the remote error was reproduced here, on the same input, down to the row",
        "cell": "recreate",
        # it is another task that is brought here
        "source": """
def last_frame(error):
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return frame.f_locals, line


other = raw / "another.csv"
other.write_text("order_id,price,quantity\\n1,free,2\\n")
another = client.submit(revenue, str(other), pure=False)
wait(another)
try:
    client.recreate_error_locally(another)
except ValueError as error:
    here, line = error, last_frame(error)[1]
    variables = last_frame(error)[0]
""",
    },
    {
        "claim": "call_stack named the line at which a task hung",
        "cell": "patient",
        # it is another line at which it hangs
        "source": """
def patient(number):
    lock = threading.Lock()
    lock.acquire()
    time.sleep(30)
    return lock.acquire(timeout=600)


def others():
    return [w for w in client.nthreads() if w != failed_on]


[elsewhere] = others()
hung = client.submit(patient, 1, workers=[elsewhere], pure=False)
watch.until(lambda: hung.key in client.processing()[elsewhere], "the task's arrival")
""",
        # the logs of the workers go with them
        "alone": "setup spreadsheet files patient hang",
    },
    {
        "claim": "the profile named the line in which most of the time went",
        "cell": "dearest",
        # the look-up is quick, and the time goes elsewhere
        "source": """
good = [path for path in paths if path != paths[5]]


def is_there(price, prices):
    return prices.count(price) > 0


def highest_first(prices):
    return sorted(set(prices), reverse=True)


def turn(rounds):
    return sum(range(rounds))


def summary(path):
    prices = pd.read_csv(path).price.tolist()
    for _ in range(60):
        turn(200_000)
    return sum(prices), highest_first(prices)[:3]
""",
    },
    {
        "claim": "the log of the worker on which the task failed names its key and its error",
        "cell": "logs",
        # the worker's log is gone
        "alone": "setup spreadsheet files patient hang logs",
        # the worker was restarted in the meantime
        "source": """
client.restart_workers([failed_on])
client.wait_for_workers(2, timeout=240)
about = {
    worker: [text for _level, text in reversed(lines) if failed.key in text]
    for worker, lines in client.get_worker_logs().items()
}
""",
    },
    {
        "claim": "without its input the failure wasn't reproduced; with it held or fetched, it was",
        "cell": "gone",
        # somebody holds it
        "source": """
rows = client.submit(rows_of, paths[5], pure=False)
total = client.submit(revenue_of, rows, pure=False)
wait(total)
held = attempt(client.recreate_error_locally, total)
rows = client.submit(rows_of, paths[5], pure=False)
total = client.submit(revenue_of, rows, pure=False)
wait(total)
let_go = [attempt(client.recreate_error_locally, total)]
by_hand = attempt(revenue_of, client.submit(rows_of, paths[5], pure=False).result())
""",
    },
    {
        "claim": "with the scheduler in this thread a plan fails here, with the variables at hand",
        "cell": "sync",
        # it is computed by the cluster
        "source": """
def read_orders(path):
    thread = threading.get_ident()
    orders = pd.read_csv(path)
    return orders.assign(price=orders.price.astype("float64")), thread


def prices(path):
    return read_orders(path)[0]


meta = prices(paths[0]).iloc[:0]
plan = dd.from_map(prices, paths, meta=meta)
in_sync = attempt(plan.partitions[5].compute)
frames_here = {
    frame.f_code.co_name: frame.f_locals for frame, _line in traceback.walk_tb(in_sync.__traceback__)
}
""",
    },
    {
        "claim": "a task's logger was heard in the notebook from forward_logging on",
        "cell": "forward",
        # it is forwarded before the first one speaks
        "source": """
class Heard(logging.Handler):
    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


def out_of_stock(article):
    logger = logging.getLogger("shop")
    logger.addHandler(logging.NullHandler())
    logger.warning("no more of %s", article)


heard = Heard()
logging.getLogger("shop").addHandler(heard)

client.forward_logging("shop")
client.submit(out_of_stock, "lamps", pure=False).result()
client.submit(out_of_stock, "chairs", pure=False).result()
watch.until(lambda: len(heard.messages) > 1, "what the tasks said")
client.unforward_logging("shop")
logging.getLogger("shop").removeHandler(heard)
""",
    },
]
