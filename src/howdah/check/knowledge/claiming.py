"""Claims: statements that take the next rows of a table.

Owns the reading of one level as a claim: its order, its limit, its locks, and the conditions that
say what is still to be done. Must never decide whether the table is a queue (`queueing` does).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from pglast import ast, enums

from howdah.check.knowledge.parsing import (
    Level,
    Node,
    Resolver,
    deparsed,
    operator,
    string_of,
    walk,
)
from howdah.snapshot.facts.catalog import Column
from howdah.snapshot.facts.counters import Statement

_TIMES = frozenset({"timestamp", "timestamptz"})
_CLOCKS = frozenset({"now", "clock_timestamp", "statement_timestamp", "transaction_timestamp"})
# The guards of readers that follow commits instead of clocks or ids.
_VISIBILITY_GUARDS = frozenset(
    {"pg_snapshot_xmin", "pg_visible_in_snapshot", "txid_snapshot_xmin", "txid_visible_in_snapshot"}
)
_ROW_LOCKS = (
    enums.LockClauseStrength.LCS_FORUPDATE,
    enums.LockClauseStrength.LCS_FORNOKEYUPDATE,
)
_DESCENDING = enums.SortByDir.SORTBY_DESC
_KIND = enums.A_Expr_Kind


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """A condition that says that a row is still to be done."""

    column: str
    condition: str  # as the statement writes it
    kind: str  # 'is null' of a timestamp, 'boolean', 'value'


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One statement that takes the next rows."""

    statement: Statement
    skips_locked: bool
    locks: bool
    deletes: bool  # deletes and returns what it takes
    order_by: tuple[str, ...]  # columns, up to the first that is not a plain one
    ascending: bool
    markers: tuple[Marker, ...]
    cursor: str | None  # the column compared with `> $n`
    due: tuple[str, ...]  # times that must have come: compared with `<=` or `<`
    is_guarded: bool  # by the horizon of the reader's snapshot
    has_limit: bool
    batch: int | None  # LIMIT, where it is a literal; pg_stat_statements blanks most
    others: int  # conditions that are neither marker, nor cursor, nor due

    @property
    def rows_per_call(self) -> float:
        """Mean rows taken per call; a poll that finds nothing counts as a call."""
        return self.statement.rows / max(1, self.statement.calls)


def claim(
    names: Resolver, level: Level, levels: tuple[Level, ...], statement: Statement
) -> Claim | None:
    """The level as a claim of its one table, None if it takes no rows in order."""
    node = level.node
    if not isinstance(node, ast.SelectStmt) or len(level.sources) != 1:
        return None
    locks = [
        each
        for each in node.lockingClause or ()
        if isinstance(each, ast.LockingClause) and each.strength in _ROW_LOCKS
    ]
    order = tuple(_order(names, level))
    found = Claim(
        statement=statement,
        skips_locked=any(each.waitPolicy == enums.LockWaitPolicy.LockWaitSkip for each in locks),
        locks=bool(locks),
        deletes=_deletes(level, levels),
        order_by=order,
        ascending=_is_ascending(node),
        markers=tuple(_markers(names, level)),
        cursor=_cursor(names, level),
        due=tuple(_due(names, level)),
        is_guarded=any(_is_call(each, _VISIBILITY_GUARDS) for each in walk(node)),
        has_limit=node.limitCount is not None,
        batch=_literal(node.limitCount),
        others=0,
    )
    known = len(found.markers) + len(found.due) + (found.cursor is not None) + found.is_guarded
    takes = found.has_limit or found.cursor is not None
    if not (takes and (order or found.locks)):
        return None
    return msgspec.structs.replace(found, others=max(0, len(level.conditions) - known))


def _order(names: Resolver, level: Level) -> Iterator[str]:
    for each in level.node.sortClause or ():
        reference = (
            names.reference(level, each.node) if isinstance(each.node, ast.ColumnRef) else None
        )
        if reference is None:
            return
        yield reference[1].name


def _is_ascending(node: Node) -> bool:
    return all(each.sortby_dir != _DESCENDING for each in (node.sortClause or ())[:1])


def _deletes(level: Level, levels: tuple[Level, ...]) -> bool:
    """Whether the same statement deletes from the claimed table and returns the rows."""
    return any(
        isinstance(each.node, ast.DeleteStmt)
        and each.target is level.sources[0].relation
        and bool(each.node.returningClause or getattr(each.node, "returningList", None))
        for each in levels
    )


def _literal(node: Node) -> int | None:
    value = node.val if isinstance(node, ast.A_Const) else None
    return value.ival if isinstance(value, ast.Integer) else None


def _is_call(node: Node, functions: frozenset[str]) -> bool:
    return (
        isinstance(node, ast.FuncCall)
        and bool(node.funcname)
        and string_of((node.funcname or ("",))[-1]) in functions
    )


# --- conditions -----------------------------------------------------------------------------------


def _column(names: Resolver, level: Level, node: Node) -> Column | None:
    reference = names.reference(level, node) if isinstance(node, ast.ColumnRef) else None
    return reference[1] if reference else None


def _markers(names: Resolver, level: Level) -> Iterator[Marker]:
    for condition in level.conditions:
        column, kind = _marked(names, level, condition)
        if column is not None:
            yield Marker(column=column.name, condition=deparsed(condition), kind=kind)


def _marked(names: Resolver, level: Level, node: Node) -> tuple[Column | None, str]:
    """The column that a condition marks, and how; (None, '') for other conditions."""
    if isinstance(node, ast.NullTest) and node.nulltesttype == enums.NullTestType.IS_NULL:
        column = _column(names, level, node.arg)
        return (column, "is null") if column and column.base_type in _TIMES else (None, "")
    if isinstance(node, ast.BoolExpr) and node.boolop == enums.BoolExprType.NOT_EXPR:
        return _column(names, level, (node.args or (None,))[0]), "boolean"
    if isinstance(node, ast.BooleanTest):
        return _column(names, level, node.arg), "boolean"
    is_choice = isinstance(node, ast.A_Expr) and node.kind in (
        _KIND.AEXPR_OP,
        _KIND.AEXPR_IN,
        _KIND.AEXPR_OP_ANY,
    )
    if is_choice and operator(node) == "=":
        column = _column(names, level, node.lexpr)
        if column is not None:
            return column, "boolean" if column.base_type == "bool" else "value"
    return None, ""


def _cursor(names: Resolver, level: Level) -> str | None:
    """The column of `column > $n`, or the first of `(a, b) > ($1, $2)`."""
    for node in level.conditions:
        if not isinstance(node, ast.A_Expr) or operator(node) not in (">", ">="):
            continue
        left, right = node.lexpr, node.rexpr
        if isinstance(left, ast.RowExpr):
            left = (left.args or (None,))[0]
        column = _column(names, level, left)
        fixed = not any(isinstance(each, (ast.ColumnRef, ast.FuncCall)) for each in walk(right))
        if column is not None and fixed:
            return column.name
    return None


def _due(names: Resolver, level: Level) -> Iterator[str]:
    """Columns compared with the clock, or with a time that the caller gives: `run_at <= now()`."""
    for node in level.conditions:
        if isinstance(node, ast.A_Expr) and operator(node) in ("<=", "<"):
            column = _column(names, level, node.lexpr)
            if column is not None and column.base_type in _TIMES:
                yield column.name
