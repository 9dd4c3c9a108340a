"""The archive and the checkpoints of real servers."""

from __future__ import annotations

from howdah.check.model import Kind
from howdah.check.rules.wal import archiver_failing, checkpoints_requested
from howdah.testing import wait_until
from howdah.testing.fixtures import OwnServer
from tests.looking import look, run, value

SWITCH = "SELECT pg_logical_emit_message(true, 'test', 'x'), pg_switch_wal()"
RELOAD = "SELECT pg_reload_conf()"


def test_an_archiver_that_fails_and_recovers(own_server: OwnServer) -> None:
    server = own_server({"archive_mode": "on", "archive_command": "true"})
    run(server, SWITCH)
    wait_until(lambda: value(server, "SELECT archived_count FROM pg_stat_archiver"))
    idle = look(server, archiver_failing)
    assert idle.kind is Kind.OK, idle

    run(server, "ALTER SYSTEM SET archive_command = 'false'", RELOAD, SWITCH)
    wait_until(lambda: value(server, "SELECT failed_count FROM pg_stat_archiver"))
    (finding,) = look(server, archiver_failing).findings
    assert "failed on" in finding.claim

    run(server, "ALTER SYSTEM SET archive_command = ''", RELOAD)
    wait_until(lambda: value(server, "SHOW archive_command") == "")
    assert "neither a command" in look(server, archiver_failing).findings[0].claim

    run(server, "ALTER SYSTEM SET archive_command = 'true'", RELOAD, SWITCH)
    done = "SELECT last_archived_time > last_failed_time FROM pg_stat_archiver"
    wait_until(lambda: value(server, done), seconds=70)  # it retries once a minute at the latest
    assert look(server, archiver_failing).kind is Kind.OK


def test_without_archiving_nothing_applies_and_few_checkpoints_are_fine(
    own_server: OwnServer,
) -> None:
    server = own_server({"max_wal_size": "32MB", "min_wal_size": "32MB"})
    assert look(server, archiver_failing).kind is Kind.NOT_APPLICABLE
    assert look(server, checkpoints_requested).kind is Kind.OK
    run(server, *["CHECKPOINT"] * 12)
    assert look(server, checkpoints_requested).kind is Kind.OK  # people asked: hardly any WAL
    filling = "SELECT pg_logical_emit_message(false, 'test', repeat('x', 30000000))"
    run(server, *[filling] * 24)
    (finding,) = wait_until(lambda: look(server, checkpoints_requested).findings)  # 14 counts late
    (remedy,) = finding.remedies
    assert remedy.manual
    run(server, *remedy.sql, RELOAD)
    wait_until(lambda: value(server, "SHOW max_wal_size") != "32MB")
