"""`howdah outbox` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from howdah.cli import app
from howdah.errors import BadInput
from howdah.outbox.sinks.sink import Message
from howdah.testing import Database
from tests.postgres.outbox.posted import Posted

pytestmark = pytest.mark.postgres(newest_by_default=True)  # decided in Python

Typed = Callable[..., str]
SEEN: list[bytes] = []
TYPES: list[str] = []


def consume(message: Message) -> None:
    """What the relay of these tests publishes to."""
    SEEN.append(message.payload)
    TYPES.append(message.headers["content-type"])


def check(message: Message) -> None:
    if message.payload == b"a1":
        raise ValueError("not good")


@pytest.fixture
def typed(database: Database) -> Typed:
    SEEN.clear()
    TYPES.clear()

    def run(*words: str) -> str:
        result = CliRunner().invoke(
            app, ["outbox", *words], env={"HOWDAH_DSN": database.dsn}, catch_exceptions=False
        )
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def typed_json(typed: Typed, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(typed(*words, "--json"))
    assert found["version"] == 1
    return found


def relayed(typed: Typed, *more: str) -> dict[str, Any]:
    sink = f"python:{__name__}:consume"
    return typed_json(typed, "relay", "orders", "--sink", sink, "--until-idle", *more)


def test_from_create_to_discard(posted: Posted, typed: Typed) -> None:
    assert "create_outbox('mails'" in typed("create", "mails", "--policy", "park", "--dry-run")
    assert typed_json(typed, "status")["outboxes"][0]["outbox"] == "orders"
    assert typed_json(typed, "create", "orders", "--policy", "park")["new"] is False
    ids = posted.emit("a", "a", "a", "b")
    ended = relayed(typed, "--validate", f"t={__name__}:check")
    assert ended["figures"]["delivered"] == 2
    assert "2 messages of 1 keys are set aside" in typed("status", "orders")
    first, second = typed_json(typed, "parked", "orders", "--payload")["parked"]
    assert (first["id"], first["error"], first["state"]) == (ids[1], "not good", "failed")
    assert (second["id"], second["state"]) == (ids[2], "behind")
    assert "ValueError: not good" in typed("parked", "orders")
    dry = typed_json(typed, "discard", "orders", "--all", "--dry-run")
    assert dry["discard"] == ids[1:3]
    assert typed_json(typed, "replay", "orders", "--key", "a")["replay"] == ids[1:3]
    assert relayed(typed)["figures"]["replayed"] in (0, 2)
    relayed(typed)
    assert sorted(SEEN) == [b"a0", b"a1", b"a2", b"b3"]
    assert typed_json(typed, "discard", "orders", "--all")["discard"] == []


def test_the_content_type_of_an_outbox_is_set_and_arrives(posted: Posted, typed: Typed) -> None:
    made = typed_json(typed, "create", "orders", "--content-type", "application/avro")
    assert made["config"]["content_type"] == "application/avro"
    posted.do("SELECT howdah.outbox_emit('orders', 't', 'k', 'x')")
    relayed(typed)
    assert TYPES == ["application/avro"]
    with pytest.raises(BadInput, match="content_type"):
        typed("create", "orders", "--content-type", "avro")


def test_which_messages_must_be_said(posted: Posted, typed: Typed) -> None:
    with pytest.raises(BadInput, match="say which"):
        typed("discard", "orders")
    with pytest.raises(BadInput, match="no outbox"):
        typed("replay", "other", "--all")


def test_options_come_from_flags_and_are_checked(posted: Posted, typed: Typed) -> None:
    shown = json.loads(typed("relay", "orders", "--options", "--option", "idle_seconds=1.5"))
    assert shown["options"]["idle_seconds"] == 1.5
    with pytest.raises(BadInput, match="idle_second"):
        typed("relay", "orders", "--options", "--option", "idle_second=1")
    with pytest.raises(BadInput, match="no sink"):
        typed("relay", "orders")
