"""A window that a page does not end: its pages are those of the plain statement, and cost the same
however much is left of it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Generator

import psycopg
import pytest

from howdah.driver import run
from howdah.log import Position
from howdah.log.store import page as page_of
from tests.postgres.log.logged import Logged

BEGINNING = "SELECT pg_current_snapshot()::text"
SIZES = (1, 2, 40, 700, 1_300, 2_600)  # a transaction is bulky from a thousand rows on
BULK = 40_000
UNBOUNDED = 2**63 - 1
READ = "SELECT sum(idx_tup_read)::int FROM pg_stat_user_indexes WHERE relname ~ '^log_x[$][0-9]+$'"
PLAIN = """
SELECT array_agg(id ORDER BY id) FROM (
    SELECT id, xid FROM howdah.log_x$0 UNION ALL SELECT id, xid FROM howdah.log_x$1
    UNION ALL SELECT id, xid FROM howdah.log_x$2) AS every_row
WHERE pg_visible_in_snapshot(xid, %s::pg_snapshot)
  AND NOT pg_visible_in_snapshot(xid, %s::pg_snapshot)
"""


def write(connection: psycopg.Connection, rows: int, chance: random.Random, segment: int) -> None:
    """Rows whose place in the table says nothing about their ids."""
    order = chance.choice(("g", "g DESC", "md5(g::text)"))
    connection.execute(
        f"INSERT INTO howdah.log_x${segment} (id, topic, key, payload)"
        f" SELECT g, 't', 'k', repeat('x', 400)::bytea"
        f" FROM (SELECT nextval('howdah.log_x$id') AS g FROM generate_series(1, {rows})) AS drawn"
        f" ORDER BY {order}"
    )


def history(logged: Logged, chance: random.Random) -> Generator[None, None, None]:
    """Transactions beside each other; halfway, and at the end, some of them are still running."""
    with contextlib.ExitStack() as sessions:
        running = [sessions.enter_context(logged.session()) for _ in range(4)]
        for half in range(2):
            for _ in range(14):
                connection = chance.choice(running)
                rows = chance.choice(SIZES[:3]) if chance.random() < 0.5 else chance.choice(SIZES)
                write(connection, rows, chance, chance.randrange(3))
                if chance.random() < 0.5:
                    connection.execute("ROLLBACK" if chance.random() < 0.2 else "COMMIT")
                    connection.execute("BEGIN")
            if half:
                running[0].execute("COMMIT")
            yield


@pytest.mark.parametrize("seed", range(6))
def test_pages_are_those_of_the_plain_statement(logged: Logged, seed: int) -> None:
    chance = random.Random(seed)
    parts = history(logged, chance)
    next(parts)
    seen = logged.do(BEGINNING)[0][0] if seed % 3 else "1:1:"
    next(parts)
    upto = logged.do(BEGINNING)[0][0]
    compare(logged, seen, upto)
    parts.close()


def test_bulk_loads_that_lie_in_several_segments(logged: Logged) -> None:
    chance = random.Random(0)
    with logged.session() as one, logged.session() as other:
        for segment in (2, 0, 1):
            write(other, 1_500, chance, segment)
            write(one, 1_500, chance, segment)
            logged.emit("small")
        one.execute("COMMIT")
        other.execute("COMMIT")
    compare(logged, "1:1:", logged.do(BEGINNING)[0][0])


def compare(logged: Logged, seen: str, upto: str) -> None:
    """Read the window in pages of several sizes."""
    expected = logged.do(PLAIN, upto, seen)[0][0] or []
    with logged.connect() as connection:
        for most in (150, 1_000, 3_000):
            for max_bytes in (UNBOUNDED, 90_000):
                found: list[int] = []
                position: Position | None = Position(seen=seen, upto=upto)
                while position is not None:
                    page = run(connection, page_of("x", position, most, max_bytes))
                    found += [record.id for record in page.records]
                    position = None if page.complete else page.end
                    assert len(page.records) <= most
                assert found == expected
        assert connection.execute(BEGINNING).fetchone() == (upto,), "reading took no xid"


@pytest.mark.postgres(since=15)
@pytest.mark.parametrize("was_running", [False, True])
def test_a_page_of_a_bulk_load_reads_a_page(logged: Logged, was_running: bool) -> None:
    """Else each page would read and sort all that is left of it."""
    chance = random.Random(1)
    with logged.session() as loader, logged.connect() as connection:
        loader.execute("SELECT pg_current_xact_id()")
        logged.do("SELECT pg_current_xact_id()")
        seen = logged.do(BEGINNING)[0][0] if was_running else "1:1:"
        for _ in range(4):
            write(loader, BULK // 4, chance, 0)
            for _ in range(20):
                logged.emit("small")
        loader.execute("COMMIT")
        upto = logged.do(BEGINNING)[0][0]
        position = run(
            connection, page_of("x", Position(seen=seen, upto=upto), 1_000, UNBOUNDED)
        ).end
        before = read_by_index(connection)
        pages = 0
        while True:
            page = run(connection, page_of("x", position, 1_000, UNBOUNDED))
            pages += 1
            if page.complete:
                break
            position = page.end
        read = read_by_index(connection) - before
    assert pages == BULK // 1_000
    assert read < 6 * BULK, f"{pages} pages read {read} rows of {BULK}"


def read_by_index(connection: psycopg.Connection) -> int:
    connection.execute("SELECT pg_stat_force_next_flush()")
    row = connection.execute(READ).fetchone()
    assert row is not None
    return int(row[0])
