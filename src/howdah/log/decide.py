"""How a reader moves: pure decisions about windows and pages.

Owns the moves. Must never ask a database or a clock.

States of a reader: *between* windows (`upto` is None) and *inside* one. From between, a peek that
finds something opens the window up to the peek's snapshot; one that finds nothing moves the floor
there, in memory only. Inside, a page with nothing after it ends the window.
"""

from __future__ import annotations

from howdah.log.model import Page, Peek, Position

PAGE_ROWS = 50_000
PAGE_BYTES = 32 * 1024 * 1024
"""A page sorts what is left of its window, but for bulk loads; a window is rarely longer than a few
pages of this size."""


def peeked(position: Position, peek: Peek) -> Position:
    """Between windows: into the next one, or past what holds nothing for us."""
    if peek.waiting:
        return Position(seen=position.seen, upto=peek.upto)
    return Position(seen=peek.upto)


def paged(page: Page) -> Position:
    """Inside a window: past the page. A page without records has nothing after it either."""
    return page.end if page.records else Position(seen=page.upto)
