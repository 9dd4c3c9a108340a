"""Addresses of brokers without their secrets.

Owns what of a URL may be shown. Must never return user, password, token or query of a URL.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

_SHORT = 3
"""Pieces of a URL up to this length are too common in ordinary text to be blanked out of it."""


def place(url: str) -> str:
    """Scheme, hosts and path of a URL, or of several that commas separate.

    >>> place("nats://token@broker:4222/EVENTS?x=1")
    'nats://broker:4222/EVENTS'
    >>> place("kafka://ann:pw@one:9092,two:9092")
    'kafka://one:9092,two:9092'
    """
    parts = urlsplit(url)
    hosts = ",".join(host.rpartition("@")[2] for host in parts.netloc.split(","))
    return f"{parts.scheme}://{hosts}{parts.path}"


def scrubbed(text: str, url: str) -> str:
    """`text`, such as a library's complaint, with every secret piece of `url` blanked.

    >>> scrubbed("cannot log in with pass-word at broker", "amqp://ann:pass-word@broker")
    'cannot log in with *** at broker'
    """
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _secrets(url: str) -> set[str]:
    parts = urlsplit(url)
    found = {value for _, value in parse_qsl(parts.query)}
    for host in parts.netloc.split(","):
        login = host.rpartition("@")[0]
        user, colon, password = login.partition(":")
        found |= {login, password if colon else user}
    found |= {unquote(each) for each in found}
    return {each for each in found if len(each) > _SHORT}
