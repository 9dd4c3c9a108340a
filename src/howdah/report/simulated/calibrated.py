"""A calibration: the measured points, the curve through them, and where the system would tip."""

from __future__ import annotations

from collections.abc import Sequence

from howdah.report.pictures import chart
from howdah.report.pictures.chart import Axis, Chart, Series, number
from howdah.report.pictures.drawing import Drawing, drawn
from howdah.report.simulation import Page, Section, Table
from howdah.simulate.calibrate import Fitted, Point
from howdah.simulate.calibrate.foresee import Foresight, Spread

_CURVE_POINTS = 80


def page(source: str, points: Sequence[Point], fitted: Fitted, foresight: Foresight | None) -> Page:
    """The answer for people."""
    sections = [_curve(points, fitted)]
    if foresight is not None:
        sections.insert(0, _foreseen(foresight))
    return Page(
        title="Calibration",
        verdict=_verdict(fitted, foresight),
        facts=(
            ("measured", source),
            ("points", f"{len(points)}, up to {number(fitted.most_active)} active at once"),
            ("the curve misses them by", f"{100 * fitted.error:.0f} %"),
            ("unknown", " ".join(fitted.unknown) or "nothing that the curve needs"),
        ),
        sections=tuple(sections),
    )


def _verdict(fitted: Fitted, foresight: Foresight | None) -> str:
    if foresight is None:
        low, high = fitted.interval("cores")
        return (
            f"It works like {number(fitted.best.cores)} cores ({number(low)} to {number(high)}) "
            f"with {number(1e3 * fitted.best.demand)} ms of work for each transaction."
        )
    usage = foresight.usage
    burst = foresight.burst_seconds
    if burst.median is None:
        outcome = f"absorbs a burst of {number(foresight.longest)} s, or is down without one"
    else:
        outcome = f"is tipped by a burst of {_spread(burst)} s"
    return (
        f"At {number(usage.rate)} a second ({100 * foresight.load:.0f} % of what it can do) it "
        f"{outcome} at {number(usage.burst)} times the rate."
    )


def _foreseen(found: Foresight) -> Section:
    usage = found.usage
    rows = (
        ("most that it can do, a second", _spread(found.most_per_second)),
        (
            f"load at which {number(found.longest)} s of {number(usage.burst)} times the rate tip "
            "half of the runs, a second",
            _spread(found.tips_at),
        ),
        ("burst that tips half of the runs now, seconds", _spread(found.burst_seconds)),
    )
    return Section(
        title="Where it would tip",
        text=(
            f"Clients give up after {number(usage.timeout)} s and try {usage.retries} more times; "
            f"{usage.connections} connections. Ranges are the 5 % and 95 % points over the curves "
            "that the measurements allow; where the curves agree more closely than runs of one "
            "curve do, they understate what is not known.",
        ),
        tables=(Table(head=("what", "median (5 % to 95 %)"), rows=rows),),
    )


def _spread(found: Spread) -> str:
    if found.median is None or found.low is None or found.high is None:
        return "outside what was searched"
    text = f"{number(found.median)} ({number(found.low)} to {number(found.high)})"
    return text + (f", {found.outside} of {found.curves} outside" if found.outside else "")


def _curve(points: Sequence[Point], fitted: Fitted) -> Section:
    rows = tuple(
        (name, number(getattr(fitted.best, field)), f"{number(low)} to {number(high)}")
        for name, field in (
            ("demand, core-seconds", "demand"),
            ("cores", "cores"),
            ("overhead of each beyond them", "overhead"),
        )
        for low, high in (fitted.interval(field),)
    )
    return Section(
        title="Throughput against concurrency",
        text=("throughput = min(n, cores) / demand / (1 + overhead * max(0, n - cores))",),
        tables=(Table(head=("what", "best", "5 % to 95 %"), rows=rows),),
        pictures=(_picture(points, fitted),),
    )


def _picture(points: Sequence[Point], fitted: Fitted) -> Drawing:
    most = fitted.most_active
    curve = tuple(
        (n, fitted.best.per_second(n))
        for n in (most * step / _CURVE_POINTS for step in range(1, _CURVE_POINTS + 1))
    )
    measured = tuple((each.active, each.per_second) for each in points)
    picture = Chart(
        x=Axis(name="active at once"),
        y=Axis(name="transactions a second"),
        series=(
            Series(name="measured", style="c1", points=measured, joined=False, dots=True),
            Series(name="fitted", style="c3", points=curve),
        ),
    )
    return drawn(
        name="throughput",
        title="The knee",
        units="transactions a second, over those active at once",
        reading=f"It bends at {number(fitted.best.cores)}.",
        at=lambda width: chart.body(picture, width),
    )
