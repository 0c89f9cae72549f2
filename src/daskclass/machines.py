"""The machines of ``make machines``: are we on one of them, and what does a command say on another?"""

from __future__ import annotations

import os
import subprocess
from typing import NamedTuple

from daskclass.errors import Problem

NAMES = ("head", "node1", "node2", "node3")
"""The machines. JupyterLab runs on the first one."""

_SIGN = "DASKCLASS_MACHINE"  # each machine's environment has its name there (deploy/machines)
_SECONDS = 60.0


class Said(NamedTuple):
    """How a command went on a machine: its exit status, and its output and errors as one text."""

    status: int
    text: str

    @property
    def ok(self) -> bool:
        """Whether the exit status is 0."""
        return self.status == 0


def here() -> bool:
    """Whether this process runs on one of the class's machines.

    Examples
    --------
    >>> from daskclass import machines
    >>> machines.here()
    False
    """
    return bool(os.environ.get(_SIGN))


def require(lab: str) -> None:
    """Refuse a lab that needs the machines anywhere else.

    Parameters
    ----------
    lab : str
        The lab's number, for the message.

    Raises
    ------
    Problem
        If this isn't one of the machines.

    Examples
    --------
    >>> from daskclass import machines
    >>> machines.require("22")
    Traceback (most recent call last):
        ...
    daskclass.errors.Problem: lab 22 needs several machines: `make machines` starts them (with Docker); open it there
    """
    if not here():
        raise Problem(f"lab {lab} needs several machines: `make machines` starts them (with Docker); open it there")


def on(machine: str, command: str, *, user: str | None = None, check: bool = True, seconds: float = _SECONDS) -> Said:
    """Run a command on a machine, as if you had logged in there and typed it.

    Parameters
    ----------
    machine : str
        One of `NAMES`.
    command : str
        For the shell there.
    user : str, optional
        By default, the user here.
    check : bool
        Whether a command that fails is an error.
    seconds : float
        How long it may take.

    Returns
    -------
    Said

    Raises
    ------
    Problem
        If there is no such machine, we can't log in, or the command takes too long; or if it fails and `check` is true.
    """
    if machine not in NAMES:
        raise Problem(f"there is no machine {machine!r}; there are {', '.join(NAMES)}")
    where = f"{user}@{machine}" if user else machine
    typed = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={max(1, min(10, int(seconds)))}", where, command]
    try:
        ended = subprocess.run(
            typed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
        )
    except FileNotFoundError as error:
        raise Problem("there is no command `ssh` here, which the machines need") from error
    except subprocess.TimeoutExpired as error:
        raise Problem(f"`{command}` hasn't ended on {machine} in {seconds:g} s") from error
    said = Said(ended.returncode, ended.stdout.strip())
    if said.status == 255:  # ssh's own, if it can't log in
        raise Problem(f"can't log in to {machine}: {said.text or 'ssh says nothing'}")
    if check and not said.ok:
        raise Problem(
            f"`{command}` ended with exit status {said.status} on {machine}: {said.text or 'it says nothing'}"
        )
    return said


def answers(machine: str) -> bool:
    """Whether we can log in to a machine."""
    try:
        on(machine, "true", seconds=5)
    except Problem:
        return False
    return True


def why_not_slower(machine: str) -> str | None:
    """Why the network of a machine can't be slowed down, or None if it can. It needs `tc` and a right that it has.

    Examples
    --------
    There has to be such a machine.

    >>> from daskclass import machines
    >>> machines.why_not_slower("node9")
    Traceback (most recent call last):
        ...
    daskclass.errors.Problem: there is no machine 'node9'; there are head, node1, node2, node3
    """
    shape = "tc qdisc replace dev eth0 root tbf rate 1gbit burst 1mb latency 100ms && tc qdisc del dev eth0 root"
    said = on(machine, shape, check=False)
    return None if said.ok else f"tc on {machine}: {said.text.splitlines()[-1] if said.text else said.status}"
