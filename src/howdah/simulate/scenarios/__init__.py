"""The built-in scenarios, one file each, found by their file names.

Owns the registry. Must never know what a scenario is about.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules

from howdah.errors import BadInput
from howdah.simulate.scenarios.scenario import (
    Expectation,
    Measured,
    Parameter,
    Report,
    Scenario,
)

__all__ = [
    "Expectation",
    "Measured",
    "Parameter",
    "Report",
    "Scenario",
    "all_scenarios",
    "names",
    "scenario",
]


def names() -> tuple[str, ...]:
    """The file names of the scenarios, in the order of their numbers."""
    return tuple(
        sorted(m.name for m in iter_modules(__path__) if re.fullmatch(r"a\d\d_\w+", m.name))
    )


@lru_cache(maxsize=1)
def all_scenarios() -> tuple[Scenario, ...]:
    """Every scenario, in the order of its number."""
    return tuple(import_module(f"{__name__}.{name}").SCENARIO for name in names())


def scenario(name: str) -> Scenario:
    """The scenario with this id ("A7") or file name ("a07_lifo"). Raises BadInput."""
    for file, each in zip(names(), all_scenarios(), strict=True):
        if name.lower() in (each.id.lower(), file):
            return each
    raise BadInput(
        f"there is no scenario {name!r}",
        hint=f"one of: {', '.join(each.id for each in all_scenarios())}",
    )
