"""Queues and outboxes whose columns will betray them.

Owns the rules on the shape of queue tables: what they are ordered by, and the types of their keys
and times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted, duration
from howdah.check.knowledge.claiming import Claim
from howdah.check.knowledge.composing import composed, raw
from howdah.check.knowledge.queueing import (
    NEEDS,
    OBJECTS,
    Queueing,
    Role,
    column_of,
    queueings,
    recognised,
)
from howdah.check.knowledge.readable import as_far_as_read
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
from howdah.snapshot.facts.catalog import Column
from howdah.snapshot.facts.catalog import Sequence as SequenceRow
from howdah.snapshot.picture import Picture

_TIMES = frozenset({"timestamp", "timestamptz"})
_LAST = {"int2": 2**15 - 1, "int4": 2**31 - 1}
_HOURS_A_YEAR = 24 * 365
# A rate that needs longer than this is no reason to touch a key.
_YEARS_ENOUGH = 10
# 8 kB pages: a rewrite under ACCESS EXCLUSIVE of this much takes some tens of milliseconds.
_BRIEF_REWRITE_PAGES = 1000


def _calls(claims: Sequence[Claim]) -> int:
    return sum(each.statement.calls for each in claims)


# --- order ----------------------------------------------------------------------------------------


@rule(
    id="queue-order-by-timestamp",
    title="Queue ordered by a timestamp",
    severity=Severity.WARNING,
    objects=OBJECTS,
    needs=NEEDS,
    what="A queue or outbox whose readers order by a timestamp without a unique column after it, "
    "or that remember the last timestamp they saw and ask for later ones.",
    why="now() is the time at which a transaction began: rows of one transaction tie, and a row "
    "that commits late carries an early time. A reader that asks for `> last seen` never sees it. "
    "Ties come in any order, so events of one transaction may be published swapped.",
    wrong_when="If one session alone writes, or the column is set by clock_timestamp() under a "
    "lock, times follow commits. A time that says when a job is due (`run_at <= now()`) is not "
    "reported: its order is a wish, not a promise.",
    source="PostgreSQL documentation, 'Current Date/Time'; measured: a committed id below the "
    "reader's position is never read",
)
def queue_order_by_timestamp(picture: Picture, _: Answers) -> Examination:
    """Claims that lose or swap rows because of their order."""
    queues = queueings(picture)
    found = []
    for queue in queues:
        bad = [(claim, _ordered_by_time(picture, queue, claim)) for claim in queue.claims]
        kept = [(claim, problem) for claim, problem in bad if problem]
        if kept:
            found.append(_timed(picture, queue, kept))
    seen = Examination(examined=len(queues), of=len(queues), findings=tuple(found))
    return as_far_as_read(picture, seen)


def _is_time(picture: Picture, queue: Queueing, name: str) -> bool:
    column = column_of(picture, queue.relation, name)
    return column is not None and column.base_type in _TIMES


def _ordered_by_time(picture: Picture, queue: Queueing, claim: Claim) -> str:
    """'skips' or 'ties', '' where the order is sound."""
    if claim.is_guarded:
        return ""
    if claim.cursor is not None and _is_time(picture, queue, claim.cursor):
        return "skips"
    first = claim.order_by[0] if claim.order_by else None
    if first is None or first in claim.due or not _is_time(picture, queue, first):
        return ""
    last = claim.order_by[-1]
    return "ties" if _is_time(picture, queue, last) else ""


def _timed(picture: Picture, queue: Queueing, problems: Sequence[tuple[Claim, str]]) -> Finding:
    skips = any(problem == "skips" for _, problem in problems)
    claims = [claim for claim, _ in problems]
    column = (claims[0].cursor if skips else None) or claims[0].order_by[0]
    serious = skips or queue.role is Role.OUTBOX
    effect = (
        "rows that commit after a later time was read are never read"
        if skips
        else "rows of one transaction carry the same time and come in any order"
    )
    return Finding(
        rule="queue-order-by-timestamp",
        object=queue.table,
        severity=Severity.WARNING if serious else Severity.NOTICE,
        claim=f"{counted(_calls(claims), 'call')} read {queue.table} by {column}: {effect}.",
        evidence=(
            *(
                {
                    "statement": claim.statement.text,
                    "problem": problem,
                    "order_by": list(claim.order_by),
                    "position_kept_in": claim.cursor,
                    "calls": claim.statement.calls,
                }
                for claim, problem in problems
            ),
            *recognised(picture, [queue]),
        ),
        confidence=Confidence.PROVEN,
        refuted_by="one single writer, or a position that follows commits",
        cost_if_wrong="an identity column and another ORDER BY that were not needed",
        harm=harm.outage(None, share=0.02) if skips else harm.waste(1, None),
        remedies=(_by_identity(queue, skips),),
        window=picture.window,
    )


def _by_identity(queue: Queueing, skips: bool) -> Remedy:
    guard = (
        "order by an identity column and take only rows whose transaction is below "
        "pg_snapshot_xmin(pg_current_snapshot()), stored as xid8 DEFAULT pg_current_xact_id()"
        if skips
        else "order by an identity column, or add it behind the timestamp"
    )
    return remedies.manual("order-by-identity", {"table": queue.table}, (), guard)


# --- four-byte keys -------------------------------------------------------------------------------


@rule(
    id="queue-int4-id",
    title="Queue with a four-byte key",
    severity=Severity.WARNING,
    objects=OBJECTS,
    needs=NEEDS,
    what="A queue or outbox whose generated key is an integer or smallint, unless its rate needs "
    "more than ten years to use it up.",
    why="A queue spends keys at the rate of its traffic, however few rows it holds. At the last "
    "value every insert fails, and the table cannot be widened without a rewrite.",
    wrong_when="The rate of the window may not be the usual one. Without a known window the rate "
    "is not known and the key is reported whatever it is.",
    source="PostgreSQL documentation, 'Numeric Types': integer ends at 2147483647",
)
def queue_int4_id(picture: Picture, _: Answers) -> Examination:
    """Generated keys of two or four bytes."""
    queues = queueings(picture)
    findings = []
    for queue in queues:
        column = _generated_key(picture, queue)
        if column is not None:
            hours = _hours_left(picture, queue, column)
            if hours is None or hours < _YEARS_ENOUGH * _HOURS_A_YEAR:
                findings.append(_narrow(picture, queue, column, hours))
    seen = Examination(examined=len(queues), of=len(queues), findings=tuple(findings))
    return as_far_as_read(picture, seen)


def _generated_key(picture: Picture, queue: Queueing) -> Column | None:
    columns = picture.columns.get(queue.relation, {})
    return next(
        (
            column
            for _, column in sorted(columns.items())
            if column.base_type in _LAST
            and (
                column.identity or "nextval(" in (column.default or "") or _feeding(picture, column)
            )
        ),
        None,
    )


def _feeding(picture: Picture, column: Column) -> SequenceRow | None:
    return next(
        (
            row
            for row in picture.snapshot.sequences.rows
            if (column.relation, column.number)
            in zip(row.fed_relations, row.fed_columns, strict=False)
        ),
        None,
    )


def _hours_left(picture: Picture, queue: Queueing, column: Column) -> float | None:
    sequence = _feeding(picture, column)
    tables = picture.leaves(queue.relation) or (queue.relation,)
    statistics = [row for each in tables if (row := picture.table_statistics.get(each))]
    rate = picture.per_hour(sum(row.inserted for row in statistics)) if statistics else None
    if sequence is None or not sequence.is_readable or not rate:
        return None
    left = _LAST[column.base_type] - (sequence.last_value or 0)
    return max(0.0, left) / (rate * max(1, sequence.increment))


def _narrow(picture: Picture, queue: Queueing, column: Column, hours: float | None) -> Finding:
    sequence = _feeding(picture, column)
    soon = hours is not None and hours < _HOURS_A_YEAR
    when = "" if hours is None else f", which ends in {duration(hours * 3600)} at this rate"
    return Finding(
        rule="queue-int4-id",
        object=queue.table,
        severity=Severity.WARNING if soon else Severity.NOTICE,
        claim=f"{queue.table} draws its key {column.name} of type {column.type}{when}.",
        evidence=(
            {
                "column": column.name,
                "type": column.type,
                "last_value": sequence.last_value if sequence else None,
                "largest_value": _LAST[column.base_type],
                "days_left": None if hours is None else round(hours / 24, 1),
            },
            *recognised(picture, [queue]),
        ),
        confidence=Confidence.PROVEN if hours is None else Confidence.ESTIMATED,
        refuted_by="a rate of inserts that never uses up the type",
        cost_if_wrong="one rewrite of a small table, and four bytes a row",
        harm=harm.outage(hours, share=0.05),
        remedies=(_widen(picture, queue, column, sequence),),
        window=picture.window,
    )


def _widen(
    picture: Picture, queue: Queueing, column: Column, sequence: SequenceRow | None
) -> Remedy:
    relation = picture.relations[queue.relation]
    target = (relation.schema, relation.name)
    template = "ALTER TABLE {t} ALTER COLUMN {c} TYPE {type}"
    pages = sum(picture.pages(each) for each in picture.leaves(relation.oid) or (relation.oid,))
    steps = [composed(template, t=target, c=column.name, type=raw("bigint"))]
    if sequence is not None and sequence.data_type != "int8":
        steps.append(composed("ALTER SEQUENCE {s} AS bigint", s=(sequence.schema, sequence.name)))
    arguments = {"table": queue.table, "column": column.name}
    if pages > _BRIEF_REWRITE_PAGES or relation.kind == "p":
        return remedies.manual(
            "widen-key",
            arguments,
            (),
            f"rewriting {pages} pages would lock the table too long: add a bigint column, keep "
            "it filled by a trigger, backfill in batches, then swap the two",
        )
    return remedies.statements(
        "widen-key",
        arguments,
        steps,
        inverse=(composed(template, t=target, c=column.name, type=raw(column.type)),),
        retry_safe=("SET lock_timeout = '2s'", *steps),
        shape=_at(sequence),
        note=f"rewrites the table's {pages} pages under ACCESS EXCLUSIVE; widen columns that "
        "reference it too",
    )


def _at(sequence: SequenceRow | None) -> Shape:
    """The sequence where the database has it, or the rate would need ages on a sandbox."""
    if sequence is None or sequence.last_value is None:
        return Shape()
    return Shape(sequences={f"{sequence.schema}.{sequence.name}": sequence.last_value})


# --- times without a zone -------------------------------------------------------------------------


@rule(
    id="queue-timestamp-without-zone",
    title="Queue times without a time zone",
    severity=Severity.NOTICE,
    objects=OBJECTS,
    needs=NEEDS,
    what="A queue or outbox whose readers order by, compare or mark with a `timestamp` column "
    "that has no time zone.",
    why="The value is whatever the writing session's TimeZone made of the moment. Workers of "
    "another zone run jobs hours early or late, and twice a year an hour repeats: rows of it sort "
    "before older ones.",
    wrong_when="If every session runs in UTC and always will, the values are as good as with a "
    "zone.",
    source="PostgreSQL documentation, 'Date/Time Types'",
)
def queue_timestamp_without_zone(picture: Picture, _: Answers) -> Examination:
    """Times that the claims rely on."""
    queues = queueings(picture)
    findings = [
        _zoneless(picture, queue, names)
        for queue in queues
        if (names := tuple(_zoneless_columns(picture, queue)))
    ]
    seen = Examination(examined=len(queues), of=len(queues), findings=tuple(findings))
    return as_far_as_read(picture, seen)


def _zoneless_columns(picture: Picture, queue: Queueing) -> Iterator[str]:
    used = [
        name
        for claim in queue.claims
        for name in (
            *claim.order_by,
            *claim.due,
            *(marker.column for marker in claim.markers),
            *([claim.cursor] if claim.cursor else []),
        )
    ]
    for name in dict.fromkeys(used):
        column = column_of(picture, queue.relation, name)
        if column is not None and column.base_type == "timestamp":
            yield name


def _zoneless(picture: Picture, queue: Queueing, names: tuple[str, ...]) -> Finding:
    relation = picture.relations[queue.relation]
    change = "ALTER COLUMN {c} TYPE timestamptz USING {c} AT TIME ZONE 'UTC'"
    changes = raw(", ".join(composed(change, c=name) for name in names))
    alter = composed("ALTER TABLE {t} {c}", t=(relation.schema, relation.name), c=changes)
    return Finding(
        rule="queue-timestamp-without-zone",
        object=queue.table,
        severity=Severity.NOTICE,
        claim=f"{queue.table} is read by {', '.join(names)}, of type timestamp without time zone.",
        evidence=(
            {"columns": list(names), "server_time_zone": picture.setting("TimeZone")},
            *recognised(picture, [queue]),
        ),
        confidence=Confidence.PROVEN,
        refuted_by="every role, client and server setting of TimeZone being UTC",
        cost_if_wrong="a change of type that changes nothing",
        harm=harm.waste(1, None),
        remedies=(
            remedies.manual(
                "add-time-zone",
                {"table": queue.table, "columns": ", ".join(names)},
                (alter,),
                "name the zone in which the sessions wrote; with TimeZone UTC the server changes "
                "the type without a rewrite",
            ),
        ),
    )
