"""How to reach a Kafka cluster, and what librdkafka is told about it.

Owns the settings of the Kafka sink, their translation into librdkafka's properties, and where
tokens come from. Must never let a property that a guarantee rests on be overridden.

Properties are those of librdkafka's CONFIGURATION.md.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import msgspec

from howdah.errors import BadInput
from howdah.outbox.sinks.extra import needs
from howdah.outbox.sinks.settings import Settings, build

TokenSource = Callable[[], tuple[str, float]]
"""Gives a token for SASL/OAUTHBEARER and when it ends, in seconds since the epoch."""

MESSAGE_OVERHEAD_BYTES = 36
"""What librdkafka counts for a message besides key, value and headers: record format 2, at most."""


class Mode(enum.StrEnum):
    """What a call of the sink is at the broker."""

    IDEMPOTENT = "idempotent"
    TRANSACTIONAL = "transactional"  # one transaction; an older relay is shut out


class Sasl(enum.StrEnum):
    """How to log in."""

    NONE = "none"
    PLAIN = "plain"
    SCRAM_256 = "scram-sha-256"
    SCRAM_512 = "scram-sha-512"
    OAUTHBEARER = "oauthbearer"  # a token source, or an endpoint that issues tokens
    AWS_MSK_IAM = "aws-msk-iam"  # the credentials that the AWS client library finds


_MECHANISMS = {
    Sasl.PLAIN: "PLAIN",
    Sasl.SCRAM_256: "SCRAM-SHA-256",
    Sasl.SCRAM_512: "SCRAM-SHA-512",
    Sasl.OAUTHBEARER: "OAUTHBEARER",
    Sasl.AWS_MSK_IAM: "OAUTHBEARER",
}

_WITH_PASSWORD = (Sasl.PLAIN, Sasl.SCRAM_256, Sasl.SCRAM_512)

Seconds = Annotated[float, msgspec.Meta(gt=0, le=900)]


class KafkaSettings(Settings, frozen=True, kw_only=True):
    """How to publish to one cluster. The topic is the message's, behind `topic_prefix`."""

    url: str
    """`kafka://host:port,host:port`: some of the brokers; the others are found through them."""
    mode: Mode = Mode.IDEMPOTENT
    transactional_id_prefix: Annotated[str, msgspec.Meta(min_length=1)] = "howdah-"
    topic_prefix: str = ""
    tls: bool = False
    tls_ca_file: str | None = None
    tls_certificate_file: str | None = None
    tls_key_file: str | None = None
    tls_key_password: str | None = None
    sasl: Sasl = Sasl.NONE
    username: str | None = None
    password: str | None = None
    token_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    token_scope: str | None = None
    aws_region: str | None = None
    aws_role_arn: str | None = None
    """A role to assume with the credentials that were found; None: use those themselves."""
    delivery_timeout_seconds: Seconds = 60.0
    """After it a call reports what is not acknowledged as to be sent again."""
    connect_timeout_seconds: Seconds = 10.0
    unknown_topic_seconds: Seconds = 10.0
    """How long a new topic may take to be known to all brokers; then it is unknown."""
    max_bytes: Annotated[int, msgspec.Meta(ge=1000, le=1_000_000_000)] = 1_000_000
    """Of one message with its key and headers; the topic's max.message.bytes must allow it."""
    linger_milliseconds: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 2.0
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=5)] = 5
    """Requests to one broker; with more than 5 an idempotent producer cannot keep the order."""
    compression: str = "lz4"
    properties: dict[str, str | int | float | bool] = msgspec.field(default_factory=dict)
    """More of librdkafka's properties, but none that this sink sets."""

    def __post_init__(self) -> None:
        """Refuse combinations that cannot log in."""
        if self.sasl in _WITH_PASSWORD and not (self.username and self.password):
            raise ValueError(f"sasl {self.sasl} needs username and password")
        if self.sasl not in _WITH_PASSWORD and (self.username or self.password):
            raise ValueError(f"sasl {self.sasl} takes no username and password; name a mechanism")
        if self.sasl is Sasl.AWS_MSK_IAM and not self.aws_region:
            raise ValueError("sasl aws-msk-iam needs aws_region")

    @property
    def brokers(self) -> str:
        """The bootstrap servers as librdkafka takes them."""
        return urlsplit(self.url).netloc


def from_options(url: str, options: Mapping[str, Any]) -> KafkaSettings:
    """Settings of a URL and options; `kafkas://` is `kafka://` with TLS.

    A user and a password in the URL are options as well.
    """
    parts = urlsplit(url)
    login, _, brokers = parts.netloc.rpartition("@")
    username, _, password = (unquote(each) for each in login.partition(":"))
    values: dict[str, Any] = {"url": f"{parts.scheme}://{brokers}"}
    values |= {"username": username, "password": password} if login else {}
    values |= {"tls": True} if parts.scheme == "kafkas" else {}
    try:
        return build(KafkaSettings, values | dict(options))
    except ValueError as error:
        raise BadInput(str(error), hint="see the options of the Kafka sink") from None


def properties(settings: KafkaSettings, transactional_id: str) -> dict[str, Any]:
    """All of librdkafka's properties for a producer, without its callbacks."""
    ours = _guarantees(settings, transactional_id) | _transport(settings) | _login(settings)
    for name in settings.properties:
        if name in ours or name in _RESERVED:
            raise BadInput(
                f"the property {name!r} is the sink's own",
                hint="use the sink's option for it, or leave it out",
            )
    return ours | settings.properties


_RESERVED = {
    "acks",
    "request.required.acks",
    "retries",
    "message.send.max.retries",
    "delivery.timeout.ms",
    "max.in.flight",
    "transactional.id",
    "metadata.broker.list",
    "ssl.certificate.location",
}
"""Other names for, and more of, what the sink decides."""


def _guarantees(settings: KafkaSettings, transactional_id: str) -> dict[str, Any]:
    """What order and delivery rest on."""
    timeout = settings.delivery_timeout_seconds
    found: dict[str, Any] = {
        "enable.idempotence": True,
        # A batch that is refused for good stops the producer before what comes behind it is sent.
        "enable.gapless.guarantee": True,
        "max.in.flight.requests.per.connection": settings.in_flight,
        # That guarantee does not cover messages that time out one by one: the sink ends the whole
        # producer instead.
        "message.timeout.ms": 0,
        # An outbox that makes topics out of misspelt names would lose events quietly.
        "allow.auto.create.topics": False,
        "topic.metadata.propagation.max.ms": _ms(min(settings.unknown_topic_seconds, timeout / 2)),
        # The same partition of a key as the Java client's.
        "partitioner": "murmur2_random",
        "message.max.bytes": settings.max_bytes,
    }
    if settings.mode is Mode.TRANSACTIONAL:
        found["transactional.id"] = transactional_id
        found["transaction.timeout.ms"] = max(1000, _ms(timeout))
    return found


def _transport(settings: KafkaSettings) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.brokers,
        "client.id": "howdah",
        "socket.timeout.ms": _ms(min(60.0, settings.delivery_timeout_seconds)),
        "socket.connection.setup.timeout.ms": max(1000, _ms(settings.connect_timeout_seconds)),
        "reconnect.backoff.max.ms": 1000,
        "linger.ms": settings.linger_milliseconds,
        "compression.type": settings.compression,
        # What it would report every few seconds is tens of kilobytes; the sink counts for itself.
        "statistics.interval.ms": 0,
    }


def _login(settings: KafkaSettings) -> dict[str, Any]:
    tls = settings.tls or bool(settings.tls_ca_file or settings.tls_certificate_file)
    tls = tls or settings.sasl is Sasl.AWS_MSK_IAM
    sasl = settings.sasl is not Sasl.NONE
    wanted = {
        "security.protocol": f"{'SASL_' if sasl else ''}{'SSL' if tls else 'PLAINTEXT'}",
        "ssl.ca.location": settings.tls_ca_file,
        "ssl.certificate.location": settings.tls_certificate_file,
        "ssl.key.location": settings.tls_key_file,
        "ssl.key.password": settings.tls_key_password,
        "sasl.mechanism": _MECHANISMS.get(settings.sasl),
    }
    if settings.sasl in _WITH_PASSWORD:
        wanted |= {"sasl.username": settings.username, "sasl.password": settings.password}
    if settings.sasl is Sasl.OAUTHBEARER and settings.token_url:
        wanted |= {
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": settings.token_url,
            "sasl.oauthbearer.client.id": settings.client_id,
            "sasl.oauthbearer.client.secret": settings.client_secret,
            "sasl.oauthbearer.scope": settings.token_scope,
        }
    return {name: value for name, value in wanted.items() if value is not None}


def token_source(settings: KafkaSettings) -> TokenSource | None:
    """Where the settings say that tokens come from; None where librdkafka needs none of us."""
    if settings.sasl is Sasl.OAUTHBEARER and not settings.token_url:
        raise BadInput(
            "sasl oauthbearer needs a source of tokens",
            hint="set token_url with client_id and client_secret, or give KafkaSink a `token`",
        )
    if settings.sasl is not Sasl.AWS_MSK_IAM:
        return None
    with needs("msk", "aws-msk-iam-sasl-signer-python"):
        from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
    region, role = settings.aws_region, settings.aws_role_arn

    def sign() -> tuple[str, float]:
        if role:
            token, ends = MSKAuthTokenProvider.generate_auth_token_from_role_arn(region, role)
        else:
            token, ends = MSKAuthTokenProvider.generate_auth_token(region)
        return str(token), float(ends) / 1000

    return sign


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
