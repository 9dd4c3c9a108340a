"""From examinations to verdicts: what cannot be said, and what must be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.check.evaluate import BUG, evaluate, ranked
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Kind,
    Rule,
    Severity,
    rule,
)
from howdah.snapshot.facts import Status
from howdah.snapshot.picture import Picture
from tests.making import fact, picture, verdict

FINDING = Finding(
    rule="sample",
    object="public.t",
    severity=Severity.NOTICE,
    claim="public.t is an example.",
    evidence=(),
    confidence=Confidence.PROVEN,
    refuted_by="nothing",
    cost_if_wrong="nothing",
    harm=1.0,
)


def sample(seen: Examination) -> Rule:
    """A rule that needs the indexes and sees just this."""

    @rule(
        id="sample",
        title="Sample",
        severity=Severity.NOTICE,
        objects="things",
        needs=("indexes",),
        what="An example of a rule.",
        why="Tests need one.",
        wrong_when="It never says anything real.",
        source="This test alone.",
    )
    def examine(_picture: Picture, _answers: Answers) -> Examination:
        return seen

    return examine


@given(
    examined=st.integers(0, 5),
    of=st.integers(0, 5),
    unknown=st.sampled_from(["", "two were locked"]),
    found=st.booleans(),
)
def test_ok_means_that_something_was_examined_and_nothing_was_found(
    examined: int, of: int, unknown: str, found: bool
) -> None:
    seen = Examination(
        examined=examined, of=of, unknown=unknown, findings=(FINDING,) if found else ()
    )
    result = verdict(sample(seen), picture())
    assert (result.kind is Kind.FINDING) == found
    if result.kind is Kind.OK:
        assert result.examined > 0
        assert str(result.examined) in result.reason


@pytest.mark.parametrize("status", [s for s in Status if s not in (Status.PRESENT, Status.EMPTY)])
def test_a_fact_that_is_not_known_makes_the_rule_unknown(status: Status) -> None:
    seen = picture(indexes=fact(status=status, reason="the reason"))
    result = verdict(sample(Examination(examined=1, of=1)), seen)
    assert result.kind is Kind.UNKNOWN
    assert "the reason" in result.reason


def test_a_rule_with_a_bug_costs_its_own_verdict_only() -> None:
    def broken(_picture: Picture, _answers: Answers) -> Examination:
        raise ZeroDivisionError("division by zero")

    good = sample(Examination(examined=1, of=1))
    results = evaluate(picture(), [replace(good, examine=broken), good], {})
    assert [result.kind for result in results] == [Kind.UNKNOWN, Kind.OK]
    assert results[0].reason.startswith(BUG)


def test_the_urgent_comes_first_and_then_the_harmful() -> None:
    def found(name: str, severity: Severity, harm: float) -> Finding:
        return Finding(
            rule="sample", object=name, severity=severity, claim="An example.", evidence=(),
            confidence=Confidence.PROVEN, refuted_by="x", cost_if_wrong="x", harm=harm,
        )  # fmt: skip

    findings = (
        found("small", Severity.WARNING, 1.0),
        found("notice", Severity.NOTICE, 100.0),
        found("large", Severity.WARNING, 2.0),
        found("urgent", Severity.CRITICAL, 0.0),
    )
    results = evaluate(picture(), [sample(Examination(examined=4, of=4, findings=findings))], {})
    assert [each.object for each in ranked(results)] == ["urgent", "large", "small", "notice"]
