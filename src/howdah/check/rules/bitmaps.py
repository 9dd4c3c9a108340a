"""Bitmap scans that outgrow work_mem.

Owns the rule on lossy bitmaps. A snapshot holds no plans, so the rule proves what cannot be lossy,
asks a planner about the rest, and says unknown where nobody answers.
"""

from __future__ import annotations

from howdah.check import harm, remedies
from howdah.check.knowledge.composing import composed, literal
from howdah.check.knowledge.parsing import Resolver
from howdah.check.knowledge.texts import reads_catalogs_only, statement_name
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    PlanQuestion,
    Question,
    Severity,
    rule,
)
from howdah.snapshot.facts.counters import Statement
from howdah.snapshot.picture import Picture

# Exact pages of a bitmap per byte of work_mem: measured on 15 and 18 with 64 kB to 256 kB.
_BITMAP_BYTES_PER_PAGE = 64
_BITMAP_STATEMENTS = 20  # questions for a planner


def _exact_pages(picture: Picture) -> int:
    return int((picture.setting_number("work_mem") or 0) // _BITMAP_BYTES_PER_PAGE)


def _blocks_per_call(row: Statement) -> float:
    return (row.blocks_hit + row.blocks_read) / max(1, row.calls)


def _wide(picture: Picture) -> list[Statement]:
    """Statements that touch more blocks a call than an exact bitmap can name, by their time."""
    exact, resolver = _exact_pages(picture), Resolver(picture)
    rows = [
        row
        for row in picture.snapshot.statements.rows
        if _blocks_per_call(row) > exact and not reads_catalogs_only(row.text, resolver)
    ]
    return sorted(rows, key=lambda row: -row.total_milliseconds)


def _wide_questions(picture: Picture) -> list[Question]:
    if not any(row.pages > _exact_pages(picture) for row in picture.user_relations):
        return []
    return [PlanQuestion(statement=row.text) for row in _wide(picture)[:_BITMAP_STATEMENTS]]


@rule(
    id="lossy-bitmaps",
    title="Bitmap too large for work_mem",
    severity=Severity.NOTICE,
    objects="statements",
    needs=("statements", "settings", "relations"),
    ask=_wide_questions,
    what="A statement that touches more blocks a call than work_mem / 64 bytes, and that a planner "
    "answers by a bitmap heap scan of a table with more pages than that.",
    why="A bitmap that outgrows work_mem keeps whole pages instead of rows: every row of those "
    "pages is checked again.",
    wrong_when="A snapshot holds no plans: the planner of the sandbox may choose a bitmap where "
    "the real one does not, and a role may have its own work_mem. EXPLAIN (ANALYZE) decides: look "
    "for 'lossy' in Heap Blocks. A statement below the limit cannot be lossy.",
    source="Measured on 15 and 18: exact pages are work_mem / 64 bytes",
)
def lossy_bitmaps(picture: Picture, answers: Answers) -> Examination:
    """Statements that may be lossy; what stays below the limit is proven not to be."""
    rows = picture.snapshot.statements.rows
    exact = _exact_pages(picture)
    large = {
        picture.relation_name(row.oid): picture.pages(row.oid)
        for row in picture.user_relations
        if picture.pages(row.oid) > exact
    }
    wide = _wide(picture) if large else []
    findings, unanswered = [], 0
    for row in wide:
        answer = answers.get(PlanQuestion(statement=row.text))
        if answer is None or not answer.answered:
            unanswered += 1
            continue
        scans = [s for s in answer.scans if s.node == "Bitmap Heap Scan" and s.relation in large]
        if scans:
            table = str(scans[0].relation)
            findings.append(_lossy(picture, row, table, large[table], answer.planner))
    return Examination(
        examined=len(rows) - unanswered,
        of=len(rows),
        unknown=f"{unanswered} statements touch more than {exact} blocks, and no plan is known",
        findings=tuple(findings),
    )


def _lossy(picture: Picture, row: Statement, table: str, pages: int, planner: str) -> Finding:
    needed = min(pages, _blocks_per_call(row)) * _BITMAP_BYTES_PER_PAGE
    return Finding(
        rule="lossy-bitmaps",
        object=statement_name(row.text),
        severity=Severity.NOTICE,
        claim=f"A bitmap scan of {table} may touch {_blocks_per_call(row):,.0f} pages a call, and "
        f"work_mem has room to name {_exact_pages(picture):,} exactly.",
        evidence=(
            {
                "statement": row.text,
                "table": table,
                "table_pages": pages,
                "blocks_per_call": round(_blocks_per_call(row)),
                "exact_pages": _exact_pages(picture),
                "work_mem_bytes_for_exact": int(needed),
                "planner": planner,
            },
        ),
        confidence=Confidence.ESTIMATED,
        refuted_by="EXPLAIN (ANALYZE): no 'lossy' in Heap Blocks",
        cost_if_wrong="memory that this statement does not need",
        harm=harm.held(1),
        remedies=(
            remedies.manual(
                "raise-work-mem",
                {"role": row.role},
                (composed("SET work_mem = {m}", m=literal(f"{int(needed // 1024) + 1}kB")),),
                "for this statement's role only, after EXPLAIN (ANALYZE) showed lossy blocks; or a "
                "more selective index",
            ),
        ),
        window=picture.window,
    )
