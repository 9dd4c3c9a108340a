from __future__ import annotations

from typing import Any

import pytest

from howdah.errors import BadInput
from howdah.simulate.model import (
    Action,
    Agentic,
    Cache,
    Choice,
    Closed,
    Constant,
    Controller,
    Delay,
    Down,
    Empirical,
    Exponential,
    Fill,
    Flush,
    Gate,
    Inject,
    Model,
    Open,
    Policy,
    Pool,
    Release,
    Retry,
    Scale,
    Set,
    Sharing,
    Trigger,
    Uniform,
    When,
    Zipf,
)
from howdah.simulate.settable import check
from howdah.simulate.validate import refusals, validate
from tests.unit.simulate.making import client, one_queue, queue, retry_storm

NAN, INFINITY = float("nan"), float("inf")


def stations(**given: Any) -> Model:
    first = next(iter(given))
    return one_queue(clients={"web": client(to=first)}, stations=given)


def clients(**given: Any) -> Model:
    return one_queue(clients=given)


def trigger(*actions: Action, **when: Any) -> Model:
    return one_queue(triggers=(Trigger(actions=actions, **({"at": 5.0} | when)),))


def controller(policy: str = "fixed_tickets", watch: tuple[str, ...] = ("db",), **p: Any) -> Model:
    ecs = Controller(policy=Policy(name=policy, arguments=p), watch=watch, period=0.1)
    return one_queue(controllers={"ecs": ecs})


SOUND = {
    "one queue": one_queue(),
    "retry storm": retry_storm(),
    "a loop through a queue": stations(
        db=queue(to="more"), more=Choice(to=("db", "reply"), weights=(1.0, 1.0))
    ),
    "yielding": one_queue(
        clients={"web": client(to="pool", demand=Exponential(mean=0.1))},
        stations={
            "pool": Pool(tickets=4, to="cpu"),
            "cpu": Sharing(cores=2, quantum=0.01, yield_to="yield"),
            "yield": Release(pool="pool", to="pool"),
        },
    ),
    "cached": one_queue(
        clients={"web": client(to="cache", keys=Zipf(keys=100))},
        stations={
            "cache": Cache(entries=10, miss="db"),
            "db": queue(to="fill"),
            "fill": Fill(cache="cache"),
        },
    ),
    "controlled": controller(),
    "parts": Model(
        clients={"web": client(to="front")},
        stations={"front": queue(to="shard.db")},
        parts={"shard": Model(clients={}, stations={"db": queue(to="disk"), "disk": queue()})},
    ),
}

REFUSED: list[tuple[str, Model, str, str]] = [
    ("no client", one_queue(clients={}), "clients", "without clients"),
    ("no station behind", clients(web=client(to="dbb")), "web.to", "'dbb'"),
    ("unknown target", stations(db=queue(to="nowhere")), "db.to", "'nowhere'"),
    ("a client is no target", stations(db=queue(to="web")), "db.to", "'web'"),
    ("reserved", one_queue(stations={"db": queue(), "reply": queue()}), "reply", "a name"),
    ("dotted", one_queue(stations={"db": queue(to="a.b"), "a.b": queue()}), "a.b", "a name"),
    ("taken", one_queue(stations={"db": queue(), "web": queue()}), "stations.web", "taken"),
    ("negative rate", clients(web=client(rate=-1.0)), "clients.web.rate", ">= 0"),
    ("NaN rate", clients(web=client(rate=NAN)), "clients.web.rate", "nan"),
    ("infinite", stations(db=queue(speed=INFINITY)), "stations.db.speed", "inf"),
    (
        "negative mean",
        stations(db=queue(service=Exponential(mean=-1.0))),
        "db.service.mean",
        "> 0",
    ),
    ("NaN in a profile", clients(web=client(profile=((1.0, NAN),))), "web.profile", "nan"),
    (
        "NaN for a policy",
        stations(door=Gate(policy=Policy(name="aimd", arguments={"start": NAN}), to="reply")),
        "door.policy.arguments",
        "nan",
    ),
    ("negative servers", stations(db=queue(servers=-1)), "stations.db.servers", ">= 0"),
    ("unreachable", one_queue(stations={"db": queue(), "spare": queue()}), "spare", "ever come"),
    (
        "a cycle without time",
        stations(a=Choice(to=("b", "reply")), b=Choice(to=("a", "reply"))),
        "a",
        "a -> b -> a",
    ),
    (
        "a cycle of zero services",
        stations(db=queue(service=Constant(value=0.0), to="more"), more=Choice(to=("db", "reply"))),
        "db",
        "no time passes",
    ),
    (
        "a pool that releases into itself",
        stations(
            pool=Pool(tickets=1, to="give"),
            give=Release(pool="pool", to="more"),
            more=Choice(to=("pool", "reply")),
        ),
        "pool",
        "no time passes",
    ),
    ("no end", stations(a=queue(to="b"), b=queue(to="a")), "a", "items never end"),
    ("no weights", stations(a=Choice(to=("reply",), weights=(0.0,))), "a.weights", "sum to 0"),
    (
        "few weights",
        stations(a=Choice(to=("reply",), weights=(1.0, 2.0))),
        "a.weights",
        "2 weights",
    ),
    ("nowhere to", stations(a=Choice(to=())), "a.to", "somewhere"),
    (
        "two ways to choose",
        stations(a=Choice(to=("reply",), weights=(1.0,), by_group=True)),
        "a",
        "exclude",
    ),
    (
        "a release before its pool",
        stations(give=Release(pool="pool", to="pool"), pool=Pool(tickets=1, to="reply")),
        "give.pool",
        "passed pool",
    ),
    (
        "a release of no pool",
        stations(give=Release(pool="db", to="db"), db=queue()),
        "give.pool",
        "'db'",
    ),
    ("low above high", stations(db=queue(service=Uniform(low=2.0, high=1.0))), "service", "above"),
    (
        "backoff too",
        clients(web=client(retry=Retry(backoff=Uniform(low=2.0, high=1.0)))),
        "web.retry.backoff",
        "above",
    ),
    (
        "quantiles that fall",
        stations(db=queue(service=Empirical(quantiles=(1.0, 0.5)))),
        "db.service.quantiles",
        "fall",
    ),
    ("no quantiles", stations(db=queue(service=Empirical(quantiles=()))), "quantiles", "there"),
    (
        "unknown path",
        trigger(Set(path="db.sped", value=1.0)),
        "triggers[0].actions[0].path",
        "sped",
    ),
    ("a path of the model only", trigger(Set(path="db.service.mean", value=1.0)), "path", "mean"),
    ("set below 0", trigger(Set(path="db.speed", value=-1.0)), "value", "negative"),
    ("set to NaN", trigger(Set(path="db.speed", value=NAN)), "value", "nan"),
    ("scaled nothing", trigger(Scale(path="web.timeout", factor=2.0)), "path", "scaled"),
    ("until too early", trigger(Down(processor="db", until=4.0)), "until", "before"),
    ("no time", trigger(Down(processor="db"), at=None), "triggers[0]", "either"),
    (
        "two times",
        trigger(Down(processor="db"), when=When(column="db.waiting", comparison=">", value=1.0)),
        "triggers[0]",
        "either",
    ),
    (
        "unknown column",
        trigger(
            Down(processor="db"),
            at=None,
            when=When(column="db.wating", comparison=">", value=1.0),
        ),
        "when.column",
        "wating",
    ),
    ("no action", trigger(), "triggers[0].actions", "nothing"),
    ("flush of a queue", trigger(Flush(cache="db")), "cache", "'db'"),
    ("injected nobody", trigger(Inject(client="wob", count=1)), "client", "'wob'"),
    (
        "no keys for a pool",
        stations(rows=Pool(tickets=1, to="db", keyed=True), db=queue()),
        "web.keys",
        "rows",
    ),
    ("no keys for a cache", stations(c=Cache(entries=1, miss="db"), db=queue()), "web.keys", "c "),
    ("rate beyond the clock", clients(web=client(rate=1e12)), "web.rate", "nanoseconds"),
    ("time beyond the clock", one_queue(horizon=1e12), "horizon", "overflows"),
    ("too many samples", one_queue(sample=1e-9), "sample", "samples"),
    ("unknown policy", controller("fixed_tikets"), "ecs.policy", "fixed_tikets"),
    ("unknown argument", controller(tikets=3.0), "ecs.policy", "tikets"),
    ("the wrong hook", controller("codel"), "ecs.policy", "tick"),
    ("watched nobody", controller(watch=()), "ecs.watch", "watches"),
    ("watched nothing known", controller(watch=("bd",)), "ecs.watch[0]", "'bd'"),
    ("quantum to nowhere", stations(cpu=Sharing(cores=1, quantum=0.1)), "cpu.quantum", "yield_to"),
    ("nothing wanted", stations(cpu=Sharing(cores=1)), "web.demand", "want nothing"),
    (
        "users without rest",
        one_queue(
            clients={"web": Closed(users=1, think=Constant(value=0.0), to="db")},
            stations={"db": queue(capacity=1)},
        ),
        "web.think",
        "stands still",
    ),
    ("no tickets ever", stations(p=Pool(tickets=0, to="reply")), "p.tickets", "0"),
    ("no server ever", stations(db=queue(servers=0)), "db.servers", "0"),
    (
        "steps out of order",
        clients(web=client(profile=((2.0, 1.0), (1.0, 1.0)))),
        "web.profile",
        "order",
    ),
]


@pytest.mark.parametrize("name", SOUND)
def test_sound_models_pass(name: str) -> None:
    assert refusals(SOUND[name]) == []


@pytest.mark.parametrize(
    ("model", "place", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refused_with_place_and_reason(model: Model, place: str, reason: str) -> None:
    found = refusals(model)
    assert any(place in one.place and reason in str(one) for one in found), found
    with pytest.raises(BadInput):
        validate(model)


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(BadInput) as caught:
        validate(stations(front=queue(to="dbb"), db=queue()))
    assert caught.value.hint == "db"
    with pytest.raises(BadInput) as caught:
        validate(trigger(Set(path="db.sped", value=1.0)))
    assert caught.value.hint == "db.speed"


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("db.sped", 1.0, "nothing that can be set"),
        ("db.speed", -1.0, "negative"),
        ("db.speed", NAN, "count with"),
        ("db.speed", INFINITY, "count with"),
        ("db.speed", "fast", "is a number"),
        ("cpu.quantum", 0.1, "nothing that can be set"),
    ],
)
def test_what_a_running_model_cannot_be_set_to_is_refused(
    path: str, value: float | str, reason: str
) -> None:
    model = stations(db=queue(to="cpu"), cpu=Sharing(cores=1))
    with pytest.raises(BadInput, match=reason):
        check(model, path, value)


def test_words_and_signed_arguments_can_be_set() -> None:
    lifo = Policy(name="adaptive_lifo")
    web = client(retry=Policy(name="jitter"))
    model = one_queue(clients={"web": web}, stations={"db": queue(discipline=lifo)})
    for path, value in (("db.discipline", "lifo"), ("web.retry.kind", "equal")):
        check(model, path, value)


def test_parts_that_hold_themselves_are_refused() -> None:
    parts: dict[str, Model] = {}
    model = one_queue(parts=parts)
    parts["self"] = model
    with pytest.raises(BadInput, match="hold themselves"):
        validate(model)


def test_the_same_holds_inside_parts() -> None:
    part = Model(clients={}, stations={"db": queue(to="dsk"), "disk": queue()})
    model = Model(clients={"web": client(to="shard.db")}, stations={}, parts={"shard": part})
    assert any(one.place == "shard.db.to" for one in refusals(model))


def test_a_station_at_zero_is_fine_when_something_changes_it() -> None:
    model = stations(db=queue(servers=0))
    later = Trigger(at=5.0, actions=(Set(path="db.servers", value=1.0),))
    assert refusals(one_queue(stations=model.stations, triggers=(later,))) == []


def test_everything_wrong_is_told_at_once() -> None:
    model = one_queue(
        clients={"web": client(to="bd"), "app": Agentic(rate=1e12, to="db")},
        stations={"db": queue(to="nowhere"), "net": Delay(time=Constant(value=1.0))},
    )
    places = {one.place for one in refusals(model)}
    assert places == {"web.to", "db.to", "app.rate"}
    with pytest.raises(BadInput) as caught:
        validate(model)
    assert "app.rate" in str(caught.value)


def test_an_open_client_of_rate_zero_may_wait_for_its_profile() -> None:
    assert refusals(clients(web=Open(rate=0.0, to="db", profile=((5.0, 1.0),)))) == []
