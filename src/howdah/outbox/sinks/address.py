"""Addresses of brokers without their secrets.

Owns what of a URL may be shown. Must never return user, password, token or query of a URL.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

_QUERY = re.compile(r"[?#]")
_SHORT = 3
"""Pieces of a URL up to this length are too common in ordinary text to be blanked out of it."""


def place(url: str) -> str:
    """Scheme, hosts and path of a URL, or of several that commas separate.

    Everything up to the last @ is taken for a secret: a password may hold any character.

    >>> place("nats://token@broker:4222/EVENTS?x=1")
    'nats://broker:4222/EVENTS'
    >>> place("kafka://ann:pw@one:9092,two:9092")
    'kafka://one:9092,two:9092'
    """
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{_QUERY.split(rest.rpartition('@')[2])[0]}"


def scrubbed(text: str, url: str) -> str:
    """`text`, such as a library's complaint, with every secret piece of `url` blanked.

    >>> scrubbed("cannot log in with pass-word at broker", "amqp://ann:pass-word@broker")
    'cannot log in with *** at broker'
    """
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _secrets(url: str) -> set[str]:
    login, _, place_and_query = url.partition("://")[2].rpartition("@")
    query = (*_QUERY.split(place_and_query, maxsplit=1), "")[1]
    found = {login, *(value for _, value in parse_qsl(query))}
    for each in login.split(","):
        for part in re.split(r"://|@", each):
            user, colon, password = part.partition(":")
            found.add(password if colon else user)
    found |= {unquote(each) for each in found}
    return {each for each in found if len(each) > _SHORT}
