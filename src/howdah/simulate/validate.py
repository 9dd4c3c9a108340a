"""Whether a model can be run: every refusal has a place and a reason.

Owns the list of refusals. Must never repair a model, and never run it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from howdah.errors import BadInput
from howdah.simulate import wiring
from howdah.simulate.asked import policies
from howdah.simulate.disturbances import triggers
from howdah.simulate.model import (
    Agentic,
    Cache,
    Choice,
    Client,
    Closed,
    Controller,
    Empirical,
    Fill,
    Gate,
    Model,
    Open,
    Pool,
    Queue,
    Release,
    Sharing,
    Station,
    Uniform,
)
from howdah.simulate.parts import flatten
from howdah.simulate.policies.policy import nearest
from howdah.simulate.refusal import Refusal

DEEPEST = 16  # parts in parts
LONGEST = 1e9  # seconds; nanoseconds of twice that still fit in 63 bits
FASTEST = 1e9  # arrivals a second: one each nanosecond
MOST_SAMPLES = 10_000_000
MOST_WATCHED = 8
RESERVED = ("reply", "reject", "triggers")


def validate(model: Model) -> None:
    """Raises BadInput with the first refusal, the others in its detail."""
    found = refusals(model)
    if found:
        first, *others = found
        detail = "\n".join(str(one) for one in others)
        raise BadInput(str(first), detail=detail, hint=first.hint)


def refusals(model: Model) -> list[Refusal]:
    """All that is wrong: first what must be right for the rest to be looked at."""
    for family in (_nested, _names, _numbers):
        found = list(family(model))
        if found:
            return found
    flat = flatten(model)
    found = [*_names_met(flat), *_shapes(flat), *policies(flat)]
    return found or [*_graph(flat), *_sense(flat), *triggers(flat)]


# What must be right first.


def _nested(model: Model, depth: int = 0) -> Iterator[Refusal]:
    if depth > DEEPEST:
        yield Refusal("parts", f"parts are nested more than {DEEPEST} deep, or hold themselves")
        return
    for name, part in model.parts.items():
        for refusal in _nested(part, depth + 1):
            yield Refusal(f"parts.{name}", refusal.reason)
            return


def _names(model: Model) -> Iterator[Refusal]:
    families = ("clients", "stations", "controllers", "parts")
    seen: dict[str, str] = {}
    for family in families:
        for name in getattr(model, family):
            place = f"{family}.{name}"
            if name in RESERVED or not name or "." in name or "/" in name:
                yield Refusal(place, f"{name!r} cannot be a name", "a word without . and /")
            elif name in seen:
                yield Refusal(place, f"the name is taken by {seen[name]}")
            seen.setdefault(name, place)
    for name, part in model.parts.items():
        yield from (refusal.inside(f"parts.{name}") for refusal in _names(part))


def _numbers(value: Any, place: str = "") -> Iterator[Refusal]:
    """Bounds of the words' types, which only reading a file would check, and no NaN."""
    if isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            inner = f"{place}.{field.name}".lstrip(".")
            held = getattr(value, field.name)
            if _held(held):
                yield from _numbers(held, inner)
            else:
                yield from _bounds(held, field.type, inner)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _numbers(one, f"{place}.{key}")
    elif isinstance(value, tuple):
        for index, one in enumerate(value):
            yield from _numbers(one, f"{place}[{index}]")


def _held(value: Any) -> bool:
    """Whether there are structs inside, which are looked at one by one."""
    if isinstance(value, dict):
        return any(_held(one) for one in value.values())
    if isinstance(value, tuple):
        return any(_held(one) for one in value)
    return isinstance(value, msgspec.Struct)


def _bounds(value: Any, kind: Any, place: str) -> Iterator[Refusal]:
    flat = [value]
    while flat:
        one = flat.pop()
        if isinstance(one, dict | tuple):
            flat.extend(one.values() if isinstance(one, dict) else one)
        elif isinstance(one, float) and (one != one or abs(one) == float("inf")):
            yield Refusal(place, f"{one} is no number to count with")
            return
    try:
        msgspec.convert(msgspec.to_builtins(value), kind)
    except msgspec.ValidationError as error:
        yield Refusal(place, f"{value!r} cannot be: {error}")


# Names of other elements.


def _names_met(model: Model) -> Iterator[Refusal]:
    stations = [*model.stations, *wiring.ENDS]
    for name, client in model.clients.items():
        yield from _known(f"{name}.to", client.to, stations)
    for name, station in model.stations.items():
        for field, target in wiring.targets(station):
            yield from _known(f"{name}.{field}", target, stations)
        yield from _pointed(model, name, station)
    for name, controller in model.controllers.items():
        for index, watched in enumerate(controller.watch):
            yield from _known(f"{name}.watch[{index}]", watched, _watchable(model))


def _pointed(model: Model, name: str, station: Station) -> Iterator[Refusal]:
    """What a node points at besides where it sends."""
    if isinstance(station, Release):
        yield from _known(f"{name}.pool", station.pool, _of(model, Pool))
    elif isinstance(station, Fill):
        yield from _known(f"{name}.cache", station.cache, _of(model, Cache))
    elif isinstance(station, Gate) and station.watch is not None:
        places = [one for one in _watchable(model) if one in model.stations]
        yield from _known(f"{name}.watch", station.watch, places)


def _of(model: Model, kind: type[Station]) -> list[str]:
    return [name for name, station in model.stations.items() if isinstance(station, kind)]


def _watchable(model: Model) -> list[str]:
    places = [*_of(model, Queue), *_of(model, Sharing), *_of(model, Pool)]
    return places + [n for n, c in model.clients.items() if isinstance(c, Open | Agentic)]


def _known(place: str, name: str, names: list[str]) -> Iterator[Refusal]:
    if name not in names:
        yield Refusal(place, f"there is no {name!r} for it", nearest(name, names) if names else "")


# One element at a time.


def _shapes(model: Model) -> Iterator[Refusal]:
    if not model.clients:
        yield Refusal("clients", "a model without clients does nothing")
    yield from _clock(model)
    for name, element in (*model.clients.items(), *model.stations.items()):
        yield from (refusal.inside(name) for refusal in _distributions(element))
    for name, client in model.clients.items():
        yield from _rates(name, client)
    for name, station in model.stations.items():
        yield from _station(name, station)
    for name, controller in model.controllers.items():
        yield from _controller(name, controller)


def _clock(model: Model) -> Iterator[Refusal]:
    if model.horizon > LONGEST:
        yield Refusal("horizon", f"time overflows after {LONGEST:g} seconds")
    sample = model.horizon / 1000 if model.sample is None else model.sample
    if sample < 1e-9 or model.horizon / sample > MOST_SAMPLES:
        yield Refusal("sample", f"at most {MOST_SAMPLES} samples, at least a nanosecond apart")


def _rates(name: str, client: Client) -> Iterator[Refusal]:
    rates = [("rate", client.rate)] if isinstance(client, Open | Agentic) else []
    if isinstance(client, Open):
        rates += [(f"profile[{i}]", rate) for i, (_, rate) in enumerate(client.profile)]
        if list(client.profile) != sorted(client.profile, key=lambda step: step[0]):
            yield Refusal(f"{name}.profile", "its steps are not in the order of time")
    for field, rate in rates:
        if rate > FASTEST:
            yield Refusal(f"{name}.{field}", f"the clock counts nanoseconds: at most {FASTEST:g}/s")


def _distributions(element: Any) -> Iterator[Refusal]:
    for field in msgspec.structs.fields(element):
        given = getattr(element, field.name)
        if isinstance(given, Uniform) and given.low > given.high:
            yield Refusal(field.name, f"low {given.low:g} is above high {given.high:g}")
        elif isinstance(given, Empirical):
            ascending = list(given.quantiles) == sorted(given.quantiles)
            if not given.quantiles or not ascending:
                yield Refusal(f"{field.name}.quantiles", "quantiles are there and never fall")
        elif isinstance(given, msgspec.Struct):
            yield from (refusal.inside(field.name) for refusal in _distributions(given))


def _station(name: str, station: Station) -> Iterator[Refusal]:
    if isinstance(station, Choice):
        yield from _choice(name, station)
    elif isinstance(station, Sharing):
        if station.quantum is not None and station.yield_to is None:
            yield Refusal(f"{name}.quantum", "a quantum needs yield_to: where the item goes then")
        if station.yield_to is not None and station.quantum is None:
            yield Refusal(f"{name}.yield_to", "nobody yields without a quantum")


def _choice(name: str, choice: Choice) -> Iterator[Refusal]:
    if not choice.to:
        yield Refusal(f"{name}.to", "a choice needs somewhere to send to")
    ways = [bool(choice.weights), choice.by_group, choice.policy is not None]
    if sum(ways) > 1:
        yield Refusal(name, "weights, by_group and policy exclude each other")
    if choice.weights and len(choice.weights) != len(choice.to):
        yield Refusal(
            f"{name}.weights", f"{len(choice.weights)} weights for {len(choice.to)} targets"
        )
    if choice.weights and not sum(choice.weights) > 0:
        yield Refusal(f"{name}.weights", "the weights sum to 0")


def _controller(name: str, controller: Controller) -> Iterator[Refusal]:
    if not 0 < len(controller.watch) <= MOST_WATCHED:
        yield Refusal(f"{name}.watch", f"a controller watches 1 to {MOST_WATCHED} elements")
    if len(set(controller.watch)) < len(controller.watch):
        yield Refusal(f"{name}.watch", "an element is watched twice")
    if controller.period < 1e-9:
        yield Refusal(f"{name}.period", "the clock counts nanoseconds")


# The graph.


def _graph(model: Model) -> Iterator[Refusal]:
    ways = wiring.edges(model)
    met = wiring.reached(ways, [client.to for client in model.clients.values()])
    for name in model.stations:
        if name not in met:
            yield Refusal(name, "no client's items ever come here")
    turning = wiring.cycle(wiring.instant(model))
    if turning:
        yield Refusal(turning[0], f"a cycle in which no time passes: {' -> '.join(turning)}")
    ending = wiring.reached(wiring.backwards(ways), wiring.ENDS)
    for name in met & set(model.stations) - ending:
        yield Refusal(name, "no way leads from here to reply or reject: items never end")
    yield from _released(model, ways, met)


def _released(model: Model, ways: wiring.Edges, met: set[str]) -> Iterator[Refusal]:
    for name, station in model.stations.items():
        if isinstance(station, Release) and name in met:
            behind = wiring.reached(ways, [station.pool])
            if station.pool not in met or name not in behind:
                yield Refusal(f"{name}.pool", f"nobody who comes here has passed {station.pool}")


def _sense(model: Model) -> Iterator[Refusal]:
    """Models that run, but cannot mean anything."""
    ways = wiring.edges(model)
    for name, client in model.clients.items():
        met = wiring.reached(ways, [client.to])
        stations = {one: model.stations[one] for one in met if one in model.stations}
        yield from _keys(name, client, stations)
        if not wiring.demands(client) and any(isinstance(s, Sharing) for s in stations.values()):
            yield Refusal(f"{name}.demand", "its items come to a Sharing and want nothing of it")
        if isinstance(client, Closed) and _restless(model, client):
            reason = (
                "a request may end at once and the user thinks for 0 seconds: time stands still"
            )
            yield Refusal(f"{name}.think", reason)
    yield from _standing(model)


def _restless(model: Model, client: Closed) -> bool:
    thinks = msgspec.structs.replace(client, demand=client.think)
    return not wiring.demands(thinks) and wiring.ends_at_once(model, client)


def _keys(name: str, client: Client, stations: dict[str, Station]) -> Iterator[Refusal]:
    if client.keys is not None:
        return
    for one, station in sorted(stations.items()):
        if isinstance(station, Cache | Fill) or (isinstance(station, Pool) and station.keyed):
            yield Refusal(f"{name}.keys", f"its items come to {one} and have no keys")


def _standing(model: Model) -> Iterator[Refusal]:
    """Stations that let nobody through, and that nothing will ever change."""
    moved = {watched for one in model.controllers.values() for watched in one.watch}
    for trigger in model.triggers:
        for action in trigger.actions:
            moved.add(getattr(action, "path", "").rpartition(".")[0])
    for name, station in model.stations.items():
        for field in ("tickets", "servers", "speed"):
            if getattr(station, field, 1) == 0 and name not in moved:
                yield Refusal(f"{name}.{field}", "0, and nothing ever changes it: items never end")
