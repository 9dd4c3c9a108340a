"""Sweeps, thresholds, minimal triggers and hysteresis, in words and pictures."""

from __future__ import annotations

from howdah.report.pictures import simulated as pictures
from howdah.report.pictures.chart import Axis, number
from howdah.report.pictures.drawing import Drawing
from howdah.report.pictures.simulated import Measured
from howdah.report.simulated.figures import INTERVALS, JUDGED, judged, passes, percent
from howdah.report.simulation import Page, Section, Table
from howdah.simulate.intervals import Estimate
from howdah.simulate.search import Frontier, Hysteresis, MinimalTrigger
from howdah.simulate.sweep import Cell, Grid


def sweep(grid: Grid) -> Page:
    """A grid of settings: a table of verdicts, a curve of one knob or a matrix of two."""
    knobs = tuple(grid.over)
    tipped = [each for each in grid.cells if each.verdict.stuck.value > 0.5]
    rows = tuple(
        (*(number(each.settings[knob]) for knob in knobs), *judged(each.verdict))
        for each in grid.cells
    )
    return Page(
        title=f"{grid.model}: {' and '.join(knobs)}",
        verdict=f"Most runs stay down at {len(tipped)} of {len(grid.cells)} settings.",
        facts=(
            ("settings", f"{len(grid.cells)}"),
            ("runs of each", f"{grid.budget.replicas}"),
            ("events", f"{sum(each.verdict.events for each in grid.cells):,}"),
            ("taken over from the file", f"{grid.taken_over}"),
        ),
        sections=(
            Section(
                title="Settings",
                text=(INTERVALS,),
                tables=(Table(head=(*knobs, *JUDGED), rows=rows),),
                pictures=_sweep_picture(grid, knobs),
            ),
        ),
    )


def _sweep_picture(grid: Grid, knobs: tuple[str, ...]) -> tuple[Drawing, ...]:
    reading = "The share of runs that are still down at the horizon."
    if len(knobs) == 1:
        points = [_point(cell.settings[knobs[0]], cell.verdict.stuck) for cell in grid.cells]
        return (
            pictures.measured(
                "Stuck runs",
                "share of runs, with intervals",
                {"": points},
                x=Axis(name=knobs[0]),
                y=Axis(name="share stuck", high=1.0),
                reading=reading,
            ),
        )
    if len(knobs) == 2:
        first, second = (grid.over[knob] for knob in knobs)
        by_place = {(cell.settings[knobs[0]], cell.settings[knobs[1]]): cell for cell in grid.cells}
        return (
            pictures.matrix(
                "Stuck runs",
                f"rows: {knobs[0]}; columns: {knobs[1]}",
                [number(each) for each in first],
                [number(each) for each in second],
                [[_stuck(by_place[a, b]) for b in second] for a in first],
                reading=reading,
            ),
        )
    return ()


def _stuck(cell: Cell) -> float:
    return cell.verdict.stuck.value


def _point(x: float, estimate: Estimate) -> Measured:
    return Measured(x=x, y=estimate.value, low=estimate.low, high=estimate.high)


def trigger(model: str, found: MinimalTrigger | None) -> Page:
    """The smallest disturbance that tips the model, with its certificate."""
    if found is None:
        return Page(
            title=f"{model}: the smallest trigger",
            verdict="Nothing in these ranges tips it.",
            facts=(),
            sections=(),
        )
    knobs = ", ".join(f"{knob} {number(value)}" for knob, value in found.knobs.items())
    last = found.threshold.knob
    certificate = found.certificate
    text = [
        f"With {last} at {passes(found.threshold)}, a share of {found.p:g} of the runs stays down.",
        f"Fresh seeds: {percent(found.confirmed.stuck)} stay down there, and "
        f"{percent(found.below.stuck)} with {last} a fifth lower.",
    ]
    if certificate is None:
        text.append("No fresh run stayed down, so that there is no certificate.")
    else:
        text.append(
            f"Certificate: seed {certificate.seed}, {certificate.events:,} events, hash "
            f"{certificate.hash:016x}"
            + (f"; howdah simulate replay {certificate.replay}" if certificate.replay else "")
        )
    return Page(
        title=f"{model}: the smallest trigger",
        verdict=f"Tipped by {knobs}." if certificate else f"Not tipped by {knobs}.",
        facts=(("events", f"{found.events:,}"), ("share asked for", f"{found.p:g}")),
        sections=(
            Section(
                title="What tips it",
                text=tuple(text),
                tables=(_probes(found),),
                pictures=_frontier(found.frontier) if found.frontier is not None else (),
            ),
        ),
    )


def _probes(found: MinimalTrigger) -> Table:
    rows = tuple((number(each.value), percent(each.stuck)) for each in found.threshold.probes)
    return Table(head=(found.threshold.knob, "stuck"), rows=rows)


def _frontier(found: Frontier) -> tuple[Drawing, ...]:
    """The frontier along its first knob, a curve for each setting of the others."""
    curves: dict[str, list[Measured]] = {}
    for point in found.points:
        if point.found.value is not None:
            others = zip(found.along[1:], point.at[1:], strict=True)
            name = ", ".join(f"{knob} {number(value)}" for knob, value in others)
            curves.setdefault(name, []).append(_point(point.at[0], point.found.value))
    if not curves:
        return ()
    positive = all(each.x > 0 and each.low > 0 for points in curves.values() for each in points)
    return (
        pictures.measured(
            "Trigger frontier",
            f"where a share of {found.p:g} of the runs stays down",
            curves,
            x=Axis(name=found.along[0], log=positive),
            y=Axis(name=found.knob, log=positive),
            reading="A trigger above the line tips the model, one below it is absorbed.",
        ),
    )


def hysteresis(model: str, found: Hysteresis) -> Page:
    """The loop of loads: where it falls on the way up, and where it returns on the way down."""
    up = "never" if found.leaves_at is None else f"at {number(found.leaves_at)}"
    down = "never" if found.returns_at is None else f"at {number(found.returns_at)}"
    rows = tuple(
        (number(one.load), _good(one.good), _good(two.good), number(two.goodput.value))
        for one, two in zip(found.up, sorted(found.down, key=lambda s: s.load), strict=True)
    )
    curves = {
        "load rising": [_point(each.load, each.goodput) for each in found.up],
        "load falling": [_point(each.load, each.goodput) for each in found.down],
    }
    return Page(
        title=f"{model}: hysteresis",
        verdict=f"Going up it falls {up} requests a second; going down it returns {down}.",
        facts=(("seconds at each load", number(found.hold)), ("events", f"{found.events:,}")),
        sections=(
            Section(
                title="The loop",
                text=(
                    "Between the two loads both states live: what the system does there depends "
                    "on where it comes from. A longer time at each load finds more escapes.",
                ),
                tables=(
                    Table(
                        head=("load", "good, rising", "good, falling", "goodput, falling"),
                        rows=rows,
                    ),
                ),
                pictures=(
                    pictures.measured(
                        "Hysteresis",
                        "successes a second, with intervals",
                        curves,
                        x=Axis(name="requests a second"),
                        y=Axis(name="goodput"),
                        reading=f"Rising it falls {up}, falling it returns {down}.",
                    ),
                ),
            ),
        ),
    )


def _good(estimate: Estimate) -> str:
    return f"{estimate.value:.0%} of runs".replace("%", " %")
