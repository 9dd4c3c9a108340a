"""Statements with a condition that may miss the indexes of its column, and how to ask about them.

Owns the choice of statements, the candidate indexes, the texts to put to a planner, and the reading
of its answers. Must never conclude: what the answers mean is the rule's.

pg_stat_statements blanks constants, also those that an index expression needs: `d ->> $1` matches
no index at all. So the constants of a candidate's expression are given back before asking, and a
pattern is given an anchor; the statement counts as served if any of these readings is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile

from pglast import ast

from howdah.check.knowledge.forms import Form, Predicate, equivalent, predicates, replaced
from howdah.check.knowledge.parsing import (
    Node,
    Resolver,
    expression,
    parameters,
    parsed,
    pinned,
    resolver,
    string_of,
    unified,
    walk,
)
from howdah.check.knowledge.readable import is_cut, is_hidden
from howdah.check.model import Answer, Answers, PlanQuestion, Scan
from howdah.snapshot.facts.catalog import Index
from howdah.snapshot.facts.counters import Statement
from howdah.snapshot.picture import Picture

# Statements looked at, by falling total time: what lies beyond has no time worth saving.
TOP_STATEMENTS = 200
# 8 kB pages. Below half a megabyte a sequential scan costs about what an index scan does.
MIN_PAGES = 64
# A call that touches less of the table than this share of its pages does not read it in full.
MIN_READ_SHARE = 0.1
# Access methods that can use any of their key columns alone; the others need the leading one.
_ANY_KEY = frozenset({"gin", "brin", "bloom"})


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """One condition of one statement, with the indexes of its column."""

    statement: Statement
    predicate: Predicate
    candidates: tuple[Index, ...]
    readings: tuple[str, ...]  # the statement with constants given back; served if any is
    known_constants: Mapping[int, str]  # of the first reading
    rewritten: str  # the statement in its equivalent form, '' where there is none


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What was looked at."""

    suspects: tuple[Suspect, ...]
    unread: tuple[Statement, ...]


@lru_cache(maxsize=1)
def selection(picture: Picture) -> Selection:
    """The suspects among the statements that take the most time."""
    statements = sorted(
        picture.snapshot.statements.rows, key=lambda row: (-row.total_milliseconds, row.query_id)
    )[:TOP_STATEMENTS]
    names = resolver(picture)
    suspects = [
        suspect for statement in statements for suspect in _suspects(picture, names, statement)
    ]
    unread = tuple(row for row in statements if is_hidden(row) or is_cut(row))
    return Selection(suspects=tuple(suspects), unread=unread)


def questions(suspect: Suspect) -> tuple[PlanQuestion, ...]:
    """What to ask about one suspect: its readings, and its equivalent form."""
    texts = [*suspect.readings, *([suspect.rewritten] if suspect.rewritten else [])]
    return tuple(PlanQuestion(statement=text) for text in texts)


def _suspects(picture: Picture, names: Resolver, statement: Statement) -> Iterator[Suspect]:
    if len(parsed(statement.text).statements) != 1:
        return
    for level in names.levels(statement.text):
        for predicate in predicates(names, level):
            candidates = _candidates(picture, predicate)
            if (
                candidates
                and _is_large(picture, predicate.relation.oid)
                and _is_suspect(picture, predicate, candidates)
            ):
                yield _suspect(statement, predicate, candidates)


def _suspect(statement: Statement, predicate: Predicate, candidates: tuple[Index, ...]) -> Suspect:
    constants = _constants(predicate, candidates)
    condition = equivalent(predicate)
    rewritten = replaced(statement.text, predicate.node, condition) if condition else ""
    return Suspect(
        statement=statement,
        predicate=predicate,
        candidates=candidates,
        readings=tuple(dict.fromkeys(pinned(statement.text, values) for values in constants)),
        known_constants=constants[0],
        rewritten=rewritten,
    )


def _is_large(picture: Picture, relation: int) -> bool:
    leaves = picture.leaves(relation) or (relation,)
    return sum(picture.pages(leaf) for leaf in leaves) >= MIN_PAGES


def table_pages(picture: Picture, relation: int) -> int:
    """Pages of a table, its partitions summed."""
    return sum(picture.pages(leaf) for leaf in picture.leaves(relation) or (relation,))


# --- candidates -----------------------------------------------------------------------------------


def _candidates(picture: Picture, predicate: Predicate) -> tuple[Index, ...]:
    """Valid whole-table indexes with the column where the method can use it."""
    return tuple(
        index
        for index in picture.indexes_of.get(predicate.relation.oid, ())
        if index.is_valid and index.is_live and index.predicate is None
        if any(_mentions(index, key, predicate) for key in _usable_keys(index))
    )


def _usable_keys(index: Index) -> range:
    return range(index.key_count if index.method in _ANY_KEY else min(1, index.key_count))


def _mentions(index: Index, key: int, predicate: Predicate) -> bool:
    if index.columns[key] != 0:
        return index.columns[key] == predicate.column.number
    tree = expression(index.column_definitions[key])
    return any(
        string_of((each.fields or ("",))[-1]) == predicate.column.name
        for each in walk(tree)
        if isinstance(each, ast.ColumnRef)
    )


def _expressions(candidates: Sequence[Index]) -> Iterator[Node]:
    for index in candidates:
        for key in _usable_keys(index):
            tree = expression(index.column_definitions[key]) if index.columns[key] == 0 else None
            if tree is not None:
                yield tree


def _is_suspect(picture: Picture, predicate: Predicate, candidates: tuple[Index, ...]) -> bool:
    """Whether the planner must be asked: a plain comparison is served by a plain index."""
    if predicate.form is Form.PLAIN:
        return _differs_in_collation(predicate, candidates)
    if predicate.form is Form.CONTAINMENT:
        if all(index.method in ("btree", "hash") for index in candidates):
            return False
        return not _is_shadowed(picture, predicate)
    return True


def _differs_in_collation(predicate: Predicate, candidates: tuple[Index, ...]) -> bool:
    """Only indexes of the bare column, all of them under another collation than the column's."""
    plain = [index for index in candidates if index.columns[0] == predicate.column.number]
    wanted = predicate.column.collation
    return bool(plain and wanted) and all(
        index.collations and index.collations[0] != wanted for index in plain
    )


def _is_shadowed(picture: Picture, predicate: Predicate) -> bool:
    """An extension's operator of that name is visible: `shadowed-operator` reports it."""
    return any(
        row.is_visible and row.name == predicate.operator
        for row in picture.snapshot.operator_overlaps.rows
    )


# --- readings -------------------------------------------------------------------------------------


def _constants(predicate: Predicate, candidates: Sequence[Index]) -> list[dict[int, str]]:
    """Readings of the blanked constants, the likeliest first; never empty."""
    anchored = _anchored(predicate) if predicate.form is Form.PATTERN else {}
    trees = list(_expressions(candidates))
    exact = [values for tree in trees if (values := unified(predicate.subject, tree)) is not None]
    partial = [values for tree in trees if (values := _partly(predicate.subject, tree))]
    readings = [values | anchored for values in exact or partial or [{}]]
    return [dict(values) for values in {tuple(sorted(r.items())): r for r in readings}.values()]


def _partly(subject: Node, model: Node) -> dict[int, str]:
    """Constants that the two have in common at a place further in."""
    for outer in walk(subject):
        for inner in walk(model):
            if not isinstance(outer, (ast.ParamRef, ast.ColumnRef)):
                values = unified(outer, inner)
                if values and any(isinstance(each, ast.ColumnRef) for each in walk(inner)):
                    return values
    return {}


def _anchored(predicate: Predicate) -> dict[int, str]:
    """A pattern that begins with letters: the form that a B-tree can serve at best."""
    numbers = parameters(predicate.value) if predicate.value is not None else ()
    start = "'^abc'" if predicate.operator in ("~", "~*") else "'abc%'"
    return {number: start if at == 0 else "'%'" for at, number in enumerate(numbers)}


# --- reading the answers --------------------------------------------------------------------------


def given(answers: Answers, text: str) -> Answer | None:
    """The answer about a text, None where it was not given or not to be had."""
    answer = answers.get(PlanQuestion(statement=text))
    return answer if answer is not None and answer.answered else None


def missed(picture: Picture, answer: Answer, predicate: Predicate) -> Scan | None:
    """The scan that reads the whole table to filter by the column, None where there is none."""
    word = re.compile(rf"(?<!\w){re.escape(predicate.column.name)}(?!\w)")
    root = picture.root(predicate.relation.oid)
    for at, scan in enumerate(answer.scans):
        if (
            scan.filter
            and word.search(scan.filter)
            and _is_of(picture, scan, root)
            and not _is_entered(answer.scans, at)
        ):
            return scan
    return None


def _is_entered(scans: Sequence[Scan], at: int) -> bool:
    """Whether an index is entered by a condition; a bitmap's conditions follow its heap scan."""
    if not scans[at].node.startswith("Bitmap Heap"):
        return bool(scans[at].index_condition)
    below = takewhile(lambda scan: scan.node == "Bitmap Index Scan", scans[at + 1 :])
    return any(scan.index_condition for scan in below)


def _is_of(picture: Picture, scan: Scan, root: int) -> bool:
    members = {root, *picture.leaves(root)}
    names = {picture.relation_name(oid).replace('"', "") for oid in members}
    return (scan.relation or "").replace('"', "") in names  # a plan quotes names where needed


def reads_in_full(picture: Picture, suspect: Suspect, scan: Scan) -> bool:
    """Whether the measured pages per call are those of a scan of the whole table, or index."""
    pages = table_pages(picture, suspect.predicate.relation.oid)
    if scan.node == "Index Only Scan":
        sizes = [picture.pages(index.oid) for index in suspect.candidates]
        pages = min([pages, *sizes])
    return pages_per_call(suspect.statement) >= MIN_READ_SHARE * pages


def pages_per_call(statement: Statement) -> float:
    """Pages touched per call, cached or not."""
    return (statement.blocks_hit + statement.blocks_read) / max(1, statement.calls)
