"""Freezing that does not happen: vacuums that starve, tables that only their session can freeze.

Owns the rules on anti-wraparound vacuums that do not get their work done, and on old temporary
tables of live sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from howdah.check import harm, remedies
from howdah.check.knowledge import autovacuum, pace
from howdah.check.knowledge.ages import HELD, MXIDS, WORRY_SHARE, XIDS
from howdah.check.knowledge.autovacuum import Heap
from howdah.check.knowledge.holders import end_session
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Severity,
    rule,
)
from howdah.snapshot.facts.activity import Lock, Session, VacuumProgress
from howdah.snapshot.facts.catalog import Relation
from howdah.snapshot.picture import SYSTEM_SCHEMAS, Picture

STARVED_FACTOR = 1.1  # over its limit by so much, a table has been passed over
WORST = 20  # tables reported one by one; beyond it the database's own finding counts them all


# --- starved vacuums ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Overdue:
    """A heap beyond the age that forces a vacuum."""

    heap: Heap
    word: str
    age: int
    limit: float

    @property
    def factor(self) -> float:
        """How far beyond, as a multiple of the limit."""
        return self.age / max(1.0, self.limit)


@rule(
    id="anti-wraparound-starved",
    title="Anti-wraparound vacuum does not get its work done",
    severity=Severity.CRITICAL,
    objects="tables",
    needs=("relations", "settings", "vacuum_progress"),
    what="Tables more than 10 % beyond the age that forces a vacuum, whose vacuum is not running "
    "or is waiting for somebody's lock or page.",
    why="A forced vacuum is the last routine means against wraparound. If it never starts or "
    "never ends, the age grows until the failsafe, and then until writes stop.",
    wrong_when="One snapshot cannot see that a vacuum is cancelled again and again: the server's "
    "log can. Just after many tables crossed the limit together, the workers simply need time. "
    "While MultiXact members run short the limit moves, and many tables cross it at once.",
    source="PostgreSQL documentation, Routine Vacuuming, 'The Autovacuum Daemon'",
)
def anti_wraparound_starved(picture: Picture, _: Answers) -> Examination:
    """Tables beyond their forced-vacuum age that no vacuum works on, or only a blocked one."""
    relations = [row for row in picture.snapshot.relations.rows if row.persistence != "t"]
    found = [heap for row in relations for heap in autovacuum.heaps(row)]
    overdue = [late for heap in found if (late := _overdue(picture, heap))]
    waiting = _waiting(picture)
    running = autovacuum.vacuumed_now(picture)
    idle = [late for late in overdue if late.heap.oid not in {*running, *waiting}]
    # A vacuum that the role may not see could be at work on any of them.
    unsure = len(idle) if autovacuum.hides_vacuums(picture) else 0
    starved = [late for late in overdue if late.heap.oid in waiting] + ([] if unsure else idle)
    starved.sort(key=lambda late: _rank(late, late.heap.oid in waiting))
    findings = [_starved(picture, late, waiting.get(late.heap.oid)) for late in starved[:WORST]]
    if len(starved) > WORST:
        findings.append(_many_starved(picture, starved))
    return Examination(
        examined=len(found) - unsure,
        of=len(found) + picture.snapshot.relations.left_out,
        unknown=picture.snapshot.relations.reason or autovacuum.HIDDEN,
        findings=tuple({finding.id: finding for finding in reversed(findings)}.values()),
    )


def _rank(late: Overdue, is_waiting: bool) -> tuple[bool, bool, float, str]:
    """Whose vacuum is held up comes first, then the users' tables, the worst first."""
    is_catalog = late.heap.relation.schema in SYSTEM_SCHEMAS
    return (not is_waiting, is_catalog, -late.factor, late.heap.name)


def _overdue(picture: Picture, heap: Heap) -> Overdue | None:
    """How far beyond its limit a heap is, by the worse of the two kinds of ids."""
    found = []
    for ids in (XIDS, MXIDS):
        limit, age = ids.limit(picture, heap), ids.of_heap(heap)
        if limit is not None and age > max(1.0, limit * STARVED_FACTOR):
            found.append(Overdue(heap=heap, word=ids.word, age=age, limit=limit))
    return max(found, key=lambda late: late.factor, default=None)


def _waiting(picture: Picture) -> dict[int, Session]:
    """Vacuums that wait, by the heap they wait for or work on."""
    sessions = {row.pid: row for row in picture.snapshot.sessions.rows}
    found: dict[int, Session] = {}
    rows: list[Lock | VacuumProgress] = [
        row for row in picture.snapshot.locks.rows if row.kind == "relation" and not row.is_granted
    ]
    rows += [
        row
        for row in picture.snapshot.vacuum_progress.rows
        if row.database == picture.server.database
    ]
    for row in rows:
        session = sessions.get(row.pid)
        if session is None or row.relation_oid is None:
            continue
        is_worker = isinstance(row, VacuumProgress) or session.backend_type == "autovacuum worker"
        # BufferPin: an open cursor sits on a page that the vacuum must clean alone.
        if is_worker and session.wait_type in ("Lock", "BufferPin", "Buffer"):
            found[row.relation_oid] = session
    return found


def _reason(picture: Picture, waiting: Session | None) -> str:
    if waiting is not None:
        return f"its vacuum (process {waiting.pid}) waits for {waiting.wait_type}"
    busy = autovacuum.workers(picture)
    if busy is None:
        return "no vacuum of it is running"
    if busy[0] >= busy[1]:
        return f"all {busy[1]:.0f} autovacuum workers are busy elsewhere"
    return f"no vacuum of it is running, though {busy[1] - busy[0]:.0f} workers are free"


def _starved(picture: Picture, late: Overdue, waiting: Session | None) -> Finding:
    name, reason = late.heap.name, _reason(picture, waiting)
    part = "the TOAST table of " if late.heap.is_toast else ""
    return Finding(
        rule="anti-wraparound-starved",
        object=name,
        severity=_starved_severity(picture, late),
        claim=f"{part}{name} is {late.age:,} {late.word} old, {late.factor:.1f} times the age "
        f"that forces a vacuum ({late.limit:,.0f}), and {reason}.",
        evidence=(
            {
                "table": name,
                "is_toast": late.heap.is_toast,
                "ids": late.word,
                "age": late.age,
                "forced_vacuum_at_age": late.limit,
                "reason": reason,
                "pages": late.heap.relation.pages,
            },
            *_blockers(picture, waiting),
        ),
        confidence=Confidence.PROVEN,
        refuted_by="a row for the table in pg_stat_progress_vacuum that moves on",
        cost_if_wrong="one vacuum of the table more than needed",
        harm=harm.outage(
            pace.hours_until(pace.STOP_AGE - late.age, pace.xids_per_hour(picture)), share=0.5
        ),
        remedies=(
            *(end_session(row.pid) for row in _blocking_sessions(picture, waiting)),
            remedies.vacuum(
                late.heap.relation.schema, late.heap.relation.name, freeze=True, note=HELD
            ),
        ),
    )


def _starved_severity(picture: Picture, late: Overdue) -> Severity:
    ids = XIDS if late.word == XIDS.word else MXIDS
    failsafe = autovacuum.failsafe(picture, ids.failsafe_setting, ids.freeze_setting)
    near = failsafe is not None and late.age >= failsafe
    return Severity.CRITICAL if near else Severity.WARNING


def _blocking_sessions(picture: Picture, waiting: Session | None) -> list[Session]:
    if waiting is None:
        return []
    rows = picture.snapshot.blocking.rows
    pids = {pid for row in rows if row.pid == waiting.pid for pid in row.blockers}
    return [row for row in picture.snapshot.sessions.rows if row.pid in pids]


def _blockers(picture: Picture, waiting: Session | None) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "blocker_pid": row.pid,
            "blocker_role": row.role,
            "blocker_application": row.application,
            "blocker_seconds_in_transaction": row.seconds_in_transaction,
        }
        for row in _blocking_sessions(picture, waiting)
    )


def _many_starved(picture: Picture, starved: Sequence[Overdue]) -> Finding:
    worst = max(starved, key=lambda late: late.factor)
    return Finding(
        rule="anti-wraparound-starved",
        object=f"database {picture.server.database}",
        severity=max(
            (_starved_severity(picture, late) for late in starved),
            key=lambda severity: severity is Severity.CRITICAL,
        ),
        claim=f"{len(starved):,} tables of {picture.server.database} are beyond the age that "
        f"forces a vacuum, and none of them is making headway; the worst {WORST} have a finding of "
        "their own.",
        evidence=({"tables": len(starved), "worst": worst.heap.name, "worst_age": worst.age},),
        confidence=Confidence.PROVEN,
        refuted_by="rows in pg_stat_progress_vacuum for these tables",
        cost_if_wrong="vacuums earlier than needed",
        harm=harm.outage(
            pace.hours_until(pace.STOP_AGE - worst.age, pace.xids_per_hour(picture)), share=0.5
        ),
        remedies=(
            remedies.manual(
                "vacuum",
                {"database": picture.server.database},
                ("VACUUM (FREEZE)",),
                "vacuums every table of the database, one after the other",
            ),
        ),
    )


# --- temporary tables -----------------------------------------------------------------------------


@rule(
    id="temp-table-age",
    title="Old temporary table of a live session",
    severity=Severity.WARNING,
    objects="temporary tables",
    needs=("relations", "settings"),
    what="Temporary tables older than autovacuum_freeze_max_age whose session is still connected.",
    why="Autovacuum cannot read another session's temporary table. Only that session can freeze "
    "it, and until it does or ends, the whole database's oldest transaction id stays where it is.",
    wrong_when="A pooler may give the session back and drop the table at any moment. Before 16 the "
    "server does not tell whether the session is connected: that autovacuum did not drop the table "
    "as an orphan speaks for it.",
    source="PostgreSQL documentation, CREATE TABLE, 'TEMPORARY or TEMP'",
)
def temp_table_age(picture: Picture, _: Answers) -> Examination:
    """Temporary tables beyond the server's freeze age; orphaned ones are autovacuum's to drop."""
    tables = [
        row
        for row in picture.snapshot.relations.rows
        if row.persistence == "t" and row.xid_age is not None
    ]
    limit = picture.setting_number("autovacuum_freeze_max_age")
    if limit is None:
        return Examination(of=len(tables), unknown="the freeze settings are not in the snapshot")
    old = [row for row in tables if (row.xid_age or 0) > limit]
    unsure = [row for row in old if _has_session(picture, row) is None]
    return Examination(
        examined=len(tables) - len(unsure),
        of=len(tables),
        unknown="whether the sessions of the others are connected is not known before 16",
        findings=tuple(
            _old_temporary(picture, row, limit) for row in old if _has_session(picture, row)
        ),
    )


def _has_session(picture: Picture, row: Relation) -> bool | None:
    """Whether its session is connected; by inference where the server does not tell.

    Autovacuum drops orphaned temporary tables whenever it comes by: one that grew old while
    autovacuum was on has an owner.
    """
    if row.temp_session_alive is not None:
        return row.temp_session_alive
    return autovacuum.is_enabled_on_server(picture) or None


def _old_temporary(picture: Picture, row: Relation, limit: float) -> Finding:
    name, age = f"{row.schema}.{row.name}", row.xid_age or 0
    failsafe = autovacuum.failsafe(picture, XIDS.failsafe_setting, XIDS.freeze_setting)
    return Finding(
        rule="temp-table-age",
        object=name,
        severity=Severity.WARNING
        if failsafe is not None and age > WORRY_SHARE * failsafe
        else Severity.NOTICE,
        claim=f"The temporary table {name} of a live session is {age:,} transaction ids old; "
        "only its own session can freeze it.",
        evidence=({"table": name, "age": age, "freeze_max_age": limit, "pages": row.pages},),
        confidence=Confidence.ESTIMATED if row.temp_session_alive is None else Confidence.PROVEN,
        refuted_by="the table is gone, or age(relfrozenxid) is low again",
        cost_if_wrong="a session is ended, and its work since the last commit lost",
        harm=harm.outage(
            pace.hours_until(pace.STOP_AGE - age, pace.xids_per_hour(picture)), share=0.1
        ),
        remedies=(
            remedies.manual(
                "end-session",
                {"temporary_schema": row.schema},
                (),
                f"have the session that owns {row.schema} run VACUUM on the table, drop it, or "
                "disconnect",
            ),
        ),
    )
