"""Foreign keys whose checks must read the whole referencing table.

Owns the rule on foreign keys without an index. Whether an index serves a key's check is the
planner's word; only the one certain case is decided here, by
`howdah.check.knowledge.foreign_key_service`.
"""

from __future__ import annotations

from collections.abc import Iterable

from howdah.check import harm
from howdah.check.knowledge.amounts import pages_size
from howdah.check.knowledge.foreign_key_index import index_for
from howdah.check.knowledge.foreign_key_service import certainly_serves, question
from howdah.check.knowledge.index_algebra import is_usable
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Question,
    Severity,
    rule,
)
from howdah.snapshot.facts.catalog import Constraint, Index
from howdah.snapshot.picture import Picture

# 8 kB pages. Reading a smaller table in full costs a check less than a millisecond.
SMALL_TABLE_PAGES = 64
# Where no parent was deleted in the window, one is taken to be deleted once a year: enough to rank
# such keys among themselves, and never above one that is paid for.
_HOURS_TO_A_DELETE = 365 * 24
# Methods that a planner may use for the check, and that still read a share of the whole table or
# index for every row.
_PAGE_METHODS = frozenset({"brin", "bloom"})
_ACTIONS = {
    "a": "no action",
    "r": "restrict",
    "c": "cascade",
    "n": "set null",
    "d": "set default",
}


def ask(picture: Picture) -> Iterable[Question]:
    """One question per table that must be read and is not certainly served."""
    for key in _keys(picture):
        for table in _doubtful(picture, key):
            asked = question(picture, key, table)
            if asked is not None:
                yield asked


@rule(
    id="foreign-key-without-index",
    title="Foreign key without an index",
    severity=Severity.WARNING,
    objects="foreign keys",
    needs=("constraints", "indexes", "relations", "columns"),
    what="A foreign key whose referencing columns no index serves: the check that runs when a "
    "parent row is deleted or its key changes reads the whole referencing table. A planner is "
    "asked, with the check's own predicate and types; an index that is partial, invalid, BRIN, or "
    "led by another column is not taken for one that serves. Partitioned tables are reported once.",
    why="Each deleted parent row reads the whole child and locks meanwhile. Deleting a thousand "
    "parents reads it a thousand times.",
    wrong_when="Parents that are never deleted and whose keys never change never pay. The counters "
    "show deletes, but not which updates changed a key.",
    source="PostgreSQL documentation, 'Constraints', 'Foreign Keys'; the predicate is the one of "
    "the server's own referential checks",
    ask=ask,
)
def foreign_key_without_index(picture: Picture, answers: Answers) -> Examination:
    """Keys that the planner cannot serve; those that it was not asked about stay unexamined."""
    keys = list(_keys(picture))
    findings: list[Finding] = []
    unanswered: list[str] = []
    for key in keys:
        unserved, why = _unserved(picture, key, answers)
        if why:
            unanswered.append(why)
        elif unserved:
            findings.append(_finding(picture, key, unserved, answers))
    fact = picture.snapshot.constraints
    reasons = [fact.reason, *dict.fromkeys(unanswered)]
    return Examination(
        examined=len(keys) - len(unanswered),
        of=len(keys) + fact.left_out,
        findings=tuple(findings),
        unknown="; ".join(reason for reason in reasons if reason),
    )


def _keys(picture: Picture) -> Iterable[Constraint]:
    """Enforced foreign keys of user tables, inherited ones left to their parents."""
    for relation in picture.user_relations:
        for key in picture.constraints_of.get(relation.oid, ()):
            if key.kind == "f" and key.parent is None and key.is_enforced:
                yield key


def _doubtful(picture: Picture, key: Constraint) -> list[int]:
    """The tables that the check reads and that no index certainly serves.

    An index of a partitioned table serves all its partitions; without one, each partition is a
    table of its own.
    """
    if any(certainly_serves(picture, key, i) for i in picture.indexes_of.get(key.relation, ())):
        return []
    relation = picture.relations.get(key.relation)
    if relation is None or relation.kind != "p":
        return [key.relation]
    inherited = _inherited(picture, key)
    return [
        leaf
        for leaf in picture.leaves(key.relation)
        if leaf not in inherited
        or not any(
            certainly_serves(picture, inherited[leaf], index)
            for index in picture.indexes_of.get(leaf, ())
        )
    ]


def _inherited(picture: Picture, key: Constraint) -> dict[int, Constraint]:
    """The key's copies on the partitions, by partition, on every level."""
    found: dict[int, Constraint] = {}
    parents = [key.oid]
    for parent in parents:  # grows while it is read
        for copy in picture.constraint_copies.get(parent, ()):
            if copy.foreign_relation == key.foreign_relation:
                found[copy.relation] = copy
                parents.append(copy.oid)
    return found


def _unserved(picture: Picture, key: Constraint, answers: Answers) -> tuple[list[int], str]:
    """The tables that no index serves, or why that cannot be told."""
    unserved = []
    for table in _doubtful(picture, key):
        asked = question(picture, key, table)
        if asked is None:
            return [], "columns of some keys could not be read"
        answer = answers.get(asked)
        if answer is None:
            return [], "no planner was asked"
        if not answer.answered:
            return [], answer.reason or "the planner did not answer"
        if not answer.serves or answer.method in _PAGE_METHODS:
            unserved.append(table)
    return unserved, ""


def _finding(picture: Picture, key: Constraint, unserved: list[int], answers: Answers) -> Finding:
    child = picture.relation_name(key.relation)
    parent = picture.relation_name(key.foreign_relation or 0)
    columns = ", ".join(picture.column_names(key.relation, key.columns))
    pages = sum(picture.pages(table) for table in unserved)
    deletes = _deletes(picture, key.foreign_relation or 0)
    per_hour = None if deletes is None else picture.per_hour(deletes)
    costly = bool(deletes) and pages >= SMALL_TABLE_PAGES
    return Finding(
        rule="foreign-key-without-index",
        object=f"{child}.{key.name}",
        severity=Severity.WARNING if costly else Severity.NOTICE,
        claim=f"No index of {child} serves ({columns}): each delete in {parent} reads the "
        f"whole table ({pages_size(pages) if pages else 'empty as yet'}).",
        evidence=(
            {
                "foreign_key": key.name,
                "table": child,
                "columns": columns,
                "references": parent,
                "on_delete": _ACTIONS.get(key.on_delete, key.on_delete),
                "size_pages": pages,
                "rows": picture.rows(key.relation),
                "parent_deletes": deletes,
                "parent_deletes_per_hour": per_hour,
                "partitions_without": len(unserved) if unserved != [key.relation] else None,
                "asked": _planner(picture, key, unserved[0], answers),
            },
            *_near_misses(picture, key, unserved[0]),
        ),
        confidence=Confidence.PROVEN,
        refuted_by="an EXPLAIN of the check's predicate that shows an index condition on one of "
        "its columns as the index's first",
        cost_if_wrong="one more index to write on every insert",
        harm=_harm(pages, deletes, per_hour),
        remedies=(index_for(picture, key),),
        window=picture.window,
    )


def _deletes(picture: Picture, parent: int) -> int | None:
    """Rows deleted from the parent in the window, partitions summed; None if not counted."""
    relation = picture.relations.get(parent)
    tables = picture.leaves(parent) if relation and relation.kind == "p" else (parent,)
    counters = [picture.table_statistics.get(table) for table in tables]
    if not counters or any(row is None for row in counters):
        return None
    return sum(row.deleted for row in counters if row)


def _harm(pages: int, deletes: int | None, per_hour: float | None) -> float:
    """Pages read for nothing; without a delete in the window only what a single one would read."""
    if deletes:
        return harm.waste(pages, per_hour)
    return harm.waste(pages, 1 / _HOURS_TO_A_DELETE)


def _planner(picture: Picture, key: Constraint, table: int, answers: Answers) -> str | None:
    asked = question(picture, key, table)
    answer = answers.get(asked) if asked is not None else None
    return answer.planner if answer else None


def _near_misses(picture: Picture, key: Constraint, table: int) -> Iterable[dict[str, object]]:
    """The indexes that hold one of the key's columns, and why each does not serve."""
    columns = set(picture.column_names(key.relation, key.columns))
    for index in picture.indexes_of.get(table, ()):
        if columns & set(picture.column_names(table, index.columns)):
            yield {
                "index_that_does_not_serve": f"{index.schema}.{index.name}",
                "because": _why_not(picture, index, columns),
                "definition": index.definition,
            }


def _why_not(picture: Picture, index: Index, columns: set[str]) -> str:
    first = picture.column_names(index.relation, index.columns[:1])[0]
    reasons = (
        (not is_usable(index), "it is invalid"),
        (index.predicate is not None, "it is partial, and the check does not imply its predicate"),
        (index.method in _PAGE_METHODS, f"{index.method} finds pages, not rows"),
        (first not in columns, "it begins with another column"),
    )
    return next((why for holds, why in reasons if holds), "the planner does not use it")
