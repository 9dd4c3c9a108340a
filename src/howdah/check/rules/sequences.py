"""Keys that run out: sequences near their end, integer columns near theirs.

Owns the rules on the range of generated keys, and the arithmetic of what is left.
"""

from __future__ import annotations

from dataclasses import dataclass

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted, duration, percent
from howdah.check.knowledge.composing import composed, raw
from howdah.check.knowledge.identity import inserted, is_full_unique
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
from howdah.snapshot.facts.catalog import Column, Relation, Sequence
from howdah.snapshot.picture import Picture

# Smallest and largest values of the integer types (documentation, 'Numeric Types').
TYPE_RANGES = {
    "int2": (-(2**15), 2**15 - 1),
    "int4": (-(2**31), 2**31 - 1),
    "int8": (-(2**63), 2**63 - 1),
}
WARNING_SHARE = 0.70  # of the range; leaves time for a widening without downtime
CRITICAL_SHARE = 0.90
WARNING_DAYS = 90.0  # until the end at the present rate
CRITICAL_DAYS = 14.0
MINIMUM_WINDOW_HOURS = 24.0  # a rate of less than a day is not extrapolated to months
_WIDEN = (
    "add a bigint column, keep it equal by a trigger, fill it in batches, build its unique index "
    "concurrently and exchange the columns in one short transaction; a plain ALTER COLUMN TYPE "
    "rewrites the table under ACCESS EXCLUSIVE"
)


@dataclass(frozen=True)
class Reach:
    """How far a key has come towards its limit."""

    limit: int
    limited_by: str  # what has the limit, in words
    column: tuple[int, int] | None  # relation and attnum where a column is the limit
    share: float
    left: int  # values


@dataclass(frozen=True)
class Outlook:
    """A reach with the time that is left at the present rate."""

    reach: Reach
    per_hour: float | None
    days: float | None

    @property
    def severity(self) -> Severity | None:
        """How urgent; None where it is far from the end."""
        soon = self.days if self.days is not None else float("inf")
        if self.reach.share >= CRITICAL_SHARE or soon < CRITICAL_DAYS:
            return Severity.CRITICAL
        if self.reach.share >= WARNING_SHARE or soon < WARNING_DAYS:
            return Severity.WARNING
        return None


# --- sequences ------------------------------------------------------------------------------------


@rule(
    id="sequence-exhaustion",
    title="Sequence near its end",
    severity=Severity.CRITICAL,
    objects="sequences",
    needs=("sequences", "relations", "columns"),
    what="A sequence that has used 70 % of its own range, or of the range of the integer column "
    "that it feeds, whichever is smaller; or that will come to its end within 90 days.",
    why="At the end every insert fails, until somebody widens a column of a large table in haste.",
    wrong_when="The rate is that of the inserts into the tables that it feeds, so values drawn and "
    "thrown away are not seen in the time left. A sequence that was restarted and not used since "
    "looks unused.",
    source="PostgreSQL documentation, CREATE SEQUENCE and 'Numeric Types'",
)
def sequence_exhaustion(picture: Picture, _: Answers) -> Examination:
    """Sequences near the smaller of their own end and that of the column they feed."""
    rows = [row for row in picture.snapshot.sequences.rows if not row.owned_by_extension]
    readable = [row for row in rows if row.is_readable]
    findings = tuple(found for row in readable if (found := _near_end(picture, row)))
    hidden = len(rows) - len(readable)
    reason = (
        f"{counted(hidden, 'sequence')} may not be read by {picture.server.role}" if hidden else ""
    )
    return Examination(
        examined=len(readable),
        of=len(rows) + picture.snapshot.sequences.left_out,
        unknown=reason if hidden else picture.snapshot.sequences.reason,
        findings=findings,
    )


def _near_end(picture: Picture, row: Sequence) -> Finding | None:
    reached = reach(picture, row)
    if reached is None:
        return None
    outlook = _outlook(picture, reached, _draws(picture, row))
    return _exhausting(picture, row, outlook) if outlook.severity else None


def reach(picture: Picture, row: Sequence) -> Reach | None:
    """How far a sequence is; None where its end does no harm (it cycles, feeding no unique key)."""
    limits = [*_own_limit(picture, row), *_column_limits(picture, row)]
    if not limits:
        return None
    up = row.increment > 0
    limit, by, column = (min if up else max)(limits, key=lambda each: each[0])
    position = row.start if row.last_value is None else row.last_value
    origin = max(row.minimum, min(row.start, 1)) if up else min(row.maximum, max(row.start, -1))
    whole = abs(limit - origin) or 1
    left = max(0, (limit - position) if up else (position - limit))
    share = min(1.0, max(0.0, 1 - left / whole))
    return Reach(
        limit=limit, limited_by=by, column=column, share=share, left=left // abs(row.increment)
    )


_Limit = tuple[int, str, tuple[int, int] | None]


def _own_limit(picture: Picture, row: Sequence) -> list[_Limit]:
    end = row.maximum if row.increment > 0 else row.minimum
    if not row.cycles:
        return [(end, f"the sequence ({row.data_type})", None)]
    feeds = list(zip(row.fed_relations, row.fed_columns, strict=True))
    if any(_is_unique_alone(picture, relation, number) for relation, number in feeds):
        return [(end, "the sequence, which then begins again in a unique column", None)]
    return []


def _column_limits(picture: Picture, row: Sequence) -> list[_Limit]:
    found: list[_Limit] = []
    for relation, number in zip(row.fed_relations, row.fed_columns, strict=True):
        column = picture.column(relation, number)
        if column is not None and column.base_type in TYPE_RANGES:
            end = TYPE_RANGES[column.base_type][row.increment > 0]
            where = f"{picture.relation_name(relation)}.{column.name} ({column.type})"
            found.append((end, where, (relation, number)))
    return found


def _is_unique_alone(picture: Picture, relation: int, number: int) -> bool:
    return any(
        is_full_unique(index) and index.columns[: index.key_count] == (number,)
        for index in picture.indexes_of.get(relation, ())
    )


def _draws(picture: Picture, row: Sequence) -> int:
    """Inserts of the window into the tables that it feeds, partitions counted once."""
    return sum(inserted(picture, root) for root in {picture.root(r) for r in row.fed_relations})


def _outlook(picture: Picture, reached: Reach, inserts: int) -> Outlook:
    hours = (picture.window.seconds or 0) / 3600
    per_hour = picture.per_hour(inserts)
    if not per_hour or hours < MINIMUM_WINDOW_HOURS:
        return Outlook(reach=reached, per_hour=per_hour, days=None)
    return Outlook(reach=reached, per_hour=per_hour, days=reached.left / per_hour / 24)


def _exhausting(picture: Picture, row: Sequence, outlook: Outlook) -> Finding:
    title, found = f"{row.schema}.{row.name}", outlook.reach
    when = (
        ""
        if outlook.days is None
        else f", and it ends in {duration(outlook.days * 86_400)} at this rate"
    )
    return Finding(
        rule="sequence-exhaustion",
        object=title,
        severity=outlook.severity or Severity.WARNING,
        claim=f"{title} has used {percent(found.share)} of what {found.limited_by} can hold: "
        f"{counted(found.left, 'value is', 'values are')} left{when}.",
        evidence=(
            {
                "sequence": title,
                "last_value": row.last_value,
                "increment": row.increment,
                "limit": found.limit,
                "limited_by": found.limited_by,
                "values_left": found.left,
                "draws_per_hour": outlook.per_hour,
                "days_left": outlook.days,
            },
        ),
        confidence=Confidence.PROVEN,
        refuted_by="last_value of the sequence, or a wider type of the column it feeds",
        cost_if_wrong="none: a wider range costs nothing in a sequence, 4 bytes a row in a column",
        harm=harm.outage(None if outlook.days is None else outlook.days * 24, share=found.share),
        remedies=(_more_values(picture, row, found),),
        window=picture.window,
    )


def _more_values(picture: Picture, row: Sequence, found: Reach) -> Remedy:
    if found.column is not None or row.cycles:
        return _widen(picture, found.column or _fed(row))
    up = row.increment > 0
    own_end = TYPE_RANGES[row.data_type][up]
    word, old = ("MAXVALUE", row.maximum) if up else ("MINVALUE", row.minimum)
    if old != own_end:
        change, back = f"NO {word}", f"{word} {old}"
    elif row.data_type != "int8":
        change, back = f"AS bigint NO {word}", f"AS {_spelled(row.data_type)} {word} {old}"
    else:
        return _widen(picture, _fed(row))
    statement, inverse = (
        composed("ALTER SEQUENCE {s} {o}", s=(row.schema, row.name), o=raw(options))
        for options in (change, back)
    )
    return remedies.statements(
        "widen-sequence",
        {"sequence": f"{row.schema}.{row.name}"},
        (statement,),
        inverse=(inverse,),
        retry_safe=("SET lock_timeout = '2s'", statement),
        shape=Shape(sequences={f"{row.schema}.{row.name}": row.last_value or row.start}),
        note="the column that it feeds holds more values already",
    )


def _spelled(data_type: str) -> str:
    return {"int2": "smallint", "int4": "integer"}.get(data_type, "bigint")


def _fed(row: Sequence) -> tuple[int, int] | None:
    return next(iter(zip(row.fed_relations, row.fed_columns, strict=True)), None)


def _widen(picture: Picture, column: tuple[int, int] | None) -> Remedy:
    relation, number = column or (0, 0)
    row, of = picture.relations.get(relation), picture.column(relation, number)
    if row is None or of is None:
        return remedies.manual("widen-column", {}, (), _WIDEN)
    change = "ALTER TABLE {t} ALTER COLUMN {c} TYPE bigint"
    return remedies.manual(
        "widen-column",
        {"table": picture.relation_name(relation), "column": of.name},
        (composed(change, t=(row.schema, row.name), c=of.name),),
        _WIDEN,
    )


# --- integer keys that no sequence feeds ----------------------------------------------------------


@rule(
    id="int4-key-growth",
    title="Integer key that grows towards its limit",
    severity=Severity.CRITICAL,
    objects="integer keys without a sequence",
    needs=("relations", "columns", "indexes", "constraints", "sequences", "table_statistics"),
    what="A key of one int4 or int2 column that no sequence feeds and that references no other "
    "table, with 70 % of its range used or full within 90 days at the present rate of inserts.",
    why="The application numbers these rows itself; at the limit its inserts fail.",
    wrong_when="The position is the last histogram bound where values were collected; else the "
    "count of rows stands for it, which is only a lower bound, and a growing key is unknown "
    "unless even that bound is near. Random keys do not run out in order.",
    source="PostgreSQL documentation, 'Numeric Types'",
)
def int4_key_growth(picture: Picture, _: Answers) -> Examination:
    """Integer keys numbered by the application."""
    keys = [
        (table, column)
        for table in picture.user_relations
        if table.kind in ("r", "p") and not table.is_partition
        for column in _own_integer_keys(picture, table)
    ]
    judged = [_judge(picture, table, column) for table, column in keys]
    return Examination(
        examined=sum(each is not None for each in judged),
        of=len(keys),
        unknown="the largest value of a growing key is seen only in a snapshot with values. "
        "Try: --values",
        findings=tuple(each for each in judged if isinstance(each, Finding)),
    )


def _own_integer_keys(picture: Picture, table: Relation) -> list[Column]:
    fed = {
        (relation, number)
        for row in picture.snapshot.sequences.rows
        for relation, number in zip(row.fed_relations, row.fed_columns, strict=True)
    }
    references = {
        row.columns for row in picture.constraints_of.get(table.oid, ()) if row.kind == "f"
    }
    numbers = {
        index.columns[0]
        for index in picture.indexes_of.get(table.oid, ())
        if is_full_unique(index) and index.key_count == 1
    }
    columns = (picture.column(table.oid, number) for number in sorted(numbers))
    return [
        column
        for column in columns
        if column is not None
        and column.base_type in ("int2", "int4")
        and (table.oid, column.number) not in fed
        and (column.number,) not in references
    ]


def _judge(picture: Picture, table: Relation, column: Column) -> Finding | bool | None:
    """A finding, True where it is far from the end, None where it cannot be told."""
    limit = TYPE_RANGES[column.base_type][1]
    bound = _last_bound(picture, table, column)
    rows = picture.rows(table.oid)
    position = bound if bound is not None else int(rows or 0)
    reached = Reach(
        limit=limit,
        limited_by=f"{picture.relation_name(table.oid)}.{column.name} ({column.type})",
        column=(table.oid, column.number),
        share=min(1.0, max(0.0, position / limit)),
        left=max(0, limit - position),
    )
    inserts = inserted(picture, table.oid)
    outlook = _outlook(picture, reached, inserts)
    if outlook.severity:
        return _growing(picture, table, column, outlook, is_bound=bound is not None)
    still = inserts == 0 and (picture.window.seconds or 0) >= MINIMUM_WINDOW_HOURS * 3600
    return True if bound is not None or still else None


def _last_bound(picture: Picture, table: Relation, column: Column) -> int | None:
    statistics = picture.column_statistics.get((table.oid, column.number, table.kind == "p"))
    text = statistics.last_bound if statistics else None
    return int(text) if text is not None and text.lstrip("-").isdigit() else None


def _growing(
    picture: Picture, table: Relation, column: Column, outlook: Outlook, *, is_bound: bool
) -> Finding:
    title = f"{picture.relation_name(table.oid)}.{column.name}"
    when = (
        ""
        if outlook.days is None
        else f" and is full in {duration(outlook.days * 86_400)} at this rate"
    )
    return Finding(
        rule="int4-key-growth",
        object=title,
        severity=outlook.severity or Severity.WARNING,
        claim=f"{title} ({column.type}) has used {percent(outlook.reach.share)} of its "
        f"range{when}.",
        evidence=(
            {
                "column": title,
                "type": column.type,
                "position": outlook.reach.limit - outlook.reach.left,
                "position_is": "last histogram bound" if is_bound else "rows, a lower bound",
                "limit": outlook.reach.limit,
                "inserts_per_hour": outlook.per_hour,
                "days_left": outlook.days,
            },
        ),
        confidence=Confidence.ESTIMATED,
        refuted_by=f"the largest value of {column.name}",
        cost_if_wrong="a table is rewritten for nothing, and takes 4 bytes more a row",
        harm=harm.outage(None if outlook.days is None else outlook.days * 24),
        remedies=(_widen(picture, (table.oid, column.number)),),
        window=picture.window,
    )
