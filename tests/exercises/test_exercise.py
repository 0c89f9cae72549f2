import ast
import inspect
import math
from pathlib import Path

import dask
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster

from daskclass.errors import Problem
from daskclass.exercises import exercise as exercises
from daskclass.exercises.exercise import RIGHT, Exercise, TryNext, Verdict
from daskclass.sick_clusters import SICKNESSES, Ward


def judge(answer) -> str:
    if answer != 7:
        raise TryNext("Count again.")
    return "Seven it is."


def solve():
    return 7


seven = Exercise("seven", judge, solve, ("It is odd.", "It is prime.", "It is below eight."))


@pytest.fixture
def solved(live):
    """A solution is the answer itself where the question is a function, else it makes the answer."""

    def answer(exercise):
        if exercise.is_function:
            return exercise.solve
        return exercise.solve(*map(live, inspect.signature(exercise.solve).parameters))

    return answer


def test_dots_are_not_attempted(exercise, capsys):
    verdict = exercise.verdict(...)
    assert verdict.state == "not attempted"
    assert f"`{exercise.variable}` is still `...`" in verdict.message
    exercise.check(...)
    assert capsys.readouterr().out == f"… **Not attempted.** {verdict.message}\n"


def test_a_function_of_dots_is_not_attempted(exercise):
    def untouched(orders): ...

    def described(orders):
        """Take orders."""
        ...

    assert exercise.verdict(untouched).state == exercise.verdict(described).state == "not attempted"


def test_the_solution_is_right(exercise, judged, solved):
    verdict = judged(exercise, solved(exercise))
    assert verdict.state == "right", verdict.message
    assert verdict.message.endswith(".")


def test_the_solution_shown_is_the_one_that_was_run(exercise, judged, capsys):
    exercise.solution()
    shown = capsys.readouterr().out
    assert shown.startswith("```python\n")
    assert shown.endswith("\n```\n")
    code = shown.removeprefix("```python\n").removesuffix("\n```\n")
    source = inspect.getsource(exercise.solve)
    if exercise.is_function:
        assert code == source.strip().replace(exercise.solve.__name__, exercise.variable)
        pasted = {"__name__": "__main__"}
        exec(code, pasted)
        assert judged(exercise, pasted[exercise.variable]).state == "right"
    else:
        assert f"\n{exercise.variable} = " in f"\n{code}"
        assert "return " + f"\n{code}".rpartition(f"\n{exercise.variable} = ")[2] in source
        compile(code, "solution", "exec")


def unannotated(tree):
    """The functions without a type of what they return, but for solutions and what is inside of them."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("_solve_"):
                continue
            if node.returns is None:
                found.append(node.name)
        found += unannotated(node)
    return found


def test_only_solutions_are_without_annotations():
    """In these modules mypy lets a function go that has none at all, because solutions are shown without."""
    assert unannotated(ast.parse("def _solve_it(a): ...\ndef judge(a):\n    def inner(): ...")) == ["judge", "inner"]
    folder = Path(exercises.__file__).parent
    found = {path.name: unannotated(ast.parse(path.read_text(encoding="utf-8"))) for path in folder.glob("*.py")}
    assert {name: functions for name, functions in found.items() if functions} == {}


def test_hints_lead_on_and_a_hint_too_many_is_said(exercise, capsys):
    assert exercise.hints
    for number, hint in enumerate(exercise.hints, start=1):
        exercise.hint(number)
        shown = capsys.readouterr().out
        assert shown.startswith(f"**Hint {number}.** {hint}")
        assert (f".hint({number + 1})" in shown) == (number < len(exercise.hints))
    for number in (0, -1, len(exercise.hints) + 1):
        exercise.hint(number)
        assert f"no hint {number}. This exercise has {len(exercise.hints)}" in capsys.readouterr().out


def test_an_exercise_is_asked_for_under_a_name(exercise):
    assert exercise.variable.isidentifier()


class Stubborn:
    """An answer that can be neither compared, shown, counted nor looked through."""

    def _refuse(self, *_arguments):
        raise RuntimeError("no")

    __eq__ = __bool__ = __repr__ = __str__ = __len__ = __iter__ = __float__ = __hash__ = __getattr__ = _refuse


# As if typed in the notebook: a worker that lacks the module of what it gets ends, and its nanny with it.
Stubborn.__module__ = Stubborn._refuse.__module__ = "__main__"


def endless():
    while True:
        yield "hay-1", "scheduler"


STRANGE = [
    None,
    math.nan,
    10**400,
    "x" * 1_000_000,
    b"\xff",
    np.arange(6).reshape(2, 3),
    pd.DataFrame({"a": [1, 2]}),
    pd.Series([None, math.nan]),
    {None: ..., (1, 2): []},
    dask.delayed(7),
    endless(),
    Stubborn,
    Stubborn(),
    [Stubborn(), Stubborn()],
    {"order_id": Stubborn(), "customer": Stubborn(), "quantity": Stubborn()},
]


SIX = Ward({}, dict(zip("ABCDEF", ["healthy", *SICKNESSES], strict=True)))  # nobody looks at the recordings


def test_whatever_is_typed_ends_in_a_verdict(exercise, judged):
    for answer in STRANGE:
        assert judged(exercise, answer, ward=SIX).state == "not yet", type(answer)


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (7, "✔ **Right.** Seven it is."),
        (8, "✘ **Not yet.** `seven` is `8`. Count again."),
        (None, "✘ **Not yet.** `seven` is `None`. Count again."),
        ("a\n b", r"✘ **Not yet.** `seven` is `'a\n b'`. Count again."),
        (list(range(99)), f"✘ **Not yet.** `seven` is `{str(list(range(99)))[:77]}…`. Count again."),
        (len, "✘ **Not yet.** Count again."),
        (..., "… **Not attempted.** `seven` is still `...`. Put your answer there."),
    ],
)
def test_a_verdict_is_one_line(answer, line, capsys):
    seven.check(answer)
    assert capsys.readouterr().out == line + "\n"


def test_hints_start_with_the_first(capsys):
    seven.hint()
    assert capsys.readouterr().out == "**Hint 1.** It is odd. (`.hint(2)` says more.)\n"


@pytest.mark.parametrize(
    "answer", [lambda orders: 18.0, lambda orders: "Toys", lambda orders: orders, lambda orders: print(orders)]
)
def test_a_short_function_is_an_attempt(answer):
    assert seven.verdict(answer).state == exercises.NOT_YET


def test_in_a_notebook_exercises_speak_markdown(notebook):
    (checked,), (hint,), (solution,) = (notebook[name] for name in ("check", "hint", "solution"))
    assert checked.data["text/markdown"].startswith("… **Not attempted.** `partitions`")
    assert checked.data["text/plain"].startswith("… Not attempted. `partitions`")
    assert hint.data["text/markdown"].startswith("**Hint 1.**")
    assert solution.data["text/markdown"].startswith("```python\npartitions = max(1, sales.bytes // ")


@pytest.fixture
def lost():
    """A client, and a function that takes its cluster away."""
    with (
        LocalCluster(1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):

        def lose():
            client.close()

        yield client, lose


def judge_with_a_cluster(answer, client):
    try:
        return f"{client.submit(answer, 1, pure=False).result()} is right."
    except Exception as error:
        raise TryNext(f"It raised {type(error).__name__}.") from error


WITH_A_CLUSTER = Exercise("answer", judge_with_a_cluster, lambda: None, ())


def test_a_cluster_that_is_lost_is_no_wrong_answer(lost, capsys):
    client, lose = lost
    assert WITH_A_CLUSTER.verdict(lambda number: number, client) == Verdict(RIGHT, "1 is right.")
    lose()
    with pytest.raises(Problem, match="has lost its scheduler"):
        WITH_A_CLUSTER.verdict(lambda number: number, client)
    WITH_A_CLUSTER.check(lambda number: number, client)
    assert capsys.readouterr().out.startswith("? **Not checked.** Your answer needs a cluster")


@pytest.mark.parametrize("error", [TryNext("It is too small."), ConnectionError("closed")])
def test_a_cluster_that_is_lost_while_an_answer_is_judged_is_no_wrong_answer(lost, error):
    client, lose = lost

    def judge(answer, client):
        lose()
        raise error

    with pytest.raises(Problem, match="has lost its scheduler"):
        Exercise("answer", judge, lambda: None, ()).verdict(1, client)


def test_what_an_answer_raises_on_a_cluster_that_lives_is_not_yet_right(lost):
    client, _lose = lost

    def raises(number):
        raise ConnectionError("mine")

    verdict = WITH_A_CLUSTER.verdict(raises, client)
    assert (verdict.state, verdict.message) == ("not yet", "It raised ConnectionError.")
