"""The pictures of a simulation: time lines, hysteresis, frontiers, phases, survival.

Owns which series make which picture. Must never smooth: a point is what was measured, and its
interval is drawn with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from howdah.report.pictures import chart
from howdah.report.pictures.chart import Axis, Chart, Place, Series, Span
from howdah.report.pictures.drawing import (
    SMALL,
    Drawing,
    bar,
    breadth,
    drawn,
    fitted,
    label,
)

_STYLES = ("c1", "c3", "c2", "c4", "c5", "c6", "c0")
_POINTS = 240  # of a line; more cannot be seen at this width


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One point with its interval."""

    x: float
    y: float
    low: float
    high: float


def time_line(
    title: str,
    units: str,
    lines: Mapping[str, Sequence[Place]],
    *,
    reading: str,
    spans: Sequence[Span] = (),
    marks: Sequence[tuple[float, str]] = (),
) -> Drawing:
    """Columns of a run over time; `spans` are its triggers."""
    series = tuple(
        Series(name=name, style=style, points=thinned(points))
        for (name, points), style in zip(lines.items(), _STYLES, strict=False)
    )
    return _chart(
        title,
        units,
        reading,
        Chart(
            x=Axis(name="seconds"),
            y=Axis(name=""),
            series=series,
            spans=tuple(spans),
            marks=tuple(marks),
        ),
    )


def measured(
    title: str,
    units: str,
    curves: Mapping[str, Sequence[Measured]],
    *,
    x: Axis,
    y: Axis,
    reading: str,
    marks: Sequence[tuple[float, str]] = (),
) -> Drawing:
    """Points with intervals: a hysteresis loop, a frontier, a tipping curve."""
    series = tuple(
        Series(
            name=name,
            style=style,
            points=tuple((each.x, each.y) for each in points),
            intervals=tuple((each.low, each.high) for each in points),
            dots=True,
        )
        for (name, points), style in zip(curves.items(), _STYLES, strict=False)
    )
    return _chart(title, units, reading, Chart(x=x, y=y, series=series, marks=tuple(marks)))


def phase(
    title: str, paths: Mapping[str, Sequence[Place]], *, x: str, y: str, reading: str
) -> Drawing:
    """Two columns against each other: where a run went, and where it stays."""
    series = []
    for (name, points), style in zip(paths.items(), _STYLES, strict=False):
        way = tuple(points[:: max(1, len(points) // _POINTS)])
        series.append(Series(name=name, style=style, points=way))
        series.append(Series(name="", style=style, points=way[-1:], joined=False, dots=True))
    picture = Chart(x=Axis(name=x), y=Axis(name=y), series=tuple(series))
    return _chart(title, "a dot is where a run ended", reading, picture)


def matrix(
    title: str,
    units: str,
    rows: Sequence[str],
    columns: Sequence[str],
    shares: Sequence[Sequence[float]],
    *,
    reading: str,
) -> Drawing:
    """Shares from 0 to 1 as a table of shades; each cell says its number."""

    def at(width: int) -> tuple[float, str]:
        left = min(width * 0.4, max((breadth(each) for each in rows), default=0.0) + 10)
        step = (width - left) / max(1, len(columns))
        body = ""
        for place, name in enumerate(columns):
            x = left + place * step + step / 2
            text = fitted(name, step - 4, scale=SMALL)
            body += label(x, 12, text, style="small", anchor="middle")
        for row, name in enumerate(rows):
            y = 20.0 + row * 26
            body += label(0, y + 16, fitted(name, left - 8))
            for place, share in enumerate(shares[row]):
                x = left + place * step
                tip = f"{name}, {columns[place]}: {share:.0%}"
                body += bar(x, y, step - 3, 23, "box", tip=tip)
                body += _shade(x, y, step - 3, share, tip)
                body += label(
                    x + step / 2 - 1, y + 16, f"{share:.0%}", style="halo", anchor="middle"
                )
        return 24.0 + len(rows) * 26, body

    return drawn(name=_name(title), title=title, units=units, reading=reading, at=at)


def _shade(x: float, y: float, width: float, share: float, tip: str) -> str:
    if share <= 0:
        return ""
    return f'<g opacity="{0.1 + 0.8 * share:.2f}">{bar(x, y, width, 23, "heat", tip=tip)}</g>'


def thinned(points: Sequence[Place]) -> tuple[Place, ...]:
    """At most about `_POINTS` of them: of each stretch the lowest and the highest, in order.

    A peak that lasts one sample stays, which an average would lose.
    """
    if len(points) <= _POINTS:
        return tuple(points)
    each = -(-2 * len(points) // _POINTS)
    kept: list[Place] = []
    for first in range(0, len(points), each):
        stretch = points[first : first + each]
        ends = {min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}
        kept += sorted(ends)
    return tuple(kept)


def _chart(title: str, units: str, reading: str, picture: Chart) -> Drawing:
    return drawn(
        name=_name(title),
        title=title,
        units=units,
        reading=reading,
        at=lambda width: chart.body(picture, width),
    )


def _name(title: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in title.lower())
