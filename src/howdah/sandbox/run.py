"""What one measured run saw: plain values.

Owns the shape of a measurement. Must never interpret it: whether a lock or a rewrite is dangerous
depends on sizes and traffic that a sandbox does not know.
"""

from __future__ import annotations

import msgspec

from howdah.postgres import lock_modes


class LockHeld(msgspec.Struct, frozen=True, kw_only=True):
    """One lock mode that a statement took, or queued for, on one relation."""

    relation: str
    """Quoted name with its schema, such as `public.orders`."""
    kind: str
    """`pg_class.relkind`: r table, p partitioned table, i index, I partitioned index, m, S, t."""
    mode: str
    """As `pg_locks.mode` spells it; see `howdah.postgres.lock_modes.LOCK_MODES`."""
    created: bool = False
    """The statement made this relation, so nobody else can be waiting for it."""


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """How often a statement began to read a relation, as the server counted it."""

    relation: str
    kind: str
    times: int


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why the server refused a statement."""

    sqlstate: str
    message: str
    detail: str = ""


class StatementRun(msgspec.Struct, frozen=True, kw_only=True):
    """One statement and what the server reported about it."""

    statement: str
    transactional: bool
    """False when the statement cannot run inside a transaction block."""
    seconds: float
    """From sending to completion on the client's clock, without the waits that we caused."""
    locks: tuple[LockHeld, ...] = ()
    rewritten: tuple[str, ...] = ()
    """Tables and materialised views that got a new file; TRUNCATE gives an empty one."""
    scanned: tuple[Scan, ...] = ()
    """Tables whose rows were read from end to end at least once."""
    indexes_built: tuple[str, ...] = ()
    """Indexes that are new or got a new file and are valid, on tables that existed before."""
    indexes_invalid: tuple[str, ...] = ()
    """Indexes that this statement left behind invalid."""
    created: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    wal_bytes: int = 0
    """Growth of the cluster's WAL meanwhile; exact when nothing else writes."""
    rows: int = -1
    """The command tag's row count; -1 where the command has none."""
    messages: tuple[str, ...] = ()
    """The server's own words down to DEBUG1: a cross-check, never the source of other fields."""
    refusal: Refusal | None = None

    def strongest(self, relation: str) -> str | None:
        """The strongest mode on that relation, by its quoted name; None when it was not locked."""
        return lock_modes.strongest(held.mode for held in self.locks if held.relation == relation)

    def scans(self, relation: str) -> int:
        """How often that relation was read from end to end."""
        return sum(scan.times for scan in self.scanned if scan.relation == relation)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Statements in the order in which they ran; it ends at the first refusal."""

    server: str
    """The version that ran them, such as `18.6`."""
    statements: tuple[StatementRun, ...]
    planned: int
    """How many statements were asked for."""

    @property
    def ok(self) -> bool:
        """Whether every statement ran and none was refused."""
        return len(self.statements) == self.planned and self.refusal is None

    @property
    def refusal(self) -> Refusal | None:
        """Why the run ended early; None when it did not."""
        return self.statements[-1].refusal if self.statements else None
