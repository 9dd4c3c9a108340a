"""The retry storm that scenarios A1-A10 vary: one server, impatient clients, a burst.

Owns the model and its usual parameters. Must never say what is expected of it.

A FIFO queue with one server (mean service 1 s, room for 100), clients that give up after 30 s
without telling the server, and then try again at most three times after U(0, 10) s. From second
2000 to 2100 eight times as many requests come. Refused attempts try again too.
The parameters are ours: round figures, so that thresholds can be worked out by hand.
"""

from __future__ import annotations

from typing import Literal

from howdah.simulate.measures import Yardstick
from howdah.simulate.model import Exponential, Model, Open, Queue, Retry, Scale, Trigger, Uniform
from howdah.simulate.scenarios.readings import recovered_within, stuck
from howdah.simulate.scenarios.scenario import Expectation, Measure, Parameter, parameters

CAPACITY = 100
TIMEOUT = 30.0
START, END, HORIZON = 2000.0, 2100.0, 6000.0
# An independent prototype of the same model, written before this simulator, with 64 seeds.
PROTOTYPE = "prototype of the same model, 64 seeds"
FLUID = "fluid limit"
# Recovery is looked for in windows of 50 s, as the prototype did.
WINDOWS = Yardstick(share=0.9, windows=3, window=50.0)

# The prototype counted whole windows from the first good one's end: up to one and a half later.
LATE = 75.0

RATE = (0.6, 0.0, 1.5, "requests a second; the server does 1 (ours)")


def usual(**own: tuple[float, float, float, str]) -> tuple[Parameter, ...]:
    """The rate, and what the variant adds."""
    return parameters(rate=RATE, **own)


def retry_storm(
    *,
    rate: float,
    retries: int = 3,
    backoff: float = 10.0,
    budget: float | None = None,
    capacity: int = CAPACITY,
    discipline: Literal["fifo", "lifo"] = "fifo",
    drop_expired: bool = False,
    factor: float = 8.0,
    until: float = END,
    horizon: float = HORIZON,
) -> Model:
    """The storm with one thing changed; `factor` 1 is no burst."""
    retry = Retry(most=retries, backoff=Uniform(low=0.0, high=backoff), budget=budget)
    burst = Trigger(
        at=START, actions=(Scale(path="web.rate", factor=factor, until=until),), name="burst"
    )
    return Model(
        name="retry storm",
        clients={"web": Open(rate=rate, to="db", timeout=TIMEOUT, retry=retry)},
        stations={
            "db": Queue(
                service=Exponential(mean=1.0),
                capacity=capacity,
                discipline=discipline,
                drop_expired=drop_expired,
            )
        },
        triggers=(burst,) if factor != 1.0 else (),
        horizon=horizon,
        sample=2.0,
    )


def stays_down(rate: float, **variant: float) -> Measure:
    """P(stuck). A run that tips before the burst is stuck too: its goodput should be the rate."""
    return stuck("web", by=WINDOWS, undisturbed=rate, rate=rate, **variant)


def back_after(what: str, rate: float, seconds: float, within: float) -> Expectation:
    """The median recovery beside the prototype's, which may be up to 75 s later."""
    return Expectation(
        what=what,
        measure=recovered_within("web", by=WINDOWS, undisturbed=rate, rate=rate),
        value=seconds,
        low=seconds - max(within, LATE),
        high=seconds + within,
        source=PROTOTYPE + ", whole windows of 50 s",
    )
