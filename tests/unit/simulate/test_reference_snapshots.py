"""Snapshots, forks and interventions on the reference engine."""

from __future__ import annotations

import pytest

from howdah.errors import BadInput
from howdah.simulate.model import Agentic, Cache, Constant, LogNormal, Pool, Zipf
from howdah.simulate.reference import ReferenceEngine
from tests.unit.simulate.making import client, one_queue, queue, retry_storm
from tests.unit.simulate.running import SECOND, on, run, see


def agents() -> ReferenceEngine:
    ai = Agentic(
        rate=0.5,
        to="pool",
        parallel=3,
        steps=4,
        think=LogNormal(median=1.0, sigma=1.0),
        holds=0.5,
        rollback=0.2,
        keys=Zipf(keys=50),
        timeout=5.0,
    )
    stations = {"pool": Pool(tickets=6, to="db"), "db": queue(service=Constant(value=0.3))}
    return run(one_queue(clients={"ai": ai}, stations=stations), 20.0)


@pytest.mark.parametrize("start", [lambda: run(retry_storm(horizon=300.0), 40.0), agents])
def test_a_snapshot_is_independent_and_good_for_a_return(start: object) -> None:
    engine = start()  # type: ignore[operator]  # a function that makes an engine
    snapshot = engine.snapshot()
    later = on(engine, 90.0).hash, engine.gauges(), engine.events
    for _ in range(2):
        engine.restore(snapshot)
        assert engine.now_ns == snapshot.now_ns
        assert engine.events == snapshot.events
        assert (on(engine, 90.0).hash, engine.gauges(), engine.events) == later


def test_a_fork_goes_its_own_way() -> None:
    engine = run(retry_storm(horizon=300.0), 40.0)
    fork = engine.fork()
    fork.set("db.speed", 0.1)
    on(fork, 90.0)
    assert engine.now_ns == 40 * SECOND
    assert on(engine, 90.0).hash == run(retry_storm(horizon=300.0), 90.0).hash
    assert fork.hash != engine.hash
    assert see(fork, "web.requests") == see(engine, "web.requests")  # the same world


def test_samples_are_those_of_the_way_taken() -> None:
    engine = run(one_queue(clients={"web": client()}, sample=1.0), 10.0)
    snapshot = engine.snapshot()
    on(engine, 20.0)
    engine.restore(snapshot)
    engine.set("web.rate", 0.0)
    on(engine, 15.0)
    samples = engine.samples()
    assert samples.t.tolist() == [float(t) for t in range(16)]
    assert samples.columns["web.requests"].tolist() == [*map(float, range(11)), *[10.0] * 5]


def test_reseeding_keeps_what_was_drawn_and_draws_anew() -> None:
    engine = run(retry_storm(horizon=300.0), 40.0)
    forks = [engine.fork() for _ in range(3)]
    for seed, fork in zip((1, 1, 2), forks, strict=True):
        fork.reseed(seed)
        assert fork.items() == engine.items()
        on(fork, 90.0)
    assert forks[0].hash == forks[1].hash != forks[2].hash


def test_injected_requests_are_numbered_on() -> None:
    engine = run(one_queue(clients={"web": client()}, stations={"db": queue()}), 3.5)
    engine.inject("web", 5)
    assert see(engine, "web.requests", "web.open") == [8, 6]
    assert [item.request for item in engine.items()] == [2, 3, 4, 5, 6, 7]


def test_dropped_waiters_are_rejected() -> None:
    engine = run(one_queue(clients={"web": client()}, stations={"db": queue(speed=0.1)}), 5.0)
    engine.drop("db")
    assert see(engine, "db.dropped", "web.rejected", "db.in_service") == [4, 4, 1]
    assert engine.check() == []


def test_muted_clients_neither_retry_nor_hedge() -> None:
    engine = run(retry_storm(), 2050.0)
    engine.set("web.muted", 1.0)
    retries, waiting = see(engine, "web.retries", "web.waiting_retry")
    on(engine, 2200.0)
    assert see(engine, "web.retries", "web.waiting_retry") == [retries + waiting, 0]


def test_a_cache_is_flushed_and_filled() -> None:
    web = client(to="cache", keys=Zipf(keys=10, exponent=0.0))
    stations = {"cache": Cache(entries=10, miss="db"), "db": queue()}
    engine = run(one_queue(clients={"web": web}, stations=stations), 10.0)
    assert see(engine, "cache.hits", "cache.misses") == [10, 0]
    engine.flush("cache")
    on(engine, 20.0)
    assert see(engine, "cache.hits", "cache.misses") == [10, 10]
    engine.set("cache.full", 1.0)
    on(engine, 30.0)
    assert see(engine, "cache.hits", "cache.misses") == [20, 10]


@pytest.mark.parametrize("path", ["db.nothing", "nobody.rate", "db", "web.retry.mst", ""])
def test_what_cannot_be_set_is_refused(path: str) -> None:
    engine = run(retry_storm(), 0.0)
    with pytest.raises(BadInput):
        engine.set(path, 1.0)


@pytest.mark.parametrize("act", ["inject", "flush", "drop"])
def test_what_is_not_there_cannot_be_acted_on(act: str) -> None:
    engine = run(retry_storm(), 0.0)
    with pytest.raises(BadInput):
        engine.inject("db", 1) if act == "inject" else getattr(engine, act)("web")
