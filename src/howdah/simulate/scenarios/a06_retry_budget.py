"""A6: a budget of retries takes the loop apart.

Owns the scenario; see `retry_storm.py` for the model.
"""

from __future__ import annotations

from howdah.simulate.analytic.fluid import budgeted, lowest_tipping_load
from howdah.simulate.model import Model
from howdah.simulate.scenarios.readings import computed
from howdah.simulate.scenarios.retry_storm import (
    FLUID,
    PROTOTYPE,
    back_after,
    retry_storm,
    stays_down,
    usual,
)
from howdah.simulate.scenarios.scenario import Expectation, Scenario, expect, expect_share


def build(rate: float, budget: float) -> Model:
    """The storm whose clients share a bucket of so many tokens; a success brings 0.1 back."""
    return retry_storm(rate=rate, budget=budget)


def at(rate: float, share: float, seconds: float, within: float) -> tuple[Expectation, ...]:
    """P(stuck) and recovery at a load."""
    return (
        expect_share(f"P(stuck) at {rate:g}", stays_down(rate=rate), share, PROTOTYPE),
        back_after(f"median recovery at {rate:g}, s", rate, seconds, within),
    )


SCENARIO = Scenario(
    id="A6",
    title="A retry storm with a retry budget",
    source="constructed (ours); budgets as in public clients: 10 tokens, 0.1 back for a success",
    teaches=(
        "A budget that only successes refill allows no retries when nothing succeeds: the failing "
        "system carries its load once.",
        "Recovery then takes as long as without retries.",
        "In good times one failure in ten is still tried again.",
    ),
    parameters=usual(budget=(10, 1, 1000, "tokens when full (ours)")),
    build=build,
    expected=(
        *at(0.4, 0.0, 200, 50),
        *at(0.6, 0.0, 250, 50),
        *at(0.8, 0.0, 400, 150),
        *at(0.9, 0.03, 800, 300),
        expect(
            "lowest load at which it can stay down",
            computed(lowest_tipping_load(1.0, budgeted(3, 0.1, 1.0))),
            0.909,
            FLUID,
            within=0.001,
        ),
    ),
)
