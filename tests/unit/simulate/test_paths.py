from __future__ import annotations

import pytest

from howdah.errors import BadInput
from howdah.simulate.columns import columns
from howdah.simulate.model import (
    Agentic,
    Cache,
    Choice,
    Controller,
    Exponential,
    Fill,
    Gate,
    Model,
    Policy,
    Pool,
    Queue,
    Release,
    Sharing,
    Zipf,
)
from howdah.simulate.paths import numbers, read, replace
from howdah.simulate.reference import ReferenceEngine
from howdah.simulate.settable import settable
from tests.unit.simulate.making import client, one_queue, queue, retry_storm

PARTED = one_queue(
    parts={"shard": Model(clients={}, stations={"db": Queue(service=Exponential(mean=2.0))})}
)
POLICED = one_queue(
    stations={"db": queue(discipline=Policy(name="codel"))},
    clients={"web": client(retry=Policy(name="jitter", arguments={"base": 0.5}))},
)
WIDE = one_queue(
    clients={
        "web": client(to="door", keys=Zipf(keys=9), demand=Exponential(mean=1.0)),
        "ai": Agentic(rate=1.0, to="door", keys=Zipf(keys=9), demand=Exponential(mean=1.0)),
    },
    stations={
        "door": Gate(policy=Policy(name="aimd"), to="way"),
        "way": Choice(to=("pool", "db"), policy=Policy(name="low_priority_pool")),
        "pool": Pool(tickets=3, to="cpu"),
        "cpu": Sharing(cores=2.0, to="net", quantum=0.1, yield_to="back"),
        "back": Release(pool="pool", to="pool"),
        "net": Cache(entries=3, miss="fill"),
        "fill": Fill(cache="net"),
        "db": queue(discipline=Policy(name="codel"), slowdown=Policy(name="linear")),
    },
    controllers={
        "ecs": Controller(policy=Policy(name="fixed_tickets"), watch=("pool",), period=1.0)
    },
)


@pytest.mark.parametrize(
    ("model", "path", "value"),
    [
        (retry_storm(), "web.rate", 0.6),
        (retry_storm(), "web.retry.most", 3),
        (retry_storm(), "web.retry.backoff.high", 10.0),
        (retry_storm(), "web.hedge_after", None),
        (retry_storm(), "triggers.burst.actions.0.factor", 8.0),
        (retry_storm(), "triggers.0.at", 2000.0),
        (retry_storm(), "horizon", 6000.0),
        (PARTED, "shard.db.service.mean", 2.0),
        (POLICED, "db.discipline.target", 0.005),
        (POLICED, "web.retry.base", 0.5),
        (POLICED, "web.retry.arguments.base", 0.5),
    ],
)
def test_read(model: Model, path: str, value: object) -> None:
    assert read(model, path) == value


def test_an_argument_may_be_called_kind() -> None:
    assert read(POLICED, "web.retry.arguments.kind") == "full"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("web.rate", 0.9),
        ("web.retry.most", 5),
        ("web.timeout", None),
        ("triggers.burst.actions.0.until", 2200.0),
        ("db.capacity", 7),
        ("horizon", 9.0),
    ],
)
def test_replace_changes_one_value(path: str, value: float | None) -> None:
    model = retry_storm()
    changed = replace(model, path, value)
    assert read(changed, path) == value
    assert model == retry_storm()
    assert replace(changed, path, read(model, path)) == model


def test_a_whole_float_is_a_whole_number() -> None:
    assert read(replace(retry_storm(), "db.servers", 4.0), "db.servers") == 4


def test_a_default_of_a_policy_can_be_replaced() -> None:
    changed = replace(POLICED, "db.discipline.target", 0.1)
    discipline = changed.stations["db"].discipline  # type: ignore[union-attr]  # a queue
    assert discipline == Policy(name="codel", arguments={"target": 0.1})


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("web.rat", "web.rate"),
        ("db.speeed", "db.speed"),
        ("web", ""),
        ("db.service", "db.service.mean"),
        ("triggers.5.at", ""),
        ("", ""),
        ("db.service.mean.x", "db.service.mean"),
    ],
)
def test_an_unknown_path_suggests_the_nearest(path: str, hint: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(retry_storm(), path)
    assert hint in caught.value.hint


@pytest.mark.parametrize(("path", "value"), [("web.rate", -1.0), ("db.servers", 1.5)])
def test_a_value_that_cannot_be_is_refused(path: str, value: float) -> None:
    with pytest.raises(BadInput, match=path):
        replace(retry_storm(), path, value)


def test_numbers_are_what_a_sweep_can_vary() -> None:
    found = numbers(retry_storm())
    assert found["web.rate"] == 0.6
    assert found["db.capacity"] == 100.0
    assert found["triggers.0.actions.0.factor"] == 8.0
    assert "web.to" not in found
    assert "web.cancels" not in found
    for path in found:
        read(retry_storm(), path)


def test_columns_are_those_that_the_engine_samples() -> None:
    assert columns(WIDE) == tuple(ReferenceEngine(WIDE, 1).gauges())


def test_everything_settable_can_be_set() -> None:
    engine = ReferenceEngine(WIDE, 1)
    for path in settable(WIDE):
        engine.set(path, 1.0)
    assert "ecs.policy.tickets" in settable(WIDE)
