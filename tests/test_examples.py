"""Whatever labs and instructors call has an example, and `pytest --doctest-modules src/daskclass` runs it."""

import doctest
import importlib
import inspect
import pkgutil
import re

import pytest

CALLED = (
    "charts:memory",
    "claims:as_line",
    "claims:claim",
    "claims:is_true",
    "clusters:connect",
    "clusters:start",
    "clusters:visit",
    "exercises.exercise:Exercise",
    "exercises.exercise:Exercise.check",
    "exercises.exercise:Exercise.hint",
    "exercises.exercise:Exercise.solution",
    "exercises.exercise:Exercise.verdict",
    "faults:kill",
    "labs:Lab",
    "labs:choose",
    "limits:run",
    "sales:look",
    "sales:make",
    "sales:open_sales",
    "scoring:finished",
    "scoring:load",
    "scoring:read_manifest",
    "scoring:save",
    "scoring:score_file",
    "scoring:train",
    "scoring:write_manifest",
    "sizes:parse",
    "sizing:Machine",
    "sizing:Model.interval",
    "sizing:Model.seconds",
    "sizing:fit",
    "sizing:plan",
    "terminals:Terminals",
    "watch:core_seconds",
    "watch:file_reads",
    "watch:memory_rise",
    "watch:record",
    "watch:until",
    "watch.story:story",
    "watch.topology:topology",
    "watch.traffic:through_scheduler",
    "wheels:make",
)

SECTION = re.compile(r"^(\w[\w ]*)\n-+$", re.MULTILINE)


@pytest.fixture(params=CALLED)
def called(request):
    return pkgutil.resolve_name(f"daskclass.{request.param}")


def test_it_ends_with_examples_that_a_sentence_explains(called):
    text = inspect.getdoc(called)
    sections = SECTION.findall(text)
    assert sections[-1:] == ["Examples"], f"its sections are {sections}"
    examples = text.rpartition("Examples\n--------\n")[2]
    assert examples.count(">>> ") > 0
    explanation = examples.partition(">>> ")[0].strip()
    assert explanation.endswith((".", ":")), f"{explanation!r} doesn't say what the example shows"


def test_it_has_an_example_that_pytest_finds(called):
    module = importlib.import_module(called.__module__)
    found = {test.name for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples}
    assert f"{module.__name__}.{called.__qualname__}" in found
