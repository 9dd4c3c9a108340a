"""`howdah bench simulate` on a terminal and as JSON.

Owns layout only; the names in JSON are those of `howdah.bench.simulating`.
"""

from __future__ import annotations

import msgspec
from rich.console import Console
from rich.table import Table

from howdah.bench.simulating import Report

_LEGEND = (
    "events per s: arrivals, retries and departures of the model, alike for all. ratio: to "
    "howdah's rate on the same model."
)


def json(report: Report) -> str:
    """The report as indented JSON that ends with a newline."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def show(report: Report, console: Console) -> None:
    """Print it: the figures, who is missing, and what was not alike."""
    table = Table(box=None, pad_edge=False)
    for place, heading in enumerate(("model", "", "events per s", "ratio", "howdah is")):
        table.add_column(heading, justify="right" if place > 1 else "left", no_wrap=True)
    for each in report.contenders:
        ratio = each.ratio_to_howdah
        table.add_row(
            each.load,
            each.name,
            f"{each.per_second:,.0f}",
            "-" if ratio is None else f"{ratio:.4f}",
            "-" if not ratio else f"{1 / ratio:,.1f} x",
        )
    console.print(f"simulate: {report.cores} cores, one used; {report.plan.seconds:g} s each")
    console.print(table)
    console.print(_LEGEND, style="dim")
    for missing in report.missing:
        console.print(f"not measured: {missing.name}: {missing.why}")
    for note in report.notes:
        console.print(f"note: {note}")
