"""What holds the horizon: why vacuum cannot remove what is dead.

Owns the rule on the oldest snapshot, per database and by effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from howdah.check import harm
from howdah.check.knowledge import autovacuum, pace
from howdah.check.knowledge.amounts import duration
from howdah.check.knowledge.holders import (
    Holder,
    catalog_holders,
    holders,
    of_database,
    unsure_sessions,
)
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Severity,
    rule,
)
from howdah.snapshot.facts.catalog import Database, Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.picture import SYSTEM_SCHEMAS, Picture

FEWEST_DEAD = 1_000  # rows of one table; fewer cost nobody anything
LONG_SECONDS = 300.0  # a transaction this long is longer than any request
LONG_AGE = 1_000  # ... if so many transactions began since
UNTIMED_AGE = 100_000  # where the server does not tell for how long
RECENT_SECONDS = 600.0  # a vacuum this recent should have left nothing over its trigger
AGE_SHARE = 0.10  # of autovacuum_freeze_max_age: an age that is worth knowing without any effect
CRITICAL_SHARE = 0.50  # of the failsafe age: the holder is on its way to stop the server
NAMED = 5  # holders and tables in the evidence


@dataclass(frozen=True, kw_only=True)
class Held:
    """A table with dead rows over its trigger while a holder is there."""

    relation: Relation
    statistics: TableStatistics
    trigger: float
    in_vain: bool  # vacuumed since the holder began, and still over the trigger

    @property
    def evidence(self) -> dict[str, Any]:
        """The table as an evidence row."""
        return {
            "table": f"{self.relation.schema}.{self.relation.name}",
            "dead_rows": self.statistics.dead,
            "live_rows": self.statistics.live,
            "vacuum_trigger_rows": round(self.trigger),
            "vacuumed_in_vain": self.in_vain,
        }


@rule(
    id="horizon-held",
    title="The horizon is held",
    severity=Severity.CRITICAL,
    objects="databases",
    needs=("databases", "sessions", "prepared_transactions", "slots", "standbys", "settings"),
    what="The oldest snapshot that vacuum must respect, per database: sessions and prepared "
    "transactions of that database, replication slots and standbys' feedback of any. It is "
    "reported when its effect shows (dead rows that a vacuum could not remove, or that pile up "
    "behind a long transaction), or when its age alone endangers freezing.",
    why="Rows that died after that snapshot stay: tables and indexes grow, every scan reads the "
    "dead, and nothing younger can be frozen.",
    wrong_when="A snapshot in another database does not hold this one and is not blamed, though "
    "it does hold the shared catalogs. VACUUM and safe concurrent index builds hold nothing. "
    "Whether the dead rows of a table died before or after the snapshot is known only where a "
    "vacuum ran in vain; otherwise the claim is an estimate. Counts of a DELETE that reach the "
    "statistics only after the VACUUM are added to what it left, and look like a vacuum in vain.",
    source="Measured on 14 and 18: a REPEATABLE READ snapshot in one database did not keep "
    "VACUUM in another from removing 4,000 of 4,000 rows; ComputeXidHorizons of the server",
)
def horizon_held(picture: Picture, _: Answers) -> Examination:
    """The oldest holder of each database, by what it costs."""
    if picture.server.in_recovery:
        return Examination(
            not_applicable="a standby removes nothing by itself: ask its primary what is held"
        )
    databases = [row for row in picture.snapshot.databases.rows if row.allows_connections]
    unsure = {row.name: unsure_sessions(picture, row.name) for row in databases}
    here = sum(unsure[row.name] for row in databases if row.is_current)
    # The database that was asked is the one that matters: without it there is no "ok" to give.
    sure = [] if here else [row for row in databases if not unsure[row.name]]
    return Examination(
        examined=len(sure),
        of=len(databases),
        unknown=f"{here} sessions of this database hold a snapshot, and the role may not see "
        "whether they are a VACUUM, which would be harmless",
        findings=tuple(_findings(picture, databases)),
    )


def _findings(picture: Picture, databases: Sequence[Database]) -> Iterator[Finding]:
    found = holders(picture)
    for row in databases:
        of_it = of_database(found, row.name)
        # What holds every database is told once, where its effect can be seen.
        if not row.is_current:
            of_it = tuple(holder for holder in of_it if holder.database is not None)
        if of_it and (finding := _held(picture, row, of_it)):
            yield finding
    if catalogs := _catalogs(picture):
        yield catalogs


def dead_tables(picture: Picture, oldest: Holder, *, catalogs: bool = False) -> list[Held]:
    """Tables of this database whose dead rows are over their trigger, the worst first."""
    found = []
    for row in picture.snapshot.relations.rows:
        statistics = picture.table_statistics.get(row.oid)
        trigger = autovacuum.vacuum_due(picture, row)
        is_catalog = row.schema in SYSTEM_SCHEMAS
        if statistics is None or trigger is None or is_catalog is not catalogs:
            continue
        if row.persistence != "t" and statistics.dead > max(trigger, FEWEST_DEAD):
            vain = _in_vain(picture, statistics, oldest)
            found.append(Held(relation=row, statistics=statistics, trigger=trigger, in_vain=vain))
    return sorted(found, key=lambda held: -held.statistics.dead)


def _in_vain(picture: Picture, statistics: TableStatistics, oldest: Holder) -> bool:
    """Whether a vacuum ran while the holder was there, and left these rows."""
    last = pace.latest(statistics.last_vacuum, statistics.last_autovacuum)
    if last is None:
        return False
    seconds = RECENT_SECONDS if oldest.seconds is None else oldest.seconds
    return last >= picture.now - timedelta(seconds=seconds)


def _blamed(picture: Picture, oldest: Holder) -> tuple[list[Held], Confidence]:
    """The tables whose dead rows the holder answers for, and what that rests on."""
    dead = dead_tables(picture, oldest)
    timed = oldest.seconds is not None
    if vain := [held for held in dead if held.in_vain]:
        return vain, Confidence.MEASURED if timed else Confidence.ESTIMATED
    long = timed and (oldest.seconds or 0) >= LONG_SECONDS and oldest.age >= LONG_AGE
    if long or (not timed and oldest.age >= UNTIMED_AGE):
        return dead, Confidence.ESTIMATED
    return [], Confidence.ESTIMATED


def _held(picture: Picture, row: Database, found: tuple[Holder, ...]) -> Finding | None:
    oldest = found[0]
    dead, confidence = _blamed(picture, oldest) if row.is_current else ([], Confidence.PROVEN)
    severity = _severity(picture, oldest)
    if severity is None and not dead:
        return None
    rows = sum(held.statistics.dead for held in dead)
    effect = f"; {rows:,} dead rows of {_tables(len(dead))} stay" if dead else ""
    return Finding(
        rule="horizon-held",
        object=f"database {row.name}",
        severity=severity or Severity.WARNING,
        claim=f"{_who(oldest)} holds the horizon of database {row.name} "
        f"{oldest.age:,} transactions back{_for(oldest)}{effect}.",
        evidence=(
            *(holder.evidence for holder in found[:NAMED]),
            *(held.evidence for held in dead[:NAMED]),
        ),
        confidence=confidence if dead else Confidence.PROVEN,
        refuted_by="VACUUM (VERBOSE) of the table that reports no row as dead but not yet "
        "removable, while the holder is still there",
        cost_if_wrong="a session ended, or a slot dropped, that did no harm",
        harm=_harm(picture, oldest, dead),
        remedies=tuple(holder.remedy for holder in found if holder.age >= 0.5 * oldest.age)[:NAMED],
        window=picture.window,
    )


def _tables(count: int) -> str:
    return "1 table" if count == 1 else f"{count} tables"


def _who(oldest: Holder) -> str:
    """The holder at the beginning of a sentence; a session's name says what it is."""
    if oldest.kind == "session":
        return oldest.name.capitalize()
    return f"{oldest.kind.capitalize()} {oldest.name}"


def _for(oldest: Holder) -> str:
    return "" if oldest.seconds is None else f", for {duration(oldest.seconds)}"


def _severity(picture: Picture, oldest: Holder) -> Severity | None:
    """What the age alone says, whatever its effect."""
    limit = picture.setting_number("autovacuum_freeze_max_age")
    failsafe = autovacuum.failsafe(picture, "vacuum_failsafe_age", "autovacuum_freeze_max_age")
    if failsafe is not None and oldest.age >= CRITICAL_SHARE * failsafe:
        return Severity.CRITICAL
    return Severity.WARNING if limit and oldest.age >= AGE_SHARE * limit else None


def _harm(picture: Picture, oldest: Holder, dead: Sequence[Held]) -> float:
    """Dead pages times the scans that meet them, and the wraparound that the age leads to."""
    pages = sum(autovacuum.dead_pages(picture, held.statistics) for held in dead)
    scans = max((held.statistics.sequential_scans for held in dead), default=0)
    hours = pace.hours_until(pace.STOP_AGE - oldest.age, pace.xids_per_hour(picture))
    return (
        harm.waste(pages, picture.per_hour(scans))
        + harm.held(pages)
        + harm.outage(hours, share=oldest.age / pace.STOP_AGE)
    )


def _catalogs(picture: Picture) -> Finding | None:
    """A logical slot's catalog_xmin: it holds the catalogs, and never a table of the user."""
    found = catalog_holders(picture)
    if not found:
        return None
    oldest, database = found[0], picture.server.database
    dead = dead_tables(picture, oldest, catalogs=True)
    dead = dead if oldest.age >= UNTIMED_AGE else []
    severity = _severity(picture, oldest)
    if severity is None and not dead:
        return None
    return Finding(
        rule="horizon-held",
        object=f"database {database}: catalogs",
        severity=severity or Severity.NOTICE,
        claim=f"Replication slot {oldest.name} holds the catalogs' horizon {oldest.age:,} "
        "transactions back; the users' tables are not held by it.",
        evidence=(
            *(holder.evidence for holder in found[:NAMED]),
            *(held.evidence for held in dead[:NAMED]),
        ),
        confidence=Confidence.PROVEN,
        refuted_by="catalog_xmin of the slot moves on",
        cost_if_wrong="a slot dropped whose consumer would have come back",
        harm=_harm(picture, oldest, dead),
        remedies=tuple(holder.remedy for holder in found[:NAMED]),
        window=picture.window,
    )
