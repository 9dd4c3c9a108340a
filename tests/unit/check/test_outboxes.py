"""Traditional outboxes, on hand-made pictures."""

from __future__ import annotations

from typing import Any

import pytest

from howdah.check.model import Kind, Severity
from howdah.check.rules.outboxes import outbox_traditional
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.picture import Picture
from tests.making import objects, row, verdict
from tests.making_queues import DONE, EMIT, FOLLOW, NEWS, READ, SENT, TAKE, used


def box(**counters: Any) -> Picture:
    return used(
        READ, SENT, EMIT, table_statistics=[row(TableStatistics, relation=NEWS, **counters)]
    )


def test_an_outbox_full_of_dead_rows_is_a_warning() -> None:
    result = verdict(outbox_traditional, box(updated=55_000, dead=55_000, live=10))
    assert objects(result) == {"public.news"}
    (finding,) = result.findings
    assert finding.severity is Severity.WARNING
    assert finding.evidence[0]["unpublished"] == ["sent_at IS NULL"]
    assert {remedy.operation for remedy in finding.remedies} == {"partition-outbox", "ring-outbox"}
    assert all(remedy.manual for remedy in finding.remedies)


def test_a_busy_one_that_vacuum_keeps_clean_is_a_notice() -> None:
    result = verdict(outbox_traditional, box(updated=500_000, dead=200, live=500_000))
    assert result.findings[0].severity is Severity.NOTICE


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(box(updated=200, dead=200, live=5), id="little traffic"),
        pytest.param(
            used(FOLLOW, EMIT, table_statistics=[row(TableStatistics, relation=NEWS, live=10**6)]),
            id="append-only with a position",
        ),
    ],
)
def test_a_light_outbox_is_ok(of: Picture) -> None:
    assert verdict(outbox_traditional, of).kind is Kind.OK


def test_a_queue_is_no_outbox() -> None:
    assert verdict(outbox_traditional, used(TAKE, DONE)).kind is Kind.NOT_APPLICABLE
