"""When a schedule fires: cron expressions in a time zone.

Owns fire times, their meaning when clocks change, and what follows fires that were missed. Must
never fire: it says when. Expressions are read by `cronsim`, with Debian's meaning of clock changes:

- a fixed time that the clock jumps over fires once, at the first minute after the jump;
- a fixed time that comes twice fires the first time only;
- a `*` in the minute or hour field, or a sixth field for seconds in front, means real elapsed time:
  it goes on through both hours, and skips what does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from msgspec import Struct

from howdah.errors import BadInput

CatchUp = Literal["none", "one", "all"]

ON_TIME_SECONDS = 60.0  # a fire no older than this was not missed
AT_ONCE = 1_000  # fires that `due` returns at most; the others come with the next call
_LOOK_BACK = (3_600.0, 86_400.0, 32 * 86_400.0, 400 * 86_400.0)


class Schedule(Struct, frozen=True, kw_only=True):
    """A cron expression (five fields, or six with seconds first), and the zone it is meant in.

    `catch_up` says what follows when nothing could fire for a while: `none` skips what was missed,
    `one` fires for the newest, `all` fires for each.
    """

    expression: str
    zone: str = "UTC"
    catch_up: CatchUp = "one"

    def __post_init__(self) -> None:
        if next_fire(self, 0.0) is None:
            raise BadInput(f"schedule {self.expression!r} never fires")


class Due(Struct, frozen=True):
    """What to fire now, oldest first, and up to when the schedule is dealt with."""

    fires: tuple[float, ...]
    upto: float


def fires(schedule: Schedule, after: float) -> Iterator[float]:
    """Fire times later than `after`, in order, seconds since 1970.

    Raises `BadInput` if the expression or the zone means nothing.
    """
    moment = datetime.fromtimestamp(after, _zone(schedule.zone))
    try:
        simulation = CronSim(schedule.expression, moment)
    except CronSimError as error:
        raise BadInput(
            f"not a cron expression: {schedule.expression!r}",
            detail=str(error),
            hint="'minute hour day-of-month month day-of-week', such as '30 4 * * MON-FRI'",
        ) from error
    for fire in simulation:
        # In the repeated hour the library starts from the first of the two: what it says may be
        # past already.
        seconds = fire.timestamp()
        if seconds > after:
            yield seconds


def next_fire(schedule: Schedule, after: float) -> float | None:
    """The first fire time later than `after`; None if there is none in fifty years."""
    return next(fires(schedule, after), None)


def due(schedule: Schedule, since: float, now: float) -> Due:
    """What to fire at `now` if the schedule is dealt with up to `since`."""
    if schedule.catch_up == "all":
        found = tuple(islice(_between(schedule, since, now), AT_ONCE))
        return Due(fires=found, upto=found[-1] if len(found) == AT_ONCE else now)
    newest = _newest(schedule, since, now)
    missed = newest is not None and now - newest > ON_TIME_SECONDS
    if newest is None or (missed and schedule.catch_up == "none"):
        return Due(fires=(), upto=now)
    return Due(fires=(newest,), upto=now)


def _between(schedule: Schedule, after: float, upto: float) -> Iterator[float]:
    for fire in fires(schedule, after):
        if fire > upto:
            return
        yield fire


def _newest(schedule: Schedule, after: float, upto: float) -> float | None:
    """The last fire time in (after, upto], looking back further and further: years are long."""
    for span in _LOOK_BACK:
        newest = None
        for newest in _between(schedule, max(after, upto - span), upto):  # noqa: B007 (the last one)
            continue
        if newest is not None or upto - span <= after:
            return newest
    return max(_between(schedule, after, upto), default=None)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise BadInput(
            f"no time zone is called {name!r}",
            hint="a name such as 'Europe/Berlin'; on a bare system, pip install tzdata",
        ) from error
