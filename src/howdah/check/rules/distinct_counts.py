"""Distinct values as recorded, against what unique indexes and foreign keys prove.

Owns the rule on numbers of distinct values that another fact contradicts by a factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from howdah.check import harm, remedies
from howdah.check.knowledge.column_facts import changed_share, column_name, scans_per_hour
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Remedy,
    Severity,
    rule,
)
from howdah.snapshot.facts.catalog import Column, Constraint, Index, Relation
from howdah.snapshot.picture import Picture

FEWEST_ROWS = 10_000  # smaller tables are read in full whatever the planner believes
FRESH_SHARE = 0.1  # of the rows changed since ANALYZE: beyond it the two facts are of two times
DISTINCT_FACTOR = 2.0  # between what is recorded and what is proven; the sample's own error is less
PARENT_FACTOR = 1.5  # distinct references over rows of the referenced table
NOT_OF_NOW = "some columns have no statistics, or a tenth of their rows changed since. Try: ANALYZE"


@dataclass(frozen=True, kw_only=True)
class Contradiction:
    """A recorded number of distinct values, and the bound that another fact puts on it."""

    relation: int
    column: int
    recorded: float
    proven: float
    is_lower_bound: bool  # the truth is at least `proven`; otherwise at most
    because: str
    evidence: tuple[dict[str, Any], ...]


@rule(
    id="n-distinct-off",
    title="Number of distinct values contradicted",
    severity=Severity.WARNING,
    objects="columns with a second fact about them",
    needs=("relations", "columns", "indexes", "constraints", "column_statistics"),
    what="Columns whose recorded number of distinct values another fact contradicts by a factor: "
    "the key of a unique index over several columns (their distinct counts multiplied cannot be "
    "below the rows), or a foreign key (no more distinct references than rows referenced).",
    why="Groups and joins are planned by it. Too few distinct values means too many rows expected "
    "per key, hash tables sized for the wrong number, and nested loops avoided where they are "
    "best.",
    wrong_when="The rows and the statistics must be of the same time: a table that grew since its "
    "last ANALYZE is left out. A single column with a unique index of its own is not reported: "
    "the planner takes its uniqueness from the index (measured on 15 and 18).",
    source="PostgreSQL documentation, pg_stats (n_distinct); measured: a sample of 30,000 of a "
    "million rows gives 17 % too few distinct values, and far less for skewed columns",
)
def n_distinct_off(picture: Picture, _: Answers) -> Examination:
    """Columns where uniqueness or a foreign key bounds the distinct count."""
    checks = [*_composite_keys(picture), *_references(picture)]
    judged = [check for check in checks if check is not None]
    off = {(c.relation, c.column): c for c in judged if isinstance(c, Contradiction)}
    return Examination(
        examined=len(judged),
        of=len(checks),
        unknown=picture.snapshot.column_statistics.reason or NOT_OF_NOW,
        findings=tuple(_distinct(picture, each) for each in off.values()),
    )


def distinct_count(recorded: float, rows: float) -> float:
    """n_distinct as a number of values: a negative one is a fraction of the rows.

    Never more than the rows, and never less than one.
    """
    count = -recorded * rows if recorded < 0 else recorded
    return max(1.0, min(count, max(1.0, rows)))


def _is_small(picture: Picture, relation: int) -> bool:
    """Whether a table is certainly too small for its statistics to matter."""
    rows = picture.rows(relation)
    return picture.is_void(relation) or (rows is not None and rows < FEWEST_ROWS)


def _fresh_rows(picture: Picture, relation: int) -> float | None:
    """The table's rows, if its statistics are of the same time and it is large enough."""
    rows = picture.rows(relation)
    if rows is None:
        return None
    return rows if changed_share(picture, relation) < FRESH_SHARE else None


def _distinct_of(picture: Picture, relation: int, column: int, rows: float) -> float | None:
    row = picture.column_statistics.get((relation, column, False))
    if row is None or row.distinct == 0:
        return None
    return distinct_count(row.distinct, rows)


Check = Contradiction | bool | None  # contradicted, judged and consistent, not judged


def _composite_keys(picture: Picture) -> Iterator[Check]:
    users = {
        row.oid
        for row in picture.user_relations
        if row.kind in "rm" and not _is_small(picture, row.oid)
    }
    for index in picture.snapshot.indexes.rows:
        keys = index.columns[: index.key_count]
        whole = index.predicate is None and 0 not in keys and index.is_valid
        columns = [picture.column(index.relation, key) for key in keys]
        whole = whole and all(column and column.not_null for column in columns)  # nulls repeat
        if index.relation in users and index.is_unique and whole and len(keys) > 1:
            rows = _fresh_rows(picture, index.relation)
            yield None if rows is None else _composite(picture, index, keys, rows)


def _composite(picture: Picture, index: Index, keys: Sequence[int], rows: float) -> Check:
    """The product of the columns' distinct counts bounds the number of keys from above."""
    counts = {key: _distinct_of(picture, index.relation, key, rows) for key in keys}
    known = {key: count for key, count in counts.items() if count is not None}
    if len(known) < len(keys):
        return None
    product = 1.0
    for count in known.values():
        product *= count
    if product * DISTINCT_FACTOR > rows:
        return True
    widest = max(known, key=lambda key: known[key])
    return Contradiction(
        relation=index.relation,
        column=widest,
        recorded=known[widest],
        proven=rows / (product / known[widest]),
        is_lower_bound=True,
        because=f"{rows:,.0f} rows are unique by {index.schema}.{index.name}",
        evidence=tuple(
            {"column": column_name(picture, index.relation, key), "distinct": round(known[key])}
            for key in keys
        ),
    )


def _references(picture: Picture) -> Iterator[Check]:
    for key in picture.snapshot.constraints.rows:
        bounds = key.kind == "f" and len(key.columns) == 1 and key.is_validated and key.is_enforced
        if bounds and not _is_small(picture, key.relation):
            yield _reference(picture, key)


def _reference(picture: Picture, key: Constraint) -> Check:
    """No more distinct references than rows referenced."""
    rows = _fresh_rows(picture, key.relation)
    parent = picture.relations.get(key.foreign_relation or 0)
    referenced = None if parent is None else picture.rows(parent.oid)
    if rows is None or parent is None or referenced is None:
        return None
    counted = picture.table_statistics.get(parent.oid)
    most = max(referenced, float(counted.live) if counted else 0.0, 1.0)
    recorded = _distinct_of(picture, key.relation, key.columns[0], rows)
    if recorded is None:
        return None
    if recorded <= PARENT_FACTOR * most:
        return True
    parent_name = f"{parent.schema}.{parent.name}"
    return Contradiction(
        relation=key.relation,
        column=key.columns[0],
        recorded=recorded,
        proven=most,
        is_lower_bound=False,
        because=f"{key.name} refers to {parent_name}, which has {most:,.0f} rows",
        evidence=({"foreign_key": key.name, "referenced": parent_name, "rows": round(most)},),
    )


def _distinct(picture: Picture, found: Contradiction) -> Finding:
    name = column_name(picture, found.relation, found.column)
    relation, column = (
        picture.relations[found.relation],
        picture.column(found.relation, found.column),
    )
    bound = "at least" if found.is_lower_bound else "at most"
    return Finding(
        rule="n-distinct-off",
        object=name,
        severity=Severity.WARNING,
        claim=f"The statistics give {name} {found.recorded:,.0f} distinct values, but there are "
        f"{bound} {found.proven:,.0f}: {found.because}.",
        evidence=(
            {
                "column": name,
                "distinct_recorded": round(found.recorded),
                "distinct_bound": round(found.proven),
                "bound": bound,
            },
            *found.evidence,
        ),
        confidence=Confidence.PROVEN if found.is_lower_bound else Confidence.ESTIMATED,
        refuted_by="count(DISTINCT column) near the recorded number",
        cost_if_wrong="a longer ANALYZE, or a declared number that must be kept true by hand",
        harm=harm.waste(picture.pages(found.relation), scans_per_hour(picture, found.relation)),
        remedies=_declare(picture, relation, column, found) if column else (),
        window=picture.window,
    )


def _declare(
    picture: Picture, relation: Relation, column: Column, found: Contradiction
) -> tuple[Remedy, ...]:
    """A larger sample, or the proven bound declared; either takes effect with ANALYZE."""
    rows = max(1.0, picture.rows(relation.oid) or 1.0)
    target = 1000 if column.statistics_target < 1000 else 10_000
    part = {
        "t": sql.Identifier(relation.schema, relation.name),
        "c": sql.Identifier(column.name),
    }
    analyze = _sql("ANALYZE {t}", **part)
    share = -min(1.0, found.proven / rows)
    declared = _sql(
        "ALTER TABLE {t} ALTER COLUMN {c} SET (n_distinct = {n})", **part, n=sql.SQL(f"{share:.6g}")
    )
    sample = _sql(
        "ALTER TABLE {t} ALTER COLUMN {c} SET STATISTICS {n}", **part, n=sql.SQL(str(target))
    )
    before = _sql(
        "ALTER TABLE {t} ALTER COLUMN {c} SET STATISTICS {n}",
        **part,
        n=sql.SQL(str(column.statistics_target)),
    )
    names = {"table": f"{relation.schema}.{relation.name}", "column": column.name}
    brief = "SET lock_timeout = '2s'"
    return (
        remedies.statements(
            "declare-distinct",
            names,
            (declared, analyze),
            inverse=(_sql("ALTER TABLE {t} ALTER COLUMN {c} RESET (n_distinct)", **part), analyze),
            retry_safe=(brief, declared, analyze),
            note="a share of the rows, so that it grows with the table",
        ),
        remedies.statements(
            "sample-more",
            names,
            (sample, analyze),
            inverse=(before, analyze),
            retry_safe=(brief, sample, analyze),
            note="may still be too low for a skewed column",
        ),
    )


def _sql(template: str, **parts: sql.Composable) -> str:
    return sql.SQL(template).format(**parts).as_string(None)
