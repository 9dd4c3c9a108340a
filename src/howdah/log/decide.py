"""How a reader moves: pure decisions about windows and pages.

Owns the moves and the size of the next page. Must never ask a database or a clock.

States of a reader: *between* windows (`upto` is None) and *inside* one. From between, a peek that
finds something opens the window up to the peek's snapshot; one that finds nothing moves the floor
there, in memory only. Inside, a short page ends the window.
"""

from __future__ import annotations

import msgspec

from howdah.log.model import Page, Peek, Position

FIRST_ROWS = 1_000
MOST_ROWS = 50_000
"""A page sorts its whole window, so a large window is read in few large pages; see README.md."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Where a reader is, and how many rows its next page asks for."""

    position: Position
    rows: int = FIRST_ROWS


def peeked(reading: Reading, peek: Peek) -> Reading:
    """Between windows: open the next one, or move the floor when there is nothing in it."""
    seen = reading.position.seen
    if peek.waiting:
        return msgspec.structs.replace(reading, position=Position(seen=seen, upto=peek.upto))
    return msgspec.structs.replace(reading, position=Position(seen=peek.upto), rows=FIRST_ROWS)


def paged(reading: Reading, page: Page, *, payload_budget_bytes: int) -> Reading:
    """Inside a window: past the page, and a larger page next while the window goes on."""
    if not page.records:
        return Reading(position=Position(seen=page.upto))
    if page.complete:
        return Reading(position=page.end)
    return Reading(position=page.end, rows=_next_rows(reading.rows, page, payload_budget_bytes))


def _next_rows(rows: int, page: Page, budget: int) -> int:
    """Many more, as long as payloads of the size just seen fit into the budget."""
    mean = sum(len(each.payload) for each in page.records) // len(page.records) + 1
    return max(1, min(rows * 8, MOST_ROWS, budget // mean))
