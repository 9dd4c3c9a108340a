"""Two diagnoses side by side: what became of each finding.

Owns the comparison of contracts. Must never call a finding cured whose rule did not look again.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from howdah.check.model import Kind
from howdah.report.contract import Contract, Entry


class Fate(StrEnum):
    """What became of a finding."""

    CURED = "cured"  # its rule looked again at everything and does not report it
    REMAINS = "still there"
    NOT_KNOWN = "not known"  # not reported, but its rule could not look at everything
    NEW = "new"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of either diagnosis. `reason` is its rule's word now."""

    entry: Entry
    fate: Fate
    reason: str


def changes(before: Contract, after: Contract) -> tuple[Change, ...]:
    """Findings of `before` in their order, then the new ones of `after`."""
    now = {entry.id: entry for entry in after.of(Kind.FINDING)}
    rules = {entry.rule: entry for entry in after.results}
    old = before.of(Kind.FINDING)
    known = {entry.id for entry in old}
    fates = [_change(entry, now, rules.get(entry.rule)) for entry in old]
    new = [entry for entry in now.values() if entry.id not in known]
    return (
        *fates,
        *(Change(entry=entry, fate=Fate.NEW, reason=entry.reason) for entry in new),
    )


def _change(entry: Entry, now: dict[str | None, Entry], rule: Entry | None) -> Change:
    if entry.id in now:
        return Change(entry=entry, fate=Fate.REMAINS, reason=now[entry.id].reason)
    if rule is None:
        return Change(entry=entry, fate=Fate.NOT_KNOWN, reason="the rule was not asked again")
    complete = rule.verdict is not Kind.UNKNOWN and rule.examined >= rule.of
    return Change(entry=entry, fate=Fate.CURED if complete else Fate.NOT_KNOWN, reason=rule.reason)
