"""A13: the garbage-collection experiment of "Metastable Failures in the Wild".

Owns the scenario: 100 threads in a small heap; more of them busy means more garbage collection,
which keeps more of them busy.
"""

from __future__ import annotations

import numpy as np

from howdah.simulate import intervals
from howdah.simulate.intervals import Estimate
from howdah.simulate.model import Constant, Model, Open, Policy, Queue
from howdah.simulate.scenarios.readings import level_of
from howdah.simulate.scenarios.scenario import (
    Expectation,
    Measure,
    Scenario,
    Study,
    expect,
    expect_at_least,
    expect_at_most,
    parameters,
)

OSDI = "L. Huang et al., OSDI 2022, section 5.1, and its public artifact"
STAGE = 240.0
RATES = (0, 40, 0, -40, -80)  # added to the rate in the five stages
COLLECTING = 0.0025  # seconds of collection for a job in an empty heap (fitted)
COMPUTING = 0.0007  # seconds of its own (fitted)
CROWDING = 0.00156  # more collection: times live / free (fitted)


def build(rate: float, heap: float, job: float, threads: float) -> Model:
    """Five stages of 240 s: rate, + 40, + 0, - 40, - 80."""
    pressure = Policy(
        name="garbage_collection",
        arguments={
            "heap": heap,
            "job": job,
            "hold": 0.1,
            "cost": COLLECTING + COMPUTING,
            "crowding": CROWDING,
        },
    )
    steps = tuple((i * STAGE, rate + add) for i, add in enumerate(RATES))
    return Model(
        name="garbage",
        clients={"jobs": Open(rate=rate, to="threads", profile=steps)},
        stations={
            "threads": Queue(service=Constant(value=0.1), servers=int(threads), slowdown=pressure)
        },
        horizon=STAGE * len(RATES),
        sample=1.0,
    )


def growth(stage: int, **variant: float) -> Measure:
    """Jobs a second by which the line grows in the second half of a stage."""
    start, end = STAGE * (stage + 0.5), STAGE * (stage + 1)

    def measure(study: Study) -> Estimate:
        runs = study.runs(**variant)
        return intervals.mean(runs.rates("threads.waiting", start, end))

    return measure


def collecting(stage: int) -> Measure:
    """Seconds of garbage collection in a second, in a stage: from busy threads and throughput."""
    start, end = STAGE * stage + 60, STAGE * (stage + 1)

    def measure(study: Study) -> Estimate:
        runs = study.runs()
        p = study.scenario.settings()
        live = runs.levels("threads.in_service", start, end) * p["job"]
        each = COLLECTING + CROWDING * live / (p["heap"] - live)
        return intervals.mean(np.asarray(each * runs.rates("threads.left", start, end)))

    return measure


def grows(stage: int, rate: int) -> Expectation:
    """The line grows in this stage."""
    return expect_at_least(
        f"growth of the line back at {rate} a second, jobs/s", growth(stage), 10.0, OSDI
    )


SCENARIO = Scenario(
    id="A13",
    title="A garbage collector that cannot keep up",
    source=OSDI,
    teaches=(
        "Live memory is the state that remembers: busy threads hold memory, a fuller heap is "
        "collected more often, and collecting keeps the threads busy.",
        "After a spike of a fifth the load must fall by a third before the line stops growing.",
        "A larger heap moves the edge; it does not remove it.",
    ),
    parameters=parameters(
        rate=(220, 10, 1000, "jobs a second in the first stage (OSDI 2022)"),
        heap=(256, 200, 4096, "MB (OSDI 2022)"),
        job=(1.8, 0.1, 1.9, "MB that a job holds: 65536 arrays of two ints (artifact, our sum)"),
        threads=(100, 1, 100, "threads (OSDI 2022)"),
    ),
    build=build,
    expected=(
        expect_at_most(
            "line at 220 a second before the spike", level_of("threads.waiting", 60, 240), 5.0, OSDI
        ),
        expect_at_least("growth of the line at 260 a second, jobs/s", growth(1), 10.0, OSDI),
        grows(2, 220),
        grows(3, 180),
        expect("growth of the line at 140 a second, jobs/s", growth(4), 0.0, OSDI, within=10.0),
        expect(
            "longest line, jobs",
            level_of("threads.waiting", STAGE * 5 - 10, STAGE * 5),
            58_000,
            OSDI,
            within=12_000,
        ),
        expect("garbage collection before, s/s", collecting(0), 0.6, OSDI, within=0.1),
        expect("garbage collection after, s/s", collecting(3), 0.9, OSDI, within=0.1),
        expect_at_most(
            "growth of the line back at 180 a second with a heap of 400 MB, jobs/s",
            growth(3, heap=400),
            0.0,
            "the paper's remark that memory shifts the edge",
        ),
        expect_at_least(
            "line back at 220 a second with a heap of 400 MB",
            level_of("threads.waiting", STAGE * 3 - 60, STAGE * 3, heap=400),
            100.0,
            "the paper's remark that memory does not remove it",
        ),
    ),
    replicas=4,
    replicas_full=16,
)
