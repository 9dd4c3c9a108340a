"""The relay is crashed at each of its statements; what arrived is what was promised.

Statements are those that steps yield, in the order in which they are sent, on whichever of the
relay's connections; BEGIN and COMMIT are covered by the death of the statements beside them. A
backend that is killed repeats nothing; a relay that is killed may repeat, and loses nothing.

By default each statement is struck once, before or after it in turns; `make soak` does both, for
both layouts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator
from typing import Any

import pytest

from howdah.driver import Batch, Query, Rows, run_async
from howdah.outbox import connecting
from howdah.outbox.connecting import Line
from howdah.outbox.sinks.sink import Verdict
from howdah.testing import Database
from howdah.testing.crashing import When
from howdah.testing.sinks import MemorySink, Store
from tests.postgres.outbox.posted import Posted, by_key

KEYS = ["a", "b", "a", "c", "b", "a", "c", "a", None]
POISON = 2  # the place of the message that is refused at first: the second of key a


class Killed(BaseException):
    """The relay's process is gone."""


class Saboteur:
    """Counts the statements of a relay and strikes at one of them."""

    def __init__(self, at: int, strike: Callable[[Line], None], when: When) -> None:
        self.statements = 0
        self._at = at
        self._strike = strike
        self._when = when

    def arm(self, patch: pytest.MonkeyPatch) -> None:
        async def sabotaged(connection: Any, steps: Any) -> Any:
            return await run_async(connection, self._watched(connection, steps))

        patch.setattr(connecting, "run_async", sabotaged)

    def _watched(self, connection: Any, steps: Any) -> Generator[Query | Batch, Rows, Any]:
        rows: Rows | None = None
        while True:
            try:
                asked = next(steps) if rows is None else steps.send(rows)
            except StopIteration as end:
                return end.value
            self.statements += 1
            mine = self.statements
            if mine == self._at and self._when is When.BEFORE:
                self._strike(connection)
            rows = yield asked
            if mine == self._at and self._when is When.AFTER:
                self._strike(connection)


def drained(posted: Posted, sink: MemorySink) -> None:
    posted.drain(sink, batch_messages=2, blocked_seconds=60, commit_messages=2)


def scenario(posted: Posted, sink: MemorySink, emitted: list[int]) -> None:
    """Events, one of them poison; what is set aside is replayed, and more events come."""
    if not emitted:
        emitted += posted.emit(*KEYS)
    bad = emitted[POISON]
    sink.fail(lambda message: message.id == bad, Verdict.POISON)
    drained(posted, sink)
    sink.heal()
    if len(emitted) == len(KEYS):
        emitted += posted.emit("a", "b")
    posted.replay(all_of_them=True)
    drained(posted, sink)
    for _ in range(20):
        if not posted.parked():
            return
        drained(posted, sink)


def clean(posted: Posted) -> None:
    with contextlib.closing(posted.connect()) as connection:
        posted.outbox.drop(connection)
        posted.outbox.create(connection)


@pytest.mark.postgres(newest=True)
@pytest.mark.parametrize("kill", ["backend", "relay"])
def test_at_every_statement(database: Database, kill: str) -> None:
    posted = Posted(database.dsn, policy="park")
    counted = _run(posted, at=0, kill=kill, when=When.BEFORE)
    assert counted > 20
    for at in range(1, counted + 1):
        clean(posted)
        _run(posted, at=at, kill=kill, when=When.BEFORE if at % 2 else When.AFTER)


@pytest.mark.soak
@pytest.mark.postgres(newest=True)
@pytest.mark.parametrize("layout", ["ring", "partitioned"])
@pytest.mark.parametrize("kill", ["backend", "relay"])
def test_before_and_after_every_statement(database: Database, layout: str, kill: str) -> None:
    posted = Posted(database.dsn, layout=layout, policy="park")
    counted = _run(posted, at=0, kill=kill, when=When.BEFORE)
    for at in range(1, counted + 1):
        for when in When:
            clean(posted)
            _run(posted, at=at, kill=kill, when=when)


def _run(posted: Posted, *, at: int, kill: str, when: When) -> int:
    store = Store()
    emitted: list[int] = []
    dead = False

    def strike(connection: Any) -> None:
        nonlocal dead
        if kill == "relay":
            dead = True
            raise Killed
        posted.do("SELECT pg_terminate_backend(%s, 5000)", connection.info.backend_pid)

    saboteur = Saboteur(at, strike, when)
    with pytest.MonkeyPatch.context() as patch:
        saboteur.arm(patch)
        ask = Line.ask

        async def asked(line: Line, steps: Any, *, seconds: float | None = None) -> Any:
            if dead:
                steps.close()
                raise Killed
            return await ask(line, steps, seconds=seconds)

        patch.setattr(Line, "ask", asked)
        with contextlib.suppress(Killed, asyncio.CancelledError):
            scenario(posted, MemorySink(store, dedup=False), emitted)
    scenario(posted, MemorySink(store, dedup=False), emitted)
    place = f"{kill} {when} statement {at}"
    first = list(dict.fromkeys(message.id for message in store.delivered))
    assert sorted(first) == sorted(emitted), f"lost, {place}"
    ordered: dict[str | None, list[int]] = {}
    for message in store.delivered:
        ids = ordered.setdefault(message.key, [])
        if message.id not in ids:
            ids.append(message.id)
    for key, ids in ordered.items():
        assert key is None or ids == sorted(ids), f"key {key} arrived as {ids}, {place}"
    if kill == "backend":
        repeated = {
            key: ids for key, ids in by_key(store.delivered).items() if len(ids) != len(set(ids))
        }
        assert not repeated, f"repeated {repeated}, {place}"
    assert posted.parked() == []
    return saboteur.statements
