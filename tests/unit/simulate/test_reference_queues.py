"""Queues, delays and sharing on the reference engine, against times worked out by hand."""

from __future__ import annotations

import pytest

from howdah.simulate import numbers
from howdah.simulate.model import (
    Constant,
    Delay,
    Exponential,
    Open,
    Policy,
    Queue,
    Scale,
    Set,
    Sharing,
    Trigger,
)
from tests.unit.simulate.making import client, one_queue, queue, retry_storm
from tests.unit.simulate.running import SECOND, on, run, see


def even(service: float, **changes: object) -> dict[str, Queue]:
    return {"db": queue(service=Constant(value=service), **changes)}


def test_one_server_serves_in_order() -> None:
    # Arrivals at 1, 2, 3, ...; services of 1.5 s end at 2.5, 4, 5.5, 7.
    model = one_queue(clients={"web": client()}, stations=even(1.5))
    engine = run(model, 2.4)
    assert see(engine, "db.inside", "db.waiting", "db.left") == [2, 1, 0]
    on(engine, 7.0)
    assert see(engine, "db.left", "web.succeeded", "db.inside") == [4, 4, 3]
    # Latencies 1.5, 2, 2.5, 3; waits 0, 0.5, 1, 1.5 and that of the one just started: 2.
    assert see(engine, "web.latency_sum", "db.wait_sum", "db.busy") == [9.0, 5.0, 6.0]


def test_two_servers_serve_at_once() -> None:
    engine = run(one_queue(clients={"web": client()}, stations=even(1.5, servers=2)), 7.0)
    assert see(engine, "db.left", "db.wait_sum", "db.in_service") == [5, 0, 2]


def test_a_full_queue_refuses_and_the_client_hears_at_once() -> None:
    engine = run(one_queue(clients={"web": client()}, stations=even(2.5, capacity=1)), 6.2)
    # 1 served until 3.5; 2, 3 refused; 4 until 6.5; 5, 6 refused.
    assert see(engine, "web.rejected", "db.refused", "web.failed", "web.open") == [4, 4, 4, 1]


def test_lifo_takes_the_youngest() -> None:
    engine = run(one_queue(clients={"web": client()}, stations=even(2.5, discipline="lifo")), 3.9)
    # The first is done at 3.5; then 3 is taken before 2.
    assert [item.serial for item in engine.items() if not item.in_service] == [1]


def test_a_lower_band_is_served_first() -> None:
    vip = client(rate=0.4, band=0)  # at 2.5, 5
    model = one_queue(clients={"web": client(band=1), "vip": vip}, stations=even(2.5))
    engine = run(model, 3.9)
    served = [item.client for item in engine.items() if item.in_service]
    assert served == ["vip"]


def test_drop_expired_drops_those_whose_client_gave_up() -> None:
    web = client(timeout=1.0)
    model = one_queue(clients={"web": web}, stations=even(2.5, drop_expired=True))
    engine = run(model, 3.7)
    # 1 served till 3.5, in vain; 2 gave up at 3; 3 not yet at 3.5: its service starts.
    assert see(engine, "web.wasted", "db.dropped", "db.in_service") == [1, 1, 1]


def test_a_policy_decides_who_is_served() -> None:
    lifo = Policy(name="adaptive_lifo", arguments={"drop": 0, "interval": 1.0})
    engine = run(one_queue(clients={"web": client()}, stations=even(2.5, discipline=lifo)), 3.9)
    assert [item.serial for item in engine.items() if not item.in_service] == [1]


def test_a_slowdown_multiplies_the_service() -> None:
    slow = Policy(name="tests.unit.simulate.test_reference_queues:slowdown")
    engine = run(one_queue(clients={"web": client()}, stations=even(1.0, slowdown=slow)), 3.9)
    # The first takes 1 s at 1 inside; the one that starts at 2 too.
    assert see(engine, "db.left") == [2]
    engine = run(one_queue(clients={"web": client(rate=2.0)}, stations=even(1.0, slowdown=slow)))
    assert see(engine, "db.left")[0] < 50


def slowdown(state: list[float], p: list[float], view: list[float], u: float) -> float:
    return view[1]


def test_a_change_of_speed_counts_from_the_next_service() -> None:
    engine = run(one_queue(clients={"web": client()}, stations=even(0.8)), 1.5)
    engine.set("db.speed", 0.5)
    on(engine, 3.5)
    assert see(engine, "db.left") == [1]
    on(engine, 3.6)
    assert see(engine, "db.left") == [2]


def test_down_starts_nothing_and_coming_back_serves_at_once() -> None:
    engine = run(one_queue(clients={"web": client()}, stations=even(0.8)), 1.5)
    engine.set("db.speed", 0.0)
    on(engine, 4.5)
    assert see(engine, "db.left", "db.waiting") == [1, 3]
    engine.set("db.speed", 1.0)
    assert see(engine, "db.waiting", "db.in_service") == [2, 1]


def test_more_servers_take_waiting_items_at_once() -> None:
    engine = run(one_queue(clients={"web": client()}, stations=even(50.0)), 5.5)
    engine.set("db.servers", 3)
    assert see(engine, "db.in_service", "db.waiting", "db.limit") == [3, 2, 3]


def test_a_delay_serves_everybody_at_once() -> None:
    net = Delay(time=Constant(value=2.0), factor=1.5)
    model = one_queue(clients={"web": client(to="net")}, stations={"net": net})
    engine = run(model, 5.0)
    assert see(engine, "net.left", "net.inside", "web.latency_sum") == [2, 3, 6.0]


def shared(**changes: object) -> dict[str, Sharing]:
    given: dict[str, object] = {"cores": 1.0}
    return {"cpu": Sharing(**(given | changes))}  # type: ignore[arg-type]  # words as given


def demanding(rate: float, demand: float, **changes: object) -> dict[str, Open]:
    web = client(rate=rate, to="cpu", demand=Constant(value=demand), **changes)
    return {"web": web}


def test_sharing_halves_the_rate_of_two() -> None:
    # At 2 the first; at 4 the second, when 1 of 3 is left: 2 more, so done at 6. Then the third.
    model = one_queue(clients=demanding(0.5, 3.0), stations=shared())
    engine = run(model, 5.99)
    assert see(engine, "cpu.left") == [0]
    on(engine, 6.0)
    assert see(engine, "cpu.left", "cpu.inside", "web.latency_sum") == [1, 2, 4.0]


def test_cores_serve_as_many_at_full_rate() -> None:
    engine = run(one_queue(clients=demanding(1.0, 1.5), stations=shared(cores=2.0)), 4.5)
    assert see(engine, "cpu.left", "web.latency_sum") == [3, 4.5]


def test_overhead_slows_those_beyond_the_cores() -> None:
    # 1 runs alone from 2 to 4 (2 of 3 done); then both at 1 / (1 + 0.5) / 2 = 1 / 3.
    model = one_queue(clients=demanding(0.5, 3.0), stations=shared(overhead=0.5))
    model = one_queue(clients=model.clients, stations=model.stations, horizon=5.0)
    engine = run(model, 4.0)
    engine.set("web.rate", 0.0)
    on(engine, 6.999)
    assert see(engine, "cpu.left") == [0]
    on(engine, 7.001)
    assert see(engine, "cpu.left") == [1]
    # The other has 3 - 1 = 2 left, alone: done at 9.
    on(engine, 8.999)
    assert see(engine, "cpu.left") == [1]
    on(engine, 9.001)
    assert see(engine, "cpu.left") == [2]


def test_speed_zero_stops_all_and_progress_is_kept() -> None:
    engine = run(one_queue(clients=demanding(0.5, 1.0), stations=shared()), 2.5)
    engine.set("cpu.speed", 0.0)
    on(engine, 3.5)
    assert see(engine, "cpu.left") == [0]
    engine.set("cpu.speed", 1.0)
    on(engine, 3.999)
    assert see(engine, "cpu.left") == [0]
    on(engine, 4.001)
    assert see(engine, "cpu.left") == [1]


def test_a_quantum_sends_the_item_round_with_what_is_left() -> None:
    stations = shared(quantum=0.4, yield_to="net")
    net = Delay(time=Constant(value=0.1), to="cpu")
    model = one_queue(clients=demanding(0.1, 1.0), stations={**stations, "net": net})
    engine = run(model, 10.4)
    assert see(engine, "net.inside", "cpu.left", "web.succeeded") == [1, 1, 0]
    on(engine, 11.199)
    assert see(engine, "web.succeeded") == [0]
    on(engine, 11.2)  # 0.4 + 0.1 + 0.4 + 0.1 + 0.2
    assert see(engine, "web.succeeded", "cpu.entered", "cpu.left") == [1, 3, 3]


def test_a_rate_that_changes_stretches_what_is_left_of_the_interval() -> None:
    engine = run(one_queue(clients={"web": client(rate=0.1)}), 5.0)  # the first is due at 10
    engine.set("web.rate", 0.2)
    on(engine, 7.499)
    assert see(engine, "web.requests") == [0]
    on(engine, 7.5)
    assert see(engine, "web.requests") == [1]
    engine.set("web.rate", 0.0)
    on(engine, 50.0)
    assert see(engine, "web.requests") == [1]
    engine.set("web.rate", 1.0)
    on(engine, 51.0)
    assert see(engine, "web.requests") == [2]


def test_a_profile_sets_the_rate_over_time() -> None:
    web = client(rate=1.0, profile=((10.0, 2.0), (20.0, 0.0)))
    engine = run(one_queue(clients={"web": web}), 40.0)
    assert see(engine, "web.requests", "web.limit") == [
        10 + 19,
        0,
    ]  # none at 20: the step came first


def test_scale_and_set_come_back() -> None:
    burst = Trigger(
        at=10.0,
        actions=(
            Scale(path="web.rate", factor=2.0, until=20.0),
            Set(path="db.capacity", value=3.0, until=15.0),
        ),
    )
    model = one_queue(clients={"web": client()}, stations=even(100.0), triggers=(burst,))
    engine = run(model, 14.0)
    assert see(engine, "web.limit", "db.refused") == [2, 9]  # the one at 10 came after the trigger
    on(engine, 30.0)
    assert see(engine, "web.limit", "web.requests", "db.refused") == [1, 40, 10]


def test_the_hash_of_the_first_event_is_as_defined() -> None:
    engine = run(one_queue(clients={"web": client()}), 1.0)
    assert engine.events == 1
    assert engine.hash == numbers.mix((1 * SECOND) & numbers.MASK)  # kind, element, serial 0


def test_the_world_is_the_same_for_another_design() -> None:
    """The n-th request's service does not depend on servers."""
    model = one_queue(stations={"db": Queue(service=Exponential(mean=1.0), servers=1)})
    more = one_queue(stations={"db": Queue(service=Exponential(mean=1.0), servers=3)})
    one, three = run(model, 1000.0), run(more, 1000.0)
    assert see(one, "web.requests") == see(three, "web.requests")
    done = min(see(one, "db.left"), see(three, "db.left"))
    assert done[0] > 100


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_gives_the_same_run(seed: int) -> None:
    model = retry_storm(horizon=300.0)
    first, second = run(model, seed=seed), run(model, seed=seed)
    assert first.hash == second.hash
    assert first.gauges() == second.gauges()
    assert run(model, seed=3).hash != first.hash


def test_stops_on_the_way_change_nothing() -> None:
    model = retry_storm(horizon=300.0)
    engine = run(model, 0.0)
    for stop in range(1, 301):
        on(engine, stop)
    whole = run(model)
    assert (engine.hash, engine.events, engine.cancelled) == (
        whole.hash,
        whole.events,
        whole.cancelled,
    )
    assert engine.samples().columns["db.inside"].tolist() == (
        whole.samples().columns["db.inside"].tolist()
    )


def test_most_events_stops_early() -> None:
    model = retry_storm(horizon=300.0)
    whole = run(model)
    engine = run(model, 0.0)
    until = 300 * SECOND
    stops = 0
    while not engine.advance(until, most_events=10):
        stops += 1
        assert engine.events == 10 * stops
    assert engine.hash == whole.hash
