"""A1: below which load a retry storm ends by itself.

Owns the scenario; see `retry_storm.py` for the model.
"""

from __future__ import annotations

from howdah.simulate.analytic.fluid import attempts, lowest_tipping_load
from howdah.simulate.model import Model
from howdah.simulate.scenarios.readings import computed, goodput
from howdah.simulate.scenarios.retry_storm import (
    FLUID,
    HORIZON,
    PROTOTYPE,
    START,
    retry_storm,
    stays_down,
    usual,
)
from howdah.simulate.scenarios.scenario import Expectation, Scenario, expect, expect_share


def build(rate: float) -> Model:
    """The storm at this load."""
    return retry_storm(rate=rate)


def at(rate: float, value: float) -> Expectation:
    """P(stuck) at a load."""
    what = f"P(stuck) at {rate:g} requests a second"
    return expect_share(what, stays_down(rate=rate), value, PROTOTYPE)


SCENARIO = Scenario(
    id="A1",
    title="Hysteresis of a retry storm",
    source="constructed (ours); the loop is that of Bronson et al., HotOS 2021",
    teaches=(
        "With R retries a failing system carries 1 + R times its load, so it stays down wherever "
        "that is more than it can do.",
        "A load that was fine for hours is no load at which it recovers.",
        "Between 0.25 and 1 the same load has two states, and only the past says which.",
    ),
    parameters=usual(),
    build=build,
    expected=(
        at(0.20, 0.0),
        at(0.25, 0.11),
        at(0.30, 0.94),
        at(0.35, 1.0),
        at(0.60, 1.0),
        expect(
            "goodput when stuck at 0.6, last 1000 s",
            goodput("web", HORIZON - 1000, HORIZON, rate=0.6),
            0.0,
            PROTOTYPE,
            within=0.005,
        ),
        expect(
            "goodput before the burst at 0.6",
            goodput("web", START / 4, START, rate=0.6),
            0.6,
            "every request is answered",
            within=0.02,
        ),
        expect(
            "lowest load at which it can stay down",
            computed(lowest_tipping_load(1.0, attempts(3, 1.0))),
            0.25,
            FLUID,
            within=0.0,
        ),
    ),
)
