"""The answers for one station of an open model.

Owns which queueing formula fits a Queue, a Sharing or a Delay with the traffic that it gets. Must
never answer for a station whose traffic is not known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from howdah.simulate.analytic import queues
from howdah.simulate.analytic.flow import Flow, sharing_demand
from howdah.simulate.analytic.moments import mean, second_moment
from howdah.simulate.analytic.queues import Steady
from howdah.simulate.analytic.retrial import mm11_retrial
from howdah.simulate.analytic.word import Answer
from howdah.simulate.model import (
    Client,
    Delay,
    Exponential,
    Model,
    Open,
    Queue,
    Retry,
    Sharing,
)

NOT_POISSON = "arrivals here are not a Poisson process: they come from other stations"
MANY_RETRIES = 100  # so many retries are as good as without limit


def station_answers(model: Model, flow: Flow, name: str) -> Iterator[Answer]:
    """What is known in equilibrium about the station `name`, which has some traffic."""
    station = model.stations[name]
    if not math.isfinite(flow.rate(name)):
        return
    match station:
        case Delay():
            steady = queues.mginf(flow.rate(name), mean(station.time) * station.factor)
            yield _inside(name, steady, "M/G/infinity")
        case Sharing(quantum=None):
            yield from _sharing(model, flow, name, station)
        case Queue(slowdown=None, drop_expired=False) if (
            station.discipline in ("fifo", "lifo") and station.speed > 0 and station.servers > 0
        ):
            yield from _queue(model, flow, name, station)


def _silent(clients: list[Client]) -> bool:
    """Nobody asks again or leaves a line: the station sees nothing but first attempts."""
    return all(
        c.retry is None and c.hedge_after is None and not (c.cancels and c.timeout) for c in clients
    )


def _queue(model: Model, flow: Flow, name: str, queue: Queue) -> Iterator[Answer]:
    clients = [model.clients[c] for c in flow.clients(name)]
    service = mean(queue.service) / queue.speed
    load = flow.rate(name) * service
    exponential = isinstance(queue.service, Exponential)
    random = name in flow.poisson or name in flow.product
    if not _silent(clients):
        if len(clients) == 1 and random and exponential:
            yield from _talkative(name, queue, flow.clients(name)[0], clients[0], service)
        return
    if queue.capacity is not None:
        if random and (exponential or queue.capacity == queue.servers):
            yield from _bounded(name, queue, flow.rate(name), service)
            yield from _in_time(flow, name, queue, clients, service)
    elif load >= queue.servers:
        yield _overloaded(name, flow.rate(name), queue.servers / service)
    elif len({c.band for c in clients}) > 1:
        yield from _bands(model, flow, name, queue, service)
    else:
        yield from _unbounded(flow, name, queue, service, random)
        yield from _in_time(flow, name, queue, clients, service)


def _unbounded(
    flow: Flow, name: str, queue: Queue, service: float, random: bool
) -> Iterator[Answer]:
    arrival, square = flow.rate(name), second_moment(queue.service) / queue.speed**2
    if not math.isfinite(square):
        return
    exponential = isinstance(queue.service, Exponential)
    if exponential:
        steady, formula = queues.mmc(arrival, service, queue.servers), f"M/M/{queue.servers}"
    elif queue.servers == 1:
        steady, formula = queues.mg1(arrival, service, square), "M/G/1 (Pollaczek-Khinchine)"
    else:
        steady, formula = queues.mgc(arrival, service, square, queue.servers), "M/G/c (Lee-Longton)"
    if exponential and name in flow.product and name not in flow.poisson:
        formula += " in a Jackson network"
    exact = random and (exponential or queue.servers == 1)
    because = "" if exact else NOT_POISSON if not random else "M/G/c has no closed form"
    yield from _waits(name, queue.servers, steady, formula, exact, because)


def _waits(
    name: str, servers: int, steady: Steady, formula: str, exact: bool, because: str
) -> Iterator[Answer]:
    """The four figures that every queue has."""
    left = (f"{name}.left",)
    yield Answer(
        where=name,
        what="mean wait",
        value=steady.wait,
        unit="s",
        formula=formula,
        exact=exact,
        because=because,
        top=(f"{name}.wait_sum",),
        bottom=left,
    )
    yield Answer(
        where=name,
        what="mean time in station",
        value=steady.sojourn,
        unit="s",
        formula=formula,
        exact=exact,
        because=because,
        top=(f"{name}.wait_sum", f"{name}.busy"),
        bottom=left,
    )
    yield Answer(
        where=name,
        what="share of the servers' time busy",
        value=steady.busy,
        formula=formula,
        exact=exact,
        because=because,
        top=(f"{name}.busy",),
        scale=float(servers),
    )
    yield _inside(name, steady, formula, exact=exact, because=because)


def _inside(
    name: str, steady: Steady, formula: str, *, exact: bool = True, because: str = ""
) -> Answer:
    return Answer(
        where=name,
        what="mean number inside",
        value=steady.inside,
        unit="items",
        formula=formula,
        exact=exact,
        because=because,
        top=(f"{name}.inside",),
        gauge=True,
    )


def _bounded(name: str, queue: Queue, arrival: float, service: float) -> Iterator[Answer]:
    capacity = queue.capacity or 0
    servers = min(queue.servers, capacity)
    steady = queues.mmck(arrival, service, servers, capacity)
    erlang = capacity == servers
    formula = "Erlang B" if erlang else f"M/M/{servers}/{capacity}"
    yield Answer(
        where=name,
        what="share refused",
        value=steady.p_refused,
        formula=formula,
        top=(f"{name}.refused",),
        bottom=(f"{name}.entered",),
    )
    yield from _waits(name, servers, steady, formula, True, "")


def _in_time(
    flow: Flow, name: str, queue: Queue, clients: list[Client], service: float
) -> Iterator[Answer]:
    """The share of answers within the timeout: one client, exponential service in order."""
    if (
        len(clients) != 1
        or clients[0].timeout is None
        or clients[0].to != name
        or queue.to != "reply"
        or queue.discipline != "fifo"
        or not isinstance(queue.service, Exponential)
    ):
        return
    arrival, timeout, client = flow.rate(name), clients[0].timeout, flow.clients(name)[0]
    if queue.capacity is None:
        late = queues.mmc_sojourn_exceeds(arrival, service, queue.servers, timeout)
        value, formula = 1 - late, f"M/M/{queue.servers}, tail of the sojourn"
    elif queue.servers == 1:
        refused = queues.mmck(arrival, service, 1, queue.capacity).p_refused
        held = queues.mm1k_answered_in_time(arrival, service, queue.capacity, timeout)
        value, formula = (1 - refused) * held, "M/M/1/K, Erlang tails"
    else:
        return
    yield Answer(
        where=client,
        what="share answered in time",
        value=value,
        formula=formula,
        top=(f"{client}.succeeded",),
        bottom=(f"{client}.requests",),
    )


def _talkative(
    name: str, queue: Queue, client: str, of: Client, service: float
) -> Iterator[Answer]:
    """Clients that leave the line or come again, where that has a closed form."""
    if not isinstance(of, Open) or of.to != name or of.hedge_after is not None:
        return
    if of.cancels and of.timeout is not None and of.retry is None and queue.capacity is None:
        if queue.discipline != "fifo" or queue.to != "reply" or of.deadline is not None:
            return
        found = queues.mmc_impatient(of.rate, service, queue.servers, of.timeout)
        formula = f"M/M/{queue.servers}+D (Barrer, Palm)"
        yield Answer(
            where=name,
            what="share that leaves the line",
            value=found.p_abandon,
            formula=formula,
            top=(f"{name}.dropped",),
            bottom=(f"{name}.entered",),
        )
        yield Answer(
            where=client,
            what="share answered in time",
            value=found.answered,
            formula=formula,
            top=(f"{client}.succeeded",),
            bottom=(f"{client}.requests",),
        )
    elif _is_retrial(of, queue) and of.rate * service < 1:
        assert isinstance(of.retry, Retry)
        orbit = mm11_retrial(of.rate, service, 1 / mean(of.retry.backoff))
        yield Answer(
            where=client,
            what="mean number waiting to retry",
            value=orbit.orbit,
            unit="items",
            formula="M/M/1/1 with retrials",
            top=(f"{client}.waiting_retry",),
            gauge=True,
        )


def _is_retrial(client: Open, queue: Queue) -> bool:
    """One server, no line, refused requests that come again for ever."""
    retry = client.retry
    return (
        isinstance(retry, Retry)
        and retry.most >= MANY_RETRIES
        and retry.budget is None
        and retry.factor == 1.0
        and isinstance(retry.backoff, Exponential)
        and retry.longest >= 20 * retry.backoff.mean
        and client.timeout is None
        and client.deadline is None
        and queue.capacity == queue.servers == 1
    )


def _bands(model: Model, flow: Flow, name: str, queue: Queue, service: float) -> Iterator[Answer]:
    exponential = isinstance(queue.service, Exponential)
    if queue.servers > 1 and not exponential:
        return
    bands = sorted({model.clients[c].band for c in flow.clients(name)})
    rates = flow.by_client[name]
    arrivals = tuple(sum(r for c, r in rates.items() if model.clients[c].band == b) for b in bands)
    square = second_moment(queue.service) / queue.speed**2
    waits = queues.cobham(arrivals, service, square, queue.servers)
    exact = name in flow.poisson and queue.discipline == "fifo"
    whole = sum(w * a for w, a in zip(waits, arrivals, strict=True)) / sum(arrivals)
    yield Answer(
        where=name,
        what="mean wait",
        value=whole,
        unit="s",
        formula="Cobham's priorities",
        exact=exact,
        because="" if exact else NOT_POISSON,
        top=(f"{name}.wait_sum",),
        bottom=(f"{name}.left",),
    )
    for client in flow.clients(name):
        if model.clients[client].to != name or queue.to != "reply":
            continue
        yield Answer(
            where=client,
            what="mean time to the answer",
            value=waits[bands.index(model.clients[client].band)] + service,
            unit="s",
            formula="Cobham's priorities",
            exact=exact and model.clients[client].timeout is None,
            because="" if model.clients[client].timeout is None else "the client has a timeout",
            top=(f"{client}.latency_sum",),
            bottom=(f"{client}.succeeded",),
        )


def _sharing(model: Model, flow: Flow, name: str, sharing: Sharing) -> Iterator[Answer]:
    clients = [model.clients[c] for c in flow.clients(name)]
    if not _silent(clients) or sharing.overhead > 0 or sharing.speed <= 0:
        return
    demand = sharing_demand(model, flow, name) / sharing.speed
    if demand <= 0:
        return
    arrival, random = flow.rate(name), name in flow.poisson or name in flow.product
    if arrival * demand >= sharing.cores:
        yield _overloaded(name, arrival, sharing.cores / demand)
        return
    steady = queues.sharing(arrival, demand, sharing.cores)
    formula = "M/G/c processor sharing"
    because = "" if random else NOT_POISSON
    yield _inside(name, steady, formula, exact=random, because=because)
    yield Answer(
        where=name,
        what="mean time in station",
        value=steady.sojourn,
        unit="s",
        formula=formula,
        exact=random,
        because=because,
        top=(f"{name}.busy",),
        bottom=(f"{name}.left",),
    )


def _overloaded(name: str, arrival: float, most: float) -> Answer:
    return Answer(
        where=name,
        what="overload: arrivals by capacity",
        value=arrival / most,
        formula="no equilibrium: what comes is more than what can leave",
        top=(f"{name}.entered",),
        scale=most,
    )
