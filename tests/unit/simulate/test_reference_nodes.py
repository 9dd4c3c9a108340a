"""Pools, caches, gates, choices, controllers and conditions on the reference engine."""

from __future__ import annotations

import pytest

from howdah.simulate.model import (
    Action,
    Cache,
    Choice,
    Constant,
    Controller,
    Delay,
    Down,
    Fill,
    Flush,
    Gate,
    Inject,
    Model,
    Policy,
    Pool,
    Release,
    Set,
    Sharing,
    Station,
    Trigger,
    When,
    Zipf,
)
from howdah.simulate.reference import ReferenceEngine
from tests.unit.simulate.making import client, one_queue, queue
from tests.unit.simulate.running import on, run, see


def pooled(order: str = "fifo", tickets: int = 1, **changes: object) -> Model:
    """Work of 0.8 s in 0.31 s pieces, for a ticket each; four requests at 0.1, 0.2, 0.3, 0.4."""
    stations: dict[str, Station] = {
        "pool": Pool(tickets=tickets, to="cpu", order=order, **changes),  # type: ignore[arg-type]  # as given
        "cpu": Sharing(cores=8.0, quantum=0.31, yield_to="yield"),
        "yield": Release(pool="pool", to="pool"),
    }
    web = client(rate=10.0, to="pool", demand=Constant(value=0.8), profile=((0.45, 0.0),))
    return one_queue(clients={"web": web}, stations=stations, horizon=10.0)


def served(engine: ReferenceEngine, until: float) -> list[int]:
    """The serials in service, each time another one is."""
    order: list[int] = []
    while engine.now_ns < until * 1e9:
        engine.advance(engine.now_ns + 10_000_000)
        now = [item.serial for item in engine.items() if item.element == "cpu"]
        if now and order[-1:] != now[:1]:
            order.append(now[0])
    return order


def test_fifo_gives_the_ticket_to_who_waited_longest() -> None:
    engine = run(pooled(), 0.0)
    assert served(engine, 3.5) == [0, 1, 2, 3] * 3


def test_barging_lets_the_one_that_yields_go_on() -> None:
    engine = run(pooled("barging"), 0.0)
    assert served(engine, 3.5) == [0, 1, 2, 3]


def test_fewest_prefers_newcomers() -> None:
    engine = run(pooled("fewest"), 0.0)
    assert served(engine, 3.5) == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]
    web = client(rate=4.0, to="pool", demand=Constant(value=0.8))
    model = pooled("fewest")
    busy = one_queue(clients={"web": web}, stations=model.stations, horizon=10.0)
    # Somebody new comes before each piece is done: nobody's second turn ever comes.
    assert served(run(busy, 0.0), 4.0)[:6] == [0, 1, 2, 3, 4, 5]


def test_a_pool_counts_releases_and_completions_apart() -> None:
    engine = run(pooled(tickets=4), 5.0)
    columns = ("pool.releases", "pool.completions", "pool.in_service", "web.succeeded")
    assert see(engine, *columns) == [12, 4, 0, 4]


def test_more_tickets_admit_at_once_and_fewer_take_nothing_away() -> None:
    engine = run(pooled(), 0.405)
    assert see(engine, "pool.in_service", "pool.waiting") == [1, 3]
    engine.set("pool.tickets", 3)
    assert see(engine, "pool.in_service", "pool.waiting", "cpu.inside") == [3, 1, 3]
    engine.set("pool.tickets", 0)
    assert see(engine, "pool.in_service", "pool.waiting") == [3, 1]
    on(engine, 1.0)
    assert see(engine, "pool.in_service", "pool.waiting") == [0, 4]


def test_a_full_line_refuses() -> None:
    engine = run(pooled(max_waiting=1), 0.405)
    assert see(engine, "pool.refused", "web.rejected", "pool.waiting") == [2, 2, 1]


def test_row_locks_are_one_pool_for_each_key() -> None:
    stations: dict[str, Station] = {
        "row": Pool(tickets=1, to="db", keyed=True),
        "db": queue(service=Constant(value=50.0), servers=99),
    }
    web = client(to="row", keys=Zipf(keys=2, exponent=0.0))
    engine = run(one_queue(clients={"web": web}, stations=stations), 20.5)
    assert see(engine, "row.in_service", "row.waiting") == [2, 18]


def test_the_end_of_an_item_gives_its_tickets_back() -> None:
    stations: dict[str, Station] = {
        "pool": Pool(tickets=1, to="db"),
        "db": queue(service=Constant(value=1.5)),
    }
    engine = run(one_queue(clients={"web": client(to="pool")}, stations=stations), 4.1)
    assert see(engine, "pool.left", "db.left", "db.waiting", "pool.waiting") == [2, 2, 0, 1]


def cached(**changes: object) -> dict[str, Station]:
    given: dict[str, object] = {"entries": 3, "miss": "db", "full": False}
    return {
        "cache": Cache(**(given | changes)),  # type: ignore[arg-type]  # words as given
        "db": Delay(time=Constant(value=0.1), to="fill"),
        "fill": Fill(cache="cache"),
    }


def test_a_cache_keeps_the_keys_used_last() -> None:
    web = client(to="cache", keys=Zipf(keys=4, exponent=0.0))
    engine = run(one_queue(clients={"web": web}, stations=cached()), 0.0)
    recent: list[int] = []
    hits = 0
    for second in range(1, 100):
        on(engine, second)
        after = see(engine, "cache.hits")[0]
        if engine.items():  # a miss, on its way
            (item,) = engine.items()
            assert item.key not in recent[-3:]
            recent = [key for key in recent if key != item.key] + [item.key]
        else:
            assert after == hits + 1
            hits = int(after)
            # Which key was hit is not seen: ask the cache.
            keys = list(engine._state.graph.elements["cache"]._keys)
            recent = keys
        on(engine, second + 0.5)
    assert 20 < hits < 95


def test_a_full_cache_starts_with_the_most_wanted_keys() -> None:
    web = client(to="cache", keys=Zipf(keys=3))
    engine = run(one_queue(clients={"web": web}, stations=cached(full=True)), 20.0)
    assert see(engine, "cache.hits", "cache.misses") == [20, 0]


def test_a_gate_refuses_and_is_told_what_became_of_those_it_admitted() -> None:
    gate = Gate(policy=Policy(name="aimd", arguments={"start": 2, "minimum": 1}), to="db")
    stations: dict[str, Station] = {"door": gate, "db": queue(service=Constant(value=2.5))}
    engine = run(one_queue(clients={"web": client(to="door")}, stations=stations), 3.4)
    assert see(engine, "door.admitted", "door.refused", "door.inflight") == [2, 1, 2]
    on(engine, 3.5)  # the first is answered: the limit becomes 3
    assert engine._state.graph.elements["door"].policy.state[0] == 3


def test_an_open_gate_asks_nobody() -> None:
    gate = Gate(policy=Policy(name="rate_limiter", arguments={"rate": 0.001}), to="db")
    stations: dict[str, Station] = {"door": gate, "db": queue(servers=99)}
    engine = run(one_queue(clients={"web": client(to="door")}, stations=stations), 5.5)
    assert see(engine, "door.refused") == [4]
    engine.set("door.open", 1.0)
    on(engine, 10.5)
    assert see(engine, "door.refused", "door.admitted") == [4, 6]


def test_a_choice_by_weights_by_group_and_by_policy() -> None:
    ends: dict[str, Station] = {"a": queue(servers=999), "b": queue(servers=999)}
    way = Choice(to=("a", "b"), weights=(1.0, 3.0))
    model = one_queue(clients={"web": client(rate=10.0, to="way")}, stations={"way": way, **ends})
    left, right = see(run(model), "a.entered", "b.entered")
    assert left + right == 1000
    assert 200 < left < 300
    group = Choice(to=("a", "b"), by_group=True)
    clients = {"web": client(to="way"), "app": client(to="way", rate=2.0, group=5)}
    engine = run(one_queue(clients=clients, stations={"way": group, **ends}), 10.0)
    assert see(engine, "a.entered", "b.entered") == [10, 20]
    policy = Policy(name=f"{__name__}:route")
    least = one_queue(
        clients={"web": client(to="way")},
        stations={"way": Choice(to=("a", "b"), policy=policy), **ends},
    )
    assert see(run(least, 9.5), "a.entered", "b.entered") == [5, 4]


def route(state: list[float], p: list[float], view: list[float], u: float) -> float:
    """The target to which the fewest were ever sent, by turns."""
    state[0] += 1
    return (state[0] - 1) % view[3]


def ticking(policy: str, **arguments: float) -> Model:
    ecs = Controller(policy=Policy(name=policy, arguments=arguments), watch=("pool",), period=0.1)
    model = pooled()
    return one_queue(
        clients=model.clients, stations=model.stations, controllers={"ecs": ecs}, horizon=10.0
    )


def test_a_controller_sets_tickets_at_every_tick() -> None:
    engine = run(ticking("fixed_tickets", tickets=3), 0.09)
    assert see(engine, "pool.limit") == [1]
    on(engine, 0.405)
    assert see(engine, "pool.limit", "pool.in_service", "pool.waiting") == [3, 3, 1]


def test_a_frozen_controller_changes_nothing() -> None:
    engine = run(ticking("fixed_tickets", tickets=3), 0.05)
    engine.set("ecs.frozen", 1.0)
    on(engine, 0.405)
    assert see(engine, "pool.limit") == [1]
    engine.set("ecs.frozen", 0.0)
    on(engine, 0.51)
    assert see(engine, "pool.limit") == [3]
    engine.set("ecs.policy.tickets", 2)
    on(engine, 0.61)
    assert see(engine, "pool.limit") == [2]


def test_probers_inflate_a_pool_whose_releases_grow() -> None:
    """The yield is wall-clock: releases a second grow with the tickets, whatever is done."""
    stations: dict[str, Station] = {
        "pool": Pool(tickets=8, to="cpu"),
        "cpu": Sharing(cores=1.0, overhead=0.01, quantum=0.01, yield_to="yield"),
        "yield": Release(pool="pool", to="pool"),
    }
    probing = Policy(name="mongo_throughput_probing", arguments={"probers": "each"})
    ecs = Controller(policy=probing, watch=("pool",), period=0.1)
    web = client(rate=20.0, to="pool", demand=Constant(value=0.2))  # four times what is there
    model = one_queue(
        clients={"web": web}, stations=stations, controllers={"ecs": ecs}, horizon=6.0
    )
    assert see(run(model), "pool.limit")[0] > 11
    fixed = Controller(
        policy=Policy(name="fixed_tickets", arguments={"tickets": 8}), watch=("pool",), period=0.1
    )
    control = one_queue(
        clients={"web": web}, stations=stations, controllers={"ecs": fixed}, horizon=6.0
    )
    assert see(run(control), "pool.limit") == [8]


def test_a_condition_that_held_for_a_while_triggers_once() -> None:
    when = When(column="db.waiting", comparison=">=", value=2.0, seconds=1.5)
    trigger = Trigger(when=when, actions=(Set(path="web.rate", value=0.0, until=10.0),))
    model = one_queue(
        clients={"web": client()},
        stations={"db": queue(service=Constant(value=500.0))},
        triggers=(trigger,),
        sample=0.5,
    )
    engine = run(model, 4.4)
    assert see(engine, "web.limit") == [1]
    on(engine, 4.5)  # true from 3 on
    assert see(engine, "web.limit", "web.requests") == [0, 4]
    on(engine, 14.5)
    assert see(engine, "web.limit") == [1]
    on(engine, 90.0)
    assert see(engine, "web.limit") == [1]


@pytest.mark.parametrize(
    ("action", "column", "value"),
    [
        (Inject(client="web", count=7), "web.requests", 12.0),
        (Flush(cache="cache"), "cache.misses", 1.0),
        (Down(processor="db2", until=50.0), "db2.left", 4.0),
    ],
)
def test_actions(action: Action, column: str, value: float) -> None:
    stations: dict[str, Station] = {
        "cache": Cache(entries=9, miss="db2", hit="db2"),
        "db2": queue(servers=99, service=Constant(value=0.9)),
    }
    web = client(to="cache", keys=Zipf(keys=9))
    triggers = (Trigger(at=4.95, actions=(action,)),)
    model = one_queue(clients={"web": web}, stations=stations, triggers=triggers)
    assert see(run(model, 5.0), column) == [value]
