"""Ages of transaction ids and MultiXact ids: what they are judged against, and how urgent they are.

Owns the two kinds of ids that wrap around and the one scale for both. Must never report: findings
belong to the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from howdah.check.knowledge import autovacuum, pace
from howdah.check.knowledge.autovacuum import Heap
from howdah.check.model import Severity
from howdah.snapshot.facts.catalog import Database
from howdah.snapshot.picture import Picture

WORRY_SHARE = 0.6  # of the failsafe age; below it an age is how the server is meant to work
NEAR_STOP_SHARE = 0.9  # of the age at which the server stops: too near for any rate to comfort
CRITICAL_HOURS = 72.0  # a weekend
NOTICE_HOURS = 365 * 24.0  # with a year left there is time
RACE_HOURS = 24.0  # an age below WORRY_SHARE is reported only if a day is all that is left ...
RACE_SHARE = 0.125  # ... and it is where forced vacuums begin: a burst of seconds is not a race

HELD = "nothing younger than the horizon's holder can be frozen: see horizon-held first"


@dataclass(frozen=True, kw_only=True)
class Ids:
    """One of the two kinds of ids that wrap around."""

    rule: str
    word: str
    of_database: Callable[[Database], int]
    of_heap: Callable[[Heap], int]
    limit: Callable[[Picture, Heap], float | None]
    per_hour: Callable[[Picture], float | None]
    freeze_setting: str
    failsafe_setting: str
    refuted_by: str


XIDS = Ids(
    rule="xid-age",
    word="transaction ids",
    of_database=lambda row: row.xid_age,
    of_heap=lambda heap: heap.xid_age,
    limit=autovacuum.xid_limit,
    per_hour=pace.xids_per_hour,
    freeze_setting="autovacuum_freeze_max_age",
    failsafe_setting="vacuum_failsafe_age",
    refuted_by="age(datfrozenxid), or age(relfrozenxid) of the table and its TOAST table, now low",
)
MXIDS = Ids(
    rule="mxid-age",
    word="MultiXact ids",
    of_database=lambda row: row.mxid_age,
    of_heap=lambda heap: heap.mxid_age,
    limit=autovacuum.mxid_limit,
    per_hour=pace.mxids_per_hour,
    freeze_setting="autovacuum_multixact_freeze_max_age",
    failsafe_setting="vacuum_multixact_failsafe_age",
    refuted_by="mxid_age(datminmxid), or mxid_age(relminmxid) of the table, now low",
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an age is judged against, and how fast it grows."""

    failsafe: float
    per_hour: float | None


def limits_of(picture: Picture, ids: Ids) -> Limits | None:
    """The failsafe and the rate of one kind of ids; None where settings are not known."""
    failsafe = autovacuum.failsafe(picture, ids.failsafe_setting, ids.freeze_setting)
    if failsafe is None:
        return None
    return Limits(failsafe=failsafe, per_hour=ids.per_hour(picture))


def severity_of(age: float, failsafe: float, hours_to_stop: float | None) -> Severity | None:
    """How urgent an age is, None where it is as it should be.

    The time left decides. Where no rate is known, or nothing is used just now, the age does.
    """
    if age >= NEAR_STOP_SHARE * pace.STOP_AGE:
        return Severity.CRITICAL
    if age < WORRY_SHARE * failsafe:
        racing = hours_to_stop is not None and hours_to_stop < RACE_HOURS
        return Severity.WARNING if racing and age >= RACE_SHARE * failsafe else None
    if hours_to_stop is None:
        return Severity.CRITICAL if age >= failsafe else Severity.WARNING
    if hours_to_stop < CRITICAL_HOURS:
        return Severity.CRITICAL
    return Severity.NOTICE if hours_to_stop > NOTICE_HOURS else Severity.WARNING
