"""Signatures of webhooks as the Standard Webhooks specification 1.0.0 has them: HMAC-SHA256, `v1`.

Owns signing and verifying. Must never compare signatures in a time that depends on them.

Signed is `id.timestamp.body`. In CloudEvents' binary mode the attributes are headers and are *not*
signed; use structured mode where they must be.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from howdah.errors import BadInput, Denied

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"

_PREFIX = "whsec_"
_LEAST_BYTES, _MOST_BYTES = 24, 64
"""Length of a secret: specification, "Signature scheme"."""
TOLERANCE_SECONDS = 300
"""How far a timestamp may be off before a request counts as replayed; customary."""


def key(secret: str) -> bytes:
    """The bytes of a secret, which is base64 behind `whsec_`.

    Raises `BadInput`, which does not repeat it, for anything else and for a bad length.
    """
    try:
        decoded = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not _LEAST_BYTES <= len(decoded) <= _MOST_BYTES:
        raise BadInput(
            "a webhook secret is not one",
            detail=f"It is base64 of {_LEAST_BYTES} to {_MOST_BYTES} bytes behind {_PREFIX!r}.",
            hint='python -c "import base64,os; '
            "print('whsec_' + base64.b64encode(os.urandom(32)).decode())\"",
        )
    return decoded


def headers(keys: Sequence[bytes], uid: str, seconds: int, body: bytes) -> dict[str, str]:
    """The three headers of one attempt; several keys while a secret is being replaced."""
    signatures = " ".join(f"v1,{_sign(each, uid, str(seconds), body)}" for each in keys)
    return {ID: uid, TIMESTAMP: str(seconds), SIGNATURE: signatures}


def verify(
    keys: Sequence[bytes],
    received: Mapping[str, str],
    body: bytes,
    now: float,
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> str:
    """For a receiver: the id of a genuine request; `received` has names in lower case.

    `now` is seconds since the epoch. Raises `Denied` for any other request.
    """
    uid, seconds = received.get(ID, ""), received.get(TIMESTAMP, "")
    if not uid or not (seconds.isascii() and seconds.isdigit()):
        raise Denied("the request has no signature")
    if abs(now - int(seconds)) > tolerance_seconds:
        raise Denied("the request is too old, or from the future", hint="check both clocks")
    given = [each.partition(",") for each in received.get(SIGNATURE, "").split()]
    wanted = [_sign(each, uid, seconds, body) for each in keys]
    matches = [
        hmac.compare_digest(signature.encode(), each.encode())
        for version, _, signature in given
        for each in wanted
        if version == "v1"
    ]
    if not any(matches):
        raise Denied("the request's signature is not ours")
    return uid


def _sign(secret: bytes, uid: str, seconds: str, body: bytes) -> str:
    signed = b".".join((uid.encode(), seconds.encode(), body))
    return base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
