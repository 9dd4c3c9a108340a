"""A position kept elsewhere is continued from only where it can be right."""

from __future__ import annotations

import pytest

from howdah.errors import BadInput, PositionLost, Superseded
from howdah.log import Consumer
from tests.postgres.log.logged import Logged, put, texts


def half_read(logged: Logged, consumer: Consumer) -> str:
    """The token after two of four rows, of which the log itself knows nothing."""
    with logged.connect() as connection, connection.transaction():
        put(connection, *"abcd")
    with logged.connect() as connection:
        page = consumer.open(connection).next_page(2)
        assert page is not None
        assert texts(page.records) == ["a", "b"]
        return consumer.token(connection, page.end)


def changed(token: str, part: int, value: object) -> str:
    parts = token.split("/")
    parts[part] = str(value)
    return "/".join(parts)


def test_a_token_ahead_of_the_log_is_continued_from(logged: Logged) -> None:
    consumer = logged.consumer()
    token = half_read(logged, consumer)
    with logged.connect() as connection:
        other = consumer.open(connection)
        consumer.resume(connection, token)
        with pytest.raises(Superseded):
            other.commit(other.reader.position)
    assert logged.drain(consumer) == ["c", "d"]
    with logged.connect() as connection, pytest.raises(PositionLost) as told:
        consumer.resume(connection, token)
    assert "has committed a later one" in told.value.detail


@pytest.mark.parametrize(
    ("part", "value", "reason"),
    [
        (0, "00000000-0000-0000-0000-000000000000", "another log"),
        (1, 1, "another database"),
        (2, 1, "another database"),
        (3, 7, "changed its timeline"),
        (5, "4000000000:4000000000:", "in the future"),
        (6, "4000000000:4000000000:", "in the future"),
    ],
)
def test_an_impossible_one_is_refused(
    logged: Logged, part: int, value: object, reason: str
) -> None:
    consumer = logged.consumer()
    token = changed(half_read(logged, consumer), part, value)
    with logged.connect() as connection, pytest.raises(PositionLost) as told:
        consumer.resume(connection, token)
    assert reason in told.value.detail
    assert "reanchor" in told.value.hint


def test_of_an_older_timeline_with_proof_that_it_was_not_lost(logged: Logged) -> None:
    consumer = logged.consumer()
    token = half_read(logged, consumer)
    older = changed(token, 3, 7)
    logged.do("UPDATE howdah.log_turn SET timeline = 7, lsn = pg_current_wal_insert_lsn()")
    with logged.connect() as connection:
        consumer.resume(connection, older)
    assert logged.drain(consumer) == ["c", "d"]


@pytest.mark.parametrize("token", ["", "x", "1/2:2:/3:3:/4"])
def test_what_is_no_token_is_refused(logged: Logged, token: str) -> None:
    consumer = logged.consumer()
    with logged.connect() as connection, pytest.raises(BadInput, match="is no token"):
        consumer.resume(connection, token)
