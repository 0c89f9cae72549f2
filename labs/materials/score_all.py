"""Score every order: python score_all.py ORDERS SCORES MODEL, each of them a folder.

When you start it again, it does what's missing. Its exit status is

0    if every order has a score; then there's a manifest,
1    if some files couldn't be scored or the cluster was lost; finished parts stay,
2    if it can't start, for example because an argument is wrong,
3    if another run is at work in SCORES,
143  if it was told to end (SIGTERM); finished parts stay.
"""

import argparse
import contextlib
import datetime
import json
import logging
import os
import platform
import signal
import sys
from itertools import islice
from pathlib import Path

import dask
from dask.distributed import (
    Client,
    LocalCluster,
    WorkerPlugin,
    as_completed,
    get_worker,
)
from distributed.client import FutureCancelledError
from filelock import FileLock, Timeout

from daskclass import scoring
from daskclass.errors import Problem, UsageProblem

AT_ONCE = 8  # files that are with the cluster; two for each worker would do
PATIENCE = 30  # seconds for a scheduler that exists to have a worker


class LoadModel(WorkerPlugin):
    """Each worker loads the model when it starts, if it's still the same model."""

    name = "model"

    def __init__(self, home, version):
        self.home, self.version = home, version

    def setup(self, worker):
        worker.model = None  # a worker gets tasks even if its plugin fails
        model = scoring.load(self.home)
        if model.version == self.version:
            worker.model = model


def score(source, folder):
    """One file of orders, one part. Also says whether the part was there before."""
    if (model := get_worker().model) is None:
        raise scoring.ModelProblem(
            "its worker started when the model was gone or had been replaced"
        )
    if part := scoring.finished([source], folder, model).get(source):
        return part, True
    return scoring.score_file(source, folder, model), False


def in_turn(client, function, items, *same, at_once):
    """Call `function` on the cluster for each item, and have so many calls there.

    Yields each item with its future when it's done. The next call is submitted after
    that, so neither the scheduler nor this process ever holds all of them.
    """
    left, running, items_of = iter(items), as_completed(), {}

    def submit(number):
        for item in islice(left, number):
            job = client.submit(function, item, *same, pure=False)
            items_of[job] = item
            running.add(job)

    submit(at_once)
    for job in running:
        yield items_of.pop(job), job
        submit(1)


def told(note):
    """What a run wrote about itself."""
    try:
        run = json.loads(note.read_text())
        return f"process {run['process']} on {run['machine']}, since {run['since']}"
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
    ):  # it has just begun, or it's half written
        return "another run"


@contextlib.contextmanager
def only_one(folder):
    """Let one run at a time into this folder.

    The lock belongs to this process. If the process ends, the operating system takes
    the lock back, however it ended. The note only tells who has it.
    """
    lock, note = FileLock(folder / "run.lock", timeout=0), folder / "run.json"
    try:
        lock.acquire()
    except Timeout:
        print(f"{told(note)}, is at work in {folder}", file=sys.stderr)
        sys.exit(3)
    try:
        if note.exists():
            print(f"taking over: {told(note)}, didn't end", flush=True)
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        about = {"process": os.getpid(), "machine": platform.node(), "since": now}
        note.write_text(json.dumps(about))
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def cluster(scheduler):
    """A client of this scheduler, or of a cluster of our own."""
    if scheduler is not None:
        try:
            client = Client(scheduler)
        except (OSError, ValueError) as error:
            raise UsageProblem(
                f"can't use the scheduler {scheduler}: {error}"
            ) from None
        with client:
            try:
                client.wait_for_workers(1, timeout=PATIENCE)
            except TimeoutError:
                raise UsageProblem(f"{scheduler} has no workers") from None
            yield client
        return
    # Workers keep memory that the next tree needs, and make no profile. If one dies
    # twice, it's started again. (By default, the cluster gives it up if it happens to
    # be away 15 seconds after it died.)
    os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)
    settings = {
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
        "distributed.worker.profile.enabled": False,
        "distributed.deploy.lost-worker-timeout": "1 day",
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs="CRITICAL",  # a file that can't be scored is told in a line
        ) as own,
        Client(own) as client,
    ):
        yield client


def run(client, sources, folder, model):
    """Score what's missing, and write the manifest if nothing is left."""
    parts, there, refused = [], 0, []
    for source, job in in_turn(client, score, sources, folder, at_once=AT_ONCE):
        try:
            part, was_there = job.result()
            parts.append(part)
            there += was_there
        except scoring.CannotScore as error:
            refused.append(str(error))  # it names the file and the row group
        except FutureCancelledError as error:
            sys.exit(f"lost the cluster with {len(parts)} parts done: {error}")
        except Exception as error:
            refused.append(f"{source}: {error}")
    if not refused:
        try:
            scoring.write_manifest(folder, parts)
        except scoring.CannotScore as error:
            refused.append(str(error))
    print(f"{there} parts were there, {len(parts) - there} are new", flush=True)
    if refused:
        sys.exit("\n".join(sorted(refused)))
    print(f"complete: {sum(part.rows for part in parts):,} orders", flush=True)


def main(orders, scores, home, scheduler):
    print(f"process {os.getpid()}", flush=True)
    sources = sorted(str(path) for path in Path(orders).resolve().glob("*.parquet"))
    if not sources:
        raise UsageProblem(f"there are no Parquet files in {orders}")
    model = scoring.load(home)
    folder = Path(scores)
    folder.mkdir(parents=True, exist_ok=True)
    with only_one(folder):
        of_these = {Path(source).name for source in sources}
        for part in sorted(folder.glob("*.parquet")):
            if part.name not in of_these:
                raise UsageProblem(
                    f"{part} isn't from these orders: move it, or score elsewhere"
                )
        with cluster(scheduler) as client:
            client.register_plugin(LoadModel(str(Path(home).resolve()), model.version))
            try:
                # From here on, the scores aren't complete until the manifest says so.
                (folder / scoring.MANIFEST_NAME).unlink(missing_ok=True)
                run(client, sources, str(folder.resolve()), model)
            except OSError as error:  # for example, nobody reads what this prints
                sys.exit(f"stopped: {error}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Score every order.")
    for name in ("orders", "scores", "model"):
        parser.add_argument(name, metavar=name.upper(), help="a folder")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a running cluster")
    asked = parser.parse_args()
    logging.disable(logging.ERROR)  # what goes wrong is told below, in a line
    # Whoever starts jobs ends them like this. Leave as after an error, and clean up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main(asked.orders, asked.scores, asked.model, asked.scheduler)
    except (Problem, OSError) as problem:
        print(problem, file=sys.stderr)
        sys.exit(2)
