"""`howdah snapshot`: take one, show what is in it, compare two."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from howdah.check import api
from howdah.cli.taking import HOST_MEMORY, MEASURE_MEGABYTES, SAMPLE_SECONDS, VALUES, taken
from howdah.cli.target import DSN, as_file, progress
from howdah.errors import BadInput
from howdah.report import snapshots
from howdah.snapshot import file
from howdah.snapshot.diff import diff as compare

app = typer.Typer(
    help="One consistent, read-only picture of a database: a value and a file.",
    epilog="Example: howdah snapshot take postgresql://localhost/shop -o shop.snap",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_FILE = Annotated[Path, typer.Argument(metavar="FILE", help="A snapshot file.")]


@app.command(epilog="Example: howdah snapshot take postgresql://localhost/shop -o shop.snap")
def take(
    dsn: DSN = "",
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write.", show_default=False)
    ],
    schema: Annotated[
        bool,
        typer.Option(
            "--schema",
            help="Include the schema (pg_dump), so that the file alone can be proven on.",
        ),
    ] = False,
    values: VALUES = False,
    sample_seconds: SAMPLE_SECONDS = None,
    measure_megabytes: MEASURE_MEGABYTES = None,
    host_memory: HOST_MEMORY = None,
) -> None:
    """Take a snapshot: one short read-only transaction, then samples outside it."""
    if as_file(dsn):
        raise BadInput(f"{dsn} is a file", hint="howdah snapshot show FILE shows what is in it")
    with progress() as tell:
        snapshot = taken(
            dsn,
            tell,
            host_memory,
            values=values or None,
            sample_seconds=sample_seconds,
            measure_megabytes=measure_megabytes,
        )
        if schema:
            snapshot = api.with_schema(snapshot, dsn)
    file.write(snapshot, output)
    snapshots.describe(snapshot, Console(file=sys.stdout, highlight=False))
    typer.echo(f"wrote {output} ({output.stat().st_size:,} bytes)")


@app.command(epilog="Example: howdah snapshot show shop.snap")
def show(path: _FILE) -> None:
    """What a snapshot file holds: server, window, and the status of every fact."""
    snapshots.describe(file.read(path), Console(file=sys.stdout, highlight=False))


@app.command(epilog="Example: howdah snapshot diff monday.snap tuesday.snap")
def diff(
    before: _FILE,
    after: _FILE,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Compare snapshots of different databases.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """What changed between two snapshots of one database: objects, settings, rates."""
    found = compare(file.read(before), file.read(after), force=force)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        snapshots.changes(found, Console(file=sys.stdout, highlight=False))
