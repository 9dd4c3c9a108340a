"""Pictures of a snapshot as inline SVG, one module each, all of one shape.

Owns which pictures there are and their order on the page. Each module has `draw(snapshot)`, a pure
function that returns a `Drawing`. Must never judge: lines and limits come from the server's own
settings and documentation, verdicts from the rules.
"""

from __future__ import annotations

from howdah.report.pictures import blocking, horizon, indexes, waits, wraparound
from howdah.report.pictures.drawing import Drawing
from howdah.snapshot.model import Snapshot

__all__ = ["Drawing", "draw_all"]

_ALL = (horizon, wraparound, waits, blocking, indexes)


def draw_all(snapshot: Snapshot) -> tuple[Drawing, ...]:
    """Every picture, in the order of the page."""
    return tuple(module.draw(snapshot) for module in _ALL)
