"""A4: how long a storm waits for no trigger at all.

Owns the scenario; see `retry_storm.py` for the model, here without the burst.
"""

from __future__ import annotations

from howdah.simulate.intervals import Estimate
from howdah.simulate.model import Model
from howdah.simulate.scenarios.retry_storm import CAPACITY, retry_storm, usual
from howdah.simulate.scenarios.scenario import (
    Expectation,
    Measure,
    Scale,
    Scenario,
    Study,
)
from howdah.simulate.scenarios.trials import event_rate, first_reached

FULL = CAPACITY - 5  # a stuck queue stays above this
PROTOTYPE = "prototype of the same model; its own sampling error is in the band"


def build(rate: float) -> Model:
    """The queue without a burst, for as long as 64 escapes take together."""
    return retry_storm(rate=rate, factor=1.0, horizon=2e7)


def escape(rate: float, exposure: float, seconds: float) -> Measure:
    """The mean time until the queue is full, from `exposure` seconds in all.

    A full queue is the stuck state: the wait of 100 s is three times the timeout. It is looked at
    500 times in the `seconds` that are expected.
    """

    def measure(study: Study) -> Estimate:
        model = study.scenario.model(rate=rate)
        each = exposure / study.replicas
        found = first_reached(
            model,
            "db.inside",
            FULL,
            range(study.replicas),
            until=each,
            step=max(5.0, seconds / 500),
        )
        times = [each if t is None else t for t in found]
        return event_rate(sum(t is not None for t in found), sum(times))

    return measure


def at(
    rate: float, seconds: float, error: float, exposure: float, scale: Scale = "quick"
) -> Expectation:
    """Mean escape time at a load, within the error that the prototype stated."""
    return Expectation(
        what=f"mean time until it tips by itself at {rate:g}, s",
        measure=escape(rate, exposure, seconds),
        value=seconds,
        low=seconds * (1 - error),
        high=seconds * (1 + error),
        source=PROTOTYPE,
        scale=scale,
    )


SCENARIO = Scenario(
    id="A4",
    title="A retry storm out of nothing",
    source="constructed (ours)",
    teaches=(
        "In the vulnerable range no trigger is needed: chance brings a queue as long as the "
        "clients' patience sooner or later.",
        "The time until then grows exponentially with the distance to full load: five points less "
        "load buy a factor of three to five.",
        "A system that has been fine for a year may only have been lucky.",
    ),
    parameters=usual(),
    build=build,
    expected=(
        at(0.90, 2.5e3, 0.12, 3e5),
        at(0.85, 7.0e3, 0.20, 5e5),
        at(0.80, 2.3e4, 0.25, 1.2e6),
        at(0.75, 1.0e5, 0.29, 6e6, "full"),
        at(0.70, 5.0e5, 0.62, 2e7, "full"),
        at(0.65, 2.6e6, 2.0, 8e7, "full"),
    ),
    replicas_full=64,
)
