"""Simulated figures beside computed ones: every oracle, on a run that is long enough to tell."""

from __future__ import annotations

import msgspec
import pytest

from howdah.simulate.analytic import analytic, beside
from howdah.simulate.model import (
    Cache,
    Choice,
    Closed,
    Constant,
    Delay,
    Erlang,
    Exponential,
    Fill,
    LogNormal,
    Model,
    Open,
    Pareto,
    Queue,
    Retry,
    Sharing,
    Uniform,
    Zipf,
)
from howdah.simulate.run import start
from howdah.simulate.search.trial import advance

SECOND = Exponential(mean=1.0)
HORIZON = 400_000.0

MODELS = [
    Model(
        name="M/M/1",
        clients={"web": Open(rate=0.7, to="db", timeout=5)},
        stations={"db": Queue(service=SECOND)},
    ),
    Model(
        name="M/M/3",
        clients={"web": Open(rate=2.4, to="db", timeout=3)},
        stations={"db": Queue(service=SECOND, servers=3)},
    ),
    Model(
        name="M/M/1 youngest first",
        clients={"web": Open(rate=0.7, to="db")},
        stations={"db": Queue(service=SECOND, discipline="lifo")},
    ),
    Model(
        name="M/D/1",
        clients={"web": Open(rate=0.7, to="db")},
        stations={"db": Queue(service=Constant(value=1.0))},
    ),
    Model(
        name="M/G/1",
        clients={"web": Open(rate=0.7, to="db")},
        stations={"db": Queue(service=Uniform(low=0.0, high=2.0), speed=1.0)},
    ),
    Model(
        name="M/E4/1 at twice the speed",
        clients={"web": Open(rate=1.5, to="db")},
        stations={"db": Queue(service=Erlang(stages=4, mean=1.0), speed=2.0)},
    ),
    Model(
        name="M/M/1/K",
        clients={"web": Open(rate=1.2, to="db", timeout=6)},
        stations={"db": Queue(service=SECOND, capacity=8)},
    ),
    Model(
        name="M/M/3/9",
        clients={"web": Open(rate=3.0, to="db")},
        stations={"db": Queue(service=SECOND, servers=3, capacity=9)},
    ),
    Model(
        name="Erlang B, whatever the service",
        clients={"web": Open(rate=2.0, to="db")},
        stations={"db": Queue(service=LogNormal(median=0.8, sigma=0.7), servers=3, capacity=3)},
    ),
    Model(
        name="priorities",
        clients={
            "first": Open(rate=0.4, to="db"),
            "second": Open(rate=0.3, to="db", band=1),
        },
        stations={"db": Queue(service=SECOND)},
    ),
    Model(
        name="impatience, one server",
        clients={"web": Open(rate=1.1, to="db", timeout=3, cancels=True)},
        stations={"db": Queue(service=SECOND)},
    ),
    Model(
        name="impatience, three servers",
        clients={"web": Open(rate=3.2, to="db", timeout=2, cancels=True)},
        stations={"db": Queue(service=SECOND, servers=3)},
    ),
    Model(
        name="retrial",
        clients={
            "web": Open(rate=0.5, to="db", retry=Retry(most=10**9, backoff=Exponential(mean=5)))
        },
        stations={"db": Queue(service=SECOND, capacity=1)},
    ),
    Model(
        name="Jackson with a loop",
        clients={"web": Open(rate=0.3, to="app")},
        stations={
            "app": Queue(service=SECOND, to="again"),
            "again": Choice(to=("db", "reply"), weights=(0.5, 0.5)),
            "db": Queue(service=Exponential(mean=2.0), to="net"),
            "net": Delay(time=Constant(value=3.0), to="app"),
        },
    ),
    Model(
        name="sharing",
        clients={
            "short": Open(rate=0.5, to="cpu", demand=Uniform(low=0.0, high=1.0)),
            "long": Open(rate=0.05, to="cpu", demand=Pareto(minimum=2.0, shape=3.5)),
        },
        stations={"cpu": Sharing(cores=1)},
    ),
    Model(
        name="sharing on three cores",
        clients={"web": Open(rate=2.2, to="cpu", demand=SECOND)},
        stations={"cpu": Sharing(cores=3)},
    ),
    Model(
        name="M/G/infinity",
        clients={"web": Open(rate=4.0, to="net")},
        stations={"net": Delay(time=LogNormal(median=1.0, sigma=0.5))},
    ),
    Model(
        name="closed network",
        clients={"users": Closed(users=20, think=Uniform(low=5.0, high=15.0), to="app")},
        stations={
            "app": Queue(service=SECOND, servers=2, to="net"),
            "net": Delay(time=Constant(value=0.5)),
        },
    ),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_simulated_beside_computed(model: Model) -> None:
    engine = start(msgspec.structs.replace(model, horizon=HORIZON, sample=20.0), 11)
    advance(engine, HORIZON)
    samples = engine.samples()
    found = beside(analytic(model), samples.t, samples.columns, since=2000.0, confidence=0.999)
    measured = [c for c in found if c.simulated is not None and c.answer.exact]
    assert measured
    for each in measured:
        assert each.agrees, (each.answer.where, each.answer.what, each.answer.value, each.simulated)
        assert each.simulated is not None
        width = each.simulated.high - each.simulated.low
        assert width <= max(0.25 * each.answer.value, 1e-9), "the run is too short to tell"
    assert not engine.check()


def test_cache_hits_beside_che() -> None:
    model = Model(
        clients={"web": Open(rate=100, to="hot", keys=Zipf(keys=2000, exponent=0.9))},
        stations={
            "hot": Cache(entries=200, miss="db"),
            "db": Queue(service=Exponential(mean=0.001), to="fill"),
            "fill": Fill(cache="hot"),
        },
        horizon=2000.0,
    )
    engine = start(model, 1)
    advance(engine, 2000.0)
    columns = engine.samples().columns
    hits, misses = columns["hot.hits"][-1], columns["hot.misses"][-1]
    expected = next(a for a in analytic(model) if a.what == "share of hits once warm")
    assert hits / (hits + misses) == pytest.approx(expected.value, rel=0.02)
