"""Which engine runs a model.

Owns the choice: the kernel, unless numba is missing or the model has something that cannot be
compiled; then the reference engine, with the reason. Must never import numba for a model that the
reference engine is asked for.
"""

from __future__ import annotations

from importlib.util import find_spec

import msgspec

from howdah.errors import BadInput, Unsupported
from howdah.simulate.engine import Engine
from howdah.simulate.model import Model

ENGINES = ("kernel", "reference")


class Chosen(msgspec.Struct, frozen=True):
    """An engine at second 0, and why it was taken."""

    engine: Engine
    why: str


def choose(model: Model, seed: int, engine: str | None = None) -> Chosen:
    """An engine of this name, or the kernel if it can run the model.

    Raises BadInput for a name that is none, Unsupported when the kernel is asked for and cannot.
    """
    if engine not in (None, *ENGINES):
        raise BadInput(f"there is no engine {engine}", hint=" or ".join(ENGINES))
    if engine == "reference":
        return Chosen(_reference(model, seed), "asked for")
    if find_spec("numba") is None:
        if engine == "kernel":
            raise Unsupported("the kernel needs numba", hint="pip install 'howdah[simulate]'")
        return Chosen(_reference(model, seed), "numba is not installed")
    try:
        return Chosen(_kernel(model, seed), "asked for" if engine else "it can run this model")
    except Unsupported as error:
        if engine == "kernel":
            raise
        return Chosen(_reference(model, seed), error.message)


def start(model: Model, seed: int, engine: str | None = None) -> Engine:
    """An engine at second 0, for those who need no run around it; the model is taken as valid."""
    return choose(model, seed, engine).engine


def _reference(model: Model, seed: int) -> Engine:
    from howdah.simulate.reference import ReferenceEngine

    return ReferenceEngine(model, seed)


def _kernel(model: Model, seed: int) -> Engine:
    from howdah.simulate.kernel.engine import KernelEngine
    from howdah.simulate.kernel.programs import program_of

    return KernelEngine(program_of(model), seed)
