"""What the commands of `howdah queue` share: options, and how a change is carried out.

Owns the printing of SQL and what stands in the JSON of a change. Must never know what a change
means.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Annotated, Any

import msgspec
import typer

from howdah.cli.target import a_name
from howdah.driver import run
from howdah.errors import BadInput
from howdah.postgres import connect, describe
from howdah.queue import finding, operate, store
from howdah.queue.commands import Change
from howdah.queue.operate import Filter
from howdah.queue.standing import Changed, State

QUEUE = Annotated[
    str, typer.Argument(callback=a_name, metavar="QUEUE", help="Its name.", show_default=False)
]
DSN = Annotated[
    str,
    typer.Argument(
        metavar="[DSN]",
        envvar="HOWDAH_DSN",
        help="Connection string or URI; without it HOWDAH_DSN, or the libpq environment.",
        show_default=False,
        show_envvar=False,
    ),
]
JSON = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
DRY = Annotated[bool, typer.Option("--dry-run", help="Print the SQL and change nothing.")]
SHOW = Annotated[bool, typer.Option("--show-sql", help="Print the SQL as well.")]
YES = Annotated[bool, typer.Option("--yes", help="Do it; without it the command only says what.")]
KIND = Annotated[str | None, typer.Option(help="Only jobs of this kind.")]
TENANT = Annotated[str | None, typer.Option(help="Only jobs of this tenant.")]
KEY = Annotated[str | None, typer.Option(help="Only jobs of this key.")]
JOBS = Annotated[list[int] | None, typer.Option("--job", help="This job; repeat for more.")]
ALL = Annotated[bool, typer.Option("--all", help="Every dead letter, up to --limit.")]
LIMIT = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")]


def print_json(value: Any) -> None:
    """One indented document."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def carry_out(
    dsn: str,
    queue: str,
    changes: Sequence[Change],
    *,
    dry_run: bool,
    show_sql: bool,
    as_json: bool = False,
    known: bool = True,
) -> None:
    """Do the changes, or print what they would be; all of them in one transaction.

    `known`: the queue must be there already, also for a dry run.
    """
    if known or not dry_run:
        with closing(connect(dsn)) as connection, connection.transaction():
            if known:
                run(connection, store.open_queue(queue))
            if not dry_run:
                for change in changes:
                    connection.execute(change.query.statement.encoded, dict(change.query.values))
    if as_json:
        sql = [change.sql for change in changes]
        whats = [change.what for change in changes]
        print_json(Changed(queue=queue, dry_run=dry_run, changes=whats, sql=sql))
        return
    if dry_run or show_sql:
        typer.echo("\n".join(change.sql for change in changes))
    for change in changes:
        would = "would be: " if dry_run else ""
        typer.echo(f"{describe(dsn)}: {would}{change.what}", err=dry_run)
    if not changes:
        typer.echo(f"{describe(dsn)}: nothing to do", err=dry_run)


def dead_letters(
    dsn: str, queue: str, jobs: list[int] | None, everyone: bool, wanted: Filter
) -> list[int]:
    """The dead letters that a command is about; `BadInput` names what is none."""
    chosen = wanted.kind or wanted.tenant or wanted.key
    if bool(jobs) == bool(everyone or chosen):
        raise BadInput(
            "which dead letters?", hint="--job 17, or --kind NAME, or --all; not both ways"
        )
    with closing(connect(dsn)) as connection:
        if not jobs:
            asked: tuple[State, ...] = ("dead",)
            return [each.job for each in run(connection, operate.jobs(queue, asked, wanted)).jobs]
        for job in jobs:
            shown = run(connection, finding.show(queue, job))
            if shown.state != "dead":
                raise BadInput(
                    f"job {job} is no dead letter",
                    detail=f"It is {shown.state}: {shown.where}.",
                    hint=f"howdah queue show {queue} {job}",
                )
    return jobs


def require_yes(yes: bool, dry_run: bool, what: str) -> None:
    """`BadInput` for what cannot be undone, unless it was meant."""
    if not (yes or dry_run):
        raise BadInput(what, hint="--dry-run shows the statement, --yes does it")
