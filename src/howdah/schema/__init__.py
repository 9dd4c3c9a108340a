"""Install, upgrade and uninstall what Howdah keeps in a database.

Owns the `howdah` schema's versions and roles. Must never change an object that is not Howdah's.
"""

from __future__ import annotations

from howdah.schema.api import install
from howdah.schema.model import Component, Plan

__all__ = ["Component", "Plan", "install"]
