"""What autovacuum was told: switched off, or given thresholds that let a table wait too long.

Owns the rules on the server's and the tables' autovacuum parameters.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from howdah.check import harm, remedies
from howdah.check.knowledge import autovacuum
from howdah.check.knowledge.amounts import counted as amount
from howdah.check.knowledge.amounts import duration
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Remedy,
    Severity,
    Shape,
    rule,
)
from howdah.snapshot.facts.catalog import Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.picture import Picture

FEWEST_DEAD = 1_000  # rows; a table with fewer dead ones costs nobody anything
AGED_SHARE = 0.5  # of autovacuum_freeze_max_age: near enough that autovacuum off will matter
SETTLED_SECONDS = 3600.0  # a window shorter than this has not seen what a table needs
NAMED = 5  # partitions in the evidence

HUGE_TRIGGER_ROWS = 10_000_000  # dead rows that one vacuum should not have to remove at once
LARGE_ROWS = 1_000_000  # tables whose first freezing is worth spreading
SELDOM_DAYS = 1.0  # more often than daily, even a huge trigger is met in good time
NEVER_DAYS = 30.0  # an insert-only table that waits longer is frozen by force, all at once
SEEN_SHARE = 0.5  # all-visible pages above which a table was vacuumed well enough


# --- autovacuum off -------------------------------------------------------------------------------


@rule(
    id="autovacuum-off",
    title="Autovacuum is off",
    severity=Severity.CRITICAL,
    objects="switches (the server's and one per table)",
    needs=("relations", "settings"),
    what="autovacuum or track_counts off on the server; autovacuum_enabled off on a table, on a "
    "materialised view, or on a TOAST table.",
    why="Dead rows stay, statistics grow old, and the table is frozen only by force, all at once.",
    wrong_when="Staging tables that are filled and truncated are often excluded on purpose: "
    "without dead rows or age such a table is only a notice. Somebody may vacuum by a schedule; "
    "last_vacuum in the evidence shows it.",
    source="PostgreSQL documentation, 'Automatic Vacuuming' and CREATE TABLE, 'Storage Parameters'",
)
def autovacuum_off(picture: Picture, _: Answers) -> Examination:
    """The server's switch, and every table's."""
    tables = autovacuum.users_tables(picture)
    server = autovacuum.is_enabled_on_server(picture)
    off = [row for row in tables if _off(row)]
    groups: dict[int, list[Relation]] = defaultdict(list)
    for row in off:
        groups[picture.root(row.oid)].append(row)
    found = [_server_off(picture)] if server is False else []
    found += [_table_off(picture, root, rows) for root, rows in groups.items()]
    return Examination(
        examined=len(tables) + (server is not None),
        of=len(tables) + 1 + picture.snapshot.relations.left_out,
        unknown=picture.snapshot.relations.reason or "the server's settings are not visible",
        findings=tuple(found),
    )


def _off(row: Relation) -> tuple[str, ...]:
    """The parts of a table for which it is off, as storage parameters."""
    found = []
    if not autovacuum.is_enabled(row.options):
        found.append("autovacuum_enabled")
    if row.toast_oid and not autovacuum.is_enabled(row.toast_options):
        found.append("toast.autovacuum_enabled")
    return tuple(found)


def _server_off(picture: Picture) -> Finding:
    off = [n for n in ("autovacuum", "track_counts") if picture.setting_on(n) is False]
    return Finding(
        rule="autovacuum-off",
        object="server",
        severity=Severity.CRITICAL,
        claim=f"{' and '.join(off)} {'is' if len(off) == 1 else 'are'} off: no table of this "
        "server is vacuumed or analysed by itself until it must be, to prevent wraparound.",
        evidence=tuple({"setting": n, "value": "off", "source": _source(picture, n)} for n in off),
        confidence=Confidence.PROVEN,
        refuted_by=f"SHOW {off[0]} in a new session answers on",
        cost_if_wrong="a scheduled vacuum runs beside autovacuum",
        harm=harm.outage(None),
        remedies=tuple(
            remedies.set_server_setting(n, "on", restart=False, shape=Shape(settings={n: "off"}))
            for n in off
        ),
    )


def _source(picture: Picture, setting: str) -> str | None:
    row = picture.settings.get(setting)
    return row.source if row else None


def _table_off(picture: Picture, root: int, rows: Sequence[Relation]) -> Finding:
    name = picture.relation_name(root)
    matters = [reason for row in rows if (reason := _matters(picture, row))]
    inside = f" for {amount(len(rows), 'partition')}" if root != rows[0].oid else ""
    return Finding(
        rule="autovacuum-off",
        object=name,
        severity=Severity.WARNING if matters else Severity.NOTICE,
        claim=f"autovacuum is off on {name}{inside}"
        + (f": {matters[0]}." if matters else "; nothing has piled up so far."),
        evidence=tuple(_switch(picture, row) for row in rows[:NAMED]),
        confidence=Confidence.PROVEN,
        refuted_by="reloptions of the table, or of its TOAST table, without autovacuum_enabled",
        cost_if_wrong="a staging table is vacuumed between its loads",
        harm=sum(_held_pages(picture, row) for row in rows),
        remedies=tuple(_switch_on(row) for row in rows[:NAMED]),
        window=picture.window,
    )


def _matters(picture: Picture, row: Relation) -> str:
    """What has piled up since nobody comes; empty where nothing has."""
    statistics, trigger = picture.table_statistics.get(row.oid), autovacuum.vacuum_due(picture, row)
    if statistics and trigger and statistics.dead > max(trigger, FEWEST_DEAD):
        return f"{statistics.dead:,} dead rows stay"
    for heap in autovacuum.heaps(row):
        limit = autovacuum.xid_limit(picture, heap)
        if limit is not None and heap.xid_age > AGED_SHARE * limit:
            return f"it is {heap.xid_age:,} transaction ids old"
    return ""


def _held_pages(picture: Picture, row: Relation) -> float:
    statistics = picture.table_statistics.get(row.oid)
    return harm.held(autovacuum.dead_pages(picture, statistics)) if statistics else 0.0


def _switch(picture: Picture, row: Relation) -> dict[str, Any]:
    statistics = picture.table_statistics.get(row.oid)
    return {
        "table": f"{row.schema}.{row.name}",
        "off": ", ".join(_off(row)),
        "dead_rows": statistics.dead if statistics else None,
        "last_vacuum": statistics.last_vacuum if statistics else None,
        "xid_age": row.xid_age,
    }


def _switch_on(row: Relation) -> Remedy:
    """Back to the default; a TOAST table's parameters go by their own namespace."""
    parts = [sql.Identifier(*part.split(".")) for part in _off(row)]
    target = {
        "kind": sql.SQL("MATERIALIZED VIEW" if row.kind == "m" else "TABLE"),
        "table": sql.Identifier(row.schema, row.name),
    }
    off = sql.SQL(", ").join(sql.SQL("{} = false").format(part) for part in parts)
    change = sql.SQL("ALTER {kind} {table} RESET ({parts})").format(
        **target, parts=sql.SQL(", ").join(parts)
    )
    back = sql.SQL("ALTER {kind} {table} SET ({off})").format(**target, off=off)
    statement = change.as_string(None)
    return remedies.statements(
        "set-table-options",
        {"table": f"{row.schema}.{row.name}", "reset": ", ".join(_off(row))},
        (statement,),
        inverse=(back.as_string(None),),
        retry_safe=("SET lock_timeout = '2s'", statement),
    )


# --- thresholds -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Patience:
    """A table whose triggers let it wait too long."""

    relation: Relation
    claim: str
    options: Mapping[str, str]
    evidence: Mapping[str, Any]


@rule(
    id="vacuum-thresholds",
    title="Autovacuum thresholds do not suit the table",
    severity=Severity.NOTICE,
    objects="large tables",
    needs=("relations", "table_statistics", "settings"),
    what="Tables of a million rows and more whose trigger is ten million dead rows or more and "
    "more than a day away at the table's own rate; and insert-only tables, partitions first of "
    "all, that no vacuum will reach for a month.",
    why="One vacuum that must remove ten million rows scans every index for hours. An insert-only "
    "table that is never vacuumed has no page marked all-visible, and is frozen by force in one "
    "go.",
    wrong_when="The rate is the window's average: a table changed once a quarter looks idle. An "
    "insert-only table that is dropped before it is a month old never needs a vacuum.",
    source="relation_needs_vacanalyze of PostgreSQL 14 to 18; PostgreSQL documentation, "
    "'Automatic Vacuuming'",
)
def vacuum_thresholds(picture: Picture, _: Answers) -> Examination:
    """Large tables whose triggers come too seldom, by their own rates."""
    large = [
        row
        for row in autovacuum.users_tables(picture)
        if (picture.rows(row.oid) or 0) >= LARGE_ROWS
    ]
    if picture.server.in_recovery:
        return Examination(of=len(large), unknown=autovacuum.STANDBY)
    seconds = picture.window.seconds
    if seconds is None or seconds < SETTLED_SECONDS:
        covered = "since when is not known" if seconds is None else f"for {duration(seconds)} only"
        reason = f"counters cover changes {covered}, and rates need an hour. Try: look again later"
        return Examination(of=len(large), unknown=reason)
    judged = [row for row in large if row.oid in picture.table_statistics]
    found = [patience for row in judged if (patience := _patience(picture, row))]
    groups: dict[int, list[Patience]] = defaultdict(list)
    for patience in found:
        groups[picture.root(patience.relation.oid)].append(patience)
    return Examination(
        examined=len(judged),
        of=len(large),
        unknown="some large tables show no counters: they were made or dropped meanwhile",
        findings=tuple(_impatient(picture, root, group) for root, group in groups.items()),
    )


def _patience(picture: Picture, row: Relation) -> Patience | None:
    if not autovacuum.is_enabled(row.options):
        return None  # autovacuum-off says so already
    statistics = picture.table_statistics[row.oid]
    changed = statistics.updated + statistics.deleted
    if changed <= statistics.inserted * 0.01:
        return _insert_only(picture, row, statistics)
    trigger = autovacuum.vacuum_due(picture, row) or 0.0
    per_day = (picture.per_hour(changed) or 0.0) * 24
    days = trigger / per_day if per_day else math.inf
    if trigger < HUGE_TRIGGER_ROWS or not SELDOM_DAYS < days < math.inf:
        return None
    daily = str(max(1_000_000, round(per_day)))
    options = {"autovacuum_vacuum_scale_factor": "0", "autovacuum_vacuum_threshold": daily}
    return Patience(
        relation=row,
        claim=f"is vacuumed only after {trigger:,.0f} dead rows, about every "
        f"{duration(days * 86_400)}",
        options=options,
        evidence={"trigger_rows": round(trigger), "dead_rows_per_day": round(per_day)},
    )


def _insert_only(picture: Picture, row: Relation, counted: TableStatistics) -> Patience | None:
    trigger = autovacuum.insert_due(picture, row)
    seen = row.all_visible_pages / row.pages if row.pages else 0.0
    if trigger is None or seen >= SEEN_SHARE or counted.inserted_since_vacuum >= trigger:
        return None
    per_day = (picture.per_hour(counted.inserted) or 0.0) * 24
    days = (trigger - counted.inserted_since_vacuum) / per_day if per_day else math.inf
    if days < NEVER_DAYS:
        return None
    when = "never" if math.isinf(days) else f"in {duration(days * 86_400)}"
    return Patience(
        relation=row,
        claim=f"takes inserts only, {seen:.0%} of its pages are all-visible, and the next vacuum "
        f"comes {when}",
        options={
            "autovacuum_vacuum_insert_threshold": "100000",
            "autovacuum_vacuum_insert_scale_factor": "0",
        },
        evidence={
            "insert_trigger_rows": None if math.isinf(trigger) else round(trigger),
            "inserted_since_vacuum": counted.inserted_since_vacuum,
            "inserted_per_day": round(per_day),
            "all_visible_share": round(seen, 3),
        },
    )


def _impatient(picture: Picture, root: int, group: Sequence[Patience]) -> Finding:
    name, first = picture.relation_name(root), group[0]
    inside = f"partition {first.relation.name} of " if root != first.relation.oid else ""
    return Finding(
        rule="vacuum-thresholds",
        object=name,
        severity=Severity.NOTICE,
        claim=f"{inside}{name} {first.claim}.",
        evidence=tuple(
            {"table": picture.relation_name(each.relation.oid), **each.evidence}
            for each in group[:NAMED]
        ),
        confidence=Confidence.MEASURED,
        refuted_by="autovacuum_count of the table growing by more than one a month",
        cost_if_wrong="more, and smaller, vacuums than needed",
        harm=harm.held(sum(picture.pages(each.relation.oid) for each in group) / 10),
        remedies=tuple(_adjust(picture, each) for each in group[:NAMED]),
        window=picture.window,
    )


def _adjust(picture: Picture, patience: Patience) -> Remedy:
    row = patience.relation
    return remedies.set_table_options(
        row.schema,
        row.name,
        patience.options,
        before={name: picture.option(row, name) for name in patience.options},
        kind="MATERIALIZED VIEW" if row.kind == "m" else "TABLE",
        note="partitions made later need the options too: they are not inherited",
    )
