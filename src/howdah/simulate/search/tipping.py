"""How much load tips a model, with its trigger and without, and from which backlog it falls.

Owns the three questions about one number. Must never extrapolate beyond the range it was given.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from howdah.errors import BadInput
from howdah.simulate.model import Inject, Model, Open, Trigger
from howdah.simulate.search.knobs import turn
from howdah.simulate.search.threshold import Threshold, threshold
from howdah.simulate.search.trial import BUDGET, JUDGE, Budget, Judge, Progress, Verdict, verdict


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict at each value of a knob."""

    knob: str
    values: tuple[float, ...]
    verdicts: tuple[Verdict, ...]


def curve(
    model: Model,
    knob: str,
    values: Sequence[float],
    *,
    judge: Judge = JUDGE,
    budget: Budget = BUDGET,
    progress: Progress | None = None,
) -> Curve:
    """The verdict at each of `values`, in the same worlds; "load" scales all rates together."""
    found = []
    for i, value in enumerate(values):
        at = turn(model, knob, value)
        found.append(verdict(at, judge=judge, budget=budget))
        if progress is not None:
            progress(knob, (i + 1) / len(values))
    return Curve(knob=knob, values=tuple(values), verdicts=tuple(found))


class Tipping(msgspec.Struct, frozen=True, kw_only=True):
    """The load at which half of the runs stay down."""

    with_trigger: Threshold
    alone: Threshold | None  # without any trigger, within the same horizon; None: not asked


def tipping_load(
    model: Model,
    knob: str,
    *,
    low: float,
    high: float,
    p: float = 0.5,
    alone: bool = True,
    judge: Judge = JUDGE,
    budget: Budget = BUDGET,
    progress: Progress | None = None,
) -> Tipping:
    """The tipping load with the model's triggers and, when asked, without them.

    Without a trigger a run counts as stuck when it fell by itself within the horizon and was
    down at its end, judged against what was asked for (an open client's rate) and not against
    what it had before.
    """
    if not model.triggers:
        raise BadInput("a tipping load needs a trigger", hint="or `escapes` for a model without")
    found = threshold(
        model, knob, low=low, high=high, p=p, judge=judge, budget=budget, progress=progress
    )
    return Tipping(
        with_trigger=found,
        alone=_alone(model, knob, low, high, p, judge, budget, progress) if alone else None,
    )


def _alone(
    model: Model,
    knob: str,
    low: float,
    high: float,
    p: float,
    judge: Judge,
    budget: Budget,
    progress: Progress | None,
) -> Threshold:
    """The last fifth of the run is judged, against what is asked for."""
    calm = msgspec.structs.replace(model, triggers=(), settled_after=0.8 * model.horizon)
    return threshold(
        calm,
        knob,
        low=low,
        high=high,
        p=p,
        judge=lambda at: msgspec.structs.replace(judge, undisturbed=_asked(at, judge)),
        budget=budget,
        progress=progress,
    )


def _asked(model: Model, judge: Judge) -> dict[str, float]:
    names = judge.clients or tuple(model.clients)
    asked = {name: getattr(model.clients[name], "rate", 0.0) for name in names}
    return {name: rate for name, rate in asked.items() if rate > 0}


def basin(
    model: Model,
    client: str,
    *,
    at: float,
    low: float = 1,
    high: float = 10_000,
    p: float = 0.5,
    judge: Judge = JUDGE,
    budget: Budget = BUDGET,
    progress: Progress | None = None,
) -> Threshold:
    """How many requests of `client`, all at once at second `at`, tip the calm model.

    The edge of the basin of attraction in the coordinate that one can push: the backlog.
    """
    if not isinstance(model.clients.get(client), Open):
        raise BadInput(f"{client!r} is not an open client of this model")
    push = Trigger(name="push", at=at, actions=(Inject(client=client, count=max(1, round(low))),))
    pushed = msgspec.structs.replace(model, triggers=(push,), settled_after=None)
    return threshold(
        pushed,
        "triggers.push.count",
        low=low,
        high=high,
        p=p,
        judge=judge,
        budget=budget,
        progress=progress,
    )
