"""A12: the MongoDB retry experiment of "Metastable Failures in the Wild".

Owns the scenario: a primary that loses most of its processor for ten seconds, and clients that
time out after 3 s and send again at once, at most four times.
"""

from __future__ import annotations

from howdah.simulate.model import Constant, Exponential, Model, Open, Queue, Retry, Set, Trigger
from howdah.simulate.scenarios.readings import failing, rate_of
from howdah.simulate.scenarios.scenario import (
    Expectation,
    Scenario,
    expect,
    expect_share,
    parameters,
)

OSDI = "L. Huang et al., OSDI 2022, section 5.2, and the README of its public artifact"
START, HORIZON = 10.0, 60.0


def build(rate: float, capacity: float, left: float, seconds: float) -> Model:
    """`left` of the capacity for so many seconds from second 10.

    One server stands for the replica set. It does not notice that a client has gone.
    """
    retry = Retry(most=4, backoff=Constant(value=0.0))
    loss = Set(path="db.speed", value=left, until=START + seconds)
    return Model(
        name="retries at a database",
        clients={"web": Open(rate=rate, to="db", timeout=3.0, retry=retry)},
        stations={"db": Queue(service=Exponential(mean=1 / capacity))},
        triggers=(Trigger(at=START, actions=(loss,)),),
        horizon=HORIZON,
        sample=0.25,
    )


def verdict(what: str, share: float, **variant: float) -> Expectation:
    """Whether it stays down, in all runs or in none."""
    return expect_share(
        f"P(stuck), {what}", failing("web", HORIZON - 10, HORIZON, **variant), share, OSDI, of=16
    )


SCENARIO = Scenario(
    id="A12",
    title="A throttled database and its retries",
    source=OSDI,
    teaches=(
        "Two points more of a ten-second throttling decide between a hiccup and an outage without "
        "an end.",
        "One second less, or a third less load, and the same throttling passes.",
        "The size of a trigger, its length and the load are one budget.",
    ),
    parameters=parameters(
        rate=(6200, 100, 20_000, "requests a second (OSDI 2022: a nominal gap of 75 us)"),
        capacity=(16_300, 1000, 50_000, "requests a second that the server does (fitted by us)"),
        left=(0.20, 0, 1, "share of the processor during the trigger (OSDI 2022: 0.40 of 2)"),
        seconds=(10, 0, 60, "length of the trigger (OSDI 2022)"),
    ),
    build=build,
    expected=(
        verdict("-78 % for 10 s", 0.0, left=0.225),
        verdict("-80 % for 10 s", 1.0),
        verdict("-80 % for 9 s", 0.0, seconds=9),
        verdict("-80 % for 10 s at 4200 a second", 0.0, rate=4200),
        expect(
            "attempts a second when stuck, last 10 s",
            rate_of("web.attempts", HORIZON - 10, HORIZON),
            20_000,
            OSDI,
            within=2_000,
            not_reproduced="every attempt fails here, so five are made of each request; the "
            "experiment's client was at its own limit",
        ),
        expect(
            "goodput when stuck, last 10 s",
            rate_of("web.succeeded", HORIZON - 10, HORIZON),
            600,
            OSDI,
            within=200,
            not_reproduced="a FIFO line without end answers nobody in time; the real server's "
            "many threads answer a few",
        ),
    ),
    replicas=3,
    replicas_full=16,
)
