"""MultiXact members and their makers, on real servers."""

from __future__ import annotations

import psycopg

from howdah.check.model import Kind
from howdah.check.rules.multixacts import multixact_foreign_keys, multixact_members
from howdah.postgres import Server
from howdah.snapshot import collect
from howdah.snapshot.options import Options
from howdah.snapshot.picture import Picture
from howdah.testing.fixtures import OwnServer
from tests.making import objects, verdict
from tests.postgres.rules.consuming import FAMILY, breed, wait_counted

CHILDREN = 12_000
TRUTH = """
SELECT count(*) FROM generate_series(%s::int8, %s::int8 - 1) AS id,
  LATERAL pg_get_multixact_members(id::text::xid)
"""


def look(server: Server, user: str = "postgres") -> Picture:
    options = Options(sample_seconds=0, multixact_samples=2048)
    return Picture(collect.take(server.dsn("postgres", user), options))


def true_members(connection: psycopg.Connection, seen: Picture) -> int:
    (sample,) = seen.snapshot.multixacts.rows
    row = connection.execute(TRUTH, (sample.oldest, sample.next)).fetchone()
    assert row is not None
    return int(row[0])


def test_members_and_their_makers(own_server: OwnServer) -> None:
    server = own_server({"autovacuum": "off"})
    with server.connect() as connection:
        connection.execute("CREATE ROLE nobody LOGIN")
        connection.execute(FAMILY)
        # A large parent of as many children, whose locks never meet.
        connection.execute("CREATE TABLE customer (id int PRIMARY KEY)")
        connection.execute("CREATE TABLE visit (customer int REFERENCES customer)")
        connection.execute("INSERT INTO customer SELECT generate_series(1, 20000)")
        connection.execute("INSERT INTO visit SELECT generate_series(1, 20000)")
        connection.execute("ANALYZE")  # an open session's counters arrive late
        fresh = look(server)
        assert verdict(multixact_members, fresh).kind is Kind.OK
        assert verdict(multixact_foreign_keys, fresh).kind is Kind.OK
        breed(server, "postgres", CHILDREN // 2)
        breed(server, "postgres", CHILDREN // 2, sessions=5)
        connection.execute("ANALYZE")
        wait_counted(connection, "child", f"n_tup_ins >= {CHILDREN}")

        seen = look(server, "nobody")
        (sample,) = seen.snapshot.multixacts.rows
        truth = true_members(connection, seen)
        assert truth > CHILDREN * 3
        assert abs(sample.members - truth) <= 0.02 * truth
        result = verdict(multixact_members, seen)
        assert (result.kind, result.examined) == (Kind.OK, 1)

        makers = verdict(multixact_foreign_keys, look(server))
        assert objects(makers) == {"public.parent"}
        freeze = makers.findings[0].remedies[-1]
        for statement in freeze.sql:
            connection.execute(statement)
        assert verdict(multixact_foreign_keys, look(server)).kind is Kind.OK
