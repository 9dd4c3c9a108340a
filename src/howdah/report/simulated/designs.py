"""Designs beside each other, and what keeps one of them down, in words and pictures."""

from __future__ import annotations

from collections.abc import Iterator

from howdah.report.pictures import graph
from howdah.report.pictures import simulated as pictures
from howdah.report.pictures.chart import number
from howdah.report.pictures.graph import Edge, Graph
from howdah.report.simulated.figures import INTERVALS, JUDGED, judged, percent
from howdah.report.simulation import Page, Section, Table
from howdah.simulate.model import Controller, Model
from howdah.simulate.parts import flatten
from howdah.simulate.search import Attribution, Matrix

_TARGETS = ("to", "hit", "miss", "yield_to")
_ENDS = frozenset({"reply", "reject"})


def compare(found: Matrix) -> Page:
    """Every design under every trigger."""
    survivors = [
        design
        for design in found.designs
        if all(found.cell(design, each).stuck.value < 0.05 for each in found.triggers)
    ]
    rows = tuple((cell.design, cell.trigger, *judged(cell.verdict)) for cell in found.cells)
    shares = [
        [1 - found.cell(design, each).stuck.value for each in found.triggers]
        for design in found.designs
    ]
    verdict = (
        f"{', '.join(survivors)} survive{'s' if len(survivors) == 1 else ''} every trigger."
        if survivors
        else "No design survives every trigger."
    )
    return Page(
        title="Designs compared",
        verdict=verdict,
        facts=(
            ("designs", f"{len(found.designs)}"),
            ("triggers", f"{len(found.triggers)}"),
            ("events", f"{sum(each.verdict.events for each in found.cells):,}"),
        ),
        sections=(
            Section(
                title="Survival",
                text=(f"The same seeds in every cell. {INTERVALS}",),
                tables=(Table(head=("design", "trigger", *JUDGED), rows=rows),),
                pictures=(
                    pictures.matrix(
                        "Survival",
                        "share of runs that recover within the horizon",
                        found.designs,
                        found.triggers,
                        shares,
                        reading=verdict,
                    ),
                ),
            ),
        ),
    )


def attribution(model: Model, found: Attribution) -> Page:
    """What was cut from the stuck state, and what that did."""
    rows = tuple(
        (
            each.cut,
            each.kind,
            percent(each.recovered),
            "-" if each.stays is None else percent(each.stays),
        )
        for each in (found.control, *found.ablations)
    )
    return Page(
        title=f"{model.name}: what keeps it down",
        verdict=found.sentence,
        facts=(
            ("stuck moments", f"{found.moments}"),
            ("watched for", f"{number(found.patience)} s"),
            ("sustained by", ", ".join(found.sustaining) or "no single edge"),
            ("put back once, it recovers", ", ".join(found.remedies) or "nothing alone"),
        ),
        sections=(
            Section(
                title="Cuts",
                text=(
                    "From each stuck moment the run goes on with one thing changed. "
                    f"Stays: still good after the change was undone. {INTERVALS}",
                ),
                tables=(Table(head=("cut", "kind", "recovers", "stays"), rows=rows),),
                pictures=(graph.draw(graph_of(model, found.loop), reading=found.sentence),),
            ),
        ),
    )


def graph_of(model: Model, loop: tuple[str, ...] = ()) -> Graph:
    """The model's elements, the ways of its items, and its controllers' hands on them."""
    flat = flatten(model)
    elements = {**flat.clients, **flat.stations, **flat.controllers}
    hands = [
        (name, each, "limit")
        for name, controller in flat.controllers.items()
        for each in controller.watch
    ]
    return Graph(
        elements={name: _kind(each) for name, each in elements.items()},
        edges=tuple(
            (name, end)
            for name, each in {**flat.clients, **flat.stations}.items()
            for _, end in _ways(name, each)
            if end not in _ENDS
        ),
        loop=loop,
        feedback=tuple(hands),
    )


def _ways(name: str, element: object) -> Iterator[Edge]:
    for field in _TARGETS:
        target = getattr(element, field, None)
        for each in (target,) if isinstance(target, str) else target or ():
            yield name, each


def _kind(element: object) -> str:
    kind = type(element).__name__.lower()
    if isinstance(element, Controller):
        return f"{kind}, {element.policy.name}"
    for field in ("rate", "users", "servers", "cores", "tickets", "entries"):
        value = getattr(element, field, None)
        if value is not None:
            return f"{kind}, {field} {number(float(value))}"
    return kind
