"""Inverted indexes whose scans return nearly the whole table.

Owns the measured sign of `d @> '{}'` and its kin: a condition that every row meets, whose constant
pg_stat_statements blanks, so that only the index's counters give it away.
"""

from __future__ import annotations

from howdah.check import harm, remedies
from howdah.check.knowledge.suspects import MIN_PAGES
from howdah.check.model import Confidence, Finding, Severity
from howdah.snapshot.facts.catalog import Index
from howdah.snapshot.picture import Picture

_MIN_SCANS = 20
# Entries per scan, as a share of the table's rows: on average over all scans, selective ones too.
_WHOLE = 0.5
_CONTAINERS = ("jsonb_ops", "jsonb_path_ops", "array_ops")


def inverted(picture: Picture) -> tuple[Index, ...]:
    """The scanned inverted indexes of documents and arrays, on tables large enough to matter."""
    return tuple(
        index
        for index in picture.snapshot.indexes.rows
        if index.method == "gin" and not index.is_partitioned
        if index.operator_classes and index.operator_classes[0].endswith(_CONTAINERS)
        if picture.pages(index.relation) >= MIN_PAGES and _scans(picture, index) >= _MIN_SCANS
    )


def whole(picture: Picture, index: Index) -> bool:
    """Whether its scans return half of the table or more, on average."""
    rows = picture.rows(index.relation) or 0
    return rows > 0 and _entries(picture, index) >= _WHOLE * rows


def _scans(picture: Picture, index: Index) -> int:
    statistics = picture.index_statistics.get(index.oid)
    return statistics.scans if statistics else 0


def _entries(picture: Picture, index: Index) -> float:
    statistics = picture.index_statistics[index.oid]
    return statistics.entries_read / statistics.scans


def finding(picture: Picture, index: Index) -> Finding:
    """The finding about one of them."""
    name, table = f"{index.schema}.{index.name}", picture.relation_name(index.relation)
    scans, entries = _scans(picture, index), _entries(picture, index)
    rows = picture.rows(index.relation) or 0
    pages = picture.pages(index.oid)
    return Finding(
        rule="predicate-misses-index",
        object=name,
        severity=Severity.NOTICE,
        claim=f"{scans} scans of {name} returned {entries:.0f} of the {rows:.0f} rows of {table} "
        "each: a condition that (nearly) every row meets, such as @> '{}', reads the index and "
        "then the table.",
        evidence=(
            {
                "index": name,
                "definition": index.definition,
                "scans": scans,
                "entries_per_scan": round(entries),
                "table_rows": round(rows),
                "index_pages": pages,
            },
        ),
        confidence=Confidence.MEASURED,
        refuted_by="searches that mean to return half of the table",
        cost_if_wrong="a condition left out of a statement that needed it",
        harm=harm.waste(pages, picture.per_hour(scans)),
        remedies=(
            remedies.manual(
                "leave-out-condition",
                {"index": name},
                (),
                "leave the condition out of the statement when the searched document or array is "
                "empty: every row contains it",
            ),
        ),
        window=picture.window,
    )
