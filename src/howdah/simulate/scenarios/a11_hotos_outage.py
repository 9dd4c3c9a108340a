"""A11: the worked example of the paper that named metastable failures.

Owns the scenario: a database that can do 300 queries a second, 280 asked, one retry after 1 s.
"""

from __future__ import annotations

from howdah.simulate.model import (
    Constant,
    Down,
    Exponential,
    Model,
    Open,
    Queue,
    Retry,
    Set,
    Trigger,
)
from howdah.simulate.scenarios.readings import kept_of, rate_of, rate_of_all
from howdah.simulate.scenarios.scenario import (
    Expectation,
    Scenario,
    expect,
    expect_at_least,
    expect_at_most,
    parameters,
)

HOTOS = "N. Bronson et al., HotOS 2021, section 2.1 (read through notes)"
OUTAGE, SHED, HORIZON = 100.0, 200.0, 400.0
CLIENTS = ("web", "plain")


def build(rate: float, outage: float, later: float, retrying: float, room: float) -> Model:
    """From second 200 the load is `later`, of which a share `retrying` still tries again.

    The line is bounded so that the failing state does not drift: `room` is seconds of work, more
    than the timeout, as every line in the example is.
    """
    retry = Retry(most=1, backoff=Constant(value=0.0))
    shed = (
        Set(path="web.rate", value=later * retrying),
        Set(path="plain.rate", value=later * (1 - retrying)),
    )
    return Model(
        name="outage",
        clients={
            "web": Open(rate=rate, to="db", timeout=1.0, retry=retry),
            "plain": Open(rate=0.0, to="db", timeout=1.0),
        },
        stations={"db": Queue(service=Exponential(mean=1 / 300), capacity=int(300 * room))},
        triggers=(
            Trigger(at=OUTAGE, actions=(Down(processor="db", until=OUTAGE + outage),)),
            Trigger(at=SHED, actions=shed),
        ),
        horizon=HORIZON,
        sample=1.0,
    )


def recovers(what: str, **variant: float) -> Expectation:
    """Nearly everything is answered in the last 50 s."""
    measure = kept_of(CLIENTS, HORIZON - 50, HORIZON, **variant)
    return expect_at_least(f"share answered at the end, {what}", measure, 0.99, HOTOS)


def stays(what: str, **variant: float) -> Expectation:
    """Nearly nothing is answered in the last 50 s."""
    measure = kept_of(CLIENTS, HORIZON - 50, HORIZON, **variant)
    return expect_at_most(f"share answered at the end, {what}", measure, 0.01, HOTOS)


SCENARIO = Scenario(
    id="A11",
    title="A ten-second outage that does not end",
    source=HOTOS,
    teaches=(
        "280 a second are fine at 300 until every one of them comes twice.",
        "Ending the cause does not end the failure: the load must fall below 150, or the retries "
        "below 20 a second.",
        "The outage is the trigger; the cause is the loop of timeouts and retries.",
    ),
    parameters=parameters(
        rate=(280, 0, 600, "queries a second (HotOS 2021)"),
        outage=(10, 0, 100, "seconds (HotOS 2021)"),
        later=(280, 0, 600, "queries a second after second 200 (HotOS 2021: below 150 recovers)"),
        retrying=(1, 0, 1, "share of them that try again after second 200 (HotOS 2021)"),
        room=(2, 0.1, 100, "longest line, in seconds of work (ours)"),
    ),
    build=build,
    expected=(
        expect_at_least(
            "share answered before",
            kept_of(CLIENTS, OUTAGE / 2, OUTAGE),
            0.95,
            HOTOS,
        ),
        expect(
            "attempts a second when stuck",
            rate_of_all(("web.attempts", "plain.attempts"), 150, SHED),
            560,
            HOTOS,
            within=3,
        ),
        expect("goodput when stuck", rate_of("web.succeeded", 150, SHED), 0.0, HOTOS, within=0.5),
        stays("280 a second"),
        stays("155 a second (2 x 155 > 300)", later=155),
        recovers("145 a second (2 x 145 < 300)", later=145),
        stays("30 retries a second", retrying=30 / 280),
        recovers("10 retries a second", retrying=10 / 280),
    ),
    replicas=4,
    replicas_full=32,
)
