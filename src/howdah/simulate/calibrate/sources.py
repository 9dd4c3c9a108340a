"""Measured points from what Howdah already records of a database.

Owns the reading of a recording (`howdah watch --record`) and of a snapshot file as points of
throughput against concurrency. Must never guess a duration: ticks without a usable difference are
left out.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from howdah.errors import BadInput
from howdah.simulate.calibrate.fit import Point
from howdah.snapshot.model import Snapshot
from howdah.snapshot.recording import Recorded
from howdah.snapshot.sampler import Tick

_SPAN_SECONDS = 1.0  # a point spans at least this: active time is booked when statements end


def from_recording(recorded: Recorded) -> tuple[Point, ...]:
    """A point for each second or more of a recording: active time and transactions between ticks.

    `BadInput` where it holds no two ticks with work between them.
    """
    points = [_between(first, last) for first, last in pairwise(_spans(recorded.ticks))]
    found = tuple(each for each in points if each is not None)
    if not found:
        raise BadInput(
            f"the recording of {recorded.watched.database!r} shows no work between its "
            f"{len(recorded.ticks)} ticks",
            hint="howdah watch DSN --record FILE for a minute or more under load",
        )
    return found


def from_snapshot(snapshot: Snapshot) -> Point:
    """One point: the means over the window of pg_stat_statements.

    `BadInput` where the statements were not readable, or the window's length is not known.
    """
    seconds = snapshot.window.seconds
    if not snapshot.statements.rows:
        raise BadInput(
            "the snapshot holds no statements",
            detail=snapshot.statements.reason,
            hint="install pg_stat_statements, or use a recording",
        )
    if not seconds:
        raise BadInput(
            "how long the snapshot's counters have counted is not known",
            detail=snapshot.window.reason,
            hint="use a recording: howdah watch DSN --record FILE",
        )
    busy = sum(each.total_milliseconds for each in snapshot.statements.rows) / 1e3
    calls = sum(each.calls for each in snapshot.statements.rows)
    return Point(active=busy / seconds, per_second=calls / seconds)


def _spans(ticks: tuple[Tick, ...]) -> list[Tick]:
    """Ticks at least a span apart."""
    kept: list[Tick] = []
    for tick in ticks:
        if not kept or _seconds(kept[-1], tick) >= _SPAN_SECONDS:
            kept.append(tick)
    return kept


def _between(first: Tick, last: Tick) -> Point | None:
    seconds = _seconds(first, last)
    before, after = first.counters, last.counters
    done = after.commits + after.rollbacks - before.commits - before.rollbacks
    busy = (after.active_milliseconds - before.active_milliseconds) / 1e3
    if seconds <= 0 or done <= 0 or busy <= 0:  # counters that were reset run backwards
        return None
    return Point(active=busy / seconds, per_second=done / seconds)


def _seconds(first: Tick, last: Tick) -> float:
    return (datetime.fromisoformat(last.at) - datetime.fromisoformat(first.at)).total_seconds()
