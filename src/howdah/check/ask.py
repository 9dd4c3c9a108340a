"""Ask a real planner what the rules want to know.

Owns the translation between the questions of rules and the planner of a sandbox. Must never answer
by itself: what the planner cannot be asked stays unanswered, with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable

from howdah.check.model import Answer, Question, Scan, ServesQuestion
from howdah.sandbox.plan import PlanNode
from howdah.sandbox.planner import Answer as PlannerAnswer
from howdah.sandbox.planner import Plan, Planner, Verdict
from howdah.sandbox.sandbox import Sandbox


def answers(sandbox: Sandbox, asked: Iterable[Question]) -> dict[Question, Answer]:
    """Every question with what the planner of this sandbox says, as the sandbox is now."""
    questions = tuple(asked)
    if not questions:
        return {}
    with Planner(sandbox) as planner:
        return {question: _answer(planner, question) for question in questions}


def _answer(planner: Planner, question: Question) -> Answer:
    if isinstance(question, ServesQuestion):
        return _served(
            planner.serves(
                question.table,
                question.predicate,
                question.parameter_types,
                index=question.index,
            )
        )
    return _planned(planner.plan(question.statement))


def _served(answer: PlannerAnswer) -> Answer:
    first = answer.serving[0] if answer.serving else None
    return Answer(
        answered=answer.verdict is not Verdict.UNANSWERABLE,
        reason=answer.reason,
        planner=answer.planner,
        serves=answer.served,
        index=first.index if first else None,
        method=first.method if first else None,
        index_condition=first.condition if first else None,
    )


def _planned(plan: Plan) -> Answer:
    if plan.root is None:
        return Answer(answered=False, reason=plan.reason, planner=plan.planner)
    return Answer(answered=True, planner=plan.planner, scans=tuple(_scans(plan.root, 0)))


def _scans(node: PlanNode, sorts: int) -> Iterable[Scan]:
    if node.relation is not None or node.index is not None:
        yield Scan(
            node=node.node,
            relation=_unquoted(node.relation),
            index=_unquoted(node.index),
            index_condition=node.index_condition,
            filter=node.filter,
            sorts_above=sorts,
        )
    below = sorts + (node.node in ("Sort", "Incremental Sort"))
    for child in node.children:
        yield from _scans(child, below)


def _unquoted(name: str | None) -> str | None:
    """`schema.name` as findings write it: plans quote what is not plain.

    >>> _unquoted('public."Order""s"')
    'public.Order"s'
    """
    if name is None or '"' not in name:
        return name
    return name.replace('""', "\0").replace('"', "").replace("\0", '"')
