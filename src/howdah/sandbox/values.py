"""SQL expressions that make a column's value from the number of a row.

Owns the choice of an expression by type. Must never read a table: the expression is all there is.
"""

from __future__ import annotations

import msgspec
from psycopg import sql

from howdah import query
from howdah.sandbox.allowed import Allowed, Bound

_QUERIES = query.load("howdah.sandbox", "sql/values.sql")

# pg_type.typname to a block of values.sql; what is not here is tried as a text.
_BLOCKS = {
    **dict.fromkeys(("int8", "float4", "float8", "oid", "money"), "number"),
    **dict.fromkeys(("text", "name", "citext"), "text"),
    **dict.fromkeys(("json", "jsonb"), "json"),
    **dict.fromkeys(("time", "timetz"), "time"),
    **dict.fromkeys(("tsvector", "tsquery"), "words"),
    **dict.fromkeys(("int4range", "int8range", "numrange"), "numbers"),
    **dict.fromkeys(("daterange", "tsrange", "tstzrange"), "days"),
    **{name: name for name in ("timestamp", "timestamptz", "date", "interval", "uuid", "xml")},
    **{name: name for name in ("bytea", "inet", "cidr", "macaddr", "macaddr8", "point", "box")},
    "int2": "smallint",
    "int4": "integer",
    "bool": "boolean",
    "pg_lsn": "lsn",
    "xid8": "digits",
    "circle": "circle",
    "int4multirange": "numbers",
    "int8multirange": "numbers",
    "nummultirange": "numbers",
    "datemultirange": "days",
    "tsmultirange": "days",
    "tstzmultirange": "days",
}
_PERIODS = {"boolean": 2, "smallint": 32767, "date": 36500, "time": 86400, "days": 18250}
_WHOLE = {"int2", "int4", "int8", "date"}
_SPREAD = {"timestamp", "timestamptz", "numeric", "float4", "float8"}
_NUMBERS = {"int2", "int4", "int8", "numeric", "float4", "float8"}

# A typmod of these types is the length plus VARHDRSZ (pg_type's typmodin functions).
_HEADER = 4


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column as the catalogs describe it; a domain is described by its base type."""

    name: str
    type: str
    base_type: str
    base_name: str
    typtype: str
    modifier: int
    not_null: bool
    identity: bool
    element_type: str | None
    element_name: str | None
    element_typtype: str | None
    labels: int


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """How a column gets its value."""

    text: str
    """The expression, with a place {n} and the places below."""
    places: dict[str, sql.Composable] = {}
    period: int | None = None
    """After how many rows values repeat; None for never, as far as anybody fills."""

    def at(self, n: sql.Composable) -> sql.Composed:
        """The expression for the row with that number."""
        return sql.SQL(self.text).format(n=n, **self.places)


def value(column: Column, allowed: Allowed | None = None, bound: Bound | None = None) -> Value:
    """The value of a column, cast to its type."""
    chosen = _bounded(column, bound) if bound else None
    chosen = chosen or (_allowed(column, allowed) if allowed else None)
    return _cast(chosen or _by_type(column), column.type)


def _by_type(column: Column) -> Value:
    if column.element_type:
        element = _scalar(
            column.element_name or "", column.element_typtype or "b", column.element_type, column
        )
        inner = sql.SQL(element.text).format(n=sql.SQL("{n}"), **element.places)
        text = _QUERIES.text("array").format(element=inner.as_string())
        return Value(text=text, period=element.period)
    return _scalar(column.base_name, column.typtype, column.base_type, column)


def _scalar(name: str, typtype: str, type_: str, column: Column) -> Value:
    if typtype == "e":
        places = {"type": sql.SQL(type_), "count": sql.Literal(column.labels)}
        return _block("label", places, column.labels)
    size = column.modifier - _HEADER
    if name in ("varchar", "bpchar") and size > 0:
        return _block("short", {"length": sql.Literal(size)}, 10 ** min(size, 18))
    if name in ("bit", "varbit"):
        length = min(max(column.modifier, 1), 64)
        return _block("bits", {"length": sql.Literal(length)}, 2**length)
    if name == "numeric" and size > 0:
        # typmod packs precision and scale as two 16-bit halves; scale has 11 bits.
        digits, scale = (size >> 16) - (size & 0x7FF), size & 0x7FF
        if digits <= 0:
            count = 10 ** min(scale, 18)
            return _block("fraction", {"count": sql.Literal(count)}, count)
        limit = 10 ** min(digits, 18) - 1
        return _block("decimal", {"limit": sql.Literal(limit)}, limit)
    if name == "numeric":
        return _block("number")
    block = _BLOCKS.get(name, "text")
    if name.endswith("multirange"):
        inner = _QUERIES.text(block)
        return Value(text=_QUERIES.text("multirange").replace("{range}", inner))
    return _block(block, {}, _PERIODS.get(block))


def _allowed(column: Column, allowed: Allowed) -> Value | None:
    if allowed.values:
        values = sql.SQL(", ").join(sql.Literal(text) for text in allowed.values)
        count = len(allowed.values)
        return _block("listed", {"values": values, "count": sql.Literal(count)}, count)
    if column.base_name not in _NUMBERS:
        return None
    low = allowed.low if allowed.low is not None else min(1, allowed.high or 1)
    high = allowed.high if allowed.high is not None else low + 30000
    count = max(1, high - low + 1)
    return _block("bounded", {"low": sql.Literal(low), "count": sql.Literal(count)}, count)


def _bounded(column: Column, bound: Bound) -> Value | None:
    if bound.values:
        values = sql.SQL(", ").join(sql.Literal(text) for text in bound.values)
        count = len(bound.values)
        return _block("listed", {"values": values, "count": sql.Literal(count)}, count)
    places = {
        "type": sql.SQL(column.base_type),
        "low": sql.Literal(bound.low),
        "high": sql.Literal(bound.high),
    }
    kind = column.base_name
    if bound.low is None:
        if bound.high is None or kind not in _WHOLE | _SPREAD:
            return None
        return _block("below_whole" if kind in _WHOLE | {"numeric"} else "below", places)
    if bound.high is None or kind not in _WHOLE | _SPREAD:
        return _block("above", places, 1)
    return _block("within_whole" if kind in _WHOLE else "within", places, 1000)


def _block(
    name: str, places: dict[str, sql.Composable] | None = None, period: int | None = None
) -> Value:
    return Value(text=_QUERIES.text(name), places=places or {}, period=period)


def _cast(chosen: Value, type_: str) -> Value:
    places = {**chosen.places, "column_type": sql.SQL(type_)}
    return msgspec.structs.replace(
        chosen, text=_QUERIES.text("cast").replace("{value}", chosen.text), places=places
    )
