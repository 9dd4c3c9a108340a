"""A fact: rows, and what their presence or absence means.

Owns the seven statuses. Must never let "we could not look" pass for "there is nothing".
"""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar

import msgspec


class Status(StrEnum):
    """What became of a fact; only `present` and `empty` are knowledge."""

    PRESENT = "present"  # there are rows
    EMPTY = "empty"  # we looked, and there are none
    DENIED = "denied"  # the role may not look
    UNSUPPORTED = "unsupported"  # this server has no such thing: version or extension
    TIMEOUT = "timeout"  # a limit of ours ran out first
    LOCKED = "locked"  # somebody's lock was in the way
    SKIPPED = "skipped"  # not asked for, or over the budget


Row = TypeVar("Row")


class Fact(msgspec.Struct, Generic[Row], frozen=True, kw_only=True):
    """The rows of one kind, with their status.

    `reason` says why a fact is not known, or why some rows are missing; `left_out` counts objects
    that exist but whose row could not be read (locked, no privilege, over the budget).
    `seconds` is what reading it took.
    """

    status: Status
    rows: tuple[Row, ...] = ()
    reason: str = ""
    left_out: int = 0
    seconds: float = 0.0

    @property
    def known(self) -> bool:
        """Whether the rows, or their absence, are knowledge."""
        return self.status in (Status.PRESENT, Status.EMPTY)
