"""Values of a model by path: `db.speed`, `web.retry.most`, `ecs.policy.step`, `horizon`.

Owns how a path leads to a value and a model with another value there. Must never touch a running
engine: what can be set while running is the engine's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from howdah.errors import BadInput
from howdah.simulate.model import Model
from howdah.simulate.policies.policy import find, nearest

Value = float | int | str | bool | None
Tree = dict[str, Any]

ELEMENTS = ("clients", "stations", "controllers")


def read(model: Model, path: str) -> Value:
    """The value at `path`. Raises BadInput with the nearest path.

    A path is an element and a field of it (`db.speed`), an argument of a policy
    (`ecs.policy.step`), an entry of a list by number (`split.weights.0`), a trigger by number or
    name (`triggers.burst.actions.0.factor`), or a field of the model (`horizon`). Elements of a
    part are `part.element`.
    """
    holder, key = _find(_tree(model), path)
    value: Value = holder[key]
    return value


def replace(model: Model, path: str, value: Value) -> Model:
    """The same model with another value at `path`. Raises BadInput, also for a value that the
    model may not have there."""
    tree = _tree(model)
    holder, key = _find(tree, path)
    holder[key] = _like(holder[key], value)
    try:
        return msgspec.convert(tree, Model)
    except msgspec.ValidationError as error:
        raise BadInput(f"{path} cannot become {value!r}", detail=str(error)) from error


def numbers(model: Model) -> dict[str, float]:
    """Every number of the model by path: what a sweep can vary."""
    return {
        path: float(value)
        for path, value in _leaves(_tree(model))
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _tree(model: Model) -> Tree:
    tree: Tree = _thawed(msgspec.to_builtins(model))
    return tree


def _thawed(tree: Any) -> Any:
    """The same with lists for tuples, so that an entry can be changed."""
    if isinstance(tree, dict):
        return {key: _thawed(value) for key, value in tree.items()}
    return [_thawed(value) for value in tree] if isinstance(tree, list | tuple) else tree


def _like(old: Value, new: Value) -> Value:
    """A whole float where a whole number stands: sweeps know floats only."""
    whole = isinstance(new, float) and new.is_integer()
    return int(new) if whole and isinstance(old, int) and isinstance(new, float) else new


def _find(tree: Tree, path: str) -> tuple[Any, Any]:
    """What holds the value, and the key in it."""
    holder, rest = _element(tree, path.split("."))
    if holder is None or not rest:
        raise _unknown(tree, path)
    rest = [key for key in rest if key != "arguments"]
    for key in rest[:-1]:
        holder = _into(holder, key)
        place = _place(holder, key)
        if place is None:
            raise _unknown(tree, path)
        holder = holder[place]
    within = _into(holder, rest[-1])
    place = _place(within, rest[-1])
    tag = place == "kind" and within is holder
    if place is None or tag or isinstance(within[place], dict | list):
        raise _unknown(tree, path)
    return within, place


def _element(tree: Tree, parts: list[str]) -> tuple[Any, list[str]]:
    """Where a path begins: in an element of the model or of a part, or in the model itself."""
    first = parts[0]
    for family in ELEMENTS:
        if first in tree[family]:
            return tree[family][first], parts[1:]
    if first in tree["parts"] and len(parts) > 1:
        return _element(tree["parts"][first], parts[1:])
    if first == "triggers" and len(parts) > 1:
        return _trigger(tree, parts[1]), parts[2:]
    return (tree, parts) if first in tree else (None, parts)


def _trigger(tree: Tree, name: str) -> Any:
    for index, trigger in enumerate(tree["triggers"]):
        if name in (trigger["name"], str(index)):
            return trigger
    return None


def _place(holder: Any, key: str) -> Any:
    """The key or index that a part of a path means."""
    if isinstance(holder, list):
        return int(key) if key.isdecimal() and int(key) < len(holder) else None
    return key if isinstance(holder, dict) and key in holder else None


def _into(holder: Any, key: str) -> Any:
    """An argument of a policy needs no `arguments` in its path; not given, it has its default."""
    policy = isinstance(holder, dict) and holder.get("kind") == "policy"
    if not policy or key == "name" or (key == "kind" and "kind" not in _arguments(holder)):
        return holder
    _default(holder, key)
    return holder["arguments"]


def _arguments(policy: Tree) -> list[str]:
    return find(policy["name"]).names()


def _default(policy: Tree, argument: str) -> None:
    """An argument that was not given has the policy's default."""
    kind = find(policy["name"])
    if argument in policy["arguments"] or kind.struct is None:
        return
    index = kind.index(argument)
    words = kind.words(argument)
    default = kind.parameters({})[index]
    policy["arguments"] = policy["arguments"] | {
        argument: words[int(default)] if words else default
    }


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Value]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            inner = key in (*ELEMENTS, "parts", "arguments")
            yield from _leaves(value, prefix if inner else f"{prefix}{key}.")
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _leaves(value, f"{prefix}{index}.")
    elif not prefix.endswith("kind."):
        yield prefix[:-1], tree


def _unknown(tree: Tree, path: str) -> BadInput:
    known = [known for known, _ in _leaves(tree)]
    return BadInput(f"the model has nothing at {path}", hint=nearest(path, known))
