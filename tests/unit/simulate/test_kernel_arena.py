"""The kernel's memory: it grows, is copied and put back, and nothing that happens depends on it."""

from __future__ import annotations

import msgspec
import pytest

pytest.importorskip("numba", reason="the kernel is compiled by numba")

from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.engine import KernelEngine
from howdah.simulate.kernel.program import Program, program
from howdah.simulate.model import (
    Agentic,
    Constant,
    Delay,
    Exponential,
    Model,
    Open,
    Pool,
    Queue,
    Release,
    Sharing,
    Uniform,
)
from tests.unit.simulate.storms import storm

SECOND = 1_000_000_000
pytestmark = pytest.mark.xdist_group("kernel")  # compiled once


def crowd() -> Model:
    """Lanes that wrap, ranks, sessions and far more items than there is room for at first."""
    return Model(
        clients={
            "web": Open(rate=900.0, to="net", timeout=1.0, hedge_after=0.4),
            "agents": Agentic(
                rate=40.0,
                to="pool",
                parallel=20,
                think=Uniform(low=0.5, high=1.5),
                demand=Exponential(mean=0.02),
                timeout=3.0,
            ),
        },
        stations={
            "net": Delay(time=Constant(value=0.8), to="db"),
            "db": Queue(service=Exponential(mean=0.01), servers=5),
            "pool": Pool(tickets=40, to="cpu", order="fewest"),
            "cpu": Sharing(cores=4, to="give", quantum=0.01, yield_to="give"),
            "give": Release(pool="pool", to="far"),
            "far": Delay(time=Exponential(mean=1.0)),
        },
        horizon=20.0,
    )


def engine(model: Model, **rooms: int) -> KernelEngine:
    made = program(model)
    lanes = rooms.pop("lane", 2)
    fewer = msgspec.structs.replace(
        made.rooms, **rooms, lanes=tuple(lanes for _ in made.rooms.lanes)
    )
    return KernelEngine(msgspec.structs.replace(made, rooms=fewer), 3)


def roomy(model: Model) -> KernelEngine:
    return engine(
        model, items=1 << 16, requests=1 << 16, sessions=4096, events=1 << 18, lane=1 << 12
    )


def cramped(model: Model) -> KernelEngine:
    return engine(model, items=128, requests=128, sessions=2, events=1024)


@pytest.mark.parametrize("model", [crowd(), storm(0.9, at=100.0, horizon=400.0)])
def test_growing_changes_nothing(model: Model) -> None:
    small, large = cramped(model), roomy(model)
    for share in (0.25, 0.5, 1.0):
        for each in (small, large):
            each.advance(int(model.horizon * share * SECOND))
            assert each.check() == []
        assert (small.hash, small.events, small.cancelled) == (
            *(large.hash, large.events, large.cancelled),
        )
        assert small.items() == large.items()
    assert small.arena.rooms.items < large.arena.rooms.items


def test_an_injection_finds_room() -> None:
    model = crowd()
    small, large = cramped(model), roomy(model)
    for each in (small, large):
        each.advance(SECOND)
        each.inject("web", 3000)
        each.inject("agents", 200)
        each.advance(2 * SECOND)
        assert each.check() == []
    assert small.hash == large.hash


def test_a_snapshot_is_put_back_into_any_engine_of_the_model() -> None:
    model = crowd()
    one = cramped(model)
    one.advance(3 * SECOND)
    kept, then = one.snapshot(), one.gauges()
    one.advance(10 * SECOND)
    wanted = one.hash, one.items()
    for other in (one, cramped(model), roomy(model)):
        other.restore(kept)
        assert other.gauges() == then
        assert (other.now_ns, other.events) == (kept.now_ns, kept.events)
        other.advance(10 * SECOND)
        assert (other.hash, other.items()) == wanted


def test_a_fork_shares_nothing() -> None:
    one = cramped(crowd())
    one.advance(3 * SECOND)
    two = one.fork()
    two.set("db.servers", 0)
    two.advance(4 * SECOND)
    one.advance(4 * SECOND)
    assert two.gauges()["db.limit"] == 0
    assert one.gauges()["db.limit"] == 5
    again = cramped(crowd())
    again.advance(4 * SECOND)
    assert one.hash == again.hash


def test_nine_tickets_are_refused_loudly() -> None:
    pools = {f"p{i}": Pool(tickets=5, to=f"p{i + 1}" if i < 8 else "end") for i in range(9)}
    model = Model(
        clients={"web": Open(rate=1.0, to="p0")},
        stations={**pools, "end": Delay(time=Constant(value=1.0))},
        horizon=10.0,
    )
    with pytest.raises(RuntimeError, match="nine tickets"):
        KernelEngine(model, 1).advance(10 * SECOND)


def test_samples_and_lanes_survive_many_rounds() -> None:
    model = msgspec.structs.replace(crowd(), sample=0.01)
    small, large = cramped(model), roomy(model)
    for each in (small, large):
        each.advance(20 * SECOND)
    ours, theirs = small.samples(), large.samples()
    assert len(ours.t) == 2001
    assert all(
        ours.columns[name].tolist() == theirs.columns[name].tolist() for name in ours.columns
    )


def test_programs_are_shared() -> None:
    made = program(crowd())
    assert isinstance(made, Program)
    one, two = KernelEngine(made, 1), KernelEngine(made, 2)
    one.advance(SECOND)
    two.advance(SECOND)
    assert one.hash != two.hash
    assert made.fixed.view("int64")[at.NOW >> 3] == 0
