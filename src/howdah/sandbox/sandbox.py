"""A sandbox: a disposable, marked database on a server of ours.

Owns making and dropping it. Must never drop a database that does not carry the marker.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

from howdah import postgres, query
from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.errors import BadInput, from_database
from howdah.postgres import Installation, Server
from howdah.sandbox import marker
from howdah.sandbox.rebuild import Rebuilt, load_schema
from howdah.snapshot.schema import Locale, SchemaDump

_QUERIES = query.load("howdah.sandbox", "sql/sandbox.sql")

SETTINGS: Mapping[str, str] = {
    # Nobody but us decides when a table is vacuumed or analysed.
    "autovacuum": "off",
    # A hundred statements of a schema are one transaction, and each may lock several relations.
    "max_locks_per_transaction": "512",
}
"""What a sandbox's own server is started with, on top of what every server of ours has."""

_PREFIX = "howdah_sandbox_"
_APPLICATION = "howdah sandbox"


class Sandbox:
    """One marked database. As a context manager it is dropped at the end, with its own server."""

    def __init__(
        self,
        *,
        dsn: str,
        name: str,
        server: Server | None,
        owns_server: bool = False,
        fidelity: str = "",
        rebuilt: Rebuilt | None = None,
        origin: Locale | None = None,
    ) -> None:
        self.dsn = dsn
        self.name = name
        self.server = server
        self.fidelity = fidelity
        """How far it is from what it stands for: versions and collations that differ."""
        self.rebuilt = rebuilt
        """What came of loading its schema; None when there was none."""
        self.origin = origin
        self._owns_server = owns_server

    @classmethod
    def empty(
        cls, server: Server | None = None, *, major: int | None = None, like: Locale | None = None
    ) -> Self:
        """A sandbox with nothing in it, on `server` or on a server of its own.

        Its own server is of `major` if that is installed, otherwise the newest there is. `like`
        gives encoding and collation; what the server does not have gets a stand-in, which
        `fidelity` tells.
        """
        wanted = major or (like.version // 10000 if like else None)
        own = server is None
        chosen = server or Server.start(choose(wanted), settings=SETTINGS)
        try:
            name = f"{_PREFIX}{secrets.token_hex(6)}"
            differs = _create(chosen, name, like or Locale(version=chosen.version_num))
            self = cls(
                dsn=chosen.dsn(name),
                name=name,
                server=chosen,
                owns_server=own,
                fidelity="; ".join([_version(chosen, wanted), *differs]),
                origin=like,
            )
            self._declare()
        except BaseException:
            if own:
                chosen.close()
            raise
        return self

    @classmethod
    def from_schema(
        cls,
        schema: str | SchemaDump,
        *,
        server: Server | None = None,
        major: int | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """A sandbox with a schema in it: a script's text, or what `dump_schema` returned.

        Look at `rebuilt` for what the sandbox could not build.
        """
        dump = schema if isinstance(schema, SchemaDump) else None
        self = cls.empty(server, major=major, like=dump.origin if dump else None)
        try:
            with closing(self.connect()) as connection:
                text = dump.text if dump else str(schema)
                self.rebuilt = load_schema(connection, text, clock=clock)
        except BaseException:
            self.drop()
            raise
        return self

    @classmethod
    def clone(cls, of: Sandbox) -> Self:
        """A copy of another sandbox on the same server, made from it as a template.

        `CouldNot` while others are connected to it.
        """
        if of.server is None:
            raise BadInput(
                "an adopted sandbox cannot be cloned", hint="build one with Sandbox.from_schema"
            )
        name = f"{_PREFIX}{secrets.token_hex(6)}"
        with closing(of.connect()) as connection:
            marker.require_sandbox(connection)
        of.server.create_database(name, template=of.name)
        self = cls(
            dsn=of.server.dsn(name),
            name=name,
            server=of.server,
            fidelity=of.fidelity,
            rebuilt=of.rebuilt,
            origin=of.origin,
        )
        self._declare()
        return self

    @classmethod
    def adopt(cls, dsn: str) -> Self:
        """Use a database that somebody marked; it is not dropped. `NotASandbox` without marker."""
        with closing(postgres.connect(dsn, application_name=_APPLICATION)) as connection:
            marker.require_sandbox(connection)
            version, name = connection.info.server_version, connection.info.dbname
        fidelity = f"PostgreSQL {version // 10000}.{version % 10000}"
        return cls(dsn=dsn, name=name, server=None, fidelity=fidelity)

    def connect(self) -> psycopg.Connection[Any]:
        """A new session in autocommit mode."""
        return postgres.connect(self.dsn, application_name=_APPLICATION)

    def drop(self) -> None:
        """Remove the database, and the server if it is the sandbox's own; harmless twice."""
        if self.server is None:
            return
        if self._owns_server:
            self.server.close()
        elif self._exists():
            with closing(self.connect()) as connection:
                marker.require_sandbox(connection)
            self.server.drop_database(self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.drop()

    def __repr__(self) -> str:
        return f"<Sandbox {self.name}: {self.fidelity}>"

    def _declare(self) -> None:
        """Mark it, and give it what a template does not pass on."""
        with closing(self.connect()) as connection:
            marker.mark(connection)
            if self.origin and self.origin.search_path:
                path = {"search_path": self.origin.search_path}
                connection.execute(_QUERIES.text("use_search_path"), path)
                keep = sql.SQL(_QUERIES.text("keep_search_path"))
                connection.execute(keep.format(database=sql.Identifier(self.name)))

    def _exists(self) -> bool:
        assert self.server is not None
        if not self.server.running:
            return False
        with closing(self.server.connect()) as connection:
            row = connection.execute(_QUERIES.text("exists"), {"name": self.name}).fetchone()
        return bool(row and row[0])


def choose(major: int | None) -> Installation:
    """The installation of that major if there is one, otherwise the newest."""
    found = postgres.find_installations()
    same = [one for one in found if one.major == major]
    if same or not found:
        return same[0] if same else postgres.installation()
    return max(found, key=lambda one: one.major)


def _version(server: Server, wanted: int | None) -> str:
    here = f"PostgreSQL {server.installation.version}"
    return here if wanted in (None, server.major) else f"{here}, the database runs {wanted}"


def _create(server: Server, name: str, like: Locale) -> list[str]:
    """Create the database as much like the origin as this server can; what had to differ."""
    refusal: psycopg.Error | None = None
    with closing(server.connect()) as connection:
        for block, values, differs in _attempts(like, server.major):
            try:
                connection.execute(
                    sql.SQL(_QUERIES.text(block)).format(
                        name=sql.Identifier(name),
                        **{key: sql.Literal(value) for key, value in values.items()},
                    )
                )
            except psycopg.Error as error:
                refusal = error
            else:
                return differs
    assert refusal is not None, "there is always an attempt"
    raise from_database(refusal) from refusal


def _attempts(like: Locale, major: int) -> Iterator[tuple[str, dict[str, str], list[str]]]:
    """Ways to create the database, the most faithful first."""
    if like.provider in ("i", "b") and like.locale:
        block = {"i": "create_icu", "b": "create_builtin"}[like.provider]
        if major >= {"i": 15, "b": 17}[like.provider]:
            yield block, {"encoding": like.encoding, "locale": like.locale}, []
    else:
        libc = {"encoding": like.encoding, "collate": like.collate, "ctype": like.ctype}
        yield "create_libc", libc, []
    # Only C orders by bytes for the planner; a stand-in must not promise what the origin lacks.
    for standin in ("C",) if like.bytewise else ("C.UTF-8", "C"):
        values = {"encoding": "UTF8", "collate": standin, "ctype": standin}
        original = like.locale or like.collate
        yield "create_libc", values, [f"collation {standin} instead of {original}"]


@contextmanager
def sandboxed(connection: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """A transaction in a sandbox that is rolled back at the end, whatever happens."""
    marker.require_sandbox(connection)
    with connection.transaction(force_rollback=True):
        yield connection
