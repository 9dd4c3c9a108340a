"""Words for what a snapshot holds, and for what changed between two.

Owns the terminal's view of a snapshot file. Must never judge: a number that grew is a number that
grew.
"""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from howdah.check.knowledge.amounts import duration
from howdah.snapshot.diff import Difference
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


def changes(found: Difference, console: Console, *, most: int = 20) -> None:
    """What changed between two snapshots: objects, then growth and rates, the largest first."""
    console.print(f"{duration(found.seconds)} apart")
    _objects(found, console)
    if found.growth:
        _numbers(
            console,
            "ages, sizes and positions",
            [(each.name, f"{each.before:,}", f"{each.after:,}") for each in found.growth[:most]],
            len(found.growth),
        )
    if found.rates:
        _numbers(
            console,
            "counters",
            [
                (each.name, f"{each.count:,.0f}", f"{each.per_second:,.1f}/s")
                for each in found.rates[:most]
            ],
            len(found.rates),
        )
    else:
        console.print(f"no rates: {found.rates_reason or 'no counter grew'}")
    if found.not_compared:
        console.print(
            f"not compared, because one of the two could not see it: "
            f"{', '.join(found.not_compared)}"
        )


def _objects(found: Difference, console: Console) -> None:
    if not found.changes:
        console.print("no object changed")
    for change in found.changes:
        console.print(f"{change.kind:<8} {change.what} {escape(change.name)}", soft_wrap=True)
        for field, after in change.after.items() if change.kind == "changed" else ():
            before = change.before.get(field)
            console.print(f"         {field}: {escape(str(before))} -> {escape(str(after))}")


def _numbers(console: Console, title: str, rows: list[tuple[str, str, str]], of: int) -> None:
    table = Table(box=None, pad_edge=False, show_header=False, title=title, title_justify="left")
    table.add_column(overflow="fold")
    table.add_column(justify="right")
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
    if of > len(rows):
        console.print(f"and {of - len(rows)} more; --json has them all")
