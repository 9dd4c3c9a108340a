"""`howdah bench`: figures beside their targets or beside other systems, measured in one run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from howdah.bench import collector, side_by_side, simulating
from howdah.bench.model import Bench, Plan
from howdah.cli import bench_options as options
from howdah.cli.target import progress
from howdah.config import resolve
from howdah.report import bench as rendering
from howdah.report import bench_simulate
from howdah.report.pictures import side_by_side as picture

app = typer.Typer(
    help="Measure Howdah beside other systems and bare statements, on a server of its own or "
    "yours.",
    epilog="Example: howdah bench queue --against skip-locked --seconds 2",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def bench() -> None:
    """Measure Howdah beside other systems and bare statements."""


def _compared(bench: Bench, what: str, example: str) -> None:
    """Add `howdah bench <bench>`: the same options for each of them."""

    @app.command(bench.value, help=what, epilog=f"Example: howdah bench {bench.value} {example}")
    def command(
        dsn: options.DSN = "",
        *,
        against: options.AGAINST = "",
        held_xmin: options.HELD = False,
        seconds: options.SECONDS = None,
        rate_per_second: options.RATE = None,
        payload_bytes: options.PAYLOAD = None,
        processes: options.PROCESSES = None,
        wanted_per_second: options.WANTED = None,
        pgque_sql: options.PGQUE = None,
        pgmq_sql: options.PGMQ = None,
        picture_file: options.PICTURE = None,
        yes: options.YES = False,
        dry_run: options.DRY = False,
        show_sql: options.SHOW = False,
        as_json: options.JSON = False,
    ) -> None:
        plan = options.plan_of(
            bench,
            against,
            held_xmin,
            seconds=seconds,
            rate_per_second=rate_per_second,
            payload_bytes=payload_bytes,
            processes=processes,
            wanted_per_second=wanted_per_second,
            pgque_sql=pgque_sql,
            pgmq_sql=pgmq_sql,
        )
        _side_by_side(dsn, plan, picture_file, as_json, (yes, dry_run, show_sql))


_compared(
    Bench.LOG,
    "Append events and read them: rate, latency, WAL and dead tuples, side by side.",
    "--against bare --seconds 2",
)
_compared(
    Bench.OUTBOX,
    "Relay events to a function that does nothing: what the relay itself can carry.",
    "--against skip-locked --seconds 2",
)
_compared(
    Bench.QUEUE,
    "Do jobs whose handler does nothing, from enqueue to acknowledgement.",
    "--against skip-locked,pgqueuer --seconds 2",
)


def _side_by_side(
    dsn: str, plan: Plan, picture_file: Path | None, as_json: bool, how: tuple[bool, bool, bool]
) -> None:
    """Run it as asked; ends with 1 where the wanted rate is out of reach."""
    yes, dry_run, show_sql = how
    if show_sql:
        typer.echo(options.statements(plan))
        return
    if dry_run:
        typer.echo("\n".join(side_by_side.intended(dsn, plan)))
        return
    options.require_consent(dsn, yes)
    with progress() as tell:
        report = side_by_side.run(dsn, plan, tell)
    if picture_file is not None:
        picture_file.write_text(picture.draw(report), encoding="utf-8")
    if as_json:
        typer.echo(rendering.json(report), nl=False)
    else:
        rendering.show(report, Console(file=sys.stdout, highlight=False))
    if report.advice is not None and report.advice.verdict == "leave":
        raise typer.Exit(1)


@app.command(epilog="Example: howdah bench simulate --against heapq --seconds 1")
def simulate(
    *,
    against: options.AGAINST = "",
    seconds: Annotated[float, typer.Option(help="Wall time of each measured run.")] = 5.0,
    seed: Annotated[int, typer.Option(help="Of every simulator's random numbers.")] = 1,
    as_json: options.JSON = False,
) -> None:
    """Simulate a single server and a retry storm: events a second of each simulator, no server."""
    names = tuple(each.strip() for each in against.split(",") if each.strip())
    flags = {"against": names, "seconds": seconds, "seed": seed}
    plan = resolve(simulating.Plan, section="bench_simulate", flags=flags)
    simulating.chosen(plan.against)
    with progress() as tell:
        report = simulating.run(plan, tell)
    if as_json:
        typer.echo(bench_simulate.json(report), nl=False)
    else:
        bench_simulate.show(report, Console(file=sys.stdout, highlight=False))


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
