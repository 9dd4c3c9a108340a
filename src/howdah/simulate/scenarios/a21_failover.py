"""A21: failovers that bring the next failover.

Owns the scenario: heartbeats that stand in the same line as requests, and elections after which a
backlog must be caught up.
"""

from __future__ import annotations

import numpy as np

from howdah.simulate import intervals
from howdah.simulate.intervals import Estimate
from howdah.simulate.model import (
    Constant,
    Controller,
    Down,
    Exponential,
    Model,
    Open,
    Policy,
    Queue,
    Retry,
    Station,
    Trigger,
)
from howdah.simulate.scenarios.readings import kept
from howdah.simulate.scenarios.scenario import (
    Measure,
    Scenario,
    Study,
    expect,
    expect_at_least,
    expect_at_most,
    parameters,
)

OURS = "our own parameters; the mechanism is public (see the title's source), its figures are not"
FAILURE, HORIZON = 60.0, 360.0
SERVERS = 10


def build(rate: float, shared: float, retries: float, catching: float, patience: float) -> Model:
    """The primary stops for 5 s at second 60. It does 100 requests a second on ten servers."""
    retry = Retry(most=int(retries), backoff=Constant(value=0.1))
    policy = Policy(
        name="election",
        arguments={"patience": patience, "servers": SERVERS, "catching": catching},
    )
    stations: dict[str, Station] = {
        "db": Queue(service=Exponential(mean=0.1), servers=SERVERS, capacity=1000)
    }
    if not shared:
        stations["control"] = Queue(service=Exponential(mean=0.001))
    return Model(
        name="failover",
        clients={
            "web": Open(rate=rate, to="db", timeout=1.0, retry=retry),
            "heartbeat": Open(
                rate=5.0, interval="even", to="db" if shared else "control", timeout=1.0
            ),
        },
        stations=stations,
        controllers={
            "replica_set": Controller(policy=policy, watch=("heartbeat", "db"), period=0.1)
        },
        triggers=(
            Trigger(
                at=FAILURE,
                actions=tuple(Down(processor=name, until=FAILURE + 5) for name in stations),
            ),
        ),
        horizon=HORIZON,
        sample=0.1,
    )


def elections(**variant: float) -> Measure:
    """How often the servers went to none."""

    def count(limit: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        return float(((limit[1:] == 0) & (limit[:-1] > 0)).sum())

    def measure(study: Study) -> Estimate:
        runs = study.runs(**variant)
        return intervals.mean(runs.values(lambda s: count(s.columns["db.limit"])))

    return measure


SCENARIO = Scenario(
    id="A21",
    title="Failover churn",
    source="election churn: public postmortems; capacity loss while catching up: OSDI 2022, "
    "arXiv 2309.16181",
    teaches=(
        "A failover costs capacity, and its backlog makes the new primary look dead to a heartbeat "
        "that waits in the same line.",
        "Retries multiply the backlog, so each election brings the next.",
        "A lane of their own for heartbeats ends it after one.",
    ),
    parameters=parameters(
        rate=(70, 0, 200, "requests a second; the primary does 100 (ours)"),
        shared=(1, 0, 1, "1: heartbeats stand in the line of requests (ours)"),
        retries=(2, 0, 5, "further attempts, 0.1 s later (ours)"),
        catching=(7, 1, 10, "servers of ten while catching up, for 4 s (ours)"),
        patience=(4, 0.2, 60, "seconds without a heartbeat until an election (ours)"),
    ),
    build=build,
    expected=(
        expect_at_least("elections, shared line", elections(), 20.0, OURS),
        expect("elections, own lane", elections(shared=0), 1.0, OURS, within=0.1),
        expect_at_most("share answered at the end, shared line", kept("web", 300, 360), 0.3, OURS),
        expect_at_least(
            "share answered at the end, own lane, 30 a second",
            kept("web", 300, 360, shared=0, rate=30),
            0.99,
            OURS,
        ),
        expect_at_most(
            "elections without retries at 30 a second, shared line",
            elections(retries=0, rate=30),
            5.0,
            OURS,
        ),
        expect_at_least(
            "share answered at the end without retries at 30 a second, shared line",
            kept("web", 300, 360, retries=0, rate=30),
            0.99,
            OURS,
        ),
    ),
    replicas=8,
    replicas_full=32,
)
