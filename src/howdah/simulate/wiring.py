"""How a flat model is wired: which element leads to which, and where no time passes.

Owns the edges and what follows from them (reach, cycles, ways to an end). Must never judge: what
is wrong about a graph is `validate`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from howdah.simulate.model import (
    Cache,
    Choice,
    Client,
    Constant,
    Delay,
    Distribution,
    Empirical,
    Gate,
    Model,
    Pool,
    Queue,
    Sharing,
    Station,
    Uniform,
)

ENDS = ("reply", "reject")
Edges = Mapping[str, tuple[str, ...]]


def targets(station: Station) -> Iterator[tuple[str, str]]:
    """Every field that names where items go, with the name."""
    if isinstance(station, Choice):
        yield from ((f"to[{index}]", name) for index, name in enumerate(station.to))
    elif isinstance(station, Cache):
        yield from (("hit", station.hit), ("miss", station.miss))
    else:
        yield "to", station.to
        if isinstance(station, Sharing) and station.yield_to is not None:
            yield "yield_to", station.yield_to


def edges(model: Model) -> dict[str, tuple[str, ...]]:
    """From each station to where its items go; refusals are not among them."""
    return {
        name: tuple(target for _, target in targets(station))
        for name, station in model.stations.items()
    }


def reached(ways: Edges, starts: Iterable[str]) -> set[str]:
    """Everything on some way from `starts`, which are part of it."""
    found: set[str] = set()
    ahead = list(starts)
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead.extend(ways.get(name, ()))
    return found


def backwards(ways: Edges) -> dict[str, tuple[str, ...]]:
    """The same edges the other way round."""
    turned: dict[str, list[str]] = {}
    for name, nexts in ways.items():
        for one in nexts:
            turned.setdefault(one, []).append(name)
    return {name: tuple(before) for name, before in turned.items()}


def cycle(ways: Edges) -> list[str]:
    """Some cycle, its first element again at the end; empty if there is none."""
    done: set[str] = set()
    for start in ways:
        found = _cycle_from(ways, start, done)
        if found:
            return found
    return []


def _cycle_from(ways: Edges, start: str, done: set[str]) -> list[str]:
    path: list[str] = []
    left: list[Iterator[str]] = [iter((start,))]
    while left:
        name = next(left[-1], None)
        if name is None:
            left.pop()
            if path:
                done.add(path.pop())
        elif name in path:
            return [*path[path.index(name) :], name]
        elif name not in done:
            path.append(name)
            left.append(iter(ways.get(name, ())))
    return []


def instant(model: Model) -> dict[str, tuple[str, ...]]:
    """The edges along which no time need pass."""
    demanded = any(not _zero(client.demand) for client in model.clients.values())
    ways = edges(model)
    return {
        name: ways[name]
        for name, station in model.stations.items()
        if not _takes_time(station, demanded=demanded)
    }


def may_refuse(station: Station) -> bool:
    """Whether items may be refused here at once."""
    return (
        isinstance(station, Gate)
        or (isinstance(station, Queue) and station.capacity is not None)
        or (isinstance(station, Pool) and station.max_waiting is not None)
    )


def ends_at_once(model: Model, client: Client) -> bool:
    """Whether a request can end in the instant in which it starts."""
    met = reached(instant(model), [client.to])
    return any(
        name in ENDS or (name in model.stations and may_refuse(model.stations[name]))
        for name in met
    )


def _takes_time(station: Station, *, demanded: bool) -> bool:
    match station:
        case Queue(service=service):
            return not _zero(service)
        case Delay(time=time, factor=factor):
            return factor > 0 and not _zero(time)
        case Sharing():
            return demanded
        case _:
            return False


def _zero(distribution: Distribution) -> bool:
    match distribution:
        case Constant(value=value):
            return value == 0
        case Uniform(high=high):
            return high == 0
        case Empirical(quantiles=quantiles):
            return not any(quantiles)
        case _:
            return False


def demands(client: Client) -> bool:
    """Whether the client's items want something of a Sharing."""
    return not _zero(client.demand)
