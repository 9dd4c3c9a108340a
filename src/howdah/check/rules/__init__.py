"""The rules, a module per subject. Adding one touches no other file: `all_rules` finds it."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from howdah.check.model import Rule


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule of every module of this package, in the order of subject and id."""
    found: list[Rule] = []
    for module in pkgutil.iter_modules(__path__):
        subject = importlib.import_module(f"{__name__}.{module.name}")
        found.extend(value for value in vars(subject).values() if isinstance(value, Rule))
    return tuple(sorted(found, key=lambda rule: (rule.subject, rule.id)))
