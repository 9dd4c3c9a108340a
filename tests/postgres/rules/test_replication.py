"""Slots and standbys of real servers."""

from __future__ import annotations

from howdah.check.model import Kind, Severity
from howdah.check.rules.replication import (
    slot_invalid_or_idle,
    slot_retention,
    standby_disconnected,
    standby_lag,
)
from howdah.postgres import Server
from howdah.testing import wait_until
from howdah.testing.fixtures import OwnServer
from tests.applying import found
from tests.looking import look, run, value

SWITCH = "SELECT pg_logical_emit_message(true, 'test', 'x'), pg_switch_wal()"
RELOAD = "SELECT pg_reload_conf()"
SINCE_TOLD = 17  # inactive_since


def test_slots_that_keep_wal_until_they_are_lost(own_server: OwnServer) -> None:
    server = own_server({"wal_level": "logical", "max_wal_size": "32MB", "wal_keep_size": "0"})
    assert look(server, slot_retention).kind is Kind.NOT_APPLICABLE
    assert look(server, slot_invalid_or_idle).kind is Kind.NOT_APPLICABLE

    run(server, "SELECT pg_create_physical_replication_slot('late', true)")
    assert look(server, slot_retention).kind is Kind.OK
    idle = look(server, slot_invalid_or_idle)
    if server.major < SINCE_TOLD:
        assert idle.findings[0].severity is Severity.NOTICE
    else:
        assert idle.kind is Kind.OK  # for some seconds only

    run(server, SWITCH, SWITCH, SWITCH, SWITCH)
    (endless,) = look(server, slot_retention).findings
    assert endless.severity is Severity.CRITICAL
    assert endless.evidence[0]["retained_bytes"] > 32 * 1024**2

    run(server, "ALTER SYSTEM SET max_slot_wal_keep_size = '100MB'", RELOAD)
    wait_until(lambda: value(server, "SHOW max_slot_wal_keep_size") == "100MB")
    (bounded,) = look(server, slot_retention).findings
    assert bounded.severity is Severity.WARNING

    run(server, "ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'", RELOAD)
    wait_until(lambda: value(server, "SHOW max_slot_wal_keep_size") == "16MB")
    run(server, SWITCH, "CHECKPOINT")
    lost = "SELECT wal_status = 'lost' FROM pg_replication_slots"
    wait_until(lambda: value(server, lost))
    assert look(server, slot_retention).kind is Kind.NOT_APPLICABLE
    (gone,) = look(server, slot_invalid_or_idle).findings
    assert "is lost" in gone.claim


def test_a_standby_and_its_primary(own_server: OwnServer) -> None:
    primary = own_server()
    assert look(primary, standby_disconnected).kind is Kind.NOT_APPLICABLE
    assert look(primary, standby_lag).kind is Kind.NOT_APPLICABLE
    with primary.standby({"wal_retrieve_retry_interval": "100ms"}) as standby:
        assert look(standby, standby_disconnected).kind is Kind.OK
        assert look(standby, standby_lag).kind is Kind.OK
        assert look(primary, standby_lag).kind is Kind.OK

        run(standby, "SELECT pg_wal_replay_pause()")
        wait_until(lambda: value(standby, "SELECT pg_get_wal_replay_pause_state()") == "paused")
        assert found(look(standby, standby_lag)) == {"this standby"}
        run(standby, "SELECT pg_wal_replay_resume()")

        run(primary, "ALTER SYSTEM SET synchronous_standby_names = 'ghost'", RELOAD)
        wait_until(lambda: value(primary, "SHOW synchronous_standby_names") == "ghost")
        (waiting,) = look(primary, standby_disconnected).findings
        assert "0 of 1 synchronous standbys" in waiting.claim
        blind = look(standby, standby_disconnected, user=_reader(primary, standby))
        assert blind.kind is Kind.UNKNOWN

        primary.stop("immediate")
        gone = "SELECT count(*) = 0 FROM pg_stat_wal_receiver"
        wait_until(lambda: value(standby, gone), seconds=20)
        (alone,) = look(standby, standby_disconnected).findings
        row = alone.evidence[0]
        assert row["received_position"] == row["replayed_position"]  # T30: this is not "0 lag"
        assert look(standby, standby_lag).kind is Kind.OK


def _reader(primary: Server, standby: Server) -> str:
    """A role without privileges, made on the primary and replayed on the standby."""
    run(primary, "SET synchronous_commit = local", "CREATE ROLE reader LOGIN")
    role = "SELECT 1 FROM pg_roles WHERE rolname = 'reader'"
    wait_until(lambda: value(standby, role))
    return "reader"
