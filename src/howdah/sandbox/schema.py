"""The schema of a database as pg_dump writes it: text, without rows.

Owns running pg_dump within bounds, and saying why it failed. Must never put a password where other
users of the machine can read it, and must never wait for long behind somebody's lock.
"""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo, sql
from psycopg.rows import class_row

from howdah import postgres, query
from howdah.errors import (
    CouldNot,
    HowdahError,
    StatementFailed,
    TimedOut,
    Unsupported,
    from_database,
)
from howdah.snapshot.schema import Locale, SchemaDump

_QUERIES = query.load("howdah.sandbox", "sql/schema.sql")

_OPTIONS = (
    "--schema-only",
    "--no-owner",
    "--no-privileges",
    "--no-comments",
    "--no-security-labels",
    "--no-subscriptions",
    "--no-tablespaces",
)
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_GRACE_SECONDS = 1.0


def dump_schema(dsn: str, *, seconds: float = 5.0, lock_timeout_ms: int = 100) -> SchemaDump:
    """Read the schema of the database behind `dsn` with the newest pg_dump of this machine.

    It holds ACCESS SHARE on every table, and a snapshot, for at most `seconds`; it waits at most
    `lock_timeout_ms` for those locks. Raises `Denied` when a table may not be read, `TimedOut` when
    a lock or the time ran out, `Unreachable`, and `Unsupported` when no pg_dump is new enough.
    """
    with closing(postgres.connect(dsn)) as connection:
        origin = _origin(connection)
        program = postgres.programs("pg_dump")
        tool = _new_enough(program, origin.version // 10000)
        try:
            text = _run(program, dsn, seconds, lock_timeout_ms)
        except subprocess.TimeoutExpired as late:
            raise TimedOut(
                f"pg_dump did not end within {seconds:g} s",
                detail="the schema is large, or a lock on a catalog is in the way",
                hint="raise the limit, or give the schema as a file",
            ) from late
        except subprocess.CalledProcessError as failed:
            raise _explain(connection, failed, lock_timeout_ms) from failed
    return SchemaDump(text=text, origin=origin, pg_dump=tool)


def _origin(connection: psycopg.Connection[Any]) -> Locale:
    major = connection.info.server_version // 10000
    try:
        with connection.cursor(row_factory=class_row(Locale)) as cursor:
            row = cursor.execute(_QUERIES.text("locale", major)).fetchone()
    except psycopg.Error as error:
        raise from_database(error) from error
    assert row is not None, "a connection always has a database"
    return row


def _new_enough(program: Path, major: int) -> str:
    version = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    found = _VERSION.search(version)
    if found and int(found[1]) >= major:
        return version
    raise Unsupported(
        f"{version or program} cannot read PostgreSQL {major}",
        detail="pg_dump must not be older than the server",
        hint=f"install the client programs of PostgreSQL {major}",
    )


def _run(program: Path, dsn: str, seconds: float, lock_timeout_ms: int) -> str:
    """The text that pg_dump writes; raises what `subprocess` raises."""
    visible, secret = _without_secrets(dsn)
    arguments = [
        *(str(program), *_OPTIONS, "--encoding=UTF8", "--no-password"),
        *(f"--lock-wait-timeout={lock_timeout_ms}", f"--dbname={visible}"),
    ]
    # The server looks once a second whether pg_dump is still there, and stops when we killed it.
    options = "-c client_connection_check_interval=1s"
    environment = {
        **os.environ,
        **secret,
        "PGAPPNAME": "howdah schema",
        "PGOPTIONS": f"{os.environ.get('PGOPTIONS', '')} {options}".strip(),
        "LC_ALL": "C",
    }
    with subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.terminate()  # pg_dump cancels its query on SIGTERM
            try:
                process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "pg_dump", out, err)
    return out.decode()


def _without_secrets(dsn: str) -> tuple[str, dict[str, str]]:
    """The DSN for the argument list, and the environment for what must not be seen there."""
    parameters: dict[str, Any] = conninfo.conninfo_to_dict(dsn)
    password = parameters.pop("password", None)
    parameters.pop("application_name", None)
    parameters.pop("options", None)
    return conninfo.make_conninfo("", **parameters), (
        {"PGPASSWORD": str(password)} if password else {}
    )


def _explain(
    connection: psycopg.Connection[Any],
    failed: subprocess.CalledProcessError,
    lock_timeout_ms: int,
) -> HowdahError:
    """Why pg_dump failed: it prints text only, so do what it did first and read the SQLSTATE."""
    said = bytes(failed.stderr).decode(errors="replace").strip()
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(
                _QUERIES.text("lock_timeout"), {"milliseconds": str(lock_timeout_ms)}
            )
            for schema, name in connection.execute(_QUERIES.text("tables")).fetchall():
                look = sql.SQL(_QUERIES.text("look_at"))
                connection.execute(look.format(table=sql.Identifier(schema, name)))
    except psycopg.Error as error:
        known = from_database(error)
        if not isinstance(known, StatementFailed):
            known.detail = known.detail or said
            return known
    if connection.pgconn.ssl_in_use:
        hint = "use a pg_dump that speaks TLS (the client programs of your distribution do)"
    else:
        hint = "run pg_dump --schema-only by hand and give the schema as a file"
    return CouldNot("pg_dump failed", detail=said, hint=hint)
