"""From ticks to one screen: shares, root blockers, depths."""

from __future__ import annotations

from howdah.report.watching import view
from howdah.snapshot.sampler import (
    Blocked,
    Blocker,
    Counters,
    Horizon,
    QueueDepth,
    Tick,
    WaitCount,
)


def tick(second: int, **given: object) -> Tick:
    values: dict[str, object] = {
        "at": f"2026-01-15T12:00:{second:02}+00:00",
        "waits": (),
        "hidden": 0,
        "blocking": (),
        "horizon": None,
        "queues": (),
        "counters": Counters(0, 0, 0, 0, None),
    }
    return Tick(**(values | given))  # type: ignore[arg-type] # the values fit their fields


def test_shares_are_of_database_time_and_waiting_for_a_client_is_none() -> None:
    waits = (
        WaitCount("IO", "WalSync", 1),
        WaitCount("", "", 3),
        WaitCount("Client", "ClientRead", 9),
    )
    seen = view([tick(0, waits=waits), tick(1, waits=waits)], server="x", database="y")
    assert [(each.kind, each.share) for each in seen.waits] == [("on CPU", 0.75), ("IO", 0.25)]
    assert seen.active == 4


def test_a_chain_is_charged_to_its_root() -> None:
    chain = (Blocked(3, (2,)), Blocked(2, (1,)), Blocked(4, (1,)))
    root = Blocker(1, "migration", "idle in transaction", 12.0, "ALTER TABLE t ADD c int")
    seen = view([tick(0, blocking=chain, blockers=(root,))], server="x", database="y")
    assert [(each.pid, each.who, each.waiters) for each in seen.blockers] == [(1, "migration", 3)]


def test_a_deadlock_has_no_root_and_does_not_hang() -> None:
    cycle = (Blocked(1, (2,)), Blocked(2, (1,)))
    assert view([tick(0, blocking=cycle)], server="x", database="y").blockers == ()


def test_a_prepared_transaction_blocks_as_process_zero() -> None:
    seen = view([tick(0, blocking=(Blocked(5, (0,)),))], server="x", database="y")
    assert seen.blockers[0].who == "prepared transaction"


def test_depths_have_their_change_per_minute() -> None:
    before, after = QueueDepth("public.jobs", 100, 0), QueueDepth("public.jobs", 130, 7)
    seen = view([tick(0, queues=(before,)), tick(30, queues=(after,))], server="x", database="y")
    assert [(each.depth, each.dead, each.per_minute) for each in seen.queues] == [(130, 7, 60.0)]


def test_what_is_hidden_is_said() -> None:
    seen = view([tick(0, hidden=2, horizon=Horizon("slot", "s", 7))], server="x", database="y")
    assert "2 sessions" in seen.missing[0]
    assert seen.holder is not None
    assert seen.holder.kind == "slot"
