"""What is waited for comes, or its absence is said."""

import pytest

from daskclass import watch
from daskclass.errors import Problem


def test_until_returns_what_came_or_says_what_did_not():
    looks = iter([0, "", "there"])
    assert watch.until(lambda: next(looks), "it") == "there"
    with pytest.raises(Problem, match=r"waited 0.05 s, and the end of the world did not happen"):
        watch.until(lambda: None, "the end of the world", seconds=0.05)
