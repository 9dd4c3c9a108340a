"""A22: agents and humans at the same mean load.

Owns the scenario: sessions that ask a cache and a database with tickets; a session of agents tries
several things at once, changes its mind on a retry, holds transactions while it thinks and rolls
back.
"""

from __future__ import annotations

from howdah.simulate import intervals
from howdah.simulate.intervals import Estimate
from howdah.simulate.model import (
    Agentic,
    Cache,
    Exponential,
    Fill,
    Flush,
    LogNormal,
    Model,
    Pool,
    Retry,
    Set,
    Sharing,
    Trigger,
    Uniform,
    Zipf,
)
from howdah.simulate.scenarios.readings import kept
from howdah.simulate.scenarios.scenario import (
    Expectation,
    Measure,
    Scenario,
    Study,
    expect_at_least,
    expect_at_most,
    expect_share,
    parameters,
)

OVERLORDS = (
    "Liu et al., 'Supporting our AI overlords', arXiv 2509.00997 (through notes): up to 50 "
    "attempts at once, 10-20 % of plans distinct, 50 times the rollbacks of people"
)
OURS = "our own parameters; only the ratios between agents and people are published"
TROUBLE, LASTS, HORIZON = 100.0, 20.0, 400.0
STEPS = 5
PEOPLE = {"parallel": 1, "mutation": 0.0, "holds": 0.01, "rollback": 0.01, "distinct": 1.0}


def build(
    load: float, parallel: float, mutation: float, holds: float, rollback: float, distinct: float
) -> Model:
    """`load` requests a second on average, whoever asks.

    At second 100 the cache is emptied, and the database is slow for 20 s.
    """
    rounds = STEPS / (1 - rollback)
    sessions = Agentic(
        rate=load / (rounds * int(parallel)),
        to="cache",
        parallel=int(parallel),
        steps=STEPS,
        think=LogNormal(median=2.0, sigma=1.0),
        holds=holds,
        rollback=rollback,
        distinct=distinct,
        mutation=mutation,
        timeout=2.0,
        retry=Retry(most=3, backoff=Uniform(low=0.0, high=0.5)),
        demand=Exponential(mean=0.05),
        keys=Zipf(keys=5000, exponent=1.0),
    )
    slow = Set(path="cpu.speed", value=0.2, until=TROUBLE + LASTS)
    return Model(
        name="agents",
        clients={"sessions": sessions},
        stations={
            "cache": Cache(entries=1000, miss="tickets"),
            "tickets": Pool(tickets=64, to="cpu", max_waiting=1000),
            "cpu": Sharing(cores=8, overhead=0.005, to="store"),
            "store": Fill(cache="cache"),
        },
        triggers=(Trigger(at=TROUBLE, actions=(Flush(cache="cache"), slow)),),
        horizon=HORIZON,
        sample=1.0,
    )


def down(**variant: float) -> Measure:
    """The share of runs that answer less than 80 % of the requests in the last 60 s."""

    def measure(study: Study) -> Estimate:
        runs = study.runs(**variant)
        good = runs.rates("sessions.succeeded", HORIZON - 60, HORIZON)
        answered = good / runs.rates("sessions.requests", HORIZON - 60, HORIZON)
        return intervals.share(int((answered < 0.8).sum()), len(answered))

    return measure


def edge(**variant: float) -> Measure:
    """The load at which half of the runs stay down, by bisection to 5 a second.

    Each probe counts all replicas; the interval is the step of the bisection.
    """

    def measure(study: Study) -> Estimate:
        low, high = 10.0, 640.0
        while high - low > 5:
            middle = round((low + high) / 2, 1)
            stays = down(load=middle, **variant)(study).value >= 0.5
            low, high = (low, middle) if stays else (middle, high)
        return Estimate(value=(low + high) / 2, low=low, high=high, count=study.replicas)

    return measure


def ratio(**variant: float) -> Measure:
    """The edge of these agents in times of the edge of people."""

    def measure(study: Study) -> Estimate:
        people, agents = edge(**PEOPLE)(study), edge(**variant)(study)
        return Estimate(
            value=agents.value / people.value,
            low=agents.low / people.high,
            high=agents.high / people.low,
            count=study.replicas,
        )

    return measure


def verdict(what: str, share: float, **variant: float) -> Expectation:
    """P(still down)."""
    return expect_share(f"P(stuck), {what}", down(**variant), share, OURS, of=32)


SCENARIO = Scenario(
    id="A22",
    title="A storm of agents beside people at the same mean load",
    source=OVERLORDS,
    teaches=(
        "At the same number of requests a second agents tip a system that people do not.",
        "What is tried at once misses the cache at once, and a changed mind on a retry misses it "
        "again.",
        "Transactions held while thinking keep tickets from those who would work.",
    ),
    parameters=parameters(
        load=(160, 1, 2000, "requests a second on average (ours)"),
        parallel=(8, 1, 64, "requests at once (published: up to 50)"),
        mutation=(0.8, 0, 1, "share of retries that ask something else (ours)"),
        holds=(0.1, 0, 1, "share of requests whose ticket is held while thinking (ours)"),
        rollback=(0.5, 0, 0.9, "share of rounds done again (published: 50 times people's)"),
        distinct=(0.2, 0, 1, "share of a round's requests that differ (published: 0.1-0.2)"),
    ),
    build=build,
    expected=(
        expect_at_least("share answered before, agents", kept("sessions", 40, TROUBLE), 0.95, OURS),
        expect_at_least(
            "share answered before, people", kept("sessions", 40, TROUBLE, **PEOPLE), 0.95, OURS
        ),
        verdict("agents", 1.0),
        verdict("people", 0.0, **PEOPLE),
        expect_at_most("edge of agents, times that of people", ratio(), 0.7, OURS, scale="full"),
    ),
    replicas=12,
    replicas_full=16,
)
