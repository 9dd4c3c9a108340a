"""Indexes whose work another index of the same table does as well.

Owns the rule on duplicate and redundant indexes; `howdah.check.knowledge.index_algebra` owns the
algebra.
"""

from __future__ import annotations

from howdah.check import remedies
from howdah.check.knowledge.index_algebra import are_twins, duty, is_usable, redundant
from howdah.check.knowledge.index_upkeep import upkeep, with_parts
from howdah.check.model import Answers, Confidence, Examination, Finding, Severity, rule
from howdah.snapshot.facts.catalog import Index
from howdah.snapshot.picture import Picture


@rule(
    id="redundant-index",
    title="Redundant index",
    severity=Severity.WARNING,
    objects="usable indexes",
    needs=("indexes", "relations"),
    what="An index that repeats another one of the same table: the same keys, or, for B-trees, the "
    "first keys of a longer one. Operator class, collation, direction, predicate, INCLUDE columns "
    "and uniqueness are compared, and an index with a duty of its own is never reported.",
    why="Every insert, and every update that is not HOT, writes both. Both are vacuumed, logged, "
    "backed up and cached, and the second answers no query that the first cannot answer.",
    wrong_when="A prefix is smaller than the longer index, so a workload that scans large parts of "
    "it reads more pages without it. A hint or a monitoring script may name the index. Indexes "
    "that differ only in direction, in the order of their columns or in a wider predicate are not "
    "reported, though some of them could go.",
    source="PostgreSQL documentation, 'Multicolumn Indexes' and 'Index-Only Scans and Covering "
    "Indexes'; src/howdah/check/knowledge/index_algebra.py states the algebra",
)
def redundant_index(picture: Picture, _: Answers) -> Examination:
    """Indexes covered by another, each with the one that stays."""
    seen = 0
    findings: list[Finding] = []
    for relation in picture.user_relations:
        indexes = [i for i in picture.indexes_of.get(relation.oid, ()) if is_usable(i)]
        seen += len(indexes)
        for index, survivor in redundant(indexes, lambda i: _is_droppable(picture, i)):
            findings.append(_finding(picture, index, survivor))
    fact = picture.snapshot.indexes
    return Examination(
        examined=seen, of=seen + fact.left_out, findings=tuple(findings), unknown=fact.reason
    )


def _is_droppable(picture: Picture, index: Index) -> bool:
    """Whether neither the index nor a part of it does anything but serve scans."""
    return index.parent is None and not any(map(duty, with_parts(picture, index)))


def _finding(picture: Picture, index: Index, survivor: Index) -> Finding:
    name, other = f"{index.schema}.{index.name}", f"{survivor.schema}.{survivor.name}"
    same_columns = len(index.columns) == len(survivor.columns)
    cost = upkeep(picture, index)
    return Finding(
        rule="redundant-index",
        object=name,
        severity=Severity.WARNING if same_columns else Severity.NOTICE,
        claim=_claim(name, other, index, survivor),
        evidence=(
            _evidence(picture, "redundant", index),
            _evidence(picture, "stays", survivor),
        ),
        confidence=Confidence.PROVEN,
        refuted_by=f"a statement that is planned with {name} and, after it is dropped on a copy, "
        f"not with {other}",
        cost_if_wrong="statements that name the index in a hint lose it"
        if same_columns
        else f"scans that read much of it read {other} instead, which is "
        f"{upkeep(picture, survivor).pages} pages to its {cost.pages}",
        harm=cost.harm,
        remedies=(
            remedies.drop_index(
                index.schema, index.name, index.definition, partitioned=index.is_partitioned
            ),
        ),
        window=picture.window,
    )


def _claim(name: str, other: str, index: Index, survivor: Index) -> str:
    if are_twins(index, survivor):
        return f"{name} is the same index as {other}, which stays."
    if index.key_count == survivor.key_count and survivor.is_unique and not index.is_unique:
        return f"{name} has the keys of {other}, which is UNIQUE and stays."
    if index.key_count == survivor.key_count:
        return f"{name} is covered by {other}, which has the same keys and stays."
    keys = ", ".join(index.column_definitions[: index.key_count])
    return f"{name} ({keys}) repeats the leading keys of {other}, which stays."


def _evidence(picture: Picture, part: str, index: Index) -> dict[str, object]:
    cost = upkeep(picture, index)
    statistics = picture.index_statistics.get(index.oid)
    return {
        "part": part,
        "index": f"{index.schema}.{index.name}",
        "table": picture.relation_name(index.relation),
        "definition": index.definition,
        "size_pages": cost.pages,
        "scans": statistics.scans if statistics else None,
        "entries_written_per_hour": cost.entries_per_hour,
    }
