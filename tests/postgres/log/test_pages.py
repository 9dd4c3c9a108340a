"""A window of any size is read in pages of a bounded size, and a position is what was delivered."""

from __future__ import annotations

import pytest

from howdah.clock import SYSTEM_CLOCK
from howdah.errors import BadInput
from howdah.log import Consumer, Event, Position
from howdah.log.decide import PAGE_ROWS
from tests.postgres.log.logged import Logged, put, texts

MANY = 300_000


def fill(logged: Logged, rows: int, *, size: int = 20, key: str = "k") -> None:
    """Many rows in one transaction."""
    logged.do(
        "INSERT INTO howdah.log_x$0 (topic, key, payload)"
        " SELECT 't', %s, convert_to(lpad(g::text, %s, '0'), 'UTF8')"
        " FROM generate_series(1, %s) AS g",
        key,
        size,
        rows,
    )


@pytest.mark.postgres(newest=True)
def test_a_large_transaction_comes_in_pages_and_in_order(logged: Logged) -> None:
    consumer = logged.consumer()
    fill(logged, MANY)
    with logged.connect() as connection:
        reading = consumer.open(connection)
        sizes, expected = [], 1
        for page in reading.pages():
            sizes.append(len(page.records))
            numbers = [int(record.payload) for record in page.records]
            assert numbers == list(range(expected, expected + len(numbers)))
            expected += len(numbers)
            reading.commit(page.end)
            if expected == 2 * PAGE_ROWS + 1:  # a crash inside the window
                reading = consumer.open(connection)
                assert reading.reader.position.upto is not None
    assert sum(sizes) == MANY
    assert max(sizes) == PAGE_ROWS


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6, 7])
def test_pages_that_end_exactly_at_the_window(logged: Logged, rows: int) -> None:
    consumer = logged.consumer()
    expected = [str(number) for number in range(rows)]
    with logged.connect() as connection, connection.transaction():
        put(connection, *expected)
    with logged.connect() as connection:
        found: list[str] = []
        while rows_read := connection.execute(
            "SELECT position, convert_from(payload, 'UTF8') FROM howdah.read('x', 'c', 3)"
        ).fetchall():
            assert len(rows_read) <= 3
            found += [text for _, text in rows_read]
            connection.execute("SELECT howdah.commit('x', 'c', %s)", [rows_read[-1][0]])
        assert found == expected
    assert logged.drain(consumer, 3) == []
    assert logged.drain(logged.consumer("d"), 3) == expected


def test_a_commit_covers_what_it_names_and_no_more(logged: Logged) -> None:
    """Acknowledging a batch wider than what was read loses the rest."""
    consumer = logged.consumer()
    with logged.connect() as connection, connection.transaction():
        put(connection, *map(str, range(10)))
    with logged.connect() as connection:
        reading = consumer.open(connection)
        page = reading.next_page(5)
        assert page is not None
        assert texts(page.records) == list("01234")
        reading.commit(page.after(page.records[2].id))
    assert logged.drain(consumer) == list("3456789")


def test_every_position_of_a_page_continues_rightly(logged: Logged) -> None:
    logged.consumer("c0")
    with logged.connect() as connection, connection.transaction():
        put(connection, *"abcde")
    for number, rest in enumerate(("bcde", "cde", "de", "e", "")):
        consumer = logged.consumer(f"d{number}")
        with logged.connect() as connection:
            reading = consumer.open(connection)
            page = reading.next_page()
            assert page is not None
            reading.commit(page.after(page.records[number].id))
        assert "".join(logged.drain(consumer)) == rest


def test_payloads_bound_a_page_before_rows_do(logged: Logged) -> None:
    big = Consumer("x", "big", payload_budget_bytes=1_000_000)
    with logged.connect() as connection:
        big.subscribe(connection)
        with connection.transaction():
            for size in (400_000, 400_000, 400_000, 3_000_000, 10, 10):
                logged.log.emit(connection, Event("t", b"x" * size, "k"))
        sizes = [[len(r.payload) for r in page.records] for page in big.open(connection).pages()]
    # A page ends once its payloads have reached the budget, and always holds one row.
    assert sizes == [[400_000] * 3, [3_000_000], [10, 10]]


def test_payloads_bound_a_page_of_the_sql_function(logged: Logged) -> None:
    logged.consumer()
    with logged.connect() as connection, connection.transaction():
        put(connection, *(["x" * 1000] * 5))
    with logged.connect() as connection:
        sizes = []
        while rows := connection.execute(
            "SELECT position FROM howdah.read('x', 'c', 4, 1500)"
        ).fetchall():
            sizes.append(len(rows))
            connection.execute("SELECT howdah.commit('x', 'c', %s)", [rows[-1][0]])
    assert sizes == [2, 2, 1]


def test_a_long_backlog_is_read_from_mark_to_mark(logged: Logged) -> None:
    """Else each page would sort all that is left: quadratic in the time a consumer was away."""
    late = logged.consumer()
    for _ in range(4):
        fill(logged, 5_000, size=1_900)  # 10 MB each
        logged.do("SELECT howdah.maintain('x')")
    logged.emit("last")
    marks = logged.do("SELECT count(*) FROM howdah.log_turn")[0][0]
    assert marks == 5
    with logged.connect() as connection:
        reading = late.open(connection)
        windows = [(page.upto, len(page.records)) for page in reading.pages()]
    assert [rows for _, rows in windows] == [5_000, 5_000, 5_000, 5_000, 1]
    assert len({upto for upto, _ in windows}) == 5


@pytest.mark.postgres(newest=True)
def test_an_open_bulk_load_does_not_slow_the_poll(logged: Logged) -> None:
    """Its rows are in the index; a poll that looked at them each time would take as long as they
    are many."""
    consumer = logged.consumer()

    def polls(connection: object, count: int) -> float:
        reading = consumer.open(connection)
        started = SYSTEM_CLOCK.monotonic()
        for number in range(count):
            if number % 10 == 0:
                logged.do("SELECT pg_current_xact_id()")  # something ends somewhere
            assert reading.next_page() is None
        return SYSTEM_CLOCK.monotonic() - started

    with logged.connect() as reader, logged.session() as loader:
        polls(reader, 50)
        before = polls(reader, 200)
        loader.execute(
            "INSERT INTO howdah.log_x$0 (topic, key, payload)"
            " SELECT 't', 'k', '' FROM generate_series(1, %s)",
            [MANY],
        )
        polls(reader, 2)
        assert polls(reader, 200) < 5 * before + 0.2


def test_positions_that_are_none_are_refused(logged: Logged) -> None:
    logged.consumer()
    for wrong in (None, "", "1", "1/2/3/4", "x/1:1:/1:1:/0", "1/1:1:/1:1:/0; DROP"):
        with (
            logged.connect() as connection,
            pytest.raises(Exception, match="is no position") as told,
        ):
            connection.execute("SELECT howdah.commit('x', 'c', %s)", [wrong])
        assert told.value.sqlstate == "HD003"  # type: ignore[attr-defined]  # psycopg's
    with logged.connect() as connection, pytest.raises(Exception, match="at least one row") as told:
        connection.execute("SELECT * FROM howdah.read('x', 'c', 0)")


def test_a_start_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match="earliest"):
        Consumer("x", "c", start_at="latest")
    assert Position(seen="1:1:").upto is None
