"""A3: without retries a storm cannot feed itself; it lasts until the backlog is worked off.

Owns the scenario; see `retry_storm.py` for the model.
"""

from __future__ import annotations

from howdah.simulate.analytic import fluid
from howdah.simulate.model import Model
from howdah.simulate.scenarios.readings import recovered_within
from howdah.simulate.scenarios.retry_storm import (
    CAPACITY,
    FLUID,
    PROTOTYPE,
    TIMEOUT,
    WINDOWS,
    back_after,
    retry_storm,
    stays_down,
    usual,
)
from howdah.simulate.scenarios.scenario import Expectation, Scenario, expect, expect_share


def build(rate: float) -> Model:
    """The storm without retries."""
    return retry_storm(rate=rate, retries=0)


def at(rate: float, seconds: float, within: float) -> tuple[Expectation, ...]:
    """Recovery at a load, beside the prototype and the fluid limit."""
    back = recovered_within("web", by=WINDOWS, undisturbed=rate, rate=rate)
    predicted = fluid.recovery(1.0, rate, CAPACITY, TIMEOUT)
    return (
        expect_share(f"P(stuck) at {rate:g}", stays_down(rate=rate), 0.0, PROTOTYPE),
        back_after(f"median recovery at {rate:g}, s", rate, seconds, within),
        expect(
            f"median recovery at {rate:g}, s (fluid)",
            back,
            predicted,
            FLUID,
            within=0.3 * predicted,
        ),
    )


SCENARIO = Scenario(
    id="A3",
    title="A burst without retries",
    source="constructed (ours)",
    teaches=(
        "Work that nobody waits for any more is still done: a FIFO queue recovers only when it "
        "is shorter than its clients' patience.",
        "The time that takes is (backlog - patience) / (capacity - load), so it explodes near "
        "full load.",
        "Without a loop it always ends.",
    ),
    parameters=usual(),
    build=build,
    expected=(*at(0.4, 200, 50), *at(0.6, 250, 50), *at(0.8, 450, 100), *at(0.9, 700, 200)),
)
