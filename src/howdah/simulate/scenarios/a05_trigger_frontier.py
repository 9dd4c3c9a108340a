"""A5: how long a burst must last to tip a storm, for each load and size of the burst.

Owns the scenario; see `retry_storm.py` for the model.
"""

from __future__ import annotations

import msgspec

from howdah.simulate.analytic import fluid
from howdah.simulate.intervals import Estimate
from howdah.simulate.model import Model
from howdah.simulate.scenarios.readings import computed
from howdah.simulate.scenarios.retry_storm import (
    FLUID,
    HORIZON,
    PROTOTYPE,
    START,
    TIMEOUT,
    WINDOWS,
    retry_storm,
)
from howdah.simulate.scenarios.scenario import (
    Expectation,
    Measure,
    Scale,
    Scenario,
    Study,
    expect,
    parameters,
)
from howdah.simulate.scenarios.trials import median, thresholds


def build(rate: float, factor: float, seconds: float) -> Model:
    """A burst of `factor` times the load for so many seconds."""
    model = retry_storm(rate=rate, factor=factor, until=START + seconds, horizon=HORIZON)
    return msgspec.structs.replace(model, settled_after=START + seconds)


def least(rate: float, factor: float) -> Measure:
    """The burst that tips half of the worlds: the median of each world's own threshold.

    Every seed is a world of its own in which the same requests meet the same demands; bisection
    finds the shortest burst that tips it (assuming that a longer one does too).
    """

    def measure(study: Study) -> Estimate:
        def tips(seconds: float) -> Model:
            return study.scenario.model(rate=rate, factor=factor, seconds=seconds)

        guess = fluid.trigger_length(1.0, rate, factor, TIMEOUT)
        found = thresholds(
            tips,
            "web",
            range(study.replicas),
            low=0.0,
            high=4 * guess,
            probes=8,
            by=WINDOWS,
            undisturbed=rate,
        )
        return median(found)

    return measure


def at(
    rate: float,
    factor: float,
    seconds: float,
    scale: Scale = "quick",
    not_reproduced: str = "",
) -> Expectation:
    """The least duration for a load and a factor."""
    return expect(
        f"shortest burst at {rate:g} x {factor:g}, s",
        least(rate, factor),
        seconds,
        PROTOTYPE,
        within=0.25 * seconds,
        scale=scale,
        not_reproduced=not_reproduced,
    )


SCENARIO = Scenario(
    id="A5",
    title="The smallest burst that tips a storm",
    source="constructed (ours)",
    teaches=(
        "A trigger has a size and a length; what counts is the backlog that both leave.",
        "D = patience capacity / (factor load - capacity) says within a factor of two how long it "
        "must last.",
        "At high load the answer is seconds: a restart, a checkpoint, a lock.",
    ),
    parameters=parameters(
        rate=(0.6, 0.0, 1.5, "requests a second; the server does 1 (ours)"),
        factor=(8.0, 1.0, 64.0, "load during the burst, times the usual (ours)"),
        seconds=(11.0, 0.0, 1000.0, "length of the burst (ours)"),
    ),
    build=build,
    expected=(
        at(0.6, 8, 10.9),
        at(
            0.8,
            8,
            6.2,
            "full",
            "one world in six tips by itself within the 6000 s at this load, so that any burst "
            "tips it; how the prototype counted those is not known",
        ),
        at(0.6, 4, 25.8),
        at(0.6, 2, 113, "full"),
        at(0.6, 16, 5.5, "full"),
        at(0.8, 2, 37.5, "full"),
        at(0.4, 8, 20.3, "full"),
        expect(
            "shortest burst at 0.6 x 8 in the fluid limit, s",
            computed(fluid.trigger_length(1.0, 0.6, 8.0, TIMEOUT)),
            10.9,
            FLUID,
            within=0.82 * 10.9,
        ),
    ),
    replicas=16,
    replicas_full=64,
)
