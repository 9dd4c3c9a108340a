"""Producers, consumers, maintainers, and a nemesis: what they wrote down is judged at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from howdah.clock import SYSTEM_CLOCK
from howdah.postgres import Installation, Server
from howdah.testing import wait_until
from howdah.testing.history import Op, judge, recorded
from howdah.testing.nemesis import Fleet, Nemesis
from tests.crash.log_actors import KEYS
from tests.postgres.log.logged import Logged
from tests.postgres.log.places import place_on

CAST = {
    "p1": "produce",
    "p2": "produce",
    "c1": "consume",
    "c2": "consume",
    "a1": "apply",
    "a2": "apply",
    "m1": "maintain",
    "m2": "maintain",
}


def stage(server: Server) -> Logged:
    logged = Logged(place_on(server))
    logged.consumer("c")
    logged.consumer("applied")
    logged.do("CREATE TABLE account (key text PRIMARY KEY, v int)")
    logged.do("INSERT INTO account SELECT unnest(%s::text[]), 0", KEYS)
    logged.do(
        "CREATE TABLE effect"
        " (ordinal bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text, number int)"
    )
    return logged


def finish(logged: Logged, folder: Path) -> list[Op]:
    """Read to the end, and add what the exactly-once consumer left in its table."""
    ops = recorded(folder)
    late = ops[-1].at + 1
    consumer, applied = logged.consumer("c"), logged.consumer("applied")
    with logged.connect() as connection:
        reading = consumer.open(connection, take_over=True)
        for page in reading.pages():
            ops += [Op(late, "delivered", "c", r.topic, int(r.payload)) for r in page.records]
            reading.commit(page.end)
        rows = connection.execute("SELECT key, number FROM effect ORDER BY ordinal").fetchall()
        ops += [Op(late, "delivered", "applied", key, number) for key, number in rows]
        reading = applied.open(connection, take_over=True)
        for page in reading.pages():
            ops += [Op(late, "delivered", "applied", r.topic, int(r.payload)) for r in page.records]
            reading.commit(page.end)
    return ops


def emitted(folder: Path) -> int:
    return sum(op.kind == "emitted" for op in recorded(folder))


def rage(server: Server, folder: Path, *, seconds: float, seed: int) -> None:
    logged = stage(server)
    dsn = logged.database.dsn
    with Fleet(folder) as fleet:
        for name, role in CAST.items():
            fleet.add(name, "tests.crash.log_actors", role, name, dsn, str(folder))
        started = SYSTEM_CLOCK.monotonic()
        wait_until(lambda: emitted(folder) > 0, seconds=60)
        # On a busy machine a process takes seconds to start; who is killed faster does nothing.
        between = max(0.3, (SYSTEM_CLOCK.monotonic() - started) / 4)
        nemesis = Nemesis(fleet, server, dsn, seed=seed)
        nemesis.rage(seconds, between_seconds=between)
        wait_until(lambda: emitted(folder) > 100, seconds=60)
        fleet.finish()
    verdict = judge(finish(logged, folder), ["c", "applied"])
    blows = f"seed {seed}: {', '.join(nemesis.blows)}"
    assert verdict.kept, (blows, verdict)
    assert dict(verdict.repeated)["applied"] == 0, (blows, verdict)
    assert len(set(nemesis.blows)) > 1
    for _ in range(3):
        logged.maintain()
    assert sum(row[0] for row in logged.do("SELECT bytes FROM howdah.segments('x')")) == 0
    print(f"{verdict.events} events, repeated {verdict.repeated}, {blows}")


@pytest.mark.postgres(newest=True)
def test_a_short_storm(postgres_installation: Installation, tmp_path: Path) -> None:
    with Server.start(postgres_installation) as server:
        rage(server, tmp_path, seconds=8, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 8))
def test_a_long_storm(postgres_installation: Installation, tmp_path: Path, seed: int) -> None:
    with Server.start(postgres_installation) as server:
        rage(server, tmp_path, seconds=90, seed=seed)
