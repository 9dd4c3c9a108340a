"""What every driver must do alike: one suite, every kind of connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest

from howdah import driver
from howdah.driver import Batch, Rows, Steps, compose, together
from howdah.errors import BadInput, HowdahError, StatementFailed, Superseded, TimedOut, Unreachable
from howdah.log import COMPONENT, Consumer, Event, Log
from howdah.log import store as log_store
from howdah.postgres import Server
from howdah.schema import install
from howdah.testing import Database
from tests.postgres.driver.adapters import ADAPTERS, Adapter

pytestmark = pytest.mark.postgres(newest=True)
every = pytest.mark.parametrize("opened", ADAPTERS)
Opened = Callable[[str], Any]

VALUES = compose(
    "values",
    "SELECT %(bytes)s::bytea, %(none)s::text, %(text)s::text, %(json)s::text::jsonb::text,"
    " %(many)s::text[], %(blobs)s::bytea[], %(number)s::bigint, %(number)s::bigint + 1, '100%%'",
)
PUT = compose("put", "INSERT INTO t VALUES (%(v)s::int)")
COUNT = compose("count", "SELECT count(*) FROM t")
FAILS = compose("fails", "SELECT 1 / %(zero)s::int")
RAISES = compose("raises", "SELECT raising(%(code)s::text)")
TELLS = compose("pid", "SELECT pg_backend_pid(), current_setting('transaction_isolation')")
RAISING = """CREATE FUNCTION raising(code text) RETURNS int LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'told %', code
        USING ERRCODE = code, DETAIL = 'the detail', HINT = 'the hint'; END $$"""


def on(database: Database, opened: Opened, play: Callable[[Adapter], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with opened(database.dsn) as adapter:
            await play(adapter)

    asyncio.run(whole())


@pytest.fixture(autouse=True)
def _loops_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # the suite's loop runs nothing else
    assert os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def ask(*questions: driver.Query) -> Steps[list[Rows]]:
    answers = []
    for question in questions:
        rows = yield question
        answers.append(rows)
    return answers


def batch(*questions: driver.Query) -> Steps[Rows]:
    return (yield together(*questions))


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    """One for all tests here: what they check is in the drivers, not in the database."""
    fresh = Database(server)
    with fresh.connect() as connection:
        connection.execute("CREATE TABLE t (v int)")
        connection.execute(RAISING)
        install(connection, [COMPONENT])
    yield fresh
    fresh.drop()


@pytest.fixture
def table(database: Database) -> Database:
    with database.connect() as connection:
        connection.execute("TRUNCATE t")
    return database


def count(database: Database) -> int:
    with database.connect() as connection:
        row = connection.execute("SELECT count(*) FROM t").fetchone()
    assert row is not None
    return int(row[0])


@every
def test_values_come_back_as_they_went(database: Database, opened: Opened) -> None:
    given = {
        "bytes": bytes(range(256)),
        "none": None,
        "text": "Grüße 象 %s {x} \\ '",
        "json": '{"a": [1, null, "ü"]}',
        "many": ["a", None, "", "ü,{}"],
        "blobs": [b"", b"\x00\xff"],
        "number": 2**62,
    }

    async def play(adapter: Adapter) -> None:
        await adapter.begin()
        ((row,),) = await adapter.run(ask(VALUES(**given)))
        assert type(row) is tuple
        assert row[:6] == tuple(given.values())[:6]
        assert all(type(each) is bytes for each in (row[0], *row[5]))
        assert row[6:] == (2**62, 2**62 + 1, "100%")
        await adapter.commit()

    on(database, opened, play)


@every
def test_the_transaction_is_the_callers(table: Database, opened: Opened) -> None:
    async def play(adapter: Adapter) -> None:
        await adapter.begin()
        assert await adapter.run(ask(PUT(v=1), COUNT())) == [[], [(1,)]]
        assert await adapter.run(batch(PUT(v=2), COUNT())) == [(2,)]
        assert count(table) == 0
        await adapter.rollback()
        assert count(table) == 0
        await adapter.begin()
        await adapter.run(batch(PUT(v=3), PUT(v=4)))
        assert await adapter.run(batch()) == []
        assert count(table) == 0
        await adapter.commit()
        assert count(table) == 2

    on(table, opened, play)


@every
def test_an_event_lives_and_dies_with_the_callers_transaction(
    database: Database, opened: Opened
) -> None:
    log, consumer = Log("x"), Consumer("x", "c")
    with database.connect() as connection:
        log.create(connection)
        consumer.subscribe(connection)
    events = [
        Event("t", b"\x00\xff", "k", {"h": ["ü", 1, None]}),
        Event("t", b"", None),
        Event("ü", b"x", "", {}),
    ]

    async def play(adapter: Adapter) -> None:
        await adapter.begin()
        ring = await adapter.run(log_store.open_ring("x"))
        await adapter.run(log_store.emit_one(ring, Event("lost", b"")))
        await adapter.run(log_store.emit_many(ring, events))
        await adapter.rollback()
        await adapter.begin()
        first = await adapter.run(log_store.emit_one(ring, events[0]))
        rest = await adapter.run(log_store.emit_many(ring, events[1:]))
        assert rest == [first + 1, first + 2]
        await adapter.commit()
        await adapter.begin()
        reader, late = consumer.reader(), consumer.reader()
        await adapter.run(reader.open())
        await adapter.run(late.open())
        page = await adapter.run(reader.next_page())
        assert page is not None
        assert [Event(r.topic, r.payload, r.key, r.headers) for r in page.records] == events
        await adapter.run(reader.commit(page.end))
        await adapter.commit()
        await adapter.begin()
        with pytest.raises(Superseded):
            await adapter.run(late.commit(page.end))
        await adapter.rollback()

    on(database, opened, play)
    with database.connect() as connection:
        log.drop(connection)


@every
@pytest.mark.parametrize(
    ("code", "kind"),
    [("HD001", Superseded), ("HD003", BadInput), ("55P03", TimedOut), ("P0001", StatementFailed)],
)
def test_errors_are_ours_by_sqlstate(
    table: Database, opened: Opened, code: str, kind: type[HowdahError]
) -> None:
    async def play(adapter: Adapter) -> None:
        await adapter.begin()
        with pytest.raises(kind) as raised:
            await adapter.run(ask(RAISES(code=code)))
        assert type(raised.value) is kind
        assert raised.value.message == f"told {code}"
        assert raised.value.detail == "the detail"
        assert raised.value.hint == "the hint"
        await adapter.rollback()

    on(table, opened, play)


@every
def test_a_batch_fails_as_one(table: Database, opened: Opened) -> None:
    async def play(adapter: Adapter) -> None:
        await adapter.begin()
        with pytest.raises(StatementFailed) as raised:
            await adapter.run(batch(PUT(v=1), FAILS(zero=0), PUT(v=2)))
        assert "22012" in raised.value.detail
        await adapter.rollback()
        assert count(table) == 0

    on(table, opened, play)


@every
def test_steps_may_catch_the_error(table: Database, opened: Opened) -> None:
    def stubborn() -> Steps[str]:
        try:
            yield FAILS(zero=0)
        except StatementFailed as error:
            return error.message
        return "nothing"

    async def play(adapter: Adapter) -> None:
        await adapter.begin()
        assert await adapter.run(stubborn()) == "division by zero"
        await adapter.rollback()

    on(table, opened, play)


@every
def test_a_lost_connection_is_unreachable(table: Database, opened: Opened) -> None:
    async def play(adapter: Adapter) -> None:
        await adapter.begin()
        (((pid, _),),) = await adapter.run(ask(TELLS()))
        with table.connect() as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        with pytest.raises(Unreachable) as raised:
            await adapter.run(ask(COUNT()))
        assert raised.value.retryable

    with contextlib.suppress(psycopg.OperationalError):  # some cannot leave a dead connection
        on(table, opened, play)


def test_a_batch_on_autocommit_gets_a_transaction(table: Database) -> None:
    with table.connect(autocommit=True) as connection:
        with pytest.raises(StatementFailed):
            driver.run(connection, batch(PUT(v=1), FAILS(zero=0)))
        assert count(table) == 0
        driver.run(connection, batch(PUT(v=1), PUT(v=2)))
        assert count(table) == 2
        assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE


def test_a_missing_value_is_a_programmers_error() -> None:
    with pytest.raises(TypeError, match="takes"):
        PUT()
    with pytest.raises(TypeError, match="takes"):
        PUT(v=1, w=2)


def test_the_wrong_kind_of_connection_says_which_is_right(database: Database) -> None:
    import sqlalchemy

    def nothing() -> Steps[Rows]:
        return (yield COUNT())

    with (
        psycopg.connect(database.dsn) as connection,
        pytest.raises(BadInput, match=r"asynchronous or synchronous twin"),
    ):
        asyncio.run(driver.run_async(connection, nothing()))
    engine = sqlalchemy.create_engine("postgresql+psycopg://")
    with pytest.raises(BadInput, match="not its pool or engine"):
        driver.run(engine, nothing())
    with pytest.raises(BadInput, match="not a connection"):
        driver.run("host=x", nothing())


def test_canned_answers_run_the_same_steps() -> None:
    def two() -> Steps[int]:
        rows = yield COUNT()
        yield Batch((PUT(v=1),))
        return int(rows[0][0])

    value, asked = driver.canned(two(), [[(3,)], []])
    assert value == 3
    assert [type(each).__name__ for each in asked] == ["Query", "Batch"]
    with pytest.raises(AssertionError, match="more than 1"):
        driver.canned(two(), [[(3,)]])
