"""A lab that goes on after its failures: each claim holds, is false, or could not be asked, and it's said why."""

import os
from pathlib import Path

import pytest

from daskclass import labs
from daskclass.commands.rehearsal import answers, one_lab
from daskclass.commands.rehearsal.outcome import Claim, Failure, Outcome

ROOT = Path(__file__).parents[3]
OURS = Path(labs.__file__).parent / "system" / "waiting.py"


class Deaf:
    def cell(self, name, number, of, family): ...

    def claim(self, claim): ...


@pytest.fixture(scope="module")
def planted(troubled_checkout, tmp_path_factory):
    """What came of the lab with planted faults, stopping at the first and going on."""
    lab = labs.choose("07", labs.find(troubled_checkout))[0]
    environment = {**os.environ, "DASKCLASS_SIZE": "2MB", "IPYTHONDIR": str(tmp_path_factory.mktemp("ipython"))}
    return {going: one_lab.run(lab, environment, None, Deaf(), keep_going=going) for going in (False, True)}


def of(outcome: Outcome) -> dict[str, tuple]:
    return {claim.cell: (claim.holds, claim.because, claim.blocked_by) for claim in outcome.claims}


def test_a_lab_that_goes_on_has_an_answer_to_every_claim(planted):
    assert of(planted[True]) == {
        "claim-false": (False, None, None),
        "claim-name": (None, "cell", "name"),
        "claim-own-name": (None, "name", "claim-own-name"),
        "claim-instrument": (None, "cell", "instrument"),
        "claim-own-instrument": (None, "instrument", "claim-own-instrument"),
        "claim-lost": (None, "cell", "half-way"),  # what looks true may be so by an earlier value
        "claim-doubtful": (None, "cell", "half-way"),  # what looks false may be so by half of a cell
        "claim-not-doubtful": (True, None, None),
        "claim-anew": (False, None, None),
        "claim-kept": (True, None, None),
    }


def test_each_failure_has_its_kind(planted):
    failures = {failure.cell: (failure.because, failure.error) for failure in planted[True].failures}
    assert failures["name"] == ("name", failures["name"][1])
    assert failures["name"][1].startswith("ImportError: cannot import name 'NotThere' from 'dask.distributed'")
    assert failures["claim-name"][0] == "error"  # it misses a name of ours
    assert failures["claim-own-name"] == ("name", "AttributeError: 'list' object has no attribute 'measure'")
    assert failures["instrument"][0] == failures["claim-own-instrument"][0] == "instrument"
    assert "has changed distributed/stealing.py" in failures["instrument"][1]
    assert failures["half-way"] == ("error", "IndexError: list index out of range")
    assert list(failures) == [
        *("name", "claim-name", "claim-own-name", "instrument", "claim-instrument", "claim-own-instrument"),
        "half-way",
    ]


def test_why_is_a_sentence_that_names_the_cell(planted):
    why = {claim.cell: claim.why for claim in planted[True].claims}
    assert why["claim-name"].startswith("a cell that it needs failed, `name`: ImportError: cannot import name")
    assert why["claim-own-name"] == "its cell failed: AttributeError: 'list' object has no attribute 'measure'"
    assert why["claim-false"] is None
    assert planted[True].status == "failed"
    assert planted[True].error.startswith("ImportError in the cell `name`: ")


def test_a_lab_that_stops_says_so_for_the_rest(planted):
    outcome = planted[False]
    assert [failure.cell for failure in outcome.failures] == ["name"]
    assert of(outcome)["claim-false"] == (False, None, None)
    assert of(outcome)["claim-name"] == (None, "cell", "name")
    assert of(outcome)["claim-kept"] == (None, "stopped", None)
    assert outcome.claims[-1].why == outcome.error


@pytest.mark.parametrize(
    ("source", "reads", "sets", "defines"),
    [
        ("a = b + 1", {"b"}, {"a"}, set()),
        ("a += 1", {"a"}, {"a"}, set()),
        ("import x.y as z\nfrom p import q", set(), {"z", "q"}, {"z", "q"}),
        ("def f(n):\n    m = n\n    return m + k", {"k"}, {"f"}, {"f"}),
        ("def f():\n    global g\n    g = 1", set(), {"f", "g"}, {"f"}),
        ("rows = [n for n in table if n > least]", {"table", "least"}, {"rows"}, set()),
        ("with a() as b, c as d:\n    pass", {"a", "c"}, {"b", "d"}, set()),
        ("box['k'] = v\nbox.k = w", {"box", "v", "w"}, set(), set()),
        ("class A(B):\n    k = v", {"B", "v"}, {"A"}, {"A"}),
        ("f = lambda n: n + k", {"k"}, {"f"}, set()),
    ],
)
def test_names_of_a_cell(source, reads, sets, defines):
    assert answers.names(source)[:3] == (reads, sets, defines)


def test_what_a_function_reads_is_known_by_its_name():
    source = "def f(n):\n    def g():\n        return k\n    return g() + m\n\nh = lambda: z"
    assert answers.names(source).of_functions == {"f": {"k", "m"}}


def test_every_cell_of_the_labs_can_be_read():
    for lab in labs.find(ROOT):
        for source in lab.cells.values():
            answers.names(source)


def settled(cells: dict[str, str], failed: str, holds: bool | None, line: int | None = None) -> tuple:
    """What becomes of a claim in the last of these cells, if the cell `failed` failed, in that line."""

    class Lab:
        pass

    lab = Lab()
    lab.cells = cells
    outcome = Outcome("00", error="failed")
    outcome.failures = [Failure(failed, "error", "an error", line)]
    outcome.claims = [Claim("it", True, holds, cell=list(cells)[-1])]
    answers.settle(lab, outcome)
    return outcome.claims[0].holds, outcome.claims[0].blocked_by


@pytest.mark.parametrize("holds", [True, False])
def test_what_is_computed_from_something_lost_is_lost(holds):
    cells = {"a": "x = f()", "b": "y = x", "c": "def g():\n    return y", "claim": "claim('it', g() == 1)"}
    assert settled(cells, "a", holds) == (None, "a")
    assert settled(cells | {"b": "y = 1"}, "a", holds) == (holds, None)
    assert settled(cells, "b", holds) == (None, "b")


SET_BEFORE = """\
first = 1
def helper():
    return first
second = fails(
    first)
third = 3
"""


@pytest.mark.parametrize(
    ("name", "there"),
    [("first", True), ("helper", True), ("second", False), ("third", False)],
)
def test_what_was_set_before_the_statement_that_failed_is_there(name, there):
    cells = {"a": SET_BEFORE, "claim": f"claim('it', {name} is not None)"}
    assert settled(cells, "a", True, line=5) == ((True, None) if there else (None, "a"))
    assert settled(cells, "a", True) == (None, "a")


def test_what_was_set_from_something_lost_is_lost():
    cells = {"a": "x = f()", "b": "y = x\nz = 1\nfails()", "claim": "claim('it', y == 1)"}

    class Lab:
        pass

    lab = Lab()
    lab.cells = cells
    outcome = Outcome("00", error="failed")
    outcome.failures = [Failure("a", "error", "an error", 1), Failure("b", "error", "another", 3)]
    outcome.claims = [Claim("it", True, True, cell="claim")]
    answers.settle(lab, outcome)
    assert (outcome.claims[0].holds, outcome.claims[0].blocked_by) == (None, "a")


def test_the_line_of_a_failure_is_read_from_the_traceback(planted):
    lines = {failure.cell: failure.line for failure in planted[True].failures}
    assert (lines["name"], lines["instrument"], lines["half-way"]) == (1, 3, 2)


def test_a_cell_that_needs_a_lost_name_and_fails_has_the_first_as_its_cause():
    cells = {"a": "x = f()", "b": "y = x", "claim": "claim('it', y == 1)"}
    assert settled(cells, "a", None) == (None, "a")


@pytest.mark.parametrize("line", [None, 2])
def test_printing_is_not_a_thing_that_two_cells_share(line):
    cells = {"a": "x = f()\nprint(len(x))", "b": "y = 2\nprint(len(y))", "claim": "claim('it', sum(y) == 3)"}
    assert settled(cells, "a", False, line) == (False, None)
    assert settled(cells | {"b": "y = 2\nlen = f"}, "a", False, line) == (None, "a")  # then it's the notebook's


HALF = {
    "set": "times = {}\nfor n in (1, 2):\n    times[n] = measure(n)",
    "deep": "times = {}\nfor n in (1, 2):\n    times[n].all = measure(n)",
    "method": "times = []\nfor n in (1, 2):\n    times.append(measure(n))",
    "delete": "times = {}\nfor n in (1, 2):\n    del times[n]",
}


@pytest.mark.parametrize("source", HALF.values(), ids=HALF)
def test_what_the_statement_that_failed_changed_half_way_is_lost(source):
    cells = {"a": source, "claim": "claim('it', all(times))"}
    assert settled(cells, "a", True, line=3) == (None, "a")
    earlier = {"before": source.partition("\n")[0], "a": source.partition("\n")[2], "claim": cells["claim"]}
    assert settled(earlier, "a", True, line=2) == (None, "a")
    assert settled(earlier, "a", True) == (None, "a")


def test_what_an_earlier_statement_changed_is_there():
    cells = {"a": "times = {}\ntimes[1] = measure(1)\nfails()", "claim": "claim('it', all(times))"}
    assert settled(cells, "a", True, line=3) == (True, None)


def test_a_function_needs_what_it_reads():
    cells = {
        "before": "y = 1\ndef g():\n    return y\ndef h():\n    return g()",
        "a": "y = fails()",
        "claim": "claim('it', h() == 1)",
    }
    assert settled(cells, "a", True, line=1) == (None, "a")
    redefined = {**cells, "claim": "def h():\n    return 1\nclaim('it', h() == 1)"}
    assert settled(redefined, "a", True, line=1) == (True, None)


def test_what_looks_false_says_what_it_shares_with_a_cell_that_failed():
    cells = {"a": "client.fails()", "claim": "claim('it', client.count() == 1)"}

    class Lab:
        pass

    lab = Lab()
    lab.cells = cells
    outcome = Outcome("00", error="failed")
    outcome.failures = [Failure("a", "error", "an error", 1)]
    outcome.claims = [Claim("it", True, False, {"count": 2}, cell="claim")]
    answers.settle(lab, outcome)
    [claim] = outcome.claims
    assert (claim.holds, claim.blocked_by, claim.evidence) == (None, "a", {"count": 2})
    assert claim.why == "it was false, but `a`, which uses `client`, too, failed before: an error"


def test_the_reason_of_a_lab_that_ended_early_is_its_end():
    class Lab:
        pass

    lab = Lab()
    lab.cells = {"a": "x = f()", "claim": "claim('it', y)"}
    outcome = Outcome("00", error="an error in `a`")
    outcome.failures = [Failure("a", "error", "an error", 1)]
    outcome.claims = [Claim("it", True, None, cell="claim")]
    answers.settle(lab, outcome, "it didn't finish within 10 minutes")
    assert (outcome.claims[0].because, outcome.claims[0].why) == ("stopped", "it didn't finish within 10 minutes")


def test_using_a_module_or_a_function_does_not_change_it():
    cells = {"a": "import m\ndef f(): pass", "b": "m.run(f, thing)", "claim": "claim('it', m.value(f) == 1)"}
    assert settled(cells, "b", False) == (False, None)
    assert settled(cells | {"claim": "claim('it', m.value(thing) == 1)"}, "b", False) == (None, "b")
    assert settled(cells | {"claim": "claim('it', m.value(thing) == 1)"}, "b", True) == (True, None)


@pytest.mark.parametrize(
    ("name", "message", "shown", "because"),
    [
        ("AttributeError", "'Client' object has no attribute 'foo'", "Cell In[1], line 1", "name"),
        ("AttributeError", "'NoneType' object has no attribute 'foo'", "Cell In[1], line 1", "error"),
        (
            "AttributeError",
            "'DataFrame' object has no attribute 'foo'",
            "Cell In[1], line 1\nFile /x/dask/_collection.py:1, in FrameBase.__getattr__(self, key)",
            "name",
        ),
        (
            "AttributeError",
            "'Series' object has no attribute 'foo'",
            "Cell In[1], line 1\nFile /x/dask/_expr.py:1, in Blockwise.optimize(self)",
            "error",
        ),
        (
            "TypeError",
            "f() got an unexpected keyword argument 'k'",
            "Cell In[1], line 1\nFile /x/a.py:1, in f(n)",
            "name",
        ),
        (  # nobody typed this one
            "TypeError",
            "take() got an unexpected keyword argument 'copy'",
            "Cell In[1], line 1\nFile /x/dask/a.py:1, in f(n)",
            "error",
        ),
        ("TypeError", "f() missing 1 required positional argument", "Cell In[1], line 1", "error"),
        ("ModuleNotFoundError", "No module named 'dask.foo'", "Cell In[1], line 1", "name"),
        ("KeyError", "'foo'", "Cell In[1], line 1", "error"),
        ("KeyError", "'foo'", f"Cell In[1], line 1\nFile {OURS}:1, in until()", "instrument"),
        ("Problem", "waited 60 s", f"Cell In[1], line 1\nFile {OURS}:1, in until()", "error"),
    ],
)
def test_why_a_cell_failed(name, message, shown, because):
    assert answers.because(name, message, shown, "f(n, k = 1)") == because
