"""Autovacuum's settings on a fresh 18, for hand-made pictures."""

from __future__ import annotations

from howdah.snapshot.facts.catalog import Setting
from tests.making import row

DEFAULTS = {
    "autovacuum": "on",
    "track_counts": "on",
    "autovacuum_max_workers": "3",
    "autovacuum_vacuum_threshold": "50",
    "autovacuum_vacuum_scale_factor": "0.2",
    "autovacuum_vacuum_max_threshold": "100000000",
    "autovacuum_vacuum_insert_threshold": "1000",
    "autovacuum_vacuum_insert_scale_factor": "0.2",
    "autovacuum_analyze_threshold": "50",
    "autovacuum_analyze_scale_factor": "0.1",
    "autovacuum_freeze_max_age": "200000000",
    "autovacuum_multixact_freeze_max_age": "400000000",
    "vacuum_failsafe_age": "1600000000",
    "vacuum_multixact_failsafe_age": "1600000000",
}


def settings(**changed: str | None) -> list[Setting]:
    """The defaults with some changed; None leaves one out, as an older server does."""
    values = {**DEFAULTS, **changed}
    found = [
        row(Setting, name=name, value=value) for name, value in values.items() if value is not None
    ]
    return [*found, row(Setting, name="gin_pending_list_limit", value="4096", unit="kB")]
