"""The PostgreSQL sink: the conformance suite against a server that is killed and frozen."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import Collection, Iterator, Sequence
from typing import Any, ClassVar

import psutil  # type: ignore[import-untyped]  # it ships no type information
import pytest

from howdah.errors import BadInput, Denied, Superseded
from howdah.log import COMPONENT as LOG
from howdah.outbox import COMPONENT as OUTBOX
from howdah.outbox import Inbox
from howdah.outbox.sinks.postgresql import PostgresqlSettings, PostgresqlSink
from howdah.outbox.sinks.sink import Message
from howdah.postgres import Installation, Server
from howdah.schema.api import install
from tests.sinks.conformance import Adapter, Conformance, Fault, Received, Writer, fence, run
from tests.sinks.conformance import publish as published

pytestmark = pytest.mark.postgres(newest_by_default=True)  # decided in Python


class PostgresqlAdapter(Adapter):
    """One table per test."""

    faults: ClassVar[Collection[Fault]] = (Fault.DOWN, Fault.FROZEN)
    unknown_is_refused = False  # one table takes all topics

    def __init__(self, server: Server) -> None:
        self.server = server
        self.table = f"public.events_{secrets.token_hex(4)}"
        self._frozen: list[psutil.Process] = []

    async def prepare(self, topic: str) -> None:
        """Nothing: `declare` makes the table."""

    def sink(self, **changes: Any) -> PostgresqlSink:
        settings = {
            "dsn": self.server.dsn("postgres"),
            "table": self.table,
            "declare": True,
            "publish_timeout_seconds": 1.0,
            "connect_timeout_seconds": 1,
            "max_bytes": 100_000,
        }
        return PostgresqlSink(PostgresqlSettings(**{**settings, **changes}))

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with self.server.connect() as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    async def read(self, topic: str) -> Sequence[Received]:
        rows = self.execute(
            f"SELECT uid, key, payload, headers FROM {self.table} ORDER BY position"
        )
        return [
            Received(uid=uid, key=key, payload=bytes(payload), headers=headers)
            for uid, key, payload, headers in rows
        ]

    def harm(self, fault: Fault) -> None:
        if fault is Fault.DOWN:
            self.server.kill()
            return
        postmaster = psutil.Process(self.server.pid)
        self._frozen = [postmaster, *postmaster.children(recursive=True)]
        for each in self._frozen:
            with contextlib.suppress(
                psutil.NoSuchProcess, ProcessLookupError
            ):  # a backend that just ended
                os.kill(each.pid, signal.SIGSTOP)

    def heal(self) -> None:
        for each in self._frozen:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):  # ended meanwhile
                os.kill(each.pid, signal.SIGCONT)
        self._frozen = []
        if not self.server.running:
            self.server.restart()


@pytest.fixture(scope="module")
def breakable(postgres_installation: Installation) -> Iterator[Server]:
    with Server.start(postgres_installation) as server:
        yield server


@pytest.fixture
def adapter(breakable: Server) -> PostgresqlAdapter:
    return PostgresqlAdapter(breakable)


class TestPostgresql(Conformance):
    """All of the suite."""


def verdicts(adapter: PostgresqlAdapter, messages: Sequence[Message]) -> list[tuple[str, str]]:
    async def work() -> list[tuple[str, str]]:
        async with adapter.sink() as sink:
            await sink.open(fence())
            return [(each.verdict.value, each.code) for each in await published(sink, messages)]

    return run(work())


def test_a_constraint_of_the_receiver_is_poison(adapter: PostgresqlAdapter) -> None:
    writer = Writer("t")
    messages = [writer.message("a"), writer.message("b", b"bad"), writer.message("b")]
    messages += [writer.message("a"), writer.message("nul\x00key")]
    verdicts(adapter, [])
    adapter.execute(f"ALTER TABLE {adapter.table} ADD CHECK (payload <> 'bad')")
    assert verdicts(adapter, messages) == [
        ("delivered", ""),
        ("poison", "23514"),
        ("held", ""),
        ("delivered", ""),
        ("poison", "22021"),
    ]


def test_an_older_relay_in_the_middle_of_a_publication_is_waited_for(
    adapter: PostgresqlAdapter,
) -> None:
    """`open` of the newer returns only when the older's transaction has ended."""
    writer = Writer("t")

    async def work() -> None:
        async with adapter.sink() as older, adapter.sink() as newer:
            await older.open(fence(1))
            connection = older._connection
            assert connection is not None
            # Else it is a race: the older is ended just when the newer has waited long enough.
            await connection.execute("SET idle_in_transaction_session_timeout = 0")
            await connection.execute("BEGIN")
            assert older._fence is not None
            await older._enter(connection, older._fence)
            with pytest.raises(Exception, match=r"did not answer in time|lock timeout"):
                await newer.open(fence(2))
            await connection.execute("COMMIT")
            await newer.open(fence(2))
            with pytest.raises(Superseded):
                await older.publish([writer.message("a")])

    run(work())


def test_a_missing_table_is_named(adapter: PostgresqlAdapter) -> None:
    with pytest.raises(BadInput, match="is missing"):
        run(adapter.sink(declare=False).open(fence()))


def test_a_role_without_rights_is_denied(adapter: PostgresqlAdapter) -> None:
    verdicts(adapter, [])
    role = f"role_{secrets.token_hex(4)}"
    adapter.execute(f"CREATE ROLE {role} LOGIN")
    dsn = adapter.server.dsn("postgres", role)
    with pytest.raises(Denied):
        run(adapter.sink(declare=False, dsn=dsn).open(fence()))


def test_settings_show_no_password() -> None:
    for dsn in ("postgresql://ann:open-sesame@host/shop", "host=h password=open-sesame dbname=d"):
        assert "sesame" not in repr(PostgresqlSettings(dsn=dsn))


def test_publishing_writes_no_dead_tuples(adapter: PostgresqlAdapter) -> None:
    writer = Writer("t")
    messages = writer.messages(100, keys=3)
    for _ in range(3):
        verdicts(adapter, messages)
    schema, _, table = adapter.table.partition(".")
    dead = adapter.execute(
        "SELECT pg_catalog.sum(n_tup_upd + n_tup_del) FROM pg_catalog.pg_stat_user_tables"
        f" WHERE schemaname = '{schema}' AND relname IN ('{table}', '{table}_fence')"
    )
    assert dead == [(0,)]


class LogAdapter(PostgresqlAdapter):
    """A log and an inbox instead of a table."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.log = f"log_{secrets.token_hex(4)}"
        with server.connect() as connection:
            install(connection, [LOG, OUTBOX])
            connection.execute("SELECT howdah.create_log(%s)", [self.log])
            Inbox(self.log).create(connection)

    def sink(self, **changes: Any) -> PostgresqlSink:
        return super().sink(log=self.log, inbox=self.log, **changes)

    async def read(self, topic: str) -> Sequence[Received]:
        segments = self.execute(
            "SELECT c.relname FROM pg_catalog.pg_class c"
            f" WHERE c.relname ~ '^log_{self.log}[$][0-9]+$' AND c.relkind = 'r'"
        )
        rows = [
            row
            for (segment,) in segments
            for row in self.execute(f"SELECT id, key, payload, headers FROM howdah.{segment}")
        ]
        return [
            Received(
                uid=headers.pop("howdah-uid"), key=key, payload=bytes(payload), headers=headers
            )
            for _, key, payload, headers in sorted(rows, key=lambda row: int(row[0]))
        ]


class TestLogElsewhere(Conformance):
    """All of the suite, into the log of another database."""

    @pytest.fixture
    def adapter(self, breakable: Server) -> LogAdapter:
        return LogAdapter(breakable)

    def test_it_says_for_how_long_it_removes_duplicates(self, adapter: LogAdapter) -> None:
        async def work() -> float | None:
            async with adapter.sink() as sink:
                await sink.open(fence())
                return sink.promise.dedup_seconds

        assert run(work()) == 7 * 86400


def test_a_log_needs_an_inbox(adapter: PostgresqlAdapter) -> None:
    with pytest.raises(BadInput, match="needs an inbox"):
        adapter.sink(log="events")


def test_a_missing_inbox_is_named(breakable: Server) -> None:
    adapter = LogAdapter(breakable)
    with pytest.raises(BadInput, match="no inbox 'none'"):
        run(PostgresqlAdapter.sink(adapter, log=adapter.log, inbox="none").open(fence()))
