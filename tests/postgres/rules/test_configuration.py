"""The configuration of real servers."""

from __future__ import annotations

import psycopg
import pytest

from howdah.check.model import Kind
from howdah.check.rules.configuration import (
    checksum_failures,
    dangerous_setting,
    dangers_of,
    pending_restart,
)
from howdah.postgres import Server
from howdah.testing import wait_until
from howdah.testing.fixtures import OwnServer
from tests.applying import found
from tests.looking import look, run, value

BAD = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "enable_seqscan": "off",
    "synchronous_commit": "off",
}


def test_dangerous_settings_and_their_remedies(own_server: OwnServer) -> None:
    server = own_server(BAD)
    result = look(server, dangerous_setting)
    assert found(result) == set(BAD)
    assert result.examined == result.of == len(dangers_of(server.major))
    for finding in result.findings:
        (remedy,) = finding.remedies
        run(server, *remedy.sql, *remedy.inverse, *remedy.retry_safe)
    for name in BAD:
        wait_until(lambda n=name: value(server, f"SHOW {n}") == "on")  # type: ignore[misc] # bound now
    assert look(server, dangerous_setting).kind is Kind.OK


def test_settings_that_wait_for_a_restart(own_server: OwnServer) -> None:
    server = own_server()
    assert look(server, pending_restart).kind is Kind.OK
    run(server, "ALTER SYSTEM SET max_connections = 70", "SELECT pg_reload_conf()")
    waiting = "SELECT pending_restart FROM pg_settings WHERE name = 'max_connections'"
    wait_until(lambda: value(server, waiting))
    assert found(look(server, pending_restart)) == {"max_connections"}
    server.restart()
    assert look(server, pending_restart).kind is Kind.OK


def test_a_setting_of_one_database_is_not_reached_by_alter_system(own_server: OwnServer) -> None:
    server = own_server({"fsync": "on"})
    run(server, "ALTER DATABASE postgres SET synchronous_commit = off")
    (finding,) = look(server, dangerous_setting).findings
    assert finding.object == "synchronous_commit"
    assert finding.remedies[0].manual


def test_a_damaged_page_is_noticed_where_checksums_are_on(own_server: OwnServer) -> None:
    server = own_server()
    if value(server, "SHOW data_checksums") == "off":
        assert look(server, checksum_failures).kind is Kind.NOT_APPLICABLE
        return
    assert look(server, checksum_failures).kind is Kind.OK
    run(server, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS a", "CHECKPOINT")
    path = value(server, "SELECT pg_relation_filepath('t')")
    server.stop()
    _damage(server, path)
    server.restart()
    with pytest.raises(psycopg.errors.DataCorrupted):
        run(server, "SELECT count(*) FROM t")
    counted = "SELECT checksum_failures FROM pg_stat_database WHERE datname = 'postgres'"
    wait_until(lambda: value(server, counted))
    assert found(look(server, checksum_failures)) == {"database postgres"}


def _damage(server: Server, path: str) -> None:
    """Change one byte of the first page's rows."""
    file = server.data / path
    page = bytearray(file.read_bytes())
    page[8000] ^= 0xFF
    file.write_bytes(page)
