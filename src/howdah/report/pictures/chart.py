"""A chart with two axes: lines, points with their intervals, spans of time.

Owns scales, ticks and clipping. Must never connect points that have a gap between them, or hide
that an axis is logarithmic: its ticks are powers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from howdah.report.pictures.drawing import (
    bar,
    breadth,
    dot,
    fitted,
    label,
    legend,
    line,
    quoted,
    steps,
)

_HEIGHT = 200.0
_BOTTOM = 36.0
Place = tuple[float, float]


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one kind. NaN breaks a line. `intervals` are low and high of each y."""

    name: str
    style: str  # c0 to c6
    points: tuple[Place, ...]
    joined: bool = True
    dots: bool = False
    intervals: tuple[Place, ...] = ()


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the x axis, such as a trigger's."""

    start: float
    end: float
    name: str = ""


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """What an axis shows; `log` where every value is positive and decades matter."""

    name: str
    log: bool = False
    low: float | None = None
    high: float | None = None


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Everything on one pair of axes."""

    x: Axis
    y: Axis
    series: tuple[Series, ...]
    spans: tuple[Span, ...] = ()
    marks: tuple[tuple[float, str], ...] = ()  # places on the x axis, with a word


def body(chart: Chart, width: int) -> tuple[float, str]:
    """Height and SVG of the chart at this width."""
    used, drawn = legend(0, 12, width, [(one.style, one.name) for one in chart.series if one.name])
    top = used + 22.0
    ys = _scale(chart.y, _values(chart, 1), top + _HEIGHT, top)
    left = 10 + max(breadth(text, scale=11 / 12) for _, text in ys.ticks)
    xs = _scale(chart.x, _values(chart, 0), left, width - 10.0)
    drawn += _grid(chart, xs, ys, (left, top), width)
    for span in chart.spans:
        start, end = xs.at(max(span.start, xs.low)), xs.at(min(span.end, xs.high))
        drawn += bar(start, top, end - start, _HEIGHT, "span", tip=span.name)
    for where, word in chart.marks:
        x = xs.at(where)
        drawn += line(x, top, x, top + _HEIGHT, "mark")
        drawn += label(x + 4, top + 12, fitted(word, width - x - 8), style="small halo")
    for one in chart.series:
        drawn += _series(one, xs, ys)
    return top + _HEIGHT + _BOTTOM, drawn


class _Scale(msgspec.Struct, frozen=True):
    low: float
    high: float
    at: Callable[[float], float]
    ticks: tuple[tuple[float, str], ...]


def _values(chart: Chart, which: int) -> list[float]:
    values = [point[which] for one in chart.series for point in one.points]
    if which:
        values += [each for one in chart.series for pair in one.intervals for each in pair]
    return [each for each in values if math.isfinite(each)] or [0.0, 1.0]


def _scale(axis: Axis, values: Sequence[float], start: float, end: float) -> _Scale:
    if axis.log:
        return _log_scale(axis, [each for each in values if each > 0] or [1.0], start, end)
    low = axis.low if axis.low is not None else min(0.0, *values)
    most = axis.high if axis.high is not None else max(values)
    ticks = [low + each for each in steps(most - low)]
    high = axis.high if axis.high is not None else ticks[-1]
    factor = (end - start) / ((high - low) or 1.0)
    shown = tuple((each, number(each)) for each in ticks if each <= high * (1 + 1e-9))
    return _Scale(low, high, lambda value: start + (value - low) * factor, shown)


def _log_scale(axis: Axis, values: Sequence[float], start: float, end: float) -> _Scale:
    low = math.floor(math.log10(axis.low or min(values)))
    high = max(low + 1, math.ceil(math.log10(axis.high or max(values))))
    every = max(1, (high - low) // 5)
    ticks = tuple((10.0**p, number(10.0**p)) for p in range(low, high + 1, every))
    factor = (end - start) / (high - low)

    def at(value: float) -> float:
        return start + (math.log10(max(value, 10.0**low)) - low) * factor

    return _Scale(10.0**low, 10.0**high, at, ticks)


def _grid(chart: Chart, xs: _Scale, ys: _Scale, corner: Place, width: int) -> str:
    left, top = corner
    drawn = label(0, top - 8, fitted(chart.y.name, width), style="small")
    for value, text in ys.ticks:
        y = ys.at(value)
        drawn += line(left, y, width - 10, y, "grid")
        drawn += label(left - 6, y + 4, text, style="small", anchor="end")
    free = -math.inf
    for value, text in xs.ticks:
        half = breadth(text, scale=11 / 12) / 2
        x = min(xs.at(value), width - half)
        if x - half > free:
            drawn += label(x, top + _HEIGHT + 16, text, style="small", anchor="middle")
            free = x + half + 6
    return drawn + label(width - 10, top + _HEIGHT + 32, chart.x.name, style="small", anchor="end")


def _series(one: Series, xs: _Scale, ys: _Scale) -> str:
    drawn = ""
    for (x, _), (low, high) in zip(one.points, one.intervals, strict=False):
        drawn += line(xs.at(x), ys.at(low), xs.at(x), ys.at(high), f"line {one.style}-line")
    if one.joined:
        drawn += "".join(_path(run, one.style, xs, ys) for run in _runs(one.points))
    if one.dots:
        for x, y in one.points:
            if math.isfinite(y):
                tip = f"{one.name} {number(x)}: {number(y)}".strip()
                drawn += dot(xs.at(x), ys.at(y), 4, f"{one.style} spot", tip=tip)
    return drawn


def _runs(points: Sequence[Place]) -> list[list[Place]]:
    runs: list[list[Place]] = [[]]
    for point in points:
        if math.isfinite(point[0]) and math.isfinite(point[1]):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if len(run) > 1]


def _path(run: Sequence[Place], style: str, xs: _Scale, ys: _Scale) -> str:
    corners = "L".join(f"{xs.at(x):.1f},{ys.at(y):.1f}" for x, y in run)
    return f'<path d="M{quoted(corners)}" class="line {style}-line"/>'


def number(value: float) -> str:
    """A number as short as it can be read.

    >>> [number(each) for each in (0, 0.25, 1200, 3_000_000, 1e-4)]
    ['0', '0.25', '1,200', '3M', '1e-04']
    """
    if value and abs(value) < 1e-3:
        return f"{value:.0e}"
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M" if abs(value) < 1e9 else f"{value:.0e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
