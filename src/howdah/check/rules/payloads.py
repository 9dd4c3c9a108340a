"""Payloads that poison a batch.

Owns the rule on what the payload of a queue or outbox may hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pglast import ast

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted
from howdah.check.knowledge.parsing import Level, operator, resolver, type_name, walk
from howdah.check.knowledge.queueing import (
    NEEDS,
    OBJECTS,
    Queueing,
    column_of,
    queueings,
    recognised,
)
from howdah.check.knowledge.readable import as_far_as_read
from howdah.check.model import Answers, Confidence, Examination, Finding, Severity, rule
from howdah.snapshot.facts.catalog import Column
from howdah.snapshot.picture import Picture


@rule(
    id="queue-jsonb-nul",
    title="Payload that a NUL escape can poison",
    severity=Severity.NOTICE,
    objects=OBJECTS,
    needs=NEEDS,
    what="A queue or outbox that stores its payload as text or json and whose statements turn it "
    "into jsonb or take text out of it; or that is fed by an INSERT ... SELECT which casts to "
    "jsonb.",
    why="The escape \\u0000 is valid JSON, so text and json store it. jsonb cannot: the cast, and "
    "->> on json, fail with SQLSTATE 22P05, and with them the statement for every row of its "
    "batch. The row stays the oldest and poisons the next batch too.",
    wrong_when="Producers that never send the escape, or refuse it, cannot be seen here. A jsonb "
    "column filled row by row refuses the one row at its producer and is not reported.",
    source="PostgreSQL documentation, 'JSON Types'; measured on 14 to 18",
)
def queue_jsonb_nul(picture: Picture, _: Answers) -> Examination:
    """Casts that fail for a whole batch."""
    queues = queueings(picture)
    findings = [
        _poisonable(picture, queue, casts)
        for queue in queues
        if (casts := [*_read_casts(picture, queue), *_write_casts(picture, queue)])
    ]
    seen = Examination(examined=len(queues), of=len(queues), findings=tuple(findings))
    return as_far_as_read(picture, seen)


def _read_casts(picture: Picture, queue: Queueing) -> Iterator[tuple[str, str]]:
    """Statements on the table that convert a text or json column: where, and the statement."""
    names = resolver(picture)
    for statement in picture.snapshot.statements.rows:
        for level in names.levels(statement.text):
            if queue.relation in {picture.root(each.relation.oid) for each in level.sources}:
                for node in walk(level.node):
                    column = _converted(picture, level, node)
                    if column is not None and picture.root(column.relation) == queue.relation:
                        yield f"reading {column.name} ({column.type})", statement.text
                        break


def _converted(picture: Picture, level: Level, node: object) -> Column | None:
    """The text or json column whose value this node converts, and would fail on the escape."""
    names = resolver(picture)
    inner: object = None
    types: tuple[str, ...] = ()
    if isinstance(node, ast.TypeCast) and type_name(node.typeName) == "jsonb":
        inner, types = node.arg, ("json", "text", "varchar")
    elif isinstance(node, ast.A_Expr) and operator(node) in ("->>", "#>>"):
        inner, types = node.lexpr, ("json",)
    if not isinstance(inner, ast.ColumnRef):
        return None
    reference = names.reference(level, inner)
    return reference[1] if reference and reference[1].base_type in types else None


def _write_casts(picture: Picture, queue: Queueing) -> Iterator[tuple[str, str]]:
    """INSERT ... SELECT with a cast to jsonb: one bad row refuses all."""
    payloads = [column_of(picture, queue.relation, name) for name in queue.payload_columns]
    if not any(column and column.base_type == "jsonb" for column in payloads):
        return
    names = resolver(picture)
    for statement in queue.inserts:
        for level in names.levels(statement.text):
            source = getattr(level.node, "selectStmt", None)
            if source is None or source.valuesLists:
                continue
            if any(_is_jsonb_cast(node) for node in walk(source)):
                yield "writing many rows in one INSERT", statement.text


def _is_jsonb_cast(node: object) -> bool:
    return (
        isinstance(node, ast.TypeCast)
        and type_name(node.typeName) == "jsonb"
        and any(isinstance(each, ast.ColumnRef) for each in walk(node))
    )


def _poisonable(picture: Picture, queue: Queueing, casts: Sequence[tuple[str, str]]) -> Finding:
    return Finding(
        rule="queue-jsonb-nul",
        object=queue.table,
        severity=Severity.NOTICE,
        claim=f"One payload with the escape \\u0000 in {queue.table} fails the whole batch of "
        f"{counted(len(casts), 'statement')} with SQLSTATE 22P05.",
        evidence=(
            *({"where": where, "statement": text} for where, text in dict.fromkeys(casts)),
            *recognised(picture, [queue]),
        ),
        confidence=Confidence.PROVEN,
        refuted_by="a CHECK constraint or a producer that refuses the escape",
        cost_if_wrong="a check on insert that never fires",
        harm=harm.waste(1, None),
        remedies=(
            remedies.manual(
                "refuse-nul-escape",
                {"table": queue.table},
                (),
                "store the payload as jsonb, so that the producer of the one bad message is "
                "refused; or convert row by row and put what fails aside",
            ),
        ),
    )
