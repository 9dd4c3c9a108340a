"""The HTTP sink: the conformance suite, statuses, CloudEvents and signatures over a real socket."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest

from howdah.clock import FakeClock
from howdah.errors import BadInput, Cannot, Denied
from howdah.outbox.sinks import webhook_signature
from howdah.outbox.sinks.http import HttpSettings, HttpSink
from howdah.outbox.sinks.sink import Message, Outcome, Verdict
from howdah.testing.brokers import Answer, HttpBroker, Request
from tests.sinks.conformance import Adapter, Conformance, Fault, Received, Writer, fence, run
from tests.sinks.conformance import publish as published

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk"


class HttpAdapter(Adapter):
    """An endpoint that takes everything."""

    faults: ClassVar[Collection[Fault]] = tuple(Fault)
    unknown_is_refused = False  # one endpoint takes all topics

    def __init__(self, broker: HttpBroker, mode: str) -> None:
        self.broker = broker
        self.mode = mode

    async def prepare(self, topic: str) -> None:
        """Nothing: the endpoint is there."""

    def sink(self, *, clock: FakeClock | None = None, **changes: Any) -> HttpSink:
        settings = {
            "url": self.broker.url,
            "mode": self.mode,
            "publish_timeout_seconds": 1.0,
            "connect_timeout_seconds": 1.0,
            "max_bytes": 100_000,
            "in_flight": 4,  # the test's server queues no more than five connections
        }
        return HttpSink(HttpSettings(**{**settings, **changes}), clock=clock or FakeClock())

    async def read(self, topic: str) -> Sequence[Received]:
        return [
            self._received(each)
            for each in self.broker.requests
            # A connection that is cut within a request leaves an entry without its body.
            if each.status < 400 and int(each.headers["content-length"]) == len(each.body)
        ]

    def _received(self, request: Request) -> Received:
        if self.mode == "binary":
            found = {
                name.removeprefix("ce-"): unquote(value)
                for name, value in request.headers.items()
                if name.startswith("ce-")
            }
            payload = request.body
        else:
            event = json.loads(request.body)
            payload = json.dumps(event.pop("data")).encode() if "data" in event else b""
            if "data_base64" in event:
                payload = base64.b64decode(event.pop("data_base64"))
            found = event
        headers = json.loads(found.get("howdahheaders", "{}"))
        headers |= {name: found[name] for name in ("colour", "note") if name in found}
        return Received(
            uid=found["id"], key=found.get("partitionkey"), payload=payload, headers=headers
        )

    def harm(self, fault: Fault) -> None:
        if fault is Fault.DOWN:
            self.broker.kill()
        elif fault is Fault.FROZEN:
            self.broker.pause()
        elif fault is Fault.ERRORS:
            self.broker.answers(*[Answer(status=503)] * 5)
        else:
            self.broker.answers(Answer(hangs_up=True))

    def heal(self) -> None:
        self.broker.resume()
        if not self.broker.running:
            self.broker.restart()


@pytest.fixture(params=["binary", "structured"])
def adapter(request: pytest.FixtureRequest, http_broker: HttpBroker) -> Iterator[HttpAdapter]:
    yield HttpAdapter(http_broker, request.param)


class TestHttp(Conformance):
    """All of the suite."""

    @pytest.mark.parametrize("fault", [Fault.DOWN])
    def test_opening_a_broken_broker_fails_in_time(self, adapter: Adapter, fault: Fault) -> None:
        # A frozen endpoint's kernel takes the connection, and `open` posts nothing.
        super().test_opening_a_broken_broker_fails_in_time(adapter, fault)


def one(sink: HttpSink, message: Message) -> Outcome:
    async def work() -> Outcome:
        async with sink:
            await sink.open(fence(7))
            return (await published(sink, [message]))[0]

    return run(work())


@pytest.mark.parametrize("status", [400, 403, 409, 413, 422, 501, 505])
def test_statuses_that_blame_the_message(http_broker: HttpBroker, status: int) -> None:
    http_broker.answers(Answer(status=status))
    outcome = one(HttpAdapter(http_broker, "binary").sink(), Writer("t").message("a"))
    assert (outcome.verdict, outcome.code) == (Verdict.POISON, str(status))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_statuses_that_pass(http_broker: HttpBroker, status: int) -> None:
    http_broker.answers(Answer(status=status, headers={"Retry-After": "17"}))
    outcome = one(HttpAdapter(http_broker, "binary").sink(), Writer("t").message("a"))
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, str(status))
    assert outcome.retry_after_seconds == 17


@pytest.mark.parametrize("status", [301, 307, 401, 404, 405, 407, 410])
def test_statuses_that_speak_of_the_endpoint(http_broker: HttpBroker, status: int) -> None:
    http_broker.answers(Answer(status=status, headers={"Location": "/elsewhere"}))
    with pytest.raises(Cannot) as caught:
        one(HttpAdapter(http_broker, "binary").sink(), Writer("t").message("a"))
    assert isinstance(caught.value, Denied if status in (401, 407) else BadInput)
    assert len(http_broker.requests) == 1, "no redirect is followed"


def test_a_url_per_topic(http_broker: HttpBroker) -> None:
    http_broker.answers(Answer(status=404))
    sink = HttpAdapter(http_broker, "binary").sink(url=http_broker.url + "events/{topic}?v=1")
    outcome = one(sink, Writer("a/b c").message("a"))
    assert (outcome.verdict, outcome.code) == (Verdict.POISON, "404")
    assert http_broker.requests[0].path == "/events/a%2Fb%20c?v=1"


@pytest.mark.parametrize(
    ("given", "expected"),
    [("0", 0), ("999999999", 86400), ("-5", None), ("soon", None), ("", None), ("\u0663", None)],
)
def test_retry_after_in_seconds(
    http_broker: HttpBroker, given: str, expected: float | None
) -> None:
    try:
        given.encode("latin-1")
    except UnicodeEncodeError:
        pytest.skip("no server can send it")
    http_broker.answers(Answer(status=503, headers={"Retry-After": given}))
    outcome = one(HttpAdapter(http_broker, "binary").sink(), Writer("t").message("a"))
    assert outcome.retry_after_seconds == expected


def test_retry_after_as_a_date(http_broker: HttpBroker) -> None:
    clock = FakeClock()
    moment = format_datetime(clock.now() + timedelta(seconds=90), usegmt=True)
    http_broker.answers(Answer(status=503, headers={"Retry-After": moment}))
    outcome = one(HttpAdapter(http_broker, "binary").sink(clock=clock), Writer("t").message("a"))
    assert outcome.retry_after_seconds == 90


def test_requests_are_signed_and_fenced(adapter: HttpAdapter) -> None:
    clock = FakeClock()
    message = Writer("orders").message("a", b'{"total": 1}')
    assert one(adapter.sink(secrets=(SECRET,), clock=clock), message).verdict is Verdict.DELIVERED
    (request,) = adapter.broker.requests
    key = webhook_signature.key(SECRET)
    now = clock.now().timestamp()
    assert webhook_signature.verify([key], request.headers, request.body, now) == message.uid
    with pytest.raises(Denied):
        webhook_signature.verify([key], request.headers, request.body + b" ", now)
    assert request.headers["howdah-fence"] == "orders/0/7"


def test_settings_show_no_secret() -> None:
    settings = HttpSettings(
        url="https://ann:open-sesame@host/hook?token=hidden-thing",
        secrets=(SECRET,),
        headers={"authorization": "Bearer hidden-thing"},
    )
    for shown in (repr(settings), str(settings.__rich_repr__())):
        assert not any(each in shown for each in ("open-sesame", "hidden-thing", SECRET))
