"""Evaluate rules on a snapshot: the only way from an examination to a verdict.

Owns the mapping of examinations to the four verdicts, and the ranking.
Must never say *ok* where nothing was examined, nor let a missing fact pass for an absence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from howdah.check.knowledge.absence import nothing_described, nothing_recorded
from howdah.check.model import Answers, Examination, Finding, Kind, Question, Result, Rule, Severity
from howdah.snapshot.picture import Picture

BUG = "this rule has a bug"
_URGENCY = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.NOTICE: 2}


def questions(picture: Picture, rules: Iterable[Rule]) -> tuple[Question, ...]:
    """Every planner question of the rules whose facts are known, each once."""
    asked: dict[Question, None] = {}
    for each in rules:
        if _missing(picture, each) is None:
            asked.update(dict.fromkeys(each.ask(picture)))
    return tuple(asked)


def evaluate(picture: Picture, rules: Sequence[Rule], answers: Answers) -> tuple[Result, ...]:
    """One result per rule, in the order of the rules."""
    return tuple(_result(picture, each, answers) for each in rules)


def ranked(results: Iterable[Result]) -> tuple[Finding, ...]:
    """All findings, the most urgent and harmful first."""
    return _sorted(finding for result in results for finding in result.findings)


def _missing(picture: Picture, each: Rule) -> tuple[Kind, str] | None:
    """The verdict that the first needed fact which is not known imposes; None where all are."""
    for name in each.needs:
        fact = picture.snapshot.fact(name)
        silent = nothing_recorded(picture, name)
        if fact.known and not silent:
            continue
        if nothing := nothing_described(picture, each, name):
            return Kind.NOT_APPLICABLE, nothing
        why = f" ({fact.reason})" if fact.reason else ""
        return Kind.UNKNOWN, silent or f"{name.replace('_', ' ')}: {fact.status}{why}"
    return None


def _result(picture: Picture, each: Rule, answers: Answers) -> Result:
    missing = _missing(picture, each)
    if missing is not None:
        return _verdict(each, *missing, Examination())
    try:
        seen = each.examine(picture, answers)
    except Exception as error:  # noqa: BLE001 # one rule's bug must not cost the others' verdicts
        return _verdict(
            each, Kind.UNKNOWN, f"{BUG}: {type(error).__name__}: {error}", Examination()
        )
    if seen.findings:
        return _verdict(each, Kind.FINDING, _extent(each, seen), seen)
    if seen.not_applicable:
        return _verdict(each, Kind.NOT_APPLICABLE, seen.not_applicable, seen)
    if seen.of == 0:
        return _verdict(each, Kind.NOT_APPLICABLE, f"there are no {each.objects}", seen)
    if seen.examined == 0:
        return _verdict(each, Kind.UNKNOWN, seen.unknown or _extent(each, seen), seen)
    return _verdict(each, Kind.OK, _extent(each, seen), seen)


def _extent(each: Rule, seen: Examination) -> str:
    extent = f"examined {seen.examined} of {seen.of} {each.objects}"
    return f"{extent}; {seen.unknown}" if seen.unknown and seen.examined < seen.of else extent


def _verdict(each: Rule, kind: Kind, reason: str, seen: Examination) -> Result:
    return Result(
        rule=each.id,
        title=each.title,
        kind=kind,
        reason=reason,
        examined=seen.examined,
        of=seen.of,
        findings=_sorted(seen.findings),
    )


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda f: (_URGENCY[f.severity], -f.harm, f.id)))
