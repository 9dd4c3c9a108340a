"""`howdah bench`: figures beside their targets, measured in one run on an embedded server."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from howdah.bench import collector
from howdah.cli.target import progress

app = typer.Typer(
    help="Measure Howdah itself, beside the bare statements, on a server of its own.",
    epilog="Example: howdah bench snapshot",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def bench() -> None:
    """Measure Howdah itself, beside the bare statements, on a server of its own."""


@app.command(epilog="Example: howdah bench snapshot --json")
def snapshot(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Time and memory of a snapshot at 1,000 tables and at 100,000 relations; minutes."""
    with progress() as tell:
        figures = collector.run(tell)
    if as_json:
        typer.echo(msgspec.json.encode(figures).decode())
    else:
        _show(figures, Console(file=sys.stdout, highlight=False))
    if not all(figure.met for figure in figures):
        raise typer.Exit(1)


def _show(figures: tuple[collector.Figure, ...], console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("relations", "seconds", "x bare", "held s", "peak MB", "file MB", "targets"):
        table.add_column(heading, justify="right", no_wrap=True)
    for figure in figures:
        taken, target = figure.taken, figure.target
        table.add_row(
            f"{figure.relations:,}",
            f"{taken.seconds:.2f} < {target.seconds:g}",
            f"{figure.ratio_to_bare:.1f}",
            f"{taken.held_seconds:.2f} < {target.held_seconds:g}",
            f"{taken.megabytes:.0f} < {target.megabytes:g}",
            f"{taken.file_bytes / 1e6:.1f}",
            "met" if figure.met else "missed",
        )
    console.print(table)
    for figure in figures:
        for fact in figure.taken.not_known:
            console.print(f"at {figure.relations:,}: {fact}")
