"""Connections to databases, ours or not, with errors that say what to do.

Owns the connection's defaults, the oldest server accepted and the diagnosis of a failed attempt.
Must never print a password, and must never recognise an error by its text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from howdah.errors import (
    BadInput,
    Denied,
    HowdahError,
    Unreachable,
    Unsupported,
    from_database,
)
from howdah.query import OLDEST_MAJOR, load

_QUERIES = load("howdah.postgres", "sql/connection.sql")
_ALWAYS_THERE = ("postgres", "template1")
"""Databases to knock at when the one asked for does not open."""


def connect(
    dsn: str,
    *,
    autocommit: bool = True,
    application_name: str = "howdah",
    connect_timeout_seconds: int = 5,
    settings: Mapping[str, str] | None = None,
) -> psycopg.Connection:
    """Open a connection; an empty `dsn` means libpq's environment (PGHOST, PGSERVICE and so on).

    A connect_timeout in the DSN or in PGCONNECT_TIMEOUT wins over ours. `settings` hold for the
    session and are set after connecting.

    Raises `BadInput` for a wrong DSN or an unknown database, `Unreachable` where nothing answers,
    `Denied` for a role or password that is refused, `Unsupported` for a server older than 14.
    """
    given = _parse(dsn)
    if "connect_timeout" not in given and "PGCONNECT_TIMEOUT" not in os.environ:
        given["connect_timeout"] = str(connect_timeout_seconds)
    given["application_name"] = application_name
    target = make_conninfo("", **given)
    try:
        connection = psycopg.connect(target, autocommit=True)
    except psycopg.OperationalError as error:
        raise _refusal(error, dsn, target) from None  # the driver's error quotes the DSN's parts
    try:
        require_supported(connection.info.server_version)
        if behind_pooler(connection):
            connection.prepare_threshold = None  # another client may meet what one has prepared
        _apply(connection, settings or {})
        connection.autocommit = autocommit
    except psycopg.Error as error:
        connection.close()
        raise from_database(error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def behind_pooler(connection: psycopg.Connection[Any]) -> bool:
    """Whether somebody stands between us and the server who may lend its session to others.

    A server tells its process id when a session begins; a pooler makes one up for each client.
    """
    row = connection.execute(_QUERIES.text("backend")).fetchone()
    return row is not None and row[0] != connection.info.backend_pid


def describe(dsn: str) -> str:
    """A short name without secrets, such as `shop on db.example:5432`.

    >>> describe("host=db.example port=5433 dbname=shop user=ann password=secret")
    'shop on db.example:5433'
    """
    given = _parse(dsn)
    if "service" in given and "host" not in given:
        return f"{given.get('dbname', 'the database')} of service {given['service']}"
    defaults = {
        option.keyword.decode(): option.val.decode()
        for option in psycopg.pq.Conninfo.get_defaults()
        if option.val
    }
    known = defaults | given
    hosts = (known.get("host") or known.get("hostaddr") or "local socket").split(",")
    ports = (known.get("port") or "5432").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    places = ",".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=False))
    return f"{known.get('dbname') or known.get('user') or 'the database'} on {places}"


def require_supported(server_version: int) -> None:
    """`Unsupported` for a server older than the oldest major; 150018 stands for 15.18."""
    if server_version < OLDEST_MAJOR * 10000:
        raise Unsupported(
            f"the server is PostgreSQL {_spelled(server_version)}, older than {OLDEST_MAJOR}",
            detail=f"Howdah reads PostgreSQL {OLDEST_MAJOR} and later.",
            hint=f"upgrade the server to {OLDEST_MAJOR} or later",
        )


def _spelled(server_version: int) -> str:
    major, minor = divmod(server_version, 10000)
    return f"{major}.{minor}" if major >= 10 else f"{major}.{minor // 100}"


def _parse(dsn: str) -> dict[str, str]:
    """The DSN's parts. The driver's complaint may quote a password, so it is not repeated."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise BadInput(
            "the DSN cannot be understood",
            detail="It is neither a connection URI nor a list of libpq's key=value pairs.",
            hint="write it like postgresql://user@host:5432/database or 'host=... dbname=...'",
        ) from None
    return {key: str(value) for key, value in parts.items() if value is not None}


def _apply(connection: psycopg.Connection, settings: Mapping[str, str]) -> None:
    if settings:
        parameters = {"names": list(settings), "values": list(settings.values())}
        connection.execute(_QUERIES.text("apply_settings"), parameters)


def _refusal(error: psycopg.OperationalError, dsn: str, target: str) -> HowdahError:
    """Why no connection came about.

    libpq reports no SQLSTATE for a failed attempt, so the cause is asked for: does the server
    answer at all, did it want a password, does another database of it open?
    """
    found = from_database(error)
    if error.sqlstate:
        return found
    place = describe(dsn)
    pgconn = error.pgconn
    if pgconn is not None and pgconn.needs_password:
        return Denied(
            f"{place} asks for a password and none was given",
            hint="put it into PGPASSWORD or ~/.pgpass, or use a service with a password",
        )
    if isinstance(error, psycopg.errors.ConnectionTimeout) or not _answers(target):
        return Unreachable(f"could not reach {place}", detail=found.message, hint=_reach_hint())
    if pgconn is not None and pgconn.used_password:
        return Denied(
            f"{place} refused the connection",
            detail=found.message,
            hint="check the user and the password, PGPASSWORD and ~/.pgpass",
        )
    return _rejected(found, place, target)


def _reach_hint() -> str:
    return "check host and port, that the server runs, and that a firewall lets you through"


def _answers(target: str) -> bool:
    """Whether a server is there, whatever it thinks of our role."""
    status = psycopg.pq.PGconn.ping(target.encode())
    return status in (psycopg.pq.Ping.OK, psycopg.pq.Ping.REJECT)


def _rejected(found: HowdahError, place: str, target: str) -> HowdahError:
    passing = Unreachable(
        f"{place} is starting up or shutting down",
        detail=found.message,
        hint="try again in a moment",
    )
    if psycopg.pq.PGconn.ping(target.encode()) != psycopg.pq.Ping.OK:
        return passing
    wanted = conninfo_to_dict(target).get("dbname")
    for database in _ALWAYS_THERE:
        if database != wanted and _opens(make_conninfo(target, dbname=database)):
            # It may have come up between the attempt and this diagnosis.
            if _opens(target) or psycopg.pq.PGconn.ping(target.encode()) != psycopg.pq.Ping.OK:
                return passing
            return BadInput(
                f"the server answers, but {place} does not open",
                detail=found.message,
                hint=f"check the database's name: psql --list shows them; {database} opens",
            )
    if psycopg.pq.PGconn.ping(target.encode()) != psycopg.pq.Ping.OK:
        return passing
    return Denied(
        f"{place} refused the connection",
        detail=found.message,
        hint="check the user's name, its right to log in, and the server's pg_hba.conf",
    )


def _opens(target: str) -> bool:
    try:
        psycopg.connect(target, autocommit=True).close()
    except psycopg.OperationalError:
        return False
    return True
