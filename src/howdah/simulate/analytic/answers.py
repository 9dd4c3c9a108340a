"""Which formulas a model falls under, and their figures beside the simulated ones.

Owns recognising a model, or a station of it, as one of the known ones. Must never force a formula
on a model that breaks one of its conditions without saying so: such an answer is not `exact` and
names the condition, or there is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from howdah.simulate.analytic.closed import closed_answers
from howdah.simulate.analytic.flow import Flow, flow_of
from howdah.simulate.analytic.stations import station_answers
from howdah.simulate.analytic.tipping import by_itself, tipping_answers
from howdah.simulate.analytic.word import Answer
from howdah.simulate.intervals import Estimate, ratio_of_growth
from howdah.simulate.model import Closed, Model
from howdah.simulate.parts import flatten

Floats = npt.NDArray[np.float64]


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """An answer and what the run says to it."""

    answer: Answer
    simulated: Estimate | None  # None: the run does not measure it

    @property
    def agrees(self) -> bool | None:
        """Whether the interval holds the computed figure; None when nothing was simulated."""
        return None if self.simulated is None else self.simulated.holds(self.answer.value)


def analytic(model: Model, *, chains: bool = False) -> tuple[Answer, ...]:
    """Everything that is known about `model` without running it, by station and client.

    Equilibrium answers are those of the model without its triggers. Empty when nothing applies.
    `chains` solves Markov chains too, which takes seconds: how soon a storm begins by itself.
    """
    model = flatten(model)
    if any(isinstance(c, Closed) for c in model.clients.values()):
        return (*closed_answers(model), *tipping_answers(model))
    flow = flow_of(model)
    solved = by_itself(model, flow) if chains else ()
    return (*_stations(model, flow), *tipping_answers(model), *solved)


def _stations(model: Model, flow: Flow) -> Iterator[Answer]:
    for name in model.stations:
        if flow.rate(name) > 0:
            yield from station_answers(model, flow, name)


def beside(
    answers: tuple[Answer, ...],
    t: Floats,
    columns: Mapping[str, Floats],
    *,
    since: float,
    until: float = math.inf,
    confidence: float = 0.95,
) -> tuple[Compared, ...]:
    """Each answer with its estimate from a run between two seconds, by batch means."""
    kept = (t >= since) & (t <= until)
    return tuple(
        Compared(answer=a, simulated=_measured(a, t[kept], columns, kept, confidence))
        for a in answers
    )


def _measured(
    answer: Answer,
    t: Floats,
    columns: Mapping[str, Floats],
    kept: npt.NDArray[np.bool_],
    confidence: float,
) -> Estimate | None:
    needed = [*answer.top, *answer.bottom]
    if not answer.top or len(t) < 21 or any(name not in columns for name in needed):
        return None
    top = np.sum([columns[name][kept] for name in answer.top], axis=0)
    bottom = np.sum([columns[n][kept] for n in answer.bottom], axis=0) if answer.bottom else t
    if answer.gauge:  # a gauge's mean: its integral over time, by the sums of its samples
        top = np.concatenate([[0.0], np.cumsum(top[1:] * np.diff(t))])
    found = ratio_of_growth(top, bottom, confidence=confidence)
    return msgspec.structs.replace(
        found,
        value=found.value / answer.scale,
        low=found.low / answer.scale,
        high=found.high / answer.scale,
    )
