"""Indexes that nothing reads.

Owns the rule on unused indexes. It speaks only where the counters could have seen a scan: over a
window whose start is known and that is long enough, on a primary without standbys that might read.
"""

from __future__ import annotations

from collections.abc import Iterable

from howdah.check import remedies
from howdah.check.knowledge.amounts import counted, pages_size
from howdah.check.knowledge.foreign_key_service import certainly_serves
from howdah.check.knowledge.index_algebra import duty, is_usable
from howdah.check.knowledge.index_upkeep import Upkeep, upkeep, with_parts
from howdah.check.knowledge.scan_evidence import (
    SHORTEST_WINDOW_DAYS,
    blindness,
    is_long_enough,
    may_be_young,
    scans,
)
from howdah.check.model import Answers, Confidence, Examination, Finding, Severity, Shape, rule
from howdah.snapshot.facts.catalog import Index
from howdah.snapshot.picture import Picture

# 8 kB pages and entries an hour below which an index is not worth a line: 1 MB, and a write every
# 36 seconds.
WORTH_PAGES = 128
WORTH_ENTRIES_PER_HOUR = 100.0
_SHAPE_ROWS = 20_000
_NAMES_SHOWN = 5


@rule(
    id="unused-index",
    title="Unused index",
    severity=Severity.WARNING,
    objects="indexes that exist for scans alone",
    needs=("indexes", "relations", "constraints", "index_statistics", "table_statistics"),
    what="An index without a duty that no scan used since the counters began, at least "
    f"{SHORTEST_WINDOW_DAYS} days ago. The partitions of one index are judged together. UNIQUE "
    "indexes are not examined, because enforcing uniqueness does not count as a scan, nor is the "
    "only index behind a foreign key.",
    why="Every insert, and every update that is not HOT, writes it; it takes disk, cache, WAL and "
    "vacuum time.",
    wrong_when="Work that is rarer than the window (a yearly report) would use it. A standby that "
    "was not connected when the snapshot was taken may read it: scans count where they run. The "
    "index may be younger than the window. Scans are counted when a session becomes idle.",
    source="PostgreSQL documentation, pg_stat_all_indexes; measured: 0 scans after 500 unique "
    "checks, 300 scans after 300 foreign key checks",
)
def unused_index(picture: Picture, _: Answers) -> Examination:
    """Indexes without a scan; all unknown where the counters could not have seen one."""
    candidates = [
        index for relation in picture.user_relations for index in _candidates(picture, relation.oid)
    ]
    if not candidates:
        return Examination(not_applicable="no index exists for scans alone")
    blind = blindness(picture)
    if blind:
        return Examination(of=len(candidates), unknown=_with_names(picture, blind, candidates))
    counted = [index for index in candidates if scans(picture, index) is not None]
    old = [index for index in counted if not may_be_young(picture, index)]
    reasons = (
        (len(counted) < len(candidates), "some have no counters"),
        (len(old) < len(counted), "some may be younger than the window that is needed"),
    )
    return Examination(
        examined=len(old),
        of=len(candidates) + picture.snapshot.indexes.left_out,
        findings=tuple(_findings(picture, old)),
        unknown="; ".join(reason for holds, reason in reasons if holds),
    )


def _with_names(picture: Picture, reason: str, candidates: Iterable[Index]) -> str:
    """The reason, with the largest indexes that have no scan here if the window is long enough."""
    if not is_long_enough(picture):
        return reason
    unread = [index for index in candidates if scans(picture, index) == 0]
    unread.sort(key=lambda index: -upkeep(picture, index).harm)
    names = ", ".join(f"{index.schema}.{index.name}" for index in unread[:_NAMES_SHOWN])
    return f"{reason}; without a scan here: {names}" if names else reason


def _candidates(picture: Picture, relation: int) -> list[Index]:
    """The indexes of a table that only scans can justify."""
    return [
        index
        for index in picture.indexes_of.get(relation, ())
        if is_usable(index)
        and not index.is_unique
        and index.parent is None
        and not any(map(duty, with_parts(picture, index)))
        and not _guards_a_foreign_key(picture, index)
    ]


def _guards_a_foreign_key(picture: Picture, index: Index) -> bool:
    """Whether a foreign key's checks might need this index and no other one surely serves them.

    No delete of a parent row in the window does not mean that there will be none.
    """
    others = [i for i in picture.indexes_of.get(index.relation, ()) if i.oid != index.oid]
    return any(
        key.kind == "f"
        and key.is_enforced
        and index.columns[0] in key.columns
        and not any(certainly_serves(picture, key, other) for other in others)
        for key in picture.constraints_of.get(index.relation, ())
    )


def _findings(picture: Picture, indexes: Iterable[Index]) -> Iterable[Finding]:
    for index in indexes:
        cost = upkeep(picture, index)
        busy = (cost.entries_per_hour or 0.0) >= WORTH_ENTRIES_PER_HOUR
        if scans(picture, index) == 0 and (busy or cost.pages >= WORTH_PAGES):
            yield _finding(picture, index, cost, busy=busy)


def _finding(picture: Picture, index: Index, cost: Upkeep, *, busy: bool) -> Finding:
    name = f"{index.schema}.{index.name}"
    days = (picture.window.seconds or 0.0) / 86_400.0
    table = picture.table_statistics.get(index.relation)
    return Finding(
        rule="unused-index",
        object=name,
        severity=Severity.WARNING if busy else Severity.NOTICE,
        claim=f"No scan used {name} in {days:.0f} days, in which "
        f"{counted(cost.entries, 'entry was', 'entries were')} written to it; it takes "
        f"{pages_size(cost.pages)}.",
        evidence=(
            {
                "index": name,
                "table": picture.relation_name(index.relation),
                "definition": index.definition,
                "scans": 0,
                "window_days": round(days, 1),
                "window_start": picture.window.reason,
                "entries_written": cost.entries,
                "entries_written_per_hour": cost.entries_per_hour,
                "size_pages": cost.pages,
                "scans_of_the_tables_other_indexes": table.index_scans if table else None,
                "sequential_scans_of_the_table": table.sequential_scans if table else None,
                "age_transactions": index.xid_age,
            },
        ),
        confidence=Confidence.MEASURED,
        refuted_by="work rarer than the window, a standby that reads it, or an index younger than "
        "the window",
        cost_if_wrong="the rare statement that needs it reads the whole table until the index is "
        "built again",
        harm=cost.harm,
        remedies=(
            remedies.drop_index(
                index.schema,
                index.name,
                index.definition,
                partitioned=index.is_partitioned,
                shape=_shape(picture, index),
            ),
        ),
        window=picture.window,
    )


def _shape(picture: Picture, index: Index) -> Shape:
    """Rows, so that the index takes room on a sandbox as well."""
    rows = round(picture.rows(index.relation) or 0)
    return Shape(rows={picture.relation_name(index.relation): min(_SHAPE_ROWS, rows)})
