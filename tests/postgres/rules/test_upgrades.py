"""btree_gist's address classes on real servers."""

from __future__ import annotations

from howdah.check.model import Kind
from howdah.check.rules.upgrades import btree_gist_inet
from howdah.testing import Database
from tests.diagnosing import examine
from tests.making import objects

SCHEMA = """
CREATE EXTENSION btree_gist;
CREATE TABLE lease (ip inet, net cidr, room int, span int4range, note text);
CREATE INDEX lease_ip ON lease USING gist (ip, room) INCLUDE (note) WHERE room > 3;
CREATE INDEX lease_net ON lease USING gist (net);
CREATE INDEX lease_room ON lease USING gist (room, span);
CREATE INDEX lease_core ON lease USING gist (ip inet_ops);
CREATE TABLE booking (ip inet, span int4range, EXCLUDE USING gist (ip WITH =, span WITH &&));
"""


def test_the_classes_are_found_and_replaced(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(SCHEMA)
        result = examine(database, btree_gist_inet)
        assert objects(result) == {
            "public.lease_ip",
            "public.lease_net",
            "public.booking_ip_span_excl",
        }
        by_object = {finding.object: finding.remedies[0] for finding in result.findings}
        assert by_object["public.booking_ip_span_excl"].manual
        for name in ("public.lease_ip", "public.lease_net"):
            for statement in by_object[name].sql:
                connection.execute(statement)
        assert objects(examine(database, btree_gist_inet)) == {"public.booking_ip_span_excl"}
        for statement in by_object["public.lease_ip"].inverse:
            connection.execute(statement)
        assert "public.lease_ip" in objects(examine(database, btree_gist_inet))


def test_the_cores_class_is_ok(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE lease (ip inet)")
        connection.execute("CREATE INDEX ON lease USING gist (ip inet_ops)")
    assert examine(database, btree_gist_inet).kind is Kind.OK
