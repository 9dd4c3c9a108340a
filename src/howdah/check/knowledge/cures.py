"""What would let an index serve a condition: an index for its form, or its form for an index.

Owns the remedies for predicates. Must never promise: the sandbox asks the planner again.
"""

from __future__ import annotations

import re

from howdah.check import remedies
from howdah.check.knowledge.composing import composed, raw
from howdah.check.knowledge.forms import Form, unqualified
from howdah.check.knowledge.parsing import deparsed, parameters, pinned
from howdah.check.knowledge.suspects import Suspect, given, missed
from howdah.check.model import Answers, Remedy, Shape
from howdah.snapshot.picture import Picture

# Rows of the sandbox's table: enough for MIN_PAGES pages of the narrowest rows.
_ROWS = 20_000
_PATTERN_CLASS = {"varchar": "varchar_pattern_ops", "bpchar": "bpchar_pattern_ops"}
# Their text or their parts depend on the session's time zone, so no index may hold them.
_ZONED = frozenset({"timestamptz", "timetz"})


def cures(picture: Picture, answers: Answers, suspect: Suspect) -> tuple[Remedy, ...]:
    """The remedies, the executable ones first."""
    found = [_index(picture, suspect), _rewrite(picture, answers, suspect)]
    kept = [remedy for remedy in found if remedy is not None]
    return tuple(sorted(kept, key=lambda remedy: remedy.manual))


def _index(picture: Picture, suspect: Suspect) -> Remedy | None:
    predicate, relation = suspect.predicate, suspect.predicate.relation
    if relation.kind == "p" or predicate.column.base_type in _ZONED:
        return None  # an index of a partitioned table cannot be built concurrently
    plan = _key(picture, suspect)
    if plan is None:
        return None
    method, key = plan
    table = f"{relation.schema}.{relation.name}"
    if parameters_left(key):
        return remedies.manual(
            "create-index",
            {"table": table, "keys": key},
            (_build(suspect, method, re.sub(r"\$\d+", "'KEY'", key)),),
            "write the key that the application asks for in place of KEY: pg_stat_statements "
            "blanks it",
        )
    words = re.sub(r"\W+", "_", predicate.label.lower()).strip("_")
    return remedies.create_index(
        relation.schema,
        relation.name,
        f"{relation.name}_{words}"[:59] + "_ix",
        key,
        method=method,
        shape=Shape(rows={table: _ROWS}),
    )


def parameters_left(key: str) -> bool:
    """Whether a key still holds a constant that nobody knows."""
    return re.search(r"\$\d", key) is not None


def _build(suspect: Suspect, method: str, key: str) -> str:
    relation = suspect.predicate.relation
    return composed(
        "CREATE INDEX CONCURRENTLY ON {t} USING {m} ({k})",
        t=(relation.schema, relation.name),
        m=raw(method),
        k=raw(key),
    )


def _key(picture: Picture, suspect: Suspect) -> tuple[str, str] | None:
    """Access method and key of an index for the form as it is written."""
    predicate, column = suspect.predicate, remedies.name(suspect.predicate.column.name)
    match predicate.form:
        case Form.CAST | Form.FUNCTION | Form.ARITHMETIC | Form.JSON_TEXT | Form.JSON_VALUE:
            return "btree", f"({_subject(suspect)})"
        case Form.PATTERN if predicate.operator in ("LIKE", "~"):
            name = _PATTERN_CLASS.get(predicate.column.base_type, "text_pattern_ops")
            bare = column if _is_bare(suspect) else f"({_subject(suspect)})"
            return "btree", f"{bare} {name}"
        case Form.PATTERN:
            schema = _schema_of(picture, "pg_trgm")
            trigrams = remedies.name(schema, "gin_trgm_ops") if schema else ""
            return ("gin", f"{column} {trigrams}") if trigrams and _is_bare(suspect) else None
        case Form.PLAIN:
            return "btree", column
        case Form.COLLATION:
            return "btree", f"({_subject(suspect)})"
        case Form.CONTAINMENT if predicate.column.base_type == "jsonb":
            return "gin", column
        case _:
            return None


def _is_bare(suspect: Suspect) -> bool:
    return type(suspect.predicate.subject).__name__ == "ColumnRef"


def _subject(suspect: Suspect) -> str:
    """The column's side with the constants that are known, as an index spells it."""
    subject = unqualified(suspect.predicate.subject)
    text = deparsed(subject)
    known = {
        number: value
        for number, value in suspect.known_constants.items()
        if number in parameters(subject)
    }
    return pinned(text, known)


def _schema_of(picture: Picture, extension: str) -> str:
    rows = picture.snapshot.extensions.rows
    return next((row.schema for row in rows if row.name == extension), "")


def _rewrite(picture: Picture, answers: Answers, suspect: Suspect) -> Remedy | None:
    if not suspect.rewritten:
        return None
    answer = given(answers, suspect.rewritten)
    if answer is not None and missed(picture, answer, suspect.predicate):
        return None  # it would not help
    served = answer is not None
    return remedies.manual(
        "rewrite-predicate",
        {"predicate": suspect.predicate.label},
        (suspect.rewritten,),
        "asked the same planner: served by an index"
        if served
        else "no planner was asked about this form",
    )
