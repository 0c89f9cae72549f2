"""Asks one lab in the environment that runs this: each of its claims holds, is false, or could not be asked.

    python tools/drift_ask.py 07 build/drift/2025.7.0/07.json

`tools/drift.py` runs this in the environment of each release. A claim that is false is asked twice more, and once
with each of its controls.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daskclass import labs
from daskclass.commands.rehearsal import answers, evidence, one_lab
from daskclass.commands.rehearsal.outcome import Claim, Outcome
from daskclass.system.files import written
from daskclass.system.signals import until_terminated

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 600.0  # for one pass of a lab, which takes a minute at most where nothing hangs
TIMES = 3
_LONG = 300  # characters of a string that evidence keeps


class Quiet:
    """Nobody watches."""

    def cell(self, name: str, number: int, of: int, family: object) -> None: ...

    def claim(self, claim: Claim) -> None: ...


def ask(lab: labs.Lab, controls: list[dict[str, str]], environment: dict[str, str]) -> dict[str, Any]:
    """Ask every claim of `lab`: its answers, as `evidence.Asked`, and the run, as `evidence.LabRun`."""
    began = time.monotonic()
    passes = [one_lab.run(lab, environment, SECONDS, Quiet(), keep_going=True)]
    if any(claim.holds is False for claim in passes[0].claims):
        passes += [one_lab.run(lab, environment, SECONDS, Quiet(), keep_going=True) for _ in range(TIMES - 1)]
    asked = {}
    for place, claim in enumerate(passes[0].claims):
        held: tuple[bool | None, ...] = ()
        without: tuple[evidence.Control, ...] = ()
        answer, because, why, numbers = evidence.answer(claim), claim.because, claim.why, claim.evidence
        if claim.holds is False:
            held = tuple(outcome.claims[place].holds for outcome in passes)
            answer = most(held)
            numbers = next((one.claims[place].evidence for one in passes if says(one, place) == answer), {})
            if answer == "could not be asked":
                because, why = "stopped", "it was false once, and then no two of three times said the same"
            mine = [control for control in controls if control["claim"] == claim.text]
            without = tuple(without_its_cause(lab, control, environment) for control in mine)
        asked[evidence.name(lab.name, claim)] = evidence.Asked(
            says=claim.text,
            answer=answer,
            held=held,
            because=because,
            blocked_by=claim.blocked_by,
            why=why,
            numbers=numbers,
            controls=without,
        )
    failures = tuple((one.cell, one.because, one.error) for one in passes[0].failures)
    run = evidence.LabRun(lab.name, evidence.code_of(lab), time.monotonic() - began, failures)
    return {"run": asdict(run), "claims": {key: asdict(one) for key, one in asked.items()}}


def says(outcome: Outcome, place: int) -> evidence.Answer:
    """What one time said about the claim at `place`."""
    return evidence.answer(outcome.claims[place])


def most(held: tuple[bool | None, ...]) -> evidence.Answer:
    """What most of three times said. A time at which the claim wasn't reached says nothing."""
    if 2 * held.count(True) > len(held):
        return "holds"
    return "false" if 2 * held.count(False) > len(held) else "could not be asked"


def without_its_cause(lab: labs.Lab, control: dict[str, str], environment: dict[str, str]) -> evidence.Control:
    """The claim of `control`, in a kernel of its own, with the control's cell in place of the lab's."""
    [target] = [cell for cell, text, _core in lab.claims if text == control["claim"]]
    cells = list(lab.cells)
    needed = control["alone"].split() if "alone" in control else cells[: cells.index(target)]
    outcome = Outcome(lab.name)
    try:
        with one_lab.opened(lab, environment, SECONDS, outcome) as kernel:
            for cell in [*needed, target]:
                try:
                    kernel.run(cell, control["source"].strip() if cell == control["cell"] else None)
                except one_lab.Stopped as stopped:
                    if stopped.failure is None:
                        raise
                    outcome.failures.append(stopped.failure)
    except one_lab.Stopped:
        return evidence.Control(None, {})
    answers.settle(lab, outcome)
    [claim] = [claim for claim in outcome.claims if claim.cell == target]
    return evidence.Control(claim.holds, claim.evidence)


def plain(value: Any, ports: dict[str, str] | None = None) -> Any:
    """Evidence without what differs for no reason: paths and ports of this machine, and digits of measured floats.

    The ports of one claim are numbered, so that two workers stay two.
    """
    ports = {} if ports is None else ports

    def numbered(found: re.Match[str]) -> str:
        return found[1] + ports.setdefault(found[2], f"PORT-{len(ports) + 1}")

    if isinstance(value, dict):
        return {plain(key, ports): plain(one, ports) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one, ports) for one in value]
    if isinstance(value, float):
        return value if value.is_integer() else float(f"{value:.3g}")  # what was counted is exact
    if isinstance(value, str):
        for place, name in ((sys.prefix, "ENVIRONMENT"), (str(ROOT), "CLASS"), (str(Path.home()), "HOME")):
            value = value.replace(place, name)
        value = re.sub(re.escape(tempfile.gettempdir()) + r"/[^\s'\"),:]+", "TEMPORARY", value)
        value = re.sub(r"\b((?:127\.\d+\.\d+\.\d+|localhost):)(\d+)", numbered, value)
        value = re.sub(r" at 0x[0-9a-f]+", " at ADDRESS", value)
        return value if len(value) <= _LONG else value[:_LONG] + "…"
    return value


def main() -> int:
    number, out = sys.argv[1], Path(sys.argv[2])
    [lab] = labs.choose(number, labs.find(ROOT))
    controls = runpy.run_path(str(ROOT / "tests" / "labs" / "controls" / f"{lab.number}.py"))["CONTROLS"]
    environment = {name: value for name, value in os.environ.items() if name != "DASK_SCHEDULER_ADDRESS"}
    with until_terminated():
        found = ask(lab, controls, environment | {"DASKCLASS_SIZE": "smoke"})
    found = {
        "run": plain(found["run"]),
        "claims": {key: plain(one) for key, one in found["claims"].items()},
    }
    with written(out) as unfinished:
        unfinished.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
