"""What is left out of a schema, and what gets a stand-in, so that the rest can be built.

Owns those decisions. Must never let through anything that connects outwards: subscriptions and
user mappings are left out, foreign servers lead nowhere, and extensions that exist to reach out, or
to run any program, are not installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from howdah import query
from howdah.sandbox.script import Statement
from howdah.sandbox.syntax import Syntax

_QUERIES = query.load("howdah.sandbox", "sql/schema.sql")

REACHING_OUT = frozenset(
    {
        *("dblink", "postgres_fdw", "file_fdw", "http", "pg_net", "pg_cron", "pglogical"),
        *("aws_s3", "aws_lambda", "aws_commons", "pgagent", "pgmemcache", "wrappers"),
        *("plperlu", "plpython3u", "pltclu", "plsh", "adminpack"),
    }
)
"""Extensions that open connections, schedule work by themselves, or run any program."""


class Omit(msgspec.Struct, frozen=True, kw_only=True):
    """Do not run the statement; without a reason it is not worth a word."""

    reason: str = ""


class Substitute(msgspec.Struct, frozen=True, kw_only=True):
    """Run another text instead."""

    text: str
    reason: str


_OMITTED = (
    (r"(CREATE|ALTER|DROP) SUBSCRIPTION", "a subscription would connect to its publisher"),
    (r"(CREATE|ALTER) USER MAPPING", "a user mapping holds credentials of another server"),
    (r"CREATE FOREIGN DATA WRAPPER", "foreign servers of a sandbox lead nowhere"),
    (r"ALTER (FOREIGN DATA WRAPPER|SERVER)", "foreign servers of a sandbox lead nowhere"),
    (r"IMPORT FOREIGN SCHEMA", "foreign servers of a sandbox lead nowhere"),
    (r"(CREATE|ALTER) EVENT TRIGGER", "an event trigger would take part in every measurement"),
    (r"(CREATE|ALTER|DROP) (DATABASE|TABLESPACE)", "a sandbox is one database"),
    (r"ALTER SYSTEM", "the server's settings are not the schema's"),
    (r"COPY .* (FROM|TO) PROGRAM", "a sandbox runs no programs"),
    (r"(BEGIN|COMMIT|END|START TRANSACTION|ROLLBACK|ABORT)\b", ""),
)
_OMITTED_PATTERNS = tuple(
    (re.compile(pattern.replace(" ", r"\s+"), re.IGNORECASE | re.DOTALL), reason)
    for pattern, reason in _OMITTED
)
_CREATE_SERVER = re.compile(r"CREATE\s+SERVER\b", re.IGNORECASE)
_CREATE_EXTENSION = re.compile(
    r'CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:"(?P<quoted>[^"]+)"|(?P<plain>\w+))',
    re.IGNORECASE,
)


def treat(statement: Statement) -> Omit | Substitute | None:
    """What to do with a statement instead of running it; None for most."""
    text = statement.text
    for pattern, reason in _OMITTED_PATTERNS:
        if pattern.match(text):
            return Omit(reason=reason)
    extension = _CREATE_EXTENSION.match(text)
    if extension and (extension["quoted"] or extension["plain"].lower()) in REACHING_OUT:
        return Omit(reason="an extension that reaches out of the database or runs programs")
    if _CREATE_SERVER.match(text):
        server = Syntax(text).server
        if server is None:
            return Omit(reason="foreign servers of a sandbox lead nowhere")
        create = sql.SQL(_QUERIES.text("create_server")).format(server=sql.Identifier(server))
        return Substitute(text=create.as_string(), reason="the foreign server leads nowhere")
    return None


def prepare(connection: psycopg.Connection[Any], statements: Iterable[Statement]) -> None:
    """Make what substitutes refer to, if there will be any; harmless twice."""
    if not any(_CREATE_SERVER.match(statement.text) for statement in statements):
        return
    try:
        connection.execute(_QUERIES.text("create_wrapper"))
    except psycopg.errors.DuplicateObject:
        return


def make(
    connection: psycopg.Connection[Any], statement: str, sqlstate: str
) -> list[tuple[str, str]]:
    """Create roles and collations that a failed statement names and the sandbox lacks.

    Returns what was made and what it stands for; empty when nothing could be done.
    """
    syntax = Syntax(statement)
    if sqlstate != "42704" and not syntax.is_create_collation:
        return []
    made = []
    for role in dict.fromkeys(syntax.roles):
        if not _exists(connection, "role_exists", role):
            create = sql.SQL(_QUERIES.text("create_role")).format(role=sql.Identifier(role))
            connection.execute(create)
            made.append((f"ROLE {role}", "a role without any right"))
    for name in dict.fromkeys(syntax.collations):
        quoted = sql.Identifier(*name).as_string(connection)
        if not _exists(connection, "collation_exists", quoted):
            _collate(connection, name)
            made.append((f"COLLATION {'.'.join(name)}", "ordered by code point"))
    return made


def _collate(connection: psycopg.Connection[Any], name: tuple[str, ...]) -> None:
    """C.UTF-8 is not C to the planner, so an index under it serves what the original would."""
    create = sql.SQL(_QUERIES.text("create_collation"))
    for locale in ("C.UTF-8", "C"):
        try:
            connection.execute(
                create.format(collation=sql.Identifier(*name), locale=sql.Literal(locale))
            )
        except psycopg.Error:
            if locale == "C":
                raise
        else:
            return


def _exists(connection: psycopg.Connection[Any], block: str, name: str) -> bool:
    row = connection.execute(_QUERIES.text(block), {"name": name}).fetchone()
    return bool(row and row[0])
