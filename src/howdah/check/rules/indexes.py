"""Indexes that should not be there, or are not what they seem.

Owns the rules on the existence and the validity of indexes.
"""

from __future__ import annotations

from howdah.check import harm, remedies
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Severity,
    rule,
)
from howdah.snapshot.facts.catalog import Index
from howdah.snapshot.picture import Picture


@rule(
    id="invalid-index",
    title="Invalid index",
    severity=Severity.WARNING,
    objects="indexes",
    needs=("indexes", "relations", "index_builds"),
    what="An index whose build or rebuild did not finish, and that no session is building now.",
    why="The server maintains it on every write and no query may use it. If it is UNIQUE it may "
    "even refuse rows. A retry with IF NOT EXISTS takes it for the good one.",
    wrong_when="A build that was waiting for old transactions when the snapshot was taken is "
    "excluded by pg_stat_progress_create_index; one that began after it was read is not. "
    "An index ON ONLY a partitioned table is invalid by design until every partition's index "
    "is attached, and is not reported.",
    source="PostgreSQL documentation, CREATE INDEX, 'Building Indexes Concurrently'",
)
def invalid_index(picture: Picture, _: Answers) -> Examination:
    """Invalid indexes, those in progress and those of partitioned parents left out."""
    building = {build.index_oid for build in picture.snapshot.index_builds.rows}
    busy_tables = {build.relation_oid for build in picture.snapshot.index_builds.rows}
    indexes = [index for index in picture.snapshot.indexes.rows if not index.is_partitioned]
    invalid = [
        index
        for index in indexes
        if not index.is_valid and index.oid not in building and index.relation not in busy_tables
    ]
    return Examination(
        examined=len(indexes),
        of=len(indexes) + picture.snapshot.indexes.left_out,
        unknown=picture.snapshot.indexes.reason,
        findings=tuple(_invalid(picture, index) for index in invalid),
    )


def _invalid(picture: Picture, index: Index) -> Finding:
    name = f"{index.schema}.{index.name}"
    statistics = picture.table_statistics.get(index.relation)
    writes = statistics.inserted + statistics.updated if statistics else 0
    return Finding(
        rule="invalid-index",
        object=name,
        severity=Severity.WARNING,
        claim=f"{name} is invalid: every write maintains it and no query can use it.",
        evidence=(
            {
                "index": name,
                "table": picture.relation_name(index.relation),
                "is_valid": index.is_valid,
                "is_ready": index.is_ready,
                "size_pages": picture.pages(index.oid),
                "definition": index.definition,
            },
        ),
        confidence=Confidence.PROVEN,
        refuted_by="a row for it in pg_stat_progress_create_index: then it is being built",
        cost_if_wrong="a build in progress is lost and must be started again",
        harm=harm.held(picture.pages(index.oid)) + harm.waste(1, picture.per_hour(writes)),
        remedies=(
            remedies.reindex(index.schema, index.name),
            remedies.drop_index(index.schema, index.name, index.definition),
        ),
        window=picture.window,
    )
