"""The visibility map: pages that index-only scans must still fetch.

Owns the rule on tables whose map is too empty for the index-only scans that happen on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from howdah.check import harm, remedies
from howdah.check.knowledge import autovacuum
from howdah.check.knowledge.amounts import percent
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    PlanQuestion,
    Scan,
    Severity,
    Shape,
    rule,
)
from howdah.snapshot.facts.catalog import Relation
from howdah.snapshot.facts.counters import Statement
from howdah.snapshot.picture import Picture

VISIBLE_SHARE = 0.90  # of the pages; below it index-only scans visit the table too often
FEWEST_PAGES = 1_000  # 8 MB; a smaller table is in the cache anyway
SKIPPED_SHARE = 0.10  # of the entries read: so many must have needed no visit to the table
FEWEST_ENTRIES = 10_000  # entries read from an index before its counters say anything
MOST_QUESTIONS = 20  # statements for which a planner is asked, the most frequent ones
SHAPE_ROWS = 20_000  # at most, on a sandbox


@dataclass(frozen=True, kw_only=True)
class Use:
    """What shows that index-only scans happen on a table."""

    index: str
    rows_per_hour: float | None
    basis: str  # 'counters' or 'planner'
    statement: str = ""


@rule(
    id="low-all-visible",
    title="Index-only scans on pages not marked all-visible",
    severity=Severity.NOTICE,
    objects="tables of 8 MB and more",
    needs=("relations", "indexes", "table_statistics", "index_statistics"),
    what="Tables with fewer than 90 % of their pages marked all-visible on which index-only scans "
    "happen: by the counters (entries read from an index that no scan fetched from the table), "
    "or because a planner takes one for a frequent statement.",
    why="An index-only scan visits the table for every entry on a page that is not all-visible: "
    "it costs what an ordinary index scan costs, or more.",
    wrong_when="The counters show only those index-only scans that did skip the table: on a table "
    "with no page marked they look like ordinary ones, and only the planner tells. Entries that "
    "were dead, and bitmap scans combined by AND, look like skipped ones. The marks are counted "
    "as of the last VACUUM or ANALYZE. The planner is asked on empty tables: where it takes a "
    "bitmap scan there, nothing is said.",
    source="PostgreSQL documentation, 'Index-Only Scans and Covering Indexes' and 'The Cumulative "
    "Statistics System' (idx_tup_read, idx_tup_fetch)",
    ask=lambda picture: (PlanQuestion(statement=row.text) for _, row in _asked(picture)),
)
def low_all_visible(picture: Picture, answers: Answers) -> Examination:
    """Large tables with too empty a map, where index-only scans are seen."""
    large = [
        row for row in autovacuum.users_tables(picture) if picture.pages(row.oid) >= FEWEST_PAGES
    ]
    low = [row for row in large if visible_share(row) < VISIBLE_SHARE]
    uses = {
        row.oid: _by_counters(picture, row) or _by_planner(picture, row, answers) for row in low
    }
    unsure = {row.oid for row, _ in _unanswered(picture, answers)} | _unstated(picture, low) - {
        oid for oid, use in uses.items() if use
    }
    return Examination(
        examined=len(large) - len(unsure),
        of=len(large) + picture.snapshot.relations.left_out,
        unknown="no planner could tell whether statements on the others use index-only scans",
        findings=tuple(
            _low(picture, row, use) for row in low if (use := uses[row.oid]) is not None
        ),
    )


def _unstated(picture: Picture, low: Iterable[Relation]) -> set[int]:
    """Without sight of the statements, silent counters say nothing about a low map."""
    return set() if picture.snapshot.statements.known else {row.oid for row in low}


def visible_share(row: Relation) -> float:
    """The share of a table's pages that are marked all-visible."""
    return min(1.0, row.all_visible_pages / row.pages) if row.pages > 0 else 0.0


# --- evidence -------------------------------------------------------------------------------------


def skipped(entries_read: int, rows_fetched: int, bitmap_rows: int) -> int:
    """Entries that no scan followed to the table: read, less fetched by plain and bitmap scans."""
    return max(0, entries_read - rows_fetched - bitmap_rows)


def _by_counters(picture: Picture, row: Relation) -> Use | None:
    """Index-only scans by the counters of all the table's indexes taken together.

    A table's count of rows fetched by index is its indexes' plus its bitmap scans'; taking the
    bitmap scans' off leaves entries that nothing followed.
    """
    counted = [
        (index, picture.index_statistics[index.oid])
        for index in picture.indexes_of.get(row.oid, ())
        if index.oid in picture.index_statistics and index.method == "btree"
    ]
    table = picture.table_statistics.get(row.oid)
    read = sum(each.entries_read for _, each in counted)
    if table is None or read < FEWEST_ENTRIES:
        return None
    fetched = sum(each.rows_fetched for _, each in counted)
    left = skipped(read, fetched, max(0, table.index_rows - fetched))
    if left < SKIPPED_SHARE * read:
        return None
    index, _ = max(counted, key=lambda pair: pair[1].entries_read - pair[1].rows_fetched)
    name = f"{index.schema}.{index.name}"
    return Use(index=name, rows_per_hour=picture.per_hour(left), basis="counters")


def _asked(picture: Picture) -> list[tuple[Relation, Statement]]:
    """The most frequent statements that name a table with a low map, with that table."""
    low = [
        row
        for row in autovacuum.users_tables(picture)
        if picture.pages(row.oid) >= FEWEST_PAGES
        and visible_share(row) < VISIBLE_SHARE
        and _by_counters(picture, row) is None
    ]
    words = {row.oid: re.compile(rf"\b{re.escape(row.name)}\b") for row in low}
    reading = sorted(_reading(picture.snapshot.statements.rows), key=lambda each: -each.calls)
    found = [(row, each) for each in reading for row in low if words[row.oid].search(each.text)]
    return found[:MOST_QUESTIONS]


def _reading(rows: Iterable[Statement]) -> Iterable[Statement]:
    return (row for row in rows if row.text.lstrip().upper().startswith(("SELECT", "WITH")))


def _unanswered(picture: Picture, answers: Answers) -> list[tuple[Relation, Statement]]:
    """Those whose plan is not known, or does not tell.

    The sandbox's tables are empty, and there a bitmap scan costs what an index-only scan does: it
    tells nothing. An ordinary index scan does, because it would be index-only if it could.
    """
    return [(row, each) for row, each in _asked(picture) if not _tells(row, each, answers)]


def _tells(row: Relation, statement: Statement, answers: Answers) -> bool:
    answer = answers.get(PlanQuestion(statement=statement.text))
    if answer is None or not answer.answered:
        return False
    return not any(scan.node == "Bitmap Heap Scan" and _is_of(scan, row) for scan in answer.scans)


def _is_of(scan: Scan, row: Relation) -> bool:
    return scan.relation in (row.name, f"{row.schema}.{row.name}")


def _by_planner(picture: Picture, row: Relation, answers: Answers) -> Use | None:
    for relation, each in _asked(picture):
        answer = answers.get(PlanQuestion(statement=each.text))
        if relation.oid != row.oid or answer is None or not answer.answered:
            continue
        for scan in answer.scans:
            if scan.node == "Index Only Scan" and _is_of(scan, row):
                return Use(
                    index=scan.index or "?",
                    rows_per_hour=picture.per_hour(each.rows),
                    basis=f"planner ({answer.planner})",
                    statement=each.text,
                )
    return None


def _low(picture: Picture, row: Relation, use: Use) -> Finding:
    name, share = f"{row.schema}.{row.name}", visible_share(row)
    evidence = {
        "table": name,
        "all_visible_pages": row.all_visible_pages,
        "pages": row.pages,
        "index": use.index,
        "index_only_scans_shown_by": use.basis,
        "rows_per_hour": use.rows_per_hour,
    }
    return Finding(
        rule="low-all-visible",
        object=name,
        severity=Severity.NOTICE,
        claim=f"Only {percent(share)} of the pages of {name} are marked all-visible, and "
        f"index-only scans of {use.index} happen there (shown by the {use.basis}).",
        evidence=(evidence | ({"statement": use.statement} if use.statement else {}),),
        confidence=Confidence.MEASURED if use.basis == "counters" else Confidence.ESTIMATED,
        refuted_by="EXPLAIN (ANALYZE) of the statement without 'Index Only Scan', or with few "
        "'Heap Fetches'",
        cost_if_wrong="one vacuum more than needed",
        harm=harm.waste(1 - share, use.rows_per_hour),
        remedies=(
            remedies.vacuum(
                row.schema,
                row.name,
                shape=Shape(
                    rows={name: min(SHAPE_ROWS, max(1, round(picture.rows(row.oid) or 0)))}
                ),
                note="see vacuum-thresholds and dead-rows for why autovacuum did not come",
            ),
        ),
        window=picture.window,
    )
