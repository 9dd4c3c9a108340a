"""The inbox: each uid once, also between two that bring it at the same time, and at a turn."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from howdah import schema
from howdah.errors import BadInput, CouldNot
from howdah.outbox import COMPONENT, Inbox
from howdah.testing import Database, wait_until


@pytest.fixture
def inbox(database: Database) -> Inbox:
    made = Inbox("billing")
    with contextlib.closing(database.connect()) as connection:
        schema.install(connection, [COMPONENT])
        assert made.create(connection, window_seconds=1000)
        assert not made.create(connection)
    return made


@pytest.fixture
def one(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with contextlib.closing(database.connect()) as connection:
        yield connection


@pytest.fixture
def two(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with contextlib.closing(database.connect()) as connection:
        yield connection


def turn(connection: psycopg.Connection[Any], inbox: Inbox) -> str | None:
    connection.execute(
        "UPDATE howdah.\"outbox_inbox_billing$turns\" SET at = at - interval '1000 seconds'"
    )
    return inbox.maintain(connection)


def test_the_first_time_is_the_first(inbox: Inbox, one: psycopg.Connection[Any]) -> None:
    assert inbox.first_time(one, "e-1")
    assert not inbox.first_time(one, "e-1")
    assert inbox.first_times(one, ["e-1", "e-2", "e-3", "e-3"]) == {"e-2", "e-3"}


def test_what_is_rolled_back_was_not_seen(inbox: Inbox, one: psycopg.Connection[Any]) -> None:
    with contextlib.suppress(ZeroDivisionError), one.transaction():
        assert inbox.first_time(one, "e-1")
        raise ZeroDivisionError
    assert inbox.first_time(one, "e-1")


@pytest.mark.parametrize("ends", ["COMMIT", "ROLLBACK"])
def test_two_that_bring_it_at_once(
    inbox: Inbox, one: psycopg.Connection[Any], two: psycopg.Connection[Any], ends: str
) -> None:
    one.execute("BEGIN")
    assert inbox.first_time(one, "e-1")
    answers: list[bool] = []
    second = threading.Thread(target=lambda: answers.append(inbox.first_time(two, "e-1")))
    second.start()
    with contextlib.closing(psycopg.connect(one.info.dsn, autocommit=True)) as watcher:
        wait_until(
            lambda: (
                watcher.execute(
                    "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
                    [two.info.backend_pid],
                ).rowcount
            )
        )
    one.execute(ends)
    second.join(10)
    assert answers == [ends == "ROLLBACK"]


def test_the_window_is_kept_through_turns_and_then_forgotten(
    inbox: Inbox, one: psycopg.Connection[Any]
) -> None:
    assert inbox.maintain(one) is None
    assert inbox.first_time(one, "old")
    for _ in range(3):
        assert turn(one, inbox) == "turned"
    assert not inbox.first_time(one, "old"), "in the oldest ring; from now on in the newest too"
    for _ in range(3):
        assert turn(one, inbox) == "turned"
    assert not inbox.first_time(one, "old")
    for _ in range(4):
        assert turn(one, inbox) == "turned"
    assert inbox.first_time(one, "old")


def test_it_does_not_turn_under_one_who_uses_it(
    inbox: Inbox, one: psycopg.Connection[Any], two: psycopg.Connection[Any]
) -> None:
    one.execute("BEGIN")
    assert inbox.first_time(one, "e-1")
    assert turn(two, inbox) == "busy"
    one.execute("COMMIT")
    assert inbox.maintain(two) == "turned"
    assert not inbox.first_time(two, "e-1")


def test_an_old_snapshot_is_not_fooled(
    inbox: Inbox, one: psycopg.Connection[Any], two: psycopg.Connection[Any]
) -> None:
    one.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    one.execute("SELECT count(*) FROM pg_class")
    assert inbox.first_time(two, "e-1")
    assert turn(two, inbox) == "turned"
    with pytest.raises(CouldNot):
        inbox.first_time(one, "e-1")
    one.execute("ROLLBACK")
    one.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    assert not inbox.first_time(one, "e-1")
    assert inbox.first_time(one, "e-2")
    one.execute("COMMIT")
    assert not inbox.first_time(two, "e-2")


def test_a_turning_that_is_rolled_back_forgets_nothing(
    inbox: Inbox, one: psycopg.Connection[Any]
) -> None:
    assert inbox.first_time(one, "a")
    for _ in range(2):
        one.execute("BEGIN")
        assert turn(one, inbox) == "turned"
        one.execute("ROLLBACK")
        assert not inbox.first_time(one, "a")
    assert inbox.first_time(one, "b")
    assert turn(one, inbox) == "turned"
    assert not inbox.first_time(one, "b")


def test_without_an_inbox_it_says_what_to_do(inbox: Inbox, one: psycopg.Connection[Any]) -> None:
    with pytest.raises(BadInput, match="create_inbox"):
        Inbox("other").first_time(one, "e")
    inbox.drop(one)
    left = one.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'outbox_inbox_billing%'")
    assert left.fetchone() == (0,)
