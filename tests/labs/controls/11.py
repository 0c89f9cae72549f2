"""What makes each claim of lab 11 false."""

_DROWN = """
def piece(number):
    orders = pd.read_parquet(sales.parts[number % len(sales.parts)], columns=["price"])
    return orders.price.iloc[number * 1000 : number * 1000 + 100]


def look_up(prices):
    time.sleep(0.1)
    return float(prices.max())


def drown(client, on):
    pieces = client.map(piece, range(40), workers=[on], pure=False)
    client.gather(pieces)
    with watch.record(client) as recording:
        client.gather(client.map(look_up, pieces, key="look-up", pure=False))
    return recording

"""

_RESTRICTED = """
def restricted(client, **where):
    pieces = client.map(piece, range(40), workers=[first], pure=False)
    client.gather(pieces)
    with watch.record(client) as recording:
        client.gather(client.map(look_up, pieces, key="look-up", pure=False, **where))
    return recording

"""

CONTROLS = [
    {
        "claim": "with stealing both worked, as the events say; without it one did everything",
        "cell": "run",
        # nobody steals in either
        "source": _DROWN
        + """
with (
    dask.config.set({"distributed.scheduler.work-stealing": False}),
    LocalCluster(**options) as honest,
    Client(honest, set_as_default=False) as other,
):
    holder, idle = sorted(other.nthreads())
    with_stealing = without = drown(other, holder)
""",
    },
    {
        "claim": "with stealing both worked, as the events say; without it one did everything",
        "cell": "run",
        # it is on in both
        "source": _DROWN
        + """
with_stealing = without = drown(client, first)
holder, idle = first, second
""",
    },
    {
        "claim": "restricted work never left its allowed workers, unless others were allowed, too",
        "cell": "restricted",
        # nobody says where
        "source": _RESTRICTED
        + """
strict = restricted(client)
loose = restricted(client, workers=[first], allow_other_workers=True)
on_second = {"strict": len(ran_on(strict, second)), "loose": len(ran_on(loose, second))}
""",
    },
    {
        "claim": "restricted work never left its allowed workers, unless others were allowed, too",
        "cell": "restricted",
        # others are not allowed
        "source": _RESTRICTED
        + """
strict = restricted(client, workers=[first])
loose = restricted(client, workers=[first], allow_other_workers=False)
on_second = {"strict": len(ran_on(strict, second)), "loose": len(ran_on(loose, second))}
""",
    },
    {
        "claim": "the more a move costs for its work, the higher its level; the costliest has none",
        "cell": "levels",
        # all of them have few bytes and take as long
        "source": """
kinds = ["long, few bytes", "short, few bytes", "short, 20 MB", "no work, 60 MB"]
seen = {}
for number, kind in enumerate(kinds):
    sources = client.map(block, [1_000] * 4, workers=[first], pure=False)
    use = {"seconds": 0.05, "key": f"same{number}", "workers": [first], "pure": False}
    client.gather(client.map(use_for, sources[:2], **use))
    gate = client.submit(stand_in_the_way, use["key"], workers=[first], pure=False)
    waiting = client.map(use_for, sources, priority=-1, **use)
    found = watch.until(
        lambda name=use["key"]: client.run_on_scheduler(levels, prefix=name), "their arrival"
    )
    seen[kind] = {"fetching by work": found[-1][0], "level": found[-1][1]}
    Event(use["key"]).set()
    client.gather([gate, *waiting])
    del sources, waiting, gate
""",
    },
    {
        "claim": "a look every second helped short jobs less than ten looks a second did",
        "cell": "interval",
        # the interval is the same both times
        "source": """
def nap(number):
    time.sleep(0.05)
    return number


def helped(interval):
    setting = {"distributed.scheduler.work-stealing-interval": interval}
    with (
        dask.config.set(setting),
        LocalCluster(**options) as own,
        Client(own, set_as_default=False) as guest,
    ):
        near, far = sorted(guest.nthreads())
        elsewhere, began = 0, time.perf_counter()
        for _job in range(8):
            numbers = guest.map(int, range(12), workers=[near], pure=False)
            guest.gather(numbers)
            with watch.record(guest) as recording:
                guest.gather(guest.map(nap, numbers, key="nap", pure=False))
            elsewhere += len(ran_on(recording, far))
        return elsewhere, time.perf_counter() - began


by_interval = {interval: helped("100ms") for interval in ("1s", "100ms")}
""",
    },
]
