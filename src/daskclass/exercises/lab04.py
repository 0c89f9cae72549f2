"""Exercises of lab 04: who connects to whom, and the story of a task."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from distributed import Client

from daskclass.errors import Problem
from daskclass.exercises import kinds
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
    pairs = list(islice(answer, 1_000))  # a generator may never end
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise TryNext('Each element should be a pair such as `("client", "scheduler")`.')
    if unknown := sorted({str(name) for pair in pairs for name in pair if name not in ROLES}):
        raise TryNext(f"{', '.join(unknown)}: not among {', '.join(ROLES)}. Leave out the workers' names.")
    # A nanny calls the scheduler once to register, and hangs up. That's true, too, but no table shows it.
    said, right = {(caller, called) for caller, called in pairs}, _pairs(players)
    given = said - {("nanny", "scheduler")}
    if {pair[::-1] for pair in said} == right != given:
        raise TryNext("Swap them. The caller comes first, and the program with the port comes second.")
    if missing := right - given:
        called = sorted({pair[1] for pair in missing})
        raise TryNext(f"{len(missing)} missing. Look again at who calls {', '.join(called)}.")
    if more := given - right:
        raise TryNext(f"{len(more)} too many, such as {min(more)}. No row shows such a connection.")
    return (
        f"{len(right)} kinds of connections. Between machines, each needs an open port. The scheduler's is 8786 "
        "by default; `--worker-port` and `--nanny-port` set the others. One connection is in no table: a nanny calls "
        "the scheduler when it starts, and hangs up."
    )


def _solve_doors(players):
    return {(row.caller.split()[0], row.called.split()[0]) for row in players.connections.itertuples()}


doors = Exercise(
    variable="doors",
    judge=_judge_doors,
    solve=_solve_doors,
    hints=(
        "`players.connections` has a row for each pair. `caller` and `called` start with the kind of program.",
        '`caller.split()[0]` is the kind, so "worker east" becomes "worker". Collect the pairs in a set.',
    ),
)


def _judge_attempts(answer: object, client: Client) -> str:
    story = [entry for entry in client.story(STUBBORN) if entry[0] != "scheduler"]
    right = sum(entry[2:4] == ("ready", "executing") for entry in story)
    if not right:
        raise Problem(f"No worker knows the story of `{STUBBORN}`. Run the cell that submits it, then this one again.")
    count = kinds.whole(answer)
    if count is None:
        raise TryNext("It should be a whole number.")
    if count == right - 1:
        raise TryNext("That's how many times it failed. Is that all?")
    if count == sum("executing" in map(str, entry) for entry in story) != right:
        raise TryNext("That counts every line with the word. A task also *leaves* that state; count when it enters it.")
    if count != right:
        raise TryNext("Look for the worker's lines that say `ready executing`.")
    return f"{right} times. It failed {right - 1} times, and `retries=4` would have allowed four failures."


def _solve_attempts(client):
    return sum(entry[2:4] == ("ready", "executing") for entry in client.story("stubborn"))


attempts = Exercise(
    variable="attempts",
    judge=_judge_attempts,
    solve=_solve_attempts,
    hints=(
        "Both the scheduler and the worker write lines into a story. The worker is the one that executes.",
        "Count the lines that say `ready executing`.",
    ),
)
