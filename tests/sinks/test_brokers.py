"""The brokers of the tests can be broken, come back, and never outlive who started them."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from howdah.errors import CouldNot
from howdah.testing import wait_until
from howdah.testing.brokers import (
    Answer,
    Broker,
    HttpBroker,
    KafkaBroker,
    NatsBroker,
    RabbitmqBroker,
    RedisBroker,
)

KINDS = [
    pytest.param(kind, id=kind.name, marks=pytest.mark.xdist_group(f"sink-{kind.name}"))
    for kind in (NatsBroker, RedisBroker, RabbitmqBroker, KafkaBroker)
]


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest) -> Broker:
    """A shared broker, running."""
    found: Broker = request.getfixturevalue(f"{request.param.name}_broker")
    return found


def test_it_dies_and_comes_back(broker: Broker) -> None:
    broker.kill()
    assert (broker.running, broker.is_ready()) == (False, False)
    broker.restart()
    assert broker.is_ready()


def test_a_paused_one_does_not_answer(broker: Broker) -> None:
    if broker.name == "kafka":
        pytest.skip("the mock's socket for orders belongs to the kernel while it is paused")
    broker.pause()
    assert broker.running
    assert not broker.is_ready()
    broker.resume()
    assert wait_until(broker.is_ready)


OWNER = """
import sys
from howdah.testing.brokers import {kind}
broker = {kind}.start()
print(broker.folder, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", [NatsBroker, RedisBroker, KafkaBroker], ids=lambda kind: kind.name)
def test_it_goes_when_its_owner_is_killed(kind: type[Broker]) -> None:
    if kind.missing():
        pytest.skip(kind.missing())
    code = OWNER.format(kind=kind.__name__)
    owner = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        assert _processes_of(folder)
        owner.kill()
    assert wait_until(lambda: not folder.exists() and not _processes_of(folder))


def _processes_of(folder: Path) -> list[str]:
    """Processes whose command line names the broker's folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        if str(folder) in words:
            found.append(words)
    return found


def test_a_closed_one_says_so() -> None:
    with RedisBroker.start() as broker:
        folder = broker.folder
    assert broker.closed
    assert not folder.exists()
    with pytest.raises(CouldNot, match="is closed"):
        broker.kill()


def test_http_records_and_answers_as_told(http_broker: HttpBroker) -> None:
    http_broker.answers(Answer(status=200, body=b"seen"))
    request = urllib.request.Request(http_broker.url + "a", data=b"hello", headers={"X-One": "1"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.read() == b"seen"
    (seen,) = http_broker.requests
    assert (seen.method, seen.path, seen.body, seen.status) == ("POST", "/a", b"hello", 200)
    assert seen.headers["x-one"] == "1"


def test_http_can_lose_an_answer_and_be_gone(http_broker: HttpBroker) -> None:
    http_broker.answers(Answer(hangs_up=True))
    with pytest.raises(OSError, match=r".*"):
        urllib.request.urlopen(http_broker.url, data=b"x", timeout=5)
    assert http_broker.requests[0].status == 0
    http_broker.kill()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(http_broker.url, data=b"x", timeout=5)
    http_broker.restart()
    with urllib.request.urlopen(http_broker.url, data=b"x", timeout=5) as answer:
        assert answer.status == 204
