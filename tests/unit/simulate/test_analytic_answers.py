"""Which formulas a model falls under, and the fluid thresholds against the known figures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from howdah.errors import BadInput
from howdah.simulate.analytic import Answer, analytic, beside, fluid
from howdah.simulate.model import (
    Cache,
    Choice,
    Client,
    Closed,
    Constant,
    Controller,
    Delay,
    Exponential,
    Fill,
    Model,
    Open,
    Policy,
    Queue,
    Retry,
    Scale,
    Sharing,
    Station,
    Trigger,
    Uniform,
    Zipf,
)
from tests.unit.simulate.storms import storm

close = pytest.approx
SECOND = Exponential(mean=1.0)


def model(clients: dict[str, Client], stations: dict[str, Station], *triggers: Trigger) -> Model:
    return Model(clients=clients, stations=stations, triggers=triggers)


def answers(of: Model) -> dict[tuple[str, str], Answer]:
    return {(a.where, a.what): a for a in analytic(of)}


def test_single_queue() -> None:
    of = model({"web": Open(rate=0.8, to="db", timeout=10)}, {"db": Queue(service=SECOND)})
    found = answers(of)
    assert found["db", "mean wait"].value == close(4.0)
    assert found["web", "share answered in time"].value == close(1 - math.exp(-2))
    assert all(a.exact for a in found.values() if a.formula.startswith("M/M"))


def test_speed_scales_service() -> None:
    found = answers(model({"web": Open(rate=0.8, to="db")}, {"db": Queue(service=SECOND, speed=2)}))
    assert found["db", "mean wait"].value == close(0.5 * 0.4 / 0.6)


def test_jackson_network_with_a_loop() -> None:
    of = model(
        {"web": Open(rate=0.4, to="app")},
        {
            "app": Queue(service=SECOND, to="again"),
            "again": Choice(to=("db", "reply"), weights=(0.5, 0.5)),
            "db": Queue(service=Exponential(mean=2.0), to="app"),
        },
    )
    found = answers(of)
    assert found["app", "mean wait"].value == close(4.0)
    assert found["db", "mean wait"].value == close(8.0)
    assert found["db", "mean wait"].exact


def test_behind_a_fixed_service_it_is_an_approximation() -> None:
    of = model(
        {"web": Open(rate=0.4, to="app")},
        {"app": Queue(service=Constant(value=1.0), to="db"), "db": Queue(service=SECOND)},
    )
    found = answers(of)
    assert found["app", "mean wait"].exact
    assert not found["db", "mean wait"].exact
    assert "Poisson" in found["db", "mean wait"].because


def test_behind_a_cache_traffic_is_not_known() -> None:
    of = model(
        {"web": Open(rate=100, to="hot", keys=Zipf(keys=1000, exponent=0.0))},
        {
            "hot": Cache(entries=900, miss="db"),
            "db": Queue(service=Exponential(mean=0.01), to="fill"),
            "fill": Fill(cache="hot"),
        },
    )
    found = answers(of)
    assert ("db", "mean wait") not in found
    assert found["hot", "share of hits once warm"].value == close(0.9, rel=1e-3)
    assert found["db", "hidden capacity"].value == close(100.0)
    assert found["db", "capacity with a warm cache"].value == close(1000.0, rel=0.01)


def test_impatient_retrial_bands_and_sharing() -> None:
    impatient = answers(
        model(
            {"web": Open(rate=1.2, to="db", timeout=3, cancels=True)},
            {"db": Queue(service=SECOND)},
        )
    )
    assert 0.2 < impatient["db", "share that leaves the line"].value < 0.3
    retrial = answers(
        model(
            {"web": Open(rate=0.5, to="db", retry=Retry(most=10**6, backoff=Exponential(mean=5)))},
            {"db": Queue(service=SECOND, capacity=1)},
        )
    )
    assert retrial["web", "mean number waiting to retry"].value == close(3.0)
    bands = answers(
        model(
            {"a": Open(rate=0.4, to="db"), "b": Open(rate=0.4, to="db", band=1)},
            {"db": Queue(service=SECOND)},
        )
    )
    assert bands["b", "mean time to the answer"].value == close(0.8 / 0.12 + 1)
    shared = answers(
        model(
            {"a": Open(rate=0.5, to="cpu", demand=Uniform(low=0.0, high=2.0))},
            {"cpu": Sharing(cores=1)},
        )
    )
    assert shared["cpu", "mean time in station"].value == close(2.0)


def test_closed_network() -> None:
    of = model(
        {"users": Closed(users=20, think=Exponential(mean=10.0), to="app")},
        {"app": Queue(service=SECOND, to="net"), "net": Delay(time=Constant(value=0.5))},
    )
    found = answers(of)
    assert found["users", "users at the knee"].value == close(11.5)
    inside = found["app", "mean number inside"].value + found["net", "mean number inside"].value
    rate = found["users", "throughput"].value
    assert inside == close(rate * found["users", "mean time to the answer"].value)


def test_overload_is_said() -> None:
    found = answers(model({"web": Open(rate=2, to="db")}, {"db": Queue(service=SECOND)}))
    assert found["db", "overload: arrivals by capacity"].value == close(2.0)


@pytest.mark.parametrize(
    "changed",
    [
        Queue(service=SECOND, slowdown=Policy(name="crowding")),
        Queue(service=SECOND, discipline=Policy(name="codel")),
        Queue(service=SECOND, drop_expired=True),
        Queue(service=SECOND, speed=0.0),
    ],
)
def test_what_breaks_a_condition_has_no_equilibrium_answer(changed: Queue) -> None:
    assert not answers(model({"web": Open(rate=0.5, to="db")}, {"db": changed}))


def test_retry_storm_thresholds() -> None:
    of = model(
        {
            "web": Open(
                rate=0.6,
                to="db",
                timeout=30,
                retry=Retry(most=3, backoff=Uniform(low=0.0, high=10.0)),
            )
        },
        {"db": Queue(service=SECOND, capacity=100)},
        Trigger(at=2000, actions=(Scale(path="web.rate", factor=8, until=2100),)),
    )
    found = answers(of)
    assert found["db", "lowest load at which it can stay down"].value == close(0.25)
    length = found["db", "shortest trigger 'Scale' to late answers"]
    assert length.value == close(30 / 3.8)
    assert not length.exact
    assert found["db", "time in a full queue by the timeout"].value == close(100 / 30)


@pytest.mark.parametrize(("rate", "seconds"), [(0.9, 2.5e3), (0.8, 2.3e4), (0.75, 1.0e5)])
def test_a_storm_by_itself(rate: float, seconds: float) -> None:
    """A4: the chain beside counted escapes (12 to 29 % of error of their own)."""
    found = {a.what: a for a in analytic(storm(rate), chains=True)}
    answer = found["mean time until it tips by itself"]
    assert 0.6 * seconds < answer.value < 1.6 * seconds
    assert not answer.exact
    assert not [a for a in analytic(storm(rate)) if "itself" in a.what]
    assert not [a for a in analytic(storm(rate, retries=0), chains=True) if "itself" in a.what]


def test_a_model_with_a_controller_of_users_is_left_alone() -> None:
    of = Model(
        clients={"users": Closed(users=5, think=SECOND, to="db")},
        stations={"db": Queue(service=SECOND)},
        controllers={"c": Controller(policy=Policy(name="aimd"), watch=("db",), period=1.0)},
    )
    assert not analytic(of)


def test_beside_a_run() -> None:
    of = model({"web": Open(rate=0.5, to="db")}, {"db": Queue(service=SECOND)})
    t = np.arange(0.0, 1001.0)
    columns = {"db.inside": np.full(len(t), 1.0), "db.busy": 0.5 * t, "db.left": 0.5 * t}
    found = {c.answer.what: c for c in beside(analytic(of), t, columns, since=100.0)}
    inside = found["mean number inside"]
    assert inside.simulated is not None
    assert inside.simulated.value == close(1.0)
    assert inside.agrees
    assert found["share of the servers' time busy"].agrees
    assert found["mean wait"].simulated is None
    assert found["mean wait"].agrees is None


def test_crowding_formulas() -> None:
    """The closed forms behind A18."""
    assert fluid.crowding_point(8, 0.01, 5.5) == close(53.45, rel=1e-3)
    assert fluid.harmless_overhead(8, 5.5, 256) == close(0.00183, rel=1e-2)
    assert math.isinf(fluid.crowding_point(8, 0.0, 5.5))
    assert fluid.crowding_point(8, 0.01, 9.0) == 8
    of = model(
        {
            "a": Open(rate=2500, to="cpu", demand=Constant(value=0.001)),
            "b": Open(rate=1.5, to="cpu", demand=Exponential(mean=2.0)),
        },
        {"cpu": Sharing(cores=8, overhead=0.01, quantum=0.01, yield_to="cpu")},
    )
    what = "runnable threads beyond which less is done than comes"
    assert answers(of)["cpu", what].value == close(53.45, rel=1e-3)


def test_triggers_and_recovery() -> None:
    assert fluid.trigger_length(1.0, 0.6, 1.5, 30.0) == math.inf
    assert fluid.trigger_loss(300.0, 280.0, 0.0, 1.0) == close(300 / 280)
    # A3: R = 0, K = 100, timeout 30.
    assert fluid.recovery(1.0, 0.6, 100.0, 30.0) == close(205.0)
    assert math.isinf(fluid.recovery(1.0, 1.0, 100.0))


def test_hotos_worked_example() -> None:
    """A11: capacity 300, one retry: 280 requests can fall to nothing, below 150 they recover."""
    assert fluid.lowest_tipping_load(300.0, fluid.attempts(1, 1.0)) == close(150.0)
    assert 280 * fluid.attempts(1, 1.0) == close(560.0)
    assert fluid.hidden_capacity(300.0, 0.9) == (3000.0, 300.0)


def test_theorems() -> None:
    assert fluid.stable_capacity(100.0, 4.0, 2.0) == close(12.5)
    assert fluid.withstands(100.0, 20.0, 2.0, 2.0)
    assert not fluid.withstands(100.0, 30.0, 2.0, 2.0)
    assert fluid.tips(10.0, 8.0, 2.0)
    assert not fluid.tips(10.0, 8.0, 1.9)
    with pytest.raises(BadInput, match="at least 1"):
        fluid.stable_capacity(100.0, 0.5, 1.0)
    assert fluid.attempts(None, 0.75) == close(4.0)
    assert math.isinf(fluid.attempts(None, 1.0))
    assert fluid.budgeted(3, 0.1) == close(1.1)
    assert fluid.budgeted(None, 0.1, 0.0) == close(1.0)
