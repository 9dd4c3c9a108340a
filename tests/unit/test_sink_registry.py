"""From an address to a sink: schemes, extras that are missing, options, and no secret shown."""

from __future__ import annotations

import subprocess
import sys

import pytest

from howdah.errors import BadInput
from howdah.outbox.sinks.address import place, scrubbed
from howdah.outbox.sinks.registry import SCHEMES, sink_from_url

SECRETS = ("open-sesame", "hidden-thing")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("nats://ann:open-sesame@host:4222/EVENTS", "nats"),
        ("redis://:open-sesame@host:6379/0", "redis"),
        ("rediss://ann:open-sesame@host:6379/0", "redis"),
        ("amqp://ann:open-sesame@host/vhost", "rabbitmq"),
        ("https://ann:open-sesame@host/hook?token=hidden-thing", "http"),
        ("postgresql://ann:open-sesame@host/shop?sslpassword=hidden-thing", "postgresql"),
        ("kafka://one:9092,two:9092", "kafka"),
        ("python:howdah.outbox.sinks.envelope:envelope", "callable"),
    ],
)
def test_each_scheme_has_its_sink(url: str, name: str) -> None:
    sink = sink_from_url(url)
    assert sink.name == name
    shown = repr(getattr(sink, "settings", ""))
    assert not any(secret in shown for secret in SECRETS), shown


@pytest.mark.parametrize("url", ["nat://open-sesame@host", "open-sesame", "open sesame://x", ""])
def test_an_unknown_scheme_names_the_known(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        sink_from_url(url)
    text = str(caught.value)
    assert all(scheme in text for scheme in SCHEMES)
    assert "sesame" not in text


def test_an_unknown_option_suggests_the_nearest() -> None:
    with pytest.raises(BadInput, match="did you mean 'in_flight'"):
        sink_from_url("nats://host/EVENTS", {"inflight": 3})


@pytest.mark.parametrize("value", [0, "many", 10**9])
def test_a_value_out_of_bounds(value: object) -> None:
    with pytest.raises(BadInput) as caught:
        sink_from_url("nats://open-sesame@host/EVENTS", {"in_flight": value})
    assert "in_flight" in str(caught.value)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "library", "extra"),
    [
        ("nats://host/EVENTS", "nats", "nats"),
        ("redis://host", "redis", "redis"),
        ("amqp://host", "aio_pika", "rabbitmq"),
        ("http://host", "httpx", "http"),
    ],
)
def test_a_missing_library_says_what_to_install(url: str, library: str, extra: str) -> None:
    program = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "import howdah.outbox\n"
        "from howdah.errors import Unsupported\n"
        "from howdah.outbox.sinks.registry import sink_from_url\n"
        "try:\n"
        f"    sink_from_url({url!r})\n"
        "except Unsupported as error:\n"
        "    print(error.hint)\n"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == f'pip install "howdah[{extra}]"'


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://open-sesame@one:4222,two/S", "nats://one:4222,two/S"),
        ("nats://open-sesame@one:4222,nats://hidden@two/S", "nats://two/S"),
        ("redis://:open#se/sa?me@host:6379/0", "redis://host:6379/0"),
        ("http://[host/path", "http://[host/path"),
        ("redis://:p%40ss@host:6379/0?x=hidden-thing", "redis://host:6379/0"),
        ("https://host/path#frag", "https://host/path"),
    ],
)
def test_a_place_holds_no_secret(url: str, shown: str) -> None:
    assert place(url) == shown


def test_a_librarys_complaint_is_scrubbed() -> None:
    url = "amqp://ann-lee:open%2Dsesame@host/?key=hidden-thing"
    text = scrubbed("ann-lee open-sesame open%2Dsesame hidden-thing host", url)
    assert text == "ann-lee *** *** *** host"
    several = "nats://open-sesame@one,nats://ann:hidden-thing@two"
    assert scrubbed("open-sesame hidden-thing one two", several) == "*** *** one two"
