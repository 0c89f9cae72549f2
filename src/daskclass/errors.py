"""What can go wrong that a person can fix?"""


class Problem(Exception):
    """Something that a person can fix. The message says what is wrong and what would be right."""


class UsageProblem(Problem):
    """An argument or option is invalid."""
