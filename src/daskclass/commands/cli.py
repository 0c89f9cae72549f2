"""What can I type? ``daskclass data``, ``doctor``, ``lab``, ``rehearse``.

Commands import what they need when they run, so that ``--help`` answers at once. Problems a person can mend end
with exit status 2 and a line on standard error, Ctrl-C with 130.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daskclass.errors import Problem

if TYPE_CHECKING:
    from daskclass.sizes import Size

BAD_INPUT, INTERRUPTED = 2, 130


def main() -> None:
    """Entry point: run a command and leave with its exit status."""
    for stream in (sys.stdout, sys.stderr):  # a pipe on Windows has no ✔
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        status = commands.main(prog_name="daskclass", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = BAD_INPUT
    except Problem as problem:
        click.echo(f"daskclass: {problem}", err=True)
        status = BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        click.echo("\ndaskclass: interrupted; nothing unfinished was kept", err=True)
        status = INTERRUPTED
    except BrokenPipeError:  # `daskclass doctor | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status or 0)


@click.group()
@click.version_option(package_name="daskclass")
def commands() -> None:
    """A class about Dask clusters that measures what it says."""


def _folder(_context: click.Context, _option: click.Parameter, name: str | None) -> Path | None:
    if name == "":
        raise click.BadParameter("an empty name is no folder; say . for this one")
    return None if name is None else Path(name)


size_option = click.option(
    "--size",
    metavar="SIZE",
    help="class (3 GiB), smoke (200 MB), or bytes such as 10GB.  [default: $DASKCLASS_SIZE, else class]",
)


@commands.command()
@size_option
@click.option(
    "--out", type=click.Path(), callback=_folder, help="Folder to make it in.  [default: data/ or data/SIZE/]"
)
@click.option("--seed", type=click.IntRange(min=0), help="Same seed and size, same bytes.  [default: 2026]")
@click.option("--threads", type=click.IntRange(1, 4), help="[default: one a core]")
@click.option(
    "--format",
    "formats",
    type=click.Choice(["csv", "parquet", "both"]),
    default="both",
    show_default=True,
)
@click.option("--force", is_flag=True, help="Replace what is there.")
@click.option("--verify", is_flag=True, help="Make nothing: compare what is there with its checksums.")
def data(
    size: str | None,
    out: Path | None,
    seed: int | None,
    threads: int | None,
    formats: str,
    force: bool,
    verify: bool,
) -> None:
    """Make the sales data: orders of a shop as one CSV file and as Parquet."""
    wanted = _size(size)

    from dask.utils import format_bytes

    from daskclass import sales, sizes

    if verify:
        if force:
            raise click.UsageError("--verify makes nothing, so --force makes no sense beside it")
        _verify((out or sales.place(wanted)).absolute())
        return
    made = sales.make(
        wanted,
        out,
        seed=sales.DEFAULT_SEED if seed is None else seed,
        threads=threads,
        formats=sales.FORMATS if formats == "both" else (formats,),
        force=force,
        progress=sys.stderr.isatty(),
    )
    kinds = [f"{format_bytes(made.bytes)} of CSV"] if made.bytes is not None else []
    kinds += [f"{len(made.parts)} Parquet files"] if made.parts else []
    click.echo(f"{made.rows:,} orders in {made.folder}: {', '.join(kinds)}")
    if wanted == sizes.CLASS or out is not None:
        return
    click.echo(f"labs use them with DASKCLASS_SIZE={wanted.name}")


def _verify(folder: Path) -> None:
    from daskclass import sales

    try:
        found = sales.look(folder)
        if found.sales is None:
            missing = found.state == "missing"
            raise Problem(f"{found.why}; `daskclass data{'' if missing else ' --force'}` makes it")
        sales.verify(found.sales)
    except (OSError, ValueError) as error:  # a name in the manifest that no file can have is a ValueError
        raise Problem(f"{folder} cannot be read ({error}); make it anew with --force") from error
    click.echo(f"{len(found.sales.manifest['files'])} files in {folder} are what was made, byte for byte")
    if found.state == "changed":  # in its times only, as of a copy
        try:
            sales.restamp(found.sales)
        except Problem as problem:
            click.echo(f"daskclass: their new times could not be noted: {problem}", err=True)
            return
        if (still := sales.look(folder)).state != "finished":
            raise Problem(f"{still.why}; --force makes it anew")


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Say whether this machine is ready for the class, and how to mend what is not."""
    from daskclass.commands import doctor as examination

    _size(None)  # a size that makes no sense is said before anything is looked at
    findings = []
    for finding in examination.examine():
        findings.append(finding)
        if not as_json:
            click.echo(examination.as_text(finding))
    if as_json:
        click.echo(examination.as_json(findings))
    else:
        bad = sum(finding.state == examination.FAILED for finding in findings)
        click.echo("ready" if not bad else f"not ready: mend the {bad} marked FAILED")
    context.exit(0 if examination.ready(findings) else 1)


@commands.command()
@size_option
@click.option("--port", type=click.IntRange(1024, 65535), help="JupyterLab's port.  [default: 8888, else a free one]")
@click.option("--no-browser", is_flag=True, help="Print the address and open nothing.")
def lab(size: str | None, port: int | None, no_browser: bool) -> None:
    """Open the class: sales data, a live cluster, and JupyterLab in front of lab 00."""
    wanted = _size(size)

    from daskclass.commands import launch

    launch.lab(wanted, port=port, browser=not no_browser)


@commands.command()
@size_option
@click.option("--labs", "wanted", metavar="LABS", help="Numbers and ranges such as 00,02-04.  [default: all]")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="A cluster for the labs.  [default: $DASK_SCHEDULER_ADDRESS, else each lab its own]",
)
@click.option("--out", type=click.Path(), callback=_folder, help="Folder for the report.  [default: build/rehearsal]")
@click.option(
    "--minutes",
    type=click.IntRange(min=1),
    help="When a lab has to be done.  [default: the minutes planned for it]",
)
@click.pass_context
def rehearse(
    context: click.Context,
    size: str | None,
    wanted: str | None,
    scheduler: str | None,
    out: Path | None,
    minutes: int | None,
) -> None:
    """Run the labs one after the other and leave a report: which claims hold, how long, how much memory."""
    of_size = _size(size)

    from daskclass.commands import rehearsal

    done = rehearsal.rehearse(of_size, wanted=wanted, scheduler=scheduler, out=out, minutes=minutes)
    context.exit(0 if done.passed else 1)


def _size(text: str | None) -> Size:
    """The size that was asked for; a Problem if it makes no sense, or Dask's settings, which every command needs."""
    from daskclass import sizes

    try:
        import dask.config  # noqa: F401  reads them
    except ValueError as error:
        what = str(error).partition(", original error")[0]
        raise Problem(f"{what[:1].lower()}{what[1:]}: mend that file, or move it away") from error
    return sizes.current() if text is None else sizes.parse(text)
