"""Payloads that poison a batch, on hand-made pictures."""

from __future__ import annotations

import pytest

from howdah.check.model import Kind
from howdah.check.rules.payloads import queue_jsonb_nul
from tests.making import objects, verdict
from tests.making_queues import ADD, DONE, TAKE, columns, used

TAKE_AS = TAKE.replace("returning id, body", "returning id, {}")


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        pytest.param("text", TAKE_AS.format("body::jsonb"), id="text cast"),
        pytest.param("json", TAKE_AS.format("body::jsonb"), id="json cast"),
        pytest.param("json", TAKE_AS.format("body ->> $4"), id="text out of json"),
        pytest.param("varchar", "select cast(body as jsonb) from work where id = $1", id="reader"),
        pytest.param(
            "jsonb", "insert into work (body) select x::jsonb from unnest($1::text[]) x", id="bulk"
        ),
    ],
)
def test_a_conversion_of_a_batch_is_found(stored: str, text: str) -> None:
    result = verdict(queue_jsonb_nul, used(TAKE, DONE, text, columns=columns(work_body=stored)))
    assert objects(result) == {"public.work"}


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        pytest.param("jsonb", ADD, id="one row, refused at its producer"),
        pytest.param("jsonb", "insert into work (body) values ($1::jsonb)", id="one cast row"),
        pytest.param("jsonb", TAKE_AS.format("body ->> $4"), id="text out of jsonb"),
        pytest.param("json", TAKE, id="json as it is"),
        pytest.param("text", TAKE, id="text as it is"),
        pytest.param("jsonb", "insert into work (body) select body from work", id="copied"),
    ],
)
def test_a_safe_payload_is_ok(stored: str, text: str) -> None:
    given = used(TAKE, DONE, text, columns=columns(work_body=stored))
    assert verdict(queue_jsonb_nul, given).kind is Kind.OK


def test_without_queues_it_is_not_applicable() -> None:
    assert verdict(queue_jsonb_nul, used("select 1")).kind is Kind.NOT_APPLICABLE
