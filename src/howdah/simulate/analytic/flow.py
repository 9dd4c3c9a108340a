"""How much traffic each station of a model gets, and how random it is.

Owns following requests from their clients through the graph, without retries. Must never guess
a share: behind a policy, a cache or a gate the traffic is unknown (nan).
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from howdah.simulate.analytic.moments import mean
from howdah.simulate.analytic.networks import traffic
from howdah.simulate.model import (
    Choice,
    Client,
    Delay,
    Exponential,
    Model,
    Open,
    Pool,
    Queue,
    Release,
    Sharing,
    Station,
)

Routes = dict[str, float]


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """First attempts a second, by station and client, and where they are Poisson."""

    by_client: dict[str, dict[str, float]]  # station -> client -> rate; nan: not known
    poisson: frozenset[str]  # stations whose arrivals are a Poisson process
    product: frozenset[str]  # stations to which Jackson's theorem applies

    def rate(self, station: str) -> float:
        """All clients together; nan when not known, 0 when nothing comes here."""
        return sum(self.by_client.get(station, {}).values())

    def clients(self, station: str) -> tuple[str, ...]:
        """Whose requests come here."""
        return tuple(c for c, rate in self.by_client.get(station, {}).items() if rate != 0)


def flow_of(model: Model) -> Flow:
    """The flow of the model's first attempts, before any trigger."""
    by_client: dict[str, dict[str, float]] = {name: {} for name in model.stations}
    for name, client in model.clients.items():
        for station, rate in _one(model, client).items():
            by_client[station][name] = rate
    poisson = _poisson(model, by_client)
    lossless = all(_is_product(model, name) for name, r in by_client.items() if any(r.values()))
    alike = all(_is_poisson(c) for c in model.clients.values())
    product = frozenset(model.stations) if lossless and alike else frozenset()
    return Flow(by_client=by_client, poisson=poisson, product=product)


def _is_poisson(client: Client) -> bool:
    return (
        isinstance(client, Open)
        and client.interval == "exponential"
        and not client.profile
        and client.hedge_after is None
    )


def _one(model: Model, client: Client) -> dict[str, float]:
    names = list(model.stations)
    index = {name: i for i, name in enumerate(names)}
    if not isinstance(client, Open) or client.to not in index:
        return {}
    routing, unknown = np.zeros((len(names), len(names))), set()
    for name, station in model.stations.items():
        shares = routes(station, client)
        if shares is None:
            unknown.add(name)
            continue
        for target, share in shares.items():
            if target in index:
                routing[index[name], index[target]] += share
    external = np.zeros(len(names))
    external[index[client.to]] = client.rate
    if np.linalg.matrix_rank(np.eye(len(names)) - routing) < len(names):
        return dict.fromkeys(names, math.nan)
    rates = dict(zip(names, (float(x) for x in traffic(external, routing)), strict=True))
    return _hide(model, rates, {name for name in unknown if rates[name] > 0})


def _hide(model: Model, rates: dict[str, float], unknown: set[str]) -> dict[str, float]:
    """Everything reachable from a station with unknown routes has an unknown rate."""
    waiting, hidden = list(unknown), set()
    while waiting:
        for target in _targets(model.stations[waiting.pop()]):
            if target in model.stations and target not in hidden:
                hidden.add(target)
                waiting.append(target)
    return {name: math.nan if name in hidden else rate for name, rate in rates.items()}


def _targets(station: Station) -> tuple[str, ...]:
    found: list[str] = []
    for field in ("to", "hit", "miss", "yield_to"):
        value = getattr(station, field, None)
        found += value if isinstance(value, tuple) else [value] if value else []
    return tuple(found)


def routes(station: Station, client: Client) -> Routes | None:
    """Where an item goes from here, with shares; None when a policy or its state decides."""
    match station:
        case Choice(policy=None, by_group=True):
            return {station.to[min(client.group, len(station.to) - 1)]: 1.0}
        case Choice(policy=None):
            weights = station.weights or (1.0,) * len(station.to)
            shares: Routes = {}
            for target, weight in zip(station.to, weights, strict=True):
                shares[target] = shares.get(target, 0.0) + weight / sum(weights)
            return shares
        case Sharing(quantum=None) | Delay() | Release():
            return {station.to: 1.0}
        case Queue(capacity=None, drop_expired=False):
            return {station.to: 1.0} if not client.cancels or client.timeout is None else None
        case Pool(max_waiting=None):
            return {station.to: 1.0}
        case _:
            return None


def _poisson(model: Model, by_client: dict[str, dict[str, float]]) -> frozenset[str]:
    """Stations that clients enter directly or by random choices, and by no other station."""
    fed = {name for name in model.stations if any(by_client[name].values())}
    passed = {
        target
        for name in fed
        if not isinstance(model.stations[name], Choice)
        for target in _targets(model.stations[name])
    }
    # What a choice passes on is as random as what it got.
    for _ in range(len(fed)):
        passed |= {t for name in passed & fed for t in _targets(model.stations[name])}
    good = {c for c, client in model.clients.items() if _is_poisson(client)}
    return frozenset(
        name for name in fed - passed if {c for c, r in by_client[name].items() if r} <= good
    )


def _is_product(model: Model, name: str) -> bool:
    """Whether a station keeps Jackson's product form: departures as random as arrivals."""
    match model.stations[name]:
        case Queue(service=Exponential(), capacity=None, slowdown=None, drop_expired=False) as q:
            return q.discipline in ("fifo", "lifo") and q.speed > 0
        case Delay() | Choice(policy=None) | Sharing(quantum=None, overhead=0.0):
            return True
        case _:
            return False


def sharing_demand(model: Model, flow: Flow, station: str) -> float:
    """Mean core-seconds of an item that enters this Sharing."""
    rates = flow.by_client[station]
    total = sum(rates.values())
    return sum(r * mean(model.clients[c].demand) for c, r in rates.items() if r) / total
