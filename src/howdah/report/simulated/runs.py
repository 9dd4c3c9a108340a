"""One run: what came and what was answered, the formulas beside it, and how it went over time."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from howdah.errors import BadInput
from howdah.report.pictures import graph
from howdah.report.pictures import simulated as pictures
from howdah.report.pictures.chart import Place, Span, number
from howdah.report.pictures.drawing import Drawing
from howdah.report.simulated.designs import graph_of
from howdah.report.simulated.figures import amount
from howdah.report.simulation import Page, Section, Table
from howdah.simulate.analytic import analytic
from howdah.simulate.analytic.answers import Compared, beside
from howdah.simulate.measures import Recovery, clients, disturbance, recoveries, together
from howdah.simulate.run import Moment, Run

_SHARE_WARM = 0.1  # of the run, before what formulas say of an equilibrium is compared


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A run as data."""

    seed: int
    engine: str
    why: str  # this engine
    seconds: float
    events: int
    cancelled: int
    hash: str
    gauges: Mapping[str, float]
    recovery: Recovery | None  # where the model has a disturbance
    computed: tuple[Compared, ...]
    moment: Moment | None = None


def told(run: Run, *, at: float | None = None) -> Told:
    """Everything that a run has to say, and one moment of it."""
    samples = run.samples()
    return Told(
        seed=run.seed,
        engine=run.engine.name,
        why=run.why,
        seconds=run.now,
        events=run.events,
        cancelled=run.engine.cancelled,
        hash=f"{run.hash:016x}",
        gauges=run.gauges(),
        recovery=_recovery(run),
        computed=beside(
            analytic(run.model),
            samples.t,
            samples.columns,
            since=_SHARE_WARM * run.now,
            until=_calm_until(run),
        ),
        moment=None if at is None else run.at(at),
    )


def run(done: Run, said: Told, *, again: str = "") -> Page:
    """The run for people."""
    return Page(
        title=f"{done.model.name}: {number(said.seconds)} s of seed {said.seed}",
        verdict=_verdict(said),
        facts=(
            ("events", f"{said.events:,} ({said.cancelled:,} more were cancelled in time)"),
            ("hash", said.hash),
            ("engine", f"{said.engine}: {said.why}" if said.why else said.engine),
        ),
        sections=tuple(_sections(done, said)),
        again=again,
    )


def _sections(done: Run, said: Told) -> list[Section]:
    sections = [
        Section(
            title="Clients and elements",
            tables=(_clients(said.gauges), *_elements(done, said.gauges)),
        ),
        Section(title="Over time", pictures=_pictures(done)),
    ]
    if said.computed:
        sections.insert(1, _formulas(said))
    if said.moment is not None:
        sections.insert(0, _moment(said.moment))
    return sections


def _calm_until(run: Run) -> float:
    """Formulas speak of the model without its triggers."""
    return disturbance(run.model).start if run.model.triggers and _timed(run) else run.now


def _timed(run: Run) -> bool:
    return all(each.at is not None for each in run.model.triggers) or bool(run.model.settled_after)


def _recovery(run: Run) -> Recovery | None:
    if not run.model.triggers or not _timed(run):
        return None
    samples, during = run.samples(), disturbance(run.model)
    if not 0 < during.start < during.end < run.now:
        return None
    try:
        return together(recoveries(samples.t, samples.columns, during))
    except BadInput:  # nothing was answered before the disturbance
        return None


def _verdict(said: Told) -> str:
    found = said.recovery
    if found is None:
        return "It ran; there was no disturbance to recover from."
    if found.after is None:
        return (
            f"Stuck: goodput was not back within {number(found.horizon)} s after the disturbance; "
            f"{number(found.last)} a second at the end, {number(found.undisturbed)} before it."
        )
    return (
        f"Recovered {number(found.after)} s after the disturbance; "
        f"{number(max(0.0, found.deficit))} successes were lost to it."
    )


def _clients(gauges: Mapping[str, float]) -> Table:
    columns = ("requests", "succeeded", "failed", "open", "attempts", "timed_out", "rejected")
    names = [each.rpartition(".")[0] for each in gauges if each.endswith(".succeeded")]
    rows = tuple(
        (
            name,
            *(f"{gauges.get(f'{name}.{column}', 0):,.0f}" for column in columns),
            _mean(gauges, name),
        )
        for name in names
    )
    return Table(
        head=("client", *(each.replace("_", " ") for each in columns), "latency s"), rows=rows
    )


def _mean(gauges: Mapping[str, float], name: str) -> str:
    done = gauges.get(f"{name}.succeeded", 0)
    return number(gauges.get(f"{name}.latency_sum", 0) / done) if done else "-"


def _elements(done: Run, gauges: Mapping[str, float]) -> tuple[Table, ...]:
    columns = ("entered", "left", "refused", "dropped", "inside", "waiting", "limit")
    known = [each.rpartition(".")[0] for each in gauges if each.endswith(".entered")]
    rows = tuple(
        (
            name,
            *(_cell(gauges.get(f"{name}.{column}")) for column in columns),
            _load(done, gauges, name),
        )
        for name in known
    )
    return (Table(head=("element", *columns, "busy"), rows=rows),) if rows else ()


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _load(done: Run, gauges: Mapping[str, float], name: str) -> str:
    busy, limit = gauges.get(f"{name}.busy"), gauges.get(f"{name}.limit")
    if busy is None or not limit or not done.now:
        return "-"
    return f"{100 * busy / limit / done.now:.0f} %"


def _formulas(said: Told) -> Section:
    rows = tuple(
        (
            each.answer.where or "the model",
            each.answer.what,
            f"{number(each.answer.value)} {each.answer.unit}".rstrip(),
            "-" if each.simulated is None else amount(each.simulated),
            {True: "agrees", False: "differs", None: "-"}[each.agrees],
            each.answer.formula if each.answer.exact else f"if not for: {each.answer.because}",
        )
        for each in said.computed
    )
    head = ("where", "what", "computed", "simulated", "", "by")
    return Section(
        title="What is known without a run",
        text=("Of the equilibrium without the triggers; simulated until the disturbance begins.",),
        tables=(Table(head=head, rows=rows),),
    )


def _moment(moment: Moment) -> Section:
    gauges = tuple((name, number(value)) for name, value in moment.gauges.items() if value)
    items = tuple(
        (
            f"{each.serial}",
            each.client,
            f"{each.attempt}",
            each.element,
            "yes" if each.in_service else "",
        )
        for each in moment.items[:50]
    )
    more = f"; the first 50 of {len(moment.items):,} items" if len(moment.items) > 50 else ""
    return Section(
        title=f"At second {number(moment.time)}",
        text=(f"{moment.events:,} events, hash {moment.hash:016x}{more}.",),
        tables=(
            Table(head=("column", "value"), rows=gauges),
            Table(head=("item", "client", "attempt", "where", "in service"), rows=items),
        ),
    )


def _pictures(done: Run) -> tuple[Drawing, ...]:
    columns, spans = done.samples().columns, _spans(done)
    rates = {
        f"{name} {column}": _line(*done.rate(f"{name}.{column}"))
        for name in clients(columns)
        for column in ("succeeded", "attempts")
    }
    load = pictures.time_line(
        "Goodput and load",
        "a second, over seconds",
        rates,
        reading="What was answered in time, beside what was sent.",
        spans=spans,
    )
    waiting = [
        name
        for name, values in columns.items()
        if name.endswith((".waiting", ".inside", ".waiting_retry")) and values.max(initial=0) > 1
    ]
    limits = [
        name for name, values in columns.items() if name.endswith(".limit") and np.ptp(values) > 0
    ]
    more = (
        ("Waiting", "items", waiting[:6], "Lines, and attempts that wait to be repeated."),
        ("Limits", "tickets, servers or rates", limits, "What triggers and controllers made."),
    )
    lines = [
        pictures.time_line(
            title,
            f"{units}, over seconds",
            {name: _line(*done.series(name)) for name in names},
            reading=reading,
            spans=spans,
        )
        for title, units, names, reading in more
        if names
    ]
    ways = graph.draw(graph_of(done.model), reading="The ways of items.")
    return (load, *lines, *_phase(done), ways)


def _phase(done: Run) -> tuple[Drawing, ...]:
    """The longest line against the attempts that wait to be repeated."""
    columns = done.samples().columns
    lines = {
        name: v for name, v in columns.items() if name.endswith(".inside") and v.max(initial=0)
    }
    orbits = {name: v for name, v in columns.items() if name.endswith(".waiting_retry")}
    if not lines or not orbits or not max(v.max(initial=0) for v in orbits.values()):
        return ()
    x = max(lines, key=lambda name: float(lines[name].max()))
    y = max(orbits, key=lambda name: float(orbits[name].max()))
    return (
        pictures.phase(
            "Phase portrait",
            {"": _line(lines[x], orbits[y])},
            x=x,
            y=y,
            reading="Near the origin it is healthy; far out it is stuck.",
        ),
    )


def _line(x: np.ndarray, y: np.ndarray) -> list[Place]:
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _spans(done: Run) -> list[Span]:
    return [
        Span(start=each.at, end=getattr(action, "until", None) or each.at, name=each.name)
        for each in done.model.triggers
        if each.at is not None
        for action in each.actions
    ]
