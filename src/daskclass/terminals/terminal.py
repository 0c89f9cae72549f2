"""Terminals: what was typed, what it said, and the end of all of it."""

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
# Jupyter interrupts and kills a kernel together with its group; whoever ends what the kernel started is not in it.
_APART = os.name != "nt"
_MERCY = 30.0  # seconds; the keeper kills long before
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ - ")
_ERROR = re.compile(r"^(?:Error: .|[\w.]*(?:Error|Exception|Exit)\b: ?.|No such)")


def _pipe(stream: IO[AnyStr] | None) -> IO[AnyStr]:
    """A stream of a process that was started with a pipe there, and so has one."""
    return cast(IO[AnyStr], stream)


class _Said:
    """What a command said. Apart from the terminal, so that the thread that reads does not hold on to that."""

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

    It ends when it is closed or let go of, or when this process ends, however that happens.

    Parameters
    ----------
    folder : path
        Where it runs; made if it is not there. Its name is what the prompt shows.
    command : str or sequence
        The command and its arguments, as one types them; or word by word, for words with spaces in them. Commands of
        this Python's environment are found first.
    **environment : str
        Variables that it gets besides those of this process.

    Raises
    ------
    Problem
        If there is no such command, or the folder cannot be made.
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
            raise Problem(f"there is no command {words[0] if words else ''!r} here; is it spelled as in the text?")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Problem(f"{self.folder} cannot be the folder of a terminal: {error}") from error
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
        weakref.finalize(self, _pipe(self._keeper.stdin).close)  # whoever lets go of it ends it

    @property
    def output(self) -> str:
        """What it said until now, without the times of day."""
        with self._said.news:
            return "\n".join(self._said.lines)

    @property
    def status(self) -> int | None:
        """Exit status; None while it runs. 128 and more is 128 and the number of a signal."""
        return self._keeper.poll()

    def wait_for(self, pattern: str, seconds: float = 30, *, quiet: bool = False) -> str:
        """Wait until a line of its output matches, print it and what came before it, and return what matched.

        Only what comes after the line of the last match is looked at, so that the same words can be waited for again.

        Parameters
        ----------
        pattern : str
            A regular expression. Its first group is returned if it has one, else all of the match.
        seconds : float
            How long to wait.
        quiet : bool
            Print the line that matched, and nothing of what came before it.

        Raises
        ------
        Problem
            If the command ends before, or does not say it in time.
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
                f"`{self.command}` ended with exit status {status} before it said {pattern!r}. It said: {words}"
            )
        last = lines[-1] if lines else "nothing"
        raise Problem(f"`{self.command}` has not said {pattern!r} in {seconds:g} s. It said last: {last}")

    def wait(self, seconds: float = 30) -> int:
        """Wait until the command ends by itself; its exit status.

        Raises
        ------
        Problem
            If it still runs after so many seconds.
        """
        try:
            status = self._keeper.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise Problem(f"`{self.command}` still runs after {seconds:g} s") from error
        self._reader.join(_MERCY)
        return status

    def end(self) -> None:
        """Ask it to end, as Ctrl-C does, and do not wait."""
        with contextlib.suppress(OSError):
            _pipe(self._keeper.stdin).close()

    def close(self) -> None:
        """End it and wait until it is gone. What it said stays."""
        self.end()
        self.wait(_MERCY)
        _pipe(self._keeper.stdout).close()


class Terminals:
    """Terminals in folders of their own, below one folder that is removed with them.

    They end when you close them, when nothing refers to them any longer, and when this process ends, however it ends.

    Attributes
    ----------
    folder : Path
        The folder that theirs are in.

    Examples
    --------
    A command shows what was typed, and `Terminal.wait_for` what it said up to the line that matches.

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

        A terminal runs one command at a time: a command that still runs in this one is ended first.

        Parameters
        ----------
        folder : str
            Name of the terminal's folder, made if it is not there.
        command : str or sequence
        **environment : str
            Variables that the command gets besides those of this process.

        Returns
        -------
        Terminal
            The command, which runs.

        Raises
        ------
        Problem
            If there is no such command, the folder cannot be made, or a command that still ran in it does not end
            within half a minute.
        """
        if folder in self._open:
            self._open[folder].close()
        # Each keeper holds the folder's pipe, too: it is removed when the last of them has ended what stands in it.
        held = () if os.name == "nt" else (_pipe(self._keeper.stdin).fileno(),)
        self._open[folder] = Terminal(self.folder / folder, command, _held=held, **environment)
        return self._open[folder]

    def close(self) -> None:
        """End what runs and remove the folder."""
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
