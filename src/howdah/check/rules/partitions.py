"""Partitioned tables that run out of partitions, or collect rows in their default partition.

Owns the rules on the future of range partitions. Reading bounds belongs to
`howdah.check.knowledge.bounds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted, duration
from howdah.check.knowledge.bounds import Span, following, span, usual_width
from howdah.check.knowledge.composing import composed, literal, raw
from howdah.check.knowledge.identity import inserted
from howdah.check.model import Answers, Confidence, Examination, Finding, Remedy, Severity, rule
from howdah.check.remedies import name
from howdah.snapshot.facts.catalog import Inheritance, Relation
from howdah.snapshot.picture import Picture

_TIME_TYPES = frozenset({"date", "timestamp", "timestamptz"})
_NOTICE = timedelta(days=30)  # yearly partitions need no heir before their last month
_WARNING = timedelta(days=7)
_CRITICAL = timedelta(days=1)
_CLOSED_WIDTHS = 3  # a table whose last partition ended so long ago, without inserts, is an archive
_MOST_NEW = 12  # partitions one remedy creates
_NAME_BYTES = 63  # NAMEDATALEN - 1


# --- rows in the default partition ----------------------------------------------------------------


@rule(
    id="default-partition-filling",
    title="Default partition holds rows",
    severity=Severity.WARNING,
    objects="default partitions",
    needs=("relations", "inheritance", "partitioning", "table_statistics"),
    what="A default partition that is not empty: rows came for which there was no partition.",
    why="The partition that they belong to can no longer be created while they are there, each new "
    "partition scans the default one under ACCESS EXCLUSIVE, and dropping old partitions leaves "
    "these rows behind.",
    wrong_when="A list-partitioned table may collect the rest in its default partition on purpose; "
    "that is a notice.",
    source="PostgreSQL documentation, CREATE TABLE and ALTER TABLE ATTACH PARTITION",
)
def default_partition_filling(picture: Picture, _: Answers) -> Examination:
    """Default partitions with rows, grouped under the topmost parent."""
    defaults = [
        (row.relation, row.default_partition)
        for row in picture.snapshot.partitioning.rows
        if row.default_partition and row.relation in picture.relations
    ]
    counts = {default: _held_rows(picture, default) for _, default in defaults}
    filled: dict[int, list[tuple[int, int]]] = {}
    for parent, default in defaults:
        if counts[default]:
            filled.setdefault(picture.root(parent), []).append((parent, default))
    return Examination(
        examined=sum(count is not None for count in counts.values()),
        of=len(defaults),
        unknown="a default partition with pages was never analysed and its counters are empty",
        findings=tuple(_filling(picture, root, pairs) for root, pairs in filled.items()),
    )


def _held_rows(picture: Picture, default: int) -> float | None:
    """Rows of a default partition (which may be partitioned); None where nobody counted."""
    row = picture.relations.get(default)
    if row is None:
        return None
    if row.kind == "p":
        counts = [_held_rows(picture, leaf) for leaf in picture.leaves(default)]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None
    counters = picture.table_statistics.get(default)
    live = float(counters.live) if counters else 0.0
    if live == 0 and row.tuples < 0 and picture.pages(default) > 0:
        return None
    return max(live, row.tuples, 0.0)


def _filling(picture: Picture, root: int, pairs: list[tuple[int, int]]) -> Finding:
    title = picture.relation_name(root)
    rows = sum(_held_rows(picture, default) or 0 for _, default in pairs)
    ranges = any(picture.partitioning[parent].strategy == "r" for parent, _ in pairs)
    coming = sum(inserted(picture, default) for _, default in pairs)
    first = picture.relation_name(pairs[0][1])
    where = first if len(pairs) == 1 else f"{len(pairs)} default partitions"
    return Finding(
        rule="default-partition-filling",
        object=title,
        severity=Severity.WARNING if ranges else Severity.NOTICE,
        claim=f"{where} of {title} {'holds' if len(pairs) == 1 else 'hold'} {counted(rows, 'row')} "
        "that no other partition takes.",
        evidence=tuple(
            {
                "table": picture.relation_name(parent),
                "default_partition": picture.relation_name(default),
                "rows": _held_rows(picture, default),
                "rows_inserted_in_window": inserted(picture, default),
                "pages": picture.pages(default),
                "strategy": picture.partitioning[parent].key,
            }
            for parent, default in pairs
        ),
        confidence=Confidence.MEASURED,
        refuted_by="an empty SELECT from the default partition",
        cost_if_wrong="one look into the default partition",
        harm=harm.held(sum(picture.pages(default) for _, default in pairs))
        + harm.waste(1, picture.per_hour(coming) or 0),
        remedies=(_move_out(picture, *pairs[0]),),
        window=picture.window,
    )


def _move_out(picture: Picture, parent: int, default: int) -> Remedy:
    above, row = picture.relations[parent], picture.relations[default]
    detach = composed(
        "ALTER TABLE {t} DETACH PARTITION {d}",
        t=(above.schema, above.name),
        d=(row.schema, row.name),
    )
    return remedies.manual(
        "empty-default-partition",
        {"table": picture.relation_name(parent), "default": picture.relation_name(default)},
        (detach,),
        "in one transaction: detach the default partition, create the partitions that its rows "
        "need, insert them through the parent, truncate it and attach it again; a large one is "
        "moved in batches into a table that is attached at the end",
    )


# --- no partition for tomorrow --------------------------------------------------------------------


@dataclass(frozen=True)
class _Ranges:
    """One table's partitions by time."""

    table: Relation
    latest: Inheritance | None  # None: something above is unbounded
    last: Span | None
    width: timedelta

    @property
    def upper(self) -> datetime | None:
        return self.last.upper if self.last else None


@rule(
    id="no-future-partition",
    title="No partition for the time to come",
    severity=Severity.CRITICAL,
    objects="tables partitioned by time",
    needs=("relations", "columns", "inheritance", "partitioning", "table_statistics"),
    what="A table partitioned by ranges of time whose last partition ends soon: before one more "
    "partition's usual width, and within 30 days.",
    why="When it ends, every insert of a newer row fails, or falls into the default partition.",
    wrong_when="A job may create each partition in the last moment; the rule then reports what "
    "happens if that job fails. Timestamps without a zone are read as UTC. A table that ended long "
    "ago and takes no rows is taken for an archive.",
    source="PostgreSQL documentation, 'Partition Maintenance'",
)
def no_future_partition(picture: Picture, _: Answers) -> Examination:
    """Tables by time, and what is left of their last partition."""
    tables = [
        row
        for row in picture.user_relations
        if row.kind == "p" and _is_by_time(picture, row.oid) and _has_ranges(picture, row.oid)
    ]
    read = {table.oid: _ranges(picture, table) for table in tables}
    known = [ranges for ranges in read.values() if ranges is not None]
    return Examination(
        examined=len(known),
        of=len(tables),
        unknown="bounds that are not ISO times were not read",
        findings=_grouped(picture, [ranges for ranges in known if _is_ending(picture, ranges)]),
    )


def _grouped(picture: Picture, ending: list[_Ranges]) -> tuple[Finding, ...]:
    """One finding per topmost table, the first to end in front."""
    by_root: dict[int, list[_Ranges]] = {}
    for ranges in sorted(ending, key=lambda each: each.upper or picture.now):
        by_root.setdefault(picture.root(ranges.table.oid), []).append(ranges)
    return tuple(_ending(picture, root, group) for root, group in by_root.items())


def _has_ranges(picture: Picture, relation: int) -> bool:
    children = picture.children_of.get(relation, ())
    return any(child.bound is not None and child.bound != "DEFAULT" for child in children)


def _is_by_time(picture: Picture, relation: int) -> bool:
    how = picture.partitioning.get(relation)
    if how is None or how.strategy != "r" or not how.columns:
        return False
    column = picture.column(relation, how.columns[0])
    return column is not None and column.base_type in _TIME_TYPES


def _ranges(picture: Picture, table: Relation) -> _Ranges | None:
    """The last partition and the usual width; None where a bound was not read."""
    spans: list[tuple[Inheritance, Span]] = []
    for child in picture.children_of[table.oid]:
        if child.bound is None or child.bound == "DEFAULT" or child.detach_pending:
            continue
        read = span(child.bound)
        if read is None:
            return None
        spans.append((child, read))
    width = usual_width([each for _, each in spans])
    if any(each.upper is None for _, each in spans):
        return _Ranges(table=table, latest=None, last=None, width=width or timedelta(0))
    bounded = [(child, each) for child, each in spans if each.upper]
    if not bounded or width is None:
        return None
    latest, last = max(bounded, key=lambda pair: pair[1].upper or picture.now)
    return _Ranges(table=table, latest=latest, last=last, width=width)


def _is_ending(picture: Picture, ranges: _Ranges) -> bool:
    """Whether its last partition ends soon, and nothing says that it should."""
    if ranges.upper is None:
        return False
    own = picture.parent_of.get(ranges.table.oid)  # a partition itself: full up to its own bound?
    bound = span(own.bound) if own and own.bound else None
    if bound is not None and bound.upper is not None and ranges.upper >= bound.upper:
        return False
    left = ranges.upper - picture.now
    window = timedelta(seconds=picture.window.seconds or 0)
    is_archive = -left > max(_CLOSED_WIDTHS * ranges.width, window)
    if is_archive and inserted(picture, ranges.table.oid) == 0:
        return False
    return left < min(ranges.width, _NOTICE)


def _urgency(left: timedelta, *, has_default: bool) -> Severity:
    if left <= _CRITICAL:
        return Severity.WARNING if has_default else Severity.CRITICAL
    return Severity.WARNING if left <= _WARNING else Severity.NOTICE


def _ending(picture: Picture, root: int, group: list[_Ranges]) -> Finding:
    title, first = picture.relation_name(root), group[0]
    default = picture.partitioning[first.table.oid].default_partition
    left = (first.upper or picture.now) - picture.now
    hours = left.total_seconds() / 3600
    fate = "fall into the default partition" if default else "fail"
    when = (
        f"ends in {duration(hours * 3600)}" if hours > 0 else f"ended {duration(-hours * 3600)} ago"
    )
    return Finding(
        rule="no-future-partition",
        object=title,
        severity=_urgency(left, has_default=bool(default)),
        claim=f"The last partition of {title} {when}; inserts of newer rows {fate}.",
        evidence=tuple(_end_of(picture, ranges) for ranges in group),
        confidence=Confidence.PROVEN,
        refuted_by="a partition whose bounds lie behind the last one",
        cost_if_wrong="an empty table",
        harm=harm.outage(hours, share=0.1 if default else 1.0),
        remedies=(_together(title, [_next_partitions(picture, ranges) for ranges in group]),),
        window=picture.window,
    )


def _together(title: str, parts: list[Remedy]) -> Remedy:
    """One remedy for all tables under one parent; by hand if any of them is."""
    if len(parts) == 1:
        return parts[0]
    flat = [statement for part in parts for statement in part.sql]
    by_hand = next((part for part in parts if part.manual), None)
    if by_hand is not None:
        return remedies.manual("add-partitions", {"table": title}, flat, by_hand.note)
    return remedies.statements(
        "add-partitions",
        {"table": title},
        flat,
        inverse=[statement for part in parts for statement in part.inverse],
        retry_safe=[statement for part in parts for statement in part.retry_safe],
        note=parts[0].note,
    )


def _end_of(picture: Picture, ranges: _Ranges) -> Mapping[str, Any]:
    table = ranges.table.oid
    default = picture.partitioning[table].default_partition
    upper = ranges.upper or picture.now
    return {
        "table": picture.relation_name(table),
        "last_partition": picture.relation_name(ranges.latest.child if ranges.latest else 0),
        "last_bound": upper.isoformat(),
        "hours_left": round((upper - picture.now).total_seconds() / 3600, 1),
        "usual_width_hours": ranges.width.total_seconds() / 3600,
        "default_partition": picture.relation_name(default) if default else None,
        "rows_inserted_in_window": inserted(picture, table),
    }


def _next_partitions(picture: Picture, ranges: _Ranges) -> Remedy:
    """Partitions of the usual width until one lies ahead; by hand where rows may be in the way."""
    table, wanted = ranges.table, _wanted(picture, ranges)
    arguments = {"table": picture.relation_name(table.oid)}
    default = picture.partitioning[table.oid].default_partition
    children = (picture.relations.get(row.child) for row in picture.children_of[table.oid])
    nested = any(child is not None and child.kind == "p" for child in children)
    manual = nested or not wanted or (default is not None and _held_rows(picture, default) != 0)
    steps = [_created(table, *bounds) for bounds in wanted[:_MOST_NEW]]
    flat = [statement for step in steps for statement in (step.make, step.attach)]
    if manual:
        return remedies.manual(
            "add-partitions",
            arguments,
            flat,
            "rows may be in the default partition already, or the partitions are partitioned "
            "themselves; create them as the existing ones were",
        )
    again = [statement for step in steps for statement in (step.make_once, step.attach_once)]
    return remedies.statements(
        "add-partitions",
        arguments,
        flat,
        inverse=[step.detach for step in steps],
        retry_safe=("SET lock_timeout = '2s'", *again),
        note="a table is made first and then attached, which readers and writers do not notice; "
        "the inverse detaches it and destroys nothing; have a job that does this ahead of time",
    )


def _wanted(picture: Picture, ranges: _Ranges) -> list[tuple[datetime, datetime]]:
    """The missing stretches, until one begins after now; empty when there are too many."""
    if ranges.last is None or ranges.last.lower is None or ranges.last.upper is None:
        return []
    found: list[tuple[datetime, datetime]] = []
    lower, upper = ranges.last.lower, ranges.last.upper
    while upper <= picture.now + min(ranges.width, _NOTICE) and len(found) <= _MOST_NEW:
        lower, upper = upper, following(lower, upper)
        found.append((lower, upper))
    return found if len(found) <= _MOST_NEW else []


@dataclass(frozen=True)
class _Step:
    """The statements for one new partition."""

    make: str
    make_once: str
    attach: str
    attach_once: str
    detach: str


_LIKE = (
    "{p} (LIKE {t} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION "
    "INCLUDING CONSTRAINTS)"
)
_ATTACH = "ALTER TABLE {t} ATTACH PARTITION {p} FOR VALUES FROM ({l}) TO ({u})"
_ATTACH_ONCE = (
    "DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_inherits "
    "WHERE inhrelid = {n}::pg_catalog.regclass) THEN {a}; END IF; END $do$"
)


def _created(table: Relation, lower: datetime, upper: datetime) -> _Step:
    stem = table.name[: _NAME_BYTES - 14]
    whole_days = lower.time() == upper.time() == datetime.min.time()
    form = "%Y%m%d" if whole_days else "%Y%m%d_%H%M"
    part = (table.schema, f"{stem}_{lower.strftime(form)}")
    above = (table.schema, table.name)
    ends = {"l": literal(lower.isoformat(" ")), "u": literal(upper.isoformat(" "))}
    attach = composed(_ATTACH, t=above, p=part, **ends)
    return _Step(
        make=composed("CREATE TABLE " + _LIKE, p=part, t=above),
        make_once=composed("CREATE TABLE IF NOT EXISTS " + _LIKE, p=part, t=above),
        attach=attach,
        attach_once=composed(_ATTACH_ONCE, n=literal(name(*part)), a=raw(attach)),
        detach=composed("ALTER TABLE {t} DETACH PARTITION {p}", t=above, p=part),
    )
