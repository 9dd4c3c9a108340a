"""A side-by-side bench on a terminal and as JSON.

Owns layout only; the names in JSON are those of `howdah.bench.model`. Must never round a figure
into a better one: shares are cut, not rounded up.
"""

from __future__ import annotations

import math

import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from howdah.bench.model import Advice, Contended, Figures, Report

_COLUMNS = ("", "per s", "ratio", "p50 ms", "p99 ms", "WAL B", "beyond", "dead")
_LEGEND = (
    "per s: produced and handled at once. ratio: to howdah's rate; with the horizon held, what is "
    "left of the own rate. p50, p99: from before the insert to the handler. WAL B: bytes an item; "
    "beyond: those beyond its own row. dead: dead tuples at the end."
)


def json(report: Report) -> str:
    """The report as indented JSON that ends with a newline."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def show(report: Report, console: Console) -> None:
    """Print it: the figures, what is missing, and whether to stay."""
    server, plan = report.server, report.plan
    ours = "a server of our own" if server.embedded else "your server"
    console.print(
        f"{report.bench}: PostgreSQL {server.version}, {ours}, {server.cores} cores, "
        f"fsync {server.settings.get('fsync')}, "
        f"synchronous_commit {server.settings.get('synchronous_commit')}"
    )
    console.print(
        f"{plan.seconds:g} s a phase, {plan.payload_bytes} byte items, "
        f"latency at {plan.rate_per_second:g} a second, {plan.processes} consuming process"
        f"{'es' if plan.processes > 1 else ''}"
    )
    console.print(_table(report))
    console.print(_LEGEND, style="dim")
    console.print(_apart(report))
    _notes(report, console)
    _missing(report, console)
    if report.advice is not None:
        _advice(report.advice, console)


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, heading in enumerate(_COLUMNS):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    for each in report.contenders:
        table.add_row(each.name, *_row(each.undisturbed, ratio(each.ratio_to_howdah)))
        if each.held is not None:
            table.add_row("  horizon held", *_row(each.held, kept(each)))
    return table


def _row(figures: Figures, second: str) -> tuple[str, ...]:
    latency = figures.latency_ms
    return (
        number(figures.per_second),
        second,
        f"{latency.p50:.1f}" if latency else "-",
        f"{latency.p99:.1f}" if latency else "-",
        number(figures.wal_bytes_per_item),
        number(figures.wal_bytes_to_consume),
        number(figures.dead_tuples),
    )


def _apart(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, title_justify="left")
    table.add_column("apart, per second", no_wrap=True)
    table.add_column("produced", justify="right")
    table.add_column("consumed", justify="right", no_wrap=True)
    for each in report.contenders:
        figures = each.undisturbed
        produced = ", ".join(
            f"{way} {rate:,.0f}" for way, rate in figures.produced_per_second.items()
        )
        table.add_row(each.name, produced, number(figures.consumed_per_second))
    return table


def _notes(report: Report, console: Console) -> None:
    for note in report.notes:
        console.print(f"note: {note}")
    for each in report.contenders:
        for label, figures in (("", each.undisturbed), (" (horizon held)", each.held)):
            for note in figures.notes if figures else ():
                console.print(f"{each.name}{label}: {note}")


def _missing(report: Report, console: Console) -> None:
    for each in report.not_installed:
        console.print(f"not installed: {each.name}: {each.why}", markup=False)
        if each.install:
            console.print(Padding(f"Try: {each.install}", (0, 0, 0, 2)), markup=False)
    for each in report.failed:
        console.print(f"failed: {each.name}: {each.why}", markup=False)


def _advice(advice: Advice, console: Console) -> None:
    console.print(f"\n{advice.text}", markup=False)
    for place in advice.elsewhere:
        console.print(
            Padding(
                f"{place.name}: {place.per_second:,.0f} a second ({place.condition}; "
                f"{place.source})",
                (0, 0, 0, 2),
            ),
            markup=False,
        )


def number(value: float | None) -> str:
    """A figure with three digits at least, or a dash for what was not measured.

    >>> [number(each) for each in (None, 12345.6, 7.25, 0)]
    ['-', '12,345', '7.2', '0']
    """
    if value is None:
        return "-"
    return f"{math.floor(value):,}" if value >= 100 or value == int(value) else f"{value:.1f}"


def ratio(value: float | None) -> str:
    """A contender's rate over ours, cut after two digits."""
    return "-" if value is None else f"{math.floor(value * 100) / 100:.2f}"


def kept(contended: Contended) -> str:
    """The share of the undisturbed rate that is left with the horizon held, cut to a percent."""
    return "-" if contended.kept is None else f"{math.floor(contended.kept * 100)} %"
