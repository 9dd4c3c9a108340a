"""Where a model's own loops can keep it down: the fluid thresholds, from the model.

Owns finding the bottleneck, the retries, the crowding and the caches of a model and what the
formulas of `fluid.py` say to them. All are limits without chance, so none is `exact`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from howdah.simulate.analytic import fluid
from howdah.simulate.analytic.caches import hit_share
from howdah.simulate.analytic.chain import hitting_times
from howdah.simulate.analytic.flow import Flow, flow_of
from howdah.simulate.analytic.moments import mean
from howdah.simulate.analytic.storm import late_storm
from howdah.simulate.analytic.word import Answer
from howdah.simulate.model import (
    Cache,
    Down,
    Exponential,
    Model,
    Open,
    Queue,
    Retry,
    Scale,
    Set,
    Sharing,
    Trigger,
)

FLUID = "a fluid limit: chance is left out"


def tipping_answers(model: Model) -> Iterator[Answer]:
    """Tipping loads, trigger lengths, crowding points and cold caches of the model."""
    flow = flow_of(model)
    for name, client in model.clients.items():
        if isinstance(client, Open):
            yield from _storm(model, flow, name, client)
    for name, station in model.stations.items():
        if isinstance(station, Sharing) and station.overhead > 0:
            yield from _crowd(model, flow, name, station)
        if isinstance(station, Cache):
            yield from _cold(model, name, station)


def capacities(model: Model, flow: Flow, client: str) -> dict[str, float]:
    """Requests of this client a second that each of its stations could do, if it were alone."""
    rate = getattr(model.clients[client], "rate", 0.0)
    found = {}
    for name, station in model.stations.items():
        comes = flow.by_client[name].get(client, 0.0)
        if not rate or not comes or not math.isfinite(comes):
            continue
        visits = comes / rate
        if isinstance(station, Queue) and mean(station.service) > 0:
            found[name] = station.servers * station.speed / mean(station.service) / visits
        elif isinstance(station, Sharing) and mean(model.clients[client].demand) > 0:
            found[name] = (
                station.cores * station.speed / mean(model.clients[client].demand) / visits
            )
    return found


def _storm(model: Model, flow: Flow, name: str, client: Open) -> Iterator[Answer]:
    found = capacities(model, flow, name)
    if not found or client.timeout is None:
        return
    where = min(found, key=lambda each: found[each])
    if len(flow.clients(where)) > 1:
        return  # what the others take is not this client's to use
    capacity, retry = found[where], client.retry
    if isinstance(retry, Retry):
        yield from _load(where, capacity, retry)
    yield from _line(model, where, client.timeout)
    for trigger in model.triggers:
        yield from _trigger(name, client, where, capacity, trigger)


def _load(where: str, capacity: float, retry: Retry) -> Iterator[Answer]:
    tries = 1.0 + retry.most
    if retry.budget is not None:
        tries = fluid.budgeted(retry.most, retry.deposit)
    yield Answer(
        where=where,
        what="attempts of a request while everything fails",
        value=tries if retry.budget is None else 1.0,
        formula="1 + R" if retry.budget is None else "a spent budget grants none",
        exact=False,
        because=FLUID,
    )
    yield Answer(
        where=where,
        what="lowest load at which it can stay down",
        value=fluid.lowest_tipping_load(capacity, tries),
        unit="1/s",
        formula="lambda_down = capacity / (1 + R)"
        if retry.budget is None
        else "lambda_down = capacity / (1 + deposit)",
        exact=False,
        because=FLUID,
    )


def _line(model: Model, where: str, timeout: float) -> Iterator[Answer]:
    station = model.stations[where]
    if isinstance(station, Queue) and station.capacity is not None and station.servers:
        service = mean(station.service) / station.speed if station.speed else math.inf
        yield Answer(
            where=where,
            what="time in a full queue by the timeout",
            value=station.capacity * service / station.servers / timeout,
            formula="K / (c mu timeout): below 1 a full queue still answers in time",
            exact=False,
            because=FLUID,
        )


def _trigger(
    name: str, client: Open, where: str, capacity: float, trigger: Trigger
) -> Iterator[Answer]:
    for action in trigger.actions:
        needed = None
        match action:
            case Scale(path=path, factor=factor) if path == f"{name}.rate":
                needed = fluid.trigger_length(capacity, client.rate, factor, client.timeout or 0.0)
            case Set(path=path, value=value) if path == f"{name}.rate" and client.rate:
                factor = value / client.rate
                needed = fluid.trigger_length(capacity, client.rate, factor, client.timeout or 0.0)
            case Scale(path=path, factor=factor) if path == f"{where}.speed":
                needed = fluid.trigger_loss(capacity, client.rate, factor, client.timeout or 0.0)
            case Down(processor=processor) if processor == where:
                needed = fluid.trigger_loss(capacity, client.rate, 0.0, client.timeout or 0.0)
        if needed is not None:
            yield Answer(
                where=where,
                what=f"shortest trigger {trigger.name or type(action).__name__!r} to late answers",
                value=needed,
                unit="s",
                formula="D* = timeout capacity / overload",
                exact=False,
                because=FLUID,
            )


MOST_STATES = 20_000


def by_itself(model: Model, flow: Flow) -> Iterator[Answer]:
    """How long a retry storm on one queue waits for no trigger at all, from a Markov chain."""
    for name, client in model.clients.items():
        queue, retry = model.stations.get(client.to), client.retry
        if not isinstance(client, Open) or not isinstance(queue, Queue):
            continue
        if flow.clients(client.to) != (name,) or not _stormy(client, queue):
            continue
        assert isinstance(retry, Retry)
        assert client.timeout is not None
        assert queue.capacity is not None
        service = mean(queue.service) / queue.speed
        pause = client.timeout + mean(retry.backoff)
        # Twice what circles when everything fails is as good as no bound.
        orbits = math.ceil(min(2 * client.rate * retry.most * pause + 20, 80))
        if (queue.capacity + 1) * orbits > MOST_STATES or client.rate * service >= queue.servers:
            continue
        storm = late_storm(
            arrival=client.rate,
            service=service,
            servers=queue.servers,
            capacity=queue.capacity,
            timeout=client.timeout,
            retries=retry.most,
            backoff=mean(retry.backoff),
            orbits=orbits,
        )
        until_full = hitting_times(storm.chain, storm.where(queue_from=queue.capacity))
        yield Answer(
            where=client.to,
            what="mean time until it tips by itself",
            value=float(until_full[0]),
            unit="s",
            formula="Markov chain of queue and orbit",
            exact=False,
            because="times in the orbit are taken as exponential, attempts are not counted",
        )


def _stormy(client: Open, queue: Queue) -> bool:
    """Late answers feed retries, and nothing else that the chain does not know."""
    retry = client.retry
    return (
        isinstance(retry, Retry)
        and retry.most >= 1
        and retry.budget is None
        and retry.factor == 1.0
        and client.timeout is not None
        and not client.cancels
        and client.deadline is None
        and client.hedge_after is None
        and client.interval == "exponential"
        and not client.profile
        and isinstance(queue.service, Exponential)
        and queue.capacity is not None
        and queue.discipline == "fifo"
        and not queue.drop_expired
        and queue.slowdown is None
        and queue.speed > 0
        and queue.servers > 0
    )


def _crowd(model: Model, flow: Flow, name: str, sharing: Sharing) -> Iterator[Answer]:
    rates = flow.by_client[name]
    known = {c: client for c, client in model.clients.items() if isinstance(client, Open)}
    # Behind a pool or a yield the routes are not followed; every client that has a demand pays
    # it here when this is the only Sharing.
    alone = sum(isinstance(s, Sharing) for s in model.stations.values()) == 1
    if not alone and not all(math.isfinite(r) for r in rates.values()):
        return
    offered = sum(
        (client.rate if alone else rates.get(c, 0.0)) * mean(client.demand)
        for c, client in known.items()
    )
    cores = sharing.cores * sharing.speed
    if offered <= 0:
        return
    yield Answer(
        where=name,
        what="runnable threads beyond which less is done than comes",
        value=fluid.crowding_point(cores, sharing.overhead, offered),
        unit="threads",
        formula="n* = C + (C / offered - 1) / overhead",
        exact=False,
        because=FLUID,
    )


def _cold(model: Model, name: str, cache: Cache) -> Iterator[Answer]:
    keyed = [c.keys for c in model.clients.values() if c.keys is not None]
    if len(keyed) != 1:
        return
    share = hit_share(keyed[0], cache.entries)
    yield Answer(
        where=name,
        what="share of hits once warm",
        value=share,
        formula="Che's approximation for LRU",
        exact=False,
        because="an approximation, good to a percent",
    )
    backend = model.stations.get(cache.miss)
    if isinstance(backend, Queue) and mean(backend.service) > 0:
        served = backend.servers * backend.speed / mean(backend.service)
        warm, cold = fluid.hidden_capacity(served, share)
        for what, value in (("capacity with a warm cache", warm), ("hidden capacity", cold)):
            yield Answer(
                where=cache.miss,
                what=what,
                value=value,
                unit="1/s",
                formula="backend / share of misses" if value == warm else "backend alone",
                exact=False,
                because=FLUID,
            )
