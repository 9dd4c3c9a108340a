"""The relay is crashed at each of its statements; what arrived is what was promised.

Statements are those that steps yield, in the order in which they are sent, on whichever of the
relay's connections; BEGIN and COMMIT are covered by the death of the statements beside them. A
backend that is killed repeats nothing; a relay that is killed may repeat, and loses nothing.

By default each statement is struck where it comes first, second and last, before or after it in
turns; `make soak` strikes everywhere, before and after, for both layouts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

import pytest

from howdah.driver import Batch, Query, Rows, run_async
from howdah.outbox import connecting
from howdah.outbox.connecting import Line
from howdah.outbox.sinks.sink import Verdict
from howdah.testing import Database
from howdah.testing.crashing import When, terminate
from howdah.testing.sinks import MemorySink, Store
from tests.postgres.outbox.posted import Posted, by_key

KEYS = ["a", "b", "a", "c", "b", "a", "c", "a", None]
POISON = 2  # the place of the message that is refused at first: the second of key a


class Killed(BaseException):
    """The relay's process is gone."""


class Place(NamedTuple):
    """The n-th time that this statement is sent, from 1; without a name, the n-th of all."""

    nth: int
    name: str = ""


class Saboteur:
    """Names the statements of a relay and strikes at one of them."""

    def __init__(self, at: Place | None, strike: Callable[[Line], None], when: When) -> None:
        self.names: list[str] = []
        self.struck = False
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
            mine = self._is_mine(asked)
            if mine and self._when is When.BEFORE:
                self._strike(connection)
            rows = yield asked
            if mine and self._when is When.AFTER:
                self._strike(connection)

    def _is_mine(self, asked: Query | Batch) -> bool:
        queries = asked.queries if isinstance(asked, Batch) else (asked,)
        name = " ".join(query.statement.name for query in queries)
        self.names.append(name)
        mine = self._at in (Place(len(self.names)), Place(self.names.count(name), name))
        self.struck = self.struck or mine
        return mine


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
    names = _run(posted, at=None, kill=kill, when=When.BEFORE).names
    assert len(names) > 20
    struck = set()
    for turn, at in enumerate(places(names)):
        clean(posted)
        if _run(posted, at=at, kill=kill, when=tuple(When)[turn % 2]).struck:
            struck.add(at.name)
    assert struck == set(names)


@pytest.mark.soak
@pytest.mark.postgres(newest=True)
@pytest.mark.parametrize("layout", ["ring", "partitioned"])
@pytest.mark.parametrize("kill", ["backend", "relay"])
def test_before_and_after_every_statement(database: Database, layout: str, kill: str) -> None:
    posted = Posted(database.dsn, layout=layout, policy="park")
    names = _run(posted, at=None, kill=kill, when=When.BEFORE).names
    for nth in range(1, len(names) + 1):
        for when in When:
            clean(posted)
            _run(posted, at=Place(nth), kill=kill, when=when)


def places(names: list[str]) -> Iterator[Place]:
    """Where each statement comes first, second and last; the order of some differs by run."""
    for name, times in Counter(names).items():
        for nth in sorted({1, min(2, times), times}):
            yield Place(nth, name)


def _run(posted: Posted, *, at: Place | None, kill: str, when: When) -> Saboteur:
    store = Store()
    emitted: list[int] = []
    dead = False

    def strike(connection: Any) -> None:
        nonlocal dead
        if kill == "relay":
            dead = True
            raise Killed
        terminate(connection)

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
    place = f"{kill} {when} {at}"
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
    return saboteur
