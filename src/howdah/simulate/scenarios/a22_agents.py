"""A22: agents and humans at the same mean load.

Owns the scenario: sessions that ask a cache and a database with tickets; a session of agents tries
several things at once, changes its mind on a retry, holds transactions while it thinks and rolls
back.
"""

from __future__ import annotations

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
from howdah.simulate.scenarios.readings import failing, kept
from howdah.simulate.scenarios.scenario import (
    Expectation,
    Measure,
    Scenario,
    Study,
    expect,
    expect_at_least,
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
PEOPLE = {
    "parallel": 1,
    "mutation": 0.0,
    "holds": 0.01,
    "rollback": 0.01,
    "distinct": 1.0,
    "exponent": 1.0,
}


def build(
    load: float,
    parallel: float,
    mutation: float,
    holds: float,
    rollback: float,
    distinct: float,
    exponent: float,
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
        keys=Zipf(keys=5000, exponent=exponent),
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
    """The share of runs that answer less than 90 % of the requests in the last 60 s."""
    return failing("sessions", HORIZON - 60, HORIZON, below=0.9, **variant)


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
        "At the same number of requests a second, agents who explore tip a system that people do "
        "not: what they ask is not in the cache.",
        "A changed mind on a retry is no harm by itself: where the new question is a popular one, "
        "the retry is answered by the cache and the storm ends.",
        "Transactions held while thinking lower the load that is carried, not the load at which a "
        "storm ends: in a storm nobody succeeds, so nobody holds.",
    ),
    parameters=parameters(
        load=(100, 1, 2000, "requests a second on average (ours)"),
        parallel=(8, 1, 64, "requests at once (published: up to 50)"),
        mutation=(0.8, 0, 1, "share of retries that ask something else (ours)"),
        holds=(0.1, 0, 1, "share of requests whose ticket is held while thinking (ours)"),
        rollback=(0.5, 0, 0.9, "share of rounds done again (published: 50 times people's)"),
        exponent=(0.3, 0, 3, "of the popularity of what is asked (ours; people: 1)"),
        distinct=(0.2, 0, 1, "share of a round's requests that differ (published: 0.1-0.2)"),
    ),
    build=build,
    expected=(
        expect_at_least("share answered before, agents", kept("sessions", 40, TROUBLE), 0.95, OURS),
        expect_at_least(
            "share answered before, people", kept("sessions", 40, TROUBLE, **PEOPLE), 0.95, OURS
        ),
        verdict("agents at 100 a second", 1.0),
        verdict("people at 100 a second", 0.0, **PEOPLE),
        verdict("people at 220 a second", 1.0, **(PEOPLE | {"load": 220})),
        verdict("agents who ask popular things at 220 a second", 0.0, exponent=1.0, load=220),
        verdict(
            "agents who ask popular things and do not change their minds, at 220 a second",
            1.0,
            exponent=1.0,
            mutation=0.0,
            load=220,
        ),
        expect(
            "edge of agents, times that of people",
            ratio(),
            0.58,
            OURS,
            within=0.06,
            scale="full",
        ),
        expect(
            "edge of agents that hold no transaction, times that of people",
            ratio(holds=0.0),
            0.58,
            OURS,
            within=0.06,
            scale="full",
        ),
    ),
    replicas=12,
    replicas_full=16,
)
