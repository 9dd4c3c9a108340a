"""What the statistics say, against what the catalogs prove.

Owns the rules on ranges that end too early, on correlations that other facts contradict, and on
histograms that only look wrong; distinct counts are `distinct_counts`'. Must never call a number
wrong without a second fact that contradicts it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from howdah.check import harm, remedies
from howdah.check.knowledge import analyzing, autovacuum
from howdah.check.knowledge.amounts import percent
from howdah.check.knowledge.column_facts import (
    changed_share,
    column_name,
    fed_columns,
    scans_per_hour,
)
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Severity,
    rule,
)
from howdah.snapshot.facts.catalog import ColumnStatistics
from howdah.snapshot.picture import Picture

BEYOND_SPANS = 0.05  # past the last bound, in spans of the whole histogram: five buckets of 100
# An index lets the planner look up the column's end, so only a range that has doubled misleads it.
BEYOND_SPANS_INDEXED = 1.0
FEWEST_ROWS = 10_000  # smaller tables are read in full whatever the planner believes
LOW_CORRELATION = 0.5
INSERTED_SHARE = 0.9  # of the rows that the window saw come in: it knows their order
FREQUENT_TOTAL = 0.9  # of the rows are frequent values: the histogram speaks for few
NEVER_ANALYZED = "some columns have no statistics: their tables were never analysed. Try: ANALYZE"


def _analyzed(picture: Picture) -> list[ColumnStatistics]:
    """Statistics of the users' columns, each table's own (not the inherited ones)."""
    users = {row.oid for row in picture.user_relations}
    rows = picture.snapshot.column_statistics.rows
    return [row for row in rows if row.relation in users and not row.inherited]


# --- beyond the last bound ------------------------------------------------------------------------


@rule(
    id="beyond-last-bound",
    title="New rows past the last histogram bound",
    severity=Severity.WARNING,
    objects="columns that only grow",
    needs=("relations", "columns", "column_statistics", "table_statistics", "settings"),
    what="Columns fed by a sequence or by the clock whose newest values lie past the last bound of "
    "the histogram by a twentieth of its span (by all of it where an index leads with the column), "
    "in tables whose automatic ANALYZE is off, or overdue twice over and for an hour.",
    why="The planner believes that hardly any row is past the last bound: a query for the newest "
    "rows is planned for one row and meets many thousands.",
    wrong_when="Between two automatic ANALYZEs the newest rows of every growing table are past the "
    "last bound; that is not reported, although it can mislead a plan in the meantime. Where an "
    "index leads with the column, the planner looks up its end at planning time: the estimate is "
    "then too low by a factor rather than next to nothing. A sequence may run ahead of the rows, "
    "by its cache or by rolled back inserts.",
    source="Measured on 15 and 18: 40,000 rows past the last bound were estimated as 14 without "
    "an index, and as 1,367 with one",
)
def beyond_last_bound(picture: Picture, _: Answers) -> Examination:
    """Columns whose known newest value is past their last bound, where ANALYZE does not come."""
    rows = [row for row in _analyzed(picture) if row.histogram_bounds]
    if picture.server.in_recovery:
        return Examination(of=len(rows), unknown=autovacuum.STANDBY)
    told = [row for row in rows if row.beyond_last_bound is not None]
    return Examination(
        examined=len(told),
        of=len(told) + _untold(picture, rows),
        unknown="how far the newest rows are past the last bound cannot be told",
        findings=tuple(_beyond(picture, row) for row in told if _is_beyond(picture, row)),
    )


def _untold(picture: Picture, rows: Sequence[ColumnStatistics]) -> int:
    """Columns fed by a sequence whose distance could not be told."""
    fed = fed_columns(picture)
    return sum(row.beyond_last_bound is None for row in rows if (row.relation, row.column) in fed)


def _is_beyond(picture: Picture, row: ColumnStatistics) -> bool:
    rows = picture.rows(row.relation) or 0.0
    least = BEYOND_SPANS_INDEXED if _leads_index(picture, row) else BEYOND_SPANS
    return (
        (row.beyond_last_bound or 0.0) >= least
        and rows >= FEWEST_ROWS
        and bool(analyzing.neglect(picture, picture.relations[row.relation]))
    )


def _leads_index(picture: Picture, row: ColumnStatistics) -> bool:
    return any(
        index.method == "btree"
        and index.is_valid
        and index.columns[:1] == (row.column,)
        and index.predicate is None
        for index in picture.indexes_of.get(row.relation, ())
    )


def _beyond(picture: Picture, row: ColumnStatistics) -> Finding:
    name, indexed = column_name(picture, row.relation, row.column), _leads_index(picture, row)
    relation, share = picture.relations[row.relation], changed_share(picture, row.relation)
    spans = row.beyond_last_bound or 0.0
    return Finding(
        rule="beyond-last-bound",
        object=name,
        severity=Severity.NOTICE if indexed else Severity.WARNING,
        claim=f"The newest values of {name} lie {percent(spans)} of the histogram's span past its "
        f"last bound, {percent(share)} of the table changed since the last ANALYZE, and "
        f"{analyzing.neglect(picture, relation)}.",
        evidence=(
            {
                "column": name,
                "beyond_last_bound_spans": round(spans, 4),
                "histogram_bounds": row.histogram_bounds,
                "changed_fraction": round(share, 4),
                "leads_an_index": indexed,
            },
        ),
        confidence=Confidence.MEASURED,
        refuted_by="EXPLAIN of a query for the newest rows with an estimate near their true number",
        cost_if_wrong="one ANALYZE",
        harm=harm.waste(picture.pages(row.relation) * share, scans_per_hour(picture, row.relation)),
        remedies=(remedies.analyze(relation.schema, relation.name),),
        window=picture.window,
    )


# --- correlation ----------------------------------------------------------------------------------


@rule(
    id="correlation-off",
    title="Correlation contradicted",
    severity=Severity.NOTICE,
    objects="columns fed by a sequence, in tables of 10,000 rows and more",
    needs=("relations", "columns", "sequences", "column_statistics", "table_statistics"),
    what="Columns fed by a sequence, in tables that only ever took inserts, whose recorded "
    "correlation with the physical order is low.",
    why="Rows inserted in order lie in order. With a low correlation the planner takes an index "
    "scan over a range for random reads, and reads the table instead.",
    wrong_when="Values written by hand rather than drawn from the sequence may come in any order. "
    "Nothing is said about columns whose physical order no other fact tells.",
    source="PostgreSQL documentation, pg_stats (correlation)",
)
def correlation_off(picture: Picture, _: Answers) -> Examination:
    """Sequence-fed columns of insert-only tables, by their recorded correlation."""
    large = {
        row.oid
        for row in picture.user_relations
        if row.kind == "r" and not _is_small(picture, row.oid)
    }
    columns = [pair for pair in sorted(fed_columns(picture)) if pair[0] in large]
    judged = [
        row
        for relation, column in columns
        if _is_in_order(picture, relation)
        and (row := picture.column_statistics.get((relation, column, False)))
        and row.correlation is not None
    ]
    low = [row for row in judged if abs(row.correlation or 0.0) < LOW_CORRELATION]
    return Examination(
        examined=len(judged),
        of=len(columns),
        unknown="in some tables rows were changed, or came in before the counters began: their "
        "order is not known",
        findings=tuple(_correlation(picture, row) for row in low),
    )


def _is_small(picture: Picture, relation: int) -> bool:
    """Whether a table is certainly too small for the order of its rows to matter."""
    rows = picture.rows(relation)
    return picture.is_void(relation) or (rows is not None and rows < FEWEST_ROWS)


def _is_in_order(picture: Picture, relation: int) -> bool:
    """Whether the window saw nearly all rows come in, and none leave or move."""
    counted, rows = picture.table_statistics.get(relation), picture.rows(relation)
    if counted is None or not rows:
        return False
    is_still = counted.updated == 0 and counted.deleted == 0
    return is_still and counted.inserted >= INSERTED_SHARE * max(rows, float(counted.live))


def _correlation(picture: Picture, row: ColumnStatistics) -> Finding:
    name, relation = column_name(picture, row.relation, row.column), picture.relations[row.relation]
    counted = picture.table_statistics[row.relation]
    return Finding(
        rule="correlation-off",
        object=name,
        severity=Severity.NOTICE,
        claim=f"The statistics give {name} a correlation of {row.correlation or 0.0:.2f}, but its "
        f"{counted.inserted:,} rows came from a sequence and none has moved since.",
        evidence=(
            {
                "column": name,
                "correlation": row.correlation,
                "inserted": counted.inserted,
                "updated": counted.updated,
                "deleted": counted.deleted,
                "modified_since_analyze": counted.modified_since_analyze,
            },
        ),
        confidence=Confidence.MEASURED,
        refuted_by="a low correlation again right after ANALYZE",
        cost_if_wrong="one ANALYZE",
        harm=harm.waste(picture.pages(row.relation), scans_per_hour(picture, row.relation)),
        remedies=(remedies.analyze(relation.schema, relation.name),),
        window=picture.window,
    )


# --- histograms that look wrong -------------------------------------------------------------------


@rule(
    id="histogram-looks-wrong",
    title="A histogram that looks wrong and is not",
    severity=Severity.NOTICE,
    objects="indexed columns",
    needs=("relations", "columns", "indexes", "column_statistics"),
    what="Indexed columns whose frequent values cover more than 90 % of the rows, so that the "
    "histogram speaks only for the few that are left.",
    why="ANALYZE takes the most common values out before it draws the histogram. Its bounds then "
    "look as if they missed most of the data, and people raise the statistics target or file a "
    "bug although the planner adds both parts up correctly.",
    wrong_when="It is an explanation, not a defect: nothing needs to be done unless a plan is "
    "shown to be wrong.",
    source="PostgreSQL documentation, pg_stats (histogram_bounds) and 'Row Estimation Examples'",
)
def histogram_looks_wrong(picture: Picture, _: Answers) -> Examination:
    """Indexed columns with a histogram of the few values that are not frequent; one per table."""
    indexed = _indexed(picture)
    rows = [row for row in _analyzed(picture) if (row.relation, row.column) in indexed]
    groups: dict[int, list[ColumnStatistics]] = defaultdict(list)
    for row in rows:
        if _looks_wrong(picture, row):
            groups[picture.root(row.relation)].append(row)
    return Examination(
        examined=len(rows),
        of=len(indexed),
        unknown=picture.snapshot.column_statistics.reason or NEVER_ANALYZED,
        findings=tuple(_histogram(picture, root, group) for root, group in groups.items()),
    )


def _indexed(picture: Picture) -> set[tuple[int, int]]:
    """Columns that lead an index of a user's table."""
    users = {
        row.oid
        for row in picture.user_relations
        if row.kind in "rm" and not picture.is_void(row.oid)
    }
    return {
        (index.relation, index.columns[0])
        for index in picture.snapshot.indexes.rows
        if index.relation in users and index.columns and index.columns[0]
    }


def _looks_wrong(picture: Picture, row: ColumnStatistics) -> bool:
    few = row.histogram_bounds > 0 and row.most_common_total >= FREQUENT_TOTAL
    return few and (picture.rows(row.relation) or 0.0) >= FEWEST_ROWS


def _histogram(picture: Picture, root: int, group: Sequence[ColumnStatistics]) -> Finding:
    name, first = picture.relation_name(root), group[0]
    left = max(0.0, 1 - first.most_common_total - first.null_fraction)
    return Finding(
        rule="histogram-looks-wrong",
        object=name,
        severity=Severity.NOTICE,
        claim=f"The histogram of {column_name(picture, first.relation, first.column)} describes "
        f"{left:.1%} of the rows: {first.most_common_count} frequent values cover "
        f"{first.most_common_total:.1%} and are left out of it, as they should be.",
        evidence=tuple(
            {
                "column": column_name(picture, row.relation, row.column),
                "most_common_values": row.most_common_count,
                "most_common_total": round(row.most_common_total, 4),
                "null_fraction": round(row.null_fraction, 4),
                "histogram_bounds": row.histogram_bounds,
            }
            for row in group[:5]
        ),
        confidence=Confidence.PROVEN,
        refuted_by="an estimate far from the true number of rows for a value in the histogram",
        cost_if_wrong="nothing: no act is proposed",
        harm=0.0,
    )
