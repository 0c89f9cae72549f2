"""Exercises of lab 15: one process at a time in a folder, and an alarm for scores that aren't as usual."""

from __future__ import annotations

import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import cloudpickle
import numpy as np

from daskclass.exercises.apart import reason
from daskclass.exercises.exercise import Exercise, TryNext
from daskclass.system import pace

_PATIENCE = 3.0  # seconds in which a process should be inside, or be turned away
_MOMENT = 1.0  # seconds until we suppose that a process waits for another one that we stopped
_STEPS = 6  # how many changes of a process to the folder we look at
_SECONDS = 45.0  # for all of it, which takes a few where nothing else runs

# "enter 2" enters the folder, and stops before the second thing that changes it or its files (any line goes on);
# "enter 0" doesn't stop. What happened is said. Inside, "leave 0" leaves, "leave 2" stops likewise, and "raise 0" is
# an error of the one inside. So two processes meet wherever we want them to, however busy the machine is.
#
# Audit events tell of files and locks, a profile function tells of what's written into an open file or a database.
# It enters once elsewhere at first: what it imports for the first time takes longer than our patience.
_VISITOR = """
import os, sys, tempfile
import cloudpickle

answer, folder = cloudpickle.loads(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())))
LOCKS = {"fcntl.fcntl", "fcntl.flock", "fcntl.lockf", "msvcrt.locking", "os.lockf"}
CHANGES = {"os.remove", "os.rename", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.setxattr", "os.truncate"}
WRITES = {"write", "writelines", "truncate"}
place, temporary = str(folder.parent.parent), os.path.realpath(tempfile.gettempdir())
steps = 0


def say(word):
    print("\\nvisitor:" + word, file=sys.__stdout__, flush=True)


def heard():
    global steps
    line = sys.stdin.buffer.readline()
    word, _, number = line.decode().partition(" ")
    steps = int(number or 0)
    return word


def is_near(path):
    if not isinstance(path, (str, bytes, os.PathLike)):
        return False
    return os.path.abspath(os.fsdecode(path)).startswith((place, temporary))


def changes(event, told):
    if event == "open":
        return (told[2] or 0) & (os.O_WRONLY | os.O_RDWR) and is_near(told[0])
    if event == "shutil.rmtree":
        return is_near(told[0])
    if event not in CHANGES:
        return event in LOCKS
    # With the number of an open folder, which comes last, paths begin there.
    in_open_folder = event != "os.truncate" and isinstance(told[-1], int) and told[-1] > 2
    return in_open_folder or any(is_near(path) for path in told[:2])


def stop_if(changes):
    global steps
    if steps and changes:
        steps -= 1
        if not steps:
            say("stopped")
            sys.stdin.buffer.readline()


def profile(_frame, event, called):
    if steps and event == "c_call":
        of = getattr(called, "__self__", None)
        writes = called.__name__ in WRITES and is_near(getattr(of, "name", None))
        asks = called.__name__ in ("execute", "commit") and type(of).__module__ == "sqlite3"
        stop_if(writes or asks or (called.__name__ == "write" and getattr(of, "__name__", None) == "posix"))


try:
    with answer(type(folder)(tempfile.mkdtemp(dir=place))):
        pass
except BaseException:
    pass  # it will do so again, and then we say what
say("ready")
sys.addaudithook(lambda event, told: stop_if(steps and changes(event, told)))
sys.setprofile(profile)
while heard():
    inside = False
    try:
        with answer(folder):
            inside, steps = True, 0
            say("in")
            if heard() == "raise":
                raise LookupError("of the one inside")
        steps = 0
        say("out")
    except BaseException as error:
        steps = 0
        try:
            text = str(error).replace("\\n", " ")
        except Exception:
            text = ""
        if inside and isinstance(error, LookupError) and text == "of the one inside":
            say("raised")
        else:
            say(f"refused {type(error).__name__}" + (f": {text}" if text else ""))
"""


class _Visitor:
    """A process that enters a folder by the learner's function."""

    def __init__(self, answer: Callable[..., object], folder: Path) -> None:
        work = cloudpickle.dumps((answer, folder))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _VISITOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        self._write(b"%d\n%b" % (len(work), work))
        if self.hears(5 * _PATIENCE) != "ready":
            raise TryNext("We couldn't send it to another process. Import what it needs inside the function.")

    def _read(self, stdout: IO[bytes]) -> None:
        for line in stdout:
            text = line.decode(errors="replace").strip()
            if text.startswith("visitor:"):
                self._lines.put(text.removeprefix("visitor:"))
        self._lines.put("")

    def _write(self, text: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text)
            self._process.stdin.flush()
        except OSError:
            self._lines.put("")  # it has ended

    def hears(self, seconds: float = _PATIENCE) -> str:
        """What it says next; ``nothing`` after so many seconds, or more on a slow machine; empty if it has ended."""
        limit = pace.Limit(seconds)
        while left := limit.left():
            with suppress(queue.Empty):
                return self._lines.get(timeout=left)
        return "nothing"

    def soon(self) -> str:
        """What it says within a moment. If we're wrong, and it wasn't waiting, `ends` hears it."""
        try:
            return self._lines.get(timeout=_MOMENT)
        except queue.Empty:
            return "nothing"

    def tells(self, word: str, stop: int = 0) -> str:
        """Send it in, or out, and return what it says. It stops before its change number `stop` to the folder."""
        self._write(f"{word} {stop}\n".encode())
        return self.soon() if stop else self.hears()

    def goes_on(self, said: str) -> None:
        """Let it go on, if it `said` that it stopped."""
        if said == "stopped":
            self._write(b"on\n")

    def ends(self, said: str) -> str:
        """What it says in the end, if it `said` this before, and goes on."""
        if said in ("stopped", "nothing"):
            said = self.hears()
        if said == "stopped":  # only now: it had to wait for another one
            self.goes_on(said)
            said = self.hears()
        if said == "nothing":
            raise TryNext(
                "Two processes came soon after one another, and one waited. It should get in, or raise an error at "
                "once."
            )
        return said

    def enters(self) -> str:
        return self.tells("enter")

    def enters_alone(self) -> None:
        """Enter while nobody is inside."""
        if (said := self.enters()) != "in":
            raise TryNext(f"After some visits, nobody was inside, and a process didn't get in. {_how(said)}")

    def leaves(self) -> None:
        """Leave, and stop nowhere."""
        if (said := self.tells("leave")) != "out":
            raise TryNext(f"After some visits, a process wanted to leave. {_how(said)}")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def _visitors(answer: Callable[..., object], folder: Path) -> Iterator[Callable[..., _Visitor]]:
    """A function that starts one more. All are ended with the block."""
    started: list[_Visitor] = []

    def one_more(place: Path = folder) -> _Visitor:
        started.append(_Visitor(answer, place))
        return started[-1]

    try:
        yield one_more
    finally:
        for visitor in started:
            visitor.kill()


def _judge_alone(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes the folder and returns a context manager.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder, elsewhere = (Path(place).resolve() / name / "scores" for name in ("here", "elsewhere"))
        folder.mkdir(parents=True)
        elsewhere.mkdir(parents=True)
        folder.with_name("others").mkdir()
        with _visitors(answer, folder) as one_more:
            _judge_visits(one_more(), one_more(), one_more, [folder.with_name("others"), elsewhere])
        with _visitors(answer, elsewhere) as one_more:
            one, two, three = one_more(), one_more(), one_more()
            _judge_at_the_same_moment(one, two)
            _judge_while_one_leaves(one, two, three)
            _judge_two_after_a_kill(one, two, one_more)
    return (
        "One at a time. The second one was turned away at once, and an end, an error or a kill let the next one in. "
        "Two that came at the same moment didn't both get in, not even after a kill."
    )


def _judge_visits(one: _Visitor, two: _Visitor, one_more: Callable[..., _Visitor], others: list[Path]) -> None:
    if (said := one.enters()) != "in":
        raise TryNext(f"The folder was empty, and a process didn't get in. {_how(said)}")
    if (said := two.enters()) == "in":
        raise TryNext("Two processes were inside at the same time.")
    if said == "nothing":
        raise TryNext("One process was inside, and the second one waited. It should raise an error at once.")
    for other in others:
        if (said := one_more(other).enters()) != "in":
            raise TryNext(f"While a process was inside, another one didn't get into *another* folder. {_how(said)}")
    if (said := one.tells("leave")) != "out":
        raise TryNext(f"A process wanted to leave. {_how(said)}")
    if (said := two.enters()) != "in":
        raise TryNext(f"The first process had left, and the next one didn't get in. {_how(said)}")
    if two.tells("raise") != "raised":
        raise TryNext("The one inside raised an error, and that didn't come out. Let it through.")
    if (said := one.enters()) != "in":
        raise TryNext(f"The one inside raised an error, and the next one didn't get in. {_how(said)}")
    one.kill()
    if (said := two.enters()) != "in":
        raise TryNext(
            f"We killed the process inside, and the next one didn't get in. {_how(said)} If a lock is a file that "
            "exists, nobody deletes it after a kill."
        )


def _meet_everywhere(meet: Callable[[tuple[int, int]], tuple[str, str]]) -> None:
    """Call `meet` with the changes before which two should stop, as long as they say that they did."""
    for first in range(1, _STEPS + 1):
        for second in range(1, _STEPS + 1):
            said = meet((first, second))
            if said[1] != "stopped":
                break
        if said[0] != "stopped":
            break


def _go_on(one: _Visitor, two: _Visitor, at_first: tuple[str, str], *, at_once: bool = False) -> list[str]:
    """What two said in the end that said this at first, and went on, the first one first."""
    one.goes_on(at_first[0])
    ones = one.soon() if at_first[0] == "stopped" and not at_once else at_first[0]
    two.goes_on(at_first[1])  # the first one may have waited for it
    twos = two.ends(at_first[1])
    return [one.ends(ones), twos]


def _judge_at_the_same_moment(one: _Visitor, two: _Visitor) -> None:
    """Afterward, nobody is inside."""

    def meet(stops: tuple[int, int], *, at_once: bool = False) -> tuple[str, str]:
        at_first = one.tells("enter", stops[0]), two.tells("enter", stops[1])
        said = _go_on(one, two, at_first, at_once=at_once)
        if said.count("in") > 1:
            raise TryNext(
                "Two processes came at the same moment, and both got in. Between looking whether somebody is there and "
                "taking the lock, the other one came. Do both in one step."
            )
        if "in" not in said:
            raise TryNext(f"Two processes came at the same moment, and neither got in. {_how(said[0])}")
        (one, two)[said.index("in")].leaves()
        return at_first

    _meet_everywhere(meet)
    meet((1, 1), at_once=True)


def _judge_while_one_leaves(one: _Visitor, two: _Visitor, three: _Visitor) -> None:
    """Afterward, nobody is inside."""

    def meet(stops: tuple[int, int]) -> tuple[str, str]:
        one.enters_alone()
        at_first = one.tells("leave", stops[0]), two.tells("enter", stops[1])
        if _go_on(one, two, at_first)[1] == "in":
            if three.enters() == "in":
                raise TryNext(
                    "A process came while another one was leaving, and a third one came after that. Both got in. When "
                    "you delete a locked file, someone may have opened it already, and the next one makes a new file. "
                    "Leave the file there."
                )
            two.leaves()
        return at_first

    _meet_everywhere(meet)


def _judge_two_after_a_kill(one: _Visitor, two: _Visitor, one_more: Callable[..., _Visitor]) -> None:
    """Afterward, nobody is inside."""

    def meet(stops: tuple[int, int]) -> tuple[str, str]:
        killed = one_more()
        killed.enters_alone()
        killed.kill()
        at_first = one.tells("enter", stops[0]), two.tells("enter", stops[1])
        said = _go_on(one, two, at_first)
        if said.count("in") > 1:
            raise TryNext(
                "We killed the process inside, and two came soon after one another. Both got in: each of them cleaned "
                "up after the dead one, and the second one deleted what the first one had just made."
            )
        for visitor, word in zip((one, two), said, strict=True):
            if word == "in":
                visitor.leaves()
        return at_first

    _meet_everywhere(meet)


def _how(said: str) -> str:
    if said == "nothing":
        return "It was still waiting when we gave up."
    return f"It raised `{said.removeprefix('refused ')}`." if said else "Its process ended."


def _solve_alone(folder):
    from pathlib import Path

    from filelock import FileLock

    return FileLock(Path(folder) / "run.lock", timeout=0)


alone = Exercise(
    variable="alone",
    judge=_judge_alone,
    solve=_solve_alone,
    hints=(
        "The operating system can keep a lock on an open file for your process, and takes it back when the process "
        "ends. `filelock.FileLock(path, timeout=0)` does that on every system.",
        "A `FileLock` is a context manager itself. Return one for a file in the folder.",
    ),
    is_function=True,
    apart=True,
    seconds=_SECONDS,
)

_TRAINED = 100_000


def _judge_alarm(answer: object) -> str:
    if not callable(answer):
        raise TryNext("It should be a function that takes two arrays of scores.")
    for shape in ((2, 8), (5, 3), (2, 400)):
        _judge_alarm_for(answer, *shape)
    return (
        "For three models, it was quiet on 27 healthy nights each and for a tiny shift. It rang when scores moved, "
        "spread, or changed for some."
    )


def _judge_alarm_for(answer: Callable[..., object], a: float, b: float) -> None:
    """Nights of a model whose scores have a beta distribution."""
    random = np.random.default_rng()

    def usual(size: int) -> np.ndarray:
        return random.beta(a, b, size)

    trained = usual(_TRAINED)

    def rings(tonight: np.ndarray) -> bool:
        try:
            said = answer(trained.copy(), tonight)
        except Exception as error:
            raise TryNext(f"It raised `{reason(error)}`.") from error
        if not isinstance(said, bool | np.bool_):
            raise TryNext(f"It should return True or False, and it returned a {type(said).__name__}.")
        return bool(said)

    for size in [2_000] * 20 + [20_000] * 5 + [200_000] * 2:
        if rings(usual(size)):
            raise TryNext(f"A healthy night of {size:,} orders, and it rang.")
    shift = 0.03 * trained.std()
    if rings(usual(1_000_000) + shift):
        raise TryNext(
            f"All of a million scores were higher by {shift:.1g}. That's certain, and it doesn't matter, but it rang. "
            "Measure how large the difference is, and not how certain."
        )
    for size in (2_000, 50_000):
        scores = usual(size)
        mean = scores.mean()
        near_one = np.where(np.arange(size) % 3 == 0, 0.97, scores)
        for what, tonight in {
            "moved: all were higher by six tenths": scores * 1.6,
            "moved: all were lower by four tenths": scores * 0.6,
            "spread: their mean was nearly the same": mean + 2 * (scores - mean),
            "changed for some: one in three was near 1": near_one,
        }.items():
            if not rings(np.clip(tonight, 0, 1)):
                raise TryNext(f"The scores of {size:,} orders {what}. It should have rung.")


def _solve_alarm(trained, tonight):
    import numpy as np

    edges = np.quantile(trained, np.linspace(0.1, 0.9, 9))

    def shares(scores):
        counts = np.bincount(np.searchsorted(edges, scores), minlength=10)
        return np.maximum(counts / len(scores), 1e-4)

    p, q = map(shares, (trained, tonight))
    return bool(((q - p) * np.log(q / p)).sum() > 0.1)


alarm = Exercise(
    variable="alarm",
    judge=_judge_alarm,
    solve=_solve_alarm,
    hints=(
        "The mean says too little. Compare the shares of a few bins, as `psi` does above, or the two cumulative "
        "distributions.",
        "Take `edges` from `trained`, count both arrays in the ten bins, and compare the PSI with 0.1.",
    ),
    is_function=True,
    apart=True,
    seconds=_SECONDS,
)
