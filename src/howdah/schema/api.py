"""Install, upgrade, uninstall, status: what users and the command line call.

Owns the order of reading, deciding and running. Must never hold SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from howdah import driver
from howdah.schema import decide, remove, store
from howdah.schema.model import Component, Plan, Standing, Step
from howdah.schema.store import requirement

LOCK_TIMEOUT_SECONDS = 2.0
"""While a change waits for a lock, workers wait behind it: short, and tried again by a person."""


def install(
    connection: psycopg.Connection[Any],
    components: Sequence[Component],
    *,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    dry_run: bool = False,
) -> Plan:
    """Put the components, and what they require, into the connected database; return what was done.

    One transaction of its own; what is there already is left alone. Raises `Denied`, `Cannot`,
    `Unsupported` (a component is there in a version that this library cannot use), `TimedOut` (the
    detail names who holds the lock) and `Unreachable`; after each of them nothing has changed.
    """
    with store.changing(connection, lock_timeout_seconds, keep=not dry_run):
        here = store.here(connection)
        plan = decide.plan_install(here, store.applied(connection, here), components)
        if not dry_run:
            store.run(connection, plan.steps)
    return plan


def upgrade(
    connection: psycopg.Connection[Any],
    components: Sequence[Component],
    *,
    contract: bool = False,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    dry_run: bool = False,
) -> Plan:
    """Bring those of the components that are installed up to this library; return what was done.

    Expansions only: workers of older versions go on beside it. `contract` also runs what removes
    the old; do that when every worker runs this library. Raises like `install`.
    """
    with store.changing(connection, lock_timeout_seconds, keep=not dry_run):
        here = store.here(connection)
        applied = store.applied(connection, here)
        plan = decide.plan_upgrade(here, applied, components, contract=contract)
        if not dry_run:
            store.run(connection, plan.steps)
    return plan


def uninstall(
    connection: psycopg.Connection[Any],
    names: Sequence[str] = (),
    *,
    yes: bool = False,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    dry_run: bool = False,
) -> Plan:
    """Take components away, or everything with the schema if no names are given.

    Without `yes` it is `Cannot` while our processes are connected or tables hold rows; the detail
    lists them. Whatever is not ours is never dropped: it stops everything, by its name. The roles
    stay, because other databases of the cluster may use them.
    """
    with store.changing(connection, lock_timeout_seconds, keep=not dry_run):
        here = store.here(connection)
        decide.refuse(here)
        if here.schema_owner is None or not here.ledger:
            return Plan()
        # A superuser stays one: tables made while running may belong to whoever made them.
        acting = () if here.superuser else tuple(decide.acting(here, here.schema_owner))
        store.run(connection, acting)
        removal = remove.plan_uninstall(
            store.applied(connection, here),
            names,
            store.objects(connection),
            store.dependents(connection, names),
        )
        workers = store.workers(connection, remove.worker_names(removal))
        tables = remove.tables(removal)
        if not (yes or dry_run):
            remove.refuse_loss(here.database, remove.losses(workers, []))
            store.lock_tables(connection, remove.tables(removal, lockable=True))
        said = remove.losses(workers, store.data(connection, tables))
        if not dry_run:
            remove.refuse_loss(here.database, [] if yes else said)
            store.drop(connection, removal)
    return remove.described(removal, acting, said)


def status(
    connection: psycopg.Connection[Any], components: Sequence[Component]
) -> tuple[Standing, ...]:
    """What the database has and what this library knows, for each component and the ledger."""
    with store.looking(connection):
        applied = store.applied(connection, store.here(connection))
    return tuple(
        Standing(
            component=each.name,
            library=each.version,
            installed=tuple(sorted(applied.get(each.name, ()))),
            waiting=tuple(one.what for one in decide.waiting(each, applied)),
            problem=str(decide.skew(each, applied) or ""),
        )
        for each in decide.with_requirements(components)
    )


def script(plan: Plan, *, lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> str:
    """The plan as a script for psql, which does the same; empty if there is nothing to do."""
    if plan.nothing_to_do:
        return ""
    begin = Step(what="alone, and with short waits", sql=store.prelude(lock_timeout_seconds))
    parts = [f"-- {step.what}\n{_closed(step.sql)}" for step in (begin, *plan.steps)]
    return "\n\n".join(("BEGIN;", *parts, "COMMIT;"))


def _closed(text: str) -> str:
    text = text.rstrip()
    return text if text.endswith(";") else f"{text};"


def require(connection: Any, component: Component) -> None:
    """Refuse to run on a database that this library does not fit; see `requirement`.

    Takes any synchronous connection that `howdah.driver` knows. `Unsupported` says which of the two
    is older and what to run; `Denied` when the role may not look.
    """
    driver.run(connection, requirement(component))


async def require_async(connection: Any, component: Component) -> None:
    """The same on an asynchronous connection."""
    await driver.run_async(connection, requirement(component))
