"""Install, upgrade and uninstall what Howdah keeps in a database.

Owns the `howdah` schema's versions and roles. Must never change an object that is not Howdah's.
"""

from __future__ import annotations

from howdah.schema.api import (
    install,
    require,
    require_async,
    script,
    status,
    uninstall,
    upgrade,
)
from howdah.schema.model import ROLES, Component, Phase, Plan, Standing, Step
from howdah.schema.store import requirement

__all__ = [
    "ROLES",
    "Component",
    "Phase",
    "Plan",
    "Standing",
    "Step",
    "install",
    "require",
    "require_async",
    "requirement",
    "script",
    "status",
    "uninstall",
    "upgrade",
]
