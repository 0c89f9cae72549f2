"""Terminals: run a command, read its output, and stop it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, AnyStr, TextIO, cast

from daskclass.errors import Problem

_KEEPER = Path(__file__).with_name("keep.py")
# Jupyter interrupts and kills a kernel together with its process group. The keeper must not be in that group.
_APART = os.name != "nt"
_MERCY = 30.0  # seconds; the keeper kills long before
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ - ")
_ERROR = re.compile(r"^(?:Error: .|[\w.]*(?:Error|Exception|Exit)\b: ?.|No such)")


def _pipe(stream: IO[AnyStr] | None) -> IO[AnyStr]:
    """A stream of a process that we started with a pipe, so it is not None."""
    return cast(IO[AnyStr], stream)


class _Said:
    """A command's output. Separate from the terminal, so that the reading thread keeps no reference to the terminal."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ended = False
        self.news = threading.Condition()

    def read(self, stream: TextIO) -> None:
        for line in stream:
            with self.news:
                self.lines.append(_STAMP.sub("", line.rstrip()))
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()


class Terminal:
    """A command that runs beside this process, in a folder of its own, as if typed in a terminal there.

    The command stops when you close the terminal, when nothing refers to it any longer, and when this process ends.

    Parameters
    ----------
    folder : path
        Folder to run it in, created if needed. The prompt shows its name.
    command : str or sequence
        The command and its arguments, as you would type them; or word by word, if words contain spaces. Commands of
        this Python environment come first.
    **environment : str
        Additional environment variables.

    Raises
    ------
    Problem
        If there is no such command, or the folder can't be created.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        command: str | Sequence[object],
        *,
        _held: tuple[int, ...] = (),
        **environment: str,
    ) -> None:
        if isinstance(command, str):
            words = shlex.split(command, posix=os.name != "nt")
        else:
            words = [str(word) for word in command]
            command = shlex.join(words)
        self.folder, self.command = Path(folder), command
        variables = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
        variables["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), variables.get("PATH", os.defpath)])
        found = shutil.which(words[0], path=variables["PATH"]) if words else None
        if found is None:
            raise Problem(f"there is no command {words[0] if words else ''!r} here; check its spelling")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Problem(f"can't use {self.folder} as a terminal's folder: {error}") from error
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
        print(f"{self.folder.name}$ {settings + ' ' if settings else ''}{command}")
        self._heard = 0  # lines up to the last match
        self._said = _Said()
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", str(_KEEPER), "", found, *words[1:]],
            cwd=self.folder,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            pass_fds=_held,
            start_new_session=_APART,
        )
        self._reader = threading.Thread(
            name=f"terminal {self.folder.name}", target=self._said.read, args=(self._keeper.stdout,), daemon=True
        )
        self._reader.start()
        weakref.finalize(
            self, _pipe(self._keeper.stdin).close
        )  # stops the command when nothing refers to the terminal any longer

    @property
    def output(self) -> str:
        """The output so far, without timestamps."""
        with self._said.news:
            return "\n".join(self._said.lines)

    @property
    def status(self) -> int | None:
        """Exit status; None while it runs. 128 or more means 128 plus the number of a signal."""
        return self._keeper.poll()

    def wait_for(self, pattern: str, seconds: float = 30, *, quiet: bool = False) -> str:
        """Wait until a line of the output matches. Print the output up to that line, and return the match.

        The search starts after the line of the last match, so you can wait for the same words again.

        Parameters
        ----------
        pattern : str
            A regular expression. If it has a group, this returns the first group, else the whole match.
        seconds : float
            How long to wait.
        quiet : bool
            Print only the line that matched.

        Raises
        ------
        Problem
            If the command ends first, or no line matches in time.
        """
        lines = self._said.lines
        looked = self._heard
        match = None

        def found() -> bool:
            nonlocal looked, match
            while match is None and looked < len(lines):
                match = re.search(pattern, lines[looked])
                looked += 1
            return match is not None or self._said.ended

        with self._said.news:
            self._said.news.wait_for(found, timeout=seconds)
            said = lines[self._heard : looked]
        if match is not None:
            self._heard = looked
            print("\n".join(said[-1:] if quiet else said))
            return match[1] if match.re.groups else match[0]
        if self._said.ended:
            status = self._keeper.wait()
            errors = [line for line in said if _ERROR.match(line)]
            words = errors[0] if errors else said[-1] if said else "nothing"
            raise Problem(
                f"`{self.command}` ended with exit status {status} before it printed {pattern!r}. It printed: {words}"
            )
        last = lines[-1] if lines else "nothing"
        raise Problem(f"`{self.command}` hasn't printed {pattern!r} in {seconds:g} s. Its last line is: {last}")

    def wait(self, seconds: float = 30) -> int:
        """Wait until the command ends by itself, and return its exit status.

        Raises
        ------
        Problem
            If it still runs after that time.
        """
        try:
            status = self._keeper.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise Problem(f"`{self.command}` is still running after {seconds:g} s") from error
        self._reader.join(_MERCY)
        return status

    def end(self) -> None:
        """Ask the command to stop (SIGTERM; Windows ends it at once). Don't wait."""
        with contextlib.suppress(OSError):
            _pipe(self._keeper.stdin).close()

    def close(self) -> None:
        """Stop the command and wait until it is gone. Its output remains available."""
        self.end()
        self.wait(_MERCY)
        _pipe(self._keeper.stdout).close()


class Terminals:
    """Terminals in their own folders, inside one temporary folder that is removed with them.

    They stop when you close them, when nothing refers to them any longer, and when this process ends, however it ends.

    Attributes
    ----------
    folder : Path
        The folder that contains their folders.

    Examples
    --------
    `type` prints the command, and `Terminal.wait_for` prints its output up to the line that matches.

    >>> from daskclass.terminals import Terminals
    >>> with Terminals() as terminals:
    ...     hall = terminals.type("hall", "python -m calendar 2026 11")
    ...     found = hall.wait_for("November ([0-9]+)")
    ...     status = hall.wait()
    hall$ python -m calendar 2026 11
       November 2026
    >>> found, status
    ('2026', 0)
    >>> terminals.folder.exists()
    False
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="daskclass-")).resolve()
        self._open: dict[str, Terminal] = {}
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", str(_KEEPER), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=_APART,
        )
        weakref.finalize(self, _pipe(self._keeper.stdin).close)

    def type(self, folder: str, command: str | Sequence[object], **environment: str) -> Terminal:
        """Type a command into the terminal of the folder `folder`; see `Terminal`.

        A terminal runs one command at a time. If one still runs in this terminal, this stops it first.

        Parameters
        ----------
        folder : str
            Name of the terminal's folder, created if needed.
        command : str or sequence
        **environment : str
            Additional environment variables for the command.

        Returns
        -------
        Terminal
            The running command.

        Raises
        ------
        Problem
            If there is no such command, the folder can't be created, or an earlier command in it doesn't stop within
            half a minute.
        """
        if folder in self._open:
            self._open[folder].close()
        # Each keeper also holds the folder's pipe. So the folder is removed only when the last keeper has stopped its
        # command.
        held = () if os.name == "nt" else (_pipe(self._keeper.stdin).fileno(),)
        self._open[folder] = Terminal(self.folder / folder, command, _held=held, **environment)
        return self._open[folder]

    def close(self) -> None:
        """Stop all commands and remove the folder."""
        for terminal in self._open.values():
            terminal.end()
        for terminal in self._open.values():
            terminal.close()
        self._open.clear()
        _pipe(self._keeper.stdin).close()
        self._keeper.wait(_MERCY)

    def __enter__(self) -> Terminals:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
