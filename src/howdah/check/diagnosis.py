"""A diagnosis: everything that one run of `check` concluded, as one value.

Owns the shape that the command line fills and that every rendering reads. Must never judge: which
results there are is decided by the engine, what is suppressed or known by the command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime

import msgspec

from howdah.check.evaluate import ranked
from howdah.check.model import Finding, Kind, Result
from howdah.check.suppression import Suppression
from howdah.snapshot.model import Snapshot, Window

SCHEMA_VERSION = 1


class Diagnosed(msgspec.Struct, frozen=True, kw_only=True):
    """The server, database and role that the diagnosis is about."""

    version: str  # '18.6'
    database: str
    role: str
    in_recovery: bool
    system_identifier: str


class Suppressed(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that somebody chose not to act on, and until when (that day included)."""

    finding: str  # its id
    reason: str
    expires: date


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """The results of all rules on one snapshot.

    `results` hold every finding, suppressed and known ones too; `suppressed` holds the suppressions
    that are in force; `baseline` the ids that a baseline file knows (None: no baseline was given).
    `grants` says by rule what to grant or install where it is *unknown*, as `howdah doctor` words
    it. `notes` are sentences about the run itself, such as a suppression whose day has passed.
    `seconds` is what taking the snapshot and examining it took.
    """

    schema_version: int = SCHEMA_VERSION
    howdah: str  # the version that diagnosed
    server: Diagnosed
    taken_at: datetime
    window: Window
    seconds: float
    results: tuple[Result, ...]
    suppressed: tuple[Suppressed, ...] = ()
    baseline: frozenset[str] | None = None
    grants: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()

    @property
    def ranked(self) -> tuple[Finding, ...]:
        """Every finding, the most urgent and harmful first."""
        return ranked(self.results)

    def of_kind(self, kind: Kind) -> tuple[Result, ...]:
        """The results with that verdict, in the order of the rules."""
        return tuple(result for result in self.results if result.kind is kind)

    def result(self, rule: str) -> Result | None:
        """One rule's result, None where it was not asked."""
        return next((result for result in self.results if result.rule == rule), None)

    def suppression(self, finding: Finding) -> Suppressed | None:
        """The suppression in force for a finding."""
        return next((each for each in self.suppressed if each.finding == finding.id), None)

    def is_known(self, finding: Finding) -> bool:
        """Whether the baseline has it; without a baseline nothing is known."""
        return self.baseline is not None and finding.id in self.baseline

    def open(self) -> Iterator[Finding]:
        """Ranked findings that are neither suppressed nor known: what a CI run fails on."""
        silent = {each.finding for each in self.suppressed} | (self.baseline or frozenset())
        return (finding for finding in self.ranked if finding.id not in silent)


def diagnosed(snapshot: Snapshot) -> Diagnosed:
    """The part of a snapshot's server that a diagnosis names."""
    server = snapshot.server
    return Diagnosed(
        version=server.version,
        database=server.database,
        role=server.role,
        in_recovery=server.in_recovery,
        system_identifier=server.system_identifier,
    )


def suppressed(
    findings: Iterable[Finding], entries: Sequence[Suppression], today: date
) -> tuple[Suppressed, ...]:
    """What of the findings is suppressed today; where several entries cover one, the first."""
    return tuple(
        Suppressed(finding=finding.id, reason=entry.reason, expires=entry.expires)
        for finding in findings
        if (entry := next((e for e in entries if e.covers(finding, today)), None))
    )
