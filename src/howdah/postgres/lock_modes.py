"""The eight relation lock modes: their order and which of them exclude each other.

Owns the names and the conflict table. Must never hold locks: it is arithmetic.

Source: PostgreSQL documentation, "Explicit Locking", table "Conflicting Lock Modes".
"""

from __future__ import annotations

from collections.abc import Iterable

LOCK_MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
"""As `pg_locks.mode` spells them, weakest first."""

_EXCLUDES: dict[str, frozenset[str]] = {
    "AccessShareLock": frozenset(LOCK_MODES[7:]),
    "RowShareLock": frozenset(LOCK_MODES[6:]),
    "RowExclusiveLock": frozenset(LOCK_MODES[4:]),
    "ShareUpdateExclusiveLock": frozenset(LOCK_MODES[3:]),
    "ShareLock": frozenset(LOCK_MODES[2:4] + LOCK_MODES[5:]),
    "ShareRowExclusiveLock": frozenset(LOCK_MODES[2:]),
    "ExclusiveLock": frozenset(LOCK_MODES[1:]),
    "AccessExclusiveLock": frozenset(LOCK_MODES),
}


def conflict(one: str, other: str) -> bool:
    """Whether two sessions cannot hold these modes on one relation at once.

    >>> conflict("ShareLock", "ShareLock"), conflict("ShareLock", "RowExclusiveLock")
    (False, True)
    """
    return other in _EXCLUDES[one]


def strongest(modes: Iterable[str]) -> str | None:
    """The last of `modes` in the order of `LOCK_MODES`; None when there are none.

    >>> strongest(["RowShareLock", "ShareRowExclusiveLock"])
    'ShareRowExclusiveLock'
    """
    return max(modes, key=LOCK_MODES.index, default=None)


def blocks_reads(mode: str) -> bool:
    """Whether a plain SELECT has to wait."""
    return conflict(mode, "AccessShareLock")


def blocks_writes(mode: str) -> bool:
    """Whether INSERT, UPDATE and DELETE have to wait."""
    return conflict(mode, "RowExclusiveLock")
