"""Each query of the snapshot runs on each server, and its columns are the fields it fills."""

from __future__ import annotations

from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import psycopg
import pytest
from psycopg import sql

from howdah.query import Queries, Query
from howdah.snapshot.afterwards import _SPACE_KINDS, MEASURE
from howdah.snapshot.doctor import helper_view
from howdah.snapshot.facts.catalog import ColumnStatistics, Row
from howdah.snapshot.facts.counters import CounterSample, TableSample
from howdah.snapshot.facts.measured import Size
from howdah.snapshot.model import fact_types
from howdah.snapshot.plan import ACTIVITY, CATALOG, COUNTERS, PARTS, REPLICATION
from howdah.snapshot.sampler import _SAMPLER
from howdah.snapshot.session import SERVER, pin
from howdah.testing import Database

PARAMETERS: dict[str, Any] = {
    "locked": [1],
    "search_path": ["public"],
    "values": False,
    "limit": 10,
    "fed_relations": [1],
    "fed_columns": [1],
    "fed_values": [1],
    "chosen": [],
    "ids": [],
    "names": ["a"],
    "queues": [],
    "name": "plpgsql",
    "low": 0,
    "high": 2**32 - 1,
    "shares": [0.5],
}
PYTHON: dict[str, type] = {
    "int2": int,
    "int4": int,
    "int8": int,
    "oid": int,
    "float4": float,
    "float8": float,
    "bool": bool,
    "text": str,
    "name": str,
    "_int2": tuple,
    "_int4": tuple,
    "_oid": tuple,
    "_text": tuple,
    "_name": tuple,
}
FILLED: dict[str, type[Row]] = {part.fact: fact_types()[part.fact] for part in PARTS}
FILLED |= dict(_SPACE_KINDS)
FILLED |= {
    "sizes": Size,
    "counter_sample": CounterSample,
    "table_samples": TableSample,
    "column_statistics_helped": ColumnStatistics,
}
FILES = (CATALOG, COUNTERS, ACTIVITY, REPLICATION, MEASURE, SERVER, _SAMPLER)


def described(connection: psycopg.Connection, query: Query) -> list[tuple[str, type]]:
    """Column names of a query with the Python type of each."""
    text = sql.SQL(query.text)
    if "{schema}" in query.text:
        text = text.format(schema=sql.Identifier("public"))  # type: ignore[assignment] # composed
    cursor = connection.cursor(binary=True)
    cursor.execute(text, PARAMETERS)
    types = connection.adapters.types
    found = []
    for column in cursor.description or ():
        known = types.get(column.type_code)
        assert known is not None
        name = f"_{known.name}" if column.type_code == known.array_oid else known.name
        found.append((column.name, PYTHON.get(name, object)))
    return found


def expected(kind: type[Row]) -> list[tuple[str, type]]:
    """Fields of a row with the bare type of each."""
    hints = get_type_hints(kind)
    found = []
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        bare = [each for each in get_args(hint) or (hint,) if each is not type(None)]
        found.append((field.name, tuple if get_origin(hint) is tuple else bare[0]))
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.source)
def test_queries_run_and_fill_their_rows(database: Database, file: Queries) -> None:
    with database.connect(autocommit=False) as connection:
        for extension in ("pg_stat_statements", "pgstattuple"):
            connection.execute(f"CREATE EXTENSION {extension}")
        connection.execute(helper_view("postgres"))
        pin(connection, database.major)
        for name in file:
            query = file.choose(name, database.major)
            if query is None or name == "pin":  # `pin` has just run
                continue
            columns = described(connection, query)
            if name in FILLED:
                assert columns == expected(FILLED[name]), name


def test_every_fact_has_a_block_for_every_major() -> None:
    for part in PARTS:
        for major in range(14, 20):
            assert part.queries.choose(part.fact, major) is not None, (part.fact, major)
