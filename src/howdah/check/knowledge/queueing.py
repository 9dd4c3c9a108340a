"""Queues and outboxes, recognised by how they are used and how they are made.

Owns recognition. Must never go by a name, neither a table's nor a column's: a table is one if its
statements *claim* from it, and an ordinary list with paging, such as the newest orders of a
customer, is none.

* queue: rows are taken with SKIP LOCKED; or locked in order and then marked or deleted; or deleted
  in order and returned
* outbox: rows with a payload are read in order, all of them by one reader, and a marker (`IS NULL`
  of a timestamp, a false boolean) that is all an UPDATE sets, or the reader's own position
  (`> last seen`), says what is new
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

import msgspec
from pglast import ast

from howdah.check.knowledge.claiming import Claim, Marker, claim
from howdah.check.knowledge.parsing import Level, operator, parsed, resolver
from howdah.snapshot.facts.catalog import Column, Relation
from howdah.snapshot.facts.counters import Statement
from howdah.snapshot.picture import Picture

NEEDS = ("statements", "relations", "columns")
"""The facts without which nothing can be recognised."""

OBJECTS = "queues and outboxes"

_DOCUMENTS = frozenset({"json", "jsonb", "bytea", "xml"})
_PAYLOADS = _DOCUMENTS | {"text"}  # a text is one only beside other evidence
# A reader calls again and again; a page of a list is asked for now and then.
_MIN_READER_CALLS = 10
# A log is only appended to. Updates per insert that are still a correction now and then.
_MAX_UPDATES_PER_INSERT = 0.01


class Role(StrEnum):
    """What the table is used as."""

    QUEUE = "queue"
    OUTBOX = "outbox"


class Queueing(msgspec.Struct, frozen=True, kw_only=True):
    """One recognised queue or outbox."""

    relation: int  # the partitioned table where there are partitions
    table: str
    role: Role
    claims: tuple[Claim, ...]
    order_columns: tuple[str, ...]
    markers: tuple[Marker, ...]  # those that statements set
    payload_columns: tuple[str, ...]
    acknowledging: tuple[Statement, ...]  # that mark or delete what was taken
    inserts: tuple[Statement, ...]
    evidence: tuple[str, ...]  # why it was recognised, in words


@dataclass(frozen=True, kw_only=True)
class _Use:
    """What the statements do to one table."""

    relation: Relation
    claims: list[Claim] = field(default_factory=list)
    updates: list[tuple[Statement, frozenset[str]]] = field(default_factory=list)
    deletes: list[Statement] = field(default_factory=list)
    inserts: list[Statement] = field(default_factory=list)


@lru_cache(maxsize=1)
def queueings(picture: Picture) -> tuple[Queueing, ...]:
    """The queues and outboxes of a picture, by table name. Needs statements and columns."""
    found = (_recognised(picture, use) for use in _uses(picture).values())
    return tuple(sorted((each for each in found if each), key=lambda each: each.table))


def recognised(picture: Picture, queues: Iterable[Queueing]) -> list[dict[str, object]]:
    """Evidence rows: why the tables were taken for queues."""
    return [
        {
            "table": each.table,
            "role": str(each.role),
            "recognised_by": list(each.evidence[:4]),
            "rows": picture.rows(each.relation),
        }
        for each in queues
    ]


def horizon(picture: Picture) -> int | None:
    """Age in transactions of the oldest snapshot that any visible holder keeps; None: none."""
    snapshot = picture.snapshot
    ages = [
        *(row.xmin_age for row in snapshot.sessions.rows if not row.is_own),
        *(row.xmin_age for row in snapshot.slots.rows),
        *(row.xid_age for row in snapshot.prepared_transactions.rows),
        *(row.xmin_age for row in snapshot.standbys.rows),
    ]
    return max((age for age in ages if age is not None), default=None)


def column_of(picture: Picture, relation: int, name: str) -> Column | None:
    """A column of a table by name."""
    return resolver(picture).column(relation, name)


# --- what the statements do -----------------------------------------------------------------------


def _uses(picture: Picture) -> dict[int, _Use]:
    names = resolver(picture)
    uses: dict[int, _Use] = {}
    for statement in picture.snapshot.statements.rows:
        for tree in parsed(statement.text).statements:
            levels = tuple(names.levels_of(tree))
            for level in levels:
                taken = claim(names, level, levels, statement)
                if taken is not None:
                    _of(picture, uses, level.sources[0].relation).claims.append(taken)
                if level.target is not None:
                    _note(_of(picture, uses, level.target), level, statement)
    return uses


def _of(picture: Picture, uses: dict[int, _Use], relation: Relation) -> _Use:
    root = picture.relations[picture.root(relation.oid)]
    return uses.setdefault(root.oid, _Use(relation=root))


def _note(use: _Use, level: Level, statement: Statement) -> None:
    """File a write. A DELETE by age alone is housekeeping and acknowledges nothing."""
    if isinstance(level.node, ast.UpdateStmt):
        names = frozenset(each.name or "" for each in level.node.targetList or ())
        use.updates.append((statement, names))
    elif isinstance(level.node, ast.InsertStmt):
        use.inserts.append(statement)
    elif any(_chooses(condition) for condition in level.conditions):
        use.deletes.append(statement)


def _chooses(condition: object) -> bool:
    is_equality = isinstance(condition, ast.A_Expr) and operator(condition) == "="
    return is_equality or isinstance(condition, ast.SubLink)


# --- recognition ----------------------------------------------------------------------------------


def _recognised(picture: Picture, use: _Use) -> Queueing | None:
    markers = tuple(_set_markers(use))
    for role, tell in ((Role.OUTBOX, _outbox), (Role.QUEUE, _queue)):
        claims = tuple(each for each in use.claims if tell(picture, use, each, markers))
        if claims:
            return _described(picture, use, role, claims, markers)
    return None


def _set_markers(use: _Use) -> Iterator[Marker]:
    """Markers of the claims that an UPDATE sets."""
    assigned = {name for _, names in use.updates for name in names}
    seen = set()
    for each in use.claims:
        for marker in each.markers:
            if marker.column in assigned and marker.column not in seen:
                seen.add(marker.column)
                yield marker


def _queue(_: Picture, use: _Use, taken: Claim, markers: tuple[Marker, ...]) -> bool:
    if taken.skips_locked:
        return True
    set_columns = {marker.column for marker in markers}
    marks = any(marker.column in set_columns for marker in taken.markers)
    in_order = bool(taken.order_by) and taken.has_limit
    return in_order and (taken.deletes or (taken.locks and (marks or bool(use.deletes))))


def _outbox(picture: Picture, use: _Use, taken: Claim, markers: tuple[Marker, ...]) -> bool:
    reads_all_in_order = bool(taken.order_by) and taken.ascending and taken.others == 0
    if not reads_all_in_order or taken.deletes:
        return False
    if taken.cursor is not None and not taken.markers:
        return _is_followed(picture, use, taken)
    plain = {marker.column for marker in markers if marker.kind != "value"}
    wanted = {marker.column for marker in taken.markers}
    if not (wanted and wanted <= plain and _columns(picture, use.relation, _PAYLOADS)):
        return False
    only_marks = all(names <= plain for _, names in use.updates)
    return taken.has_limit and only_marks


def _is_followed(picture: Picture, use: _Use, taken: Claim) -> bool:
    """A log of documents that is only appended to, and a reader that keeps its position."""
    statistics = picture.table_statistics.get(use.relation.oid)
    updated = statistics.updated if statistics else 0
    inserted = statistics.inserted if statistics else 0
    return (
        taken.order_by[0] == taken.cursor
        and taken.statement.calls >= _MIN_READER_CALLS
        and bool(use.inserts)
        and not use.updates
        and updated <= _MAX_UPDATES_PER_INSERT * inserted
        and bool(_columns(picture, use.relation, _DOCUMENTS))
    )


def _columns(picture: Picture, relation: Relation, types: frozenset[str]) -> tuple[str, ...]:
    columns = picture.columns.get(relation.oid, {})
    return tuple(each.name for _, each in sorted(columns.items()) if each.base_type in types)


def _described(
    picture: Picture,
    use: _Use,
    role: Role,
    claims: tuple[Claim, ...],
    markers: tuple[Marker, ...],
) -> Queueing:
    set_columns = {marker.column for marker in markers}
    marking = [statement for statement, names in use.updates if names & set_columns]
    order = tuple(dict.fromkeys(name for each in claims for name in each.order_by))
    return Queueing(
        relation=use.relation.oid,
        table=picture.relation_name(use.relation.oid),
        role=role,
        claims=claims,
        order_columns=order,
        markers=markers,
        payload_columns=_columns(picture, use.relation, _PAYLOADS),
        acknowledging=tuple(dict.fromkeys([*marking, *use.deletes])),
        inserts=tuple(use.inserts),
        evidence=tuple(_why(use, claims, markers)),
    )


def _why(use: _Use, claims: tuple[Claim, ...], markers: tuple[Marker, ...]) -> Iterator[str]:
    for each in claims:
        how = "with SKIP LOCKED" if each.skips_locked else "under a lock" if each.locks else ""
        order = f"in order of {', '.join(each.order_by)}" if each.order_by else "in any order"
        calls = each.statement.calls
        yield f"taken {' '.join(filter(None, [how, order]))} by a statement called {calls} times"
    for marker in markers:
        yield f"marker set by an UPDATE: {marker.condition}"
    if use.deletes:
        yield f"deleted by: {use.deletes[0].text}"
