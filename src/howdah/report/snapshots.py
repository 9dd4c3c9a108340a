"""Words for what a snapshot holds, and for what changed between two.

Owns the terminal's view of a snapshot file. Must never judge: a number that grew is a number that
grew.
"""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from howdah.snapshot.facts import Status
from howdah.snapshot.model import Snapshot, fact_types


def describe(snapshot: Snapshot, console: Console) -> None:
    """Server, window, and the status of every fact with its number of rows."""
    server = snapshot.server
    console.print(
        f"PostgreSQL {server.version}, database {server.database}, as {server.role}, "
        f"{snapshot.taken_at:%Y-%m-%d %H:%M:%S %Z}"
    )
    since = f"since {snapshot.window.since:%Y-%m-%d %H:%M %Z}" if snapshot.window.since else ""
    console.print(f"counters {since or 'with an unknown start'}: {snapshot.window.reason}")
    console.print(f"the picture's transaction was open for {snapshot.seconds:.2f} s")
    table = Table(box=None, pad_edge=False)
    for heading, justify in (("fact", "left"), ("status", "left"), ("rows", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type] # one of two literals
    table.add_column("why", overflow="fold")
    for name in fact_types():
        fact = snapshot.fact(name)
        rows = f"{len(fact.rows):,}" if fact.known else ""
        if fact.status is not Status.EMPTY:
            table.add_row(name.replace("_", " "), fact.status, rows, escape(fact.reason))
    empty = [
        name.replace("_", " ")
        for name in fact_types()
        if snapshot.fact(name).status is Status.EMPTY
    ]
    console.print(table)
    if empty:
        console.print(f"empty: {', '.join(empty)}")
    console.print(f"schema: {snapshot.schema.pg_dump if snapshot.schema else 'not included'}")
