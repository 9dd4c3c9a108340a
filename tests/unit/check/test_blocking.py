"""The conflict matrix and the edges made with it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from howdah.check.knowledge.blocking import beneath, conflict, edges, roots
from howdah.postgres.lock_modes import LOCK_MODES
from howdah.snapshot.facts.activity import Blocking, Lock
from tests.making import picture, row

MODES = st.sampled_from(LOCK_MODES)


@given(MODES, MODES)
def test_conflicts_are_mutual(one: str, other: str) -> None:
    assert conflict(one, other) == conflict(other, one)


def test_the_matrix_has_as_many_conflicts_as_the_documentation() -> None:
    per_mode = [sum(conflict(one, other) for other in LOCK_MODES) for one in LOCK_MODES]
    assert per_mode == [1, 2, 4, 5, 5, 6, 7, 8]


def test_a_mode_that_is_none_of_a_table_conflicts_with_nothing() -> None:
    assert not conflict("SIReadLock", "AccessExclusiveLock")


def lock(pid: int, mode: str, *, granted: bool = True, relation: int = 9) -> Lock:
    return row(
        Lock,
        pid=pid,
        kind="relation",
        relation_oid=relation,
        relation="public.t",
        mode=mode,
        is_granted=granted,
    )


def test_an_edge_shows_the_conflicting_mode_and_no_other_lock_of_the_blocker() -> None:
    seen = picture(
        locks=[
            lock(1, "AccessExclusiveLock", granted=False),
            lock(2, "AccessExclusiveLock", relation=8),
            lock(2, "RowExclusiveLock"),
        ],
        blocking=[row(Blocking, pid=1, blockers=(2,))],
    )
    (edge,) = edges(seen)
    assert (edge.wanted, edge.held, edge.is_queued) == (
        "AccessExclusiveLock",
        "RowExclusiveLock",
        False,
    )


def test_the_root_waits_for_nobody_and_each_session_is_placed_once() -> None:
    seen = picture(
        locks=[],
        blocking=[
            row(Blocking, pid=2, blockers=(1,)),
            row(Blocking, pid=3, blockers=(2, 1)),
            row(Blocking, pid=4, blockers=(3,)),
        ],
    )
    found = edges(seen)
    assert roots(found) == (1,)
    placed = [(depth, edge.waiter) for depth, edge in beneath(found, 1)]
    assert placed == [(1, 2), (2, 3), (3, 4)]
