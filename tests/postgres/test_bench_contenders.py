"""Every contender carries items: one conformance test, each in its own processes.

Rates are not looked at: a clock on a shared machine is not a fact. Those that are not installed are
skipped by name; `make bench` installs them.
"""

from __future__ import annotations

import os
from contextlib import closing

import psycopg
import pytest

from howdah.bench import roster
from howdah.bench.arena import Arena, place_for
from howdah.bench.contender import Contender
from howdah.bench.crew import Crew
from howdah.bench.entrant import Orders
from howdah.bench.model import Bench, Plan
from howdah.bench.tally import Work
from howdah.clock import SYSTEM_CLOCK
from howdah.errors import Cannot, CouldNot
from howdah.postgres import Server
from howdah.testing import Database

pytestmark = pytest.mark.postgres(newest=True)
EVERYONE = [(bench, name) for bench in Bench for name in sorted(roster.of(bench))]


def arena_of(server: Server, dsn: str = "", *, own_databases: bool = True) -> Arena:
    where = dsn or server.dsn()
    return Arena(dsn=where, embedded=False, own_databases=own_databases, name="bench_contender")


def scripts() -> dict[str, str]:
    given = os.environ.get("HOWDAH_BENCH_PGQUE_SQL", "")
    return {"pgque": given} if given else {}


def databases(server: Server) -> set[str]:
    with closing(server.connect()) as connection:
        return {row[0] for row in connection.execute("SELECT datname FROM pg_database").fetchall()}


def carried(contender: Contender, bench: Bench, server: Server, items: int) -> None:
    plan = Plan(bench=bench)
    with place_for(arena_of(server), contender, plan, scripts()) as place:

        def orders(work: Work | None, way: str = "") -> Orders:
            return Orders(
                contender=contender.name,
                bench=bench,
                place=place,
                way=way,
                work=work,
                timing=True,
            )

        many = [
            orders(Work(batch_items=items, payload_bytes=100, items=items), way)
            for way in contender.ways
        ]
        few = orders(Work(batch_items=1, payload_bytes=100, items=3, rate_per_second=500))
        with Crew([*many, few], SYSTEM_CLOCK) as crew:
            crew.ready()
            crew.go(crew.entrants)
            crew.until(lambda: crew.ended(crew.producers), 30, "to produce")
            produced = crew.produced()
        assert produced == items * len(contender.ways) + 3
        assert abs(contender.unfinished(place) - produced) <= 1, "some systems estimate it"
        with Crew([orders(None)], SYSTEM_CLOCK) as crew:
            crew.ready()
            crew.go(crew.entrants)
            crew.until(lambda: crew.handled() >= produced, 30, "to handle")
            crew.stop(crew.consumers)
            (counted,) = crew.counts()
        assert counted.count == produced
        assert len(counted.latencies_ms) == 3, "only what was emitted at a rate is timed"
        assert contender.unfinished(place) == 0


@pytest.mark.parametrize(("bench", "name"), EVERYONE)
def test_it_carries_every_item_once_and_leaves_nothing(
    bench: Bench, name: str, server: Server
) -> None:
    contender = roster.of(bench)[name]
    absent = contender.absent(scripts())
    if absent is not None:
        pytest.skip(f"{absent.why}: {absent.install}")
    before = databases(server)
    carried(contender, bench, server, 50)
    assert databases(server) == before


def test_without_a_database_of_its_own_it_works_in_new_schemas(database: Database) -> None:
    contender = roster.of(Bench.QUEUE)["skip-locked"]
    arena = arena_of(database.server, database.dsn, own_databases=False)
    with place_for(arena, contender, Plan(bench=Bench.QUEUE), {}) as place:
        assert contender.unfinished(place) == 0
        second = place_for(arena, contender, Plan(bench=Bench.QUEUE), {})
        with pytest.raises(Cannot, match="howdah_bench"), second:
            pass
        assert contender.unfinished(place) == 0, "the refused one must not remove what it found"
    with closing(database.connect()) as connection:
        found = connection.execute("SELECT to_regnamespace('howdah_bench')").fetchone()
    assert found == (None,)


def test_a_process_that_fails_says_why(server: Server) -> None:
    contender = roster.of(Bench.QUEUE)["skip-locked"]
    with place_for(arena_of(server), contender, Plan(bench=Bench.QUEUE), {}) as place:
        with psycopg.connect(place.dsn) as connection:
            connection.execute("DROP TABLE job")
        orders = Orders(contender="skip-locked", bench=Bench.QUEUE, place=place)
        with Crew([orders], SYSTEM_CLOCK) as crew:
            crew.ready()
            crew.go(crew.entrants)
            with pytest.raises(CouldNot, match="job"):
                crew.until(lambda: crew.handled() > 0, 30, "to handle")
