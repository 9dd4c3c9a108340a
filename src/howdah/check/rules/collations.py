"""Sort orders that moved under the indexes that rely on them.

Owns the rule on collation versions.
"""

from __future__ import annotations

from collections.abc import Sequence

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted
from howdah.check.knowledge.composing import composed
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Remedy,
    Severity,
    rule,
)
from howdah.snapshot.facts.catalog import Collation, Database, Index
from howdah.snapshot.picture import Picture

_DEFAULT = 100  # pg_collation: the database's own
# pg_collation: C, POSIX, ucs_basic, pg_c_utf8: byte or code point order, in the server itself.
_BY_BYTES = frozenset({0, 950, 951, 962, 811})
_ORDERED = frozenset({"btree", "gist", "spgist", "brin"})
_VERSIONED_SINCE = 15  # pg_database.datcollversion


@rule(
    id="collation-drift",
    title="Collation changed under its indexes",
    severity=Severity.CRITICAL,
    objects="indexes sorted by a collation of the operating system or of ICU",
    needs=("indexes", "collations", "databases", "relations"),
    what="Indexes sorted by a collation, or by the database's own, whose version recorded by the "
    "server differs from the version that the operating system or ICU has now.",
    why="The index is sorted by rules that are gone. Searches miss rows that are there, and a "
    "UNIQUE index accepts a second row of the same key.",
    wrong_when="Versions change more often than orders: a new version may sort every stored "
    "value as the old one did (amcheck tells). Range partitions, CHECK constraints and sorted "
    "materialised data rely on the order too and are not listed.",
    source="PostgreSQL documentation, ALTER COLLATION and ALTER DATABASE ... REFRESH COLLATION "
    "VERSION",
)
def collation_drift(picture: Picture, _: Answers) -> Examination:
    """One finding per collation that moved, its indexes listed."""
    sorted_by = _sorted_by(picture)
    indexes = {index.oid for group in sorted_by.values() for index in group}
    default = sorted_by.get(_DEFAULT, [])
    database = picture.current_database
    blind = _blind(picture, database) if default else ""
    findings = [
        _moved(picture, row, sorted_by.get(row.oid, ()))
        for row in picture.snapshot.collations.rows
        if row.oid != _DEFAULT and row.version and row.version_actual
    ]
    if database is not None and not blind and _has_moved(database):
        findings.append(_database_moved(picture, database, default))
    left_out = picture.snapshot.indexes.left_out
    return Examination(
        examined=len(indexes) - (len(default) if blind else 0),
        of=len(indexes) + left_out,
        unknown=blind or picture.snapshot.indexes.reason,
        findings=tuple(findings),
    )


def _sorted_by(picture: Picture) -> dict[int, list[Index]]:
    groups: dict[int, list[Index]] = {}
    for index in picture.snapshot.indexes.rows:
        if index.method in _ORDERED and not index.is_partitioned:
            for collation in {*index.collations} - _BY_BYTES - _of_bytes(picture):
                groups.setdefault(collation, []).append(index)
    return groups


def _of_bytes(picture: Picture) -> frozenset[int]:
    """The default collation where the database sorts by the server's built-in provider."""
    database = picture.current_database
    is_builtin = database is not None and database.collation_provider == "b"
    return frozenset({_DEFAULT} if is_builtin else ())


def _blind(picture: Picture, database: Database | None) -> str:
    """Why nothing can be said about the database's own collation, '' where something can."""
    if picture.major < _VERSIONED_SINCE:
        return "before 15 no version of the database's own collation is recorded"
    if database is None:
        return "the current database was not seen"
    if database.collation_version is None and database.collation_version_actual is not None:
        return "no version of the database's own collation was recorded"
    return ""


def _has_moved(database: Database) -> bool:
    versions = (database.collation_version, database.collation_version_actual)
    return None not in versions and versions[0] != versions[1]


def _moved(picture: Picture, row: Collation, indexes: Sequence[Index]) -> Finding:
    name = f"{row.schema}.{row.name}"
    refresh = composed("ALTER COLLATION {c} REFRESH VERSION", c=(row.schema, row.name))
    return _finding(
        picture, f"collation {name}", (row.version, row.version_actual), indexes, refresh
    )


def _database_moved(picture: Picture, row: Database, indexes: Sequence[Index]) -> Finding:
    refresh = composed("ALTER DATABASE {d} REFRESH COLLATION VERSION", d=row.name)
    versions = (row.collation_version, row.collation_version_actual)
    return _finding(picture, f"database {row.name}", versions, indexes, refresh)


def _finding(
    picture: Picture,
    what: str,
    versions: tuple[str | None, str | None],
    indexes: Sequence[Index],
    refresh: str,
) -> Finding:
    unique = [index for index in indexes if index.is_unique]
    pages = sum(picture.pages(index.oid) for index in indexes)
    severity = Severity.NOTICE if not indexes else Severity.WARNING
    return Finding(
        rule="collation-drift",
        object=what,
        severity=Severity.CRITICAL if unique else severity,
        claim=f"{what} was recorded with version {versions[0]} and the system now has "
        f"{versions[1]}: {counted(len(indexes), 'index', 'indexes')} ({len(unique)} unique) may be "
        "sorted wrongly.",
        evidence=(
            {"recorded_version": versions[0], "actual_version": versions[1]},
            *(
                {
                    "index": f"{index.schema}.{index.name}",
                    "table": picture.relation_name(index.relation),
                    "is_unique": index.is_unique,
                    "method": index.method,
                    "size_pages": picture.pages(index.oid),
                }
                for index in indexes
            ),
        ),
        confidence=Confidence.PROVEN,
        refuted_by="bt_index_check of amcheck passing on each of the indexes",
        cost_if_wrong="the indexes are rebuilt once without need",
        harm=harm.outage(24, share=0.1) if unique else harm.held(pages),
        remedies=(_rebuild(what, indexes, refresh),),
    )


def _rebuild(what: str, indexes: Sequence[Index], refresh: str) -> Remedy:
    """Rebuild first: the refresh ends the warnings, and then nobody would know any more."""
    each = [
        remedies.reindex(index.schema, index.name)
        for index in sorted(indexes, key=lambda index: (index.schema, index.name))
    ]
    return remedies.statements(
        "refresh-collation",
        {"collation": what, "indexes": str(len(each))},
        (*(statement for remedy in each for statement in remedy.sql), refresh),
        retry_safe=(*(text for remedy in each for text in remedy.retry_safe), refresh),
        note="a UNIQUE rebuild fails where doubles got in: remove them first; "
        "the refresh comes last because it ends the server's own warnings",
    )
