"""A plan as the server explains it: frozen nodes.

Owns reading EXPLAIN's JSON. Must never judge a plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

# disable_cost in the server's costsize.c, up to 17: what a disabled node costs on top.
_DISABLE_COST = 1e10
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


class PlanNode(msgspec.Struct, frozen=True, kw_only=True):
    """One node; texts are the server's own, names are quoted as it would quote them."""

    node: str
    """Such as `Seq Scan`, `Index Scan`, `Bitmap Heap Scan`."""
    relation: str | None = None
    """`schema.table`; on a Bitmap Index Scan that of the heap scan above it."""
    index: str | None = None
    """`schema.index`; an index lives where its table does."""
    index_condition: str | None = None
    order_by: str | None = None
    """The operator order that an index delivers (KNN)."""
    recheck: str | None = None
    filter: str | None = None
    disabled: bool = False
    """The planner was told not to use such a node and found no other way."""
    subplans_removed: int = 0
    """Partitions pruned at start-up for the values given, which are no real values here."""
    rows: float = 0.0
    """As the planner estimates them."""
    actual_rows: float | None = None
    """Per loop; None where the statement was not run."""
    cost: float = 0.0
    children: tuple[PlanNode, ...] = ()

    def walk(self) -> Iterator[PlanNode]:
        """This node and all below it, top down."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse(explained: Mapping[str, Any]) -> PlanNode:
    """The tree under one `{"Plan": ...}` of EXPLAIN (FORMAT JSON, VERBOSE)."""
    return _node(explained["Plan"], None, None)


def _node(raw: Mapping[str, Any], schema: str | None, relation: str | None) -> PlanNode:
    schema = raw.get("Schema", schema)
    if "Relation Name" in raw:
        relation = _qualified(schema, raw["Relation Name"])
    children = tuple(_node(child, schema, relation) for child in raw.get("Plans", ()))
    index = raw.get("Index Name")
    cost = float(raw.get("Total Cost", 0.0))
    return PlanNode(
        node=raw["Node Type"],
        relation=relation if "Relation Name" in raw or index else None,
        index=_qualified(schema, index) if index else None,
        index_condition=raw.get("Index Cond"),
        order_by=raw.get("Order By"),
        recheck=raw.get("Recheck Cond"),
        filter=raw.get("Filter"),
        disabled=_disabled(raw, cost, children),
        subplans_removed=int(raw.get("Subplans Removed", 0)),
        rows=float(raw.get("Plan Rows", 0.0)),
        actual_rows=raw.get("Actual Rows"),
        cost=cost,
        children=children,
    )


def _disabled(raw: Mapping[str, Any], cost: float, children: tuple[PlanNode, ...]) -> bool:
    """18 says so; before, the cost of a disabled node is absurd and its inputs' is not."""
    if "Disabled" in raw:
        return bool(raw["Disabled"])
    return cost >= _DISABLE_COST + sum(child.cost for child in children)


def _qualified(schema: str | None, name: str) -> str:
    return f"{quoted(schema)}.{quoted(name)}" if schema else quoted(name)


def quoted(name: str) -> str:
    """As `quote_ident` would, keywords apart.

    >>> quoted("orders"), quoted("Order's")
    ('orders', '"Order\\'s"')
    """
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'
