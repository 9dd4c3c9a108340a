"""Partial indexes of queues that their own claims cannot use.

Owns the rule on what a claim's conditions imply.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted
from howdah.check.knowledge.implication import Implication, Pair, judged, pairs, questions
from howdah.check.knowledge.queueing import NEEDS, queueings, recognised
from howdah.check.knowledge.readable import as_far_as_read
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Question,
    Remedy,
    Severity,
    Shape,
    rule,
)
from howdah.snapshot.picture import Picture

# A generic plan replaces custom ones after five executions in a session, so a few scans remain.
_MIN_CALLS = 100
_SCANS_PER_CALL = 0.1
_ROWS = 1000


def _ask(picture: Picture) -> Iterable[Question]:
    for pair in pairs(picture):
        yield from questions(pair)


@rule(
    id="queue-partial-index-not-implied",
    title="Partial index that the queue's claims cannot use",
    severity=Severity.WARNING,
    objects="claims with a partial index on their columns",
    needs=(*NEEDS, "indexes"),
    what="A partial index of a queue whose predicate the conditions of a claim do not imply, or "
    "that only constants imply while the claim is planned with parameters and the index is "
    "hardly ever scanned; and no other index is entered by the claim's conditions.",
    why="The planner may use a partial index only if the statement itself says enough. "
    "`status = 'new'` does not imply `status = 'new' AND payload IS NOT NULL`, and a generic plan "
    "of `status = $1` implies nothing about 'new'. The claim then reads the table, or another "
    "index from its beginning.",
    wrong_when="pg_stat_statements blanks constants: whether the claim is sent with a constant or "
    "a parameter is told by the scans of the index only. Where the planner prefers another index "
    "in every variant, the claim is not examined.",
    source="PostgreSQL documentation, 'Partial Indexes'; measured by the planner on 14 to 18",
    ask=_ask,
)
def queue_partial_index_not_implied(picture: Picture, answers: Answers) -> Examination:
    """Pairs of claim and partial index by what three plans say."""
    every = pairs(picture)
    verdicts = [(pair, judged(answers, pair)) for pair in every]
    known = [(pair, verdict) for pair, verdict in verdicts if verdict is not Implication.UNKNOWN]
    groups: dict[str, list[tuple[Pair, Implication]]] = {}
    for pair, verdict in known:
        lost = verdict is Implication.CONSTANTS_ONLY and _is_unscanned(picture, pair, every)
        if lost or verdict is Implication.NOT_IMPLIED:
            groups.setdefault(f"{pair.index.schema}.{pair.index.name}", []).append((pair, verdict))
    seen = Examination(
        examined=len(known),
        of=len(every),
        unknown="no planner was asked, or it prefers another index in every variant",
        not_applicable="" if every else _nothing(picture),
        findings=tuple(_lost(picture, name, seen) for name, seen in groups.items()),
    )
    return as_far_as_read(picture, seen)


def _nothing(picture: Picture) -> str:
    if not queueings(picture):
        return "no table is used as a queue or an outbox"
    return "no queue has a partial index on the columns that its claims choose by"


def _is_unscanned(picture: Picture, pair: Pair, every: Sequence[Pair]) -> bool:
    """Whether the index is scanned far less often than its claims were called in its lifetime.

    A claim that takes a row takes a transaction number, so the index cannot have missed more calls
    than the transactions that it has seen.
    """
    statistics = picture.index_statistics.get(pair.index.oid)
    calls = sum(each.claim.statement.calls for each in every if each.index is pair.index)
    lived = min(calls, pair.index.xid_age or 0)
    if statistics is None or lived < _MIN_CALLS:
        return False
    return statistics.scans <= _SCANS_PER_CALL * lived


def _lost(picture: Picture, name: str, seen: Sequence[tuple[Pair, Implication]]) -> Finding:
    pair, verdict = seen[0]
    calls = sum(each.claim.statement.calls for each, _ in seen)
    pages = [
        (each.claim.statement.blocks_hit + each.claim.statement.blocks_read) for each, _ in seen
    ]
    statistics = picture.index_statistics.get(pair.index.oid)
    because = (
        "their conditions do not imply its predicate"
        if verdict is Implication.NOT_IMPLIED
        else "a plan for parameters cannot know that they mean its constants"
    )
    return Finding(
        rule="queue-partial-index-not-implied",
        object=name,
        severity=Severity.WARNING,
        claim=f"{counted(calls, 'call')} that claim from {pair.queue.table} cannot use {name}: "
        f"{because}.",
        evidence=(
            *(
                {
                    "statement": each.claim.statement.text,
                    "verdict": str(found),
                    "served_if_asked_as": each.with_constants
                    if found is Implication.CONSTANTS_ONLY
                    else each.with_predicate,
                    "index_predicate": each.index.predicate,
                    "index_scans": statistics.scans if statistics else None,
                    "calls": each.claim.statement.calls,
                }
                for each, found in seen
            ),
            *recognised(picture, [pair.queue]),
        ),
        confidence=Confidence.PROVEN if verdict is Implication.NOT_IMPLIED else Confidence.MEASURED,
        refuted_by="EXPLAIN of the claim, prepared as the application prepares it, showing the "
        "index",
        cost_if_wrong="one more index to maintain on a table of much traffic",
        harm=harm.waste(sum(pages) / max(1, calls), picture.per_hour(calls)),
        remedies=(_implied(picture, pair, verdict),),
        window=picture.window,
    )


def _implied(picture: Picture, pair: Pair, verdict: Implication) -> Remedy:
    relation = picture.relations[pair.queue.relation]
    index = pair.index
    keys = _keys(pair)
    predicate = " AND ".join(pair.kept)
    if verdict is Implication.CONSTANTS_ONLY:
        leading = [remedies.name(column) for column in pair.columns]
        keys, predicate = ", ".join([*leading, keys]), ""
    if relation.kind == "p":
        return remedies.manual(
            "create-index",
            {"table": pair.queue.table, "keys": keys},
            (),
            "an index of a partitioned table cannot be built concurrently: build it on each "
            "partition and attach it",
        )
    return remedies.create_index(
        relation.schema,
        relation.name,
        f"{index.name}"[:57] + "_claim",
        keys,
        method=index.method,
        predicate=predicate,
        shape=Shape(rows={pair.queue.table: _ROWS}),
        note=f"afterwards {index.schema}.{index.name} may be dropped; or state its whole predicate "
        "in the claim, as constants",
    )


def _keys(pair: Pair) -> str:
    """The index's key columns in their order and direction."""
    index = pair.index
    words = {0: "", 1: " DESC NULLS LAST", 2: " NULLS FIRST", 3: " DESC"}
    options = index.column_options or (0,) * index.key_count
    listed = zip(index.columns, index.column_definitions, options, strict=False)
    return ", ".join(
        (text if number else f"({text})") + words.get(option, "")
        for number, text, option in list(listed)[: index.key_count]
    )
