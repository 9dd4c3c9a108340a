"""The contract: a diagnosis as the documented, versioned data that every rendering reads.

Owns the names and the meaning of what `howdah check --json` prints; docs/json.md describes it and
`contract.schema.json` is generated from these types. Must never add a judgement of its own.

A field may be added at any time. Removing one, or changing what one means, raises
`howdah.check.diagnosis.SCHEMA_VERSION`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from howdah.check.diagnosis import Diagnosis
from howdah.check.model import Confidence, Finding, Kind, Proof, Remedy, Result, Severity
from howdah.snapshot.model import Window


class ServerPart(msgspec.Struct, frozen=True, kw_only=True):
    """The server, database and role that were asked."""

    version: str
    database: str
    role: str
    in_recovery: bool
    system_identifier: str


class WindowPart(msgspec.Struct, frozen=True, kw_only=True):
    """The time over which cumulative counters counted; `since` null: the start is not known."""

    since: datetime | None
    until: datetime
    seconds: float | None
    reason: str


class ProofPart(msgspec.Struct, frozen=True, kw_only=True):
    """What happened when the remedy ran on a sandbox."""

    proven: bool
    reason: str
    server: str
    locks: tuple[str, ...]
    rewrites: tuple[str, ...]
    scans: tuple[str, ...]
    wal_bytes: int
    seconds: float
    rows: int


class RemedyPart(msgspec.Struct, frozen=True, kw_only=True):
    """A named operation. Only where `proven` is true is `sql` a command to run."""

    operation: str
    arguments: dict[str, Any]
    sql: tuple[str, ...]
    proven: bool
    inverse: tuple[str, ...]
    retry_safe: tuple[str, ...]
    note: str
    manual: bool
    proof: ProofPart | None


class SuppressedPart(msgspec.Struct, frozen=True, kw_only=True):
    """Why nobody is told of this finding, and until when."""

    reason: str
    expires: date


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One finding, or one rule that found nothing.

    `severity`, `object`, `claim`, `id`, `confidence`, `refuted_by`, `cost_if_wrong` and `harm` are
    null unless the verdict is `finding`. `reason`, `examined` and `of` speak of the whole rule.
    """

    rule: str
    verdict: Kind
    severity: Severity | None = None
    object: str | None = None
    claim: str | None = None
    evidence: tuple[dict[str, Any], ...] = ()
    remedies: tuple[RemedyPart, ...] = ()
    title: str
    id: str | None = None
    confidence: Confidence | None = None
    refuted_by: str | None = None
    cost_if_wrong: str | None = None
    harm: float | None = None
    window: WindowPart | None = None
    reason: str
    examined: int
    of: int
    suppressed: SuppressedPart | None = None
    known: bool | None = None  # whether the baseline has it; null without a baseline
    grant: str | None = None  # what to grant or install, where the verdict is unknown

    @property
    def is_quiet(self) -> bool:
        """A finding that is suppressed or known already."""
        return self.suppressed is not None or bool(self.known)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Open findings by severity, quiet findings, and rules by verdict."""

    critical: int
    warning: int
    notice: int
    suppressed: int
    known: int
    ok: int
    unknown: int
    not_applicable: int

    @property
    def open(self) -> int:
        """Findings that somebody should look at."""
        return self.critical + self.warning + self.notice


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """One diagnosis. `results` begins with the findings, the most urgent and harmful first."""

    schema_version: int
    howdah: str
    server: ServerPart
    taken_at: datetime
    window: WindowPart
    seconds: float
    summary: Summary
    notes: tuple[str, ...]
    results: tuple[Entry, ...]

    def of(self, verdict: Kind) -> tuple[Entry, ...]:
        """The entries with that verdict, in order."""
        return tuple(entry for entry in self.results if entry.verdict is verdict)

    @property
    def findings(self) -> tuple[Entry, ...]:
        """Open findings: neither suppressed nor known."""
        return tuple(entry for entry in self.of(Kind.FINDING) if not entry.is_quiet)

    @property
    def quiet(self) -> tuple[Entry, ...]:
        """Suppressed and known findings."""
        return tuple(entry for entry in self.of(Kind.FINDING) if entry.is_quiet)

    @property
    def partly_unknown(self) -> tuple[Entry, ...]:
        """Rules with a verdict that did not see everything, each once."""
        seen = {entry.rule: entry for entry in self.results if entry.examined < entry.of}
        return tuple(e for e in seen.values() if e.verdict in (Kind.OK, Kind.FINDING))


def contract(diagnosis: Diagnosis) -> Contract:
    """The diagnosis as the data that every rendering reads."""
    entries = (*_findings(diagnosis), *_others(diagnosis))
    return Contract(
        schema_version=diagnosis.schema_version,
        howdah=diagnosis.howdah,
        server=ServerPart(**msgspec.structs.asdict(diagnosis.server)),
        taken_at=diagnosis.taken_at,
        window=_window(diagnosis.window),
        seconds=round(diagnosis.seconds, 3),
        summary=_summary(entries),
        notes=diagnosis.notes,
        results=entries,
    )


def _findings(diagnosis: Diagnosis) -> Iterator[Entry]:
    """One entry per finding, in the diagnosis's own order."""
    owners = {each.id: result for result in diagnosis.results for each in result.findings}
    for finding in diagnosis.ranked:
        silence = diagnosis.suppression(finding)
        yield Entry(
            **_rule_part(owners[finding.id]),
            severity=finding.severity,
            object=finding.object,
            claim=finding.claim,
            evidence=tuple(plain(row) for row in finding.evidence),
            remedies=tuple(_remedy(remedy) for remedy in finding.remedies),
            id=finding.id,
            **_belief(finding),
            window=_window(finding.window) if finding.window else None,
            suppressed=SuppressedPart(reason=silence.reason, expires=silence.expires)
            if silence
            else None,
            known=None if diagnosis.baseline is None else diagnosis.is_known(finding),
        )


def _belief(finding: Finding) -> dict[str, Any]:
    return {
        "confidence": finding.confidence,
        "refuted_by": finding.refuted_by,
        "cost_if_wrong": finding.cost_if_wrong,
        "harm": finding.harm,
    }


def _others(diagnosis: Diagnosis) -> Iterator[Entry]:
    """One entry per rule without a finding, in the order of the rules."""
    for result in diagnosis.results:
        if result.kind is not Kind.FINDING:
            grant = diagnosis.grants.get(result.rule) if result.kind is Kind.UNKNOWN else None
            yield Entry(**_rule_part(result), grant=grant)


def _rule_part(result: Result) -> dict[str, Any]:
    return {
        "rule": result.rule,
        "verdict": result.kind,
        "title": result.title,
        "reason": result.reason,
        "examined": result.examined,
        "of": result.of,
    }


def _summary(entries: tuple[Entry, ...]) -> Summary:
    verdicts = Counter(entry.verdict for entry in entries)
    findings = [entry for entry in entries if entry.verdict is Kind.FINDING]
    opened = Counter(entry.severity for entry in findings if not entry.is_quiet)
    suppressed = sum(entry.suppressed is not None for entry in findings)
    return Summary(
        critical=opened[Severity.CRITICAL],
        warning=opened[Severity.WARNING],
        notice=opened[Severity.NOTICE],
        suppressed=suppressed,
        known=sum(entry.is_quiet for entry in findings) - suppressed,
        ok=verdicts[Kind.OK],
        unknown=verdicts[Kind.UNKNOWN],
        not_applicable=verdicts[Kind.NOT_APPLICABLE],
    )


def _window(window: Window) -> WindowPart:
    return WindowPart(
        since=window.since, until=window.until, seconds=window.seconds, reason=window.reason
    )


def _remedy(remedy: Remedy) -> RemedyPart:
    return RemedyPart(
        operation=remedy.operation,
        arguments=plain(remedy.arguments),
        sql=remedy.sql,
        proven=remedy.proven,
        inverse=remedy.inverse,
        retry_safe=remedy.retry_safe,
        note=remedy.note,
        manual=remedy.manual,
        proof=_proof(remedy.proof) if remedy.proof else None,
    )


def _proof(proof: Proof) -> ProofPart:
    return ProofPart(**msgspec.structs.asdict(proof))


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose values JSON can carry: numbers, text, truth values, null, lists and objects.

    Not a number and infinities, which JSON lacks, become text.
    """
    return {str(name): _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, Mapping):
        return plain(value)
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_plain(item) for item in items]
    return msgspec.to_builtins(value, str_keys=True)
