"""A18: two sensible ticket probers that together keep a database down.

Owns the scenario; see `execution_control.py` for the model.
"""

from __future__ import annotations

from howdah.simulate.analytic.fluid import crowding_point, harmless_overhead
from howdah.simulate.model import Model
from howdah.simulate.scenarios.execution_control import (
    BETA,
    BURST,
    CORES,
    LONG_DEMAND,
    LONG_RATE,
    MOST,
    SHORT_DEMAND,
    SHORT_RATE,
    two_pools,
)
from howdah.simulate.scenarios.readings import (
    computed,
    failing,
    first_at_least,
    goodput,
    level_of,
    rate_of_all,
)
from howdah.simulate.scenarios.scenario import (
    Expectation,
    Scale,
    Scenario,
    expect,
    expect_share,
    parameters,
)

PROTOTYPE = "prototype of the same model in time steps, 8 seeds"
CLOSED = "closed form: cores / (1 + beta (n - cores)) = offered work"
OFFERED = 2500 * SHORT_DEMAND + 1.5 * LONG_DEMAND  # cores
HORIZON = 120.0
END = (HORIZON - 10, HORIZON)
RETRIED = (
    "what users gave up goes on here, so four attempts of 2.5 cores are more than eight: with 128 "
    "tickets the retries alone keep most runs down, also at beta 0; without retries none is"
)
RELEASES = ("short.releases", "long.releases")


def build(
    beta: float,
    most: float,
    tickets: float,
    probing: float,
    joint: float,
    completions: float,
    retries: float,
    short_rate: float,
    long_rate: float,
    burst: float,
    yield_after: float,
    horizon: float,
) -> Model:
    """See `execution_control.two_pools`."""
    return two_pools(
        beta=beta,
        most=int(most),
        tickets=int(tickets),
        probing=bool(probing),
        joint=bool(joint),
        completions=bool(completions),
        retries=int(retries),
        short_rate=short_rate,
        long_rate=long_rate,
        burst=int(burst),
        yield_after=yield_after,
        horizon=horizon,
    )


def verdict(
    what: str, share: float, scale: Scale = "full", *, not_reproduced: str = "", **variant: float
) -> Expectation:
    """P(stuck) of a variant."""
    return expect_share(
        f"P(stuck), {what}",
        failing("users", *END, below=0.9, **variant),
        share,
        PROTOTYPE,
        of=8,
        scale=scale,
        not_reproduced=not_reproduced,
    )


def table() -> tuple[Expectation, ...]:
    """The verdicts of the prototype's table."""
    return (
        verdict("default", 1.0, "quick"),
        verdict("no burst", 0.0, "quick", burst=0),
        verdict("fixed 8/8 tickets and the burst", 0.0, "quick", probing=0),
        verdict("fixed 128/128 tickets and the burst", 1.0, "quick", probing=0, tickets=128),
        verdict("counting completions", 0.25, completions=1),
        verdict("no client retries", 1.0, "quick", retries=0),
        verdict("no client retries, fixed tickets", 0.0, retries=0, probing=0),
        verdict("beta 0, no client retries", 0.0, "quick", beta=0.0, retries=0),
        verdict("beta 0.001", 0.0, not_reproduced=RETRIED, beta=0.001),
        verdict("beta 0.0025", 0.12, not_reproduced=RETRIED, beta=0.0025),
        verdict("beta 0.005", 0.88, beta=0.005),
        verdict("burst of 10", 0.0, burst=10),
        verdict("burst of 20", 0.12, burst=20),
        verdict("burst of 40", 0.62, burst=40),
        verdict("burst of 60", 1.0, burst=60),
        verdict("at most 16 tickets", 0.0, "quick", most=16),
        verdict("at most 32 tickets", 1.0, most=32),
        verdict("1 long operation a second", 1.0, long_rate=1.0),
        verdict("2 long operations a second", 1.0, long_rate=2.0),
        verdict("one prober for both pools, as MongoDB ships (ours)", 1.0, joint=1),
        verdict("yield after 50 ms", 0.75, yield_after=0.05),
    )


SCENARIO = Scenario(
    id="A18",
    title="Two ticket probers compose into a metastable loop",
    source="M. Demirbas, A. Charapko, A. Vig, 'A Case for Simulation-Driven Resilience in Agentic "
    "Data Systems' (2026): the claim; its parameters are not public, those here are ours",
    teaches=(
        "Each prober keeps what releases more tickets, and a crowded machine still returns every "
        "ticket after 10 ms: the measure stops telling progress.",
        "Together they grow past the number of threads at which eight cores do less than what "
        "is asked; from there nothing finishes and both see success.",
        "Fixed tickets, a lower maximum or counting finished operations take the loop apart.",
    ),
    parameters=parameters(
        beta=BETA,
        most=MOST,
        tickets=(8, 1, 1000, "tickets of each pool at the start (prototype)"),
        probing=(1, 0, 1, "1: probers; 0: fixed tickets"),
        joint=(0, 0, 1, "1: one prober for both pools, as MongoDB ships"),
        completions=(0, 0, 1, "1: probers count finished operations, not releases"),
        retries=(3, 0, 10, "further attempts of a short operation, at once (ours)"),
        short_rate=SHORT_RATE,
        long_rate=LONG_RATE,
        burst=(80, 0, 1000, "long operations at once at second 40 (ours)"),
        yield_after=(0.01, 0.001, 1, "seconds until an operation yields (MongoDB: 10 ms)"),
        horizon=(HORIZON, 60, 1000, "seconds that are simulated"),
    ),
    build=build,
    expected=(
        *table(),
        expect("goodput of users, default", goodput("users", *END), 0, PROTOTYPE, within=25),
        expect(
            "goodput of users, no burst",
            goodput("users", *END, burst=0),
            2499,
            PROTOTYPE,
            within=30,
        ),
        expect(
            "releases a second, default",
            rate_of_all(RELEASES, *END),
            23_008,
            PROTOTYPE,
            within=2300,
        ),
        expect(
            "releases a second, no burst",
            rate_of_all(RELEASES, *END, burst=0),
            2846,
            PROTOTYPE,
            within=150,
        ),
        expect(
            "tickets of users, default", level_of("short.limit", *END), 128, PROTOTYPE, within=8
        ),
        expect(
            "tickets of reports, default", level_of("long.limit", *END), 116, PROTOTYPE, within=14
        ),
        expect(
            "seconds until a pool is at its maximum",
            first_at_least("short.limit", 127, BURST),
            30,
            PROTOTYPE + "; 28 s from the constants: ln 16 / ln 1.02 x 0.2 s",
            within=6,
        ),
        expect("n*, threads", computed(crowding_point(CORES, 0.01, OFFERED)), 53, CLOSED, within=1),
        expect(
            "least beta with 2 x 128 tickets",
            computed(harmless_overhead(CORES, OFFERED, 256)),
            0.0018,
            CLOSED,
            within=0.0001,
        ),
    ),
    replicas=3,
    replicas_full=8,
)
