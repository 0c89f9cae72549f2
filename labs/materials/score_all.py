"""Score every order: python score_all.py ORDERS SCORES MODEL, each of them a folder.

When you start it again, it does what's missing. It exits with status 1 if it couldn't
score some files; then the others are done, and there's no manifest. It exits with
status 2 if an argument is wrong.
"""

import argparse
import os
import sys
from pathlib import Path

import dask
from dask.distributed import (
    Client,
    LocalCluster,
    WorkerPlugin,
    as_completed,
    get_worker,
)

from daskclass import scoring
from daskclass.errors import Problem, UsageProblem


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
    """One file of orders, one part of scores."""
    if (model := get_worker().model) is None:
        raise scoring.ModelProblem(
            "its worker started when the model was gone or had been replaced"
        )
    return scoring.score_file(source, folder, model)


def main(orders, scores, home):
    """Score what is missing, and write the manifest when nothing is."""
    print(f"process {os.getpid()}", flush=True)
    sources = sorted(str(path) for path in Path(orders).glob("*.parquet"))
    if not sources:
        raise UsageProblem(f"there are no Parquet files in {orders}")
    model = scoring.load(home)
    Path(scores).mkdir(parents=True, exist_ok=True)
    of_these = {Path(source).name for source in sources}
    for part in sorted(Path(scores).glob("*.parquet")):
        if part.name not in of_these:
            raise UsageProblem(
                f"{part} isn't from these orders: move it, or score elsewhere"
            )
    # From here on, the scores aren't complete until the manifest says so again.
    (Path(scores) / scoring.MANIFEST_NAME).unlink(missing_ok=True)
    done = scoring.finished(sources, scores, model)
    missing = [source for source in sources if source not in done]
    print(f"{len(done)} parts are there, {len(missing)} to do", flush=True)

    # Workers keep memory that the next tree needs, and make no profile. If one dies
    # twice, it's started again. (By default, the cluster gives it up if it happens to
    # be away 15 seconds after it died.)
    os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)
    settings = {
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
        "distributed.worker.profile.enabled": False,
        "distributed.deploy.lost-worker-timeout": "1 day",
    }
    refused = []
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(LoadModel(home, model.version))
        jobs = {
            client.submit(score, source, scores, pure=False): source
            for source in missing
        }
        for job in as_completed(jobs):
            try:
                done[jobs[job]] = job.result()
            except scoring.CannotScore as error:
                refused.append(str(error))  # it names the file and the row group
            except Exception as error:
                refused.append(f"{jobs[job]}: {error}")

    if refused:
        sys.exit("\n".join(sorted(refused)))
    scoring.write_manifest(scores, done.values())
    print(f"complete: {sum(part.rows for part in done.values()):,} orders", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Score every order.")
    for name in ("orders", "scores", "model"):
        parser.add_argument(name, metavar=name.upper(), help="a folder")
    asked = parser.parse_args()
    try:
        main(asked.orders, asked.scores, asked.model)
    except (Problem, OSError) as problem:
        print(problem, file=sys.stderr)
        sys.exit(2)
