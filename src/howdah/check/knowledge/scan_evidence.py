"""What the scan counters of indexes prove, and when they prove nothing.

Owns the conditions under which "no scan" means unused. Must never take silence for absence: a
window that is short or of unknown start, a standby, attached standbys and a young index each make
zero scans worthless as evidence.
"""

from __future__ import annotations

from datetime import datetime

from howdah.check.knowledge.amounts import duration
from howdah.check.knowledge.index_upkeep import with_parts
from howdah.snapshot.facts.catalog import Index
from howdah.snapshot.picture import Picture

# Days. Weekly reports and weekend batches are the rarest work that most applications have; a month
# would be safer, and few servers keep their counters that long.
SHORTEST_WINDOW_DAYS = 7
_DAY_SECONDS = 86_400.0
# Receivers of WAL that are programs, not servers: nobody queries them.
_PROGRAMS = frozenset({"pg_receivewal", "pg_basebackup"})
_NAMES_SHOWN = 5


def is_long_enough(picture: Picture) -> bool:
    """Whether scans were counted for as long as the rarest usual work takes to come round."""
    seconds = picture.window.seconds
    return seconds is not None and seconds >= SHORTEST_WINDOW_DAYS * _DAY_SECONDS


def blindness(picture: Picture) -> str:
    """Why an index without scans here may have been used all the same, '' if it cannot."""
    if picture.server.in_recovery:
        return "this is a standby: the scans of its primary are not counted here. Try: the primary"
    seconds = picture.window.seconds
    if seconds is None:
        return f"it is not known since when scans are counted ({picture.window.reason})"
    if not is_long_enough(picture):
        return (
            f"scans are counted for {duration(seconds)} only, and "
            f"{SHORTEST_WINDOW_DAYS} days are needed ({picture.window.reason})"
        )
    return _standbys(picture)


def _standbys(picture: Picture) -> str:
    if not picture.snapshot.standbys.known:
        return f"standbys, which may read: {picture.snapshot.standbys.status}"
    readers = [
        row
        for row in picture.snapshot.standbys.rows
        if row.application not in _PROGRAMS and row.state != "backup"
    ]
    logical = sum(s.kind == "logical" and s.is_active for s in picture.snapshot.slots.rows)
    if len(readers) <= logical:
        return ""
    names = ", ".join(sorted({row.application for row in readers})[:_NAMES_SHOWN])
    return (
        f"standbys are attached ({names}), and scans there are not counted here. "
        "Try: compare pg_stat_user_indexes there before an index is dropped"
    )


def scans(picture: Picture, index: Index) -> int | None:
    """Scans of an index, partitions summed; None where one of them has no counters."""
    parts = [part for part in with_parts(picture, index) if not part.is_partitioned]
    counters = [picture.index_statistics.get(part.oid) for part in parts]
    if any(row is None for row in counters):
        return None
    return sum(row.scans for row in counters if row)


def may_be_young(picture: Picture, index: Index) -> bool:
    """Whether its catalog entry was written so few transactions ago that the window is no proof.

    Age in transactions is turned into time by the rate of the snapshot's two samples. Where the
    database was idle in between, nothing speaks for a young index.
    """
    if index.xid_age is None:
        return False
    rate = _transactions_per_second(picture)
    return rate is not None and index.xid_age / rate < SHORTEST_WINDOW_DAYS * _DAY_SECONDS


def _transactions_per_second(picture: Picture) -> float | None:
    samples = picture.snapshot.counter_samples.rows
    if len(samples) < 2:
        return None
    seconds = (
        datetime.fromisoformat(samples[-1].at) - datetime.fromisoformat(samples[0].at)
    ).total_seconds()
    used = samples[-1].next_xid - samples[0].next_xid
    return used / seconds if seconds > 0 and used > 0 else None
