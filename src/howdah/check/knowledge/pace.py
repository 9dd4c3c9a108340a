"""How fast the server uses up what it cannot make more of, and how long that lasts.

Owns the rates of transaction ids, MultiXact ids and MultiXact members, and times read from the
snapshot's ISO 8601 strings. Must never judge, and never invent a rate: None is an answer.
"""

from __future__ import annotations

from datetime import datetime

from howdah.snapshot.facts.counters import Slru
from howdah.snapshot.picture import Picture

OFFSETS_PER_PAGE = 2048  # 4 bytes each on a page of 8 kB: one MultiXact id
MEMBERS_PER_PAGE = 1636  # 409 groups of 4 members in 20 bytes on a page of 8 kB
MEMBER_SPACE = 2**32  # up to 18; a MultiXact's offset is 32 bits wide

# 2^31 - 1 ids may lie between the oldest and the next; the server stops assigning new ones 3
# million earlier (SetTransactionIdLimit, SetMultiXactIdLimit).
STOP_AGE = 2**31 - 3_000_000


def moment(text: str | None) -> datetime | None:
    """A time of the snapshot; None stays None."""
    return datetime.fromisoformat(text) if text else None


def latest(*texts: str | None) -> datetime | None:
    """The latest of several times of the snapshot, None where there is none."""
    return max(filter(None, map(moment, texts)), default=None)


def seconds_ago(picture: Picture, when: datetime | None) -> float | None:
    """How long before the snapshot that was."""
    return None if when is None else max(0.0, (picture.now - when).total_seconds())


def xids_per_hour(picture: Picture) -> float | None:
    """Transaction ids assigned per hour, between the snapshot's two counter samples."""
    samples = picture.snapshot.counter_samples.rows
    if len(samples) < 2:
        return None
    first, last = samples[0], samples[-1]
    seconds = _between(first.at, last.at)
    return (last.next_xid - first.next_xid) * 3600 / seconds if seconds > 0 else None


def mxids_per_hour(picture: Picture) -> float | None:
    """MultiXact ids assigned per hour since the SLRU counters began: pages begun x 2,048."""
    return _pages_per_hour(picture, "multixact_offset", OFFSETS_PER_PAGE)


def members_per_hour(picture: Picture) -> float | None:
    """MultiXact members written per hour: the faster of the last seconds and the whole window.

    An average over weeks hides a storm that began an hour ago; the last seconds miss one that
    pauses. The shorter time left is the one to plan for.
    """
    known = [r for r in (_members_now(picture), _members_in_window(picture)) if r is not None]
    return max(known, default=None)


def _members_now(picture: Picture) -> float | None:
    samples = picture.snapshot.counter_samples.rows
    if len(samples) < 2:
        return None
    first, last = samples[0].member_pages_zeroed, samples[-1].member_pages_zeroed
    seconds = _between(samples[0].at, samples[-1].at)
    if first is None or last is None or seconds <= 0:
        return None
    return max(0, last - first) * MEMBERS_PER_PAGE * 3600 / seconds


def _members_in_window(picture: Picture) -> float | None:
    return _pages_per_hour(picture, "multixact_member", MEMBERS_PER_PAGE)


def slru(picture: Picture, name: str) -> Slru | None:
    """One SLRU by its name since 17, None where the snapshot lacks it."""
    return next((row for row in picture.snapshot.slrus.rows if row.name == name), None)


def _pages_per_hour(picture: Picture, name: str, ids_per_page: int) -> float | None:
    row = slru(picture, name)
    seconds = seconds_ago(picture, moment(row.stats_reset)) if row else None
    if row is None or not seconds:
        return None
    return row.blocks_zeroed * ids_per_page * 3600 / seconds


def _between(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def hours_until(left: float, per_hour: float | None) -> float | None:
    """Hours until `left` is used up; None where the rate is unknown or nothing is used."""
    return max(0.0, left) / per_hour if per_hour and per_hour > 0 else None
