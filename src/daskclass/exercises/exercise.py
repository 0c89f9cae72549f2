"""What is an exercise? A judge, hints, and a solution that is a real function."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
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
    """The result of a check: ``not attempted``, ``not yet`` or ``right``, and a message to the learner."""

    state: Literal["not attempted", "not yet", "right"]
    message: str


@dataclass(frozen=True)
class Exercise:
    """One question for the learner.

    Attributes
    ----------
    variable : str
        The notebook's name for the answer. As long as it is ``...``, the learner hasn't tried.
    judge : callable
        ``judge(answer, *live)`` returns a sentence of praise that says what the answer shows, or raises
        `TryNext`. The notebook passes ``live`` to `check`: a client, the data. A judge that can't judge, because
        something other than the answer is missing, raises `Problem`.
    solve : callable
        A right answer. `solution` shows its source, and the tests run it.
    hints : tuple of str
        From a nudge to nearly there.
    is_function : bool
        Whether the answer is a function. Then `solve` is that function; otherwise `solve` returns the answer.
    apart : bool
        Whether the judge calls the answer itself, without a cluster. Then it runs in a separate process, because the
        answer may never return.
    seconds : float, optional
        The time limit for a judge in a separate process, if it starts a cluster there; by default `apart.SECONDS`.

    Examples
    --------
    A judge never gives the answer away. It says what to try next.

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
    seconds: float | None = None

    def verdict(self, answer: object, *live: object) -> Verdict:
        """Judge `answer` without showing anything.

        Parameters
        ----------
        answer : object
            The notebook's `variable`.
        *live : object
            Anything else the judge needs.

        Returns
        -------
        Verdict
            Also ``not yet`` if the judge fails on an answer of a kind that it doesn't expect.

        Raises
        ------
        Problem
            If the answer can't be judged now, for example because the client has lost its cluster.

        Examples
        --------
        Lab 00 asks for the sum of three prices in cents, which its plan adds up.

        >>> from daskclass.exercises import lab00
        >>> [lab00.lazy.verdict(answer).state for answer in (..., 25.5, 2550)]
        ['not attempted', 'not yet', 'right']
        """
        if not _attempted(answer):
            is_empty = "doesn't do anything yet" if type(answer) is FunctionType else "is still `...`"
            return Verdict(NOT_ATTEMPTED, f"`{self.variable}` {is_empty}. Put your answer there.")
        _require_clusters(live)
        try:
            if self.apart and callable(answer):
                return Verdict(RIGHT, apart.run(self.judge, answer, *live, seconds=self.seconds))
            return Verdict(RIGHT, self.judge(answer, *live))
        except Problem:
            raise
        except apart.NoVerdict as reason:
            return Verdict(NOT_YET, str(reason))
        except TryNext as advice:
            _require_clusters(live)  # judges blame the answer for everything that goes wrong
            shown = _shown(answer)
            got = f"`{self.variable}` is {shown}. " if shown else ""
            return Verdict(NOT_YET, f"{got}{advice}")
        except Exception as error:  # an answer of an unexpected kind is a wrong answer, too
            _require_clusters(live)
            return Verdict(NOT_YET, apart.unchecked(error))

    def check(self, answer: object, *live: object) -> None:
        """Say in a line under the cell whether `answer` is right. Never raises for a wrong answer.

        Parameters
        ----------
        answer : object
            The notebook's `variable`.
        *live : object
            Anything else the judge needs.

        Examples
        --------
        Before the learner has tried anything, the answer is Python's ``...``.

        >>> from daskclass.exercises import lab00
        >>> lab00.lazy.check(...)
        … **Not attempted.** `answer` is still `...`. Put your answer there.
        """
        try:
            verdict = self.verdict(answer, *live)
        except Problem as problem:
            _say(f"? **Not checked.** {problem}")
            return
        mark = {NOT_ATTEMPTED: "…", NOT_YET: MARKS[False], RIGHT: MARKS[True]}[verdict.state]
        _say(f"{mark} **{verdict.state.capitalize()}.** {verdict.message}")

    def hint(self, number: int = 1) -> None:
        """Show hint `number`, or say how many there are if there is no such hint.

        Parameters
        ----------
        number : int
            Counts from 1.

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
            _say(f"There's no hint {number}. This exercise has {len(self.hints)}.")
            return
        more = f" (`.hint({number + 1})` says more.)" if number < len(self.hints) else ""
        _say(f"**Hint {number}.** {self.hints[number - 1]}{more}")

    def solution(self) -> None:
        """Show a solution the way you would type it into the cell. It is the source of the function that the tests run.

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
            first, last = steps[0], cast(ast.Return, steps[-1])  # a test checks that solutions have this form
            before = source.splitlines(keepends=True)[first.lineno - 1 : last.lineno - 1]
            answer = ast.get_source_segment(source, cast(ast.expr, last.value))
            source = f"{textwrap.dedent(''.join(before))}{self.variable} = {answer}"
        _say(f"```python\n{source}\n```")


def _require_clusters(live: tuple[object, ...]) -> None:
    """Raise a Problem if one of the notebook's clients has lost its scheduler, or was closed."""
    from distributed import Client

    for client in live:
        if isinstance(client, Client) and client.status != "running":
            raise Problem(
                f"Your answer needs a cluster, and this notebook's client has lost its scheduler (it is "
                f"{client.status}). Run the cell that starts the cluster, then run this one again."
            )


def _attempted(answer: object) -> bool:
    if type(answer) is FunctionType:  # is its body still `...`?
        code = answer.__code__
        returns_something = set(code.co_consts) - {None, ..., answer.__doc__}
        return bool(returns_something) or code.co_code not in _EMPTY
    return answer is not ...


def _bare() -> None: ...


def _documented() -> None:
    """An empty body after a docstring compiles to different bytes."""


_EMPTY = {function.__code__.co_code for function in (_bare, _documented)}


def _shown(answer: object) -> str:
    """The answer in a few words. Empty for a function, whose text says nothing."""
    try:
        if inspect.isroutine(answer):
            return ""
        text = " ".join(repr(answer).split())
    except Exception:  # an answer that can't show itself is still an answer
        return f"`{type(answer).__name__}`"
    return f"`{text if len(text) <= 80 else text[:77] + '…'}`"


def _say(markdown: str) -> None:
    if get_ipython() is None:
        print(markdown)
    else:
        plain = markdown.replace("**", "")
        display({"text/plain": plain, "text/markdown": markdown}, raw=True)
