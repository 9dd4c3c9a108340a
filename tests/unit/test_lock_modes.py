from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from howdah.postgres import lock_modes as locks
from howdah.postgres.lock_modes import LOCK_MODES

MODES = st.sampled_from(LOCK_MODES)


@given(MODES, MODES)
def test_conflict_is_mutual(one: str, other: str) -> None:
    assert locks.conflict(one, other) is locks.conflict(other, one)


def test_the_table_has_the_documentation_s_crosses() -> None:
    """Row by row as the documentation prints it, weakest first."""
    counts = [sum(locks.conflict(one, other) for other in LOCK_MODES) for one in LOCK_MODES]
    assert counts == [1, 2, 4, 5, 5, 6, 7, 8]
    assert not locks.conflict("ShareLock", "ShareLock")
    assert locks.conflict("ShareUpdateExclusiveLock", "ShareUpdateExclusiveLock")


def test_who_waits() -> None:
    assert [mode for mode in LOCK_MODES if locks.blocks_reads(mode)] == ["AccessExclusiveLock"]
    assert [mode for mode in LOCK_MODES if locks.blocks_writes(mode)] == list(LOCK_MODES[4:])


@given(st.lists(MODES))
def test_strongest(modes: list[str]) -> None:
    found = locks.strongest(modes)
    assert (found is None) is (not modes)
    if found is not None:
        assert sum(locks.conflict(found, other) for other in LOCK_MODES) == max(
            sum(locks.conflict(mode, other) for other in LOCK_MODES) for mode in modes
        )
