"""The shape of a policy, and the register of all of them.

Owns how a policy is found by name, how its arguments become numbers, and which hooks exist. Must
never call a hook: engines do.

A policy is a module (or any object) with

- plain functions named after the hooks they answer, `(state, p, view, u) -> float`, that use only
  indexing, arithmetic, comparisons, `min`, `max`, `abs`, `int`, `math.sqrt` and `math.floor`, and
  numbers and plain functions of their module (so that they can be compiled and round the same);
- `Parameters`, a frozen struct whose fields, in order, are `p`; a choice of words is its index;
- `initial(p)`, the first values of `state`; with a `tick`, the first eight belong to the limits.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import types
from collections.abc import Callable, Mapping, MutableSequence, Sequence
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from howdah.errors import BadInput

HOOKS = ("admit", "observe", "tick", "retry", "route", "slowdown", "dequeue")
ABOUT = ("policy", "views")  # modules of this folder that are no policies

Numbers = MutableSequence[float]  # lists in the reference, arrays in the kernel
Hook = Callable[[Numbers, Numbers, Numbers, float], float]


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a policy without any."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as found: its hooks, its parameters, its first state."""

    name: str
    hooks: Mapping[str, Hook]
    struct: type[msgspec.Struct] | None  # None: arguments are taken as they come
    first: Callable[[Numbers], Sequence[float]] | None
    note: str = ""  # the docstring: source and constants

    def names(self) -> list[str]:
        """Names of the parameters, in the order of `p`."""
        if self.struct is None:
            return []
        return [field.name for field in msgspec.structs.fields(self.struct)]

    def parameters(self, arguments: Mapping[str, float | str]) -> list[float]:
        """`p`: the arguments, checked, with defaults for those not given. Raises BadInput."""
        if self.struct is None:
            return [_number(self.name, name, value) for name, value in arguments.items()]
        for name in arguments:
            self.index(name)
        try:
            checked = msgspec.convert(dict(arguments), self.struct, strict=False)
        except msgspec.ValidationError as error:
            raise BadInput(f"policy {self.name}: {error}") from error
        return [self.coded(name, getattr(checked, name)) for name in self.names()]

    def initial(self, p: Numbers) -> list[float]:
        """The first values of `state`; never empty."""
        state = [float(x) for x in self.first(p)] if self.first else []
        least = 8 if "tick" in self.hooks else 1
        return state + [0.0] * (least - len(state))

    def index(self, argument: str) -> int:
        """The place of a parameter in `p`. Raises BadInput with the nearest name."""
        names = self.names()
        if argument in names:
            return names.index(argument)
        raise BadInput(
            f"policy {self.name} has no argument {argument}", hint=nearest(argument, names)
        )

    def coded(self, argument: str, value: Any) -> float:
        """A value as a number of `p`: a word is its index. Raises BadInput."""
        words = self.words(argument)
        if words and value in words:
            return float(words.index(value))
        return _number(self.name, argument, value)

    def words(self, argument: str) -> tuple[str, ...]:
        """The words that a parameter may be; empty for a number."""
        assert self.struct
        hint = get_type_hints(self.struct)[argument]
        return get_args(hint) if get_origin(hint) is Literal else ()


def nearest(given: str, names: Sequence[str]) -> str:
    """The name that was probably meant, or the first of them all."""
    found = difflib.get_close_matches(given, names, n=1)
    if found:
        return found[0]
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")


def names() -> list[str]:
    """All policies of this folder."""
    package = importlib.import_module("howdah.simulate.policies")
    found = pkgutil.iter_modules(package.__path__)
    return sorted(one.name for one in found if one.name not in ABOUT)


@cache
def find(name: str) -> Kind:
    """The policy of that name, or `module:object` of one's own. Raises BadInput."""
    if ":" in name:
        return kind_of(name, _load(name))
    if name not in names():
        raise BadInput(f"there is no policy {name}", hint=nearest(name, names()))
    return kind_of(name, importlib.import_module(f"howdah.simulate.policies.{name}"))


def kind_of(name: str, found: Any) -> Kind:
    """The kind of a module, an object with hooks, or a function named after its hook."""
    if isinstance(found, types.FunctionType):
        hooks = {found.__name__: found}
    else:
        hooks = {hook: getattr(found, hook) for hook in HOOKS if callable(getattr(found, hook, 0))}
    if not hooks or not set(hooks) <= set(HOOKS):
        raise BadInput(
            f"{name} answers no hook", detail=f"hooks are functions named {', '.join(HOOKS)}"
        )
    struct = getattr(found, "Parameters", None)
    first = getattr(found, "initial", None)
    return Kind(name=name, hooks=hooks, struct=struct, first=first, note=found.__doc__ or "")


def _load(name: str) -> Any:
    """What `module:object` names."""
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise BadInput(f"policy {name} cannot be loaded", detail=str(error)) from error
    return found


def _number(policy: str, argument: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise BadInput(f"policy {policy}: {argument} = {value!r} is no number") from error
    if number != number or abs(number) > 1e18:
        raise BadInput(f"policy {policy}: {argument} = {value!r} is out of bounds")
    return number
