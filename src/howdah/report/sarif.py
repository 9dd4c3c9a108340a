"""The diagnosis as SARIF 2.1.0, for code hosts and editors that show findings.

Owns the mapping onto the OASIS standard "Static Analysis Results Interchange Format (SARIF) Version
2.1.0". A database has no files, so a finding stands at a logical location: the object's name.
Must never invent a physical one. Rules that were unknown become notifications of the run, so that
no reader takes their silence for health.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from howdah.check.model import Kind, Rule, Severity
from howdah.report import wording
from howdah.report.contract import Contract, Entry, RemedyPart

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVEL = {Severity.CRITICAL: "error", Severity.WARNING: "warning", Severity.NOTICE: "note"}


def text(contract: Contract, rules: Iterable[Rule] = ()) -> str:
    """The log as indented JSON that ends with a newline; `rules` bring the help texts."""
    return msgspec.json.format(msgspec.json.encode(log(contract, rules)), indent=2).decode() + "\n"


def log(contract: Contract, rules: Iterable[Rule] = ()) -> dict[str, Any]:
    """The SARIF log: one run, one result per finding."""
    documented = {rule.id: rule for rule in rules}
    order = list(dict.fromkeys(entry.rule for entry in contract.results))
    titles = {entry.rule: entry.title for entry in contract.results}
    places = {rule: place for place, rule in enumerate(order)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "howdah",
                        "semanticVersion": contract.howdah,
                        "rules": [_rule(r, titles[r], documented.get(r)) for r in order],
                    }
                },
                "invocations": [_invocation(contract, places)],
                "columnKind": "utf16CodeUnits",
                "results": [_result(e, places[e.rule]) for e in contract.of(Kind.FINDING)],
                "properties": {
                    "server": msgspec.to_builtins(contract.server),
                    "window": msgspec.to_builtins(contract.window),
                },
            }
        ],
    }


def _rule(id: str, title: str, rule: Rule | None) -> dict[str, Any]:
    made: dict[str, Any] = {"id": id, "name": _pascal(id), "shortDescription": {"text": title}}
    if rule is not None:
        made["fullDescription"] = {"text": rule.what}
        made["help"] = {"text": f"{rule.why}\n\nHow it can be wrong: {rule.wrong_when}"}
        made["defaultConfiguration"] = {"level": _LEVEL[rule.severity]}
        made["properties"] = {"subject": rule.subject, "source": rule.source}
    return made


def _pascal(id: str) -> str:
    return "".join(word.capitalize() for word in id.split("-"))


def _invocation(contract: Contract, places: dict[str, int]) -> dict[str, Any]:
    """How the run went; what was unknown, or not seen in full, is a notification."""
    silent = (*contract.of(Kind.UNKNOWN), *contract.partly_unknown)
    return {
        "executionSuccessful": True,
        "endTimeUtc": contract.taken_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "toolExecutionNotifications": [
            {
                "level": "note",
                "message": {"text": f"{entry.rule}: {entry.verdict}: {entry.reason}"},
                "associatedRule": {"id": entry.rule, "index": places[entry.rule]},
            }
            for entry in silent
        ],
    }


def _result(entry: Entry, place: int) -> dict[str, Any]:
    severity = entry.severity or Severity.NOTICE
    made: dict[str, Any] = {
        "ruleId": entry.rule,
        "ruleIndex": place,
        "level": _LEVEL[severity],
        "message": {"text": _message(entry)},
        "locations": [{"logicalLocations": [_location(entry.object or "")]}],
        "partialFingerprints": {"howdahFindingId/v1": entry.id},
        "rank": _RANK[severity],
        "properties": _properties(entry),
    }
    if entry.suppressed:
        why = f"{entry.suppressed.reason} (until {entry.suppressed.expires})"
        made["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    if entry.known is not None:
        made["baselineState"] = "unchanged" if entry.known else "new"
    return made


# SARIF's rank is 0 to 100 and harm has no upper end: severity gives the rank, harm is a property.
_RANK = {Severity.CRITICAL: 100.0, Severity.WARNING: 50.0, Severity.NOTICE: 10.0}


def _location(name: str) -> dict[str, Any]:
    return {"fullyQualifiedName": name, "name": name.rpartition(".")[2] or name, "kind": "object"}


def _message(entry: Entry) -> str:
    """The claim, then the remedies as the terminal words them."""
    lines = [wording.clean(entry.claim or "")]
    lines += [_remedy(remedy) for remedy in entry.remedies]
    return "\n".join(lines)


def _remedy(remedy: RemedyPart) -> str:
    state = "proven" if remedy.proven else "not proven"
    statements = "; ".join(wording.clean(statement) for statement in remedy.sql)
    return f"{remedy.operation} ({state}): {statements}"


def _properties(entry: Entry) -> dict[str, Any]:
    return {
        "severity": entry.severity,
        "harm": entry.harm,
        "confidence": entry.confidence,
        "refutedBy": entry.refuted_by,
        "costIfWrong": entry.cost_if_wrong,
        "evidence": list(entry.evidence),
        "remedies": [msgspec.to_builtins(remedy) for remedy in entry.remedies],
    }
