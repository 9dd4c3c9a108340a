"""The true time over which the cumulative counters counted.

Owns that computation, pure. Must never take a missing reset time for "never reset": a crash empties
all statistics and leaves the database's own reset time NULL.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from howdah.snapshot.model import Window


def true_window(
    *,
    database_reset: datetime | None,
    server_resets: Mapping[str, datetime | None],
    until: datetime,
) -> Window:
    """The window of a database's counters.

    `database_reset` is pg_stat_database.stats_reset; `server_resets` the reset times of the
    server-wide statistics (archiver, bgwriter, slru, wal). All of the latter are set when the
    statistics start from nothing, after initdb or a crash; each can be reset alone later, which
    moves it forward. So their least is the moment when all counting began, at the latest, and the
    database's own reset can only shorten that.
    """
    known = {name: moment for name, moment in server_resets.items() if moment is not None}
    start = min(known.values(), default=None)
    if start is None:
        if database_reset is None:
            return Window(since=None, until=until, reason="the server tells no reset time at all")
        return Window(
            since=database_reset,
            until=until,
            reason="the database's own reset; the server tells no reset time of its own",
        )
    if database_reset is not None and database_reset > start:
        return Window(
            since=database_reset, until=until, reason="the database's counters were reset"
        )
    name = min(known, key=lambda each: known[each])
    return Window(
        since=start,
        until=until,
        reason=f"all statistics of the server started from zero, by the reset time of {name}:"
        " a new server, a crash or a reset",
    )
