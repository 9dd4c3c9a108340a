"""The index is used, whatever the planner believes about tables that are never analysed."""

from __future__ import annotations

import pytest

from tests.postgres.log.logged import Logged

SCANS = """
SELECT coalesce(sum(seq_scan), 0)::int, coalesce(sum(seq_tup_read), 0)::int
FROM pg_stat_user_tables
WHERE schemaname = 'howdah' AND (relname ~ '^log_x[$][0-9]+$' OR relname ~ '^log_x[$][a-z]+[$]')
"""


@pytest.mark.parametrize("rows", [0, 1, 30_000])
def test_no_table_of_the_log_is_ever_read_whole(logged: Logged, rows: int) -> None:
    consumer = logged.consumer()
    with logged.connect() as connection:
        before = connection.execute(SCANS).fetchone()
        connection.execute(
            "INSERT INTO howdah.log_x$0 (topic, payload)"
            " SELECT 't', 'x' FROM generate_series(1, %s)",
            [rows],
        )
        reading = consumer.open(connection)
        for _ in range(8):  # past the five custom plans after which a generic one is tried
            for page in reading.pages():
                reading.commit(page.end)
            logged.emit("1")
            connection.execute("SELECT * FROM howdah.read('x', 'c')")
            logged.log.maintain(connection)
            connection.execute("SELECT * FROM howdah.segments('x'), howdah.consumers('x')")
    logged.maintain()
    logged.drain(consumer)
    logged.maintain()
    if logged.database.major >= 15:
        logged.do("SELECT pg_stat_force_next_flush()")
    after = logged.do(SCANS)[0]
    assert before is not None
    assert after[1] == before[1], "rows were read by sequential scans"


def test_analysed_tables_are_read_by_index_too(logged: Logged) -> None:
    consumer = logged.consumer()
    for number in range(50):
        logged.emit(str(number))
    logged.do("ANALYZE howdah.log_x$0")
    before = logged.do(SCANS)
    assert logged.drain(consumer) == [str(number) for number in range(50)]
    logged.emit("last")
    assert logged.drain(consumer) == ["last"]
    assert logged.do(SCANS)[0][1] == before[0][1]


@pytest.mark.postgres(since=15)
def test_a_plan_made_on_an_empty_table_stays_good(logged: Logged) -> None:
    """Found by a status of a long backlog: a bitmap of all of it was built to find one row."""
    read = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE relname = 'log_x$0'"
    with logged.connect() as connection:
        for _ in range(8):
            connection.execute("SELECT * FROM howdah.log_x$peek('1:1:')")
        connection.execute(
            "INSERT INTO howdah.log_x$0 (topic, payload)"
            " SELECT 't', 'x' FROM generate_series(1, 30000)"
        )
        connection.execute("SELECT pg_stat_force_next_flush()")
        before = connection.execute(read).fetchone()
        peeked = connection.execute("SELECT waiting FROM howdah.log_x$peek('1:1:')").fetchone()
        assert peeked == (True,)
        connection.execute("SELECT pg_stat_force_next_flush()")
        after = connection.execute(read).fetchone()
    assert before is not None
    assert after is not None
    assert after[0] - before[0] < 100
