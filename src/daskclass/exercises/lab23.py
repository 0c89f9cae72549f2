"""Exercises of lab 23: why a job ended, and what a cluster asks a queue for."""

from __future__ import annotations

import random
import re
import shlex
from collections.abc import Mapping
from typing import Any

from dask.utils import parse_bytes, parse_timedelta

from daskclass.errors import Problem
from daskclass.exercises.apart import reason
from daskclass.exercises.exercise import Exercise, TryNext

_SECONDS = 60.0  # for a judge that starts a scheduler
_WALLTIME, _BEFORE, _LEAST = 7_200, 600, 1_800  # seconds
_WHY = ("time limit", "cancelled", "no scheduler", None)


def _log(job: int, node: str, *ends: str) -> str:
    """What a job of Dask 2026.8 and Slurm 24.11 writes, up to its end."""
    host, day = f"tcp://172.18.0.{random.randrange(2, 9)}", "2026-11-30"
    nanny, worker, scheduler = (f"{host}:{random.randrange(30_000, 50_000)}" for _ in range(3))
    ended = f"slurmstepd-{node}: error: *** JOB {job} ON {node} CANCELLED AT {day}T14:12:41"
    lines = {
        "starts": f"{day} 14:02:11,034 - distributed.nanny - INFO -         Start Nanny at: '{nanny}'\n"
        f"{day} 14:02:12,410 - distributed.worker - INFO -       Start worker at:     {worker}",
        "comes": f"{day} 14:02:12,502 - distributed.worker - INFO -         Registered to:     {scheduler}",
        "time limit": f"{ended} DUE TO TIME LIMIT ***",
        "cancelled": f"{ended} ***",
        "no scheduler": f"{day} 14:02:42,592 - distributed.nanny - INFO - Closing Nanny at '{nanny}'. "
        "Reason: failure-to-start-<class 'OSError'>\n"
        f"{day} 14:02:42,594 - distributed.dask_worker - INFO - End worker\n"
        "Traceback (most recent call last):\n"
        f"OSError: Timed out trying to connect to {scheduler} after 30 s\n"
        "RuntimeError: Nanny failed to start.",
        "no scheduler, soon": f"{day} 14:02:16,911 - distributed.nanny - INFO - Closing Nanny at '{nanny}'. "
        "Reason: failure-to-start-<class 'TimeoutError'>\n"
        f"{day} 14:02:16,915 - distributed.dask_worker - INFO - Timed out starting worker\n"
        f"{day} 14:02:16,917 - distributed.dask_worker - INFO - End worker",
        "memory": f"{day} 14:07:30,220 - distributed.nanny.memory - WARNING - Worker {worker} (pid=413) exceeded 95% "
        f"memory budget. Restarting...\n"
        f"{day} 14:07:30,301 - distributed.nanny - INFO - Worker process 413 was killed by signal 15\n"
        f"{day} 14:07:30,305 - distributed.nanny - WARNING - Restarting worker",
        "retires": f"{day} 14:09:40,100 - distributed.worker - INFO - Closing worker gracefully: {worker}. "
        "Reason: worker-lifetime-reached\n"
        f"{day} 14:09:40,420 - distributed.dask_worker - INFO - End worker",
    }
    return "\n".join(lines[end] for end in ends) + "\n"


def _judge_last_words(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes a log and returns a text, or None.")
    job, node = random.randrange(10, 10_000), f"node{random.randrange(1, 40)}"
    cases: list[tuple[tuple[str, ...], str | None, str]] = [
        (("starts", "comes", "time limit"), "time limit", "a job that Slurm ended at its walltime"),
        (("starts", "comes", "cancelled"), "cancelled", "a job that someone ended with `scancel`"),
        (("no scheduler",), "no scheduler", "a job whose worker never reached the scheduler"),
        (("no scheduler, soon",), "no scheduler", "a job whose worker didn't reach the scheduler in five seconds"),
        (("starts", "comes"), None, "a job that's still running"),
        (("starts", "comes", "memory", "comes"), None, "a job whose worker was restarted for its memory, and went on"),
        (
            ("starts", "comes", "memory", "comes", "time limit"),
            "time limit",
            "a job whose worker was restarted, until the limit",
        ),
        (("starts", "comes", "retires"), None, "a job whose worker left by itself"),
    ]
    random.shuffle(cases)
    for ends, expected, what in cases:
        log = _log(job, node, *ends)
        try:
            got = answer(log)
        except Exception as error:
            raise TryNext(f"For the log of {what}, it raised `{reason(error)}`.") from error
        if got != expected or isinstance(got, bool):
            last = log.rstrip().splitlines()[-1]
            allowed = "" if got in _WHY else f" (It should be one of {', '.join(map(repr, _WHY))}.)"
            raise TryNext(f"The log of {what} ends with:\n\n    {last}\n\nIt returned {got!r}.{allowed}")
    return f"It was right about {len(cases)} logs, also where a worker had been restarted before."


def _solve_last_words(log):
    if "DUE TO TIME LIMIT" in log:
        return "time limit"
    if "CANCELLED AT" in log:
        return "cancelled"
    if "Nanny failed to start" in log or "Timed out starting worker" in log:
        return "no scheduler"
    return None


last_words = Exercise(
    variable="last_words",
    judge=_judge_last_words,
    solve=_solve_last_words,
    hints=(
        "Slurm writes `CANCELLED AT` in both of the cases in which it ends a job. What else stands in that line?",
        "A nanny that gives up says `Nanny failed to start`, or `Timed out starting worker`. `memory budget` is never "
        "the end of a job here.",
    ),
    is_function=True,
    apart=True,
)


def _script(options: Mapping[str, Any]) -> str:
    """The script that Slurm would get. Nothing is submitted."""
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise Problem(f"this exercise needs dask-jobqueue, and it isn't here: {error}") from error
    unused = {"interface", "n_workers"}
    given: dict[str, Any] = {name: value for name, value in options.items() if name not in unused}
    given["scheduler_options"] = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}
    try:
        with SLURMCluster(**given) as cluster:
            script: str = cluster.job_script()
    except Exception as error:
        raise TryNext(f"`SLURMCluster(**night)` raised `{reason(error)}`.") from error
    return script


def _flag(words: list[str], *names: str) -> str | None:
    """The value of an option in a command or in directives; the last one counts."""
    found = None
    for word, after in zip(words, [*words[1:], ""], strict=True):
        for name in names:
            if word == name:
                found = after
            elif word.startswith(f"{name}="):
                found = word.removeprefix(f"{name}=")
    return found


def _seconds(text: str) -> float:
    """A walltime as Slurm reads it: minutes, minutes:seconds, hours:minutes:seconds, or with days- before."""
    days, _, rest = text.rpartition("-")
    numbers = [int(number) for number in rest.split(":")]
    if days:
        numbers += [0] * (3 - len(numbers))  # hours first
    elif len(numbers) < 3:
        numbers = [0, *numbers, *[0] * (2 - len(numbers))]
    hours, minutes, seconds = numbers
    return int(days or 0) * 86_400 + hours * 3_600 + minutes * 60 + seconds


def _judge_night(answer: object) -> str:
    if not isinstance(answer, Mapping):
        raise TryNext('It should be a dictionary, such as `{"cores": 1, "memory": "2 GB"}`.')
    extra = answer.get("worker_extra_args") or ()
    if split := [word for word in extra if " " in str(word).strip()]:
        raise TryNext(
            f"`dask-jobqueue` puts {split[0]!r} into the script as it is, and there it's several words. Write each "
            "word as an item of its own, and times without a space, such as `90m`."
        )
    script = _script(answer)
    asked = shlex.split(" ".join(re.findall(r"^#SBATCH (.+)$", script, re.MULTILINE)))
    [command] = [line for line in script.splitlines() if "dask_worker" in line or "dask worker" in line]
    worker = shlex.split(command)
    workers, threads = int(_flag(worker, "--nworkers") or 1), int(_flag(worker, "--nthreads") or 0)
    if (workers, threads) != (2, 1):
        raise TryNext(
            f"A job has {workers} worker(s) of {threads} thread(s). `cores` are the threads of a whole job, and "
            "`processes` the workers among which they're divided."
        )
    _check_asked(asked)
    limit = parse_bytes(_flag(worker, "--memory-limit") or "0")
    if not 3.95e9 <= limit <= 4.35e9:
        raise TryNext(f"A worker's limit is {limit / 1e9:.1f} GB. The workers of a job share its `memory`.")
    _check_leaving(worker)
    return "Two workers a job, what they need and no more, and they leave in time, one after the other."


def _check_asked(asked: list[str]) -> None:
    """What the job asks Slurm for."""
    memory = parse_bytes((_flag(asked, "--mem") or "0").rstrip("B") + "iB")
    if not 7.9e9 <= memory <= 8.7e9:
        raise TryNext(f"A job asks for {memory / 1e9:.1f} GB. `memory` is that of a whole job.")
    cores = _flag(asked, "-c", "--cpus-per-task")
    if cores != "2":
        raise TryNext(f"A job asks for {cores} cores, and its workers use two.")
    queue = _flag(asked, "-p", "--partition")
    if queue != "night":
        raise TryNext(f"The queue is {queue!r}." if queue else "It names no queue, so Slurm takes its default.")
    text = _flag(asked, "-t", "--time") or ""
    try:
        walltime = _seconds(text)
    except ValueError as error:
        raise TryNext(f"Slurm can't read the walltime {text!r}; write hours, minutes and seconds.") from error
    if walltime != _WALLTIME:
        raise TryNext(f"Slurm reads the walltime {text} as {walltime / 60:g} minutes.")


def _check_leaving(worker: list[str]) -> None:
    """When the workers leave. The stagger goes both ways."""
    if "--lifetime-restart" in worker:
        raise TryNext("With `--lifetime-restart`, a worker doesn't leave: its nanny starts it again.")
    lifetime, stagger = _flag(worker, "--lifetime"), _flag(worker, "--lifetime-stagger")
    if lifetime is None:
        raise TryNext("The workers don't leave by themselves. `worker_extra_args` takes the options of `dask worker`.")
    try:
        lasts, spread = parse_timedelta(lifetime), parse_timedelta(stagger or 0)
    except (KeyError, ValueError) as error:
        raise TryNext(f"`dask worker` can't read {lifetime!r} and {stagger!r}; write times such as `90m`.") from error
    if spread < 60:
        raise TryNext("All workers that start together leave together, and have nobody to hand over to.")
    if lasts + spread > _WALLTIME - _BEFORE:
        raise TryNext(f"The last ones leave after {(lasts + spread) / 60:g} minutes. The stagger goes both ways.")
    if lasts - spread < _LEAST:
        raise TryNext(f"The first ones leave after {(lasts - spread) / 60:g} minutes, and new ones wait in line.")


def _solve_night():
    return {
        "cores": 2,
        "processes": 2,
        "memory": "8 GB",
        "queue": "night",
        "walltime": "02:00:00",
        "worker_extra_args": ["--lifetime", "100m", "--lifetime-stagger", "10m"],
    }


night = Exercise(
    variable="night",
    judge=_judge_night,
    solve=_solve_night,
    hints=(
        "`cores`, `processes` and `memory` are those of a whole job. Look at `SLURMCluster(**night).job_script()`.",
        '`worker_extra_args=["--lifetime", …, "--lifetime-stagger", …]`. The stagger goes both ways, so add it to the '
        "lifetime before you compare it with the walltime.",
    ),
    apart=True,
    seconds=_SECONDS,
)
