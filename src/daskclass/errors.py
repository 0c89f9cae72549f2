"""What can go wrong that a person can mend?"""


class Problem(Exception):
    """Something a person can mend; the message says what is wrong and what would be right."""


class UsageProblem(Problem):
    """What was asked for makes no sense."""
