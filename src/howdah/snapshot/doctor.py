"""Which permissions a role has, which it lacks, and which facts each missing one would open.

Owns the ladder, pure over a snapshot. Must never grant anything: it says what an administrator
would run. Which rules need which facts is known elsewhere.
"""

from __future__ import annotations

import msgspec
from psycopg import sql

from howdah.query import load
from howdah.snapshot.facts import Status
from howdah.snapshot.model import Snapshot

_HELPER = load("howdah.snapshot", "sql/helper.sql")

_MONITOR_FACTS = (
    "sessions",
    "wait_samples",
    "counter_samples",
    "vacuum_progress",
    "index_builds",
    "statements",
    "settings",
    "standbys",
    "receiver",
    "archive_queue",
)
_SPACE_FACTS = ("table_space", "index_space", "pending_lists")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One rung of the ladder. `sql` is what an administrator runs; `facts` is what it opens."""

    name: str
    have: bool
    purpose: str
    facts: tuple[str, ...]
    sql: tuple[str, ...] = ()
    note: str = ""
    alternative: tuple[str, ...] = ()  # SQL that opens most of it with fewer rights


def ladder(snapshot: Snapshot) -> tuple[Step, ...]:
    """The steps from a bare connection to a superuser, in the order in which to grant them."""
    role = sql.Identifier(snapshot.server.role)
    return (
        Step(
            name="connect",
            have=True,
            purpose="the catalogs, the counters of tables and indexes, wraparound ages",
            facts=(),
        ),
        _monitor(snapshot, role),
        _read_all_data(snapshot, role),
        _statements(snapshot),
        _pgstattuple(snapshot),
        Step(
            name="superuser",
            have=snapshot.server.is_superuser,
            purpose="nothing that a rule needs; Howdah is better run without it",
            facts=(),
        ),
    )


def missing_facts(snapshot: Snapshot) -> dict[str, str]:
    """Facts that the role may not read, or only in part, with the step that opens each."""
    found: dict[str, str] = {}
    for step in ladder(snapshot):
        if not step.have:
            found |= {fact: step.name for fact in step.facts if fact not in found}
    return found


def _grant(right: str, role: sql.Identifier) -> str:
    return (
        sql.SQL("GRANT {right} TO {role}")
        .format(right=sql.Identifier(right), role=role)
        .as_string(None)
    )


def _monitor(snapshot: Snapshot, role: sql.Identifier) -> Step:
    return Step(
        name="pg_monitor",
        have=snapshot.server.is_monitor,
        purpose="what other roles' sessions do and wait for, statement texts, replication",
        facts=_MONITOR_FACTS,
        sql=(_grant("pg_monitor", role),),
    )


def _read_all_data(snapshot: Snapshot, role: sql.Identifier) -> Step:
    statistics = snapshot.column_statistics
    complete = statistics.known and statistics.left_out == 0
    return Step(
        name="pg_read_all_data",
        have=snapshot.server.reads_all_data or complete,
        purpose="statistics of every column, positions of every sequence",
        facts=("column_statistics", "sequences"),
        sql=(_grant("pg_read_all_data", role),),
        note="it lets the role read every row; the view shows the shape of statistics only",
        alternative=(helper_view(snapshot.server.role),),
    )


def _statements(snapshot: Snapshot) -> Step:
    return Step(
        name="pg_stat_statements",
        have=_installed(snapshot, "pg_stat_statements"),
        purpose="which statements run, how often and at which cost",
        facts=("statements",),
        sql=("CREATE EXTENSION pg_stat_statements",),
        note="shared_preload_libraries must name it, which takes a restart of the server",
    )


def _pgstattuple(snapshot: Snapshot) -> Step:
    denied = any(snapshot.fact(name).status is Status.DENIED for name in _SPACE_FACTS)
    return Step(
        name="pgstattuple",
        have=_installed(snapshot, "pgstattuple") and not denied,
        purpose="space by measurement: dead rows, page density, pending lists",
        facts=_SPACE_FACTS,
        sql=("CREATE EXTENSION pgstattuple",),
        note="members of pg_monitor may run it, where they have USAGE on its schema",
    )


def _installed(snapshot: Snapshot, name: str) -> bool:
    return any(row.name == name for row in snapshot.extensions.rows)


def helper_view(role: str) -> str:
    """The SQL of the view howdah.column_statistics, readable by `role`, for a superuser to run.

    It shows widths, null fractions, distinct counts, correlations and how many values the lists
    hold; never a value.
    """
    text = sql.SQL(_HELPER.text("column_statistics_view"))
    return text.format(role=sql.Identifier(role)).as_string(None)
