"""Foreign keys whose two ends have different types.

Owns the rule on such pairs, ranked by what they cost and not by their number.
"""

from __future__ import annotations

from howdah.check import harm, remedies
from howdah.check.knowledge.composing import composed, raw
from howdah.check.knowledge.identity import changed
from howdah.check.model import Answers, Confidence, Examination, Finding, Severity, rule
from howdah.snapshot.facts.catalog import Constraint
from howdah.snapshot.picture import Picture

# Types whose B-tree operators compare across them, so that an index of either serves the other
# (operator families integer_ops, text_ops, datetime_ops, float_ops).
_FAMILIES = (
    frozenset({"int2", "int4", "int8"}),
    frozenset({"text", "varchar", "name"}),
    frozenset({"date", "timestamp", "timestamptz"}),
    frozenset({"float4", "float8"}),
)
_INTEGERS = {"int2": 2**15 - 1, "int4": 2**31 - 1, "int8": 2**63 - 1}  # largest value
_NARROW_WARNING_SHARE = 0.5  # of the child's range, reached by the parent's sequence
_COSTLY_PAGES = 1000  # a child of 8 MB and more makes a cast join a warning


@rule(
    id="foreign-key-type-mismatch",
    title="Foreign key between different types",
    severity=Severity.WARNING,
    objects="foreign keys",
    needs=("relations", "columns", "constraints"),
    what="A foreign key whose column cannot hold what it references (an int4 that references an "
    "int8), or whose type is compared by a cast, so that an index on it serves neither the check "
    "nor the join.",
    why="A narrower column refuses rows on the day its parent passes the limit. A cast turns every "
    "delete from the parent, and every join, into a read of the whole child.",
    wrong_when="Types of one operator family (int8 that references int4, varchar and text) cost "
    "nothing and are not reported. An expression index on the cast may serve after all.",
    source="PostgreSQL documentation, 'Operator Classes and Operator Families'",
)
def foreign_key_type_mismatch(picture: Picture, _: Answers) -> Examination:
    """Foreign keys that overflow or need a cast."""
    users = {row.oid for row in picture.user_relations}
    keys = [
        row
        for row in picture.snapshot.constraints.rows
        if row.kind == "f" and row.relation in users and row.parent is None and row.foreign_relation
    ]
    return Examination(
        examined=len(keys),
        of=len(keys) + picture.snapshot.constraints.left_out,
        unknown=picture.snapshot.constraints.reason,
        findings=tuple(found for key in keys if (found := _mismatch(picture, key))),
    )


def _mismatch(picture: Picture, key: Constraint) -> Finding | None:
    """The first pair of columns that overflows or casts."""
    parent = key.foreign_relation or 0
    for child_number, parent_number in zip(key.columns, key.foreign_columns, strict=False):
        child = picture.column(key.relation, child_number)
        referenced = picture.column(parent, parent_number)
        if child is None or referenced is None or child.base_type == referenced.base_type:
            continue
        pair = {
            "child_column": child.name,
            "child_type": child.type,
            "parent_column": referenced.name,
            "parent_type": referenced.type,
        }
        if {child.base_type, referenced.base_type} <= set(_INTEGERS):
            if _INTEGERS[child.base_type] < _INTEGERS[referenced.base_type]:
                reached = _reached(picture, parent, parent_number)
                return _narrow(picture, key, pair, _INTEGERS[child.base_type], reached)
        elif not any({child.base_type, referenced.base_type} <= f for f in _FAMILIES):
            return _cast(picture, key, pair)
    return None


def _reached(picture: Picture, relation: int, number: int) -> int | None:
    """The last value of the sequence that fills a column, where one does."""
    for sequence in picture.snapshot.sequences.rows:
        feeds = zip(sequence.fed_relations, sequence.fed_columns, strict=True)
        if (relation, number) in feeds and sequence.last_value is not None:
            return sequence.last_value
    return None


def _narrow(
    picture: Picture, key: Constraint, pair: dict[str, str], limit: int, reached: int | None
) -> Finding:
    share = None if reached is None else reached / limit
    where = "" if share is None else f"; its sequence is at {share:.1%} of that"
    urgent = share is not None and share >= _NARROW_WARNING_SHARE
    return _mismatched(
        picture,
        key,
        severity=Severity.WARNING if urgent else Severity.NOTICE,
        claim=f"{pair['child_column']} ({pair['child_type']}) cannot hold parent keys "
        f"above {limit:,} ({pair['parent_type']}){where}.",
        evidence={**pair, "largest_child_value": limit, "parent_sequence_at": reached},
        harm_pages=harm.held(picture.pages(key.relation)) * (share or 0.1),
    )


def _cast(picture: Picture, key: Constraint, pair: dict[str, str]) -> Finding:
    pages = picture.pages(key.relation)
    changes = changed(picture, key.foreign_relation or 0)
    return _mismatched(
        picture,
        key,
        severity=Severity.WARNING if pages >= _COSTLY_PAGES else Severity.NOTICE,
        claim=f"{pair['child_column']} ({pair['child_type']}) is cast to be compared "
        f"with {pair['parent_type']}: an index on it serves neither joins nor the check.",
        evidence={**pair, "child_pages": pages, "parent_updates_and_deletes": changes},
        harm_pages=harm.held(pages) + harm.waste(pages, picture.per_hour(changes) or 0),
    )


def _mismatched(
    picture: Picture,
    key: Constraint,
    *,
    severity: Severity,
    claim: str,
    evidence: dict[str, object],
    harm_pages: float,
) -> Finding:
    table = picture.relation_name(key.relation)
    relation = picture.relations[key.relation]
    column, wanted = str(evidence["child_column"]), str(evidence["parent_type"])
    title = f"{table}.{key.name}"
    statement = composed(
        "ALTER TABLE {t} ALTER COLUMN {c} TYPE {w}",
        t=(relation.schema, relation.name),
        c=column,
        w=raw(wanted),
    )
    return Finding(
        rule="foreign-key-type-mismatch",
        object=title,
        severity=severity,
        claim=f"{title}: {claim}",
        evidence=({"table": table, "foreign_key": key.definition, **evidence},),
        confidence=Confidence.PROVEN,
        refuted_by="a plan of the join, or of the check, with an Index Cond on this column",
        cost_if_wrong="the table is rewritten for nothing",
        harm=harm_pages,
        remedies=(
            remedies.manual(
                "change-column-type",
                {"table": table, "column": column, "type": wanted},
                (statement,),
                "this rewrites the table and its indexes under ACCESS EXCLUSIVE; on a busy table "
                "add a column of the wider type, fill it in batches, and exchange the two",
            ),
        ),
        window=picture.window,
    )
