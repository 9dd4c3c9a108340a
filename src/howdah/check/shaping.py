"""Give a sandbox the shape under which a finding shows.

Owns rows, dead rows, sequence positions, settings and broken indexes of one trial, and taking the
settings back. Must never run outside a marked sandbox: every step goes through `howdah.sandbox` or
checks the marker itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

import pglast
from psycopg import sql

from howdah import query
from howdah.check.model import Shape
from howdah.sandbox import fill
from howdah.sandbox.marker import require_sandbox
from howdah.sandbox.plan import quoted
from howdah.sandbox.sandbox import Sandbox
from howdah.snapshot.picture import Picture

_QUERIES = query.load("howdah.check", "sql/trial.sql")


def give(sandbox: Sandbox, shape: Shape, picture: Picture) -> int:
    """Shape the sandbox; returns the rows that it got.

    Names in a shape are those of findings (`schema.name`, not quoted); the picture knows which
    schema and name they mean.
    """
    names = _quoted_names(picture)
    set_settings(sandbox, shape.settings)
    for definition in shape.invalid_indexes:
        _break(sandbox, definition)
    tables = {table: names.get(table, table) for table in {*shape.rows, *shape.dead}}
    wanted = {
        quoted_name: fill.Shape(rows=shape.rows.get(table, 0), dead=shape.dead.get(table, 0))
        for table, quoted_name in tables.items()
    }
    filled = fill.fill(sandbox, wanted) if wanted else {}
    for name, value in shape.sequences.items():
        fill.set_sequence(sandbox, names.get(name, name), value)
    if shape.vacuumed:
        _vacuum(sandbox, wanted)
    if shape.analyzed and wanted:
        fill.analyze(sandbox, wanted)
    return sum(each.rows for each in filled.values())


def _vacuum(sandbox: Sandbox, tables: Iterable[str]) -> None:
    with closing(sandbox.connect()) as connection:
        require_sandbox(connection)
        text = sql.SQL(_QUERIES.text("vacuum"))
        for table in tables:
            connection.execute(text.format(table=sql.SQL(table)))


def set_settings(sandbox: Sandbox, settings: Mapping[str, str]) -> None:
    """Set parameters of the sandbox's server and let it read them."""
    if settings:
        pairs = ((name, {"value": sql.Literal(value)}) for name, value in settings.items())
        _change_settings(sandbox, "set", pairs)


def reset_settings(sandbox: Sandbox, names: Iterable[str]) -> None:
    """Take parameters back: the server is shared by all trials, none may outlive its own."""
    pairs: list[tuple[str, dict[str, sql.Literal]]] = [(name, {}) for name in names]
    if pairs:
        _change_settings(sandbox, "reset", pairs)


def _change_settings(
    sandbox: Sandbox, block: str, pairs: Iterable[tuple[str, dict[str, sql.Literal]]]
) -> None:
    with closing(sandbox.connect()) as connection:
        require_sandbox(connection)
        text = sql.SQL(_QUERIES.text(block))
        for name, values in pairs:
            connection.execute(text.format(name=sql.Identifier(*name.split(".")), **values))
        connection.execute(_QUERIES.text("reload"))


def _break(sandbox: Sandbox, definition: str) -> None:
    """Build an index, then mark it invalid: a schema dump leaves invalid ones out."""
    built: Any = pglast.parse_sql(definition)[0].stmt  # an IndexStmt: the server wrote it
    index = f"{quoted(built.relation.schemaname)}.{quoted(built.idxname)}"
    with closing(sandbox.connect()) as connection:
        require_sandbox(connection)
        connection.execute(definition.encode())
        connection.execute(_QUERIES.text("break_index"), {"index": index})


def _quoted_names(picture: Picture) -> dict[str, str]:
    snapshot = picture.snapshot
    pairs = [(row.schema, row.name) for row in snapshot.relations.rows]
    pairs += [(row.schema, row.name) for row in snapshot.sequences.rows]
    return {f"{schema}.{name}": f"{quoted(schema)}.{quoted(name)}" for schema, name in pairs}
