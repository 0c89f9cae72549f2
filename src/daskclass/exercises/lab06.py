"""Exercises of lab 06: a client that the scheduler refuses, and a cluster that runs nothing."""

from __future__ import annotations

import gc
import logging
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from distributed import Client, LocalCluster
from distributed.security import Security

from daskclass import clusters
from daskclass.errors import Problem
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.system import pace

FILES = ("tls_ca_file", "tls_client_cert", "tls_client_key")


def _judge_mended(answer: object, address: str) -> str:
    if not isinstance(answer, Security):
        raise TryNext("It should be a `Security(…)`.")
    if missing := [name for name in FILES if not getattr(answer, name)]:
        raise TryNext(f"It has no {', '.join(missing)}.")
    for name in FILES:
        said = getattr(answer, name)
        if not isinstance(said, str):
            raise TryNext(f"`{name}` should be the path as text. `str(…)` turns it into text.")
        if "-----BEGIN" not in said and not _is_file(said):
            raise TryNext(f"`{name}` isn't a file. Give the whole path, including `folder`.")
    if getattr(answer, "tls_scheduler_key", None):
        raise TryNext("That's the cluster's own. Your colleague has only the files, and is only a client.")
    names = {name: Path(getattr(answer, name)).name for name in FILES}
    if names["tls_ca_file"] == "cert.pem" or names["tls_client_cert"] == "ca.pem":
        raise TryNext(
            "It would get in, but only because this certificate is its own authority, so two of the files have the "
            "same content. Which one is the authority's?"
        )
    _require_listener(address)
    refusal = None
    try:
        with Client(address, security=answer, timeout=10, set_as_default=False) as client:
            workers = len(client.nthreads())
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        refusal = type(error).__name__
    if refusal:
        gc.collect()  # if a failed client is collected while another one starts, they deadlock
        raise TryNext(f"Still refused ({refusal}). Is each file in the right place?")
    if not answer.require_encryption:
        raise TryNext(
            "It gets in, but it would also use plain TCP where a scheduler asks for that. Leave `require_encryption` "
            "alone."
        )
    return f"The scheduler lets it in, and it sees {workers} worker{'s' if workers != 1 else ''}."


def _require_listener(address: str) -> None:
    """Raise a Problem if nothing listens at `address`. Then no answer is at fault."""
    place = urlsplit(address)
    try:
        socket.create_connection((place.hostname, place.port), timeout=5).close()
    except OSError as error:
        raise Problem(
            f"Nothing answers at {address} ({error}). Run the cell that starts that scheduler, then this one again."
        ) from error


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # not a path at all
        return False


def _solve_mended(folder):
    from dask.distributed import Security

    return Security(
        tls_ca_file=f"{folder}/ca.pem",
        tls_client_cert=f"{folder}/cert.pem",
        tls_client_key=f"{folder}/key.pem",
    )


mended = Exercise(
    variable="mended",
    judge=_judge_mended,
    solve=_solve_mended,
    hints=(
        "`Security(tls_ca_file=…, tls_client_cert=…, tls_client_key=…)`, each with the path of a file as text.",
        'The authority\'s certificate is `f"{folder}/ca.pem"`. The client identifies itself with *cert* and *key*.',
    ),
)

_PAGES = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}  # else on every address
_CLUSTERS = {
    "ada": {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "8 GB"},
    "bob": {"n_workers": 2, "threads_per_worker": 2, "memory_limit": "4"},
    "eve": {"n_workers": 1, "threads_per_worker": 4, "memory_limit": "16 GB", "resources": {"GPU": 1}},
}


def three() -> dict[str, dict[str, dict[str, Any]]]:
    """Start three small clusters, ask each about its workers as soon as they know their state, and close them.

    Returns
    -------
    dict
        Each cluster's ``client.scheduler_info()["workers"]`` by name: a dictionary from address to worker.

    Raises
    ------
    Problem
        If workers that hold more than their limit have not paused after ten seconds, or longer on a slow machine.
    """
    said = {}
    for name, settings in _CLUSTERS.items():
        options = {"processes": False, "silence_logs": logging.CRITICAL} | _PAGES
        with LocalCluster(**settings, **options) as cluster, Client(cluster, set_as_default=False) as client:
            # Workers check their memory ten times a second. Those over their limit then pause.
            held, limit = psutil.Process().memory_info().rss, pace.Limit(10)
            workers = clusters.workers(client)
            while _paused(workers) != all(worker["memory_limit"] < held for worker in workers.values()):
                if not limit.left():
                    raise Problem(f"the workers of {name} don't act on their memory limit; run the cell again")
                time.sleep(0.05)
                workers = clusters.workers(client)
            said[name] = workers
    return said


def _paused(workers: dict[str, dict[str, Any]]) -> bool:
    return all(worker["status"] == "paused" for worker in workers.values())


def _judge_suspect(answer: object, three: dict[str, dict[str, dict[str, Any]]]) -> str:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise TryNext('It should be a pair, such as `("ada", "nthreads")`.')
    name, setting = answer
    if not isinstance(name, str) or not isinstance(setting, str):
        raise TryNext('Both should be names as text, such as `("ada", "nthreads")`.')
    settings = sorted({key for workers in three.values() for worker in workers.values() for key in worker})
    if name not in three:
        raise TryNext(f"The first should be one of {', '.join(three)}.")
    if setting not in settings:
        raise TryNext(f"The second should be one of {', '.join(settings)}.")
    if not _paused(three[name]):
        raise TryNext(f"{name.capitalize()}'s workers would run tasks. Which state are the workers of each cluster in?")
    if setting == "status":
        raise TryNext("That's the result. Which setting caused it?")
    if setting != "memory_limit":
        raise TryNext("When does a worker pause? Labs 02 and 05 had the number, as a percentage of something.")
    limit = next(iter(three[name].values()))["memory_limit"]
    return (
        f"Its workers may hold {limit} bytes each. Someone wrote `--memory-limit {limit}` and meant `{limit}GB`. They "
        "hold more than 80% of that from the start, so they pause and wait forever. Nothing fails."
    )


def _solve_suspect(three):
    return next(
        (name, "memory_limit")
        for name, workers in three.items()
        if all(worker["status"] == "paused" for worker in workers.values())
    )


suspect = Exercise(
    variable="suspect",
    judge=_judge_suspect,
    solve=_solve_suspect,
    hints=(
        "For each worker of each cluster, print `status`, `nthreads`, `memory_limit` and `resources`.",
        "Workers pause when they hold more than 80% of their limit. How large is the limit of the paused ones?",
    ),
)
