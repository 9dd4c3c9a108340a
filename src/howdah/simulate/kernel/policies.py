"""Policies made ready for the kernel: parameters, state, and compiled hooks with their addresses.

Owns the compiling of a user's function and what it means that it cannot be compiled. A hook has
one fixed C signature, so that a new policy never recompiles the kernel. Must never call a hook.
"""

from __future__ import annotations

import types as python
from collections.abc import Callable
from typing import Any

import msgspec
from numba import njit, types
from numba.core.ccallback import CFunc
from numba.core.errors import NumbaError

from howdah.errors import Unsupported
from howdah.simulate.kernel.disk import cache_of, has_file
from howdah.simulate.model import Policy
from howdah.simulate.policies.policy import Kind, find

_pointer: Any = types.CPointer
_NUMBERS = _pointer(types.float64)
_SIGNATURE = (_NUMBERS, _NUMBERS, _NUMBERS, types.float64), types.float64
_compiled: dict[Callable[..., Any], Any] = {}  # kept alive: the kernel has their addresses


class Brain(msgspec.Struct):
    """One policy object of an element; `place` is the offset of its parameters in the arena."""

    kind: Kind
    parameters: list[float]
    state: list[float]
    place: int = 0

    def address(self, hook: str) -> int:
        """The address of a compiled hook; 0 if the policy has none of that name."""
        function = self.kind.hooks.get(hook)
        return 0 if function is None else address_of(function)


def brain(policy: Policy) -> Brain:
    """A policy with its arguments. Raises BadInput, and Unsupported when it cannot be compiled."""
    kind = find(policy.name)
    parameters = kind.parameters(policy.arguments)
    return Brain(kind=kind, parameters=parameters, state=kind.initial(parameters))


def _with_compiled_callees(function: Callable[..., Any]) -> python.FunctionType:
    """The same function, whose plain Python callees of its module are compiled."""
    assert isinstance(function, python.FunctionType)
    found = dict(function.__globals__)
    for name in function.__code__.co_names:
        callee = found.get(name)
        if isinstance(callee, python.FunctionType):
            found[name] = njit(error_model="numpy")(_with_compiled_callees(callee))
    made = python.FunctionType(
        function.__code__, found, function.__name__, function.__defaults__, function.__closure__
    )
    made.__module__, made.__qualname__ = function.__module__, function.__qualname__
    return made


def address_of(function: Callable[..., Any]) -> int:
    """The address of a hook, compiled or taken from the disk. Raises Unsupported."""
    if function not in _compiled:
        if not isinstance(function, python.FunctionType):
            raise Unsupported(f"{function!r} is no plain function, so it cannot be compiled")
        ready = _with_compiled_callees(function)
        made: Any = CFunc(ready, _SIGNATURE, locals={}, options={"error_model": "numpy"})
        if has_file(function):
            made._cache = cache_of(ready)
        try:
            made.compile()
        except NumbaError as error:
            raise Unsupported(
                f"{function.__module__}.{function.__qualname__} cannot be compiled",
                detail=str(error).strip().splitlines()[-1],
                hint="run it on the reference engine",
            ) from error
        _compiled[function] = made
    return int(_compiled[function].address)
