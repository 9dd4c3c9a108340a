"""Which settings of a running model can be changed, by path, before it runs.

Owns the list of `semantics.md`, under Triggers and Interventions. Must never differ from what the
engines accept.
"""

from __future__ import annotations

from collections.abc import Iterator

from howdah.simulate.model import (
    Agentic,
    Cache,
    Choice,
    Client,
    Controller,
    Delay,
    Gate,
    Model,
    Open,
    Policy,
    Pool,
    Queue,
    Retry,
    Sharing,
    Station,
)
from howdah.simulate.parts import flatten
from howdah.simulate.policies.policy import find

CLIENT = ("timeout", "hedge_after", "deadline", "mutation", "muted")
RETRY = ("most", "factor", "longest", "budget", "deposit")
QUEUE = ("servers", "capacity", "speed", "drop_expired", "discipline")
SHARING = ("cores", "overhead", "speed", "quantum")


def settable(model: Model) -> tuple[str, ...]:
    """Every path that `set` and the triggers of a running model accept. Raises BadInput for an
    unknown policy."""
    flat = flatten(model)
    found: list[str] = []
    for name, client in flat.clients.items():
        found += [f"{name}.{setting}" for setting in _of_client(client)]
    for name, station in flat.stations.items():
        found += [f"{name}.{setting}" for setting in _of_station(station)]
    for name, controller in flat.controllers.items():
        found += [f"{name}.{setting}" for setting in _of_controller(controller)]
    return tuple(found)


def _of_client(client: Client) -> Iterator[str]:
    yield from CLIENT
    if isinstance(client, Open | Agentic):
        yield "rate"
    if isinstance(client.retry, Retry):
        yield from (f"retry.{setting}" for setting in RETRY)
    elif client.retry:
        yield from _arguments("retry", client.retry)


def _of_station(station: Station) -> Iterator[str]:
    match station:
        case Queue(discipline=discipline, slowdown=slowdown):
            yield from QUEUE
            if isinstance(discipline, Policy):
                yield from _arguments("discipline", discipline)
            if slowdown:
                yield from _arguments("slowdown", slowdown)
        case Sharing():
            yield from SHARING
        case Delay():
            yield "factor"
        case Pool():
            yield from ("tickets", "max_waiting")
        case Cache():
            yield "full"
        case Gate(policy=policy):
            yield "open"
            yield from _arguments("policy", policy)
        case Choice(policy=Policy() as policy):
            yield from _arguments("policy", policy)


def _of_controller(controller: Controller) -> Iterator[str]:
    yield from ("period", "frozen")
    yield from _arguments("policy", controller.policy)


def _arguments(holder: str, policy: Policy) -> Iterator[str]:
    kind = find(policy.name)
    names = kind.names() if kind.struct else policy.arguments
    yield from (f"{holder}.{name}" for name in names)
