"""Columns of queues: order, keys, times, on hand-made pictures."""

from __future__ import annotations

from typing import Any

import pytest

from howdah.check.model import Kind, Severity
from howdah.check.rules.queues import (
    queue_int4_id,
    queue_order_by_timestamp,
    queue_timestamp_without_zone,
)
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.catalog import Relation, Sequence
from howdah.snapshot.facts.counters import TableStatistics
from howdah.snapshot.picture import Picture
from tests.making import fact, objects, row, verdict
from tests.making_queues import DONE, EMIT, READ, SENT, TABLES, TAKE, WORK, columns, used

BY_TIME = READ.replace("order by id", "order by made_at")
LAST_SEEN = "select * from news where made_at > $1 order by made_at limit $2"


@pytest.mark.parametrize(
    ("texts", "severity"),
    [
        pytest.param([LAST_SEEN, EMIT], Severity.WARNING, id="position in time"),
        pytest.param([BY_TIME, SENT], Severity.WARNING, id="ties of an outbox"),
        pytest.param([TAKE.replace("by id", "by made_at")], Severity.NOTICE, id="ties of a queue"),
    ],
)
def test_an_order_by_time_is_found(texts: list[str], severity: Severity) -> None:
    result = verdict(queue_order_by_timestamp, used(*texts))
    assert result.kind is Kind.FINDING
    assert result.findings[0].severity is severity


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param([READ, SENT], id="by key"),
        pytest.param([BY_TIME.replace("made_at", "made_at, id"), SENT], id="key breaks ties"),
        pytest.param(
            [
                "select * from work where run_at <= now() order by run_at limit $1 "
                "for update skip locked"
            ],
            id="when due",
        ),
        pytest.param(
            [
                "select * from news where made_at > $1 and id < "
                "pg_snapshot_xmin(pg_current_snapshot())::text::bigint order by made_at limit $2",
                EMIT,
                READ,
                SENT,
            ],
            id="guarded by the horizon",
        ),
    ],
)
def test_a_sound_order_is_ok(texts: list[str]) -> None:
    assert verdict(queue_order_by_timestamp, used(*texts)).kind is Kind.OK


def test_a_position_in_time_skips_rows() -> None:
    (finding,) = verdict(queue_order_by_timestamp, used(LAST_SEEN, EMIT)).findings
    assert "never read" in finding.claim
    assert finding.remedies[0].manual


# --- keys -----------------------------------------------------------------------------------------


def keyed(kind: str = "int4", *, last: int = 1000, inserted: int = 10, **more: Any) -> Picture:
    feeding = row(
        Sequence,
        oid=50,
        schema="public",
        name="work_id_seq",
        data_type="int4",
        increment=1,
        is_readable=True,
        last_value=last,
        fed_relations=(WORK,),
        fed_columns=(1,),
    )
    traffic = row(TableStatistics, relation=WORK, inserted=inserted)
    facts = {"sequences": [feeding], "table_statistics": [traffic]} | more
    return used(TAKE, DONE, columns=columns(work_id=kind), **facts)


def test_a_four_byte_key_that_will_end_is_found_and_widened() -> None:
    result = verdict(queue_int4_id, keyed(last=2_000_000_000, inserted=50_000_000))
    assert objects(result) == {"public.work"}
    (finding,) = result.findings
    assert finding.severity is Severity.WARNING
    assert finding.evidence[0]["days_left"] == pytest.approx(20.6, abs=0.1)
    assert finding.remedies[0].sql == (
        'ALTER TABLE "public"."work" ALTER COLUMN "id" TYPE bigint',
        'ALTER SEQUENCE "public"."work_id_seq" AS bigint',
    )


def test_without_a_rate_it_is_a_notice() -> None:
    result = verdict(queue_int4_id, keyed(sequences=[]))
    assert result.findings[0].severity is Severity.NOTICE


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(keyed("int8"), id="eight bytes"),
        pytest.param(keyed(inserted=10), id="lasts for centuries"),
    ],
)
def test_a_key_that_lasts_is_ok(of: Picture) -> None:
    assert verdict(queue_int4_id, of).kind is Kind.OK


def test_a_large_table_is_not_rewritten() -> None:
    large = [
        row(Relation, oid=WORK, schema="public", name="work", kind="r", pages=100_000),
        *TABLES[1:],
    ]
    (finding,) = verdict(queue_int4_id, keyed(sequences=[], relations=large)).findings
    assert finding.remedies[0].manual


# --- times ----------------------------------------------------------------------------------------


def test_times_without_a_zone_that_claims_rely_on_are_found() -> None:
    given = used(READ, SENT, columns=columns(news_sent_at="timestamp"))
    (finding,) = verdict(queue_timestamp_without_zone, given).findings
    assert finding.evidence[0]["columns"] == ["sent_at"]


def test_times_without_a_zone_that_no_claim_uses_are_ok() -> None:
    given = used(READ, SENT, columns=columns(news_made_at="timestamp"))
    assert verdict(queue_timestamp_without_zone, given).kind is Kind.OK


@pytest.mark.parametrize(
    "rule", [queue_order_by_timestamp, queue_int4_id, queue_timestamp_without_zone]
)
def test_without_queues_or_statements(rule: Any) -> None:
    assert verdict(rule, used("select * from list where id = $1")).kind is Kind.NOT_APPLICABLE
    hidden = used("<insufficient privilege>")
    assert verdict(rule, hidden).kind is Kind.UNKNOWN
    partly = verdict(rule, used(TAKE, DONE, "<insufficient privilege>"))
    assert "1 statements are hidden" in partly.reason
    denied = fact(status=Status.UNSUPPORTED, reason="pg_stat_statements is not installed")
    assert verdict(rule, used(statements=denied)).kind is Kind.UNKNOWN
