"""A7: serving the youngest first.

Owns the scenario; see `retry_storm.py` for the model.
"""

from __future__ import annotations

from howdah.simulate.model import Model
from howdah.simulate.scenarios.readings import recovered_within
from howdah.simulate.scenarios.retry_storm import PROTOTYPE, WINDOWS, retry_storm, stays_down, usual
from howdah.simulate.scenarios.scenario import Expectation, Scenario, expect_at_most, expect_share


def build(rate: float) -> Model:
    """The storm whose queue serves the youngest first."""
    return retry_storm(rate=rate, discipline="lifo")


def at(rate: float) -> tuple[Expectation, ...]:
    """Never stuck, back within 50 s."""
    return (
        expect_share(f"P(stuck) at {rate:g}", stays_down(rate=rate), 0.0, PROTOTYPE),
        expect_at_most(
            f"median recovery at {rate:g}, s",
            recovered_within("web", by=WINDOWS, undisturbed=rate, rate=rate),
            50.0,
            PROTOTYPE,
        ),
    )


SCENARIO = Scenario(
    id="A7",
    title="A retry storm served last in, first out",
    source="constructed (ours)",
    teaches=(
        "Under overload the youngest request is the one whose client still waits.",
        "The backlog is served last, to nobody, and harms nobody.",
        "The price is paid by the unlucky ones in a long queue, which under FIFO are all.",
    ),
    parameters=usual(),
    build=build,
    expected=(*at(0.4), *at(0.6), *at(0.8), *at(0.9)),
)
