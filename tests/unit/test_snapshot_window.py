"""The true window: a missing reset time is not "never reset"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from howdah.snapshot.window import true_window

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
MOMENTS = st.one_of(st.none(), st.integers(0, 10_000).map(lambda ago: NOW - timedelta(minutes=ago)))


def test_after_a_crash_the_servers_own_reset_counts() -> None:
    crash = NOW - timedelta(minutes=1)
    window = true_window(
        database_reset=None, server_resets={"archiver": crash, "wal": crash}, until=NOW
    )
    assert (window.since, window.seconds) == (crash, 60)


def test_one_reset_alone_does_not_move_the_start() -> None:
    start, later = NOW - timedelta(days=9), NOW - timedelta(days=1)
    window = true_window(
        database_reset=None, server_resets={"bgwriter": later, "slru": start}, until=NOW
    )
    assert window.since == start
    assert "slru" in window.reason


def test_the_databases_own_reset_shortens_the_window() -> None:
    window = true_window(
        database_reset=NOW - timedelta(hours=1),
        server_resets={"wal": NOW - timedelta(hours=5)},
        until=NOW,
    )
    assert window.seconds == 3600


@given(database=MOMENTS, server=st.dictionaries(st.sampled_from(["wal", "slru"]), MOMENTS))
def test_unknown_only_where_nothing_tells(
    database: datetime | None, server: dict[str, datetime | None]
) -> None:
    window = true_window(database_reset=database, server_resets=server, until=NOW)
    known = [moment for moment in (database, *server.values()) if moment]
    assert (window.since is None) == (not known)
    assert window.reason
    if database and window.since:
        assert window.since >= database
