"""CloudEvents as the specification's own examples have them."""

from __future__ import annotations

import base64
import json
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.outbox.sinks import cloudevents
from howdah.outbox.sinks.sink import Message


def message(
    payload: bytes = b"{}", key: str | None = "k", headers: dict[str, str] | None = None
) -> Message:
    return Message(
        id=7,
        uid="l-7",
        topic="com.example.placed",
        key=key,
        payload=payload,
        headers=headers or {},
        at=0.25,
    )


def attributes(of: Message) -> dict[str, str]:
    return cloudevents.attributes(of, source="/shop", content_type="application/json")


def test_every_required_attribute_is_there() -> None:
    assert attributes(message()) == {
        "specversion": "1.0",
        "id": "l-7",
        "source": "/shop",
        "type": "com.example.placed",
        "time": "1970-01-01T00:00:00.250000Z",
        "datacontenttype": "application/json",
        "partitionkey": "k",
    }


def test_a_header_that_is_a_legal_name_is_an_extension_and_others_travel_together() -> None:
    found = attributes(
        message(
            headers={
                "traceparent": "00-1",
                "X-Shop": "a",
                "Content-Type": "text/plain",
                "id": "mine",
            }
        )
    )
    assert found["traceparent"] == "00-1"
    assert found["datacontenttype"] == "text/plain"
    assert found["id"] == "l-7"
    assert json.loads(found["howdahheaders"]) == {"X-Shop": "a", "id": "mine"}


def test_the_examples_of_header_values() -> None:
    """HTTP binding, 3.1.3.2."""
    euro = "Euro \u20ac \U0001f600"
    assert cloudevents.encoded(euro) == "Euro%20%E2%82%AC%20%F0%9F%98%80"
    assert cloudevents.encoded('50% "off"') == "50%25%20%22off%22"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_header_values_come_back(value: str) -> None:
    encoded = cloudevents.encoded(value)
    assert encoded.isascii()
    assert not set(encoded) & set(' "\r\n')
    assert unquote(encoded) == value


def test_binary_mode_has_the_payload_as_body() -> None:
    of = message(b"\x00")
    headers, body = cloudevents.binary(of, attributes(of))
    assert body == b"\x00"
    assert headers["content-type"] == "application/json"
    assert headers["ce-id"] == "l-7"
    assert "ce-datacontenttype" not in headers


@pytest.mark.parametrize(
    ("content_type", "payload", "member"),
    [
        ("application/json", b' {"a": 1.50} ', "data"),
        ("application/vnd.shop+json; charset=utf-8", b"[]", "data"),
        ("application/json", b"{broken", "data_base64"),
        ("application/json", b"", "data_base64"),
        ("text/plain", b"{}", "data_base64"),
        ("application/avro", b"\xff\x00", "data_base64"),
    ],
)
def test_structured_mode_holds_json_as_it_is_and_all_else_as_base64(
    content_type: str, payload: bytes, member: str
) -> None:
    of = message(payload, headers={"content-type": content_type})
    headers, body = cloudevents.structured(of, attributes(of))
    event = json.loads(body)
    assert headers == {"content-type": "application/cloudevents+json; charset=utf-8"}
    assert ("data" in event, "data_base64" in event) == (member == "data", member != "data")
    if member == "data":
        assert event["data"] == json.loads(payload)
    else:
        assert base64.b64decode(event["data_base64"]) == payload
