"""The form of a predicate: which column it is about, and what stands around that column.

Owns the classification of conditions and the equivalent form that an index could serve. It only
names suspects: whether an index serves a condition is the planner's answer, never this module's.

Conditions that no index form could serve (`<>`, `NOT LIKE`, OR across columns) are not suspects,
nor are plain comparisons that any index of the column serves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pglast import ast, enums

from howdah.check.knowledge.parsing import (
    Level,
    Node,
    Resolver,
    deparsed,
    expression,
    fresh,
    operator,
    string_of,
    type_name,
    walk,
)
from howdah.snapshot.facts.catalog import Column, Relation

COMPARISONS = frozenset({"=", "<", ">", "<=", ">="})
_JSON_STEPS = {"->": False, "->>": True, "#>": False, "#>>": True}  # whether the result is text
_CONTAINMENT = frozenset({"@>", "<@", "&&", "?", "?|", "?&", "@?", "@@", "@@@", "-|-", "<<", ">>"})
# Functions that do what an operator does, without the operator's access to indexes.
_OPERATOR_OF = {
    "jsonb_path_exists": "@?",
    "jsonb_path_match": "@@",
    "jsonb_contains": "@>",
    "jsonb_exists": "?",
    "arraycontains": "@>",
    "arrayoverlap": "&&",
    "range_contains": "@>",
    "range_overlaps": "&&",
}
_KIND = enums.A_Expr_Kind
_PATTERN_KINDS = (_KIND.AEXPR_LIKE, _KIND.AEXPR_ILIKE)
_COMPARING_KINDS = (_KIND.AEXPR_OP, _KIND.AEXPR_IN, _KIND.AEXPR_BETWEEN, _KIND.AEXPR_OP_ANY)


class Form(StrEnum):
    """What stands between the column and an index on it."""

    CAST = "cast"
    FUNCTION = "function"
    ARITHMETIC = "arithmetic"
    JSON_VALUE = "json value"  # d->'k', d['k'], d#>'{k}'
    JSON_TEXT = "json text"  # d->>'k', d#>>'{k}', jsonb_extract_path_text(d, 'k')
    OPERATOR_FUNCTION = "function form of an operator"
    ELEMENT = "element of an array"  # $1 = ANY (tags)
    PATTERN = "pattern"
    COLLATION = "collation"
    VALUE_CAST = "cast of the value"
    CONTAINMENT = "containment"  # an operator of GIN, GiST or SP-GiST on the bare column
    PLAIN = "plain comparison"


@dataclass(frozen=True, kw_only=True)
class Predicate:
    """One condition of one level about one column."""

    level: Level
    node: Node
    relation: Relation
    column: Column
    form: Form
    operator: str
    subject: Node  # the side that holds the column
    value: Node | None  # the other side; None for a function form

    @property
    def label(self) -> str:
        """The subject and its operator, parameters blanked: the same in every statement."""
        text = re.sub(r"\$\d+", "?", deparsed(unqualified(self.subject)))
        return f"{text} {self.operator}".strip()


def predicates(resolver: Resolver, level: Level) -> Iterator[Predicate]:
    """The suspects among a level's conditions."""
    for node in level.conditions:
        sides = _sides(node)
        if sides is None:
            continue
        for subject, value in sides:
            found = resolver.references(level, subject)
            others = resolver.references(level, value) if value is not None else ()
            columns = {(relation.oid, column.number) for relation, column in found}
            if len(columns) == 1 and not others:
                relation, column = found[0]
                yield Predicate(
                    level=level,
                    node=node,
                    relation=relation,
                    column=column,
                    form=_form(node, subject, value),
                    operator=_operator(node),
                    subject=subject,
                    value=value,
                )


def _sides(node: Node) -> tuple[tuple[Node, Node | None], ...] | None:
    """Pairs of subject and value to try, or None for a condition that no index serves."""
    if isinstance(node, ast.FuncCall):
        name = string_of(node.funcname[-1]) if node.funcname else ""
        return ((node, None),) if name in _OPERATOR_OF else None
    if not isinstance(node, ast.A_Expr):
        return None
    kind, name = node.kind, operator(node)
    if kind in _PATTERN_KINDS:
        return None if name.startswith("!") else ((node.lexpr, node.rexpr),)
    if kind == _KIND.AEXPR_OP and name in ("~", "~*"):
        return ((node.lexpr, node.rexpr),)
    if kind == _KIND.AEXPR_IN and name == "<>":
        return None
    if kind in _COMPARING_KINDS and name in COMPARISONS | _CONTAINMENT | {"IN", "BETWEEN"}:
        return ((node.lexpr, node.rexpr), (node.rexpr, node.lexpr))
    return None


def _operator(node: Node) -> str:
    if isinstance(node, ast.FuncCall):
        return ""
    if node.kind == _KIND.AEXPR_IN:
        return "IN"
    if node.kind == _KIND.AEXPR_LIKE:
        return "LIKE"
    if node.kind == _KIND.AEXPR_ILIKE:
        return "ILIKE"
    return operator(node)


def _form(node: Node, subject: Node, value: Node | None) -> Form:
    if isinstance(node, ast.FuncCall):
        return Form.OPERATOR_FUNCTION
    name = operator(node)
    if node.kind in _PATTERN_KINDS or name in ("~", "~*"):
        return Form.PATTERN
    if node.kind == _KIND.AEXPR_OP_ANY and subject is node.rexpr:
        return Form.ELEMENT
    around = _around(subject)
    if around is not Form.PLAIN:
        return around
    if name in _CONTAINMENT:
        return Form.CONTAINMENT
    return Form.VALUE_CAST if isinstance(value, ast.TypeCast) else Form.PLAIN


def _around(subject: Node) -> Form:
    """What stands around the column, seen from outside."""
    if isinstance(subject, ast.CollateClause):
        return Form.COLLATION
    if isinstance(subject, ast.TypeCast):
        return Form.CAST
    if isinstance(subject, ast.A_Indirection):
        return Form.JSON_VALUE
    if isinstance(subject, ast.FuncCall):
        is_path = string_of(subject.funcname[-1]) == "jsonb_extract_path_text"  # type: ignore[index]  # a call has a name
        return Form.JSON_TEXT if is_path else Form.FUNCTION
    if isinstance(subject, ast.A_Expr):
        is_text = _JSON_STEPS.get(operator(subject))
        if is_text is None:
            return Form.ARITHMETIC
        return Form.JSON_TEXT if is_text else Form.JSON_VALUE
    return Form.PLAIN


# --- the equivalent form that an index can serve --------------------------------------------------


def equivalent(predicate: Predicate) -> str:
    """The condition in a form with access to an index on the bare column, '' where none is known.

    Equal by meaning, except that a JSON value that is not a string compares as JSON does.
    """
    column = deparsed(_column_reference(predicate.subject))
    value = deparsed(predicate.value) if predicate.value is not None else ""
    match predicate.form:
        case Form.JSON_TEXT | Form.JSON_VALUE if predicate.operator == "=":
            return _contained(predicate, column, value)
        case Form.OPERATOR_FUNCTION:
            return _as_operator(predicate.node, column)
        case Form.ELEMENT if predicate.operator == "=":
            return f"{column} @> CAST(ARRAY[{value}] AS {predicate.column.type})"
        case Form.CAST if _is_day(predicate) and predicate.operator == "=":
            day = f"CAST({value} AS date)"
            return f"{column} >= {day} AND {column} < {day} + 1"
        case Form.VALUE_CAST if isinstance(predicate.value, ast.TypeCast):
            inner = deparsed(predicate.value.arg)
            return f"{column} {predicate.operator} CAST({inner} AS {predicate.column.type})"
        case _:
            return ""


def _is_day(predicate: Predicate) -> bool:
    subject = predicate.subject
    is_date = isinstance(subject, ast.TypeCast) and type_name(subject.typeName) == "date"
    return is_date and predicate.column.base_type in ("timestamp", "timestamptz")


def _column_reference(node: Node) -> Node:
    return next(each for each in walk(node) if isinstance(each, ast.ColumnRef))


def _as_operator(call: Node, column: str) -> str:
    """`f(column, x)` as `column op x`; with more arguments it means something else."""
    if len(call.args or ()) != 2 or not isinstance(call.args[0], ast.ColumnRef):
        return ""
    return f"{column} {_OPERATOR_OF[string_of(call.funcname[-1])]} {deparsed(call.args[1])}"


def _contained(predicate: Predicate, column: str, value: str) -> str:
    keys = _path(predicate.subject)
    if predicate.column.base_type != "jsonb" or not keys:
        return ""
    text = predicate.form is Form.JSON_TEXT
    document = f"CAST({value} AS {'text' if text else 'jsonb'})"
    for key in reversed(keys):
        document = f"jsonb_build_object(CAST({key} AS text), {document})"
    return f"{column} @> {document}"


def _path(subject: Node) -> list[str]:
    """The keys from the column down, empty where they are not one by one."""
    if isinstance(subject, ast.FuncCall):
        return [deparsed(each) for each in (subject.args or ())[1:]]
    if isinstance(subject, ast.A_Indirection):
        steps = subject.indirection or ()
        keys = [deparsed(step.uidx) for step in steps if isinstance(step, ast.A_Indices)]
        return keys if len(keys) == len(steps) else []
    keys = []
    while isinstance(subject, ast.A_Expr) and operator(subject) in ("->", "->>"):
        keys.append(deparsed(subject.rexpr))
        subject = subject.lexpr
    return keys[::-1] if isinstance(subject, ast.ColumnRef) else []


# --- trees with one condition changed -------------------------------------------------------------


def replaced(text: str, node: Node, condition: str) -> str:
    """The statement with the first condition equal to `node` replaced; '' where it has none."""
    new = expression(condition)
    tree = fresh(text)
    for parent in list(walk(tree)):
        for slot in parent:
            held = getattr(parent, slot)
            if held == node and isinstance(held, ast.Node):
                setattr(parent, slot, new)
                return deparsed(tree)
            if isinstance(held, tuple) and node in held:
                at = held.index(node)
                setattr(parent, slot, (*held[:at], new, *held[at + 1 :]))
                return deparsed(tree)
    return ""


def unqualified(node: Node) -> Node:
    """A copy of an expression with columns named by their last part, as an index spells them."""
    copy = expression(deparsed(node), shared=False)
    for each in walk(copy):
        if isinstance(each, ast.ColumnRef) and each.fields:
            each.fields = each.fields[-1:]
    return copy
