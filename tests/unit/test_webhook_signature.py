"""Signatures of webhooks: the scheme's published vector, replacement of secrets, and forgeries."""

from __future__ import annotations

import base64

import pytest

from howdah.errors import BadInput, Denied
from howdah.outbox.sinks import webhook_signature as webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()
UID, SECONDS, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'


def test_the_vector_that_the_schemes_libraries_share() -> None:
    headers = webhook.headers([webhook.key(SECRET)], UID, SECONDS, BODY)
    assert headers == {
        "webhook-id": UID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("known", [SECRET, OTHER])
def test_while_a_secret_is_replaced_either_verifies(known: str) -> None:
    keys = [webhook.key(SECRET), webhook.key(OTHER)]
    headers = webhook.headers(keys, UID, SECONDS, BODY)
    assert webhook.verify([webhook.key(known)], headers, BODY, SECONDS + 1) == UID


@pytest.mark.parametrize(
    ("change", "now"),
    [
        ({"webhook-id": "other"}, SECONDS),
        ({"webhook-timestamp": str(SECONDS + 1)}, SECONDS),
        ({"webhook-timestamp": "soon"}, SECONDS),
        ({"webhook-timestamp": "\u0661"}, SECONDS),
        ({"webhook-signature": ""}, SECONDS),
        ({"webhook-signature": "v1,"}, SECONDS),
        ({"webhook-signature": "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}, SECONDS),
        ({"webhook-signature": "v1,\u20ac"}, SECONDS),
        ({}, SECONDS + 301),
        ({}, SECONDS - 301),
    ],
)
def test_anything_else_is_denied(change: dict[str, str], now: float) -> None:
    key = webhook.key(SECRET)
    headers = webhook.headers([key], UID, SECONDS, BODY) | change
    with pytest.raises(Denied):
        webhook.verify([key], headers, BODY, now)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "open-sesame",
        "whsec_c2hvcnQ=",
        "whsec_" + base64.b64encode(bytes(65)).decode(),
    ],
)
def test_a_secret_that_is_none_is_not_repeated(secret: str) -> None:
    with pytest.raises(BadInput) as caught:
        webhook.key(secret)
    assert "sesame" not in str(caught.value)
    assert "c2hvcnQ" not in str(caught.value)
