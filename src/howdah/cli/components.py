"""The components that the command line can install.

Owns that one list. Must never hold anything about a component: each describes itself.
"""

from __future__ import annotations

from howdah import log, outbox, queue
from howdah.schema import Component

COMPONENTS: tuple[Component, ...] = (log.COMPONENT, outbox.COMPONENT, queue.COMPONENT)
