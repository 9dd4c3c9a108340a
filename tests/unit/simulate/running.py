"""Run a model on the reference engine and look at it."""

from __future__ import annotations

from howdah.simulate.model import Model
from howdah.simulate.reference import ReferenceEngine
from howdah.simulate.validate import refusals

SECOND = 1_000_000_000


def run(model: Model, until: float | None = None, seed: int = 7) -> ReferenceEngine:
    """The engine at `until` (the horizon), its invariants checked."""
    assert refusals(model) == []
    engine = ReferenceEngine(model, seed)
    on(engine, model.horizon if until is None else until)
    return engine


def on(engine: ReferenceEngine, until: float) -> ReferenceEngine:
    """The engine later."""
    assert engine.advance(int(until * SECOND))
    assert engine.check() == []
    return engine


def see(engine: ReferenceEngine, *columns: str) -> list[float]:
    """Some columns, now."""
    gauges = engine.gauges()
    return [gauges[column] for column in columns]
