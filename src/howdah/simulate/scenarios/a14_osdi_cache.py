"""A14: a look-aside cache that cannot be filled again.

Owns the scenario: ten shards of a cache in front of one database; a request that missed fills the
cache only if its client still waits.
"""

from __future__ import annotations

from functools import lru_cache

from howdah.simulate.analytic.caches import hit_share
from howdah.simulate.analytic.fluid import hidden_capacity
from howdah.simulate.intervals import Estimate, mean
from howdah.simulate.model import (
    Cache,
    Choice,
    Client,
    Exponential,
    Fill,
    Flush,
    Gate,
    Model,
    Open,
    Policy,
    Queue,
    Station,
    Trigger,
    Zipf,
)
from howdah.simulate.scenarios.readings import computed
from howdah.simulate.scenarios.scenario import (
    Expectation,
    Measure,
    Scale,
    Scenario,
    Study,
    expect,
    expect_at_least,
    expect_at_most,
    parameters,
)

OSDI = "L. Huang et al., OSDI 2022, section 5.3, and its public artifact (Zipf 1.00001, 1 and 2 s)"
HOTOS = "N. Bronson et al., HotOS 2021, section 2.2 (read through notes)"
SHARDS = 10
KEYS = 2000  # of each shard
FLUSH, HORIZON = 120.0, 300.0
DATABASE = 100.0  # misses a second that it does; hits cost it nothing
ZIPF = Zipf(keys=KEYS, exponent=1.00001)


@lru_cache(maxsize=64)
def entries(hits: float) -> int:
    """The size of a shard that answers this share of requests, warm (Che's approximation)."""
    low, high = 1, KEYS
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if hit_share(ZIPF, middle) >= hits else (middle + 1, high)
    return low


def build(rate: float, hits: float, timeout: float, flushed: float) -> Model:
    """`rate` requests a second over all shards, of which `flushed` are emptied at second 120."""
    size = entries(hits)
    clients: dict[str, Client] = {}
    stations: dict[str, Station] = {"db": Queue(service=Exponential(mean=1 / DATABASE), to="back")}
    fills = tuple(f"fill{i}" for i in range(SHARDS))
    for i in range(SHARDS):
        clients[f"web{i}"] = Open(
            rate=rate / SHARDS, to=f"cache{i}", deadline=timeout, keys=ZIPF, group=i
        )
        stations[f"cache{i}"] = Cache(entries=size, miss="db")
        stations[fills[i]] = Fill(cache=f"cache{i}")
    return Model(
        name="look-aside cache",
        clients=clients,
        stations=stations | _way_back(fills),
        triggers=(
            Trigger(at=FLUSH, actions=tuple(Flush(cache=f"cache{i}") for i in range(int(flushed)))),
        )
        if flushed >= 1
        else (),
        horizon=HORIZON,
        sample=1.0,
    )


def _way_back(fills: tuple[str, ...]) -> dict[str, Station]:
    return {
        "back": Gate(policy=Policy(name="in_time"), to="shard"),
        "shard": Choice(to=fills, by_group=True),
    }


def answered(start: float, end: float, **variant: float) -> Measure:
    """The share of requests that were answered in time, over all shards."""

    def measure(study: Study) -> Estimate:
        runs = study.runs(**variant)
        good, all_ = (
            runs.rates_of([f"web{i}.{column}" for i in range(SHARDS)], start, end)
            for column in ("succeeded", "requests")
        )
        return mean(good / all_)

    return measure


def hit_rate(start: float, end: float, **variant: float) -> Measure:
    """The share of requests that the cache answered, over all shards."""

    def measure(study: Study) -> Estimate:
        runs = study.runs(**variant)
        hits = runs.rates_of([f"cache{i}.hits" for i in range(SHARDS)], start, end)
        found = hits / runs.rates_of([f"web{i}.requests" for i in range(SHARDS)], start, end)
        return mean(found)

    return measure


def down(what: str, source: str = OSDI, scale: Scale = "quick", **variant: float) -> Expectation:
    """Not answered at the end."""
    measure = answered(HORIZON - 30, HORIZON, **variant)
    return expect_at_most(f"share answered at the end, {what}", measure, 0.8, source, scale=scale)


def back(what: str, source: str = OSDI, scale: Scale = "quick", **variant: float) -> Expectation:
    """Answered at the end."""
    measure = answered(HORIZON - 30, HORIZON, **variant)
    return expect_at_least(f"share answered at the end, {what}", measure, 0.95, source, scale=scale)


SCENARIO = Scenario(
    id="A14",
    title="A look-aside cache that stays cold",
    source=OSDI,
    teaches=(
        "A cache multiplies what the database can advertise and hides what it can do: behind 90 % "
        "hits, 3000 a second are 300.",
        "When answers come too late to be stored, the cache stays cold and keeps the database "
        "overloaded.",
        "Longer patience helps here, because a late answer still fills the cache.",
    ),
    parameters=parameters(
        rate=(350, 1, 5000, "requests a second; the database does 100 (ours)"),
        hits=(0.8, 0.1, 0.99, "share of hits when warm (OSDI 2022: 0.80 and 0.95)"),
        timeout=(1.0, 0.1, 10, "seconds until the client gives up (OSDI 2022: 1 and 2)"),
        flushed=(
            10,
            0,
            10,
            "shards of ten that are emptied (ours, for the hot keys deleted there)",
        ),
    ),
    build=build,
    expected=(
        expect(
            "share of hits before", hit_rate(90, FLUSH), 0.8, "Che's approximation", within=0.03
        ),
        back("350 a second, nothing emptied", flushed=0),
        down("350 a second"),
        expect_at_most(
            "share of hits at the end, 350 a second",
            hit_rate(HORIZON - 30, HORIZON),
            0.7,
            OSDI,
        ),
        back("150 a second", rate=150),
        back("350 a second, two shards emptied", flushed=2),
        expect(
            "capacity advertised behind 90 % hits of 300 a second",
            computed(hidden_capacity(300.0, 0.9)[0]),
            3000,
            HOTOS,
            within=0,
        ),
    ),
    replicas=6,
    replicas_full=32,
)
