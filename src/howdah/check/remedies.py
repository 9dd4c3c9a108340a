"""The operations that findings name: statements, inverse and retry-safe form from arguments.

Owns the SQL of remedies as data. Must never run any of it: the sandbox stage tries a remedy, and a
person or `howdah demo` applies it. Identifiers are composed by `psycopg.sql`; definitions come from
the server itself (`pg_get_indexdef`).

Every statement is meant to run outside a transaction block. `retry_safe` begins with the session's
limits: a lock is waited for briefly, and a concurrent build is never cut by a statement timeout,
which would leave an invalid index that `IF NOT EXISTS` then takes for a good one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from psycopg import sql

from howdah.check.model import Remedy, Shape

_BRIEF_LOCK = ("SET lock_timeout = '2s'",)
_CONCURRENT = ("SET statement_timeout = 0", "SET lock_timeout = '2s'")
_NOTHING = Shape()
# The head of a partitioned index's definition as the server prints it: its own index only.
_ONLY = re.compile(r'^(CREATE (?:UNIQUE )?INDEX (?:"(?:[^"]|"")+"|[^" ]+)) ON ONLY ')


def name(*parts: str) -> str:
    """A possibly qualified identifier, quoted where needed by the server's rules.

    >>> name("public", "Orders")
    '"public"."Orders"'
    """
    return sql.Identifier(*parts).as_string(None)


def _text(template: str, **parts: sql.Composable) -> str:
    return sql.SQL(template).format(**parts).as_string(None)


def drop_index(
    schema: str,
    index: str,
    definition: str,
    *,
    partitioned: bool = False,
    shape: Shape = _NOTHING,
) -> Remedy:
    """Drop an index without blocking writers; its definition is the inverse.

    The index of a partitioned table (`partitioned`) cannot be dropped concurrently.
    """
    if partitioned:
        return _drop_partitioned_index(schema, index, definition, shape)
    what = sql.Identifier(schema, index)
    statement = _text("DROP INDEX CONCURRENTLY IF EXISTS {i}", i=what)
    return Remedy(
        operation="drop-index",
        arguments={"index": f"{schema}.{index}"},
        sql=(_text("DROP INDEX CONCURRENTLY {i}", i=what),),
        inverse=(_concurrently(definition),),
        retry_safe=(*_CONCURRENT, statement),
        shape=shape,
    )


def _drop_partitioned_index(schema: str, index: str, definition: str, shape: Shape) -> Remedy:
    what = sql.Identifier(schema, index)
    statement = _text("DROP INDEX IF EXISTS {i}", i=what)
    return Remedy(
        operation="drop-index",
        arguments={"index": f"{schema}.{index}"},
        sql=(*_BRIEF_LOCK, _text("DROP INDEX {i}", i=what)),
        inverse=(_ONLY.sub(r"\1 ON ", definition, count=1),),
        retry_safe=(*_BRIEF_LOCK, statement),
        shape=shape,
        note="locks the table and all its partitions for a moment: a partitioned index cannot be "
        "dropped concurrently",
    )


def _concurrently(definition: str) -> str:
    """`CREATE INDEX ...` as the server prints it, built without blocking writers."""
    for head in ("CREATE UNIQUE INDEX ", "CREATE INDEX "):
        if definition.startswith(head):
            return f"{head}CONCURRENTLY {definition.removeprefix(head)}"
    return definition


def create_index(
    schema: str,
    table: str,
    index: str,
    keys: str,
    *,
    method: str = "btree",
    unique: bool = False,
    predicate: str = "",
    shape: Shape = _NOTHING,
    note: str = "",
) -> Remedy:
    """Build an index without blocking writers.

    `keys` is the text between the parentheses, each column already quoted (`name`) and each
    expression in its own parentheses.
    """
    create = "CREATE UNIQUE INDEX" if unique else "CREATE INDEX"
    build = _text(
        "{create} CONCURRENTLY {i} ON {t} USING {method} ({keys}){where}",
        create=sql.SQL(create),
        i=sql.Identifier(index),
        t=sql.Identifier(schema, table),
        method=sql.SQL(method),
        keys=sql.SQL(keys),
        where=sql.SQL(f" WHERE {predicate}" if predicate else ""),
    )
    drop = _text("DROP INDEX CONCURRENTLY IF EXISTS {i}", i=sql.Identifier(schema, index))
    return Remedy(
        operation="create-index",
        arguments={"table": f"{schema}.{table}", "index": index, "keys": keys},
        sql=(build,),
        inverse=(drop,),
        retry_safe=(*_CONCURRENT, drop, build),
        shape=shape,
        note=note,
    )


def reindex(schema: str, index: str, *, shape: Shape = _NOTHING, note: str = "") -> Remedy:
    """Rebuild an index without blocking writers; needs room for a second copy meanwhile."""
    statement = _text("REINDEX INDEX CONCURRENTLY {i}", i=sql.Identifier(schema, index))
    leftover = sql.Identifier(schema, f"{index}_ccnew")
    return Remedy(
        operation="reindex",
        arguments={"index": f"{schema}.{index}"},
        sql=(statement,),
        retry_safe=(
            *_CONCURRENT,
            _text("DROP INDEX CONCURRENTLY IF EXISTS {i}", i=leftover),
            statement,
        ),
        shape=shape,
        note=note or "there is nothing to take back: the rebuilt index is the same index",
    )


def analyze(schema: str, table: str, *, shape: Shape = _NOTHING) -> Remedy:
    """Gather statistics of one table (of a partitioned parent: the inherited ones too)."""
    statement = _text("ANALYZE {t}", t=sql.Identifier(schema, table))
    return Remedy(
        operation="analyze",
        arguments={"table": f"{schema}.{table}"},
        sql=(statement,),
        retry_safe=(*_BRIEF_LOCK, statement),
        shape=shape,
        note="there is nothing to take back: the next ANALYZE replaces it",
    )


def vacuum(
    schema: str,
    table: str,
    *,
    freeze: bool = False,
    analyze: bool = False,
    shape: Shape = _NOTHING,
    note: str = "",
) -> Remedy:
    """Vacuum one table, readers and writers undisturbed."""
    words = [word for word, on in (("FREEZE", freeze), ("ANALYZE", analyze)) if on]
    statement = _text(
        "VACUUM {options}{t}",
        options=sql.SQL(f"({', '.join(words)}) " if words else ""),
        t=sql.Identifier(schema, table),
    )
    return Remedy(
        operation="vacuum",
        arguments={"table": f"{schema}.{table}", "freeze": freeze},
        sql=(statement,),
        retry_safe=("SET statement_timeout = 0", statement),
        shape=shape,
        note=note or "there is nothing to take back",
    )


def set_table_options(
    schema: str,
    table: str,
    options: Mapping[str, str],
    *,
    before: Mapping[str, str | None],
    kind: str = "TABLE",
    shape: Shape = _NOTHING,
    note: str = "",
) -> Remedy:
    """Set storage parameters of a table, index (`kind` INDEX) or materialised view.

    `before` gives each parameter's present value, None where it is not set, for the inverse.
    """
    target = {"kind": sql.SQL(kind), "t": sql.Identifier(schema, table)}
    change = _text("ALTER {kind} {t} SET ({o})", **target, o=_options(options))
    old = {key: value for key, value in before.items() if value is not None}
    new = [key for key, value in before.items() if value is None]
    inverse = []
    if old:
        inverse.append(_text("ALTER {kind} {t} SET ({o})", **target, o=_options(old)))
    if new:
        keys = sql.SQL(", ").join(map(sql.Identifier, new))
        inverse.append(_text("ALTER {kind} {t} RESET ({o})", **target, o=keys))
    return Remedy(
        operation="set-table-options",
        arguments={"table": f"{schema}.{table}", **options},
        sql=(change,),
        inverse=tuple(inverse),
        retry_safe=(*_BRIEF_LOCK, change),
        shape=shape,
        note=note,
    )


def _options(options: Mapping[str, str]) -> sql.Composed:
    pairs = (
        sql.SQL("{} = {}").format(sql.Identifier(k), sql.Literal(v)) for k, v in options.items()
    )
    return sql.SQL(", ").join(pairs)


def set_server_setting(
    setting: str, value: str, *, restart: bool, shape: Shape = _NOTHING, note: str = ""
) -> Remedy:
    """Set one parameter for the whole server, and reload; some take a restart as well."""
    change = _text("ALTER SYSTEM SET {s} = {v}", s=sql.Identifier(setting), v=sql.Literal(value))
    reload = "SELECT pg_catalog.pg_reload_conf()"
    return Remedy(
        operation="set-server-setting",
        arguments={"setting": setting, "value": value},
        sql=(change, reload),
        inverse=(_text("ALTER SYSTEM RESET {s}", s=sql.Identifier(setting)), reload),
        retry_safe=(change, reload),
        shape=shape,
        note=note or ("takes effect at the next restart" if restart else ""),
    )


def validate_constraint(schema: str, table: str, constraint: str, *, shape: Shape) -> Remedy:
    """Check the rows that a NOT VALID constraint has not checked yet, writers undisturbed."""
    statement = _text(
        "ALTER TABLE {t} VALIDATE CONSTRAINT {c}",
        t=sql.Identifier(schema, table),
        c=sql.Identifier(constraint),
    )
    return Remedy(
        operation="validate-constraint",
        arguments={"table": f"{schema}.{table}", "constraint": constraint},
        sql=(statement,),
        retry_safe=(*_BRIEF_LOCK, statement),
        shape=shape,
        note="there is nothing to take back; it fails, and changes nothing, if a row violates it",
    )


def statements(
    operation: str,
    arguments: Mapping[str, str],
    sql: Sequence[str],
    *,
    inverse: Sequence[str] = (),
    retry_safe: Sequence[str] = (),
    shape: Shape = _NOTHING,
    note: str = "",
) -> Remedy:
    """A remedy of one rule only, its statements given (identifiers quoted by `name`)."""
    return Remedy(
        operation=operation,
        arguments=arguments,
        sql=tuple(sql),
        inverse=tuple(inverse),
        retry_safe=tuple(retry_safe),
        shape=shape,
        note=note,
    )


def manual(operation: str, arguments: Mapping[str, str], sql: Sequence[str], note: str) -> Remedy:
    """An act that only a person may decide; shown as text, never tried and never executed."""
    return Remedy(operation=operation, arguments=arguments, sql=tuple(sql), note=note, manual=True)
