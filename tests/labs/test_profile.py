"""Lab 13's slow line is one whose time no compiler hides: the profile names it on every Python."""

import ast


def test_the_slow_line_makes_no_frame_of_its_own_in_python(numbered):
    """Python 3.14 compiles ``any(generator)`` inline, and then another frame is the innermost one."""
    functions = {
        node.name: node
        for node in ast.walk(ast.parse(numbered["13"].cells["dearest"]))
        if isinstance(node, ast.FunctionDef)
    }
    inside = list(ast.walk(functions["is_there"]))
    hidden = (ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp, ast.Lambda)
    assert not [node for node in inside if isinstance(node, hidden)]
    assert [node.func.attr for node in inside if isinstance(node, ast.Call)] == ["count"]
