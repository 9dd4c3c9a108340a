"""Producers, workers and a nemesis: what they wrote down is judged at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

import howdah.queue
from howdah.postgres import Installation, Server
from howdah.schema.api import install
from howdah.testing import Database, wait_until
from howdah.testing.history import Op, judge, recorded
from howdah.testing.nemesis import Fleet, Nemesis
from tests.crash.queue_actors import KEYS, LEASE_SECONDS, queue_for
from tests.postgres.queue.working import wait_quiet

pytestmark = pytest.mark.postgres(newest_by_default=True)  # decided in Python

WORKERS = ("w1", "w2", "w3")
PRODUCERS = ("p1", "p2")
DEAD = """SELECT sum(n_dead_tup)::int FROM pg_stat_user_tables
          WHERE relname ~ '^(log_(jobs|reports)_storm[$][0-9]|queue_storm[$])'"""


def rage(server: Server, folder: Path, *, seconds: float, seed: int) -> None:
    database = Database(server)
    dsn = database.dsn
    with database.connect() as connection:
        install(connection, [howdah.queue.COMPONENT])
        queue_for(dsn, None).create(connection)
        connection.execute("CREATE TABLE account (key text PRIMARY KEY, v int)")
        connection.execute("INSERT INTO account SELECT unnest(%s::text[]), 0", (KEYS,))
        connection.execute(
            "CREATE TABLE effect"
            " (ordinal bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text, number int)"
        )
    with Fleet(folder) as fleet:
        for name in PRODUCERS:
            fleet.add(name, "tests.crash.queue_actors", "produce", name, dsn, str(folder))
        for name in WORKERS:
            fleet.add(name, "tests.crash.queue_actors", "work", name, dsn, str(folder))
        turn = iter(range(10**6))

        def zombie() -> None:
            fleet.pause(WORKERS[next(turn) % len(WORKERS)], 1.6 * LEASE_SECONDS)

        nemesis = Nemesis(fleet, server, dsn, seed=seed, more={"zombie": zombie})
        nemesis.rage(seconds)
        blows = f"seed {seed}: {', '.join(nemesis.blows)}"
        (folder / "enough").touch()
        fleet.tend()
        with database.connect() as connection:
            ended = [fleet._running[name] for name in PRODUCERS]
            wait_until(lambda: all(each.poll() == 0 for each in ended), seconds=30)
            wait_quiet(connection, "storm", seconds=60)
        fleet.finish()
    ops = recorded(folder)
    with database.connect() as connection:
        rows = connection.execute("SELECT key, number FROM effect ORDER BY ordinal").fetchall()
        letters = connection.execute("SELECT count(*) FROM howdah.queue_dead").fetchone()
        dead = connection.execute(DEAD).fetchone()
    late = ops[-1].at + 1
    ops += [Op(late, "delivered", "effects", f"{key} once", number) for key, number in rows]
    judge_all(ops, blows)
    assert letters == (0,)
    assert dead is not None
    assert dead[0] < 100, blows  # nothing but rows of transactions that were killed
    database.drop()


def judge_all(ops: list[Op], blows: str) -> None:
    """At least once and in order for one kind, exactly once and in order for the other."""
    once = [op for op in ops if op.key.endswith(" once")]
    plain = [op for op in ops if not op.key.endswith(" once")]
    verdict, exact = judge(plain, ["queue"]), judge(once, ["effects"])
    assert verdict.kept, (blows, verdict)
    assert exact.kept, (blows, exact)
    assert dict(exact.repeated)["effects"] == 0, (blows, exact)
    assert verdict.events > 50, (blows, verdict)  # the machine may be busy
    assert len(set(blows.split(", "))) > 2
    print(f"{verdict.events} events, repeated {verdict.repeated}, {blows}")


def test_a_short_storm(postgres_installation: Installation, tmp_path: Path) -> None:
    with Server.start(postgres_installation) as server:
        rage(server, tmp_path, seconds=10.0, seed=7)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(6))
def test_a_long_storm(postgres_installation: Installation, tmp_path: Path, seed: int) -> None:
    with Server.start(postgres_installation) as server:
        rage(server, tmp_path, seconds=90.0, seed=seed)
