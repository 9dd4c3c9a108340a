"""Rules on sessions that stand in the way, on hand-made pictures."""

from __future__ import annotations

from howdah.check.model import Kind, Severity
from howdah.check.rules.locks import blocking_tree, idle_in_transaction, lock_queue_behind_ddl
from howdah.snapshot.facts.activity import Blocking, Lock, Session
from howdah.snapshot.picture import Picture
from tests.making import objects, picture, row, verdict


def session(pid: int, state: str = "active", **given: object) -> Session:
    values: dict[str, object] = {
        "database": "shop",
        "role": "app",
        "application": f"worker {pid}",
        "is_visible": True,
        "backend_type": "client backend",
    }
    return row(Session, pid=pid, state=state, **(values | given))


def lock(pid: int, mode: str, *, granted: bool = True, seconds: float | None = None) -> Lock:
    return row(
        Lock,
        pid=pid,
        kind="relation",
        relation="public.t",
        relation_oid=9,
        mode=mode,
        is_granted=granted,
        seconds_waiting=seconds,
    )


def waits(pid: int, mode: str, seconds: float) -> Lock:
    return lock(pid, mode, granted=False, seconds=seconds)


def blocked(seconds: float) -> Picture:
    """1, idle in transaction, holds; 2 wants to change the table; 3 wants to read it."""
    return picture(
        sessions=[session(1, "idle in transaction"), session(2), session(3)],
        locks=[
            lock(1, "RowExclusiveLock"),
            waits(2, "AccessExclusiveLock", seconds),
            waits(3, "AccessShareLock", seconds),
        ],
        blocking=[row(Blocking, pid=2, blockers=(1,)), row(Blocking, pid=3, blockers=(2,))],
    )


def test_the_session_at_the_root_is_reported_with_its_tree() -> None:
    result = verdict(blocking_tree, blocked(30))
    assert objects(result) == {"app@shop (worker 1)"}
    (finding,) = result.findings
    assert "idle in transaction" in finding.claim
    assert "2 sessions" in finding.claim
    tree = [(each["pid"], each["parent_pid"], each["depth"]) for each in finding.evidence]
    assert tree == [(1, None, 0), (2, 1, 1), (3, 2, 2)]
    assert finding.evidence[1]["held_mode"] == "RowExclusiveLock"
    assert finding.evidence[2]["is_behind_in_queue"]
    assert finding.remedies[0].manual


def test_a_long_wait_is_critical_and_a_short_one_normal() -> None:
    assert verdict(blocking_tree, blocked(90)).findings[0].severity is Severity.CRITICAL
    assert verdict(blocking_tree, blocked(0.2)).kind is Kind.OK


def test_nobody_waiting_is_ok() -> None:
    assert verdict(blocking_tree, picture(sessions=[session(1)])).kind is Kind.OK


def test_a_prepared_transaction_can_be_the_root() -> None:
    seen = picture(
        sessions=[session(2)],
        locks=[waits(2, "ShareLock", 10)],
        blocking=[row(Blocking, pid=2, blockers=(0,))],
    )
    assert objects(verdict(blocking_tree, seen)) == {"a prepared transaction"}


def test_sessions_of_one_name_are_numbered() -> None:
    seen = picture(
        sessions=[session(n, application="") for n in (1, 2, 3, 4)],
        locks=[waits(3, "ShareLock", 10), waits(4, "ShareLock", 10)],
        blocking=[row(Blocking, pid=3, blockers=(1,)), row(Blocking, pid=4, blockers=(2,))],
    )
    assert objects(verdict(blocking_tree, seen)) == {"app@shop", "app@shop #2"}


def test_a_schema_change_that_others_queue_behind_is_found() -> None:
    result = verdict(lock_queue_behind_ddl, blocked(30))
    assert objects(result) == {"public.t"}
    assert result.findings[0].remedies[0].arguments == {"pid": "2"}


def test_a_session_that_the_holder_blocks_as_well_is_not_the_changes_fault() -> None:
    seen = picture(
        sessions=[session(1), session(2), session(3)],
        locks=[
            lock(1, "AccessExclusiveLock"),
            waits(2, "AccessExclusiveLock", 9),
            waits(3, "AccessShareLock", 9),
        ],
        blocking=[row(Blocking, pid=2, blockers=(1,)), row(Blocking, pid=3, blockers=(1, 2))],
    )
    assert verdict(lock_queue_behind_ddl, seen).kind is Kind.OK


def idle(**given: object) -> Session:
    return session(1, "idle in transaction", **given)


def test_an_old_idle_transaction_is_found_and_a_young_one_not() -> None:
    old = picture(sessions=[idle(seconds_in_state=400.0)])
    assert verdict(idle_in_transaction, old).findings[0].severity is Severity.NOTICE
    young = picture(sessions=[idle(seconds_in_state=4.0)])
    assert verdict(idle_in_transaction, young).kind is Kind.OK


def test_one_that_holds_the_horizon_is_a_warning_at_any_age() -> None:
    seen = picture(sessions=[idle(seconds_in_state=4.0, xmin_age=500_000)])
    assert verdict(idle_in_transaction, seen).findings[0].severity is Severity.WARNING


def test_one_that_blocks_is_a_warning_once_the_wait_is_long() -> None:
    assert verdict(idle_in_transaction, blocked(30)).findings[0].severity is Severity.WARNING
    assert verdict(idle_in_transaction, blocked(0.1)).kind is Kind.OK


def test_an_idle_connection_is_harmless() -> None:
    seen = picture(sessions=[session(1, "idle", seconds_in_state=9e5)])
    assert verdict(idle_in_transaction, seen).kind is Kind.OK


def test_hidden_sessions_are_not_examined() -> None:
    seen = picture(sessions=[row(Session, pid=1), row(Session, pid=2)])
    assert verdict(idle_in_transaction, seen).kind is Kind.UNKNOWN
