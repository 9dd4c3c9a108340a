"""Whether a plan serves a predicate: pure judgement of nodes.

Owns the meaning of *served*: every scan of the table's rows goes through an index whose condition
holds its leading key. Must never take a name in a plan for a use: an index that is read from end to
end, or entered through a later column (skip scan, since 18), does not serve.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from pglast.stream import RawStream
from pglast.visitors import Visitor

from howdah.sandbox.plan import PlanNode
from howdah.sandbox.syntax import expression

ANY_KEY = frozenset({"gin", "brin", "bloom"})
"""Access methods that find rows by any of their columns equally well."""

LOSSY = frozenset({"brin", "bloom"})
"""Access methods that find pages, or rows that may not match, rather than rows."""


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """One valid index of the table or of one of its partitions."""

    oid: int
    name: str
    root: str
    """The index of the partitioned table that it belongs to, or itself."""
    method: str
    leading_key: str
    """As `pg_get_indexdef` writes the first column or expression."""


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """One index that serves, or takes part in serving, the predicate."""

    index: str
    method: str
    """The access method: whether `brin` is good enough is the caller's decision."""
    condition: str
    lossy: bool = False
    """The index yields candidates to be checked, by the nature of its access method."""
    filter: str | None = None
    """What of the predicate is left to be checked row by row."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one plan."""

    scans: int
    """How many nodes read rows of the table; 0 means that there was nothing to judge."""
    serving: tuple[Serving, ...] = ()
    against: str = ""
    """Why it is not served; empty when it is."""

    @property
    def served(self) -> bool:
        """Whether every scan is served."""
        return bool(self.scans) and not self.against


def judge(root: PlanNode, family: Collection[str], indexes: Mapping[str, Index]) -> Judgement:
    """Judge the scans of `family` (a table and its partitions) in a plan."""
    scans = [
        node
        for node in root.walk()
        if node.relation in family and not node.node.startswith("Bitmap I")
    ]
    serving: list[Serving] = []
    for scan in scans:
        found, against = _scan(scan, indexes)
        if against:
            return Judgement(scans=len(scans), against=against)
        serving += found
    return Judgement(scans=len(scans), serving=tuple(_distinct(serving)))


def _scan(node: PlanNode, indexes: Mapping[str, Index]) -> tuple[list[Serving], str]:
    """What serves one scan, or why nothing does."""
    if node.node in ("Index Scan", "Index Only Scan"):
        return _entry(node, indexes, node.filter)
    if node.node == "Bitmap Heap Scan":
        return _bitmap(node.children[0], indexes, node.filter)
    return [], f"{node.node} on {node.relation}"


def _bitmap(
    node: PlanNode, indexes: Mapping[str, Index], remains: str | None
) -> tuple[list[Serving], str]:
    if node.node == "Bitmap Index Scan":
        return _entry(node, indexes, remains)
    parts = [_bitmap(child, indexes, remains) for child in node.children]
    refused = [against for _, against in parts if against]
    # Of an AND one part is enough to find the rows; an OR needs all of them.
    if refused and (node.node == "BitmapOr" or len(refused) == len(parts)):
        return [], refused[0]
    return [each for found, _ in parts for each in found], ""


def _entry(
    node: PlanNode, indexes: Mapping[str, Index], remains: str | None
) -> tuple[list[Serving], str]:
    index = indexes.get(node.index or "")
    if index is None:
        return [], f"{node.index} is not an index of the table"
    if not node.index_condition:
        return [], f"{node.index} would be read from end to end"
    if index.method not in ANY_KEY and not mentions(node.index_condition, index.leading_key):
        return [], f"{node.index} is entered past its leading key {index.leading_key}"
    return [
        Serving(
            index=index.root,
            method=index.method,
            condition=node.index_condition,
            lossy=index.method in LOSSY,
            filter=remains,
        )
    ], ""


def _distinct(serving: Iterable[Serving]) -> Iterable[Serving]:
    """One entry per index, not one per partition."""
    return {each.index: each for each in serving}.values()


def mentions(condition: str, key: str) -> bool:
    """Whether an index condition holds a key: a column by name, or an expression as a whole.

    >>> mentions("(t.b = $1)", "a"), mentions("((t.a)::text = $1)", "a")
    (False, True)
    >>> mentions("(lower((t.c)::text) = $1)", "lower((c)::text)")
    True
    """
    wanted = _parts(key)
    if wanted is None:
        return re.search(rf"(?<![\w$]){re.escape(key)}(?![\w$])", condition) is not None
    found = _parts(condition)
    if found is None:  # such as a reference to an InitPlan, which is no SQL
        plain = re.sub(r"\b\w+\.", "", condition)
        return re.search(rf"(?<![\w$]){re.escape(key)}(?![\w$])", plain) is not None
    return wanted[0] in found


def _parts(text: str) -> list[str] | None:
    """Every subexpression, outermost first, without table names; None when it does not parse."""
    tree = expression(text)
    if tree is None:
        return None
    parts = _Parts()
    parts(tree)
    return parts.texts


class _Parts(Visitor):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def visit(self, _ancestors: Any, node: Any) -> None:
        kind = type(node).__name__
        if kind == "ColumnRef":
            node.fields = node.fields[-1:]
            self.texts.append(RawStream()(node))
        elif kind in ("FuncCall", "A_Expr", "TypeCast", "CoalesceExpr", "CaseExpr", "SubLink"):
            self.texts.append(_plain(RawStream()(node)))


def _plain(text: str) -> str:
    """Without the table before a column, which EXPLAIN VERBOSE adds."""
    return re.sub(r'(?:\b\w+|"[^"]+")\.(?=["\w])', "", text)
