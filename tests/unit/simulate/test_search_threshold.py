"""Knobs, isotonic curves, reduction: the pure parts of searches."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from howdah.errors import BadInput
from howdah.simulate.intervals import share
from howdah.simulate.model import Flush, Inject, Scale, Set, Trigger
from howdah.simulate.search.edges import NOTHING, both, cuts
from howdah.simulate.search.knobs import turn, with_loads
from howdah.simulate.search.programs import Move, Placed
from howdah.simulate.search.reduction import one_minimal
from howdah.simulate.search.threshold import Probe, crossing, isotonic
from tests.unit.simulate.storms import storm

close = pytest.approx


def test_knobs_of_triggers() -> None:
    model = storm()
    longer = turn(model, "triggers.burst.length", 30.0).triggers[0]
    assert longer.actions == (Scale(path="web.rate", factor=8.0, until=2030.0),)
    later = turn(model, "triggers.0.at", 500.0).triggers[0]
    assert later.at == 500.0
    assert later.actions == (Scale(path="web.rate", factor=8.0, until=600.0),)
    assert turn(model, "triggers.burst.factor", 2.5).triggers[0].actions == (
        Scale(path="web.rate", factor=2.5, until=2100.0),
    )


def test_knobs_of_the_model() -> None:
    model = storm()
    assert turn(model, "web.timeout", 12.5).clients["web"].timeout == 12.5
    assert (
        turn(model, "db.capacity", 49.6).stations["db"]
        == turn(model, "db.capacity", 50).stations["db"]
    )
    with pytest.raises(BadInput, match="nothing at"):
        turn(model, "web.tmeout", 1.0)
    with pytest.raises(BadInput, match="no trigger for the knob"):
        turn(model, "triggers.busrt.length", 1.0)
    with pytest.raises(BadInput, match="no action of this trigger has a count"):
        turn(model, "triggers.burst.count", 1.0)


def test_load_scales_rates_and_triggers_alike() -> None:
    model = turn(storm(rate=0.5), "load", 1.2)
    assert model.clients["web"] == storm(rate=0.6).clients["web"]
    spike = Trigger(at=10, actions=(Set(path="web.rate", value=4.0, until=20), Flush(cache="c")))

    scaled = with_loads(msgspec.structs.replace(storm(), triggers=(spike,)), 0.5)
    assert scaled.triggers[0].actions[0] == Set(path="web.rate", value=2.0, until=20)
    assert scaled.triggers[0].actions[1] == Flush(cache="c")


def test_a_moved_end_moves_what_is_settled() -> None:

    model = msgspec.structs.replace(storm(), settled_after=2200.0)
    assert turn(model, "triggers.burst.length", 150.0).settled_after == close(2250.0)


def test_isotonic_pools_what_falls() -> None:
    found = isotonic(np.array([0.0, 0.4, 0.2, 1.0]), np.array([1.0, 1.0, 3.0, 1.0]))
    assert list(found) == close([0.0, 0.25, 0.25, 1.0])
    assert list(isotonic(np.array([3.0, 2.0, 1.0]), np.ones(3))) == close([2.0, 2.0, 2.0])


def probes(thresholds: list[float], values: list[float]) -> list[Probe]:
    found = []
    for value in values:
        runs = tuple(value >= each for each in thresholds)
        found.append(Probe(value=value, stuck=share(sum(runs), len(runs)), runs=runs))
    return found


def test_crossing_finds_the_median_of_the_worlds_thresholds() -> None:
    random = np.random.default_rng(5)
    held = 0
    for _ in range(40):
        thresholds = np.exp(random.normal(np.log(10.0), 0.3, 64)).tolist()
        found = crossing(probes(thresholds, [5, 8, 9, 9.5, 10, 10.5, 11, 13, 20]), 0.5)
        assert found.low <= found.value <= found.high
        held += found.holds(10.0)
    assert held >= 34


def test_crossing_is_never_narrower_than_its_bracket() -> None:
    found = crossing(probes([10.0] * 16, [1.0, 4.0, 16.0]), 0.5)
    assert (found.low, found.high) == close((4.0, 16.0))


@pytest.mark.parametrize(
    ("items", "needed", "expected"),
    [
        (range(10), {2, 7}, [2, 7]),
        (range(8), set(), []),
        (range(1), {0}, [0]),
        (range(17), set(range(17)), list(range(17))),
        (range(33), {0, 16, 32}, [0, 16, 32]),
    ],
)
def test_reduction(items: range, needed: set[int], expected: list[int]) -> None:
    assert one_minimal(list(items), lambda some: needed <= set(some)) == expected


def test_reduction_is_one_minimal_without_monotony() -> None:
    def holds(some: list[int]) -> bool:
        return sum(some) % 7 == 0 and len(some) > 2

    found = one_minimal([1, 2, 3, 4, 5, 6], holds)
    assert holds(found)
    for i in range(len(found)):
        assert not holds(found[:i] + found[i + 1 :])


def test_moves_become_triggers() -> None:
    burst = Move(kind="scale", path="web.rate", mild=1.0, strong=9.0, short=10.0, long=20.0)
    placed = Placed(move=burst, at=100.0, strength=0.5, length=0.5)
    assert placed.trigger().actions == (Scale(path="web.rate", factor=5.0, until=115.0),)
    assert placed.cost == close(0.3)
    push = Move(kind="inject", path="web", mild=1, strong=101)
    assert Placed(move=push, at=1, strength=0.2, length=0.9).trigger().actions == (
        Inject(client="web", count=21),
    )


def test_every_edge_of_a_storm_has_a_cut() -> None:
    names = [cut.name for cut in cuts(storm())]
    assert names == ["the retries of web", "the timeout of web", "the backlog of db"]
    first, second, third = cuts(storm())
    assert both(first, third).name == "the retries of web and the backlog of db"
    assert both(first, third).kind == "feedback"
    assert first.lasts
    assert second.lasts
    assert not third.lasts
    assert not NOTHING.lasts
    assert [cut.name for cut in cuts(storm(retries=0))] == names[1:]
