"""`howdah log`: what a person sees, and what it did."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from howdah.cli import app
from howdah.errors import BadInput
from tests.postgres.log.logged import Logged


def run(*words: str) -> Result:
    result = CliRunner().invoke(app, ["log", *words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def told(*words: str) -> Any:
    return msgspec.json.decode(run(*words, "--json").stdout)


def test_from_nothing_and_back(logged: Logged) -> None:
    dsn = logged.database.dsn
    shown = run("create", "y", dsn, "--dry-run", "--segments", "3")
    assert "howdah.create_log('y'::text, 3::int)" in shown.stdout
    assert "would be: log y is there" in shown.stderr
    assert told("list", dsn) == {"version": 1, "logs": ["x"]}
    assert "log y is there" in run("create", "y", dsn).stdout
    assert run("list", dsn).stdout == "x\ny\n"
    assert told("drop", "y", dsn, "--dry-run") == {
        "version": 1,
        "log": "y",
        "dropped": False,
        "dry_run": True,
    }
    assert "log y removed" in run("drop", "y", dsn).stdout
    assert run("list", dsn).stdout == "x\n"


def test_status_says_who_pins_what(logged: Logged) -> None:
    dsn = logged.database.dsn
    logged.consumer("slow", slow_bytes=1)
    logged.drain(logged.consumer("fast"))
    logged.emit("1")
    logged.drain(logged.consumer("fast"))
    run("maintain", "x", dsn, "--segment-bytes", "1")
    text = run("status", "-", dsn).stdout
    assert "3 of 4 segments free" in text
    assert "pinned by slow" in text
    assert "! consumer slow is slow (pin)" in text
    assert "nothing unread" in text
    (found,) = told("status", "x", dsn)["logs"]
    assert found["alarms"] == ["consumer slow is slow (pin)"]
    assert found["at_home"] is True
    pinned, current = found["segments"][:2]
    assert pinned == {
        "source": "log_x$0",
        "segment": 0,
        "archive": None,
        "is_current": False,
        "bytes": pinned["bytes"],
        "rows_estimated": pinned["rows_estimated"],
        "dead_estimated": 0,
        "pinned_by": ["slow"],
    }
    assert current["is_current"]
    fast, slow = told("consumers", "x", dsn)["consumers"]
    assert (fast["lag_bytes"], fast["lag_seconds"]) == (0, None)
    assert slow["lag_bytes"] > 0
    assert slow["lag_seconds"] > 0
    assert sorted(fast) == sorted(slow)
    assert "generation 2 of epoch 0" in run("consumers", "x", dsn).stdout


def test_maintain_and_reanchor(logged: Logged) -> None:
    dsn = logged.database.dsn
    consumer = logged.consumer()
    logged.emit("1")
    dry = run("maintain", "x", dsn, "--segment-bytes", "1", "--dry-run")
    assert "howdah.maintain('x'::text, 1::bigint, 900::int)" in dry.stdout
    assert "would be: turned segment 1" in dry.stderr
    done = told("maintain", "x", dsn, "--segment-bytes", "1")["done"]
    assert [each["action"] for each in done] == ["turned", "pinned"]
    assert logged.drain(consumer) == ["1"]
    assert "goes on at earliest" in run("reanchor", "x", "c", "earliest", dsn).stdout
    assert logged.drain(consumer) == ["1"]
    assert "reclaimed segment 0" in run("maintain", "x", dsn).stdout
    assert "nothing to do" in run("maintain", "x", dsn).stdout


def test_mistakes(logged: Logged) -> None:
    dsn = logged.database.dsn
    logged.consumer()
    with pytest.raises(BadInput, match="there is no log 'nope'"):
        run("status", "nope", dsn)
    with pytest.raises(BadInput, match="earliest, now or keep"):
        run("reanchor", "x", "c", "tomorrow", dsn)
    with pytest.raises(BadInput, match="is read by c"):
        run("drop", "x", dsn)
    assert "log x removed" in run("drop", "x", dsn, "--yes").stdout
    assert "no log. Try: howdah log create events" in run("status", "-", dsn).stdout
    assert "no log" in run("list", dsn).stdout
