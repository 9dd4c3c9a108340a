"""Autovacuum's own arithmetic: when it comes for a table, when it must, and whether it may.

Owns the formulas of the server's launcher and workers, so that rules compare counters with what the
server itself compares them with. Must never judge: thresholds of ours belong to the rules.

Every formula is that of `relation_needs_vacanalyze` and its kin in PostgreSQL 14 to 18.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from howdah.snapshot.facts.catalog import Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.picture import Picture

VACUUMED_KINDS = frozenset("rm")  # tables and materialised views; TOAST is folded into them
_FALSE = frozenset({"f", "fa", "fal", "fals", "false", "of", "off", "n", "no", "0"})

HIDDEN = "a vacuum is at work whose table the role may not see"
# Inserts, updates, deletes, vacuums and ANALYZEs are counted where they happen: on the primary.
STANDBY = "a standby does not count what changes. Try: its primary"

# MultiXactMemberFreezeThreshold: above the first autovacuum shortens its patience with MultiXacts,
# above the second it has none left.
MEMBER_SAFE = 2**31
MEMBER_DANGER = 2**32 - 2**30


@dataclass(frozen=True, kw_only=True)
class Heap:
    """What one vacuum works on: a table's, a materialised view's or a TOAST table's own file."""

    relation: Relation
    is_toast: bool
    oid: int
    options: tuple[str, ...]  # those that autovacuum heeds for it
    xid_age: int
    mxid_age: int

    @property
    def name(self) -> str:
        """`schema.name` of the table that a person knows."""
        return f"{self.relation.schema}.{self.relation.name}"


def users_tables(picture: Picture) -> list[Relation]:
    """The users' tables and materialised views: what routine vacuums are for."""
    return [row for row in picture.user_relations if row.kind in VACUUMED_KINDS]


def dead_pages(picture: Picture, row: TableStatistics) -> float:
    """Pages that a table's dead rows fill, at the same size as its live rows."""
    rows = row.dead + max(0, row.live)
    return picture.pages(row.relation) * row.dead / rows if rows else 0.0


def heaps(relation: Relation) -> Iterator[Heap]:
    """The heaps of a relation that carry an age: its own, then its TOAST table's."""
    if relation.xid_age is not None and relation.mxid_age is not None:
        yield Heap(
            relation=relation,
            is_toast=False,
            oid=relation.oid,
            options=relation.options,
            xid_age=relation.xid_age,
            mxid_age=relation.mxid_age,
        )
    if relation.toast_oid and relation.toast_xid_age is not None:
        yield Heap(
            relation=relation,
            is_toast=True,
            oid=relation.toast_oid,
            # A TOAST table without any option of its own follows its table's.
            options=relation.toast_options or relation.options,
            xid_age=relation.toast_xid_age,
            mxid_age=relation.toast_mxid_age or 0,
        )


def option(options: tuple[str, ...], name: str) -> str | None:
    """The value of one storage parameter, None where it is not set."""
    prefix = f"{name}="
    return next((o.removeprefix(prefix) for o in options if o.startswith(prefix)), None)


def is_enabled(options: tuple[str, ...]) -> bool:
    """Whether the storage parameters let autovacuum do its routine work."""
    value = option(options, "autovacuum_enabled")
    return value is None or value.strip("'").lower() not in _FALSE


def is_enabled_on_server(picture: Picture) -> bool | None:
    """Whether the server does routine autovacuum at all; None where its settings are not known.

    `track_counts` counts: without counters autovacuum does not know where to go.
    """
    switches = [picture.setting_on(name) for name in ("autovacuum", "track_counts")]
    if False in switches:
        return False
    return None if None in switches else True


# --- when routine work is due ---------------------------------------------------------------------


def trigger(base: float, scale: float, tuples: float, cap: float | None = None) -> float:
    """Rows that must have changed before autovacuum comes: base + scale x tuples, at most `cap`.

    A negative `cap` means none; negative `tuples` (never counted) are taken for 0.
    """
    due = base + scale * max(0.0, tuples)
    return min(due, cap) if cap is not None and cap >= 0 else due


def insert_trigger(base: float, scale: float, tuples: float, unfrozen: float = 1.0) -> float:
    """Inserted rows that bring a vacuum; infinite where a negative base switches that off.

    Since 18 the scale counts only the share of pages that is not frozen yet.
    """
    return math.inf if base < 0 else base + scale * max(0.0, tuples) * unfrozen


def vacuum_due(picture: Picture, relation: Relation) -> float | None:
    """Dead rows above which autovacuum comes; None where settings are not known."""
    base = picture.effective_number(relation, "autovacuum_vacuum_threshold")
    scale = picture.effective_number(relation, "autovacuum_vacuum_scale_factor")
    if base is None or scale is None:
        return None
    cap = picture.effective_number(relation, "autovacuum_vacuum_max_threshold")  # 18 and later
    return trigger(base, scale, relation.tuples, cap)


def insert_due(picture: Picture, relation: Relation) -> float | None:
    """Inserted rows above which autovacuum comes; infinite where that is off."""
    base = picture.effective_number(relation, "autovacuum_vacuum_insert_threshold")
    scale = picture.effective_number(relation, "autovacuum_vacuum_insert_scale_factor")
    if base is None or scale is None:
        return None
    frozen, pages = relation.all_frozen_pages, relation.pages
    unfrozen = 1 - min(frozen, pages) / pages if frozen and pages else 1.0
    return insert_trigger(base, scale, relation.tuples, unfrozen)


def analyze_due(picture: Picture, relation: Relation) -> float | None:
    """Modified rows above which autovacuum analyses; None where settings are not known."""
    base = picture.effective_number(relation, "autovacuum_analyze_threshold")
    scale = picture.effective_number(relation, "autovacuum_analyze_scale_factor")
    if base is None or scale is None:
        return None
    return trigger(base, scale, relation.tuples)


# --- when it must come: anti-wraparound -----------------------------------------------------------


def _capped(options: tuple[str, ...], name: str, server: float) -> float:
    """A table may only shorten the server's patience."""
    own = option(options, name)
    return min(server, float(own)) if own is not None and float(own) >= 0 else server


def xid_limit(picture: Picture, heap: Heap) -> float | None:
    """The age at which an anti-wraparound vacuum is forced; None where settings are not known."""
    server = picture.setting_number("autovacuum_freeze_max_age")
    if server is None:
        return None
    return _capped(heap.options, "autovacuum_freeze_max_age", server)


def mxid_limit(picture: Picture, heap: Heap) -> float | None:
    """The MultiXact age that forces a vacuum, lowered while members run short."""
    server = picture.setting_number("autovacuum_multixact_freeze_max_age")
    if server is None:
        return None
    sample = next(iter(picture.snapshot.multixacts.rows), None)
    if sample is not None:
        server = min(server, member_limit(sample.count, sample.members, server))
    return _capped(heap.options, "autovacuum_multixact_freeze_max_age", server)


def member_limit(multixacts: int, members: int, limit: float) -> float:
    """The MultiXact age that so many living members leave of `limit`.

    Up to 2^31 members it is `limit`; then it falls linearly, to 0 at three quarters of 2^32.
    """
    if members <= MEMBER_SAFE:
        return limit
    share = (members - MEMBER_SAFE) / (MEMBER_DANGER - MEMBER_SAFE)
    return min(limit, max(0.0, multixacts * (1 - share)))


def failsafe(picture: Picture, setting: str, freeze_setting: str) -> float | None:
    """The age at which a running vacuum drops everything but freezing.

    The server raises a failsafe below 105 % of the freeze limit to that; None where not known.
    """
    own, freeze = picture.setting_number(setting), picture.setting_number(freeze_setting)
    if own is None or freeze is None:
        return None
    return max(own, freeze * 1.05)


# --- who is at work -------------------------------------------------------------------------------


def vacuumed_now(picture: Picture) -> frozenset[int]:
    """Heaps of this database that a vacuum is working on; empty also where that is not known."""
    database = picture.server.database
    rows = picture.snapshot.vacuum_progress.rows
    return frozenset(row.relation_oid for row in rows if row.database == database)


def hides_vacuums(picture: Picture) -> bool:
    """Whether some vacuum is at work on a table that the role may not see."""
    return picture.snapshot.vacuum_progress.left_out > 0


def workers(picture: Picture) -> tuple[int, float] | None:
    """Autovacuum workers at work, of how many; None where sessions or settings are not visible."""
    limit = picture.setting_number("autovacuum_max_workers")
    sessions = picture.snapshot.sessions
    if limit is None or not sessions.known or not picture.server.is_monitor:
        return None
    return sum(s.backend_type == "autovacuum worker" for s in sessions.rows), limit
