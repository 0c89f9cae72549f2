"""How often did each lab run? Tests record their runs in a file, and this counts them.

    export DASKCLASS_LAB_RUNS=build/lab-runs.tsv
    make test test-labs                                       # these tests record what they run
    python tools/lab_runs.py --note 'in containers' 00-02,13 # for runs outside the tests
    python tools/lab_runs.py                                  # prints the table; fails if one never ran as people do

Without the variable, nothing is recorded.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

from daskclass import labs
from daskclass.errors import UsageProblem

FILE = "DASKCLASS_LAB_RUNS"
AS_PEOPLE_DO = ["nbval", "whole"], ["in containers", "whole"], ["on machines", "whole"]
ROOT = Path(__file__).resolve().parents[1]


def note(lab: str, how: str, *, whole: bool) -> None:
    """Add a run to the file that the environment names.

    Parameters
    ----------
    lab : str
        The lab's number.
    how : str
        What ran it, such as ``nbval``.
    whole : bool
        Whether every cell ran unchanged.
    """
    if file := os.environ.get(FILE):
        with Path(file).open("a", encoding="utf-8") as runs:
            runs.write(f"{lab}\t{how}\t{'whole' if whole else 'part'}\n")


def table(text: str) -> str:
    """The recorded runs as a table: a row per lab, and a column per way to run it, wholly or in part.

    Raises
    ------
    ValueError
        If `text` isn't a list of runs.
    """
    runs = Counter(tuple(line.split("\t")) for line in text.splitlines())
    if wrong := [run for run in runs if len(run) != 3 or run[2] not in ("whole", "part")]:
        raise ValueError(f"this isn't a list of runs: {wrong[0]}")
    whole = sorted({how for _lab, how, extent in runs if extent == "whole"})
    part = sorted({how for _lab, how, extent in runs if extent == "part"})
    columns = [(how, "whole") for how in whole] + [(how, "part") for how in part]
    heads = ["lab", *whole, *(f"{how} (part)" for how in part)]
    labs = sorted({lab for lab, *_more in runs})
    rows = [[lab, *(str(runs[lab, how, extent] or "") for how, extent in columns)] for lab in labs]
    totals = [str(sum(runs[lab, how, extent] for lab in labs)) for how, extent in columns]
    widths = [max(map(len, column)) for column in zip(heads, *rows, ["all", *totals], strict=True)]
    lines = [
        "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
        for row in (heads, *rows, ["all", *totals])
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--note", nargs=2, metavar=("HOW", "LABS"), help="record that these labs ran completely, and how"
    )
    asked = parser.parse_args()
    file = os.environ.get(FILE)
    try:
        if asked.note:
            how, wanted = asked.note
            for lab in labs.choose(wanted, labs.find(ROOT)):
                note(lab.number, how, whole=True)
        elif file:
            text = Path(file).read_text(encoding="utf-8")
            print(table(text))
            ran = {line.split("\t")[0] for line in text.splitlines() if line.split("\t")[1:] in AS_PEOPLE_DO}
            here = labs.on_one_machine(labs.find(ROOT))  # the others have `make test-machines`
            if never := [lab.number for lab in here if lab.number not in ran]:
                print(f"lab_runs: never as people run it: {', '.join(never)}", file=sys.stderr)
                return 1
        else:
            raise UsageProblem(f"set {FILE} to the file that records the runs")
    except (OSError, ValueError, UsageProblem) as error:
        print(f"lab_runs: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
