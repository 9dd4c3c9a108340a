"""The feedback edges of a model, and how each is cut in a running engine.

Owns the list of cuts that attribution tries, what each changes and how it is undone. Must never
decide which one matters: that is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from howdah.simulate.engine import Engine
from howdah.simulate.model import (
    Cache,
    Controller,
    Gate,
    Model,
    Open,
    Pool,
    Queue,
    Sharing,
)

NEVER = 1e9  # seconds


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A number that is set; `back` undoes it (None: what it changed stays changed)."""

    path: str
    value: float
    back: float | None = None


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """One edge cut, or one piece of state put back.

    `feedback`: it stops an element from answering to what happens. `state`: it puts back what
    the disturbance left behind, once, and leaves every loop as it is.
    """

    name: str
    kind: Literal["feedback", "state", "nothing"]
    elements: tuple[str, ...]  # what it touches, for the picture
    settings: tuple[Setting, ...] = ()
    drops: tuple[str, ...] = ()  # queues and pools whose waiting items are rejected

    def apply(self, engine: Engine) -> None:
        """Make the cut."""
        for setting in self.settings:
            engine.set(setting.path, setting.value)
        for element in self.drops:
            engine.drop(element)

    @property
    def lasts(self) -> bool:
        """Whether there is something to undo."""
        return any(setting.back is not None for setting in self.settings)

    def undo(self, engine: Engine) -> None:
        """Take back what lasts."""
        for setting in self.settings:
            if setting.back is not None:
                engine.set(setting.path, setting.back)


NOTHING = Cut(name="nothing", kind="nothing", elements=())


def cuts(model: Model) -> tuple[Cut, ...]:
    """Every cut that this model allows; the model must be flat."""
    controllers = list(_of_controllers(model))
    found = [*_of_clients(model), *controllers, *_of_stations(model)]
    if len(model.controllers) > 1:
        first = [cut for cut in controllers if cut.name.endswith("first limits")]
        found += [_every("every controller, at its first limits", first)] if first else []
    waiting = tuple(name for name, s in model.stations.items() if isinstance(s, Queue | Pool))
    found += [_drop(f"the backlog of {name}", (name,)) for name in waiting]
    if len(waiting) > 1:
        found.append(_drop("every backlog", waiting))
    return tuple(found)


def both(first: Cut, second: Cut) -> Cut:
    """Two cuts at once."""
    return Cut(
        name=f"{first.name} and {second.name}",
        kind="feedback" if "feedback" in (first.kind, second.kind) else "state",
        elements=tuple(dict.fromkeys(first.elements + second.elements)),
        settings=first.settings + second.settings,
        drops=tuple(dict.fromkeys(first.drops + second.drops)),
    )


def _every(name: str, parts: list[Cut]) -> Cut:
    """Cuts of one kind that are made together, under a name of their own."""
    whole = parts[0]
    for part in parts[1:]:
        whole = both(whole, part)
    return msgspec.structs.replace(whole, name=name)


def _of_clients(model: Model) -> Iterator[Cut]:
    for name, client in model.clients.items():
        if client.retry is not None or client.hedge_after is not None:
            yield Cut(
                name=f"the retries of {name}",
                kind="feedback",
                elements=(name, client.to),
                settings=(Setting(path=f"{name}.muted", value=1.0, back=0.0),),
            )
        if client.timeout is not None:
            yield Cut(
                name=f"the timeout of {name}",
                kind="feedback",
                elements=(name, client.to),
                settings=(Setting(path=f"{name}.timeout", value=NEVER, back=client.timeout),),
            )


def _of_controllers(model: Model) -> Iterator[Cut]:
    for name, controller in model.controllers.items():
        frozen = Setting(path=f"{name}.frozen", value=1.0, back=0.0)
        elements = (name, *controller.watch)
        yield Cut(
            name=f"the controller {name}, where it is",
            kind="feedback",
            elements=elements,
            settings=(frozen,),
        )
        limits = tuple(_limits(model, controller))
        if limits:
            yield Cut(
                name=f"the controller {name}, at its first limits",
                kind="feedback",
                elements=elements,
                settings=(frozen, *limits),
            )
            yield Cut(
                name=f"the limits of {name}",
                kind="state",
                elements=elements,
                settings=limits,
            )


def _limits(model: Model, controller: Controller) -> Iterator[Setting]:
    """What the watched elements' limits are in the model."""
    for watched in controller.watch:
        element = {**model.stations, **model.clients}.get(watched)
        match element:
            case Pool():
                yield Setting(path=f"{watched}.tickets", value=element.tickets)
            case Queue():
                yield Setting(path=f"{watched}.servers", value=element.servers)
            case Sharing():
                yield Setting(path=f"{watched}.cores", value=element.cores)
            case Open():
                yield Setting(path=f"{watched}.rate", value=element.rate)


def _of_stations(model: Model) -> Iterator[Cut]:
    for name, station in model.stations.items():
        match station:
            case Gate():
                yield _feedback(name, f"the gate {name}", f"{name}.open", 1.0, 0.0)
            case Cache():
                yield Cut(
                    name=f"the emptiness of {name}",
                    kind="state",
                    elements=(name,),
                    settings=(Setting(path=f"{name}.full", value=1.0),),
                )
            case Sharing():
                if station.overhead > 0:
                    path = f"{name}.overhead"
                    yield _feedback(name, f"the crowding of {name}", path, 0.0, station.overhead)
                if station.quantum is not None:
                    path = f"{name}.quantum"
                    yield _feedback(name, f"the yields of {name}", path, NEVER, station.quantum)


def _feedback(element: str, name: str, path: str, value: float, back: float) -> Cut:
    return Cut(
        name=name,
        kind="feedback",
        elements=(element,),
        settings=(Setting(path=path, value=value, back=back),),
    )


def _drop(name: str, elements: tuple[str, ...]) -> Cut:
    return Cut(name=name, kind="state", elements=elements, drops=elements)
