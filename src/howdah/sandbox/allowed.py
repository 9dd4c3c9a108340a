"""What check constraints and partition bounds allow in a column, as far as one can read it.

Owns reading them with PostgreSQL's parser. Must never claim completeness: a constraint that is not
understood is left to the server, which refuses the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pglast
from pglast import ast, enums

from howdah.sandbox.syntax import expression


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one column: a list, or whole numbers from `low` to `high`."""

    values: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None

    def and_(self, other: Allowed) -> Allowed:
        """Both constraints at once."""
        lows = [low for low in (self.low, other.low) if low is not None]
        highs = [high for high in (self.high, other.high) if high is not None]
        return Allowed(
            values=self.values or other.values,
            low=max(lows, default=None),
            high=min(highs, default=None),
        )


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """What a partition wants in one key column. None for an open end, texts otherwise."""

    column: str
    values: tuple[str | None, ...] = ()
    low: str | None = None
    high: str | None = None


def by_checks(checks: Iterable[tuple[str | None, str]]) -> dict[str, Allowed]:
    """Allowed values by column; each check is (column of a domain or None, its definition)."""
    found: dict[str, Allowed] = {}
    for column, definition in checks:
        for name, allowed in _read(definition):
            key = column or name
            found[key] = found[key].and_(allowed) if key in found else allowed
    return found


def _read(definition: str) -> Iterable[tuple[str, Allowed]]:
    tree = expression(definition.removeprefix("CHECK ").removesuffix(" NOT VALID"))
    return [] if tree is None else _conjuncts(tree)


def _conjuncts(node: Any) -> list[tuple[str, Allowed]]:
    if isinstance(node, ast.BoolExpr) and node.boolop == enums.BoolExprType.AND_EXPR:
        return [found for part in node.args or () for found in _conjuncts(part)]
    if not isinstance(node, ast.A_Expr):
        return []
    column = _bare(node.lexpr)
    if not isinstance(column, ast.ColumnRef):
        return []
    allowed = _one(node)
    name: Any = (column.fields or (None,))[-1]
    return [(str(name.sval), allowed)] if allowed and isinstance(name, ast.String) else []


def _one(node: ast.A_Expr) -> Allowed | None:
    operator = _operator(node)
    right: Any = _bare(node.rexpr)
    if isinstance(right, ast.A_ArrayExpr) and operator == "=":
        values = [_constant(element) for element in right.elements or ()]
        known = tuple(value for value in values if value is not None)
        return Allowed(values=known) if known and len(known) == len(values) else None
    value = _constant(right)
    if value is None:
        return None
    if operator == "=":
        return Allowed(values=(value,))
    if not value.lstrip("-").isdigit():
        return None
    number = int(value)
    low = {">": number + 1, ">=": number}.get(operator)
    high = {"<": number - 1, "<=": number}.get(operator)
    return Allowed(low=low, high=high) if low is not None or high is not None else None


def _operator(node: ast.A_Expr) -> str:
    name: Any = (node.name or (None,))[-1]
    return str(name.sval) if name else ""


def _bare(node: Any) -> Any:
    """Without casts."""
    while isinstance(node, ast.TypeCast):
        node = node.arg
    return node


def _constant(node: Any) -> str | None:
    """The text of a constant, casts apart; None for anything else, NULL included."""
    node = _bare(node)
    if isinstance(node, ast.A_Expr) and node.lexpr is None and _operator(node) == "-":
        inner = _constant(node.rexpr)
        return None if inner is None else f"-{inner}"
    if not isinstance(node, ast.A_Const) or node.isnull:
        return None
    value: Any = node.val
    for field in ("ival", "fval", "sval", "bsval"):
        if hasattr(value, field):
            return str(getattr(value, field))
    return str(value.boolval).lower() if hasattr(value, "boolval") else None


def by_bound(strategy: str, keys: Sequence[str | None], bound: str) -> list[Bound] | None:
    """What a partition bound asks of each key column.

    None where a row cannot be aimed at the partition: hash, DEFAULT, and keys that are expressions.
    """
    if strategy == "h" or bound == "DEFAULT" or None in keys:
        return None
    spec: Any = pglast.parse_sql("CREATE TABLE a PARTITION OF b " + bound)[0].stmt
    names = [key for key in keys if key is not None]
    if strategy == "l":
        values = tuple(_constant(datum) for datum in spec.partbound.listdatums)
        return [Bound(column=names[0], values=values)]
    pairs = zip(names, spec.partbound.lowerdatums, spec.partbound.upperdatums, strict=True)
    bounds = [Bound(column=name, low=_end(low), high=_end(high)) for name, low, high in pairs]
    # Of several columns together only the lower end itself is certainly inside.
    if len(bounds) == 1:
        return bounds
    return [
        bound if bound.low is None else msgspec.structs.replace(bound, high=None)
        for bound in bounds
    ]


def _end(datum: Any) -> str | None:
    """MINVALUE and MAXVALUE are open ends; the parser reads them as column names."""
    return _constant(datum)
