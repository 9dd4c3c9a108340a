"""Every statement of every step of the log, killed before and after: nothing lost, order kept.

The oracle is the history: what producers were told, and what consumers were given. A repetition is
allowed where the promise is at least once, and then only of the page that was not committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from howdah.driver import Steps, compose, run
from howdah.log import COMPONENT, Consumer, Event, Log, Page
from howdah.log import store as log_store
from howdah.schema import install
from howdah.testing import Database
from howdah.testing.crashing import (
    CRASHES,
    CrashingDriver,
    CrashPoint,
    How,
    When,
    begin,
    commit,
    every_point,
    terminate,
)
from howdah.testing.history import Kind, Op, Verdict, judge
from tests.postgres.log.logged import Logged

pytestmark = pytest.mark.postgres(newest=True)
PAGE = 2
_EFFECT = compose("effect", "INSERT INTO effect (log, number) VALUES (%(log)s::text, %(n)s::int)")


class Play:
    """One log, one history, one crash."""

    def __init__(self, database: Database, name: str) -> None:
        self.database = database
        self.log = Log(name)
        self.consumer = Consumer(name, "c")
        self.name = name
        self.ops: list[Op] = []
        with database.connect() as connection:
            self.log.create(connection, segments=3)
            self.consumer.subscribe(connection)

    def tell(self, kind: Kind, *numbers: int) -> None:
        actor = "c" if kind == "delivered" else "p"
        for number in numbers:
            self.ops.append(Op(float(len(self.ops)), kind, actor, "k", number))

    def emit(self, driver: object, *numbers: int) -> None:
        """In one transaction."""
        self.tell("emitting", *numbers)
        run(driver, begin())
        for number in numbers:
            self.log.emit(driver, event(number))
        run(driver, commit())
        self.tell("emitted", *numbers)

    def deliver(self, page: Page) -> None:
        self.tell("delivered", *(int(record.payload) for record in page.records))

    def drain(self, driver: object) -> None:
        """Page by page, each delivered and then committed."""
        reading = self.consumer.open(driver, take_over=True)
        for page in reading.pages(PAGE):
            self.deliver(page)
            reading.commit(page.end)

    def verdict(self) -> Verdict:
        with self.database.connect() as connection:
            self.drain(connection)
        return judge(self.ops, ["c"])


def event(number: int) -> Event:
    return Event("t", str(number).encode(), "k")


def produce(play: Play, driver: object) -> None:
    play.emit(driver, 1, 2)
    play.tell("emitting", 3, 4)
    play.log.emit_many(driver, [event(3), event(4)])
    play.tell("emitted", 3, 4)


def consume(play: Play, driver: object) -> None:
    play.drain(driver)


def exactly_once(play: Play, driver: object) -> None:
    """What `Consumer.exactly_once` does, its begin and commit counted."""
    while once(play, driver):
        continue


def once(play: Play, driver: object) -> bool:
    run(driver, begin())
    reading = play.consumer.open(driver)
    page = reading.next_page(10)
    if page is not None:
        for record in page.records:
            run(driver, effect(play.name, int(record.payload)))
        reading.commit(page.end)
    run(driver, commit())
    return page is not None


def effect(log: str, number: int) -> Steps[None]:
    yield _EFFECT(log=log, n=number)


def subscribe(play: Play, driver: object) -> None:
    Consumer(play.name, "d").subscribe(driver)
    Consumer(play.name, "d").unsubscribe(driver)
    play.consumer.reanchor(driver, "earliest")


def maintain(play: Play, driver: object) -> None:
    """Turn and pin; drained, reclaim; and once more with the ledger's half to be trimmed."""
    run(driver, log_store.maintain(play.name, 1, 900))
    play.drain(driver)
    run(driver, log_store.maintain(play.name, 1, 900))
    run(driver, jump(play.name, 65536 + 32768))
    run(driver, log_store.maintain(play.name, 1, 900))


def detach(play: Play, driver: object) -> None:
    play.consumer.when_slow(driver, "detach", slow_bytes=1)
    run(driver, log_store.maintain(play.name, 1, 900))
    play.emit(driver, 11)
    run(driver, log_store.maintain(play.name, 1, 900))
    play.drain(driver)
    run(driver, log_store.maintain(play.name, 1, 900))


def jump(log: str, generation: int) -> Steps[None]:
    """As if it had committed that often."""
    cursor = yield from log_store.newest_cursor(log, "c")
    half = (generation >> 16) & 1
    yield compose(
        "jump",
        "INSERT INTO {ledger} (generation, epoch, seen, upto, last_id) VALUES (%(g)s::bigint,"
        " %(e)s::bigint, %(s)s::text::pg_snapshot, %(u)s::text::pg_snapshot, %(i)s::bigint)",
        ledger=f"howdah.log_{log}$c${half}",
    )(
        g=generation,
        e=cursor.epoch,
        s=cursor.position.seen,
        u=cursor.position.upto,
        i=cursor.position.last_id,
    )


SCENARIOS: dict[str, tuple[Callable[[Play, object], None], int]] = {
    # What may be delivered twice: the page that was delivered and not committed.
    "produce": (produce, 0),
    "consume": (consume, PAGE),
    "exactly once": (exactly_once, 0),
    "subscribe": (subscribe, 0),
    "maintain": (maintain, PAGE),
    "detach": (detach, PAGE),
}


@pytest.fixture
def stage(database: Database) -> Database:
    with database.connect() as connection:
        install(connection, [COMPONENT])
        connection.execute(
            "CREATE TABLE effect (ordinal int GENERATED ALWAYS AS IDENTITY, log text, number int)"
        )
    return database


def performed(stage: Database, name: str, log: str, point: CrashPoint | None) -> tuple[Play, int]:
    """The scenario with its crash, and how many statements it had until then."""
    scenario, _ = SCENARIOS[name]
    play = Play(stage, log)
    with stage.connect() as connection:
        if name != "produce":
            play.emit(connection, 1, 2, 3)
            play.emit(connection, 4)
            play.emit(connection, 5, 6)
    # A connection that a crash has cut is closed by hand: leaving its block would fail.
    connection = stage.connect()
    try:
        driver = CrashingDriver(connection, point)
        if point is None:
            scenario(play, driver)
        else:
            with pytest.raises(CRASHES):
                scenario(play, driver)
            assert driver.crashed
    finally:
        connection.close()
    return play, driver.statements


def delivered_by_effect(stage: Database, play: Play) -> None:
    with stage.connect() as connection:
        exactly_once(play, CrashingDriver(connection))
        rows = connection.execute(
            "SELECT number FROM effect WHERE log = %s ORDER BY ordinal", [play.name]
        ).fetchall()
    play.tell("delivered", *(number for (number,) in rows))


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_every_statement(stage: Database, name: str) -> None:
    """Before and after, backend and client in turns; the soak has each die everywhere."""
    rebuilds = name in ("maintain", "detach")  # slow, and the same whoever dies
    hows = [How.TERMINATE] if rebuilds else [How.TERMINATE, How.STOP]
    kill_everywhere(stage, name, partial(in_turns, hows=hows))


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_way_to_die_at_every_statement(stage: Database, name: str) -> None:
    kill_everywhere(stage, name, every_point)


def in_turns(statements: int, *, hows: list[How]) -> Iterator[CrashPoint]:
    """Before and after each statement, by another way to die."""
    for at in range(1, statements + 1):
        for turn, when in enumerate(When):
            yield CrashPoint(at=at, how=hows[(at + turn) % len(hows)], when=when)


def kill_everywhere(
    stage: Database, name: str, points: Callable[[int], Iterator[CrashPoint]]
) -> None:
    allowed = SCENARIOS[name][1]
    _, statements = performed(stage, name, "whole", None)
    assert statements >= 3
    for number, point in enumerate(points(statements)):
        play, _ = performed(stage, name, f"l{number}", point)
        with stage.connect() as connection:
            play.emit(connection, 100)  # life goes on
            if name == "exactly once":
                delivered_by_effect(stage, play)
            else:
                run(connection, log_store.maintain(play.name, 1, 900))
        verdict = play.verdict() if name != "exactly once" else judge(play.ops, ["c"])
        assert verdict.kept, (point, verdict)
        ((_, repeated),) = verdict.repeated
        assert repeated <= allowed, (point, verdict)
        with stage.connect() as connection:
            play.log.drop(connection)  # and nothing is left that would stand in the way


HELD = {
    "the turns": "LOCK TABLE howdah.log_turn IN ACCESS EXCLUSIVE MODE",
    "a mark": "LOCK TABLE howdah.log_turn IN SHARE MODE",
    "the shape": "LOCK TABLE howdah.log IN SHARE MODE",
    "an archive": "LOCK TABLE howdah.log_archive IN SHARE MODE",
    "the consumers": "LOCK TABLE howdah.log_consumer IN SHARE MODE",
    "a ledger": "LOCK TABLE howdah.log_x$c$0 IN ACCESS EXCLUSIVE MODE",
}


@pytest.mark.parametrize("policy", ["pin", "detach", "drop"])
@pytest.mark.parametrize("held", HELD)
def test_maintenance_killed_between_its_inner_statements(
    database: Database, held: str, policy: str
) -> None:
    """It stops at a lock in the middle and dies there: all of it is undone, nothing is lost."""
    logged = Logged(database)
    consumer, other = logged.consumer("c", when_slow=policy, slow_bytes=1), logged.consumer("other")
    logged.emit("1")
    logged.drain(other)
    shape = "SELECT count(*), sum(relfilenode::bigint) FROM pg_class WHERE relname ~ '^log_x'"
    before = logged.do(shape)
    keeper = logged.connect()
    with logged.session() as holder:
        holder.execute(HELD[held].encode())
        keeper.execute("SET lock_timeout = 0")
        pid = keeper.info.backend_pid
        keeper.pgconn.send_query(b"SELECT * FROM howdah.maintain('x', 1)")
        stuck = logged.waits_or_ends(pid)
        if stuck:
            terminate(keeper)
    keeper.close()
    if stuck:
        assert logged.do(shape) == before
    logged.maintain()
    logged.emit("2")
    logged.maintain()
    if policy != "drop":
        assert logged.drain(consumer) == ["1", "2"]
    assert logged.drain(other) == ["2"]
