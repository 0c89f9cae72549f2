"""Was that right? Exercises with a check, hints and a solution, in one module per lab.

In a notebook: ``from daskclass.exercises import lab00``, then ``lab00.lazy.check(answer)``, ``lab00.lazy.hint()``,
``lab00.lazy.solution()``.
"""
