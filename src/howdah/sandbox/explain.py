"""Run one query in a sandbox and say what it took and what it returned.

Owns comparable measurements of SELECT, INSERT, UPDATE, DELETE and MERGE. Must never leave a trace:
everything is rolled back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from howdah import query
from howdah.errors import BadInput, from_database
from howdah.sandbox import plan
from howdah.sandbox.plan import PlanNode
from howdah.sandbox.sandbox import Sandbox, sandboxed
from howdah.sandbox.script import split

_QUERIES = query.load("howdah.sandbox", "sql/explain.sql")


class Buffers(msgspec.Struct, frozen=True, kw_only=True):
    """Pages of 8 kB, shared and local together."""

    hit: int = 0
    read: int = 0
    dirtied: int = 0
    written: int = 0
    temp_read: int = 0
    temp_written: int = 0

    @property
    def touched(self) -> int:
        """Pages looked at, wherever they were found."""
        return self.hit + self.read


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """What a query took. Without `analyze` only the plan is known."""

    plan: PlanNode
    json: str
    """The server's whole answer, for tools that draw plans."""
    analyzed: bool
    seconds: float = 0.0
    """Execution time as the server measured it."""
    rows: int = 0
    buffers: Buffers = Buffers()
    wal_bytes: int = 0
    result_hash: str | None = None
    """SHA-256 of the rows as a multiset; None for a statement that returns none."""
    ordered_hash: str | None = None
    """The same in the order in which they came."""


def explain(
    sandbox: Sandbox, statement: str, parameters: Sequence[Any] = (), *, analyze: bool = True
) -> Explained:
    """Explain one statement with $n parameters; with `analyze` run it twice, rolled back.

    The first run is for the result, the second for plan, buffers and WAL, so that the second finds
    what the first one cached. Raises `BadInput` for several statements and the error that the
    server's SQLSTATE stands for.
    """
    parts = split(statement)
    if len(parts) != 1:
        raise BadInput(f"{len(parts)} statements instead of one", hint="pass them one by one")
    text = parts[0].text
    with closing(sandbox.connect()) as connection:
        try:
            with sandboxed(connection):
                hashes = _hashes(connection, text, parameters) if analyze else (None, None)
            with sandboxed(connection):
                answer = _answer(connection, text, parameters, "analyze" if analyze else "only")
        except psycopg.Error as error:
            raise from_database(error) from error
    return _explained(answer, hashes, analyzed=analyze)


def _answer(
    connection: psycopg.Connection[Any], text: str, parameters: Sequence[Any], block: str
) -> Mapping[str, Any]:
    statement = sql.SQL(_QUERIES.text(block)).format(statement=sql.SQL(text))
    row = psycopg.RawCursor(connection).execute(statement, parameters or None).fetchone()
    assert row is not None, "EXPLAIN always answers"
    answer: Mapping[str, Any] = row[0][0]
    return answer


def _hashes(
    connection: psycopg.Connection[Any], text: str, parameters: Sequence[Any]
) -> tuple[str | None, str | None]:
    """Hashes of the rows as the server sends them, as texts: no type of ours takes part."""
    cursor = psycopg.RawCursor(connection)
    cursor.execute(text, parameters or None)
    result = cursor.pgresult
    if result is None or cursor.description is None:
        return None, None
    rows = [
        json.dumps([_text(result.get_value(row, column)) for column in range(result.nfields)])
        for row in range(result.ntuples)
    ]
    return _hash(sorted(rows)), _hash(rows)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


def _hash(rows: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _explained(
    answer: Mapping[str, Any], hashes: tuple[str | None, str | None], *, analyzed: bool
) -> Explained:
    top = answer["Plan"]
    return Explained(
        plan=plan.parse(answer),
        json=json.dumps(answer),
        analyzed=analyzed,
        seconds=float(answer.get("Execution Time", 0.0)) / 1000,
        rows=int(top.get("Actual Rows", 0) * top.get("Actual Loops", 1)),
        buffers=Buffers(
            hit=_sum(top, "Hit"),
            read=_sum(top, "Read"),
            dirtied=_sum(top, "Dirtied"),
            written=_sum(top, "Written"),
            temp_read=int(top.get("Temp Read Blocks", 0)),
            temp_written=int(top.get("Temp Written Blocks", 0)),
        ),
        wal_bytes=int(top.get("WAL Bytes", 0)),
        result_hash=hashes[0],
        ordered_hash=hashes[1],
    )


def _sum(top: Mapping[str, Any], what: str) -> int:
    return sum(int(top.get(f"{kind} {what} Blocks", 0)) for kind in ("Shared", "Local"))
