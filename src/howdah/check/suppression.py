"""What a team has decided not to be told: suppressions with a reason and an end, and baselines.

Owns both file formats. Must never drop a finding silently: what is suppressed is listed with its
reason, and an entry whose day has passed suppresses nothing and says so.

A suppression file is TOML:

    [[suppress]]
    finding = "unused-index:public.orders_*"    # an id, * and ? allowed
    reason = "used by the yearly closing"
    expires = 2027-01-31

A baseline is the JSON list of finding ids that were known when it was written; in CI only findings
that are not in it fail the build.
"""

from __future__ import annotations

import datetime
import fnmatch
import tomllib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from howdah.check.model import Finding
from howdah.config import suggestion
from howdah.errors import BadFile


class Suppression(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry: which findings, why, and until when (that day included)."""

    finding: str
    reason: str
    expires: datetime.date

    def covers(self, finding: Finding, today: datetime.date) -> bool:
        """Whether this entry suppresses that finding today."""
        return today <= self.expires and fnmatch.fnmatchcase(finding.id, self.finding)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    suppress: tuple[Suppression, ...] = ()


def read_suppressions(path: Path) -> tuple[Suppression, ...]:
    """Read a suppression file; `BadFile` names the entry that is wrong.

    Every entry needs a finding, a reason that is not blank, and an expiry date.
    """
    try:
        file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
    except (OSError, ValueError) as error:
        known = msgspec.structs.fields(Suppression)
        raise BadFile(
            f"cannot read the suppressions in {path}",
            detail=str(error),
            hint="an entry is [[suppress]] with " + suggestion("", [f.name for f in known]),
        ) from error
    for entry in file.suppress:
        if not entry.reason.strip():
            raise BadFile(f"{path}: the suppression of {entry.finding!r} has no reason")
    return file.suppress


def expired(entries: Iterable[Suppression], today: datetime.date) -> tuple[Suppression, ...]:
    """The entries whose day has passed."""
    return tuple(entry for entry in entries if entry.expires < today)


def read_baseline(path: Path) -> frozenset[str]:
    """The finding ids of a baseline file; `BadFile` if it is not one."""
    try:
        return frozenset(msgspec.json.decode(path.read_bytes(), type=list[str]))
    except (OSError, msgspec.DecodeError) as error:
        raise BadFile(
            f"cannot read the baseline {path}",
            detail=str(error),
            hint=f"howdah check DSN --write-baseline {path}",
        ) from error


def write_baseline(findings: Iterable[Finding], path: Path) -> int:
    """Write the ids of these findings, sorted, a line each; returns how many."""
    ids = sorted({finding.id for finding in findings})
    path.write_bytes(msgspec.json.format(msgspec.json.encode(ids), indent=1) + b"\n")
    return len(ids)
