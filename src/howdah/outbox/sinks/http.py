"""HTTP: one signed CloudEvent per POST.

Owns the request, the meaning of an answer's status and the wait that it asks for. Must never follow
a redirect: it would post elsewhere what was signed for one place.

What it keeps:
- Order: per key. The next message of a key is posted after the earlier one was answered with 2xx.
- Duplicates: not removed. A request whose answer was lost is posted again, with the same
  `webhook-id` and CloudEvents `id` (the uid), by which the receiver removes duplicates.
- Fencing: none. The header `howdah-fence` tells relay, shard and epoch; a receiver may refuse an
  epoch that is older than the newest it has seen.
- Size: none of its own, `max_bytes` if set.

What an answer means:
- 2xx: delivered.
- 408, 425, 429, and 5xx but 501 and 505: passing; `Retry-After` is kept up to a day.
- 401, 407: the whole sink is refused, the relay stops and says so. 3xx, 404, 405 and 410 also, as
  they speak of the address; where the URL holds `{topic}` they speak of one topic and are poison.
- Every other 4xx, 501, 505: this message is poison.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

import msgspec

from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.errors import BadInput, Denied, HowdahError, TimedOut, Unreachable
from howdah.outbox.sinks import cloudevents, webhook_signature
from howdah.outbox.sinks.address import place, scrubbed
from howdah.outbox.sinks.envelope import too_large
from howdah.outbox.sinks.extra import needs
from howdah.outbox.sinks.lanes import Lanes
from howdah.outbox.sinks.settings import Settings, build
from howdah.outbox.sinks.sink import (
    DELIVERED,
    Dedup,
    Fence,
    Message,
    Ordering,
    Outcome,
    Promise,
    Sink,
    Verdict,
)

with needs("http", "httpx"):
    import httpx

FENCE = "howdah-fence"

_TOPIC = "{topic}"
_LONGEST_WAIT_SECONDS = 86400.0
_READ_BYTES = 65536
"""Of an answer's body; more closes the connection instead of reading it."""
_PASSING = frozenset({408, 425, 429})
_NEVER = frozenset({501, 505})
_LOGIN = frozenset({401, 407})
_ADDRESS = frozenset({404, 405, 410})


class HttpSettings(Settings, frozen=True, kw_only=True):
    """How to post to one endpoint."""

    url: str
    """Where to; `{topic}` in it stands for the topic, percent-encoded."""
    source: Annotated[str, msgspec.Meta(min_length=1)] = "/howdah"
    """CloudEvents' `source`: a URI reference that names this producer."""
    mode: Literal["binary", "structured"] = "binary"
    content_type: str = "application/json"
    """Of payloads whose message has no header `content-type`; a relay's messages have one."""
    secrets: tuple[str, ...] = ()
    """`whsec_...`; all sign, so that the receiver can change from one to the next."""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    """Sent with every request, such as `authorization`."""
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 16
    publish_timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 20.0
    connect_timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 5.0
    max_bytes: Annotated[int, msgspec.Meta(ge=1)] | None = None
    tls_ca_file: str | None = None
    tls_certificate_file: str | None = None
    tls_key_file: str | None = None


class HttpSink(Sink):
    """Posts to one endpoint."""

    name = "http"

    def __init__(self, settings: HttpSettings, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.settings = settings
        self._clock = clock
        self._keys = [webhook_signature.key(secret) for secret in settings.secrets]
        self._client: httpx.AsyncClient | None = None
        self._fence = ""
        self._lanes = Lanes(settings.in_flight)
        parts = urlsplit(settings.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput("the URL cannot be understood", hint="https://host/path")

    @property
    def promise(self) -> Promise:
        """Per key; duplicates are the receiver's to remove, by the CloudEvents id."""
        return Promise(
            ordering=Ordering.KEY,
            dedup=Dedup.NONE,
            max_bytes=self.settings.max_bytes,
            fences=False,
            pipelines_keys=True,
        )

    async def open(self, fence: Fence) -> None:
        """Make the client and see that the host takes connections; nothing is posted."""
        await self.close()
        settings = self.settings
        try:
            verify = self._tls()
        except (OSError, ssl.SSLError) as error:
            raise BadInput(
                "TLS cannot be set up", detail=str(error), hint="check the tls_ files"
            ) from error
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            verify=verify,
            timeout=httpx.Timeout(
                settings.publish_timeout_seconds, connect=settings.connect_timeout_seconds
            ),
            limits=httpx.Limits(
                max_connections=settings.in_flight, max_keepalive_connections=settings.in_flight
            ),
        )
        self._fence = f"{quote(fence.relay)}/{fence.shard}/{fence.epoch}"
        self._lanes.forget()
        await self._knock()

    def _tls(self) -> ssl.SSLContext:
        settings = self.settings
        context = ssl.create_default_context(cafile=settings.tls_ca_file)
        if settings.tls_certificate_file:
            context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file)
        return context

    async def _knock(self) -> None:
        parts = urlsplit(self.settings.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            async with asyncio.timeout(self.settings.connect_timeout_seconds):
                _, writer = await asyncio.open_connection(parts.hostname, port)
        except TimeoutError:
            raise TimedOut(f"{place(self.settings.url)} did not answer in time") from None
        except OSError as error:
            raise Unreachable(
                f"could not reach {place(self.settings.url)}", detail=str(error)
            ) from error
        writer.close()
        with contextlib.suppress(OSError):  # it is only let go of
            await writer.wait_closed()

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Keys side by side, `in_flight` requests at a time, one per key."""
        return await self._lanes.publish(messages, self._send)

    async def _send(self, message: Message) -> Outcome:
        where = place(self.settings.url)
        if self._client is None:
            raise Unreachable(f"no connection to {where}")
        if (refusal := too_large(message, self.settings.max_bytes)) is not None:
            return refusal
        url = self.settings.url.replace(_TOPIC, quote(message.topic, safe=""))
        try:
            headers, body = self._request(message)
            request = self._client.build_request("POST", url, headers=headers, content=body)
        except (UnicodeEncodeError, httpx.InvalidURL, httpx.LocalProtocolError) as error:
            return _outcome(Verdict.POISON, "bad-header", scrubbed(str(error), self.settings.url))
        try:
            # The client's timeouts are per read; this is for the whole.
            async with asyncio.timeout(self.settings.publish_timeout_seconds):
                return await self._answered(self._client, request)
        except httpx.LocalProtocolError as error:
            return _outcome(Verdict.POISON, "bad-header", str(error))
        except (TimeoutError, httpx.TimeoutException):
            raise TimedOut(f"{where} did not answer in time") from None
        except httpx.TransportError as error:
            text = scrubbed(str(error), self.settings.url)
            raise Unreachable(f"could not reach {where}", detail=text) from None

    def _request(self, message: Message) -> tuple[dict[str, str], bytes]:
        settings = self.settings
        found = cloudevents.attributes(
            message, source=settings.source, content_type=settings.content_type
        )
        render = cloudevents.binary if settings.mode == "binary" else cloudevents.structured
        headers, body = render(message, found)
        headers |= {name.lower(): value for name, value in settings.headers.items()}
        headers[FENCE] = self._fence
        if self._keys:
            seconds = int(self._clock.now().timestamp())
            headers |= webhook_signature.headers(self._keys, message.uid, seconds, body)
        return headers, body

    async def _answered(self, client: httpx.AsyncClient, request: httpx.Request) -> Outcome:
        response = await client.send(request, stream=True)
        try:
            # Read to its end, a small answer leaves the connection usable.
            read = 0
            async for piece in response.aiter_raw():
                read += len(piece)
                if read > _READ_BYTES:
                    break
        finally:
            await response.aclose()
        judged = self._judge(response)
        if isinstance(judged, HowdahError):
            raise judged
        return judged

    def _judge(self, response: httpx.Response) -> Outcome | HowdahError:
        status, where = response.status_code, place(self.settings.url)
        reason = f"{status} {response.reason_phrase}".strip()
        if response.is_success:
            return DELIVERED
        if status in _PASSING or (status >= 500 and status not in _NEVER):
            wait = _seconds(response.headers.get("retry-after", ""), self._clock)
            return Outcome(
                verdict=Verdict.RETRY, reason=reason, code=str(status), retry_after_seconds=wait
            )
        if status in _LOGIN:
            return Denied(f"{where} refused us", detail=reason, hint="check headers and secrets")
        if (status in _ADDRESS or status < 400) and _TOPIC not in self.settings.url:
            return BadInput(f"{where} is not the place to post to", detail=reason)
        return _outcome(Verdict.POISON, str(status), reason)

    async def close(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            # Connections that are lost need no goodbye.
            with contextlib.suppress(httpx.HTTPError, OSError):
                await client.aclose()


def from_url(url: str, options: Mapping[str, Any]) -> HttpSink:
    """`https://host/path`, `https://host/events/{topic}`."""
    return HttpSink(build(HttpSettings, {"url": url} | dict(options)))


def _outcome(verdict: Verdict, code: str, reason: str) -> Outcome:
    return Outcome(verdict=verdict, code=code, reason=reason)


def _seconds(retry_after: str, clock: Clock) -> float | None:
    """A Retry-After header, seconds or a date, as seconds from now; None without a sensible one."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), _LONGEST_WAIT_SECONDS)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    wait = (moment - clock.now()).total_seconds()
    return min(max(wait, 0.0), _LONGEST_WAIT_SECONDS)
