"""Predicates that pass by an index that is there.

Owns the rules on conditions and operators that an existing index cannot serve in the form in which
the statements write them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pglast import ast

from howdah.check import harm, remedies
from howdah.check.knowledge import whole_scans
from howdah.check.knowledge.cures import cures
from howdah.check.knowledge.forms import Form
from howdah.check.knowledge.parsing import operator as operator_name
from howdah.check.knowledge.parsing import resolver, walk
from howdah.check.knowledge.readable import unread
from howdah.check.knowledge.suspects import (
    Selection,
    Suspect,
    given,
    missed,
    pages_per_call,
    questions,
    reads_in_full,
    selection,
    table_pages,
)
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    PlanQuestion,
    Question,
    Remedy,
    Scan,
    ServesQuestion,
    Severity,
    rule,
)
from howdah.snapshot.facts.catalog import Column, Index, OperatorOverlap
from howdah.snapshot.picture import Picture

_ARRAY_OPERATORS = frozenset({"@>", "<@", "&&"})
_EXPLANATIONS = {
    Form.CAST: "the cast makes another expression of the column",
    Form.FUNCTION: "an index on the column does not hold the function's result",
    Form.ARITHMETIC: "an index on the column does not hold the calculated value",
    Form.JSON_VALUE: "no index of a JSON document serves a comparison of an extracted value",
    Form.JSON_TEXT: "no index of a JSON document serves a comparison of an extracted text",
    Form.OPERATOR_FUNCTION: "an index serves operators; the function form has none",
    Form.ELEMENT: "an inverted index serves `tags @> ARRAY[x]`, not `x = ANY (tags)`",
    Form.PATTERN: "under this collation or operator class not even an anchored pattern can use it",
    Form.COLLATION: "the index is sorted by another collation than the comparison uses",
    Form.VALUE_CAST: "the value's type makes the server convert the column instead",
    Form.CONTAINMENT: "the index's operator class does not know this operator",
    Form.PLAIN: "the index is sorted by another collation than the comparison uses",
}


def _ask(picture: Picture) -> Iterable[Question]:
    for suspect in selection(picture).suspects:
        yield from questions(suspect)


@rule(
    id="predicate-misses-index",
    title="Predicate that cannot use the index on its column",
    severity=Severity.WARNING,
    objects="conditions on indexed columns, other than plain comparisons",
    needs=("statements", "relations", "columns", "indexes"),
    what="A condition of a statement in pg_stat_statements that reads the whole table although a "
    "valid index on the same column or on an expression of it exists: a cast or a function around "
    "the column, `->` or `->>` beside an index of the document, `x = ANY (tags)`, the function "
    "form of an operator, another collation, an operator class without the operator. Also an "
    "inverted index whose scans return half of the table, as `d @> '{}'` makes them.",
    why="The index was built for this question and answers another. Every call reads the table "
    "in full, and every write maintains the index all the same.",
    wrong_when="pg_stat_statements blanks constants. Keys of JSON documents are taken from the "
    "indexes' own expressions, and a statement counts as served if any of them would serve it, "
    "so a statement about another key is missed. A value whose type was chosen by the driver and "
    "not by a cast in the text cannot be seen either. A pattern that always begins with a "
    "wildcard needs a trigram index instead of the one proposed.",
    source="Measured on PostgreSQL 14 to 18 by the planner with sequential scans disabled; "
    "PostgreSQL documentation, 'jsonb Indexing' and 'Operator Classes and Operator Families'",
    ask=_ask,
)
def predicate_misses_index(picture: Picture, answers: Answers) -> Examination:
    """Suspects whose every reading the planner leaves to a scan of the whole table."""
    chosen = selection(picture)
    judged = [(suspect, _scan(picture, answers, suspect)) for suspect in chosen.suspects]
    groups: dict[str, list[tuple[Suspect, Scan]]] = {}
    for suspect, scan in judged:
        if isinstance(scan, Scan) and reads_in_full(picture, suspect, scan):
            groups.setdefault(_object(picture, suspect), []).append((suspect, scan))
    answered = sum(scan is not None for _, scan in judged)
    inverted = whole_scans.inverted(picture)
    return Examination(
        examined=answered + len(inverted),
        of=len(judged) + len(chosen.unread) + len(inverted),
        unknown=_unknown(picture, answers, chosen),
        findings=(
            *(_missing(picture, answers, name, seen) for name, seen in groups.items()),
            *(
                whole_scans.finding(picture, index)
                for index in inverted
                if whole_scans.whole(picture, index)
            ),
        ),
    )


def _scan(picture: Picture, answers: Answers, suspect: Suspect) -> Scan | bool | None:
    """The scan of the whole table; True where a reading is served; None where nobody could tell."""
    scan: Scan | None = None
    for text in suspect.readings:
        answer = given(answers, text)
        if answer is None:
            return None
        scan = missed(picture, answer, suspect.predicate)
        if scan is None:
            return True
    return scan


def _object(picture: Picture, suspect: Suspect) -> str:
    table = picture.relation_name(picture.root(suspect.predicate.relation.oid))
    return f"{table}: {suspect.predicate.label}"


def _unknown(picture: Picture, answers: Answers, chosen: Selection) -> str:
    reasons = [
        answer.reason
        for suspect in chosen.suspects
        for text in suspect.readings
        if (answer := answers.get(PlanQuestion(statement=text))) is not None and not answer.answered
    ]
    if reasons:
        return f"the planner could not be asked: {reasons[0]}"
    return unread(picture) if chosen.unread else "no planner was asked"


def _missing(
    picture: Picture, answers: Answers, name: str, seen: Sequence[tuple[Suspect, Scan]]
) -> Finding:
    suspect, _ = max(seen, key=lambda each: each[0].statement.total_milliseconds)
    predicate, statements = suspect.predicate, [each.statement for each, _ in seen]
    indexes = ", ".join(f"{index.schema}.{index.name}" for index in suspect.candidates)
    calls = sum(statement.calls for statement in statements)
    pages = table_pages(picture, predicate.relation.oid)
    read = sum(pages_per_call(statement) * statement.calls for statement in statements)
    guessed = bool(suspect.known_constants) and predicate.form is not Form.PATTERN
    return Finding(
        rule="predicate-misses-index",
        object=name,
        severity=Severity.WARNING,
        claim=f"{calls:,} calls read {read / max(1, calls):,.0f} pages each to evaluate "
        f"`{predicate.label}` although {indexes} exists: {_EXPLANATIONS[predicate.form]}.",
        evidence=tuple(_row(each, found, answers, pages) for each, found in seen[:5]),
        confidence=Confidence.ESTIMATED if guessed else Confidence.PROVEN,
        refuted_by="EXPLAIN of the statement with its real constants, with enable_seqscan off, "
        "showing an Index Cond on the column",
        cost_if_wrong="one more index to maintain, or a statement rewritten for nothing",
        harm=harm.waste(min(pages, read / max(1, calls)), picture.per_hour(calls)),
        remedies=cures(picture, answers, suspect),
        window=picture.window,
    )


def _row(suspect: Suspect, scan: Scan, answers: Answers, pages: int) -> dict[str, object]:
    answer = given(answers, suspect.readings[0])
    statement = suspect.statement
    return {
        "statement": statement.text,
        "asked_as": suspect.readings[0],
        "form": str(suspect.predicate.form),
        "plan_node": scan.node,
        "filter": scan.filter,
        "planner": answer.planner if answer else "",
        "calls": statement.calls,
        "total_milliseconds": round(statement.total_milliseconds, 1),
        "pages_per_call": round(pages_per_call(statement), 1),
        "table_pages": pages,
        "indexes": [index.definition for index in suspect.candidates],
    }


# --- operators shadowed by an extension -----------------------------------------------------------


def _overlapped(picture: Picture) -> list[tuple[Index, Column, tuple[OperatorOverlap, ...]]]:
    """Inverted indexes of the built-in class on columns whose operators an extension took over."""
    visible = [row for row in picture.snapshot.operator_overlaps.rows if row.is_visible]
    found = []
    for index in picture.snapshot.indexes.rows:
        column = picture.column(index.relation, index.columns[0]) if index.columns else None
        if column is None or index.method != "gin" or not index.is_valid or index.parent:
            continue
        if index.operator_classes[:1] == ("pg_catalog.array_ops",):
            rows = tuple(row for row in visible if _takes(row, column))
            if rows:
                found.append((index, column, rows))
    return found


def _takes(row: OperatorOverlap, column: Column) -> bool:
    names = {column.base_type, column.type}
    return row.left_type in names or _array_name(row.left_type) in names


def _array_name(name: str) -> str:
    """`integer[]` for `_int4` and the reverse, whichever way the snapshot spells it."""
    return {"_int4": "integer[]", "integer[]": "_int4"}.get(name, name)


def _serves(picture: Picture, index: Index, column: Column, row: OperatorOverlap) -> ServesQuestion:
    relation = picture.relations[index.relation]
    return ServesQuestion(
        table=remedies.name(relation.schema, relation.name),
        predicate=f"{remedies.name(column.name)} {row.name} $1",
        parameter_types=(column.type,),
    )


def _ask_overlapped(picture: Picture) -> Iterable[Question]:
    for index, column, rows in _overlapped(picture):
        for row in rows:
            yield _serves(picture, index, column, row)


@rule(
    id="shadowed-operator",
    title="Operator shadowed by an extension",
    severity=Severity.WARNING,
    objects="inverted array indexes",
    needs=("operator_overlaps", "indexes", "columns", "relations"),
    what="A GIN index with the built-in array operator class on a column whose operators (`@>`, "
    "`<@`, `&&`) are taken over by an extension on the search_path, as intarray does for "
    "integer[], and no index of the extension's own class beside it.",
    why="An operator of the exact type wins over the built-in one for any array. The unqualified "
    "operator is then another operator than the one the index knows, and every search reads the "
    "table. It happens at CREATE EXTENSION, without a word.",
    wrong_when="Statements that write OPERATOR(pg_catalog.@>) are served; if all that are known "
    "do so, nothing is reported. Sessions with another search_path may not see the extension.",
    source="Measured on 15 and 18: 0.49 ms before CREATE EXTENSION intarray, 81.7 ms after; "
    "PostgreSQL documentation, 'Operator Type Resolution'",
    ask=_ask_overlapped,
)
def shadowed_operator(picture: Picture, answers: Answers) -> Examination:
    """GIN array indexes whose unqualified operators no index serves."""
    arrays = [
        index
        for index in picture.snapshot.indexes.rows
        if index.method == "gin" and "pg_catalog.array_ops" in index.operator_classes
    ]
    findings = []
    for index, column, rows in _overlapped(picture):
        lost = tuple(row for row in rows if _is_lost(picture, answers, index, column, row))
        if lost and not _all_qualified(picture, index, column):
            findings.append(_shadowed(picture, answers, index, column, lost))
    left_out = picture.snapshot.indexes.left_out
    return Examination(
        examined=len(arrays),
        of=len(arrays) + left_out,
        unknown=picture.snapshot.indexes.reason,
        findings=tuple(findings),
    )


def _is_lost(
    picture: Picture, answers: Answers, index: Index, column: Column, row: OperatorOverlap
) -> bool:
    answer = answers.get(_serves(picture, index, column, row))
    if answer is not None and answer.answered:
        return not answer.serves
    own = (
        each
        for each in picture.indexes_of.get(index.relation, ())
        if each.is_valid and each.columns[:1] == index.columns[:1]
    )
    return not any(
        name.partition("(")[0].rpartition(".")[2].endswith(("__int_ops", "__intbig_ops"))
        for each in own
        for name in each.operator_classes[:1]
    )


def _uses(picture: Picture, index: Index, column: Column) -> list[tuple[bool, str]]:
    """Statements with an array operator on the column: whether it is qualified, and the text."""
    names = resolver(picture)
    return [
        (len(node.name or ()) > 1, statement.text)
        for statement in picture.snapshot.statements.rows
        for level in names.levels(statement.text)
        for condition in level.conditions
        for node in walk(condition)
        if isinstance(node, ast.A_Expr) and operator_name(node) in _ARRAY_OPERATORS
        if (index.relation, column.number)
        in {(r.oid, c.number) for r, c in names.references(level, node)}
    ]


def _all_qualified(picture: Picture, index: Index, column: Column) -> bool:
    uses = _uses(picture, index, column)
    return bool(uses) and all(qualified for qualified, _ in uses)


def _shadowed(
    picture: Picture,
    answers: Answers,
    index: Index,
    column: Column,
    rows: tuple[OperatorOverlap, ...],
) -> Finding:
    name, table = f"{index.schema}.{index.name}", picture.relation_name(index.relation)
    texts = [text for qualified, text in _uses(picture, index, column) if not qualified]
    asked = [answers.get(_serves(picture, index, column, row)) for row in rows]
    planners = sorted({answer.planner for answer in asked if answer and answer.answered})
    statistics = picture.index_statistics.get(index.oid)
    extension = rows[0].extension or rows[0].schema
    operators = ", ".join(sorted({row.name for row in rows}))
    calls = sum(row.calls for row in picture.snapshot.statements.rows if row.text in texts)
    return Finding(
        rule="shadowed-operator",
        object=name,
        severity=Severity.WARNING
        if texts or not (statistics and statistics.scans)
        else Severity.NOTICE,
        claim=f"{name} cannot serve {operators} on {table}.{column.name}: the operators of "
        f"{extension} win over those that the index knows.",
        evidence=(
            {
                "index": name,
                "operator_class": index.operator_classes[0],
                "column_type": column.type,
                "shadowed_by": [f"{row.schema}.{row.name}" for row in rows],
                "search_path": list(picture.server.search_path),
                "planners": planners,
                "index_scans": statistics.scans if statistics else None,
                "size_pages": picture.pages(index.oid),
                "statements": texts[:5],
            },
        ),
        confidence=Confidence.PROVEN if planners else Confidence.ESTIMATED,
        refuted_by="EXPLAIN of a search with the unqualified operator showing this index",
        cost_if_wrong="a second inverted index to maintain",
        harm=harm.waste(picture.pages(index.relation), picture.per_hour(calls) if texts else 0)
        + harm.held(picture.pages(index.oid)),
        remedies=_unshadow(picture, index, column, rows[0]),
        window=picture.window,
    )


def _unshadow(
    picture: Picture, index: Index, column: Column, row: OperatorOverlap
) -> tuple[Remedy, ...]:
    relation = picture.relations[index.relation]
    keys = f"{remedies.name(column.name)} {remedies.name(row.schema, 'gin__int_ops')}"
    build = remedies.create_index(
        relation.schema,
        relation.name,
        f"{index.name}_intarray"[-63:],
        keys,
        method="gin",
        note=f"afterwards {index.schema}.{index.name} serves only OPERATOR(pg_catalog.@>)",
    )
    rewrite = remedies.manual(
        "rewrite-predicate",
        {"column": f"{relation.schema}.{relation.name}.{column.name}"},
        (f"{remedies.name(column.name)} OPERATOR(pg_catalog.{row.name}) $1",),
        "name the built-in operator in the statements: the existing index serves it",
    )
    own_class = row.extension == "intarray" and relation.kind != "p"
    return (build, rewrite) if own_class else (rewrite,)
