"""The format of named SQL blocks, and the choice of one for a server's major."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.query import NEWEST_MAJOR, OLDEST_MAJOR, Queries, Query, load, parse

FILE = """-- What this file is about.

-- name: checkpointer [-16]
-- purpose: checkpoints since the counters were reset
SELECT checkpoints_timed
FROM pg_catalog.pg_stat_bgwriter;

-- name: checkpointer [17-]
-- purpose: checkpoints since the counters were reset
SELECT num_timed -- name: no header here
FROM pg_catalog.pg_stat_checkpointer

-- name: waits [17-]
-- purpose: the names of all waits
SELECT type, name FROM pg_catalog.pg_wait_events
"""

majors = st.integers(OLDEST_MAJOR, NEWEST_MAJOR)


def block(header: str, body: str = "SELECT 1") -> str:
    return f"-- name: {header}\n-- purpose: to be tested\n{body}\n"


def test_blocks_are_sent_as_they_stand() -> None:
    queries = parse("waits.sql", FILE)
    assert set(queries) == {"checkpointer", "waits"}
    assert len(queries) == 2
    assert queries.text("checkpointer", 15).startswith("SELECT checkpoints_timed\nFROM")
    assert not queries.text("checkpointer", 15).endswith(";")
    assert "-- name: no header here" in queries.text("checkpointer")
    assert queries["waits"][0].purpose == "the names of all waits"


def test_newer_servers_get_the_newest_block() -> None:
    queries = parse("waits.sql", FILE)
    newest = queries.choose("checkpointer", NEWEST_MAJOR)
    assert newest is not None
    assert queries.choose("checkpointer", NEWEST_MAJOR + 1) == newest
    assert parse("x.sql", block("old [-16]")).choose("old", NEWEST_MAJOR + 1) is None


def test_a_server_may_have_nothing() -> None:
    queries = parse("waits.sql", FILE)
    assert queries.choose("waits", 16) is None
    with pytest.raises(KeyError, match="no block 'waits' for PostgreSQL 16"):
        queries.text("waits", 16)
    with pytest.raises(KeyError, match="unknown"):
        queries.choose("unknown", 18)


@given(since=st.none() | majors, until=st.none() | majors, major=majors)
def test_range(since: int | None, until: int | None, major: int) -> None:
    queries = parse("x.sql", block(f"one [{since or ''}-{until or ''}]"))
    found = queries.choose("one", major) is not None
    assert found == ((since or OLDEST_MAJOR) <= major <= (until or NEWEST_MAJOR))


@given(st.lists(st.tuples(majors, majors).map(sorted), max_size=4))
def test_blocks_of_one_name_never_overlap(ranges: list[list[int]]) -> None:
    """Either the file is refused, or each major has at most one block."""
    text = "\n".join(block(f"one [{since}-{until}]") for since, until in ranges)
    covered = [major for since, until in ranges for major in range(since, until + 1)]
    if len(covered) == len(set(covered)):
        queries = parse("x.sql", text)
        served = {
            major
            for major in range(OLDEST_MAJOR, NEWEST_MAJOR + 1)
            if "one" in queries and queries.choose("one", major)
        }
        assert served == set(covered)
    else:
        with pytest.raises(ValueError, match="two blocks named 'one' serve one major"):
            parse("x.sql", text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("SELECT 1\n" + block("one"), "SQL before the first"),
        ("-- name: One\n-- purpose: p\nSELECT 1", "malformed header"),
        ("-- name: one [17]\n-- purpose: p\nSELECT 1", "malformed header"),
        ("-- name: one\nSELECT 1", "'one' lacks its '-- purpose:' line"),
        ("-- name: one", "'one' lacks its '-- purpose:' line"),
        ("-- name: one\n-- purpose: p\n\n;\n", "'one' has no SQL"),
    ],
)
def test_malformed_files(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        parse("some.sql", text)
    assert "some.sql" in str(caught.value)


def test_empty_file_has_no_blocks() -> None:
    assert len(parse("x.sql", "-- only a remark\n\n")) == 0
    assert len(Queries("x.sql", ())) == 0


def test_load_reads_from_a_package() -> None:
    queries = load("howdah.postgres", "sql/server.sql")
    assert isinstance(queries["create_database"][0], Query)
    assert queries.text("start_backup", 14) != queries.text("start_backup", 15)
