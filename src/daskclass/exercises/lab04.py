"""Exercises of lab 04: the doors of a cluster, and a story."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

from distributed import Client

from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.watch.topology import Topology

ROLES = ("client", "scheduler", "nanny", "worker")
STUBBORN = "stubborn"


def _pairs(players: Topology) -> set[tuple[str, str]]:
    pairs = zip(players.connections.caller, players.connections.called, strict=True)
    return {(caller.split()[0], called.split()[0]) for caller, called in pairs}


def _judge_doors(answer: object, players: Topology) -> str:
    if isinstance(answer, str | dict) or not isinstance(answer, Iterable):
        raise TryNext("It should be a set of pairs.")
    answer = list(answer)
    if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in answer):
        raise TryNext('Each of its elements should be a pair such as `("client", "scheduler")`.')
    if unknown := sorted({str(name) for pair in answer for name in pair if name not in ROLES}):
        raise TryNext(f"{', '.join(unknown)}: these are not among {', '.join(ROLES)}. Leave the workers' names away.")
    # A nanny calls the scheduler once, to say that it is there, and hangs up; no table shows it, and it is true.
    right, given = _pairs(players), set(answer) - {("nanny", "scheduler")}
    if {pair[::-1] for pair in set(answer)} == right and given != right:
        raise TryNext("Turn them round: the caller comes first, and the one with the port second.")
    if missing := right - given:
        called = sorted({pair[1] for pair in missing})
        raise TryNext(f"{len(missing)} missing: look once more at who calls {', '.join(called)}.")
    if more := given - right:
        raise TryNext(f"{len(more)} too many, such as {sorted(more)[0]}: nobody has such a connection.")
    return (
        f"{len(right)} kinds of connections. Between machines, each needs a port that is open: the scheduler's is 8786 "
        "unless told otherwise, and `--worker-port` and `--nanny-port` fix the others. One is in no table: a nanny "
        "calls the scheduler when it starts, and hangs up."
    )


def _solve_doors(players):
    return {(row.caller.split()[0], row.called.split()[0]) for row in players.connections.itertuples()}


doors = Exercise(
    variable="doors",
    judge=_judge_doors,
    solve=_solve_doors,
    hints=(
        "`players.connections` has a row for each pair; `caller` and `called` begin with what kind of player it is.",
        '`caller.split()[0]` is the kind: "worker east" is a worker. Collect the pairs in a set.',
    ),
)


def _judge_attempts(answer: Any, client: Client) -> str:
    story = [entry for entry in client.story(STUBBORN) if entry[0] != "scheduler"]
    right = sum(entry[2:4] == ("ready", "executing") for entry in story)
    is_whole = isinstance(answer, Integral) and not isinstance(answer, bool)
    if not is_whole:
        raise TryNext("It should be a whole number.")
    if answer == right - 1:
        raise TryNext("So often it failed. Was that all?")
    if answer == sum("executing" in map(str, entry) for entry in story):
        raise TryNext("That counts every line with the word: a task also *leaves* that state. Count where it goes to.")
    if answer != right:
        raise TryNext("Look for the lines of the worker that say `ready executing`.")
    return f"{right} times: it failed {right - 1} times, and `retries=4` would have allowed four."


def _solve_attempts(client):
    return sum(entry[2:4] == ("ready", "executing") for entry in client.story("stubborn"))


attempts = Exercise(
    variable="attempts",
    judge=_judge_attempts,
    solve=_solve_attempts,
    hints=(
        "A story has lines of the scheduler and of the worker. The worker is the one who executes.",
        "Count the lines that say `ready executing`.",
    ),
)
