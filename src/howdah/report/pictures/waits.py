"""Where sessions spent their time while they were sampled: a stacked area by class of wait.

Owns the picture only. A session that waits for nothing is taken to be on a processor.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from howdah.check.knowledge.amounts import duration, percent
from howdah.report.pictures.drawing import (
    Drawing,
    area,
    drawn,
    label,
    legend,
    line,
    missing,
    steps,
)
from howdah.snapshot.facts.activity import WaitSample
from howdah.snapshot.model import Snapshot

_TITLE = "Wait profile over time"
_UNITS = "sessions at each tick, over seconds"
_POINTS = 120
CPU = "on CPU"
# The order of the stack is that of this table, so that a class keeps its place in every report.
_STYLE = {
    CPU: "c2",
    "IO": "c1",
    "LWLock": "c3",
    "Lock": "c4",
    "IPC": "c5",
    "Client": "c6",
    "other": "c0",
}


class _Profile(msgspec.Struct, frozen=True):
    """Sessions by class at evenly spaced moments."""

    seconds: float
    classes: dict[str, list[float]]


def draw(snapshot: Snapshot) -> Drawing:
    """One area per class of wait, stacked."""
    why = missing(("wait samples", snapshot.wait_samples))
    samples = snapshot.wait_samples.rows
    ticks = len({each.tick for each in samples})
    quiet = not any(each.sessions for each in samples)
    if why or ticks < 2 or quiet:
        empty = f"not sampled: {why}" if why else "no session was active while we looked"
        if ticks == 1 and not quiet:
            empty = "not sampled: one tick only; a profile over time needs two"
        return Drawing(name="waits", title=_TITLE, units=_UNITS, empty=empty)
    profile = _profile(samples)
    return drawn(
        name="waits",
        title=_TITLE,
        units=_UNITS,
        reading=_reading(profile, samples),
        at=lambda width: _body(profile, width),
    )


def _profile(samples: tuple[WaitSample, ...]) -> _Profile:
    """Ticks gathered into at most `_POINTS` moments; a tick without rows had no session."""
    ticks = max(each.tick for each in samples) + 1
    per_point = -(-ticks // _POINTS)
    points = -(-ticks // per_point)
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * points)
    for each in samples:
        kind = each.wait_type or CPU
        place = each.tick // per_point
        width = min(per_point, ticks - place * per_point)
        sums[kind if kind in _STYLE else "other"][place] += each.sessions / width
    ordered = {kind: sums[kind] for kind in _STYLE if kind in sums}
    return _Profile(max(each.at_seconds for each in samples), ordered)


def _reading(profile: _Profile, samples: tuple[WaitSample, ...]) -> str:
    totals: dict[tuple[str, str], int] = defaultdict(int)
    for each in samples:
        totals[each.wait_type, each.wait_event] += each.sessions
    (kind, event), most = max(totals.items(), key=lambda item: (item[1], item[0]))
    name = ":".join(part for part in (kind, event) if part) or CPU
    whole = sum(totals.values())
    return (
        f"Over {duration(profile.seconds)}, most database time went to {name}: "
        f"{percent(most / whole)} of {whole:,} sampled sessions."
    )


def _body(profile: _Profile, width: int) -> tuple[float, str]:
    used, body = legend(0, 12, width, [(_STYLE[kind], kind) for kind in profile.classes])
    top, left, height = used + 10.0, 30.0, 170.0
    room = width - left - 4
    sums = [sum(values) for values in zip(*profile.classes.values(), strict=True)]
    marks = steps(max(sums))
    scale = height / marks[-1]
    bottom = top + height
    for mark in marks:
        y = bottom - mark * scale
        body += line(left, y, width, y, "grid")
        body += label(left - 6, y + 4, f"{mark:g}", style="small", anchor="end")
    body += _areas(profile, len(sums), left, room, bottom, scale)
    body += label(left, bottom + 18, "0 s", style="small")
    body += label(width, bottom + 18, duration(profile.seconds), style="small", anchor="end")
    return bottom + 24, body


def _areas(
    profile: _Profile, points: int, left: float, room: float, bottom: float, scale: float
) -> str:
    body, below = "", [0.0] * points
    across = [left + room * place / max(1, points - 1) for place in range(points)]
    for kind, values in profile.classes.items():
        above = [low + value for low, value in zip(below, values, strict=True)]
        edge = [(x, bottom - y * scale) for x, y in zip(across, above, strict=True)]
        back = [(x, bottom - y * scale) for x, y in zip(across, below, strict=True)]
        body += area(edge + back[::-1], f"{_STYLE[kind]} layer", tip=kind)
        below = above
    return body
