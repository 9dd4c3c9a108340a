"""One order of locks: whatever runs beside whatever, nobody waits in a circle.

The order: the log's advisory lock, its catalog rows, its segments and archives, a ledger's halves.
Maintenance only tries its locks; what waits (subscribe, unsubscribe, reanchor, adopt, drop) takes
the advisory lock first.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from howdah.errors import HowdahError, PositionLost, Superseded
from howdah.log import Consumer, Event, Log
from howdah.testing import Database
from tests.postgres.log.logged import Logged

Act = Callable[[psycopg.Connection, random.Random], object]
DEADLOCK = "40P01"


def emit(connection: psycopg.Connection, chance: random.Random) -> object:
    with connection.transaction():
        for _ in range(chance.randrange(1, 5)):
            Log("x").emit(connection, Event("t", b"x" * 100, chance.choice("abc")))
    return None


def consume(connection: psycopg.Connection, chance: random.Random) -> object:
    with Consumer("x", chance.choice(["c", "d"])).exactly_once(connection, 50) as records:
        return records


def subscribe(connection: psycopg.Connection, chance: random.Random) -> object:
    name = chance.choice("efg")
    Consumer("x", name, when_slow=chance.choice(["detach", "drop"]), slow_bytes=1).subscribe(
        connection
    )
    return Consumer("x", name).unsubscribe(connection) if chance.random() < 0.5 else None


def maintain(connection: psycopg.Connection, chance: random.Random) -> object:
    return Log("x").maintain(connection, segment_bytes=chance.choice([1, 10_000]))


def reanchor(connection: psycopg.Connection, chance: random.Random) -> object:
    Consumer("x", "d").reanchor(connection, chance.choice(["now", "earliest", "keep"]))
    return None


def look(connection: psycopg.Connection, _: random.Random) -> object:
    return connection.execute("SELECT * FROM howdah.segments('x'), howdah.consumers('x')")


ACTS: tuple[Act, ...] = (
    emit,
    emit,
    consume,
    consume,
    subscribe,
    maintain,
    maintain,
    reanchor,
    look,
)


def busy(logged: Logged, seed: int, acts: int, fatal: list[BaseException]) -> None:
    chance = random.Random(seed)
    with logged.connect() as connection:
        connection.execute("SET deadlock_timeout = '50ms'")
        for _ in range(acts):
            if fatal:
                return
            try:
                chance.choice(ACTS)(connection, chance)
            except (Superseded, PositionLost):
                continue
            except HowdahError as error:
                # A consumer may be forgotten under a reader's hands; a circle may not happen.
                if DEADLOCK in str(error) or not expected(error):
                    fatal.append(error)
            except psycopg.Error as error:
                if error.sqlstate not in ("42P01", "HD003"):
                    fatal.append(error)


def expected(error: HowdahError) -> bool:
    return any(code in str(error) for code in ("42P01", "has no consumer", "HD003")) or (
        "tables of log" in str(error)
    )


@pytest.mark.postgres(newest=True)
@pytest.mark.parametrize("seed", [1, 2])
def test_nobody_waits_in_a_circle(logged: Logged, seed: int) -> None:
    logged.consumer("c")
    logged.consumer("d")
    fatal: list[BaseException] = []
    with ThreadPoolExecutor(5) as pool:
        done = [pool.submit(busy, logged, 100 * seed + n, 40, fatal) for n in range(5)]
        for each in done:
            each.result()
    assert not fatal
    logged.emit("last")
    assert logged.drain(logged.consumer("c"))[-1] == "last"


def test_an_older_holder_of_the_lock_delays_and_does_not_break(logged: Logged) -> None:
    """Whoever subscribes waits for a maintenance that is under way, and then does its part."""
    with logged.session() as keeper:
        logged.emit("1")
        keeper.execute("SELECT * FROM howdah.maintain('x', 1)")
        done = threading.Event()

        def subscribe_late() -> None:
            logged.consumer("late")
            done.set()

        with ThreadPoolExecutor() as pool:
            pool.submit(subscribe_late)
            assert not done.wait(0.1)
            keeper.execute("COMMIT")
            assert done.wait(10)
    assert logged.drain(logged.consumer("late")) == ["1"]


def test_two_logs_do_not_meet(logged: Logged, database: Database) -> None:
    with logged.connect() as connection:
        Log("y").create(connection, segments=3)
    with logged.session() as keeper:
        keeper.execute("SELECT * FROM howdah.maintain('x', 1)")
        with logged.connect() as connection:
            Log("y").emit(connection, Event("t", b""))
            assert Log("y").maintain(connection, segment_bytes=1)
