"""Score every order: python score_all.py ORDERS SCORES MODEL, each of them a folder.

Started again, it does what is missing. Exit status 1 if some files could not be scored;
the others are done then, and there is no manifest.
"""

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


class LoadModel(WorkerPlugin):
    """Each worker loads the model when it starts."""

    name = "model"

    def __init__(self, home):
        self.home = home

    def setup(self, worker):
        worker.model = scoring.load(self.home)


def score(source, folder):
    """One file of orders, one part of scores."""
    return scoring.score_file(source, folder, get_worker().model)


def main(orders, scores, home):
    """Score what is missing, and write the manifest when nothing is."""
    # Workers may keep the memory that the next tree needs, and make no profile; one
    # that dies twice is started again (else it is given up if it happens to be away
    # 15 seconds after it died).
    os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)
    dask.config.set(
        {
            "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
            "distributed.worker.profile.enabled": False,
            "distributed.deploy.lost-worker-timeout": "1 day",
        }
    )
    print(f"process {os.getpid()}", flush=True)
    sources = sorted(str(path) for path in Path(orders).glob("*.parquet"))
    if not sources:
        sys.exit(f"there are no Parquet files in {orders}")
    model = scoring.load(home)
    Path(scores).mkdir(exist_ok=True)
    of_these = {Path(source).name for source in sources}
    for part in sorted(Path(scores).glob("*.parquet")):
        if part.name not in of_these:
            sys.exit(
                f"{part} is of none of these orders: move it away, or score elsewhere"
            )
    # From here on the scores are not complete, until the manifest says so again.
    (Path(scores) / scoring.MANIFEST_NAME).unlink(missing_ok=True)
    done = scoring.finished(sources, scores, model)
    missing = [source for source in sources if source not in done]
    print(f"{len(done)} parts are there, {len(missing)} to do", flush=True)

    refused = []
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(LoadModel(home))
        jobs = {
            client.submit(score, source, scores, pure=False): source
            for source in missing
        }
        for job in as_completed(jobs):
            if job.status == "error":
                refused.append(str(job.exception()))
            else:
                done[jobs[job]] = job.result()

    if refused:
        sys.exit("\n".join(sorted(refused)))
    scoring.write_manifest(scores, done.values())
    print(f"complete: {sum(part.rows for part in done.values()):,} orders", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("say: python score_all.py ORDERS SCORES MODEL")
    try:
        main(*sys.argv[1:])
    except scoring.ModelProblem as problem:
        sys.exit(str(problem))
