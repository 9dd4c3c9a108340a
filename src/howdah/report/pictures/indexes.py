"""Each index's size against its use: large and unused ones stand at the lower right.

Owns the picture only. Whether an unused index may go depends on constraints, standbys and the
window; that is for the rules.
"""

from __future__ import annotations

from math import ceil, floor, log10

import msgspec

from howdah.check.knowledge.amounts import duration, size
from howdah.report.pictures.drawing import (
    SMALL,
    Drawing,
    dot,
    drawn,
    fitted,
    label,
    legend,
    line,
    missing,
)
from howdah.report.wording import plural
from howdah.snapshot.model import Snapshot
from howdah.snapshot.picture import PAGE_BYTES, SYSTEM_SCHEMAS, Picture

_TITLE = "Index size against use"
_UNITS = "scans since the window began, over bytes; both scales logarithmic"
_POINTS = 400
_LANE = 0.2  # of the height: for indexes without a scan, which a logarithm cannot place


class _Spot(msgspec.Struct, frozen=True):
    name: str
    bytes: int
    scans: int
    is_bound: bool  # it enforces something, used or not


def draw(snapshot: Snapshot) -> Drawing:
    """A dot per index of the user's tables."""
    why = missing(("indexes", snapshot.indexes), ("index statistics", snapshot.index_statistics))
    spots = () if why else _spots(Picture(snapshot))
    if not spots:
        empty = f"not sampled: {why}" if why else "there are no indexes"
        return Drawing(name="indexes", title=_TITLE, units=_UNITS, empty=empty)
    return drawn(
        name="indexes",
        title=_TITLE,
        units=_UNITS,
        reading=_reading(spots, snapshot),
        at=lambda width: _body(spots[:_POINTS], width),
    )


def _spots(picture: Picture) -> tuple[_Spot, ...]:
    """Indexes with storage and counters, the largest first."""
    found = []
    for index in picture.snapshot.indexes.rows:
        statistics = picture.index_statistics.get(index.oid)
        if index.schema in SYSTEM_SCHEMAS or index.is_partitioned or statistics is None:
            continue
        found.append(
            _Spot(
                f"{index.schema}.{index.name}",
                max(1, picture.pages(index.oid)) * PAGE_BYTES,
                statistics.scans,
                index.is_unique or index.is_exclusion,
            )
        )
    return tuple(sorted(found, key=lambda spot: (-spot.bytes, spot.name)))


def _reading(spots: tuple[_Spot, ...], snapshot: Snapshot) -> str:
    idle = [spot for spot in spots if not spot.scans and not spot.is_bound]
    seconds = snapshot.window.seconds
    since = f"in {duration(seconds)}" if seconds else "since a time that is not known"
    held = f", {size(sum(spot.bytes for spot in idle))} in all" if idle else ""
    text = (
        f"Of {plural(len(spots), 'index', 'indexes')}, {len(idle)} that enforce nothing had no "
        f"scan {since}{held}."
    )
    if len(spots) > _POINTS:
        text += f" The {_POINTS} largest are drawn."
    return text


def _body(spots: tuple[_Spot, ...], width: int) -> tuple[float, str]:
    names = [("c1", "index"), ("c2", "unique or exclusion"), ("c3", "no scan, enforces nothing")]
    used, body = legend(0, 12, width, names)
    top, left, height = used + 10.0, 46.0, 210.0
    room, bottom = width - left - 14, used + 220.0
    low = floor(log10(min(spot.bytes for spot in spots)))
    high = max(low + 1, ceil(log10(max(spot.bytes for spot in spots))))
    most = max(1, ceil(log10(max(2, *(spot.scans for spot in spots), 2))))
    body += _axes(left, room, top, bottom, low, high, most)

    def place(spot: _Spot) -> tuple[float, float]:
        across = left + room * (log10(spot.bytes) - low) / (high - low)
        up = 0.0 if not spot.scans else _LANE + (1 - _LANE) * log10(spot.scans) / most
        return across, bottom - height * up

    for spot in spots:
        style = "c2" if spot.is_bound else "c1" if spot.scans else "c3"
        tip = f"{spot.name}: {size(spot.bytes)}, {spot.scans:,} scans"
        body += dot(*place(spot), 5, f"{style} spot", tip=tip)
    largest = next((spot for spot in spots if not spot.scans and not spot.is_bound), None)
    if largest is not None:
        x, y = place(largest)
        end = "end" if x > width * 0.5 else "start"
        text = fitted(largest.name, width * 0.5, scale=SMALL)
        body += label(x, y - 11, text, style="small halo", anchor=end)
    return bottom + 26, body


def _axes(
    left: float, room: float, top: float, bottom: float, low: int, high: int, most: int
) -> str:
    """Sizes below, scans at the left; zero scans have a lane of their own at the bottom."""
    body = line(left, bottom, left + room, bottom, "grid")
    body += label(left - 8, bottom + 4, "0", style="small", anchor="end")
    for power in range(0, most + 1, max(1, most // 4)):
        y = bottom - (bottom - top) * (_LANE + (1 - _LANE) * power / most)
        body += line(left, y, left + room, y, "grid")
        body += label(left - 8, y + 4, f"{_short(10**power)}", style="small", anchor="end")
    for power in range(low, high + 1, max(1, (high - low) // 4)):
        x = left + room * (power - low) / (high - low)
        body += line(x, top, x, bottom, "grid")
        body += label(
            x, bottom + 18, _bytes(10**power), style="small", anchor=_side(power, low, high)
        )
    return body


def _side(power: int, low: int, high: int) -> str:
    """Labels stand below their line; the first and the last keep inside the picture."""
    return "start" if power == low else "end" if power == high else "middle"


def _short(count: int) -> str:
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= limit:
            return f"{count // limit} {unit}"
    return str(count)


def _bytes(count: int) -> str:
    """A power of ten as the decimal unit that it is."""
    return _short(count) + "B" if count >= 1000 else f"{count} B"
