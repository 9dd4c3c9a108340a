"""Whether the triggers of a model can happen: their times, their paths, what they act on.

Owns the refusals of triggers. Must never run one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from howdah.simulate.columns import columns
from howdah.simulate.model import (
    Action,
    Cache,
    Down,
    Flush,
    Inject,
    Model,
    Queue,
    Scale,
    Set,
    Sharing,
    Trigger,
)
from howdah.simulate.policies.policy import nearest
from howdah.simulate.refusal import Refusal
from howdah.simulate.settable import settable, unfit

NO_SCALE = ("timeout", "hedge_after", "deadline", "capacity", "max_waiting", "quantum", "budget")


def triggers(model: Model) -> Iterator[Refusal]:
    """Refusals of the triggers of a flat model whose policies are known."""
    for index, trigger in enumerate(model.triggers):
        place = f"triggers[{index}]"
        yield from _when(model, trigger, place)
        if not trigger.actions:
            yield Refusal(f"{place}.actions", "a trigger without actions does nothing")
        for number, action in enumerate(trigger.actions):
            inner = f"{place}.actions[{number}]"
            yield from _target(model, action, inner)
            yield from _until(trigger, action, inner)


def _when(model: Model, trigger: Trigger, place: str) -> Iterator[Refusal]:
    if (trigger.at is None) == (trigger.when is None):
        yield Refusal(place, "a trigger has either `at` or `when`")
    elif trigger.when is not None:
        yield from _known(f"{place}.when.column", trigger.when.column, columns(model))


def _until(trigger: Trigger, action: Action, place: str) -> Iterator[Refusal]:
    until = getattr(action, "until", None)
    if until is not None and trigger.at is not None and until < trigger.at:
        yield Refusal(f"{place}.until", f"{until:g} is before the trigger, at {trigger.at:g}")


def _target(model: Model, action: Action, place: str) -> Iterator[Refusal]:
    match action:
        case Set(path=path) | Scale(path=path):
            yield from _path(model, action, path, place)
        case Inject(client=client):
            yield from _known(f"{place}.client", client, list(model.clients))
        case Flush(cache=cache):
            caches = [n for n, s in model.stations.items() if isinstance(s, Cache)]
            yield from _known(f"{place}.cache", cache, caches)
        case Down(processor=processor):
            kinds = Queue | Sharing
            processors = [n for n, s in model.stations.items() if isinstance(s, kinds)]
            yield from _known(f"{place}.processor", processor, processors)


def _path(model: Model, action: Set | Scale, path: str, place: str) -> Iterator[Refusal]:
    known = settable(model)
    unknown = list(_known(f"{place}.path", path, known))
    yield from unknown
    if unknown:
        return
    if isinstance(action, Set):
        reason = unfit(path, action.value)
        if reason:
            yield Refusal(f"{place}.value", f"{path} cannot become {action.value:g}: {reason}")
        return
    name, _, field = path.rpartition(".")
    element = {**model.clients, **model.stations}.get(name)
    if field in NO_SCALE and element is not None and getattr(element, field, 0) is None:
        yield Refusal(f"{place}.path", f"{path} has no value that could be scaled")


def _known(place: str, name: str, names: Sequence[str]) -> Iterator[Refusal]:
    if name not in names:
        yield Refusal(place, f"there is no {name!r} for it", nearest(name, names) if names else "")
