"""Whatever the model: the reference engine keeps its books, and comes back to where it was."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from howdah.simulate.files import dumps, loads
from howdah.simulate.model import Model
from howdah.simulate.reference import ReferenceEngine
from howdah.simulate.validate import refusals
from tests.unit.simulate.any_model import models

SECOND = 1_000_000_000
CALM = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@CALM
@given(models())
def test_books_balance_and_snapshots_return(model: Model) -> None:
    wrong = refusals(model)
    assert all("ever come here" in str(one) or "passed" in str(one) for one in wrong), wrong
    engine = ReferenceEngine(model, 3)
    for stop in (0, 1, 4, 9):
        engine.advance(stop * SECOND)
        assert engine.check() == []
    snapshot = engine.snapshot()
    engine.advance(14 * SECOND, most_events=3000)
    assert engine.check() == []
    seen = engine.hash, engine.events, engine.cancelled, engine.gauges()
    engine.restore(snapshot)
    engine.advance(14 * SECOND, most_events=3000)
    assert (engine.hash, engine.events, engine.cancelled, engine.gauges()) == seen


@CALM
@given(models())
def test_a_model_survives_its_file(model: Model) -> None:
    assert loads(dumps(model, "toml"), "toml") == model
    assert loads(dumps(model, "yaml"), "yaml") == model
