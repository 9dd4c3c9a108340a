"""Which settings of a running model can be changed, by path, before it runs.

Owns the list of `semantics.md`, under Triggers and Interventions. Must never differ from what the
engines accept.
"""

from __future__ import annotations

from collections.abc import Iterator

from howdah.errors import BadInput
from howdah.simulate.model import (
    Agentic,
    Cache,
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
from howdah.simulate.policies.policy import find, nearest

CLIENT = ("timeout", "hedge_after", "deadline", "mutation", "muted")
RETRY = ("most", "factor", "longest", "budget", "deposit")
HOLDERS = ("policy", "discipline", "slowdown", "retry")  # may have signed arguments
MOST = 1e18
QUEUE = ("servers", "capacity", "speed", "drop_expired", "discipline")
SHARING = ("cores", "overhead", "speed")


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


def check(model: Model, path: str, value: float | str) -> None:
    """Raises BadInput, with the nearest path, for what a running model cannot be set to."""
    known = settable(model)
    if path not in known:
        raise BadInput(f"{path} is nothing that can be set", hint=nearest(path, known))
    reason = unfit(path, value)
    if reason:
        raise BadInput(f"{path} cannot become {value!r}: {reason}")


def unfit(path: str, value: float | str) -> str:
    """Why a settable path cannot take this value; empty if it can."""
    if isinstance(value, str):
        worded = path.endswith(".discipline") or path.count(".") > 1
        return "" if worded else "it is a number"
    if value != value or abs(value) > MOST:
        return "a number to count with is expected"
    argument = any(f".{holder}." in path for holder in HOLDERS)
    return "it is negative" if value < 0 and not argument else ""


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
        case Queue():
            yield from QUEUE
        case Sharing(quantum=quantum):
            yield from SHARING
            if quantum is not None:
                yield "quantum"  # else nobody would know where to yield to
        case Delay():
            yield "factor"
        case Pool():
            yield from ("tickets", "max_waiting")
        case Cache():
            yield "full"
        case Gate():
            yield "open"
    for holder in HOLDERS:
        policy = getattr(station, holder, None)
        if isinstance(policy, Policy):
            yield from _arguments(holder, policy)


def _of_controller(controller: Controller) -> Iterator[str]:
    yield from ("period", "frozen")
    yield from _arguments("policy", controller.policy)


def _arguments(holder: str, policy: Policy) -> Iterator[str]:
    kind = find(policy.name)
    names = kind.names() if kind.struct else policy.arguments
    yield from (f"{holder}.{name}" for name in names)
