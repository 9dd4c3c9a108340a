"""Load a schema into a sandbox that lacks some of what the schema wants.

Owns the account of what failed, and why. Must never stop at a failure: what can be built is built,
and whoever proves something asks `Rebuilt.why_missing` about the tables that the proof needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import psycopg

from howdah import query
from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.sandbox import standins
from howdah.sandbox.marker import require_sandbox
from howdah.sandbox.script import Statement, split
from howdah.sandbox.standins import Substitute, treat
from howdah.sandbox.syntax import Syntax

_QUERIES = query.load("howdah.sandbox", "sql/schema.sql")

_CHUNK = 100
"""Statements sent in one round trip; one that fails makes its chunk be sent one by one."""

# undefined_object, undefined_function, invalid_schema_name: what a missing extension leads to
_LACKS_EXTENSION = ("42704", "42883", "3F000")
_UNDEFINED_TABLE = "42P01"
_HARMLESS = {
    "SET": ("42704",),  # a setting that this version does not know
    "CREATE SCHEMA": ("42P06",),  # public is there already
}


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that the sandbox refused."""

    subject: str
    """What it is about, such as `TABLE public.places`."""
    statement: str
    sqlstate: str
    because: str
    """The cause as far as it is known: `extension postgis is not available`."""
    relation: str = ""
    """The table, view or index that is missing now, such as `public.places`."""


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that was not run, or a thing that got a stand-in."""

    subject: str
    reason: str


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What came of loading a schema."""

    statements: int
    seconds: float
    failed: tuple[Failed, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    substituted: tuple[LeftOut, ...] = ()

    def why_missing(self, relation: str) -> str | None:
        """Why `schema.name` could not be rebuilt, for people; None when it was."""
        for failure in self.failed:
            if failure.relation == relation:
                return f"{relation} could not be rebuilt ({failure.because})"
        return None

    @property
    def complete(self) -> bool:
        """Whether everything was built as it is in the origin."""
        return not (self.failed or self.left_out or self.substituted)


def load_schema(
    connection: psycopg.Connection[Any], script: str, *, clock: Clock = SYSTEM_CLOCK
) -> Rebuilt:
    """Run `script` in the sandbox at the other end; raises `NotASandbox` anywhere else.

    Rows in it (COPY) are loaded too. Nothing that the script creates connects outwards.
    """
    require_sandbox(connection)
    started = clock.monotonic()
    statements = split(script)
    loading = _Loading(connection)
    loading.run(statements)
    return Rebuilt(
        statements=len(statements),
        seconds=clock.monotonic() - started,
        failed=tuple(loading.failed),
        left_out=tuple(loading.left_out),
        substituted=tuple(loading.substituted),
    )


class _Loading:
    """One load in progress."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.failed: list[Failed] = []
        self.left_out: list[LeftOut] = []
        self.substituted: list[LeftOut] = []

    def run(self, statements: Sequence[Statement]) -> None:
        self._connection.execute(_QUERIES.text("prepare_load"))
        standins.prepare(self._connection, statements)
        for chunk in self._chunks(statements):
            if len(chunk) == 1:
                self._one(chunk[0])
                continue
            try:
                # One simple query is one transaction: all of it or nothing.
                self._connection.execute(";\n".join(statement.text for statement in chunk))
            except psycopg.Error:
                for statement in chunk:
                    self._one(statement)

    def _chunks(self, statements: Sequence[Statement]) -> Iterator[list[Statement]]:
        chunk: list[Statement] = []
        for statement in statements:
            treated = self._treated(statement)
            if treated is None:
                continue
            if treated.data is not None or len(chunk) == _CHUNK:
                yield chunk
                chunk = []
            if treated.data is not None:
                yield [treated]
            else:
                chunk.append(treated)
        yield chunk

    def _treated(self, statement: Statement) -> Statement | None:
        treatment = treat(statement)
        if treatment is None:
            return statement
        subject = statement.subject or _opening(statement.text)
        if isinstance(treatment, Substitute):
            self.substituted.append(LeftOut(subject=subject, reason=treatment.reason))
            return msgspec.structs.replace(statement, text=treatment.text)
        if treatment.reason:
            self.left_out.append(LeftOut(subject=subject, reason=treatment.reason))
        return None

    def _one(self, statement: Statement) -> None:
        try:
            self._send(statement)
        except psycopg.Error as error:
            if not self._harmless(statement, error) and not self._repaired(statement, error):
                self._note(statement, error)

    def _send(self, statement: Statement) -> None:
        if statement.data is None:
            self._connection.execute(statement.text)
            return
        with self._connection.cursor() as cursor, cursor.copy(statement.text) as copy:
            copy.write(statement.data)

    def _harmless(self, statement: Statement, error: psycopg.Error) -> bool:
        opening = statement.text.lstrip().upper()
        return any(
            opening.startswith(words) and error.sqlstate in states
            for words, states in _HARMLESS.items()
        )

    def _repaired(self, statement: Statement, error: psycopg.Error) -> bool:
        made = standins.make(self._connection, statement.text, error.sqlstate or "")
        if not made:
            return False
        self.substituted += [LeftOut(subject=what, reason=reason) for what, reason in made]
        if Syntax(statement.text).is_create_collation:
            return True
        try:
            self._send(statement)
        except psycopg.Error as again:
            self._note(statement, again)
        return True

    def _note(self, statement: Statement, error: psycopg.Error) -> None:
        syntax = Syntax(statement.text)
        self.failed.append(
            Failed(
                subject=statement.subject or _opening(statement.text),
                statement=statement.text,
                sqlstate=error.sqlstate or "",
                because=self._because(syntax, error),
                relation=syntax.creates or "",
            )
        )

    def _because(self, syntax: Syntax, error: psycopg.Error) -> str:
        said = error.diag.message_primary or str(error).strip()
        if syntax.extension:
            available = self._connection.execute(
                _QUERIES.text("extension_available"), {"name": syntax.extension}
            ).fetchone()
            return (
                said
                if available and available[0]
                else (f"extension {syntax.extension} is not available")
            )
        causes = [failure for failure in self.failed if failure.because]
        if error.sqlstate == _UNDEFINED_TABLE:
            for failure in causes:
                if failure.relation and failure.relation in syntax.relations:
                    return failure.because
        if error.sqlstate in _LACKS_EXTENSION:
            for failure in causes:
                if failure.subject.startswith(("EXTENSION ", "CREATE EXTENSION")):
                    return f"{said}; {failure.because}"
            for left in self.left_out:
                if left.subject.startswith(("EXTENSION ", "CREATE EXTENSION")):
                    return f"{said}; {left.subject.lower()} was left out"
        return said


def _opening(text: str) -> str:
    """The beginning of a statement, for people."""
    return " ".join(text.split())[:60]
