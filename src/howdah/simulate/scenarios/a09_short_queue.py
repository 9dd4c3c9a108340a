"""A9: a queue that is shorter than its clients' patience.

Owns the scenario; see `retry_storm.py` for the model.
"""

from __future__ import annotations

from howdah.simulate.model import Model
from howdah.simulate.scenarios.retry_storm import PROTOTYPE, retry_storm, stays_down, usual
from howdah.simulate.scenarios.scenario import Expectation, Scenario, expect_share


def build(rate: float, capacity: float) -> Model:
    """The storm with room for so many."""
    return retry_storm(rate=rate, capacity=int(capacity))


def at(rate: float, share: float, capacity: int = 25) -> Expectation:
    """P(stuck) at a load."""
    return expect_share(
        f"P(stuck) at {rate:g}, room for {capacity}",
        stays_down(rate=rate, capacity=capacity),
        share,
        PROTOTYPE,
    )


SCENARIO = Scenario(
    id="A9",
    title="A retry storm at a short queue",
    source="constructed (ours)",
    teaches=(
        "Where everybody who is let in is served within the timeout, no work is wasted.",
        "Room for 25 at one a second is less than 30 s of patience: overload is refused at once "
        "and ends with its cause.",
        "The longest queue that cannot get stuck is timeout times service rate.",
    ),
    parameters=usual(capacity=(25, 1, 1000, "room in the queue (ours)")),
    build=build,
    expected=(at(0.4, 0.0), at(0.6, 0.0), at(0.8, 0.0), at(0.9, 0.0), at(0.6, 1.0, capacity=100)),
)
