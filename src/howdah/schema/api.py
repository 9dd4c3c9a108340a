"""Install, upgrade, uninstall, status: what users and the command line call.

Owns the order of reading, deciding and running. Must never hold SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from howdah.schema import decide, store
from howdah.schema.model import Component, Plan

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
            store.run(connection, plan)
    return plan
