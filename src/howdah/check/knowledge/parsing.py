"""Statement texts as trees: which tables a level reads, under which conditions.

Owns the only use of PostgreSQL's parser on texts of pg_stat_statements. A normalised text has its
constants blanked to $1, $2, ...; some no longer parse (a text cut short), and then
`Parsed.reason` says so and there are no levels. Must never judge a statement, nor guess a table:
a name that is not exactly one relation of the snapshot is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pglast import ast, enums, parse_sql
from pglast.parser import ParseError, scan
from pglast.stream import RawStream

from howdah.snapshot.facts.catalog import Column, Relation
from howdah.snapshot.picture import Picture

Node = Any  # a pglast tree node: which kind is found out by isinstance


_AS_CONDITION = "SELECT 1 WHERE "
_PLANNED = (ast.SelectStmt, ast.UpdateStmt, ast.DeleteStmt, ast.InsertStmt)


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """A text's trees, or why there are none."""

    text: str
    statements: tuple[Node, ...] = ()
    reason: str = ""


@lru_cache(maxsize=4096)
def parsed(text: str) -> Parsed:
    """The trees of a text. They are shared: copy before changing one (`fresh`)."""
    try:
        return Parsed(text=text, statements=tuple(raw.stmt for raw in parse_sql(text)))
    except ParseError as error:
        return Parsed(text=text, reason=f"the normalised text does not parse ({error.args[0]})")
    except RecursionError:
        return Parsed(text=text, reason="the text is nested too deeply")


def fresh(text: str) -> Node:
    """A first tree of its own, free to be changed; only for a text that `parsed` could parse."""
    return parse_sql(text)[0].stmt


def deparsed(node: Node) -> str:
    """The tree as SQL on one line."""
    return str(RawStream()(node))


def expression(text: str, *, shared: bool = True) -> Node | None:
    """The tree of an expression as `pg_get_indexdef` prints it, None if it does not parse."""
    select = _AS_CONDITION + text
    if not shared:
        return fresh(select).whereClause
    trees = parsed(select)
    return trees.statements[0].whereClause if trees.statements else None


def walk(node: Any) -> Iterator[Node]:
    """A node and everything below it, depth first, in the order of the text."""
    if isinstance(node, ast.Node):
        yield node
        for slot in node:
            yield from walk(getattr(node, slot))
    elif isinstance(node, (tuple, list)):
        for each in node:
            yield from walk(each)


def _below(node: Any) -> Iterator[Node]:
    """Like `walk`, but a nested SELECT is returned without going into it."""
    if isinstance(node, ast.Node):
        yield node
        if not isinstance(node, ast.SelectStmt):
            for slot in node:
                yield from _below(getattr(node, slot))
    elif isinstance(node, (tuple, list)):
        for each in node:
            yield from _below(each)


def string_of(node: Node) -> str:
    """The text of a name part, '' for a star or a subscript."""
    return (node.sval or "") if isinstance(node, ast.String) else ""


def operator(node: Node) -> str:
    """An A_Expr's operator name without its schema."""
    return string_of(node.name[-1]) if node.name else ""


def parameters(node: Node) -> tuple[int, ...]:
    """Numbers of the parameters below a node, in the order of the text."""
    return tuple(each.number or 0 for each in walk(node) if isinstance(each, ast.ParamRef))


def conjuncts(node: Node | None) -> Iterator[Node]:
    """The conditions that must all hold, AND taken apart."""
    if node is None:
        return
    if isinstance(node, ast.BoolExpr) and node.boolop == enums.BoolExprType.AND_EXPR:
        for each in node.args or ():
            yield from conjuncts(each)
    else:
        yield node


# --- levels ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Source:
    """One mention of a table in a level, under the name that its columns are qualified with."""

    relation: Relation
    alias: str


@dataclass(frozen=True, kw_only=True)
class Level:
    """One SELECT, UPDATE, DELETE or INSERT of a statement, with the tables that it names itself."""

    node: Node
    sources: tuple[Source, ...]
    conditions: tuple[Node, ...]  # WHERE and inner JOIN ... ON, AND taken apart
    target: Relation | None = None  # the table written

    @property
    def is_select(self) -> bool:
        """Whether it reads only (locking clauses included)."""
        return isinstance(self.node, ast.SelectStmt)


class Resolver:
    """Names to relations and columns of one picture."""

    def __init__(self, picture: Picture) -> None:
        self._by_name: dict[str, list[Relation]] = {}
        for row in picture.user_relations:
            self._by_name.setdefault(row.name, []).append(row)
        self._columns: Mapping[int, Mapping[str, Column]] = {
            oid: {column.name: column for column in columns.values()}
            for oid, columns in picture.columns.items()
        }
        self._path = picture.server.search_path

    def relation(self, schema: str | None, name: str) -> Relation | None:
        """The relation of that name: by schema, by the role's path, or the only one there is."""
        rows = self._by_name.get(name, [])
        if schema:
            return next((row for row in rows if row.schema == schema), None)
        for each in self._path:
            for row in rows:
                if row.schema == each:
                    return row
        return rows[0] if len(rows) == 1 else None

    def column(self, relation: int, name: str) -> Column | None:
        """A column by name."""
        return self._columns.get(relation, {}).get(name)

    def reference(self, level: Level, node: Node) -> tuple[Relation, Column] | None:
        """What a ColumnRef of this level points to; None for a star or another level's column."""
        parts = [string_of(part) for part in node.fields]
        if not parts[-1]:
            return None
        qualifier = parts[-2] if len(parts) > 1 else ""
        found = [
            (source.relation, column)
            for source in level.sources
            if qualifier in ("", source.alias)
            and (column := self.column(source.relation.oid, parts[-1])) is not None
        ]
        return found[0] if len(found) == 1 else None

    def references(self, level: Level, node: Node) -> tuple[tuple[Relation, Column], ...]:
        """All columns below a node that belong to the level's own tables, in order."""
        refs = (each for each in walk(node) if isinstance(each, ast.ColumnRef))
        return tuple(found for each in refs if (found := self.reference(level, each)) is not None)

    def levels(self, text: str) -> tuple[Level, ...]:
        """Every level of every statement of a text; empty where it does not parse."""
        found: list[Level] = []
        for statement in parsed(text).statements:
            found.extend(self.levels_of(statement))
        return tuple(found)

    def levels_of(self, statement: Node) -> Iterator[Level]:
        """The levels of one tree, the outermost first; EXPLAIN and other utilities have none."""
        if not isinstance(statement, _PLANNED):
            return
        nodes = list(walk(statement))
        ctes = (each for each in nodes if isinstance(each, ast.CommonTableExpr))
        hidden = {each.ctename or "" for each in ctes}
        for node in nodes:
            if isinstance(node, _PLANNED):
                yield self._level(node, hidden)

    def _level(self, node: Node, hidden: set[str]) -> Level:
        target = None if isinstance(node, ast.SelectStmt) else self._source(node.relation, hidden)
        sources = [] if target is None or isinstance(node, ast.InsertStmt) else [target]
        clauses = [getattr(node, slot, None) for slot in ("fromClause", "usingClause")]
        conditions = list(conjuncts(getattr(node, "whereClause", None)))
        for each in _below(clauses):
            if isinstance(each, ast.RangeVar) and (source := self._source(each, hidden)):
                sources.append(source)
            elif isinstance(each, ast.JoinExpr) and each.jointype == enums.JoinType.JOIN_INNER:
                conditions.extend(conjuncts(each.quals))
        return Level(
            node=node,
            sources=tuple(sources),
            conditions=tuple(conditions),
            target=target.relation if target else None,
        )

    def _source(self, var: Node, hidden: set[str]) -> Source | None:
        if not var.schemaname and var.relname in hidden:
            return None
        relation = self.relation(var.schemaname, var.relname)
        if relation is None:
            return None
        return Source(relation=relation, alias=var.alias.aliasname if var.alias else var.relname)


@lru_cache(maxsize=1)
def resolver(picture: Picture) -> Resolver:
    """The picture's resolver, made once."""
    return Resolver(picture)


# --- giving blanked constants back ----------------------------------------------------------------


def pinned(text: str, values: Mapping[int, str]) -> str:
    """The text with some parameters replaced by SQL, the others renumbered without gaps.

    >>> pinned("select a from t where b = $1 and c = $2", {1: "'x'"})
    "select a from t where b = 'x' and c = $1"
    """
    tokens = [token for token in scan(text) if token.name == "PARAM"]
    numbers = {token: int(text[token.start + 1 : token.end + 1]) for token in tokens}
    kept = sorted(set(numbers.values()) - set(values))
    renumbered = {old: f"${new}" for new, old in enumerate(kept, start=1)}
    pieces: list[str] = []
    at = 0
    for token in tokens:
        number = numbers[token]
        pieces += [text[at : token.start], values.get(number) or renumbered[number]]
        at = token.end + 1
    return "".join([*pieces, text[at:]])


def unified(pattern: Node, model: Node) -> dict[int, str] | None:
    """Values for the parameters of `pattern` that make it `model`, or None where it cannot be.

    Casts of constants and qualifiers of columns do not matter: the server prints `'k'::text` where
    people write `'k'`.

    >>> unified(expression("d ->> $1"), expression("(d ->> 'k'::text)"))
    {1: "'k'"}
    """
    if isinstance(pattern, ast.ParamRef):
        constant = _constant(model)
        return None if constant is None else {pattern.number or 0: constant}
    pattern, model = _bare(pattern), _bare(model)
    if type(pattern) is not type(model):
        return None
    if isinstance(pattern, ast.ColumnRef):
        return {} if _last_name(pattern) == _last_name(model) else None
    return _merged(
        _unified_value(getattr(pattern, slot), getattr(model, slot))
        for slot in pattern
        if slot not in ("location", "typemod", "funcformat", "rexpr_list_start", "rexpr_list_end")
    )


def _unified_value(pattern: Any, model: Any) -> dict[int, str] | None:
    if isinstance(pattern, ast.TypeName) and isinstance(model, ast.TypeName):
        return {} if type_name(pattern) == type_name(model) else None
    if isinstance(pattern, ast.Node) and isinstance(model, ast.Node):
        return unified(pattern, model)
    if isinstance(pattern, tuple) and isinstance(model, tuple) and len(pattern) == len(model):
        return _merged(_unified_value(p, m) for p, m in zip(pattern, model, strict=True))
    return {} if pattern == model else None


def _merged(parts: Iterable[dict[int, str] | None]) -> dict[int, str] | None:
    merged: dict[int, str] = {}
    for part in parts:
        if part is None:
            return None
        merged |= part
    return merged


def type_name(node: Node) -> str:
    """A type as the parser names it, the system schema left out: 'int4', 'timestamptz'."""
    brackets = "[]" if node.arrayBounds else ""
    return string_of(node.names[-1]) + brackets


def _last_name(node: Node) -> str:
    return string_of(node.fields[-1])


def _constant(node: Node) -> str | None:
    inner = node
    while isinstance(inner, ast.TypeCast):
        inner = inner.arg
    is_constant = isinstance(inner, (ast.A_Const, ast.A_ArrayExpr))
    if is_constant and not any(isinstance(each, ast.ColumnRef) for each in walk(inner)):
        # A text constant goes back bare, so that it adapts as the blanked one did.
        plain = isinstance(inner, ast.A_Const)
        return deparsed(inner if plain else node)
    return None


def _bare(node: Node) -> Node:
    """Without a cast of a constant."""
    if isinstance(node, ast.TypeCast) and isinstance(node.arg, ast.A_Const):
        return node.arg
    return node
