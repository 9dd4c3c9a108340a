"""The planner's statistics: too old, or missing at a partitioned table.

Owns the rules on when ANALYZE ran. What its numbers say is `estimates`'.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from howdah.check import harm, remedies
from howdah.check.knowledge import analyzing, autovacuum, pace
from howdah.check.knowledge.amounts import counted as amount
from howdah.check.knowledge.amounts import duration
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Severity,
    Shape,
    rule,
)
from howdah.snapshot.facts.catalog import Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.picture import Picture

FEWEST_ROWS = 1_000  # smaller tables are read in full whatever the planner believes
SETTLED_SECONDS = 3600.0  # a window shorter than this has not seen what a table needs
GROWN_FACTOR = 1.5  # rows now over rows then, either way
NAMED = 5  # partitions in the evidence
SHAPE_ROWS = 20_000  # at most, on a sandbox


# --- stale ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Stale:
    """A table changed beyond what brings an automatic ANALYZE."""

    relation: Relation
    statistics: TableStatistics
    trigger: float
    cause: str
    seconds: float | None  # since the last ANALYZE; None: none in the window

    @property
    def evidence(self) -> dict[str, Any]:
        """The table as an evidence row."""
        return {
            "table": f"{self.relation.schema}.{self.relation.name}",
            "modified_since_analyze": self.statistics.modified_since_analyze,
            "analyze_trigger_rows": round(self.trigger),
            "live_rows": self.statistics.live,
            "last_analyze": self.statistics.last_analyze,
            "last_autoanalyze": self.statistics.last_autoanalyze,
            "cause": self.cause,
        }


@rule(
    id="stale-statistics",
    title="Stale statistics",
    severity=Severity.WARNING,
    objects="tables",
    needs=("relations", "table_statistics", "settings"),
    what="Tables changed beyond the effective trigger of ANALYZE (threshold + scale factor x rows) "
    "with autovacuum off, or twice beyond it and not analysed for an hour, or never.",
    why="The planner's row counts, frequent values and ranges describe a table that is no more: "
    "it picks the wrong join or index.",
    wrong_when="Counters of a busy session arrive only when it idles: the true number may be "
    "larger. After a crash they begin at zero, so a table whose last ANALYZE is not in the window "
    "is left unexamined unless it is over its trigger anyhow. A table that was just loaded is "
    "reported until autovacuum has come.",
    source="relation_needs_vacanalyze of PostgreSQL 14 to 18; measured: 40,000 inserts of an open "
    "session were still counted as 0",
)
def stale_statistics(picture: Picture, _: Answers) -> Examination:
    """Tables over their analyze trigger for long; partitions told at their parent."""
    tables = autovacuum.users_tables(picture)
    if picture.server.in_recovery:
        return Examination(of=len(tables), unknown=autovacuum.STANDBY)
    judged = [row for row in tables if _is_judged(picture, row)]
    groups: dict[int, list[Stale]] = defaultdict(list)
    for row in judged:
        if stale := _stale(picture, row):
            groups[picture.root(row.oid)].append(stale)
    return Examination(
        examined=len(judged),
        of=len(tables) + picture.snapshot.relations.left_out,
        unknown=picture.snapshot.relations.reason
        or "some tables show no ANALYZE since the counters began, which is less than an hour ago. "
        "Try: look again later",
        findings=tuple(_stale_table(picture, root, group) for root, group in groups.items()),
    )


def _last(row: TableStatistics) -> Any:
    return pace.latest(row.last_analyze, row.last_autoanalyze)


def _is_judged(picture: Picture, row: Relation) -> bool:
    """Whether the count of modifications began at an ANALYZE, or is large enough anyhow."""
    if picture.is_void(row.oid):
        return True
    counted, trigger = picture.table_statistics.get(row.oid), autovacuum.analyze_due(picture, row)
    if counted is None or trigger is None:
        return False
    if counted.modified_since_analyze > trigger or _last(counted):
        return True
    seconds = picture.window.seconds
    return seconds is not None and seconds >= SETTLED_SECONDS


def _stale(picture: Picture, row: Relation) -> Stale | None:
    counted, cause = picture.table_statistics.get(row.oid), analyzing.neglect(picture, row)
    if counted is None or max(counted.modified_since_analyze, counted.live) < FEWEST_ROWS:
        return None
    if not cause or picture.is_void(row.oid):
        return None
    return Stale(
        relation=row,
        statistics=counted,
        trigger=autovacuum.analyze_due(picture, row) or 0.0,
        cause=cause,
        seconds=analyzing.since_analyze(picture, counted),
    )


def _stale_table(picture: Picture, root: int, group: Sequence[Stale]) -> Finding:
    group = sorted(group, key=lambda stale: -stale.statistics.modified_since_analyze)
    name, worst = picture.relation_name(root), group[0]
    modified = sum(stale.statistics.modified_since_analyze for stale in group)
    inside = f" in {amount(len(group), 'partition')}" if root != worst.relation.oid else ""
    ago = "and no ANALYZE is recorded" if worst.seconds is None else _ago(worst.seconds)
    relation = picture.relations[root]
    return Finding(
        rule="stale-statistics",
        object=name,
        severity=Severity.WARNING,
        claim=f"{amount(modified, 'row')} of {name} changed{inside} {ago}: {worst.cause}.",
        evidence=tuple(stale.evidence for stale in group[:NAMED]),
        confidence=Confidence.MEASURED,
        refuted_by="n_mod_since_analyze of the table below its trigger a few minutes from now",
        cost_if_wrong="one ANALYZE that autovacuum would have run",
        harm=harm.waste(picture.pages(worst.relation.oid), _scans(picture, worst.statistics)),
        remedies=(remedies.analyze(relation.schema, relation.name, shape=_unanalyzed(worst)),),
        window=picture.window,
    )


def _ago(seconds: float) -> str:
    return f"since the last ANALYZE {duration(seconds)} ago"


def _scans(picture: Picture, row: TableStatistics) -> float | None:
    return picture.per_hour(row.sequential_scans + row.index_scans)


def _unanalyzed(stale: Stale) -> Shape:
    name = f"{stale.relation.schema}.{stale.relation.name}"
    rows = max(2 * FEWEST_ROWS, stale.statistics.modified_since_analyze)
    return Shape(rows={name: min(SHAPE_ROWS, rows)}, settings={"autovacuum": "off"}, analyzed=False)


# --- partitioned parents --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Parent:
    """A partitioned table whose own statistics are missing, or of another time."""

    relation: Relation
    rows: float  # in its leaves
    rows_then: float  # when it was analysed; -1: never
    last: str | None

    @property
    def evidence(self) -> dict[str, Any]:
        """The table as an evidence row."""
        return {
            "table": f"{self.relation.schema}.{self.relation.name}",
            "rows_in_leaves": round(self.rows),
            "rows_when_analyzed": None if self.rows_then < 0 else round(self.rows_then),
            "last_analyze": self.last,
        }


@rule(
    id="partition-parent-never-analyzed",
    title="Partitioned table without statistics of its own",
    severity=Severity.WARNING,
    objects="partitioned tables",
    needs=("relations", "inheritance", "table_statistics"),
    what="Partitioned tables with rows in their partitions that were never analysed as a whole, or "
    "when they had less than two thirds, or more than one and a half times, of the rows of now.",
    why="Autovacuum analyses partitions, never their parent. Joins and groups over the whole table "
    "are then planned with default guesses.",
    wrong_when="Statements that always touch a single partition use that partition's statistics "
    "and do not miss the parent's.",
    source="PostgreSQL documentation, 'The Autovacuum Daemon' and ANALYZE",
)
def partition_parent_never_analyzed(picture: Picture, _: Answers) -> Examination:
    """Partitioned roots without inherited statistics, or with those of another size."""
    roots = [row for row in picture.user_relations if row.kind == "p" and not row.is_partition]
    rows = {row.oid: _rows_in_leaves(picture, row.oid) for row in roots}
    known = [row for row in roots if rows[row.oid] is not None]
    found = [parent for row in known if (parent := _parent(picture, row, rows[row.oid] or 0.0))]
    return Examination(
        examined=len(known),
        of=len(roots),
        unknown="how many rows the others' partitions hold is not known",
        findings=tuple(_parent_finding(picture, parent) for parent in found),
    )


def _rows_in_leaves(picture: Picture, oid: int) -> float | None:
    """Rows in all leaves, by the larger of catalog and counter; None where a leaf has neither."""
    total = 0.0
    for leaf in picture.leaves(oid):
        relation, counted = picture.relations[leaf], picture.table_statistics.get(leaf)
        if relation.kind == "f":
            continue
        if relation.tuples < 0 and counted is None:
            return None
        total += max(relation.tuples, float(counted.live) if counted else 0.0, 0.0)
    return total


def _parent(picture: Picture, row: Relation, rows: float) -> Parent | None:
    if rows < FEWEST_ROWS:
        return None
    then = _analyzed_rows(picture, row)
    if then >= 0 and max(then, 1.0) * GROWN_FACTOR >= rows and rows * GROWN_FACTOR >= then:
        return None
    counted = picture.table_statistics.get(row.oid)
    last = pace.latest(counted.last_analyze, counted.last_autoanalyze) if counted else None
    return Parent(relation=row, rows=rows, rows_then=then, last=last.isoformat() if last else None)


def _analyzed_rows(picture: Picture, row: Relation) -> float:
    """Rows when the parent was last analysed, -1 if never.

    Only ANALYZE sets a partitioned table's reltuples, so that -1 says never, whatever the role
    may read. A count without any inherited statistics, where the role does see the partitions',
    says that they were removed since.
    """
    if row.tuples < 0 or not picture.server.reads_all_data:
        return row.tuples
    statistics = picture.snapshot.column_statistics
    if not statistics.known or statistics.left_out:
        return row.tuples
    inherited = any(each.relation == row.oid and each.inherited for each in statistics.rows)
    return row.tuples if inherited else -1.0


def _parent_finding(picture: Picture, parent: Parent) -> Finding:
    row = parent.relation
    name, leaves = f"{row.schema}.{row.name}", picture.leaves(row.oid)
    told = (
        "was never analysed as a whole"
        if parent.rows_then < 0
        else f"was last analysed as a whole when it held {parent.rows_then:,.0f}"
    )
    pages = sum(picture.pages(leaf) for leaf in leaves)
    scans = max((_leaf_scans(picture, leaf) for leaf in leaves), default=0)
    shape = Shape(
        rows={name: min(SHAPE_ROWS, max(2 * FEWEST_ROWS, round(parent.rows)))}, analyzed=False
    )
    return Finding(
        rule="partition-parent-never-analyzed",
        object=name,
        severity=Severity.WARNING,
        claim=f"{name} holds {amount(parent.rows, 'row')} in "
        f"{amount(len(leaves), 'partition')} and {told}.",
        evidence=(parent.evidence,),
        confidence=Confidence.PROVEN,
        refuted_by="rows of the table in pg_stats where inherited is true, as new as its rows",
        cost_if_wrong="one ANALYZE: a sample of every partition is read",
        harm=harm.waste(pages / 10, picture.per_hour(scans)),
        remedies=(remedies.analyze(row.schema, row.name, shape=shape),),
        window=picture.window,
    )


def _leaf_scans(picture: Picture, leaf: int) -> int:
    row = picture.table_statistics.get(leaf)
    return row.sequential_scans if row else 0
