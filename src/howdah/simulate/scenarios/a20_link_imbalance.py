"""A20: a pool that hands out the connection used last, over links that are not quite equal.

Owns the scenario. Connections are the items: idle ones stand in a line, queries take them off it,
they travel over their link to the database and back into the line. The line's discipline is the
pool's policy: the youngest is the one used last.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from howdah.simulate import intervals
from howdah.simulate.intervals import Estimate
from howdah.simulate.model import (
    Action,
    Choice,
    Client,
    Closed,
    Constant,
    Delay,
    Exponential,
    Model,
    Queue,
    Set,
    Station,
    Trigger,
)
from howdah.simulate.scenarios.scenario import (
    Measure,
    Scenario,
    Study,
    expect_at_least,
    expect_at_most,
    expect_share,
    parameters,
)

KALASIM = "R. Cheremin's simulation of link imbalance (public repository, 2022): > 90 % of runs"
OURS = "our own parameters; pools that use few connections are uneven without a burst too"
LINKS = 5
NETWORK, DATABASE = 0.022, 0.005  # seconds: both ways over the link, and in the database (kalasim)
HEAVY = 0.4  # of all queries: twice a link's fair part
BURST, HORIZON = 200.0, 800.0


def build(pool: float, load: float, bursts: float, recent: float, skew: float) -> Model:
    """`pool` connections over five links; a burst uses all that are idle at once.

    Link i needs `skew` * i / 5 longer for a query. A query that finds the line empty waits.
    """
    discipline: Literal["lifo", "fifo"] = "lifo" if recent else "fifo"
    gap = NETWORK / (load * LINKS)  # seconds between queries, so that links are busy by `load`
    clients: dict[str, Client] = {
        f"link{i}": Closed(
            users=int(pool) // LINKS, think=Exponential(mean=0.001), to="idle", group=i
        )
        for i in range(LINKS)
    }
    stations: dict[str, Station] = {
        "idle": Queue(service=Exponential(mean=gap), discipline=discipline, to="hash"),
        "hash": Choice(to=tuple(f"fibre{i}" for i in range(LINKS)), by_group=True),
        "database": Delay(time=Constant(value=DATABASE)),
    }
    for i in range(LINKS):
        own = Constant(value=NETWORK * (1 + skew * i / LINKS))
        stations[f"fibre{i}"] = Queue(service=own, to="database")
    return Model(
        name="links",
        clients=clients,
        stations=stations,
        triggers=tuple(_burst(BURST + 50 * i, gap) for i in range(int(bursts))),
        horizon=HORIZON,
        sample=1.0,
    )


def _burst(at: float, gap: float) -> Trigger:
    """So many queries at once that every idle connection is taken."""
    rush: Action = Set(path="idle.speed", value=1e6, until=at + 2 * gap)
    return Trigger(at=at, actions=(rush,), name="burst")


def largest(study: Study, **variant: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The share of the busiest link in the last 200 s, for each run."""
    runs = study.runs(**variant)
    each = [runs.rates(f"fibre{i}.left", HORIZON - 200, HORIZON) for i in range(LINKS)]
    return np.asarray(np.max(each, axis=0) / np.sum(each, axis=0))


def concentrated(**variant: float) -> Measure:
    """The share of runs in which one link carries twice its part or more."""

    def measure(study: Study) -> Estimate:
        found = largest(study, **variant)
        return intervals.share(int((found > HEAVY).sum()), len(found))

    return measure


def busiest(**variant: float) -> Measure:
    """The mean share of the busiest link; 0.2 when all five are alike."""
    return lambda study: intervals.mean(largest(study, **variant))


SCENARIO = Scenario(
    id="A20",
    title="Link imbalance by a pool of connections",
    source="N. Bronson et al., HotOS 2021, section 2.4; " + KALASIM,
    teaches=(
        "In a burst every connection is used, and those over the slowest link come back last: on "
        "top of the stack.",
        "The pool then sends the ordinary load over that link, which keeps it slow and its "
        "connections on top.",
        "Handing out the one used longest ago breaks the loop; no link is at fault.",
    ),
    parameters=parameters(
        pool=(700, 5, 5000, "connections (kalasim)"),
        load=(0.3, 0.01, 0.95, "load of the links, were it spread (kalasim)"),
        bursts=(1, 0, 10, "bursts, 50 s apart (kalasim)"),
        recent=(1, 0, 1, "1: the connection used last is handed out first"),
        skew=(0, 0, 1, "how much slower the last link is (ours; kalasim: 0.04)"),
    ),
    build=build,
    expected=(
        expect_share(
            "P(one link carries too much), used last first", concentrated(), 0.95, KALASIM
        ),
        expect_at_most("busiest link without a burst", busiest(bursts=0), 0.38, OURS),
        expect_at_least("busiest link after a burst", busiest(), 0.5, OURS),
        expect_share(
            "P(one link carries too much), used longest ago first",
            concentrated(recent=0),
            0.0,
            KALASIM,
        ),
        expect_at_most("busiest link, used longest ago first", busiest(recent=0), 0.22, KALASIM),
    ),
    replicas=16,
    replicas_full=64,
)
