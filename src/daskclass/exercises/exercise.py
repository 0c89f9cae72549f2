"""What is an exercise? A judge, hints, and a solution that is a real function."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from IPython import get_ipython
from IPython.display import display

from daskclass.claims import MARKS
from daskclass.errors import Problem
from daskclass.exercises import apart
from daskclass.exercises.apart import TryNext as TryNext

NOT_ATTEMPTED: Final = "not attempted"
NOT_YET: Final = "not yet"
RIGHT: Final = "right"


@dataclass(frozen=True)
class Verdict:
    """What a check found: ``not attempted``, ``not yet`` or ``right``, and a message to the learner."""

    state: Literal["not attempted", "not yet", "right"]
    message: str


@dataclass(frozen=True)
class Exercise:
    """One question to the learner.

    Attributes
    ----------
    variable : str
        The name in the notebook that holds the answer; ``...`` in it means that nothing was tried.
    judge : callable
        ``judge(answer, *live)`` returns a sentence of praise that says what the answer shows, or raises
        `TryNext`. What else the notebook passes to `check` (a client, the data) comes as ``live``.
    solve : callable
        A right answer: the source that `solution` shows, and that the tests run.
    hints : tuple of str
        From a nudge to nearly there.
    is_function : bool
        Whether the answer itself is a function: then `solve` is one, and otherwise `solve` returns one.
    apart : bool
        Whether the judge calls the answer here, and not on a cluster: then it does so in a process of its own, because
        the answer may never return.

    Examples
    --------
    A judge never gives the answer away: it says what to try next.

    >>> from daskclass.exercises.exercise import Exercise, TryNext
    >>> def judge(answer, workers):
    ...     if answer != workers * 2:
    ...         raise TryNext("Each worker has two threads.")
    ...     return f"{answer} tasks run at the same time."
    >>> def solve(workers):
    ...     return workers * 2
    >>> slots = Exercise("slots", judge, solve, hints=("Count the threads.",))
    >>> slots.check(3, 3)
    ✘ **Not yet.** `slots` is `3`. Each worker has two threads.
    >>> slots.check(6, 3)
    ✔ **Right.** 6 tasks run at the same time.
    """

    variable: str
    judge: Callable[..., str]
    solve: Callable[..., Any]
    hints: tuple[str, ...]
    is_function: bool = False
    apart: bool = False

    def verdict(self, answer: object, *live: object) -> Verdict:
        """Judge `answer` without showing anything.

        Parameters
        ----------
        answer : object
            What the notebook has in `variable`.
        *live : object
            What else the judge wants.

        Returns
        -------
        Verdict
            ``not yet`` also if the judge fails on an answer of a kind that it does not expect.

        Raises
        ------
        Problem
            If a cluster that the answer needs is lost: then nothing can be said about the answer.

        Examples
        --------
        Lab 00 asks for the sum of three prices in cents, which its plan adds up.

        >>> from daskclass.exercises import lab00
        >>> [lab00.lazy.verdict(answer).state for answer in (..., 25.5, 2550)]
        ['not attempted', 'not yet', 'right']
        """
        if not _attempted(answer):
            return Verdict(NOT_ATTEMPTED, f"`{self.variable}` is still `...`; put your answer there.")
        _require_clusters(live)
        try:
            if self.apart and callable(answer):
                return Verdict(RIGHT, apart.run(self.judge, answer, *live))
            return Verdict(RIGHT, self.judge(answer, *live))
        except apart.NoVerdict as reason:
            return Verdict(NOT_YET, str(reason))
        except TryNext as advice:
            _require_clusters(live)  # judges take what an answer raises for the answer's fault
            shown = _shown(answer)
            got = f"`{self.variable}` is {shown}. " if shown else ""
            return Verdict(NOT_YET, f"{got}{advice}")
        except Exception as error:  # an answer of a kind that nobody thought of is a wrong answer, too
            _require_clusters(live)
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            return Verdict(NOT_YET, f"It could not be checked ({reason}). Is it of the kind that is asked for?")

    def check(self, answer: object, *live: object) -> None:
        """Say whether `answer` is right, in a line under the cell. Never raises for a wrong answer.

        Parameters
        ----------
        answer : object
            What the notebook has in `variable`.
        *live : object
            What else the judge wants.

        Examples
        --------
        Before the learner has tried anything, the answer is Python's ``...``.

        >>> from daskclass.exercises import lab00
        >>> lab00.lazy.check(...)
        … **Not attempted.** `answer` is still `...`; put your answer there.
        """
        try:
            verdict = self.verdict(answer, *live)
        except Problem as problem:
            _say(f"? **Not checked.** {problem}")
            return
        mark = {NOT_ATTEMPTED: "…", NOT_YET: MARKS[False], RIGHT: MARKS[True]}[verdict.state]
        _say(f"{mark} **{verdict.state.capitalize()}.** {verdict.message}")

    def hint(self, number: int = 1) -> None:
        """Show hint `number`, or how many there are if it has none of that number.

        Parameters
        ----------
        number : int
            From 1.

        Examples
        --------
        Each hint says that there is another one.

        >>> from daskclass.exercises.exercise import Exercise
        >>> total = Exercise("total", judge=str, solve=sum, hints=("One function does it.", "It is `sum`."))
        >>> total.hint()
        **Hint 1.** One function does it. (`.hint(2)` says more.)
        >>> total.hint(2)
        **Hint 2.** It is `sum`.
        """
        if number not in range(1, len(self.hints) + 1):
            _say(f"There is no hint {number}: this exercise has {len(self.hints)}.")
            return
        more = f" (`.hint({number + 1})` says more.)" if number < len(self.hints) else ""
        _say(f"**Hint {number}.** {self.hints[number - 1]}{more}")

    def solution(self) -> None:
        """Show a solution as it would stand in the cell: the source of the very function that the tests run.

        Examples
        --------
        Lab 00 asks for the result of a plan.

        >>> from daskclass.exercises import lab00
        >>> lab00.lazy.solution()
        ```python
        answer = plan.compute()
        ```
        """
        source = textwrap.dedent(inspect.getsource(self.solve)).strip()
        if self.is_function:
            source = source.replace(f"def {self.solve.__name__}(", f"def {self.variable}(", 1)
        else:
            steps = cast(ast.FunctionDef, ast.parse(source).body[0]).body
            first, last = steps[0], cast(ast.Return, steps[-1])  # a test holds that solutions are of this form
            before = source.splitlines(keepends=True)[first.lineno - 1 : last.lineno - 1]
            answer = ast.get_source_segment(source, cast(ast.expr, last.value))
            source = f"{textwrap.dedent(''.join(before))}{self.variable} = {answer}"
        _say(f"```python\n{source}\n```")


def _require_clusters(live: tuple[object, ...]) -> None:
    """A Problem if one of the clients that the notebook passed has lost its scheduler, or was closed."""
    from distributed import Client

    for client in live:
        if isinstance(client, Client) and client.status != "running":
            raise Problem(
                f"Your answer needs a cluster, and the client of this notebook has lost its scheduler (it is "
                f"{client.status}). Run the cell that starts the cluster, then this one again."
            )


def _attempted(answer: object) -> bool:
    if inspect.isfunction(answer):  # is its body still `...`?
        code = answer.__code__
        returns_something = set(code.co_consts) - {None, ..., answer.__doc__}
        return bool(returns_something) or code.co_code not in _EMPTY
    return answer is not ...


def _bare() -> None: ...


def _documented() -> None:
    """A body of nothing behind a docstring compiles to other bytes."""


_EMPTY = {function.__code__.co_code for function in (_bare, _documented)}


def _shown(answer: object) -> str:
    """The answer in a few words; nothing for a function, whose text says nothing."""
    if inspect.isroutine(answer):
        return ""
    try:
        text = " ".join(repr(answer).split())
    except Exception:  # an answer that cannot show itself is still an answer
        return f"`{type(answer).__name__}`"
    return f"`{text if len(text) <= 80 else text[:77] + '…'}`"


def _say(markdown: str) -> None:
    if get_ipython() is None:
        print(markdown)
    else:
        plain = markdown.replace("**", "")
        display({"text/plain": plain, "text/markdown": markdown}, raw=True)
