"""The functions for every other language: no session state, errors with codes."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from howdah.schema import uninstall
from tests.postgres.log.logged import Logged

READ = "SELECT position, convert_from(payload, 'UTF8') FROM howdah.read('x', 'c', %s)"
COMMIT = "SELECT howdah.commit('x', 'c', %s)"


def read(logged: Logged, rows: int = 10) -> list[tuple[str, str]]:
    """Each call on a connection of its own, as behind a transaction pooler."""
    return [(str(position), str(text)) for position, text in logged.do(READ, rows)]


def test_emit_read_commit(logged: Logged) -> None:
    assert logged.do("SELECT howdah.subscribe('x', 'c')") == [(True,)]
    assert logged.do("SELECT howdah.subscribe('x', 'c')") == [(False,)]
    for payload in ("'text'", "'{\"j\": 1}'::jsonb", "'bytes'::bytea"):
        logged.do(f"""SELECT howdah.emit('x', 't', 'k', {payload}, '{{"h": "ü"}}')""")
    first = read(logged, 2)
    assert [text for _, text in first] == ["text", '{"j": 1}']
    assert read(logged, 2) == first  # nothing is kept between calls
    logged.do(COMMIT, first[0][0])
    rest = read(logged)
    assert [text for _, text in rest] == ['{"j": 1}', "bytes"]
    with pytest.raises(psycopg.Error) as told:
        logged.do(COMMIT, first[1][0])
    assert told.value.sqlstate == "HD001"
    assert "roll back" in (told.value.diag.message_hint or "")
    logged.do(COMMIT, rest[1][0])
    assert read(logged) == []
    assert logged.do("SELECT headers, topic, key FROM howdah.log_x$0 LIMIT 1") == [
        ({"h": "ü"}, "t", "k")
    ]


def test_positions_and_effects_in_one_transaction(logged: Logged) -> None:
    logged.consumer()
    logged.emit("1")
    logged.do("CREATE TABLE effect (what text)")
    for outcome in ("ROLLBACK", "COMMIT"):
        with logged.session() as session:
            rows = session.execute(READ, [10]).fetchall()
            session.execute("INSERT INTO effect VALUES (%s)", [rows[0][1]])
            session.execute(COMMIT, [rows[0][0]])
            session.execute(outcome.encode())
    assert logged.do("SELECT what FROM effect") == [("1",)]
    assert read(logged) == []


def wrong() -> Iterator[tuple[str, str, str]]:
    yield "SELECT howdah.emit('nope', 't', 'k', '')", "HD003", "create_log('nope')"
    yield "SELECT howdah.emit(NULL, 't', 'k', '')", "HD003", ""
    yield "SELECT howdah.emit('x''; DROP', 't', 'k', '')", "HD003", ""
    yield "SELECT * FROM howdah.read('x', 'nope')", "HD003", "subscribe('x', 'nope')"
    yield "SELECT * FROM howdah.read('nope', 'c')", "HD003", "create_log('nope')"
    yield "SELECT howdah.subscribe('x', 'C!')", "HD003", "lower-case"
    yield "SELECT howdah.subscribe('x', 'c', 'tomorrow')", "HD003", ""
    yield "SELECT howdah.subscribe('x', 'c', 'now', 'wait')", "HD003", ""
    yield "SELECT howdah.create_log('Big')", "HD003", "lower-case"
    yield "SELECT howdah.create_log(NULL)", "HD003", ""
    yield "SELECT howdah.create_log('y', 2)", "HD003", ""
    yield "SELECT * FROM howdah.maintain('x', 0)", "HD003", ""
    yield "SELECT howdah.drop_log('nope')", "HD003", ""
    yield "SELECT * FROM howdah.segments('nope')", "HD003", ""
    yield "SELECT howdah.emit('x', NULL, 'k', '')", "23502", ""


@pytest.mark.parametrize(("text", "code", "hint"), list(wrong()))
def test_mistakes_are_told(logged: Logged, text: str, code: str, hint: str) -> None:
    with pytest.raises(psycopg.Error) as told:
        logged.do(text)
    assert told.value.sqlstate == code
    assert hint in (told.value.diag.message_hint or "")


def test_emitting_by_function_takes_no_subtransaction(logged: Logged) -> None:
    """A subtransaction each would overflow everybody's snapshots after 64."""
    with logged.session() as session:
        session.execute("SELECT howdah.emit('x', 't', 'k', '')")
        before = session.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())").fetchone()
        session.execute("SELECT howdah.emit('x', 't', 'k', '') FROM generate_series(1, 100)")
        logged.do("SELECT pg_current_xact_id()")
        after = session.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())").fetchone()
    assert before is not None and after is not None
    assert int(after[0]) - int(before[0]) <= 2


def test_status_by_counters_and_probes(logged: Logged) -> None:
    logged.do("SELECT howdah.subscribe('x', 'c'), howdah.subscribe('x', 'd', 'now')")
    logged.emit(*map(str, range(1000)))
    consumers = {
        row[0]: row[1:]
        for row in logged.do(
            "SELECT consumer, generation, in_window, lag_bytes, lag_seconds, problem"
            " FROM howdah.consumers('x')"
        )
    }
    assert consumers["c"][0:2] == (1, False)
    heap = logged.bytes_of(0)
    assert heap <= consumers["c"][2] <= heap + 65536  # with its free space map
    assert 0 < consumers["c"][3] < 60
    logged.drain(logged.consumer("c"))
    rows = logged.do("SELECT consumer, lag_bytes, lag_seconds FROM howdah.consumers('x')")
    assert rows[0] == ("c", 0, None)
    (current,) = [
        row
        for row in logged.do(
            "SELECT source, is_current, bytes, pinned_by FROM howdah.segments('x')"
        )
        if row[1]
    ]
    assert current[0] == "log_x$0"
    assert current[3] == ["d"]


def test_dropping_takes_everything(logged: Logged) -> None:
    objects = (
        "SELECT relname FROM pg_class WHERE relnamespace = 'howdah'::regnamespace"
        " AND relname ~ '^log_x' UNION ALL"
        " SELECT proname FROM pg_proc WHERE proname ~ '^log_x'"
    )
    logged.consumer("slow", when_slow="detach", slow_bytes=1)
    logged.emit("1")
    assert "detached" in logged.maintain()
    logged.do("SELECT howdah.drop_log('x')")
    assert logged.do(objects) == []
    logged.do("SELECT howdah.create_log('x')")
    assert logged.do("SELECT name FROM howdah.create_log('x')")
    logged.consumer("c")
    with logged.connect() as connection:
        uninstall(connection, yes=True)
    assert logged.do("SELECT to_regnamespace('howdah')") == [(None,)]
