"""`howdah sandbox`: say that a database of yours may be destroyed, and take that back."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from howdah.cli.target import DSN
from howdah.errors import BadInput
from howdah.postgres import connect, describe
from howdah.sandbox import marker

app = typer.Typer(
    help="Mark a disposable copy of your own, so that destructive work may run in it.",
    epilog='Example: howdah sandbox mark "host=localhost dbname=shop_copy" --yes',
    no_args_is_help=True,
    rich_markup_mode=None,
)

_SHOW = Annotated[bool, typer.Option("--show-sql", help="Print the statement as well.")]
_DRY = Annotated[bool, typer.Option("--dry-run", help="Change nothing.")]


@app.command(epilog='Example: howdah sandbox mark "host=localhost dbname=shop_copy" --yes')
def mark(
    dsn: DSN = "",
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Everything in this database may be destroyed.")
    ] = False,
    dry_run: _DRY = False,
    show_sql: _SHOW = False,
) -> None:
    """Mark a database as disposable: a comment on it, bound to this database of this server."""
    if not yes and not dry_run:
        raise BadInput(
            f"marking {describe(dsn)} allows everything in it to be destroyed",
            hint="the same with --yes, if that is what you want",
        )
    with closing(connect(dsn)) as connection:
        _change(marker.marking(connection), dry_run, show_sql, dsn, "a sandbox")
        if not dry_run:
            marker.mark(connection)


@app.command(epilog='Example: howdah sandbox unmark "host=localhost dbname=shop_copy"')
def unmark(dsn: DSN = "", *, dry_run: _DRY = False, show_sql: _SHOW = False) -> None:
    """Take the marker off; an own comment on the database stays."""
    with closing(connect(dsn)) as connection:
        _change(marker.unmarking(connection), dry_run, show_sql, dsn, "no sandbox")
        if not dry_run:
            marker.unmark(connection)


def _change(statement: str, dry_run: bool, show_sql: bool, dsn: str, state: str) -> None:
    if show_sql or dry_run:
        typer.echo(f"{statement};" if statement else "-- nothing to do")
    typer.echo(f"{describe(dsn)} {'would be' if dry_run else 'is'} {state} now")
