"""SARIF 2.1.0: the parts that the standard requires, and that nothing silent looks healthy."""

from __future__ import annotations

import json
from typing import Any

from howdah.check.diagnosis import Diagnosis
from howdah.check.model import Kind
from howdah.report import sarif
from howdah.report.contract import contract
from tests.golden import samples
from tests.golden.compare import same_as_golden

# The values that SARIF 2.1.0 allows for a result's and a notification's level and baselineState.
LEVELS = {"none", "note", "warning", "error"}
BASELINE = {"new", "unchanged", "updated", "absent"}


def run_of(made: Diagnosis) -> dict[str, Any]:
    log = json.loads(sarif.text(contract(made), samples.rules()))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    found: dict[str, Any] = run
    return found


def test_the_text_is_as_ever() -> None:
    same_as_golden("sarif.json", sarif.text(contract(samples.silenced()), samples.rules()))


def test_the_driver_describes_every_rule_once() -> None:
    driver = run_of(samples.diagnosis())["tool"]["driver"]
    assert driver["name"] == "howdah"
    ids = [rule["id"] for rule in driver["rules"]]
    assert sorted(ids) == sorted(each.rule for each in samples.SICK)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in LEVELS


def test_every_result_has_what_the_standard_asks() -> None:
    run = run_of(samples.silenced())
    rules = run["tool"]["driver"]["rules"]
    assert len(run["results"]) == len(samples.diagnosis().ranked)
    for result in run["results"]:
        assert result["message"]["text"]
        assert result["level"] in LEVELS
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
        assert result["baselineState"] in BASELINE
        assert 0 <= result["rank"] <= 100
        for suppression in result.get("suppressions", ()):
            assert suppression["kind"] in {"inSource", "external"}
            assert suppression["status"] in {"accepted", "underReview", "rejected"}
            assert suppression["justification"]


def test_fingerprints_are_the_stable_ids() -> None:
    prints = [r["partialFingerprints"] for r in run_of(samples.diagnosis())["results"]]
    assert [next(iter(each.values())) for each in prints] == [
        finding.id for finding in samples.diagnosis().ranked
    ]


def test_suppression_and_baseline_are_told() -> None:
    results = {r["partialFingerprints"]["howdahFindingId/v1"]: r for r in _results()}
    assert results[samples.NOTICES[0].id]["suppressions"]
    assert results[samples.REDUNDANT.id]["baselineState"] == "unchanged"
    assert results[samples.PINNED.id]["baselineState"] == "new"
    assert "baselineState" not in run_of(samples.diagnosis())["results"][0]


def _results() -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = run_of(samples.silenced())["results"]
    return results


def test_what_was_unknown_is_a_notification() -> None:
    (invocation,) = run_of(samples.diagnosis())["invocations"]
    named = {n["associatedRule"]["id"] for n in invocation["toolExecutionNotifications"]}
    unknown = {each.rule for each in samples.SICK if each.kind is Kind.UNKNOWN}
    assert named == unknown | {"leaf-density"}
    assert isinstance(invocation["executionSuccessful"], bool)
    assert {n["level"] for n in invocation["toolExecutionNotifications"]} <= LEVELS


def test_the_help_is_optional() -> None:
    log = sarif.log(contract(samples.diagnosis()))
    assert log["runs"][0]["tool"]["driver"]["rules"][0]["shortDescription"]
