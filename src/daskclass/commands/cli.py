"""What can I type? ``daskclass data``, ``doctor``, ``lab``, ``rehearse``.

Commands import what they need when they run, so that ``--help`` answers at once. A problem that a person can fix
prints a line on standard error and exits with status 2. Ctrl-C exits with 130.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from daskclass.errors import Problem

if TYPE_CHECKING:
    from daskclass.sizes import Size

BAD_INPUT, INTERRUPTED = 2, 130


def main() -> None:
    """Entry point: run a command and exit with its status."""
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
        click.echo("\ndaskclass: interrupted; unfinished work was discarded", err=True)
        status = INTERRUPTED
    except BrokenPipeError:  # `daskclass doctor | head` stops reading
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status or 0)


@click.group()
@click.version_option(package_name="daskclass")
def commands() -> None:
    """A hands-on class about Dask clusters. It measures every claim that it makes."""


def _folder(_context: click.Context, _option: click.Parameter, name: str | None) -> Path | None:
    if name == "":
        raise click.BadParameter("a folder needs a name; for the current folder, type a dot (.)")
    return None if name is None else Path(name)


size_option = click.option(
    "--size",
    metavar="SIZE",
    help="class (3 GiB), smoke (200 MB), or any size such as 10GB.  [default: $DASKCLASS_SIZE, else class]",
)


@commands.command(short_help="Make the sales data, or verify it.")
@size_option
@click.option("--out", type=click.Path(), callback=_folder, help="Folder for the data.  [default: data/ or data/SIZE/]")
@click.option("--seed", type=click.IntRange(min=0), help="The same seed and size give the same bytes.  [default: 2026]")
@click.option("--threads", type=click.IntRange(1, 4), help="Threads that make the data.  [default: one per core]")
@click.option(
    "--format",
    "formats",
    type=click.Choice(["csv", "parquet", "both"]),
    default="both",
    show_default=True,
)
@click.option("--force", is_flag=True, help="Replace existing data.")
@click.option("--verify", is_flag=True, help="Make nothing; compare the existing files with their checksums.")
def data(
    size: str | None,
    out: Path | None,
    seed: int | None,
    threads: int | None,
    formats: str,
    force: bool,
    verify: bool,
) -> None:
    """Make the sales data: a store's orders, as one CSV file and as Parquet."""
    wanted = _size(size)

    from dask.utils import format_bytes

    from daskclass import sales, sizes

    if verify:
        given = click.get_current_context().get_parameter_source
        for option in ("seed", "threads", "formats", "force"):
            if given(option) == ParameterSource.COMMANDLINE:
                name = "format" if option == "formats" else option
                raise click.UsageError(f"--verify makes no data, so it can't be combined with --{name}")
        _verify((out or sales.place(wanted)).absolute(), sales.command(wanted, out))
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
    click.echo(f"to use this data in the labs, set DASKCLASS_SIZE={wanted.name}")


def _verify(folder: Path, command: str) -> None:
    from daskclass import sales, sizes

    try:
        found = sales.look(folder)
        if found.sales is None:
            missing = found.state == "missing"
            raise Problem(f"{found.why}; make it with `{command}{'' if missing else ' --force'}`")
        seed = None if found.sales.seed == sales.DEFAULT_SEED else found.sales.seed
        command = sales.command(sizes.parse(found.sales.size), folder, seed)
        sales.verify(found.sales)
    except (OSError, ValueError) as error:  # a name in the manifest that no file can have is a ValueError
        raise Problem(f"can't read {folder} ({error}); make the data again with `{command} --force`") from error
    click.echo(f"{len(found.sales.manifest['files'])} files in {folder} match their checksums")
    if found.state == "changed":  # only its times differ, as in a copy
        try:
            sales.restamp(found.sales)
        except Problem as problem:
            click.echo(f"daskclass: couldn't record the files' new times: {problem}", err=True)
            return
        if (still := sales.look(folder)).state != "finished":
            raise Problem(f"{still.why}; make the data again with `{command} --force`")


@commands.command(short_help="Check whether this machine is ready.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check whether this machine is ready for the class, and say how to fix what isn't."""
    from daskclass.commands import doctor as examination

    _size(None)  # reports an invalid size before any check runs
    findings = []
    for finding in examination.examine():
        findings.append(finding)
        if not as_json:
            click.echo(examination.as_text(finding))
    if as_json:
        click.echo(examination.as_json(findings))
    else:
        bad = sum(finding.state == examination.FAILED for finding in findings)
        click.echo("ready" if not bad else f"not ready: fix the {bad} marked FAILED")
    context.exit(0 if examination.ready(findings) else 1)


@commands.command(short_help="Start the class, with JupyterLab at lab 00.")
@size_option
@click.option("--port", type=click.IntRange(1024, 65535), help="JupyterLab's port.  [default: 8888, else a free one]")
@click.option("--no-browser", is_flag=True, help="Print the address, but don't open a browser.")
def lab(size: str | None, port: int | None, no_browser: bool) -> None:
    """Start the class: make the data, start a cluster, and open JupyterLab at lab 00."""
    wanted = _size(size)

    from daskclass.commands import launch

    launch.lab(wanted, port=port, browser=not no_browser)


@commands.command(short_help="Run the labs and write a report.")
@size_option
@click.option("--labs", "wanted", metavar="LABS", help="Numbers and ranges such as 00,02-04.  [default: all]")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Run labs 00 to 02 on this cluster.  [default: $DASK_SCHEDULER_ADDRESS, else each lab starts its own]",
)
@click.option("--out", type=click.Path(), callback=_folder, help="Folder for the report.  [default: build/rehearsal]")
@click.option(
    "--minutes",
    type=click.IntRange(min=1),
    help="Time limit for each lab.  [default: the minutes planned for it]",
)
@click.option("--keep-going", is_flag=True, help="After a cell that fails, run the lab's other cells, too.")
@click.option(
    "--against",
    type=click.Path(),
    metavar="FILE",
    help="Say in which claims this differs from a file of docs/evidence; then exit with 1.",
)
@click.pass_context
def rehearse(
    context: click.Context,
    size: str | None,
    wanted: str | None,
    scheduler: str | None,
    out: Path | None,
    minutes: int | None,
    keep_going: bool,
    against: str | None,
) -> None:
    """Run the labs one by one, and write a report: which claims hold, how long each lab took, how much memory."""
    of_size = _size(size)

    from daskclass.commands import rehearsal

    done = rehearsal.rehearse(
        of_size,
        wanted=wanted,
        scheduler=scheduler,
        out=out,
        minutes=minutes,
        keep_going=keep_going,
        against=None if against is None else Path(against),
    )
    context.exit(0 if done.passed and not done.differences else 1)


def _size(text: str | None) -> Size:
    """The requested size. Raises a Problem if it, or Dask's settings, which every command needs, can't be read."""
    from daskclass import sizes

    try:
        import dask.config  # noqa: F401  reads them
    except ValueError as error:
        what = str(error).partition(", original error")[0]
        raise Problem(f"{what[:1].lower()}{what[1:]}: fix that file, or move it away") from error
    return sizes.current() if text is None else sizes.parse(text)
