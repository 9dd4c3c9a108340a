"""A16: one program as a Markov chain and as a simulation, side by side.

Owns the scenario: the program of the README of Metafor (HotOS 2025). The chain's figures come from
`analytic/storm.py`; where the simulation of the program itself differs, both are given.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from howdah.simulate.analytic.chain import hitting_times
from howdah.simulate.analytic.storm import Escapes, escapes, retrial
from howdah.simulate.analytic.storm import retry_storm as storm
from howdah.simulate.intervals import Estimate, mean
from howdah.simulate.model import Constant, Exponential, Model, Open, Queue, Retry
from howdah.simulate.scenarios.scenario import (
    Expectation,
    Measure,
    Scenario,
    Study,
    expect,
    parameters,
)
from howdah.simulate.scenarios.trials import exact, first_reached

METAFOR = "Metafor (Apache-2.0) README and arXiv 2510.03551; its chain, computed independently"
RETRIAL = "the chain of exactly this model"
# A retrial queue without timeouts: the simulation and its chain are the same process.
SMALL = {"arrival": 0.7, "capacity": 6, "backoff": 5.0}


def build(rate: float, timeout: float, retries: float) -> Model:
    """The program as it is written: timeouts are exact, and a retry comes at once."""
    retry = Retry(most=int(retries), backoff=Constant(value=0.0))
    return Model(
        name="metafor",
        clients={"web": Open(rate=rate, to="db", timeout=timeout, retry=retry)},
        stations={"db": Queue(service=Exponential(mean=0.1), capacity=100)},
        horizon=1e5,
    )


@lru_cache(maxsize=8)
def _chain(rate: float) -> Escapes:
    return escapes(storm(arrival=rate, service=0.1, queues=100, orbits=20, timeout=3.0, retries=4))


def up(rate: float) -> Measure:
    """The chain's mean time from empty until the queue holds at least 90."""
    return lambda _: exact(_chain(rate).tips_after)


def down(rate: float) -> Measure:
    """The chain's mean time from full until empty."""
    return lambda _: exact(_chain(rate).recovers_after)


def relaxation(rate: float) -> Measure:
    """The chain's slowest time constant."""
    return lambda _: exact(_chain(rate).relaxation)


def simulated_up(rate: float, until: float) -> Measure:
    """The program's mean time from empty until the queue holds at least 90."""

    def measure(study: Study) -> Estimate:
        model = study.scenario.model(rate=rate)
        found = first_reached(model, "db.inside", 90, range(study.replicas), until=until, step=0.5)
        return mean([until if t is None else t for t in found])

    return measure


def _retrial_model() -> Model:
    retry = Retry(most=1_000_000, backoff=Exponential(mean=SMALL["backoff"]))
    return Model(
        name="retrial",
        clients={"web": Open(rate=SMALL["arrival"], to="db", retry=retry)},
        stations={"db": Queue(service=Exponential(mean=1.0), capacity=int(SMALL["capacity"]))},
        horizon=1e5,
    )


def first_refusal(study: Study) -> Estimate:
    """Mean seconds until somebody is refused for the first time, simulated."""
    found = first_reached(
        _retrial_model(),
        "web.rejected",
        1,
        range(8 * study.replicas),
        until=5e3,
        step=0.5,
    )
    return mean([5e3 if t is None else t - 0.25 for t in found])


def _first_refusal_of_chain() -> float:
    orbits = 3
    small = retrial(
        arrival=SMALL["arrival"],
        service=1.0,
        servers=1,
        capacity=int(SMALL["capacity"]),
        backoff=SMALL["backoff"],
        orbits=orbits,
    )
    refused = np.arange(small.chain.states) % orbits >= 1
    return float(hitting_times(small.chain, refused)[0])


def chain_figure(what: str, measure: Measure, value: float, places: float = 0.05) -> Expectation:
    """A figure of Metafor's chain, to the digits that are public."""
    return expect(what, measure, value, METAFOR, within=places * value)


SCENARIO = Scenario(
    id="A16",
    title="A retry storm as a Markov chain",
    source=METAFOR,
    teaches=(
        "Metastable means: both states are reached, and each lasts far longer than anything else "
        "in the system.",
        "A chain tells times of 1e13 s that no simulation could wait for.",
        "A chain is a reading of a program: where timeouts are exact and retries immediate, the "
        "program tips later than the chain says.",
    ),
    parameters=parameters(
        rate=(9.5, 0, 20, "requests a second; the server does 10 (Metafor)"),
        timeout=(3, 0.1, 100, "seconds (Metafor)"),
        retries=(4, 0, 10, "further attempts (Metafor)"),
    ),
    build=build,
    expected=(
        chain_figure("chain: full to empty at 9.5, s", down(9.5), 7.7e13),
        chain_figure("chain: empty to 90 at 9.5, s", up(9.5), 61),
        chain_figure("chain: relaxation at 9.5, s", relaxation(9.5), 41),
        chain_figure("chain: full to empty at 6, s", down(6.0), 4.1e4),
        chain_figure("chain: empty to 90 at 6, s", up(6.0), 1.5e6),
        chain_figure("chain: empty to 90 at 7, s", up(7.0), 1.6e4),
        chain_figure("chain: full to empty at 7, s", down(7.0), 1.2e7),
        chain_figure("chain: empty to 90 at 8, s", up(8.0), 709),
        chain_figure("chain: full to empty at 8, s", down(8.0), 4.8e9),
        expect(
            "simulated: first refusal of a retrial queue, s",
            first_refusal,
            _first_refusal_of_chain(),
            RETRIAL,
            within=0.0,
        ),
        expect(
            "simulated: empty to 90 at 9.5, s",
            simulated_up(9.5, 5e3),
            61,
            METAFOR,
            within=6,
            not_reproduced="the chain bounds the chance of a timeout from above (Chebyshev) and "
            "keeps no clock for each item",
        ),
    ),
    replicas=48,
    replicas_full=256,
)
