"""A database per test on a shared server.

Owns its creation, the roles made for it and the cleaning up of what would keep it from being
dropped. Must never change the shared server's settings.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import psycopg
from psycopg import sql

from howdah.postgres import Server, connect
from howdah.query import load

_QUERIES = load("howdah.testing", "sql/databases.sql")


class Database:
    """An empty database on `server` that lives as long as one test."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.name = f"test_{secrets.token_hex(4)}"
        self._roles: list[str] = []
        self.dsn = server.create_database(self.name)

    def __repr__(self) -> str:
        return f"<Database {self.name} on {self.server!r}>"

    @property
    def major(self) -> int:
        """The server's major version."""
        return self.server.major

    def dsn_of(self, user: str) -> str:
        """The DSN for another role."""
        return self.server.dsn(self.name, user)

    def connect(
        self,
        *,
        user: str = "postgres",
        autocommit: bool = True,
        application_name: str = "test",
    ) -> psycopg.Connection:
        """Open a connection to it."""
        dsn = self.dsn_of(user)
        return connect(dsn, autocommit=autocommit, application_name=application_name)

    def create_role(self, *, member_of: Iterable[str] = ()) -> str:
        """Create a role that may connect and nothing more, and return its name.

        It is a member of the given roles, and it is dropped with the database.
        """
        name = f"role_{secrets.token_hex(4)}"
        with self.connect() as connection:
            self._execute(connection, "create_role", role=name)
            self._roles.append(name)
            for group in member_of:
                self._execute(connection, "grant_role", role=name, granted=group)
        return name

    def drop(self) -> None:
        """Drop the database and its roles, and first what PostgreSQL refuses to drop it with."""
        with self.connect() as inside:
            for (gid,) in inside.execute(_QUERIES.text("prepared")).fetchall():
                command = sql.SQL(_QUERIES.text("rollback_prepared"))
                inside.execute(command.format(gid=sql.Literal(gid)))
            inside.execute(_QUERIES.text("end_slot_users"))
            for (slot,) in inside.execute(_QUERIES.text("slots")).fetchall():
                inside.execute(_QUERIES.text("drop_slot"), {"slot": slot})
            for role in self._roles:
                self._execute(inside, "drop_owned", role=role)
        self.server.drop_database(self.name)
        with self.server.connect() as outside:
            for role in self._roles:
                self._execute(outside, "drop_role", role=role)

    def _execute(self, connection: psycopg.Connection, block: str, **names: str) -> None:
        identifiers = {key: sql.Identifier(name) for key, name in names.items()}
        connection.execute(sql.SQL(_QUERIES.text(block)).format(**identifiers))
