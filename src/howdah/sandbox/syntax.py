"""What a statement mentions, by PostgreSQL's own parser.

Owns questions to the syntax tree. Must never fail on a text that does not parse: it then mentions
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pglast
from pglast import ast, enums
from pglast.visitors import Visitor

_SPECIAL_ROLES = enums.RoleSpecType.ROLESPEC_CSTRING


class Syntax(Visitor):
    """The names in one statement. Relations are unquoted `schema.name`, or `name` alone."""

    def __init__(self, statement: str) -> None:
        self.relations: list[str] = []
        self.collations: list[tuple[str, ...]] = []
        self.roles: list[str] = []
        self.creates: str | None = None
        self.extension: str | None = None
        self.server: str | None = None
        self.is_create_collation = False
        try:
            tree = pglast.parse_sql(statement)
        except pglast.parser.ParseError:
            return
        self(tree)
        if tree:
            self._created(tree[0].stmt)

    def visit(self, _ancestors: Any, node: ast.Node) -> None:
        """Collect names, whatever the statement."""
        if isinstance(node, ast.RangeVar):
            self.relations.append(_dotted(node))
        elif isinstance(node, ast.CollateClause):
            self._collation(node.collname)
        elif isinstance(node, ast.IndexElem):
            self._collation(node.collation)
        elif isinstance(node, ast.RoleSpec):
            if node.roletype == _SPECIAL_ROLES and node.rolename:
                self.roles.append(node.rolename)
        elif isinstance(node, ast.CreateExtensionStmt):
            self.extension = node.extname
        elif isinstance(node, ast.CreateForeignServerStmt):
            self.server = node.servername

    def _collation(self, name: Sequence[Any] | None) -> None:
        if name:
            self.collations.append(tuple(part.sval for part in name))

    def _created(self, statement: Any) -> None:
        kind = type(statement).__name__
        relation = {
            "CreateStmt": lambda: statement.relation,
            "CreateForeignTableStmt": lambda: statement.base.relation,
            "ViewStmt": lambda: statement.view,
            "CreateTableAsStmt": lambda: statement.into.rel,
            "CreateSeqStmt": lambda: statement.sequence,
        }.get(kind)
        if relation:
            self.creates = _dotted(relation())
        elif kind == "IndexStmt" and statement.idxname:
            schema = statement.relation.schemaname
            self.creates = f"{schema}.{statement.idxname}" if schema else statement.idxname
        elif kind == "DefineStmt" and statement.kind == enums.ObjectType.OBJECT_COLLATION:
            self.is_create_collation = True
            self._collation(statement.defnames)


def _dotted(relation: Any) -> str:
    return f"{relation.schemaname}.{relation.relname}" if relation.schemaname else relation.relname


def expression(text: str) -> Any | None:
    """The tree of one expression; None when it does not parse."""
    try:
        statement: Any = pglast.parse_sql("SELECT " + text)[0].stmt
    except pglast.parser.ParseError:
        return None
    return statement.targetList[0].val
