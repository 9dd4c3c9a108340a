"""The answers for a model with one closed client.

Owns recognising a closed product-form network. Must never mix it with open traffic: a model with
other clients beside it gets no answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from howdah.simulate.analytic.flow import Routes, routes
from howdah.simulate.analytic.moments import mean
from howdah.simulate.analytic.networks import ClosedNetwork, closed, traffic
from howdah.simulate.analytic.word import Answer
from howdah.simulate.model import Choice, Closed, Delay, Exponential, Model, Queue, Release, Sharing

FORMULA = "closed network with product form (mean values)"


def closed_answers(model: Model) -> Iterator[Answer]:
    """Throughput and response of a single closed client over stations with product form."""
    (name, client), *others = model.clients.items()
    if others or not isinstance(client, Closed) or model.controllers:
        return
    if client.timeout is not None or client.deadline is not None or client.hedge_after is not None:
        return
    visits = _visits(model, client)
    stations = {s: _demand(model, client, s) for s, v in (visits or {}).items() if v > 0}
    if not visits or any(each is None for each in stations.values()):
        return
    kept = {s: each for s, each in stations.items() if each is not None and each[0] > 0}
    found = closed(
        tuple(visits[s] * demand for s, (demand, _) in kept.items()),
        tuple(servers for _, servers in kept.values()),
        mean(client.think),
        client.users,
    )
    yield from _figures(name, found)
    for station, inside in zip(kept, found.inside, strict=True):
        yield Answer(
            where=station,
            what="mean number inside",
            value=inside,
            unit="items",
            formula=FORMULA,
            top=(f"{station}.inside",),
            gauge=True,
        )


def _figures(name: str, found: ClosedNetwork) -> Iterator[Answer]:
    """What the client sees."""
    yield Answer(
        where=name,
        what="throughput",
        value=found.throughput,
        unit="1/s",
        formula=FORMULA,
        top=(f"{name}.succeeded",),
    )
    yield Answer(
        where=name,
        what="mean time to the answer",
        value=found.response,
        unit="s",
        formula=FORMULA,
        top=(f"{name}.latency_sum",),
        bottom=(f"{name}.succeeded",),
    )
    yield Answer(
        where=name,
        what="users at the knee",
        value=found.knee,
        unit="users",
        formula="where the asymptotes of throughput cross",
    )


def _visits(model: Model, client: Closed) -> dict[str, float] | None:
    """How often a request comes to each station; None when that is not known."""
    names = list(model.stations)
    if client.to not in names:
        return None
    routing = np.zeros((len(names), len(names)))
    for i, name in enumerate(names):
        shares: Routes | None = routes(model.stations[name], client)
        if shares is None:
            return None
        for target, share in shares.items():
            if target in model.stations:
                routing[i, names.index(target)] += share
    first = np.zeros(len(names))
    first[names.index(client.to)] = 1.0
    if np.linalg.matrix_rank(np.eye(len(names)) - routing) < len(names):
        return None
    return dict(zip(names, (float(x) for x in traffic(first, routing)), strict=True))


def _demand(model: Model, client: Closed, name: str) -> tuple[float, int] | None:
    """Mean seconds of a visit and servers (0: a delay); None when it breaks the product form."""
    match model.stations[name]:
        case Queue(service=Exponential(), slowdown=None) as q if (
            q.discipline in ("fifo", "lifo") and q.speed > 0 and q.servers > 0
        ):
            return mean(q.service) / q.speed, q.servers
        case Sharing(overhead=0.0) as s if s.cores == int(s.cores) and s.speed > 0:
            return mean(client.demand) / s.speed, int(s.cores)
        case Delay() as d:
            return mean(d.time) * d.factor, 0
        case Choice() | Release():
            return 0.0, 0
        case _:
            return None
