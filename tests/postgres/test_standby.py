"""Standbys that stream, and clones that are free."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from howdah.errors import Unsupported
from howdah.postgres import Server
from howdah.postgres import marker as markers
from howdah.testing import wait_until
from howdah.testing.fixtures import OwnServer


def count(server: Server, table: str = "t") -> int:
    with server.connect() as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


def fill(server: Server, rows: int) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS t (id int)")
        connection.execute("INSERT INTO t SELECT generate_series(1, %s)", (rows,))


def test_standby_streams_and_can_be_promoted(own_server: OwnServer) -> None:
    primary = own_server()
    fill(primary, 10)
    with primary.standby() as standby:
        assert standby.installation.major == primary.major
        wait_until(lambda: count(standby) == 10)
        fill(primary, 5)
        wait_until(lambda: count(standby) == 15)
        with standby.connect() as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(Unsupported, match="cannot be copied"):
            standby.clone()
        with primary.connect() as connection:
            slots = connection.execute("SELECT slot_name FROM pg_replication_slots").fetchall()
        assert slots == []
        primary.kill()
        standby.promote()
        fill(standby, 1)
        assert count(standby) == 16


def test_standby_comes_back_after_restarts(own_server: OwnServer) -> None:
    primary = own_server()
    fill(primary, 1)
    with primary.standby({"hot_standby_feedback": "on"}) as standby:
        standby.stop()
        fill(primary, 1)
        standby.restart()
        wait_until(lambda: count(standby) == 2)
        primary.restart()
        fill(primary, 1)
        wait_until(lambda: count(standby) == 3)
        standby.kill()
        standby.restart()
        wait_until(lambda: count(standby) == 3)


def test_clone_is_independent(own_server: OwnServer) -> None:
    original = own_server({"work_mem": "5MB"})
    fill(original, 10)
    with original.clone({"maintenance_work_mem": "7MB"}) as clone:
        assert clone.data != original.data
        mark, first = markers.require(clone.data), markers.require(original.data)
        assert mark.created > first.created
        fill(clone, 1)
        fill(original, 2)
        assert (count(clone), count(original)) == (11, 12)
        with clone.connect() as connection:
            assert connection.execute("SHOW work_mem").fetchone() == ("5MB",)
            assert connection.execute("SHOW maintenance_work_mem").fetchone() == ("7MB",)
        original.kill()
        assert count(clone) == 11
    original.restart()
    assert count(original) == 12


def test_clone_under_load_is_consistent(own_server: OwnServer) -> None:
    """Two tables written in one transaction agree in the copy, though it took a while."""
    original = own_server()
    with original.connect() as connection:
        connection.execute("CREATE TABLE a (id int); CREATE TABLE b (id int)")
        connection.execute(
            "CREATE TABLE fat AS SELECT repeat('x', 1000) FROM generate_series(1, 9000)"
        )
    script = """DO $$ BEGIN LOOP
        INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); COMMIT;
        CREATE TABLE gone AS SELECT 1 AS a; DROP TABLE gone; COMMIT;
    END LOOP; END $$"""
    with original.connect() as writer, ThreadPoolExecutor() as background:
        endless = background.submit(writer.execute, script)
        try:
            wait_until(lambda: count(original, "a") > 10)
            with original.clone() as clone:
                assert count(clone, "a") == count(clone, "b") > 10
                assert count(clone, "fat") == 9000
        finally:
            writer.cancel_safe()
        assert isinstance(endless.exception(), psycopg.errors.QueryCanceled)


def test_clone_of_a_stopped_server_keeps_its_statistics(own_server: OwnServer) -> None:
    original = own_server()
    fill(original, 10)
    original.stop()
    with original.clone() as clone, clone.connect() as connection:
        row = connection.execute(
            "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 't'"
        ).fetchone()
        assert row == (10,)
        assert not original.running


def test_holes_stay_holes(own_server: OwnServer) -> None:
    """A file of an apparent gigabyte must not fill the disk of whoever clones it."""
    original = own_server()
    fill(original, 1)
    with original.connect() as connection:
        row = connection.execute("SELECT pg_relation_filepath('t')").fetchone()
    assert row is not None
    path = Path(str(row[0]))
    original.stop()
    with (original.data / path).open("r+b") as file:
        file.truncate(1 << 30)
    with original.clone() as clone:
        copied = (clone.data / path).stat()
        assert copied.st_size == 1 << 30
        assert copied.st_blocks * 512 < 1 << 20


def test_tablespace_is_refused(own_server: OwnServer, tmp_path: Path) -> None:
    original = own_server()
    original.stop()
    (original.data / "pg_tblspc" / "99999").symlink_to(tmp_path)
    with pytest.raises(Unsupported, match="which leads to"):
        original.clone()
    assert list(tmp_path.iterdir()) == []
