"""Designs beside each other: the same triggers in the same worlds.

Owns the matrix of verdicts. Must never compare designs over different seeds or yardsticks.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from howdah.errors import BadInput
from howdah.simulate.model import Model, Trigger
from howdah.simulate.search.trial import BUDGET, JUDGE, Budget, Judge, Progress, Verdict, verdict


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One design under one trigger."""

    design: str
    trigger: str
    verdict: Verdict


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """All designs under all triggers."""

    designs: tuple[str, ...]
    triggers: tuple[str, ...]
    cells: tuple[Cell, ...]

    def cell(self, design: str, trigger: str) -> Verdict:
        """The verdict of one design under one trigger."""
        return next(
            each.verdict for each in self.cells if each.design == design and each.trigger == trigger
        )


def compare(
    designs: Mapping[str, Model],
    triggers: Mapping[str, tuple[Trigger, ...]] | None = None,
    *,
    judge: Judge = JUDGE,
    budget: Budget = BUDGET,
    progress: Progress | None = None,
) -> Matrix:
    """Every design under every trigger; each design's own triggers when none are given.

    All designs must have the same clients, or their worlds and goodputs have nothing in common.
    """
    if not designs:
        raise BadInput("there is nothing to compare")
    names = {tuple(model.clients) for model in designs.values()}
    if len(names) > 1:
        raise BadInput("designs that are compared have the same clients", detail=str(names))
    columns = list(triggers) if triggers is not None else ["its own"]
    cells = []
    for design, model in designs.items():
        for column in columns:
            asked = model
            if triggers is not None:
                asked = msgspec.structs.replace(
                    model, triggers=triggers[column], settled_after=None
                )
            cells.append(
                Cell(
                    design=design,
                    trigger=column,
                    verdict=verdict(asked, judge=judge, budget=budget),
                )
            )
            if progress is not None:
                progress(f"{design}, {column}", len(cells) / (len(designs) * len(columns)))
    return Matrix(designs=tuple(designs), triggers=tuple(columns), cells=tuple(cells))
