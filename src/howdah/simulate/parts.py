"""Sub-models: a model with parts becomes one without.

Owns the names of a part's elements and what a name inside a part means. Must never check whether
a name exists: `validate` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from howdah.simulate.model import (
    Action,
    Down,
    Flush,
    Inject,
    Model,
    Scale,
    Set,
    Trigger,
)

# Fields that name an element.
NAMING = ("to", "yield_to", "hit", "miss", "pool", "cache", "watch")


def flatten(model: Model) -> Model:
    """The same model without parts: elements are called `part.element`, behind the model's own.

    A name inside a part means the part's own element if it has one of that name, else the outer
    one.
    """
    if not model.parts:
        return model
    clients, stations = dict(model.clients), dict(model.stations)
    controllers, triggers = dict(model.controllers), list(model.triggers)
    for name, given in model.parts.items():
        part = _renamed(flatten(given), name)
        clients |= part.clients
        stations |= part.stations
        controllers |= part.controllers
        triggers += part.triggers
    return msgspec.structs.replace(
        model,
        clients=clients,
        stations=stations,
        controllers=controllers,
        triggers=tuple(triggers),
        parts={},
    )


def _renamed(part: Model, prefix: str) -> Model:
    own = {*part.clients, *part.stations, *part.controllers}

    def outer(name: str) -> str:
        return f"{prefix}.{name}" if name in own else name

    def path(name: str) -> str:
        parts = name.split(".")
        fits = (".".join(parts[:n]) in own for n in range(1, len(parts)))
        return f"{prefix}.{name}" if any(fits) else name

    def renamed(elements: Mapping[str, Any]) -> dict[str, Any]:
        return {outer(name): _retargeted(one, outer) for name, one in elements.items()}

    triggers = tuple(_trigger(one, outer, path) for one in part.triggers)
    return msgspec.structs.replace(
        part,
        clients=renamed(part.clients),
        stations=renamed(part.stations),
        controllers=renamed(part.controllers),
        triggers=triggers,
    )


def _retargeted(element: Any, outer: Any) -> Any:
    changes: dict[str, Any] = {}
    for field in NAMING:
        value = getattr(element, field, None)
        if isinstance(value, str):
            changes[field] = outer(value)
        elif isinstance(value, tuple):
            changes[field] = tuple(outer(one) for one in value)
    return msgspec.structs.replace(element, **changes)


def _trigger(trigger: Trigger, outer: Any, path: Any) -> Trigger:
    when = trigger.when
    if when is not None:
        when = msgspec.structs.replace(when, column=path(when.column))
    actions = tuple(_action(one, outer, path) for one in trigger.actions)
    return msgspec.structs.replace(trigger, actions=actions, when=when)


def _action(action: Action, outer: Any, path: Any) -> Action:
    match action:
        case Set() | Scale():
            return msgspec.structs.replace(action, path=path(action.path))
        case Inject():
            return msgspec.structs.replace(action, client=outer(action.client))
        case Flush():
            return msgspec.structs.replace(action, cache=outer(action.cache))
        case Down():
            return msgspec.structs.replace(action, processor=outer(action.processor))
