"""A2: one retry instead of three moves the edge from a quarter to a half of the capacity.

Owns the scenario; see `retry_storm.py` for the model.
"""

from __future__ import annotations

from howdah.simulate.analytic.fluid import attempts, lowest_tipping_load
from howdah.simulate.model import Model
from howdah.simulate.scenarios.readings import computed
from howdah.simulate.scenarios.retry_storm import (
    FLUID,
    PROTOTYPE,
    retry_storm,
    stays_down,
    usual,
)
from howdah.simulate.scenarios.scenario import Scenario, expect, expect_share


def build(rate: float, retries: float) -> Model:
    """The storm with so many retries."""
    return retry_storm(rate=rate, retries=int(retries))


SCENARIO = Scenario(
    id="A2",
    title="A retry storm with one retry",
    source="constructed (ours)",
    teaches=(
        "The edge of a storm is capacity / (1 + R): one retry doubles the load, three fourfold it.",
        "Each retry less buys load at which the system comes back.",
        "It does not change at which load the system tips.",
    ),
    parameters=usual(retries=(1, 0, 3, "further attempts of a request (ours)")),
    build=build,
    expected=(
        expect_share("P(stuck) at 0.4", stays_down(rate=0.4), 0.0, PROTOTYPE),
        expect_share("P(stuck) at 0.6", stays_down(rate=0.6), 1.0, PROTOTYPE),
        expect(
            "lowest load at which it can stay down",
            computed(lowest_tipping_load(1.0, attempts(1, 1.0))),
            0.5,
            FLUID,
            within=0.0,
        ),
    ),
)
