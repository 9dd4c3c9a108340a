"""Whether a claim can use a partial index: the texts to ask a planner about, and its answers.

Owns the experiment. On one plan alone nobody can tell *not allowed* from *not preferred*. So the
claim is asked as it is (its constants are parameters), with the constants that the index names, and
with the index's own predicate added: an index that serves only the last is not implied by the
claim, and one that serves only with constants is lost to a generic plan. Must never conclude from
an index that no variant uses: then the planner prefers another and nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import cycle

from pglast import ast, enums

from howdah.check.knowledge.claiming import Claim, claim
from howdah.check.knowledge.parsing import (
    Level,
    Node,
    Resolver,
    conjuncts,
    deparsed,
    expression,
    fresh,
    operator,
    parameters,
    parsed,
    pinned,
    resolver,
    string_of,
    unified,
    walk,
)
from howdah.check.knowledge.queueing import Queueing, queueings
from howdah.check.model import Answer, Answers, PlanQuestion
from howdah.snapshot.facts.catalog import Index
from howdah.snapshot.picture import Picture


class Implication(StrEnum):
    """What the three answers say about one claim and one partial index."""

    SERVED = "served"
    CONSTANTS_ONLY = "constants only"  # a generic plan cannot use it
    NOT_IMPLIED = "not implied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One claim and one partial index on the columns that the claim chooses by."""

    queue: Queueing
    claim: Claim
    index: Index
    with_constants: str
    with_predicate: str
    kept: tuple[str, ...]  # conditions of the index that the claim states too
    is_decidable: bool  # no other condition of the index hangs on a blanked constant
    columns: tuple[str, ...]  # columns that the shared conditions are about
    others: frozenset[str]  # the table's other partial indexes

    @property
    def texts(self) -> tuple[str, str, str]:
        """The three texts: as it is, with constants, with the index's predicate."""
        return (self.claim.statement.text, self.with_constants, self.with_predicate)


@lru_cache(maxsize=1)
def pairs(picture: Picture) -> tuple[Pair, ...]:
    """Every claim of every queue with the partial indexes that are about its conditions."""
    names = resolver(picture)
    return tuple(
        pair
        for queue in queueings(picture)
        for each in queue.claims
        for index in _partial(picture, queue)
        if (pair := _pair(picture, names, queue, each, index)) is not None
    )


def _partial(picture: Picture, queue: Queueing) -> tuple[Index, ...]:
    return tuple(
        index
        for index in picture.indexes_of.get(queue.relation, ())
        if index.predicate is not None and index.is_valid and index.is_live
    )


def questions(pair: Pair) -> tuple[PlanQuestion, ...]:
    """What to ask about one pair."""
    return tuple(PlanQuestion(statement=text) for text in dict.fromkeys(pair.texts))


def judged(answers: Answers, pair: Pair) -> Implication:
    """What the answers say."""
    found = [answers.get(PlanQuestion(statement=text)) for text in pair.texts]
    plain, constant, added = (each if each and each.answered else None for each in found)
    if plain is None:
        return Implication.UNKNOWN
    if _uses(plain, pair.index) or _is_served(plain, pair):
        return Implication.SERVED
    if constant is not None and _uses(constant, pair.index):
        return Implication.CONSTANTS_ONLY
    if constant is not None and any(_plain(scan.index) in pair.others for scan in constant.scans):
        return Implication.SERVED
    if pair.is_decidable and constant and added and _uses(added, pair.index):
        return Implication.NOT_IMPLIED
    return Implication.UNKNOWN


def _uses(answer: Answer, index: Index) -> bool:
    return any(_plain(scan.index) == index.name for scan in answer.scans)


def _is_served(answer: Answer, pair: Pair) -> bool:
    """Whether an index is entered by one of the columns that the claim chooses by."""
    return any(
        scan.index_condition and any(column in scan.index_condition for column in pair.columns)
        for scan in answer.scans
    )


def _plain(name: str | None) -> str:
    return (name or "").rpartition(".")[2].strip('"')


# --- the three texts ------------------------------------------------------------------------------


def _pair(
    picture: Picture, names: Resolver, queue: Queueing, taken: Claim, index: Index
) -> Pair | None:
    text, partial = taken.statement.text, _partial(picture, queue)
    if len(parsed(text).statements) != 1:
        return None
    at, level = next(_levels(names, taken), (None, None))
    wanted = expression(index.predicate or "")
    if at is None or level is None or wanted is None:
        return None
    required = tuple(conjuncts(wanted))
    columns = _shared(level, required)
    if not columns:
        return None
    constants, kept = _constants(level, required)
    with_constants = pinned(text, constants) if constants else text
    return Pair(
        queue=queue,
        claim=taken,
        index=index,
        with_constants=with_constants,
        with_predicate=_strengthened(names, with_constants, at, index.predicate or ""),
        kept=tuple(deparsed(need) for need in kept),
        is_decidable=not any(_hangs(level, need) for need in required if need not in kept),
        columns=columns,
        others=frozenset(each.name for each in partial if each.oid != index.oid),
    )


def _levels(names: Resolver, taken: Claim) -> Iterator[tuple[int, Level]]:
    """The level that the claim was read from, with its place."""
    levels = names.levels(taken.statement.text)
    for at, level in enumerate(levels):
        if claim(names, level, levels, taken.statement) == taken:
            yield at, level


def _shared(level: Level, required: tuple[Node, ...]) -> tuple[str, ...]:
    """Columns that both the claim's and the index's conditions are about."""
    theirs = {name for condition in level.conditions for name in _names(condition)}
    ours = (name for condition in required for name in _names(condition))
    return tuple(dict.fromkeys(name for name in ours if name in theirs))


def _names(node: Node) -> Iterator[str]:
    for each in walk(node):
        if isinstance(each, ast.ColumnRef) and each.fields:
            yield string_of(each.fields[-1])


def _constants(level: Level, required: tuple[Node, ...]) -> tuple[dict[int, str], list[Node]]:
    """Constants of the index for the claim's parameters, and the conditions that both state."""
    constants: dict[int, str] = {}
    kept = []
    for need in required:
        for given in level.conditions:
            values = unified(given, need)
            if values is None:
                values = _chosen(given, need)
            if values is not None:
                constants |= values
                kept.append(need)
                break
    return constants, kept


def _hangs(level: Level, need: Node) -> bool:
    """Whether a constant that is blanked in the claim might imply the index's condition.

    `state = $1` may mean a state that implies `state <> 'done'`.
    """
    names = set(_names(need))
    return any(parameters(given) and names & set(_names(given)) for given in level.conditions)


def _chosen(given: Node, need: Node) -> dict[int, str] | None:
    """Constants of `status = ANY ('{a,b}')`, as the index states it, for `=`, IN and ANY."""
    if (
        isinstance(given, ast.A_Expr)
        and operator(given) == "="
        and set(_names(given)) == set(_names(need))
    ):
        listed = _listed(need)
        numbers = parameters(given.rexpr)
        if not listed or not numbers:
            return None
        if given.kind == enums.A_Expr_Kind.AEXPR_OP_ANY:
            return {numbers[0]: f"ARRAY[{', '.join(listed)}]"}
        return dict(zip(numbers, cycle(listed)))  # one side is endless
    return None


def _listed(need: Node) -> list[str]:
    """The constants of `NOT done`, `status = 'a'` or `status = ANY (ARRAY['a', 'b'])`."""
    if isinstance(need, ast.BoolExpr) and need.boolop == enums.BoolExprType.NOT_EXPR:
        return ["false"]
    if isinstance(need, ast.ColumnRef):
        return ["true"]
    if isinstance(need, ast.A_Expr) and operator(need) == "=":
        return [deparsed(each) for each in walk(need.rexpr) if isinstance(each, ast.A_Const)]
    return []


def _strengthened(names: Resolver, text: str, at: int, predicate: str) -> str:
    """The statement with the index's predicate added to the claim's conditions."""
    tree = fresh(text)
    node = list(names.levels_of(tree))[at].node
    added = expression(predicate)
    node.whereClause = (
        added
        if node.whereClause is None
        else ast.BoolExpr(enums.BoolExprType.AND_EXPR, (node.whereClause, added))
    )
    return deparsed(tree)
