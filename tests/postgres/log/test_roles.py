"""A producer may only emit, a worker may consume, a reader may look."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from howdah.errors import Denied
from howdah.log import COMPONENT, Consumer, Event, Log
from howdah.schema import install, upgrade
from howdah.testing import Database
from tests.postgres.log.logged import Logged, texts

Act = Callable[[psycopg.Connection], object]
ACTS: dict[str, Act] = {
    "emit": lambda c: Log("x").emit(c, Event("t", b"1", "k")),
    "emit in sql": lambda c: c.execute("SELECT howdah.emit('x', 't', 'k', 'text')"),
    "emit many": lambda c: Log("x").emit_many(c, [Event("t", b"1"), Event("t", b"2")]),
    "copy": lambda c: Log("x").copy(c, [Event("t", b"1")]),
    "subscribe": lambda c: Consumer("x", "mine").subscribe(c),
    "read": lambda c: list(Consumer("x", "c").open(c).pages()),
    "read in sql": lambda c: c.execute("SELECT * FROM howdah.read('x', 'c')"),
    "commit": lambda c: Consumer("x", "c").open(c, take_over=True),
    "maintain": lambda c: Log("x").maintain(c, segment_bytes=1),
    "reanchor": lambda c: Consumer("x", "c").reanchor(c, "now"),
    "look": lambda c: c.execute("SELECT * FROM howdah.segments('x'), howdah.consumers('x')"),
    "read a table": lambda c: c.execute("SELECT payload FROM howdah.log_x$0"),
    "forge an id": lambda c: c.execute(
        "INSERT INTO howdah.log_x$0 (id, topic, payload) VALUES (1, 't', '')"
    ),
    "forge a transaction": lambda c: c.execute(
        "INSERT INTO howdah.log_x$0 (xid, topic, payload) VALUES ('3', 't', '')"
    ),
    "delete": lambda c: c.execute("DELETE FROM howdah.log_x$0"),
    "move a position": lambda c: c.execute("UPDATE howdah.log_x$c$0 SET last_id = 0"),
    "turn the ring": lambda c: c.execute("DELETE FROM howdah.log_turn"),
    "create": lambda c: Log("y").create(c),
    "drop": lambda c: Log("x").drop(c),
    "adopt": lambda c: c.execute("SELECT howdah.adopt_log('x')"),
    "call a part": lambda c: c.execute("SELECT howdah.log_add_segment('x')"),
}
EMITS = {"emit", "emit in sql", "emit many", "copy"}
LOOKS = {"look", "read a table"}
CONSUMES = {"subscribe", "read", "read in sql", "commit", "maintain", "reanchor"}
MAY = {
    "howdah_producer": EMITS,
    "howdah_worker": EMITS | CONSUMES | LOOKS,
    "howdah_reader": LOOKS,
    "nobody": set(),
}


@pytest.mark.parametrize("role", MAY)
def test_each_role_may_do_its_part_and_no_more(logged: Logged, role: str) -> None:
    logged.consumer()
    logged.emit("1")
    groups = () if role == "nobody" else (role,)
    user = logged.database.create_role(member_of=groups)
    allowed = set()
    for name, act in ACTS.items():
        with logged.connect(user=user) as connection:
            try:
                with connection.transaction():
                    act(connection)
                allowed.add(name)
            except (Denied, psycopg.errors.InsufficientPrivilege):
                assert name not in MAY[role]
    assert allowed == MAY[role]


def test_what_was_made_before_the_roles_is_given_to_them(database: Database) -> None:
    """Also what maintenance makes later: new segments, archives, functions."""
    with database.connect() as connection:
        install(connection, [COMPONENT])
        Log("x").create(connection, segments=3)
        Consumer("x", "c").subscribe(connection)
        # As a database looks whose installer could not make roles: nothing is granted.
        connection.execute("REVOKE ALL ON ALL TABLES IN SCHEMA howdah FROM howdah_worker")
        connection.execute("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA howdah FROM howdah_worker")
        connection.execute("REVOKE ALL ON ALL SEQUENCES IN SCHEMA howdah FROM howdah_worker")
        connection.execute("REVOKE ALL ON SCHEMA howdah FROM howdah_worker, howdah_reader")
        upgrade(connection, [COMPONENT])
    user = database.create_role(member_of=["howdah_worker"])
    consumer = Consumer("x", "c", when_slow="detach", slow_bytes=1)
    with database.connect(user=user) as connection:
        consumer.when_slow(connection, "detach", slow_bytes=1)
        for number in range(3):
            Log("x").emit(connection, Event("t", str(number).encode()))
            done = [each.action for each in Log("x").maintain(connection, segment_bytes=1)]
            assert "detached" in done
        reading = consumer.open(connection)
        found = [text for page in reading.pages() for text in texts(page.records)]
        assert found == ["0", "1", "2"]
    assert not public(database)


def public(database: Database) -> list[tuple[str]]:
    """Functions of ours that everybody may call."""
    with database.connect() as connection:
        return connection.execute(
            "SELECT oid::regprocedure::text FROM pg_proc, aclexplode(coalesce(proacl,"
            " acldefault('f', proowner))) AS acl"
            " WHERE pronamespace = 'howdah'::regnamespace AND acl.grantee = 0"
        ).fetchall()
