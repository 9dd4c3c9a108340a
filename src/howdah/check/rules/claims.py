"""Claims that cost more than they take.

Owns the rules on how workers take rows from a queue: scans through dead rows, crowds at the head,
batches too large.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted, duration, size
from howdah.check.knowledge.claiming import Claim
from howdah.check.knowledge.queueing import (
    NEEDS,
    OBJECTS,
    Queueing,
    horizon,
    queueings,
    recognised,
)
from howdah.check.knowledge.readable import as_far_as_read
from howdah.check.model import Answers, Confidence, Examination, Finding, Severity, Shape, rule
from howdah.snapshot.facts.activity import Session
from howdah.snapshot.facts.catalog import Index
from howdah.snapshot.picture import PAGE_BYTES, Picture

_MIN_CALLS = 20  # fewer calls are a person trying something
# A storm: entries returned per scan that led to no row. A fresh queue has a handful.
_STORM_ENTRIES = 100
_STORM_FACTOR = 10  # over the rows that the scan did fetch
# Pages per row taken, at least this many per call. Measured: 2.3 fresh, 117 in a storm; a claim
# that also updates three indexes needs about 14.
_STORM_PAGES_PER_ROW = 25
_STORM_PAGES = 100
# Sessions in the claim, or holding what it locked, at one moment; or on average over the window.
_CROWD_SESSIONS = 8
_CROWD_AVERAGE = 4.0
_CROWD_ROWS = 2.0  # rows per call: whoever takes one at a time meets everybody else's
_BATCH_ROWS = 1000  # mean rows per call
_BATCH_WAL_BYTES = 16 * 1024**2  # a WAL segment per call


# --- storms ---------------------------------------------------------------------------------------


@rule(
    id="queue-index-storm",
    title="Queue index read through dead entries",
    severity=Severity.WARNING,
    objects=OBJECTS,
    needs=(*NEEDS, "indexes", "index_statistics", "table_statistics"),
    what="An index of a queue whose scans return far more entries than rows, beyond what bitmap "
    "scans explain, while the queue's claims touch far more pages than they take rows.",
    why="Rows that were done stay in the index until VACUUM may remove them, and while anybody "
    "holds an old snapshot it may not. Every claim steps over all of them, so its cost grows with "
    "everything done since.",
    wrong_when="Index-only scans return entries without fetching rows too; that is why the claims' "
    "own pages must agree. The counters are averages of the window: a storm that has passed still "
    "shows, and one that has just begun does not yet.",
    source="Measured: 10 rows cost 23 pages fresh, 1,173 after 55,000 processed rows under one "
    "open snapshot, with 27,510 entries read per scan, and 23 again after VACUUM",
)
def queue_index_storm(picture: Picture, _: Answers) -> Examination:
    """Queues with both signs: the index's and the claims'."""
    queues = [each for each in queueings(picture) if _has_run(each)]
    findings = []
    for queue in queues:
        costly = [claim for claim in queue.claims if _is_costly(claim)]
        stormy = [index for index in _indexes(picture, queue) if _wasted(picture, index)]
        if costly and stormy:
            findings.append(_storm(picture, queue, costly, stormy))
    seen = Examination(
        examined=len(queues),
        of=len(queueings(picture)),
        unknown=f"their claims were called fewer than {_MIN_CALLS} times",
        findings=tuple(findings),
    )
    return as_far_as_read(picture, seen)


def _has_run(queue: Queueing) -> bool:
    return sum(claim.statement.calls for claim in queue.claims) >= _MIN_CALLS


def _tables(picture: Picture, queue: Queueing) -> tuple[int, ...]:
    return picture.leaves(queue.relation) or (queue.relation,)


def _indexes(picture: Picture, queue: Queueing) -> Iterator[Index]:
    for table in _tables(picture, queue):
        yield from picture.indexes_of.get(table, ())


def _pages_per_call(claim: Claim) -> float:
    statement = claim.statement
    return (statement.blocks_hit + statement.blocks_read) / max(1, statement.calls)


def _is_costly(claim: Claim) -> bool:
    pages = _pages_per_call(claim)
    return pages >= _STORM_PAGES and pages >= _STORM_PAGES_PER_ROW * max(1, claim.rows_per_call)


def _wasted(picture: Picture, index: Index) -> float:
    """Entries per scan that led to no row and that no bitmap scan explains; 0 for no storm."""
    statistics = picture.index_statistics.get(index.oid)
    table = picture.table_statistics.get(index.relation)
    if statistics is None or table is None or statistics.scans < _MIN_CALLS:
        return 0.0
    # The table counts rows fetched by plain and by bitmap scans, the index those by plain ones.
    plain = sum(
        row.rows_fetched
        for each in picture.indexes_of.get(index.relation, ())
        if (row := picture.index_statistics.get(each.oid))
    )
    by_bitmaps = max(0, table.index_rows - plain)
    wasted = (statistics.entries_read - statistics.rows_fetched - by_bitmaps) / statistics.scans
    fetched = statistics.rows_fetched / statistics.scans
    return wasted if wasted >= max(_STORM_ENTRIES, _STORM_FACTOR * fetched) else 0.0


def _storm(
    picture: Picture, queue: Queueing, claims: Sequence[Claim], indexes: Sequence[Index]
) -> Finding:
    worst = max(claims, key=_pages_per_call)
    pages, calls = _pages_per_call(worst), worst.statement.calls
    dead = _dead(picture, queue)
    relation = picture.relations[queue.relation]
    names = ", ".join(f"{index.schema}.{index.name}" for index in indexes)
    entries = max(_wasted(picture, index) for index in indexes)
    return Finding(
        rule="queue-index-storm",
        object=queue.table,
        severity=Severity.WARNING,
        claim=f"Taking {worst.rows_per_call:.1f} rows from {queue.table} touches {pages:,.0f} "
        f"pages: each scan of {names} steps over {entries:,.0f} entries that lead to no row.",
        evidence=(
            *(_index_row(picture, index) for index in indexes),
            {
                "statement": worst.statement.text,
                "calls": calls,
                "rows_per_call": round(worst.rows_per_call, 2),
                "pages_per_call": round(pages, 1),
                "dead_rows": dead,
                "oldest_horizon_transactions": horizon(picture),
            },
            *recognised(picture, [queue]),
        ),
        confidence=Confidence.MEASURED,
        refuted_by="EXPLAIN (ANALYZE, BUFFERS) of the claim showing about one page per row",
        cost_if_wrong="one VACUUM more",
        harm=harm.waste(pages - worst.rows_per_call, picture.per_hour(calls)),
        remedies=(
            remedies.vacuum(
                relation.schema,
                relation.name,
                shape=Shape(rows={queue.table: 1000}, dead={queue.table: 10_000}),
                note="helps once no old snapshot, slot or prepared transaction holds the horizon; "
                "the counters of the window stay as they are",
            ),
        ),
        window=picture.window,
    )


def _index_row(picture: Picture, index: Index) -> dict[str, object]:
    statistics = picture.index_statistics[index.oid]
    return {
        "index": f"{index.schema}.{index.name}",
        "scans": statistics.scans,
        "entries_read_per_scan": round(statistics.entries_read / statistics.scans, 1),
        "rows_fetched_per_scan": round(statistics.rows_fetched / statistics.scans, 1),
        "entries_wasted_per_scan": round(_wasted(picture, index), 1),
    }


def _dead(picture: Picture, queue: Queueing) -> int:
    rows = (picture.table_statistics.get(table) for table in _tables(picture, queue))
    return sum(row.dead for row in rows if row)


# --- crowds ---------------------------------------------------------------------------------------


@rule(
    id="queue-skip-locked-crowd",
    title="Many workers at one queue's head",
    severity=Severity.WARNING,
    objects="claims with SKIP LOCKED",
    needs=(*NEEDS, "sessions"),
    what="A claim with SKIP LOCKED that many sessions run, or hold the rows of, at one moment or "
    "on average over the window, taking about one row per call.",
    why="All start at the same head. Each visits every row that the others have locked before it "
    "finds a free one, so the work grows with the square of the workers, and the head's pages are "
    "fought over.",
    wrong_when="One moment is a sample of one: a start of many workers looks like a crowd. A slow "
    "claim for another reason raises the average too; the pages per row tell the two apart.",
    source="PostgreSQL documentation, SELECT, 'The Locking Clause'; arithmetic: n workers skip up "
    "to n-1 locked rows each",
)
def queue_skip_locked_crowd(picture: Picture, _: Answers) -> Examination:
    """Claims that are crowded now or were on average."""
    pairs = [
        (queue, claim)
        for queue in queueings(picture)
        for claim in queue.claims
        if claim.skips_locked
    ]
    visible = all(row.is_visible for row in picture.snapshot.sessions.rows)
    judged = [
        (queue, claim)
        for queue, claim in pairs
        if claim.statement.calls >= _MIN_CALLS and (visible or _average(picture, claim) is not None)
    ]
    seen = Examination(
        examined=len(judged),
        of=len(pairs),
        unknown="other sessions are not visible to the role, or the claim was called fewer than "
        f"{_MIN_CALLS} times",
        findings=tuple(
            _crowd(picture, queue, claim)
            for queue, claim in judged
            if claim.rows_per_call < _CROWD_ROWS and _is_crowded(picture, claim)
        ),
    )
    return as_far_as_read(picture, seen)


def _in_claim(picture: Picture, claim: Claim) -> list[Session]:
    """Sessions in the claim, or idle in the transaction that claimed."""
    return [
        row
        for row in picture.snapshot.sessions.rows
        if row.query_id == claim.statement.query_id
        and row.state in ("active", "idle in transaction")
    ]


def _average(picture: Picture, claim: Claim) -> float | None:
    """Mean number of sessions in the claim: its total time over the window's (Little's law)."""
    seconds = picture.window.seconds
    return claim.statement.total_milliseconds / 1000 / seconds if seconds else None


def _is_crowded(picture: Picture, claim: Claim) -> bool:
    average = _average(picture, claim)
    return len(_in_claim(picture, claim)) >= _CROWD_SESSIONS or (
        average is not None and average >= _CROWD_AVERAGE
    )


def _crowd(picture: Picture, queue: Queueing, claim: Claim) -> Finding:
    sessions, average = _in_claim(picture, claim), _average(picture, claim)
    calls, pages = claim.statement.calls, _pages_per_call(claim)
    per_row = pages / max(claim.rows_per_call, 1 / calls)
    costly = per_row >= _STORM_PAGES_PER_ROW
    return Finding(
        rule="queue-skip-locked-crowd",
        object=f"{queue.table}: {claim.statement.query_id}",
        severity=Severity.WARNING if costly else Severity.NOTICE,
        claim=f"{counted(len(sessions), 'session was', 'sessions were')} in one claim of "
        f"{queue.table}"
        + ("" if average is None else f" ({average:.1f} on average)")
        + f", each call reading {pages:,.0f} pages for {claim.rows_per_call:.1f} rows.",
        evidence=(
            {
                "statement": claim.statement.text,
                "sessions_in_it_now": len(sessions),
                "of_which_idle_in_transaction": sum(
                    row.state == "idle in transaction" for row in sessions
                ),
                "average_sessions_over_window": average and round(average, 2),
                "calls": calls,
                "rows_per_call": round(claim.rows_per_call, 2),
                "pages_per_row": round(per_row, 1),
                "mean_milliseconds": round(claim.statement.total_milliseconds / calls, 3),
            },
            *recognised(picture, [queue]),
        ),
        confidence=Confidence.MEASURED,
        refuted_by="the mean time of the claim staying the same with a quarter of the workers",
        cost_if_wrong="batches delay a job by at most one batch",
        harm=harm.waste(max(0.0, pages - 10), picture.per_hour(calls)),
        remedies=(
            remedies.manual(
                "claim-in-batches",
                {"table": queue.table},
                (),
                "let one call take what several workers need (LIMIT 10 to 100) and hand it out, "
                "or give each worker its own share by a hash of the key",
            ),
        ),
        window=picture.window,
    )


# --- batches --------------------------------------------------------------------------------------


@rule(
    id="queue-batch-too-large",
    title="Batches of a queue too large",
    severity=Severity.NOTICE,
    objects="claims that lock or delete",
    needs=NEEDS,
    what="A claim that locks, updates or deletes a thousand rows or more per call on average, or "
    "writes a WAL segment per call, or has such a literal LIMIT.",
    why="A batch is one transaction. What it took stays locked until its last row is done, a crash "
    "repeats all of it, its dead rows arrive at once, and meanwhile it holds the horizon.",
    wrong_when="Where rows are done in microseconds, a large batch may be the cheapest way.",
    source="Arithmetic on pg_stat_statements: rows, WAL and time per call",
)
def queue_batch_too_large(picture: Picture, _: Answers) -> Examination:
    """Claims by their mean batch."""
    pairs = [
        (queue, claim)
        for queue in queueings(picture)
        for claim in queue.claims
        if claim.locks or claim.deletes
    ]
    seen = Examination(
        examined=len(pairs),
        of=len(pairs),
        findings=tuple(_large(picture, queue, claim) for queue, claim in pairs if _is_large(claim)),
    )
    return as_far_as_read(picture, seen)


def _is_large(claim: Claim) -> bool:
    statement = claim.statement
    wal = statement.wal_bytes / max(1, statement.calls)
    literal = claim.batch is not None and claim.batch >= 10 * _BATCH_ROWS
    return claim.rows_per_call >= _BATCH_ROWS or wal >= _BATCH_WAL_BYTES or literal


def _large(picture: Picture, queue: Queueing, claim: Claim) -> Finding:
    statement = claim.statement
    calls = max(1, statement.calls)
    wal = statement.wal_bytes / calls
    return Finding(
        rule="queue-batch-too-large",
        object=f"{queue.table}: {statement.query_id}",
        severity=Severity.NOTICE,
        claim=f"One call takes {counted(claim.rows_per_call, 'row')} of {queue.table}, writes "
        f"{size(wal)} of WAL and lasts {duration(statement.total_milliseconds / calls / 1000)}.",
        evidence=(
            {
                "statement": statement.text,
                "calls": statement.calls,
                "rows_per_call": round(claim.rows_per_call, 1),
                "limit": claim.batch,
                "wal_bytes_per_call": round(wal),
                "milliseconds_per_call": round(statement.total_milliseconds / calls, 1),
            },
            *recognised(picture, [queue]),
        ),
        confidence=Confidence.MEASURED,
        refuted_by="the time between claim and commit being short all the same",
        cost_if_wrong="a few more round trips",
        harm=harm.held(wal / PAGE_BYTES),
        remedies=(
            remedies.manual(
                "claim-smaller-batches",
                {"table": queue.table},
                (),
                "take 10 to 500 rows per call: a tenth of a second's work",
            ),
        ),
        window=picture.window,
    )
