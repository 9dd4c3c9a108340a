"""Connecting, and what an attempt that fails is told."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from howdah.errors import BadInput, Denied, Unreachable, Unsupported
from howdah.postgres import Server, connect, describe
from howdah.postgres.connection import require_supported
from howdah.testing import Database, wait_until
from howdah.testing.fixtures import OwnServer


def one(connection: psycopg.Connection, query: str) -> object:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def test_session_has_our_name_and_the_given_settings(database: Database) -> None:
    settings = {"lock_timeout": "100ms", "search_path": "pg_catalog"}
    with connect(database.dsn, settings=settings) as connection:
        assert connection.autocommit
        assert one(connection, "SHOW application_name") == "howdah"
        assert one(connection, "SHOW lock_timeout") == "100ms"
        assert one(connection, "SHOW search_path") == "pg_catalog"


def test_without_autocommit_no_transaction_is_open(database: Database) -> None:
    with connect(database.dsn, autocommit=False, settings={"work_mem": "5MB"}) as connection:
        assert not connection.autocommit
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert one(connection, "SHOW work_mem") == "5MB"


def test_empty_dsn_is_the_environment(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", str(database.server.socket_dir))
    monkeypatch.setenv("PGDATABASE", database.name)
    monkeypatch.setenv("PGUSER", "postgres")
    with connect("") as connection:
        assert one(connection, "SELECT current_database()") == database.name
    assert describe("") == f"{database.name} on {database.server.socket_dir}:5432"


def test_service_file_is_read(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = tmp_path / "services.conf"
    services.write_text(
        f"[shop]\nhost={database.server.socket_dir}\ndbname={database.name}\nuser=postgres\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    with connect("service=shop") as connection:
        assert one(connection, "SELECT current_database()") == database.name
    assert describe("service=shop") == "the database of service shop"


def test_unknown_setting_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="no_such_setting"):
        connect(database.dsn, settings={"no_such_setting": "1"})


def test_unknown_database(server: Server) -> None:
    with pytest.raises(BadInput) as caught:
        connect(server.dsn("no_such_database"))
    assert "no_such_database on" in caught.value.message
    assert "psql --list" in caught.value.hint


def test_unknown_role(server: Server) -> None:
    with pytest.raises(Denied) as caught:
        connect(server.dsn(user="nobody_here"))
    assert "pg_hba.conf" in caught.value.hint


def test_nobody_listens() -> None:
    with pytest.raises(Unreachable) as caught:
        connect("postgresql://ann:secret@127.0.0.1:1/shop")
    assert caught.value.message == "could not reach shop on 127.0.0.1:1"
    assert "secret" not in str(caught.value)


def test_no_such_socket_folder(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="could not reach"):
        connect(f"host={tmp_path} dbname=shop")


def test_unknown_host() -> None:
    with pytest.raises(Unreachable, match=r"could not reach shop on nowhere\.invalid:5432"):
        connect("host=nowhere.invalid dbname=shop")


@pytest.mark.parametrize("dsn", ["shop secret", "postgresql://ann:secret@[::1/shop", "secret=1"])
def test_wrong_dsn_is_not_repeated(dsn: str) -> None:
    for attempt in (connect, describe):
        with pytest.raises(BadInput) as caught:
            attempt(dsn)
        assert "secret" not in str(caught.value)
        assert caught.value.__suppress_context__


def test_passwords(own_server: OwnServer) -> None:
    server = own_server()
    with server.connect() as connection:
        connection.execute("CREATE ROLE ann LOGIN PASSWORD 'right'")
        rules = "local all postgres trust\nlocal all all scram-sha-256\n"
        (server.data / "pg_hba.conf").write_text(rules)
        connection.execute("SELECT pg_reload_conf()")

    def refusal() -> Denied | None:
        try:
            connect(server.dsn(user="ann")).close()
        except Denied as error:
            return error
        return None

    missing = wait_until(refusal)
    assert "asks for a password" in missing.message
    with pytest.raises(Denied) as caught:
        connect(f"{server.dsn(user='ann')} password=wrong")
    assert "check the user and the password" in caught.value.hint
    assert "wrong" not in str(caught.value)
    connect(f"{server.dsn(user='ann')} password=right").close()


def test_stopping_server_is_unreachable_for_now(own_server: OwnServer) -> None:
    server = own_server()
    with server.connect(autocommit=False) as connection:
        connection.execute("SELECT 1")
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(Unreachable) as caught:
        server.connect()
    assert caught.value.retryable


def test_full_server_is_no_wrong_answer(own_server: OwnServer) -> None:
    """All connections taken: the database is there, so it must not be called unknown."""
    settings = {
        "max_connections": "5",
        "superuser_reserved_connections": "0",
        "max_wal_senders": "0",
    }
    server = own_server(settings)
    taken = [server.connect() for _ in range(5)]
    with pytest.raises((Unreachable, Denied)):
        server.connect()
    for connection in taken:
        connection.close()


@pytest.mark.parametrize(("number", "name"), [(130012, "13.12"), (90624, "9.6")])
def test_too_old_server(number: int, name: str) -> None:
    with pytest.raises(Unsupported, match=name.replace(".", r"\.")):
        require_supported(number)
    require_supported(140000)


@pytest.mark.parametrize(
    ("dsn", "name"),
    [
        ("postgresql://ann:secret@db.example/shop", "shop on db.example:5432"),
        ("postgresql://ann:secret@db.example:6432/", "ann on db.example:6432"),
        ("host=a,b port=1,2 dbname=shop", "shop on a:1,b:2"),
        ("host=a,b port=7 dbname=shop", "shop on a:7,b:7"),
        ("hostaddr=10.0.0.1 dbname=shop", "shop on 10.0.0.1:5432"),
        ("host=/run/postgresql dbname=shop password=secret", "shop on /run/postgresql:5432"),
    ],
)
def test_describe(dsn: str, name: str) -> None:
    assert describe(dsn) == name
