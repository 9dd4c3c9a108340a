"""The shape of a scenario: a model with a source, and the figures that it is expected to show.

Owns parameters with bounds, expectations as data, the check that puts measured beside expected,
and its verdicts. Must never bend a figure: an expectation that cannot be met is marked as not
reproduced, with the reason, and the check fails when it is met after all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import msgspec

from howdah.errors import BadInput
from howdah.simulate.intervals import Estimate, share
from howdah.simulate.model import Model
from howdah.simulate.scenarios.trials import Runs, run_all

THREADS = 2

Scale = Literal["quick", "full"]
Verdict = Literal["holds", "differs", "not reproduced", "reproduced after all"]


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A number that the model can be built with."""

    name: str
    value: float  # without a word from the caller
    low: float
    high: float
    what: str  # meaning, unit, and whose figure it is


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that the model should show: `measure` finds it, [low, high] must meet its interval.

    `not_reproduced` says why this figure, though published, is not met by this model.
    """

    what: str
    measure: Measure
    value: float
    low: float
    high: float
    source: str
    scale: Scale = "quick"  # full: only measured at full scale
    not_reproduced: str = ""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """An expectation with what was measured."""

    expectation: Expectation
    estimate: Estimate
    verdict: Verdict

    @property
    def fine(self) -> bool:
        """Whether the measurement says what the scenario says."""
        return self.verdict in ("holds", "not reproduced")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found."""

    id: str
    scale: Scale
    replicas: int
    measured: tuple[Measured, ...]

    @property
    def ok(self) -> bool:
        """Every figure is as the scenario says."""
        return all(each.fine for each in self.measured)

    def lines(self) -> list[str]:
        """One line for each figure: verdict, what, measured with interval, expected with band."""
        return [
            f"{m.verdict}: {m.expectation.what}: measured {_figure(m.estimate.value)} "
            f"[{_figure(m.estimate.low)}, {_figure(m.estimate.high)}], expected "
            f"{_figure(m.expectation.value)} "
            f"[{_figure(m.expectation.low)}, {_figure(m.expectation.high)}]"
            for m in self.measured
        ]


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A published or constructed failure that can be run, and what it is known to do."""

    id: str
    title: str
    source: str
    teaches: tuple[str, str, str]
    parameters: tuple[Parameter, ...]
    build: Callable[..., Model]
    expected: tuple[Expectation, ...]
    replicas: int = 24  # at quick scale
    replicas_full: int = 96

    def model(self, **given: float) -> Model:
        """The model with these parameters; the others as they are. BadInput names the bounds."""
        return self.build(**self.settings(**given))

    def settings(self, **given: float) -> dict[str, float]:
        """Every parameter with its value."""
        known = {p.name: p for p in self.parameters}
        for name, value in given.items():
            if name not in known:
                raise BadInput(
                    f"scenario {self.id} has no parameter {name!r}",
                    hint=f"one of: {', '.join(known)}",
                )
            bounds = known[name]
            if not bounds.low <= value <= bounds.high:
                raise BadInput(
                    f"{name} of scenario {self.id} is between {bounds.low:g} and {bounds.high:g}",
                    detail=f"{value:g} was given",
                )
        return {name: given.get(name, p.value) for name, p in known.items()}

    def check(self, *, replicas: int | None = None, scale: Scale = "quick") -> Report:
        """Run it and put what is measured beside what is expected."""
        count = replicas or (self.replicas if scale == "quick" else self.replicas_full)
        study = Study(self, replicas=count, scale=scale)
        wanted = [e for e in self.expected if scale == "full" or e.scale == "quick"]
        return Report(
            id=self.id,
            scale=scale,
            replicas=count,
            measured=tuple(judge(each, each.measure(study)) for each in wanted),
        )


class Study:
    """The runs of one check: each variant of the model is run once, however often it is asked."""

    def __init__(self, scenario: Scenario, *, replicas: int, scale: Scale) -> None:
        self.scenario, self.replicas, self.scale = scenario, replicas, scale
        self._known: dict[tuple[float, ...], Runs] = {}

    def runs(self, **parameters: float) -> Runs:
        """Replicas of this variant, seeds from 0."""
        key = tuple(self.scenario.settings(**parameters).values())
        if key not in self._known:
            self._known[key] = run_all(
                self.scenario.model(**parameters), range(self.replicas), threads=THREADS
            )
        return self._known[key]


Measure = Callable[[Study], Estimate]


def judge(expectation: Expectation, estimate: Estimate) -> Measured:
    """An expectation is met when its band and the measured interval have a point in common."""
    met = estimate.low <= expectation.high and expectation.low <= estimate.high
    if expectation.not_reproduced:
        verdict: Verdict = "reproduced after all" if met else "not reproduced"
    else:
        verdict = "holds" if met else "differs"
    return Measured(expectation=expectation, estimate=estimate, verdict=verdict)


def expect_share(
    what: str,
    measure: Measure,
    value: float,
    source: str,
    *,
    of: int = 64,
    scale: Scale = "quick",
    not_reproduced: str = "",
) -> Expectation:
    """A share that was seen in `of` runs: the band is Wilson's interval of that."""
    band = share(round(value * of), of)
    return Expectation(
        what=what,
        measure=measure,
        value=value,
        low=band.low,
        high=band.high,
        source=source,
        scale=scale,
        not_reproduced=not_reproduced,
    )


def expect(
    what: str,
    measure: Measure,
    value: float,
    source: str,
    *,
    within: float,
    scale: Scale = "quick",
    not_reproduced: str = "",
) -> Expectation:
    """A figure with the band value +- `within`."""
    return Expectation(
        what=what,
        measure=measure,
        value=value,
        low=value - within,
        high=value + within,
        source=source,
        scale=scale,
        not_reproduced=not_reproduced,
    )


def expect_at_most(
    what: str,
    measure: Measure,
    value: float,
    source: str,
    *,
    scale: Scale = "quick",
    not_reproduced: str = "",
) -> Expectation:
    """A figure that is not exceeded."""
    return Expectation(
        what=what,
        measure=measure,
        value=value,
        low=-math.inf,
        high=value,
        source=source,
        scale=scale,
        not_reproduced=not_reproduced,
    )


def expect_at_least(
    what: str,
    measure: Measure,
    value: float,
    source: str,
    *,
    scale: Scale = "quick",
    not_reproduced: str = "",
) -> Expectation:
    """A figure that is reached."""
    return Expectation(
        what=what,
        measure=measure,
        value=value,
        low=value,
        high=math.inf,
        source=source,
        scale=scale,
        not_reproduced=not_reproduced,
    )


def parameters(**given: tuple[float, float, float, str]) -> tuple[Parameter, ...]:
    """Parameters in short: name=(value, low, high, what)."""
    return tuple(
        Parameter(name=name, value=value, low=low, high=high, what=what)
        for name, (value, low, high, what) in given.items()
    )


def _figure(x: float) -> str:
    return f"{x:.4g}"
