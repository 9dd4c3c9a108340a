"""Vacuum: dead rows that pile up although autovacuum should have come.

Owns the rule on the work that autovacuum owes a table, and its causes. What holds the horizon is
`horizon`'s, what autovacuum was told is `autovacuum_options`'.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from howdah.check import harm, remedies
from howdah.check.knowledge import autovacuum, pace
from howdah.check.knowledge.holders import Holder, holders, of_database
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Remedy,
    Severity,
    Shape,
    rule,
)
from howdah.snapshot.facts.catalog import Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.picture import Picture

FEWEST_DEAD = 1_000  # rows; a table with fewer dead ones costs nobody anything
OVERDUE_FACTOR = 2.0  # over its trigger by so much, a table was not reached within a nap or two
RECENT_SECONDS = 600.0  # a vacuum this recent should have left nothing over the trigger
SETTLED_SECONDS = 3600.0  # a window shorter than this has not seen what a table needs
NAMED = 5  # partitions in the evidence
SHAPE_ROWS = 20_000  # at most, on a sandbox


@dataclass(frozen=True, kw_only=True)
class Dead:
    """A table with more dead rows than autovacuum should leave."""

    relation: Relation
    statistics: TableStatistics
    trigger: float
    cause: str
    held_by: Holder | None = None

    @property
    def evidence(self) -> dict[str, Any]:
        """The table as an evidence row."""
        return {
            "table": f"{self.relation.schema}.{self.relation.name}",
            "dead_rows": self.statistics.dead,
            "live_rows": self.statistics.live,
            "vacuum_trigger_rows": round(self.trigger),
            "cause": self.cause,
            "last_vacuum": self.statistics.last_vacuum,
            "last_autovacuum": self.statistics.last_autovacuum,
        }


@rule(
    id="dead-rows",
    title="Dead rows over the trigger",
    severity=Severity.WARNING,
    objects="tables",
    needs=("relations", "table_statistics", "settings", "vacuum_progress"),
    what="Tables with more dead rows than bring autovacuum (threshold + scale factor x rows, with "
    "the table's own options and the cap of 18), that no vacuum is working on, and why: it is "
    "off, the horizon is held, all workers are busy, or it has not come although the trigger was "
    "crossed twice over.",
    why="Dead rows are read by every scan, kept by every index, and make the table grow.",
    wrong_when="A bulk delete of the last minute looks like neglect until autovacuum wakes. The "
    "counters of a busy session arrive late, and a crash sets them to zero: a table without any "
    "vacuum or ANALYZE in a short window is left unexamined.",
    source="relation_needs_vacanalyze of PostgreSQL 14 to 18; PostgreSQL documentation, 'The "
    "Autovacuum Daemon'",
)
def dead_rows(picture: Picture, _: Answers) -> Examination:
    """Tables over their effective trigger that are not being vacuumed, with the cause."""
    tables = autovacuum.users_tables(picture)
    if picture.server.in_recovery:
        return Examination(of=len(tables), unknown=autovacuum.STANDBY)
    judged = [row for row in tables if _is_judged(picture, row)]
    found = [dead for row in judged if (dead := _dead(picture, row))]
    groups = _by_root(picture, found)
    return Examination(
        examined=len(judged),
        of=len(tables) + picture.snapshot.relations.left_out,
        unknown=picture.snapshot.relations.reason
        or (autovacuum.HIDDEN if autovacuum.hides_vacuums(picture) else "")
        or "some tables were not vacuumed since the counters began, which is less than an hour "
        "ago. Try: look again later",
        findings=tuple(_dead_rows(picture, root, group) for root, group in groups.items()),
    )


def _is_judged(picture: Picture, row: Relation) -> bool:
    """Whether the counters say something about this table: see `wrong_when`."""
    if picture.is_void(row.oid):
        return True
    statistics, trigger = picture.table_statistics.get(row.oid), autovacuum.vacuum_due(picture, row)
    if statistics is None or trigger is None:
        return False
    if statistics.dead > trigger:
        return not autovacuum.hides_vacuums(picture)
    return _is_settled(picture, statistics)


def _is_settled(picture: Picture, row: TableStatistics) -> bool:
    """Vacuum and ANALYZE count dead rows afresh; otherwise the window must be long enough."""
    counted = pace.latest(row.last_vacuum, row.last_autovacuum, row.last_analyze)
    if counted or row.last_autoanalyze:
        return True
    seconds = picture.window.seconds
    return seconds is not None and seconds >= SETTLED_SECONDS


def _dead(picture: Picture, row: Relation) -> Dead | None:
    statistics, trigger = picture.table_statistics.get(row.oid), autovacuum.vacuum_due(picture, row)
    if statistics is None or trigger is None or picture.is_void(row.oid):
        return None
    if statistics.dead <= max(trigger, FEWEST_DEAD):
        return None
    if row.oid in autovacuum.vacuumed_now(picture):
        return None
    cause, holder = _cause(picture, row, statistics, trigger)
    if not cause:
        return None
    return Dead(relation=row, statistics=statistics, trigger=trigger, cause=cause, held_by=holder)


def _cause(
    picture: Picture, row: Relation, statistics: TableStatistics, trigger: float
) -> tuple[str, Holder | None]:
    """Why autovacuum left them; empty where it may simply be on its way."""
    if autovacuum.is_enabled_on_server(picture) is False:
        return "autovacuum is off on the server", None
    if not autovacuum.is_enabled(row.options):
        return "autovacuum is off for the table", None
    last = pace.latest(statistics.last_vacuum, statistics.last_autovacuum)
    ago = pace.seconds_ago(picture, last)
    if ago is not None and (holder := _held_since(picture, ago)):
        return f"{holder.kind} {holder.name} holds the horizon", holder
    if ago is not None and ago < RECENT_SECONDS:
        return "", None  # it filled up again since; autovacuum comes again
    busy = autovacuum.workers(picture)
    if busy and busy[0] >= busy[1]:
        return f"all {busy[1]:.0f} autovacuum workers are busy elsewhere", None
    if statistics.dead > OVERDUE_FACTOR * trigger:
        return "autovacuum has not come, for a cause that the snapshot does not show", None
    return "", None


def _held_since(picture: Picture, vacuum_ago: float) -> Holder | None:
    """The oldest holder of this database, if the last vacuum already met it."""
    found = of_database(holders(picture), picture.server.database)
    if not found:
        return None
    seconds = RECENT_SECONDS if found[0].seconds is None else found[0].seconds
    return found[0] if vacuum_ago <= seconds else None


def _by_root(picture: Picture, found: Iterable[Dead]) -> dict[int, list[Dead]]:
    """Partitions are told together, at the table that people know."""
    groups: dict[int, list[Dead]] = defaultdict(list)
    for dead in found:
        groups[picture.root(dead.relation.oid)].append(dead)
    return {
        root: sorted(group, key=lambda dead: -dead.statistics.dead)
        for root, group in groups.items()
    }


def _dead_rows(picture: Picture, root: int, group: Sequence[Dead]) -> Finding:
    name, worst = picture.relation_name(root), group[0]
    rows = sum(dead.statistics.dead for dead in group)
    inside = f" in {len(group)} partitions" if root != worst.relation.oid else ""
    pages = sum(autovacuum.dead_pages(picture, dead.statistics) for dead in group)
    scans = max(dead.statistics.sequential_scans for dead in group)
    return Finding(
        rule="dead-rows",
        object=name,
        severity=Severity.WARNING,
        claim=f"{name} has {rows:,} dead rows{inside}, {rows / _sum(group):,.1f} times as many as "
        f"bring autovacuum: {worst.cause}.",
        evidence=tuple(dead.evidence for dead in group[:NAMED]),
        confidence=Confidence.MEASURED,
        refuted_by="n_dead_tup below the trigger a few minutes from now",
        cost_if_wrong="one vacuum that autovacuum would have run",
        harm=harm.held(pages) + harm.waste(pages, picture.per_hour(scans)),
        remedies=_remove(picture, root, group),
        window=picture.window,
    )


def _sum(group: Sequence[Dead]) -> float:
    return max(1.0, sum(dead.trigger for dead in group))


def _remove(picture: Picture, root: int, group: Sequence[Dead]) -> tuple[Remedy, ...]:
    holder, relation = group[0].held_by, picture.relations[root]
    vacuum = remedies.vacuum(
        relation.schema,
        relation.name,
        shape=_dead_shape(group),
        note="removes nothing until the holder has let go" if holder else "",
    )
    return (holder.remedy, vacuum) if holder else (vacuum,)


def _dead_shape(group: Sequence[Dead]) -> Shape:
    """The worst table of the group, scaled down with its proportions kept."""
    worst = group[0]
    name = f"{worst.relation.schema}.{worst.relation.name}"
    live, dead = max(1, worst.statistics.live), worst.statistics.dead
    scale = min(1.0, SHAPE_ROWS / max(live, dead))
    # The threshold does not scale: what is left must still be over it, and over FEWEST_DEAD.
    return Shape(
        rows={name: max(1, round(live * scale))},
        dead={name: min(SHAPE_ROWS, max(4 * FEWEST_DEAD, round(dead * scale)))},
        settings={"autovacuum": "off"},
    )
