"""The frontier of the smallest triggers: how much of one knob tips, for each value of others.

Owns tracing it over a grid, each point from its neighbour's answer. Must never fill a point in:
where nothing tips, or everything does, the point says so.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import msgspec

from howdah.errors import BadInput
from howdah.simulate.model import Model
from howdah.simulate.search.knobs import turn
from howdah.simulate.search.threshold import Threshold, threshold
from howdah.simulate.search.trial import BUDGET, JUDGE, Budget, Judge, Progress


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """The threshold of the last knob where the other knobs have these values."""

    at: tuple[float, ...]
    found: Threshold


class Frontier(msgspec.Struct, frozen=True, kw_only=True):
    """Points of the frontier, in the order of the grid."""

    along: tuple[str, ...]  # the knobs of the grid
    knob: str  # the knob that was searched
    p: float
    points: tuple[Point, ...]
    events: int


def frontier(
    model: Model,
    grid: Mapping[str, Sequence[float]],
    knob: str,
    *,
    low: float,
    high: float,
    p: float = 0.5,
    judge: Judge = JUDGE,
    budget: Budget = BUDGET,
    progress: Progress | None = None,
) -> Frontier:
    """The p-threshold of `knob` in [low, high] for every point of a grid of one to three knobs.

    Neighbours' answers narrow the search, which makes a point cost some five probes.
    """
    if not 1 <= len(grid) <= 3 or not all(grid.values()):
        raise BadInput("a frontier has a grid of one to three knobs, each with values")
    names, places = tuple(grid), list(itertools.product(*grid.values()))
    points: dict[tuple[float, ...], Threshold] = {}
    for i, place in enumerate(places):
        near = _nearest(points, place)
        points[place] = threshold(
            _turned(model, names, place),
            knob,
            low=low,
            high=high,
            p=p,
            judge=judge,
            budget=budget,
            near=near,
        )
        if progress is not None:
            progress(f"{knob} at {_words(names, place)}", (i + 1) / len(places))
    return Frontier(
        along=names,
        knob=knob,
        p=p,
        points=tuple(Point(at=place, found=points[place]) for place in places),
        events=sum(found.events for found in points.values()),
    )


def _turned(model: Model, names: tuple[str, ...], place: tuple[float, ...]) -> Model:
    for name, value in zip(names, place, strict=True):
        model = turn(model, name, value)
    return model


def _nearest(points: dict[tuple[float, ...], Threshold], place: tuple[float, ...]) -> float | None:
    """The answer of the nearest point that has one, by ratios of its coordinates."""

    def far(other: tuple[float, ...]) -> float:
        return sum(
            abs(math.log((a + 1e-12) / (b + 1e-12))) for a, b in zip(other, place, strict=True)
        )

    known = {at: found.value.value for at, found in points.items() if found.value is not None}
    return known[min(known, key=far)] if known else None


def _words(names: tuple[str, ...], place: tuple[float, ...]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in zip(names, place, strict=True))
