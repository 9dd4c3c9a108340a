"""What holds the horizon, on hand-made pictures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from howdah.check.model import Confidence, Kind, Severity
from howdah.check.rules.horizon import horizon_held
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.activity import (
    IndexBuild,
    PreparedTransaction,
    Session,
    VacuumProgress,
)
from howdah.snapshot.facts.catalog import Database, Index, Relation
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.facts.replication import ReplicationSlot, Standby
from howdah.snapshot.picture import Picture
from tests.making import NOW, fact, objects, picture, row, server, verdict
from tests.unit.check.fresh_settings import settings

DATABASES = [
    row(Database, name="shop", is_current=True, allows_connections=True),
    row(Database, name="archive", allows_connections=True),
    row(Database, name="template0"),
]
TABLE = row(
    Relation, oid=1, schema="public", name="orders", kind="r", persistence="p", tuples=1000.0
)


def session(pid: int = 10, **given: Any) -> Session:
    values = {
        "database": "shop",
        "is_visible": True,
        "xmin_age": 50_000,
        "seconds_in_transaction": 600.0,
        "state": "idle in transaction",
    }
    return row(Session, pid=pid, **(values | given))


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


def dead(count: int = 4000, **given: Any) -> TableStatistics:
    return row(TableStatistics, relation=1, dead=count, live=1000, **given)


def seen(*sessions: Session, counted: TableStatistics | None = None, **facts: Any) -> Picture:
    return picture(
        settings=settings(),
        databases=DATABASES,
        relations=[TABLE],
        table_statistics=[counted or dead()],
        sessions=list(sessions),
        **facts,
    )


def test_a_long_transaction_with_dead_rows_behind_it_is_found() -> None:
    found = verdict(horizon_held, seen(session())).findings[0]
    assert found.object == "database shop"
    assert found.confidence is Confidence.ESTIMATED
    assert "Process 10" in found.claim
    assert "4,000 dead rows" in found.claim
    assert found.remedies[0].manual


def test_a_vacuum_in_vain_is_proof_however_short_the_transaction() -> None:
    of = seen(session(xmin_age=2, seconds_in_transaction=5.0), counted=dead(last_vacuum=ago(1)))
    found = verdict(horizon_held, of).findings[0]
    assert found.confidence is Confidence.MEASURED


def test_a_short_transaction_is_not_blamed_for_what_no_vacuum_met() -> None:
    before = dead(last_vacuum=ago(100))
    brief = session(xmin_age=2, seconds_in_transaction=5.0)
    assert verdict(horizon_held, seen(brief, counted=before)).kind is Kind.OK


def test_a_snapshot_in_another_database_is_never_blamed() -> None:
    elsewhere = session(database="archive", xmin_age=1_000_000)
    assert verdict(horizon_held, seen(elsewhere)).kind is Kind.OK


def test_by_its_age_alone_another_database_is_reported_for_itself() -> None:
    elsewhere = session(database="archive", xmin_age=30_000_000)
    assert objects(verdict(horizon_held, seen(elsewhere))) == {"database archive"}


def test_prepared_transactions_of_this_database_hold_it() -> None:
    gid = "it's"
    mine = row(PreparedTransaction, gid=gid, database="shop", xid_age=50_000, seconds_prepared=9e3)
    found = verdict(horizon_held, seen(prepared_transactions=[mine])).findings[0]
    assert found.remedies[0].sql == ("ROLLBACK PREPARED 'it''s'",)
    theirs = row(
        PreparedTransaction, gid=gid, database="archive", xid_age=50_000, seconds_prepared=9e3
    )
    assert verdict(horizon_held, seen(prepared_transactions=[theirs])).kind is Kind.OK


def test_slots_and_standbys_hold_every_database() -> None:
    slot = row(ReplicationSlot, name="standby_1", kind="physical", xmin_age=200_000)
    assert "standby_1" in verdict(horizon_held, seen(slots=[slot])).findings[0].claim
    feedback = row(Standby, pid=11, application="replica", xmin_age=200_000, is_visible=True)
    walsender = session(11, database=None, backend_type="walsender", xmin_age=200_000)
    found = verdict(horizon_held, seen(walsender, standbys=[feedback])).findings[0]
    assert [each["holder"] for each in found.evidence if "holder" in each] == ["standby"]


def test_a_catalog_xmin_holds_only_the_catalogs() -> None:
    slot = row(ReplicationSlot, name="cdc", kind="logical", catalog_xmin_age=200_000)
    assert verdict(horizon_held, seen(slots=[slot])).kind is Kind.OK
    old = row(ReplicationSlot, name="cdc", kind="logical", catalog_xmin_age=30_000_000)
    assert objects(verdict(horizon_held, seen(slots=[old]))) == {"database shop: catalogs"}


def test_vacuum_and_safe_concurrent_builds_hold_nothing() -> None:
    vacuum = row(VacuumProgress, pid=10, database="shop", relation_oid=1)
    assert verdict(horizon_held, seen(session(), vacuum_progress=[vacuum])).kind is Kind.OK
    build = row(IndexBuild, pid=10, index_oid=5, command="CREATE INDEX CONCURRENTLY")
    plain = row(Index, oid=5, relation=1, columns=(1,))
    partial = row(Index, oid=5, relation=1, columns=(1,), predicate="open")
    safe = seen(session(), index_builds=[build], indexes=[plain])
    assert verdict(horizon_held, safe).kind is Kind.OK
    unsafe = seen(session(), index_builds=[build], indexes=[partial])
    assert objects(verdict(horizon_held, unsafe)) == {"database shop"}


def test_the_collectors_own_snapshot_is_not_blamed() -> None:
    assert verdict(horizon_held, seen(session(is_own=True))).kind is Kind.OK


def test_the_older_of_a_sessions_two_ids_counts() -> None:
    both = session(xid_age=50_000, xmin_age=10)
    assert verdict(horizon_held, seen(both)).findings[0].evidence[0]["xmin_age"] == 50_000


def test_hidden_sessions_leave_it_unknown_only_where_one_may_be_a_vacuum() -> None:
    hidden = session(is_visible=False, xmin_age=200_000, seconds_in_transaction=None)
    blind: list[dict[str, Any]] = [
        {"vacuum_progress": fact(left_out=1)},
        {"index_builds": fact(left_out=1)},
        {"vacuum_progress": fact(status=Status.DENIED)},
    ]
    for facts in blind:
        result = verdict(horizon_held, seen(hidden, **facts))
        assert result.kind is Kind.UNKNOWN
        assert "1 sessions of this database" in result.reason
    # Nothing is hidden among the vacuums, and the age of a snapshot never is.
    found = verdict(horizon_held, seen(hidden)).findings[0]
    assert found.confidence is Confidence.ESTIMATED
    idle = session(is_visible=False, xmin_age=None)
    holds_nothing = seen(idle, vacuum_progress=fact(left_out=1))
    assert verdict(horizon_held, holds_nothing).kind is Kind.OK
    elsewhere = session(database="archive", is_visible=False)
    partial = verdict(horizon_held, seen(elsewhere, vacuum_progress=fact(left_out=1)))
    assert (partial.kind, partial.examined, partial.of) == (Kind.OK, 1, 2)


def test_an_age_near_the_failsafe_is_critical() -> None:
    old = session(xmin_age=900_000_000)
    assert verdict(horizon_held, seen(old)).findings[0].severity is Severity.CRITICAL


def test_a_standby_removes_nothing_by_itself() -> None:
    standby = seen(session(), of=server(in_recovery=True))
    assert verdict(horizon_held, standby).kind is Kind.NOT_APPLICABLE
