"""Random small models for Hypothesis, with every kind of element, policy and trigger.

Stations are in a row: each sends to later ones, so that every model is sound; loops go through
what takes time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import strategies as st

from howdah.simulate.columns import columns
from howdah.simulate.model import (
    Action,
    Agentic,
    Cache,
    Choice,
    Client,
    Closed,
    Constant,
    Controller,
    Delay,
    Distribution,
    Down,
    Empirical,
    Erlang,
    Exponential,
    Fill,
    Flush,
    Gate,
    Inject,
    LogNormal,
    Model,
    Open,
    Pareto,
    Policy,
    Pool,
    Queue,
    Release,
    Retry,
    Scale,
    Set,
    Sharing,
    Station,
    Trigger,
    Uniform,
    When,
    Zipf,
)
from howdah.simulate.policies.policy import find, names
from howdah.simulate.settable import settable

Draw = Callable[[st.SearchStrategy[Any]], Any]
HORIZON = 20.0

DISTRIBUTIONS: tuple[Distribution, ...] = (
    Constant(value=0.1),
    Exponential(mean=0.2),
    Uniform(low=0.0, high=0.5),
    LogNormal(median=0.1, sigma=1.0),
    Erlang(stages=3, mean=0.2),
    Pareto(minimum=0.05, shape=1.5),
    Empirical(quantiles=(0.0, 0.1, 0.4)),
)


def answering(hook: str) -> st.SearchStrategy[Policy]:
    """Every policy of the folder that answers a hook, with its defaults."""
    return st.sampled_from([Policy(name=name) for name in names() if hook in find(name).hooks])


def some(draw: Draw, *values: Any) -> Any:
    """One of the values."""
    return draw(st.sampled_from(values))


def clients(draw: Draw, to: str) -> dict[str, Client]:
    """One to three clients of any kind."""
    found: dict[str, Client] = {}
    for index in range(draw(st.integers(1, 3))):
        shared: dict[str, Any] = {
            "to": to,
            "timeout": some(draw, None, 0.3, 1.0),
            "deadline": some(draw, None, None, 1.5),
            "retry": retry(draw),
            "hedge_after": some(draw, None, None, 0.2),
            "cancels": draw(st.booleans()),
            "demand": some(draw, Exponential(mean=0.1), Constant(value=0.25)),
            "keys": Zipf(keys=20, exponent=some(draw, 0.0, 1.2)),
            "mutation": some(draw, 0.0, 0.5),
            "band": some(draw, 0, 1, 3),
            "group": some(draw, 0, 1, 7),
        }
        found[f"c{index}"] = client(draw, shared)
    return found


def client(draw: Draw, shared: dict[str, Any]) -> Client:
    kind = some(draw, "open", "closed", "agentic")
    if kind == "open":
        return Open(
            rate=some(draw, 5.0, 1.0, 20.0),
            interval=some(draw, "exponential", "even"),
            profile=some(draw, (), ((3.0, 10.0), (6.0, 0.0), (9.0, 2.0))),
            **shared,
        )
    think = some(draw, Exponential(mean=0.5), Constant(value=0.3))
    if kind == "closed":
        return Closed(users=some(draw, 1, 7), think=think, **shared)
    return Agentic(
        rate=some(draw, 0.5, 2.0),
        parallel=some(draw, 1, 3),
        steps=some(draw, 1, 3),
        think=think,
        first_wins=draw(st.booleans()),
        holds=some(draw, 0.0, 0.5),
        rollback=some(draw, 0.0, 0.3),
        distinct=some(draw, 1.0, 0.3),
        **shared,
    )


def retry(draw: Draw) -> Retry | Policy | None:
    kind = some(draw, "none", "rule", "policy")
    if kind == "none":
        return None
    if kind == "policy":
        policy: Policy = draw(answering("retry"))
        return policy
    return Retry(
        most=some(draw, 1, 3),
        backoff=some(draw, Constant(value=0.0), Uniform(low=0.0, high=0.5)),
        factor=some(draw, 1.0, 2.0),
        longest=some(draw, 0.7, 100.0),
        budget=some(draw, None, 3.0),
    )


def stations(draw: Draw) -> dict[str, Station]:
    """A row of stations; the last one sends to the end."""
    count = draw(st.integers(1, 6))
    found: dict[str, Station] = {}
    pools: list[str] = []
    for index in range(count):
        name = f"s{index}"
        to = f"s{index + 1}" if index + 1 < count else "reply"
        later = [f"s{n}" for n in range(index + 1, count)] + ["reply", "reject"]
        places = [n for n, s in found.items() if isinstance(s, Queue | Sharing | Pool)]
        kinds = [queue, queue, delay, sharing, gate, choice, pool, loop]
        if pools:
            kinds.append(release)
        if to != "reply":
            kinds.append(cache)
        found |= some(draw, *kinds)(draw, name, to, later, places, pools)
    return found


def queue(
    draw: Draw, name: str, to: str, later: list[str], places: list[str], pools: list[str]
) -> dict[str, Station]:
    discipline = some(draw, "fifo", "lifo", "policy")
    made = Queue(
        service=draw(st.sampled_from(DISTRIBUTIONS)),
        to=to,
        servers=some(draw, 1, 3),
        capacity=some(draw, None, 5),
        discipline=draw(answering("dequeue")) if discipline == "policy" else discipline,
        drop_expired=draw(st.booleans()),
        slowdown=draw(st.none() | answering("slowdown")),
    )
    return {name: made}


def delay(
    draw: Draw, name: str, to: str, later: list[str], places: list[str], pools: list[str]
) -> dict[str, Station]:
    return {name: Delay(time=draw(st.sampled_from(DISTRIBUTIONS)), to=to)}


def sharing(
    draw: Draw, name: str, to: str, later: list[str], places: list[str], pools: list[str]
) -> dict[str, Station]:
    """Sharing, perhaps with a quantum: round a delay, or a pool that is given back."""
    cores, overhead = some(draw, 1.0, 2.5), some(draw, 0.0, 0.1)
    shared: dict[str, Any] = {"cores": cores, "overhead": overhead, "to": to}
    turn = some(draw, "none", "delay", "pool")
    if turn == "none":
        return {name: Sharing(**shared)}
    inner, back = f"{name}cpu", f"{name}back"
    round_trip = Sharing(quantum=0.07, yield_to=back, **shared)
    if turn == "delay":
        again = Delay(time=Constant(value=0.01), to=name)
        return {name: Sharing(**(shared | {"quantum": 0.07, "yield_to": back})), back: again}
    order = some(draw, "fifo", "barging", "fewest")
    return {
        name: Pool(tickets=some(draw, 1, 3), to=inner, order=order),
        inner: round_trip,
        back: Release(pool=name, to=name),
    }


def gate(
    draw: Draw, name: str, to: str, later: list[str], places: list[str], pools: list[str]
) -> dict[str, Station]:
    watch = draw(st.sampled_from([None, *places]))
    return {name: Gate(policy=draw(answering("admit")), to=to, watch=watch)}


def choice(
    draw: Draw, name: str, to: str, later: list[str], places: list[str], pools: list[str]
) -> dict[str, Station]:
    targets = (to, draw(st.sampled_from(later)), draw(st.sampled_from(later)))
    kind = some(draw, "equal", "weights", "group", "policy")
    if kind == "weights":
        return {name: Choice(to=targets, weights=(2.0, 0.0, 1.0))}
    policy = draw(answering("route")) if kind == "policy" else None
    return {name: Choice(to=targets, by_group=kind == "group", policy=policy)}


def loop(
    draw: Draw, name: str, to: str, later: list[str], places: list[str], pools: list[str]
) -> dict[str, Station]:
    """Some go back, with whatever tickets they hold."""
    back = f"{name}again"
    earlier = f"s{draw(st.integers(0, int(name[1:])))}"
    return {
        name: Choice(to=(to, back), weights=(3.0, 1.0)),
        back: Delay(time=Constant(value=0.05), to=earlier),
    }


def pool(
    draw: Draw, name: str, to: str, later: list[str], places: list[str], pools: list[str]
) -> dict[str, Station]:
    pools.append(name)
    made = Pool(
        tickets=some(draw, 1, 4),
        to=to,
        order=some(draw, "fifo", "barging", "fewest"),
        max_waiting=some(draw, None, 0, 3),
        keyed=draw(st.booleans()),
    )
    return {name: made}


def release(
    draw: Draw, name: str, to: str, later: list[str], places: list[str], pools: list[str]
) -> dict[str, Station]:
    return {name: Release(pool=draw(st.sampled_from(pools)), to=to)}


def cache(
    draw: Draw, name: str, to: str, later: list[str], places: list[str], pools: list[str]
) -> dict[str, Station]:
    """A cache whose misses are fetched, and filled in, before they go on."""
    fetch, fill = f"{name}fetch", f"{name}fill"
    return {
        name: Cache(
            entries=some(draw, 2, 10),
            hit=draw(st.sampled_from(later)),
            miss=fetch,
            full=draw(st.booleans()),
        ),
        fetch: Delay(time=Exponential(mean=0.1), to=fill),
        fill: Fill(cache=name, to=to),
    }


def controllers(draw: Draw, model: Model) -> dict[str, Controller]:
    kinds = (Queue, Sharing, Pool, Open)
    both = {**model.clients, **model.stations}
    watchable = [name for name, one in both.items() if isinstance(one, kinds)]
    if not watchable or draw(st.booleans()):
        return {}
    watch = draw(st.lists(st.sampled_from(watchable), min_size=1, max_size=3, unique=True))
    policy = draw(
        answering("tick")
        | st.just(Policy(name="fixed_tickets", arguments={"tickets": 2}))
        | st.just(Policy(name="mongo_throughput_probing", arguments={"probers": "each"}))
    )
    return {"ecs": Controller(policy=policy, watch=tuple(watch), period=some(draw, 0.1, 0.7))}


def actions(draw: Draw, model: Model, at: float | None) -> Action:
    """One thing that can happen to this model."""
    until = draw(st.none() | st.sampled_from((1.0, 4.0)))
    until = until if until is None or at is None else at + until
    processors = [n for n, s in model.stations.items() if isinstance(s, Queue | Sharing)]
    caches = [n for n, s in model.stations.items() if isinstance(s, Cache)]
    able: list[Action] = [
        Inject(client=draw(st.sampled_from(sorted(model.clients))), count=some(draw, 1, 9)),
        *(Down(processor=name, until=until) for name in processors),
        *(Flush(cache=name) for name in caches),
    ]
    for path, values in changes(model).items():
        able.append(Set(path=path, value=draw(st.sampled_from(values)), until=until))
        if path.endswith((".rate", ".speed", ".factor", ".tickets", ".servers")):
            able.append(Scale(path=path, factor=some(draw, 0.5, 3.0), until=until))
    action: Action = draw(st.sampled_from(able))
    return action


VALUES: dict[str, tuple[float, ...]] = {
    "rate": (0.0, 3.0, 30.0),
    "timeout": (0.2, 0.9),
    "hedge_after": (0.1,),
    "deadline": (0.8, 3.0),
    "mutation": (0.0, 1.0),
    "muted": (1.0,),
    "most": (0.0, 5.0),
    "factor": (0.5, 2.0),
    "longest": (0.1,),
    "budget": (2.0, 9.0),
    "deposit": (0.5,),
    "servers": (0.0, 1.0, 4.0),
    "capacity": (2.0, 9.0),
    "speed": (0.0, 0.5, 2.0),
    "drop_expired": (0.0, 1.0),
    "discipline": (0.0, 1.0),
    "cores": (0.5, 3.0),
    "overhead": (0.0, 0.5),
    "quantum": (0.03, 0.2),
    "tickets": (0.0, 1.0, 6.0),
    "max_waiting": (0.0, 4.0),
    "full": (1.0,),
    "open": (1.0,),
    "frozen": (1.0,),
    "period": (0.2,),
    # Arguments of policies.
    "target": (0.01, 0.3),
    "threshold": (0.01, 0.3),
    "step": (0.3,),
}


def changes(model: Model) -> dict[str, tuple[float, ...]]:
    """What can be set in this model, and values for it."""
    found = {}
    for path in settable(model):
        name = path.rpartition(".")[2]
        if name in VALUES:
            found[path] = VALUES[name]
    return found


def triggers(draw: Draw, model: Model, sampled: tuple[str, ...]) -> tuple[Trigger, ...]:
    found = []
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.none() | st.sampled_from((0.0, 2.5, 5.0, 5.0, 11.0)))
        when = None
        if at is None:
            when = When(
                column=draw(st.sampled_from(sampled)),
                comparison=some(draw, "<", "<=", ">", ">="),
                value=some(draw, 0.0, 2.0, 5.0),
                seconds=some(draw, 0.0, 1.0),
            )
        did = tuple(actions(draw, model, at) for _ in range(draw(st.integers(1, 3))))
        found.append(Trigger(actions=did, at=at, when=when))
    return tuple(found)


@st.composite
def models(draw: Draw) -> Model:
    """Any small model that can be run."""
    row = stations(draw)
    model = Model(
        clients=clients(draw, "s0"),
        stations=row,
        horizon=HORIZON,
        sample=some(draw, 0.5, 1.0),
    )
    model = msgspec.structs.replace(model, controllers=controllers(draw, model))
    return msgspec.structs.replace(model, triggers=triggers(draw, model, columns(model)))
