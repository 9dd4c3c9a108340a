"""Who waits for whom, and because of which locks.

Owns the edges between sessions, made with the server's conflict matrix. Must
never call two sessions in conflict because they merely lock the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass

from howdah.postgres import lock_modes
from howdah.postgres.lock_modes import LOCK_MODES
from howdah.snapshot.facts.activity import Lock
from howdah.snapshot.picture import Picture


def conflict(one: str, other: str) -> bool:
    """Whether two sessions cannot hold these modes of the same object at once.

    Modes that are none of a table (those of predicate locks) exclude nobody.
    """
    return {one, other} <= set(LOCK_MODES) and lock_modes.conflict(one, other)


def strength(mode: str) -> int:
    """A mode's place in the order of strength; -1 for one that is none of a table."""
    return LOCK_MODES.index(mode) if mode in LOCK_MODES else -1


@dataclass(frozen=True)
class Edge:
    """One session that waits, and one that it waits for.

    `held` is the mode with which the blocker is in the way, `is_queued` tells that it waits itself
    and merely came first. `held` None: the locks were read a moment later and no longer show it.
    """

    waiter: int
    blocker: int  # 0 is a prepared transaction
    kind: str
    relation: str | None
    wanted: str
    held: str | None
    is_queued: bool
    seconds: float | None


def edges(picture: Picture) -> tuple[Edge, ...]:
    """Who waits for whom: the server's word, with the conflicting locks that prove it."""
    by_session: dict[int, list[Lock]] = {}
    for lock in picture.snapshot.locks.rows:
        by_session.setdefault(lock.pid, []).append(lock)
    found = []
    for row in picture.snapshot.blocking.rows:
        awaited = next((lk for lk in by_session.get(row.pid, ()) if not lk.is_granted), None)
        found += [
            _edge(row.pid, blocker, awaited, by_session.get(blocker, []))
            for blocker in dict.fromkeys(row.blockers)
        ]
    return tuple(found)


def _edge(waiter: int, blocker: int, awaited: Lock | None, held: list[Lock]) -> Edge:
    against = [lock for lock in held if awaited is not None and _in_the_way(awaited, lock)]
    chosen = max(against, key=lambda lock: (lock.is_granted, strength(lock.mode)), default=None)
    return Edge(
        waiter=waiter,
        blocker=blocker,
        kind=awaited.kind if awaited else "",
        relation=awaited.relation if awaited else None,
        wanted=awaited.mode if awaited else "",
        held=chosen.mode if chosen else None,
        is_queued=chosen is not None and not chosen.is_granted,
        seconds=awaited.seconds_waiting if awaited else None,
    )


def _in_the_way(awaited: Lock, held: Lock) -> bool:
    same = awaited.kind == held.kind and awaited.relation_oid == held.relation_oid
    return same and conflict(awaited.mode, held.mode)


def roots(found: tuple[Edge, ...]) -> tuple[int, ...]:
    """Blockers that wait for nobody: the ones to look at."""
    waiting = {edge.waiter for edge in found}
    return tuple(dict.fromkeys(e.blocker for e in found if e.blocker not in waiting))


def beneath(found: tuple[Edge, ...], root: int) -> tuple[tuple[int, Edge], ...]:
    """The tree below a session, depth first: how deep, and the edge that leads there; each once."""
    seen = {root}
    placed: list[tuple[int, Edge]] = []

    def descend(blocker: int, depth: int) -> None:
        for edge in found:
            if edge.blocker == blocker and edge.waiter not in seen:
                seen.add(edge.waiter)
                placed.append((depth, edge))
                descend(edge.waiter, depth + 1)

    descend(root, 1)
    return tuple(placed)
