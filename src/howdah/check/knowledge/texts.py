"""What a normalised statement's text says: the relations it names, the refresh it is, its name.

Owns these readings, on the trees of `howdah.check.knowledge.parsing`. A text that does not parse is
an answer of its own (None), never an empty set of relations.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pglast import ast

from howdah.check.knowledge.parsing import Resolver, parsed, walk
from howdah.snapshot.facts.catalog import Relation
from howdah.snapshot.picture import SYSTEM_SCHEMAS

_NAME_LENGTH = 60


@dataclass(frozen=True)
class Refresh:
    """REFRESH MATERIALIZED VIEW of this name."""

    schema: str | None
    name: str
    concurrently: bool


def relations_named(text: str, resolver: Resolver) -> tuple[Relation, ...] | None:
    """The relations that a statement names, each once; None where its text does not parse."""
    tree = parsed(text)
    if tree.reason:
        return None
    nodes = [node for statement in tree.statements for node in walk(statement)]
    common = {node.ctename for node in nodes if isinstance(node, ast.CommonTableExpr)}
    found = {
        relation.oid: relation
        for node in nodes
        if isinstance(node, ast.RangeVar) and (node.schemaname or node.relname not in common)
        if (relation := resolver.relation(node.schemaname, node.relname or "")) is not None
    }
    return tuple(found.values())


def reads_catalogs_only(text: str, resolver: Resolver) -> bool:
    """Whether every relation that a statement names is one of the server's own.

    A view is no relation of the snapshot, so a statement on one counts as reading users' tables.
    """
    tree = parsed(text)
    nodes = [node for statement in tree.statements for node in walk(statement)]
    common = {node.ctename for node in nodes if isinstance(node, ast.CommonTableExpr)}
    named = [
        node
        for node in nodes
        if isinstance(node, ast.RangeVar) and (node.schemaname or node.relname not in common)
    ]
    return not tree.reason and all(_is_catalog(node, resolver) for node in named)


def _is_catalog(node: ast.RangeVar, resolver: Resolver) -> bool:
    if node.schemaname:
        return node.schemaname in SYSTEM_SCHEMAS
    name = node.relname or ""
    return name.startswith("pg_") and resolver.relation(None, name) is None


def refresh(text: str) -> Refresh | None:
    """The refresh that a statement is, or None for any other."""
    if "refresh" not in text.lower():
        return None
    for statement in parsed(text).statements:
        if isinstance(statement, ast.RefreshMatViewStmt) and (of := statement.relation):
            name, at_once = of.relname or "", bool(statement.concurrent)
            return Refresh(schema=of.schemaname, name=name, concurrently=at_once)
    return None


def statement_name(text: str) -> str:
    """A name for a statement that is the same in every run: its beginning and a digest."""
    flat = " ".join(text.split())
    digest = hashlib.sha256(flat.encode()).hexdigest()[:8]
    return f"{flat[:_NAME_LENGTH]} [{digest}]"
