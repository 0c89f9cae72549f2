"""What happened to this task, in order?"""

from __future__ import annotations

from typing import Any

import pandas as pd
from distributed import Client, Future

from daskclass.errors import Problem
from daskclass.watch import dask_internals


def story(
    client: Client, task: Future[Any] | str, asked: float | None = None, received: float | None = None
) -> pd.DataFrame:
    """What happened to a task, in order, as logged by the scheduler and the workers involved.

    Parameters
    ----------
    client : Client
    task : Future or str
        The task or its key.
    asked, received : float, optional
        When the client asked for the task and when it had the result, as from `daskclass.watch.clock`, which is the
        clock of the story.

    Returns
    -------
    DataFrame
        A row for each state change: ``seconds`` since the first one, ``who`` (``client``, ``scheduler``, ``worker
        east``), and the states before and after, ``start`` and ``finish``. Each time comes from that machine's clock.

    Raises
    ------
    Problem
        If neither the scheduler nor any worker knows the task any longer.

    Examples
    --------
    `client` is connected to a cluster of two workers. The scheduler hands the task to one of them, which computes it.

    >>> from daskclass.watch.story import story
    >>> future = client.submit(sum, [1, 2, 3], pure=False)
    >>> future.result()
    6
    >>> steps = story(client, future)
    >>> [f"{row.who.split()[0]}: {row.finish}" for row in steps.itertuples()]  # doctest: +NORMALIZE_WHITESPACE
    ['scheduler: waiting', 'scheduler: processing', 'worker: waiting', 'worker: ready', 'worker: executing',
     'worker: memory', 'scheduler: memory']
    """
    key = task.key if isinstance(task, Future) else task
    names = {address: f"worker {worker['name']}" for address, worker in dask_internals.workers(client).items()}
    rows: list[tuple[float, str, str, str]] = []
    for step in dask_internals.steps(client, key):
        who = step.where if step.where == "scheduler" else names.get(step.where, f"worker {step.where}")
        rows.append((step.when, who, step.start, step.finish))
    if not rows:
        raise Problem(f"the cluster knows no task {key!r}; does its future still exist, and is it the same cluster?")
    if asked is not None:
        rows.append((asked, "client", "", "asked"))
    if received is not None:
        rows.append((received, "client", "", "received"))
    in_order = sorted(rows, key=lambda row: row[0])
    frame = pd.DataFrame(in_order, columns=["seconds", "who", "start", "finish"])
    return frame.assign(seconds=frame.seconds - frame.seconds.min())
