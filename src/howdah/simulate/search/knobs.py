"""What a search may turn: a number of the model, or of one of its triggers, by name.

Owns names of knobs and making the model with a knob turned. Must never run a model.
"""

from __future__ import annotations

from typing import Any

import msgspec

from howdah.errors import BadInput
from howdah.simulate.model import Action, Model, Set, Trigger
from howdah.simulate.paths import read, replace

OF_TRIGGERS = ("length", "factor", "value", "count", "at")


def turn(model: Model, knob: str, value: float) -> Model:
    """The model with `knob` at `value`; whole where the model has a whole number.

    A knob is a path of the model ("web.rate", see `paths`), or `triggers.<name or number>.<what>`:
    `length` (seconds from its beginning to `until`, of every action that has one), `at`, `factor`,
    `value` or `count` (of the first action that has it), or "load": all rates times `value`.
    Moving the end of a trigger moves `settled_after` by as much.
    """
    if knob == "load":
        return with_loads(model, value)
    place, _, what = knob.rpartition(".")
    if not knob.startswith("triggers.") or what not in OF_TRIGGERS or place.count(".") != 1:
        whole = isinstance(read(model, knob), int)
        return replace(model, knob, round(value) if whole else value)
    index = _index(model, place.removeprefix("triggers."), knob)
    old = model.triggers[index]
    new = _turned(old, what, value, knob)
    triggers = (*model.triggers[:index], new, *model.triggers[index + 1 :])
    settled = model.settled_after
    if settled is not None:
        settled = max(settled + _last(new) - _last(old), 1e-9)
    return msgspec.structs.replace(model, triggers=triggers, settled_after=settled)


def _index(model: Model, name: str, knob: str) -> int:
    names = [each.name or str(i) for i, each in enumerate(model.triggers)]
    known = {**{str(i): i for i in range(len(names))}, **{n: i for i, n in enumerate(names)}}
    if name not in known:
        hint = ", ".join(f"triggers.{each}.length" for each in names)
        raise BadInput(f"there is no trigger for the knob {knob!r}", hint=hint)
    return known[name]


def _turned(trigger: Trigger, what: str, value: float, knob: str) -> Trigger:
    if what == "at":
        return _moved(trigger, value)
    if what == "length":
        begin = trigger.at or 0.0
        actions = tuple(_until(a, begin + value) for a in trigger.actions)
    else:
        actions = _first(trigger.actions, what, value)
    if actions == trigger.actions and not any(_has(a, what) for a in trigger.actions):
        raise BadInput(f"no action of this trigger has a {what}", detail=knob)
    return msgspec.structs.replace(trigger, actions=actions)


def _has(action: Action, what: str) -> bool:
    return hasattr(action, "until" if what == "length" else what)


def _until(action: Action, until: float) -> Action:
    given = getattr(action, "until", None)
    return action if given is None else msgspec.structs.replace(action, until=until)


def _moved(trigger: Trigger, at: float) -> Trigger:
    shift = at - (trigger.at or 0.0)
    actions = tuple(_until(a, (getattr(a, "until", None) or 0.0) + shift) for a in trigger.actions)
    return msgspec.structs.replace(trigger, at=at, actions=actions)


def _first(actions: tuple[Action, ...], what: str, value: float) -> tuple[Action, ...]:
    for i, action in enumerate(actions):
        if hasattr(action, what):
            new: Any = max(1, round(value)) if what == "count" else value
            changed = msgspec.structs.replace(action, **{what: new})
            return (*actions[:i], changed, *actions[i + 1 :])
    return actions


def _last(trigger: Trigger) -> float:
    at = trigger.at or 0.0
    return max([at, *(getattr(a, "until", None) or at for a in trigger.actions)])


def with_loads(model: Model, factor: float) -> Model:
    """The model with the rate of every open and agentic client times `factor`.

    Triggers that set a rate to a number are scaled too, so that their ratio to the load stays.
    """
    for name, client in model.clients.items():
        rate = getattr(client, "rate", None)
        if rate is not None:
            model = replace(model, f"{name}.rate", rate * factor)
    rates = {f"{name}.rate" for name in model.clients}

    def scaled(action: Action) -> Action:
        if isinstance(action, Set) and action.path in rates:
            return msgspec.structs.replace(action, value=action.value * factor)
        return action

    triggers = tuple(
        msgspec.structs.replace(t, actions=tuple(scaled(a) for a in t.actions))
        for t in model.triggers
    )
    return msgspec.structs.replace(model, triggers=triggers)
