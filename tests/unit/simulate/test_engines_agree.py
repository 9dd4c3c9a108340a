"""The compiled kernel and the reference give the same events, counters, samples and items."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from operator import methodcaller
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from howdah.simulate.model import Cache, Exponential, Gate, Model, Open, Policy, Pool, Queue
from howdah.simulate.policies.policy import Numbers
from howdah.simulate.reference import ReferenceEngine
from tests.unit.simulate.any_model import changes, models
from tests.unit.simulate.making import one_queue, retry_storm

pytest.importorskip("numba", reason="the kernel is compiled by numba")

from howdah.simulate.kernel.engine import KernelEngine

SECOND = 1_000_000_000
SEARCH = os.environ.get("HOWDAH_EXAMPLES")  # so many other models: a search by hand
CALM = settings(
    max_examples=int(SEARCH or 25),
    deadline=None,
    derandomize=not SEARCH,
    phases=[Phase.generate] if SEARCH else list(Phase),
    suppress_health_check=list(HealthCheck),
)
pytestmark = pytest.mark.xdist_group("kernel")  # compiled once


class Both:
    """The two engines, driven alike and compared."""

    def __init__(self, model: Model, seed: int) -> None:
        self.reference = ReferenceEngine(model, seed)
        self.kernel = KernelEngine(model, seed)
        self.said: list[str] = []

    def do(self, what: str, act: Callable[[Any], object]) -> None:
        """The same to both."""
        self.said.append(what)
        act(self.reference)
        act(self.kernel)

    def to(self, until: float) -> None:
        """Go on and compare."""
        self.do(f"advance({until})", methodcaller("advance", int(until * SECOND)))
        self.compare()

    def compare(self) -> None:
        """Everything that can be seen."""
        ours, theirs = self.reference, self.kernel
        assert theirs.gauges() == ours.gauges(), self.said
        assert (theirs.events, theirs.cancelled) == (ours.events, ours.cancelled), self.said
        assert theirs.hash == ours.hash, self.said
        assert theirs.now_ns == ours.now_ns, self.said
        assert theirs.items() == ours.items(), self.said
        assert ours.check() == []
        assert theirs.check() == []

    def compare_samples(self) -> None:
        """Every column at every sample."""
        ours, theirs = self.reference.samples(), self.kernel.samples()
        assert theirs.t.tolist() == ours.t.tolist()
        assert list(theirs.columns) == list(ours.columns)
        for name, column in ours.columns.items():
            assert theirs.columns[name].tolist() == column.tolist(), name


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_on_the_retry_storm(seed: int) -> None:
    both = Both(retry_storm(horizon=3000.0), seed)
    for until in (0.0, 100.0, 2000.0, 2050.0, 3000.0):
        both.to(until)
    both.compare_samples()


def admit(state: Numbers, p: Numbers, view: Numbers, u: float) -> float:
    """A policy of one's own: more patient with each refusal."""
    if u * p[0] < math.sqrt(view[5] + 1.0) - 0.1 * state[0]:
        state[0] += 1.0
        return 0.0
    state[0] = _halved(state[0])
    return 1.0


def _halved(x: float) -> float:
    return math.floor(x / 2.0) + 0.25


def test_on_a_policy_of_ones_own() -> None:
    policy = Policy(name=f"{__name__}:admit", arguments={"scale": 5.0})
    model = one_queue(
        clients={"web": Open(rate=5.0, to="door")},
        stations={
            "door": Gate(policy=policy, to="db"),
            "db": Queue(service=Exponential(mean=0.15)),
        },
    )
    both = Both(model, 1)
    both.to(100.0)
    refused, admitted = (both.kernel.gauges()[f"door.{c}"] for c in ("refused", "admitted"))
    assert refused > 50
    assert admitted > 50


@CALM
@given(models(), st.integers(0, 3))
def test_on_any_model(model: Model, seed: int) -> None:
    both = Both(model, seed)
    for until in (0.0, 1.0, 3.0, 6.0, 12.0):
        both.to(until)
    both.compare_samples()


def interventions(draw: Callable[[Any], Any], both: Both, model: Model) -> None:
    """Some of what can be done to a running engine."""
    able: list[tuple[str, Callable[[Any], object]]] = [("reseed(5)", methodcaller("reseed", 5))]
    client = draw(st.sampled_from(sorted(model.clients)))
    able.append((f"inject({client})", methodcaller("inject", client, 5)))
    for name, station in model.stations.items():
        if isinstance(station, Queue | Pool):
            able.append((f"drop({name})", methodcaller("drop", name)))
        if isinstance(station, Cache):
            able.append((f"flush({name})", methodcaller("flush", name)))
    for path, values in changes(model).items():
        value = draw(st.sampled_from(values))
        able.append((f"set({path}, {value})", methodcaller("set", path, value)))
    for what, act in draw(st.lists(st.sampled_from(able), min_size=1, max_size=4)):
        both.do(what, act)
        both.compare()


@CALM
@given(models(), st.data())
def test_after_any_intervention(model: Model, data: st.DataObject) -> None:
    both = Both(model, 4)
    for until in (2.0, 4.0, 8.0):
        both.to(until)
        interventions(data.draw, both, model)
    both.to(11.0)
    both.compare_samples()


@CALM
@given(models(), st.data())
def test_after_a_return_to_a_snapshot(model: Model, data: st.DataObject) -> None:
    both = Both(model, 5)
    both.to(3.0)
    ours, theirs = both.reference.snapshot(), both.kernel.snapshot()
    both.to(6.0)
    interventions(data.draw, both, model)
    both.to(8.0)
    both.said.append("restore")
    both.reference.restore(ours)
    both.kernel.restore(theirs)
    both.compare()
    interventions(data.draw, both, model)
    both.to(9.0)
    both.compare_samples()
