"""`howdah install`, `upgrade` and `uninstall`: what Howdah keeps in a database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Annotated, Any

import psycopg
import typer

from howdah import schema
from howdah.cli.components import COMPONENTS
from howdah.cli.target import DSN
from howdah.config import suggestion
from howdah.errors import BadInput
from howdah.postgres import connect, describe
from howdah.schema import Component, Plan
from howdah.schema.api import LOCK_TIMEOUT_SECONDS

INSTALL_EXAMPLE = "Example: howdah install postgresql://localhost/shop --dry-run"
UPGRADE_EXAMPLE = "Example: howdah upgrade postgresql://localhost/shop"
UNINSTALL_EXAMPLE = "Example: howdah uninstall postgresql://localhost/shop --dry-run"

_WITH = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="COMPONENT", help="Only this one; repeat for more."),
]
_DRY = Annotated[bool, typer.Option("--dry-run", help="Print the SQL and change nothing.")]
_SHOW = Annotated[bool, typer.Option("--show-sql", help="Print the SQL as well.")]
_WAIT = Annotated[
    float, typer.Option(min=0.001, max=3600, help="For any lock; workers wait behind it as long.")
]


def install(
    dsn: DSN = "",
    *,
    with_: _WITH = None,
    dry_run: _DRY = False,
    show_sql: _SHOW = False,
    lock_timeout_seconds: _WAIT = LOCK_TIMEOUT_SECONDS,
) -> None:
    """Put what is missing into a database: one transaction, no superuser needed.

    Components that others require come along. Printed SQL can be given to psql instead.
    """
    components = _chosen(with_)

    def change(connection: psycopg.Connection[Any]) -> Plan:
        return schema.install(
            connection,
            components,
            lock_timeout_seconds=lock_timeout_seconds,
            dry_run=dry_run,
        )

    _carry_out(dsn, change, dry_run=dry_run, show_sql=show_sql, seconds=lock_timeout_seconds)


def upgrade(
    dsn: DSN = "",
    *,
    with_: _WITH = None,
    contract: Annotated[
        bool,
        typer.Option("--contract", help="Also remove what workers of older versions still need."),
    ] = False,
    dry_run: _DRY = False,
    show_sql: _SHOW = False,
    lock_timeout_seconds: _WAIT = LOCK_TIMEOUT_SECONDS,
) -> None:
    """Bring what is installed up to this version, beside running workers of the version before.

    Upgrade the database first, then the workers, then run it once more with --contract.
    """
    components = _chosen(with_)

    def change(connection: psycopg.Connection[Any]) -> Plan:
        return schema.upgrade(
            connection,
            components,
            contract=contract,
            lock_timeout_seconds=lock_timeout_seconds,
            dry_run=dry_run,
        )

    _carry_out(dsn, change, dry_run=dry_run, show_sql=show_sql, seconds=lock_timeout_seconds)


def uninstall(
    dsn: DSN = "",
    *,
    with_: _WITH = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Even with workers connected and rows in tables.")
    ] = False,
    dry_run: _DRY = False,
    show_sql: _SHOW = False,
    lock_timeout_seconds: _WAIT = LOCK_TIMEOUT_SECONDS,
) -> None:
    """Take everything of Howdah out of a database, and nothing else; the roles stay."""

    def change(connection: psycopg.Connection[Any]) -> Plan:
        return schema.uninstall(
            connection,
            tuple(with_ or ()),
            yes=yes,
            lock_timeout_seconds=lock_timeout_seconds,
            dry_run=dry_run,
        )

    _carry_out(dsn, change, dry_run=dry_run, show_sql=show_sql, seconds=lock_timeout_seconds)


def _chosen(names: list[str] | None) -> tuple[Component, ...]:
    known = {each.name: each for each in COMPONENTS}
    for name in names or ():
        if name not in known:
            raise BadInput(f"there is no component {name!r}", hint=suggestion(name, known))
    return tuple(known[name] for name in names or known)


def _carry_out(
    dsn: str,
    change: Callable[[psycopg.Connection[Any]], Plan],
    *,
    dry_run: bool,
    show_sql: bool,
    seconds: float,
) -> None:
    with closing(connect(dsn)) as connection:
        plan = change(connection)
    if show_sql or dry_run:
        text = schema.script(plan, lock_timeout_seconds=seconds)
        typer.echo(text or "-- nothing to do")
    would = "would be: " if dry_run else ""
    for line in plan.changed:
        typer.echo(f"{describe(dsn)}: {would}{line}", err=dry_run)
    if plan.nothing_to_do:
        typer.echo(f"{describe(dsn)}: nothing to do", err=dry_run)
    for note in plan.notes:
        typer.echo(f"note: {note}", err=dry_run)
