"""Whether autovacuum keeps a table's statistics up, or clearly does not.

Owns the line between a table that changes between two automatic ANALYZEs, as every busy one does,
and one that is left behind. What to say of it is the rules'.
"""

from __future__ import annotations

from howdah.check.knowledge import autovacuum, pace
from howdah.snapshot.facts.catalog import Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.picture import Picture

OVERDUE_FACTOR = 2.0  # over the trigger by so much, autovacuum was not simply about to come
LONG_SECONDS = 3600.0  # since the last ANALYZE: not the load of a moment ago


def since_analyze(picture: Picture, counted: TableStatistics) -> float | None:
    """Seconds since the table was last analysed; None where no ANALYZE is recorded."""
    return pace.seconds_ago(picture, pace.latest(counted.last_analyze, counted.last_autoanalyze))


def neglect(picture: Picture, row: Relation) -> str:
    """Why the table's statistics are left behind; '' where autovacuum has come or may be coming."""
    counted, trigger = picture.table_statistics.get(row.oid), autovacuum.analyze_due(picture, row)
    if counted is None or trigger is None or counted.modified_since_analyze <= trigger:
        return ""
    if not autovacuum.is_enabled(row.options):
        return "autovacuum is off for the table"
    if autovacuum.is_enabled_on_server(picture) is False:
        return "autovacuum is off on the server"
    seconds = since_analyze(picture, counted)
    overdue = counted.modified_since_analyze > OVERDUE_FACTOR * trigger
    long = seconds is None or seconds > LONG_SECONDS
    return "autovacuum has not come" if overdue and long else ""
