"""Compiling many functions as one: they are linked and optimised once, at the end.

numba optimises every function together with all that it calls, as soon as it is compiled; over
the kernel's two hundred functions, layer upon layer, that takes minutes. Here what is called is
only translated, and the outermost function is linked with all of them and optimised once.
Owns the two places of numba that are held back meanwhile. Must never stay active longer than one
compilation; numba's own lock is held, so no other thread compiles.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core.codegen import CPUCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.cpu import CPUContext

_dynfunc: Any = importlib.import_module("numba._dynfunc")
_library: Any = CPUCodeLibrary
_context: Any = CPUContext


def _all_below(library: Any) -> list[Any]:
    """Every library that this one needs, however deep, each once and before those that it needs.

    The order matters: LLVM drops a function that may be defined elsewhere too when it is linked
    before anything refers to it.
    """
    found: dict[Any, None] = {}

    def visit(one: Any) -> None:
        for needed in one._linking_libraries:
            if needed not in found:
                visit(needed)
        found[one] = None

    visit(library)
    return [one for one in reversed(found) if one is not library]


def _undefined(library: Any) -> list[str]:
    """Functions of ours that are called but not there: they would be called at address 0."""
    return [
        one.name
        for one in library._final_module.functions
        if one.is_declaration and "howdah" in one.name
    ]


@contextmanager
def linked_once(root: Callable[..., Any]) -> Iterator[None]:
    """While active, only the library of the function `root` is linked, optimised and loaded."""
    finalize, executable = _library.finalize, _context.get_executable

    def held_back(library: Any) -> None:
        if library.name == root.__qualname__:
            library._linking_libraries = _all_below(library)
            finalize(library)
            if missing := _undefined(library):
                raise AssertionError(f"not linked: {missing}")
        else:
            library._finalized = True

    def not_loaded(context: Any, library: Any, function: Any, environment: Any) -> Any:
        if library.name == root.__qualname__:
            return executable(context, library, function, environment)
        name = function.qualname.split(".")[-1]
        module = function.lookup_module()
        return _dynfunc.make_function(module, name, "", 0, environment, (library,))

    with global_compiler_lock:
        _library.finalize, _context.get_executable = held_back, not_loaded
        try:
            yield
        finally:
            _library.finalize, _context.get_executable = finalize, executable
