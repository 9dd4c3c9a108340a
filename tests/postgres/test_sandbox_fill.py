"""Synthetic rows: every type, every kind of key, and honest refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from howdah.errors import BadInput, NotASandbox
from howdah.postgres import Server
from howdah.sandbox import Sandbox, fill
from howdah.sandbox.fill import Filled, Shape
from howdah.testing import Database

TYPES = [
    *("smallint", "integer", "bigint", "numeric", "numeric(5,2)", "numeric(3,3)", "real"),
    *("double precision", "money", "oid", "boolean", "text", "varchar(3)", "varchar", "char(2)"),
    *("name", "timestamp", "timestamptz(3)", "date", "time", "timetz", "interval", "uuid"),
    *("json", "jsonb", "bytea", "inet", "cidr", "macaddr", "macaddr8", "bit(5)"),
    *("varbit", "pg_lsn", "tsvector", "tsquery", "point", "box", "circle", "int4range"),
    *("int8range", "numrange", "daterange", "tsrange", "tstzrange", "int4multirange"),
    *("datemultirange", "mood", "mood[]", "text[]", "integer[]", "timestamptz[]", "positive"),
    *("code", "grade", "xid8"),
]

SCHEMA = """
    CREATE TYPE mood AS ENUM ('good', 'bad', 'so so');
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE DOMAIN code AS varchar(4) NOT NULL;
    CREATE DOMAIN grade AS text CHECK (VALUE IN ('a', 'b'));

    CREATE TABLE users (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        email text NOT NULL UNIQUE,
        twice bigint GENERATED ALWAYS AS (id * 2) STORED,
        boss bigint REFERENCES users,
        made timestamptz NOT NULL DEFAULT now()
    );
    CREATE TABLE roles (id serial PRIMARY KEY, name varchar(10) NOT NULL);
    CREATE TABLE user_roles (
        user_id bigint NOT NULL REFERENCES users,
        role_id int NOT NULL REFERENCES roles,
        PRIMARY KEY (user_id, role_id)
    );
    CREATE TABLE orders (
        tenant int, id int, status text NOT NULL CHECK (status IN ('new', 'paid', 'sent')),
        rating int CHECK (rating BETWEEN 1 AND 5), price numeric(8,2) CHECK (price > 0),
        user_id bigint NOT NULL REFERENCES users,
        PRIMARY KEY (tenant, id)
    );
    CREATE TABLE lines (
        tenant int NOT NULL, order_id int NOT NULL, line int NOT NULL,
        PRIMARY KEY (tenant, order_id, line),
        FOREIGN KEY (tenant, order_id) REFERENCES orders
    );
    CREATE TABLE chicken (id int PRIMARY KEY, egg int NOT NULL);
    CREATE TABLE egg (id int PRIMARY KEY, chicken int NOT NULL REFERENCES chicken);
    ALTER TABLE chicken ADD FOREIGN KEY (egg) REFERENCES egg;
    CREATE TABLE odd (a int CHECK (a * a = 2) NOT NULL);
    CREATE TABLE flags (flag bool PRIMARY KEY);
    CREATE TABLE "Mixed ""Case\"\"\" ("Id" int PRIMARY KEY);
    CREATE TABLE booking (room int, during tstzrange, EXCLUDE USING gist (during WITH &&));

    CREATE TABLE by_day (at timestamptz NOT NULL, n int, PRIMARY KEY (at, n)) PARTITION BY RANGE (at);
    CREATE TABLE by_day_1 PARTITION OF by_day FOR VALUES FROM ('2026-01-01') TO ('2026-01-02');
    CREATE TABLE by_day_2 PARTITION OF by_day FOR VALUES FROM ('2026-01-02') TO (MAXVALUE);
    CREATE TABLE by_day_0 PARTITION OF by_day FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
    CREATE TABLE by_day_d PARTITION OF by_day DEFAULT;
    CREATE TABLE by_id (id int, t text) PARTITION BY RANGE (id);
    CREATE TABLE by_id_1 PARTITION OF by_id FOR VALUES FROM (MINVALUE) TO (-5);
    CREATE TABLE by_id_2 PARTITION OF by_id FOR VALUES FROM (1000) TO (1010);
    CREATE TABLE by_date (d date, t text) PARTITION BY RANGE (d);
    CREATE TABLE by_date_1 PARTITION OF by_date FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE by_kind (kind text, k int) PARTITION BY LIST (kind);
    CREATE TABLE by_kind_1 PARTITION OF by_kind FOR VALUES IN ('x', 'y') PARTITION BY RANGE (k);
    CREATE TABLE by_kind_1_1 PARTITION OF by_kind_1 FOR VALUES FROM (1) TO (5);
    CREATE TABLE by_hash (id int) PARTITION BY HASH (id);
    CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    CREATE TABLE by_two (a int, b text) PARTITION BY RANGE (a, b);
    CREATE TABLE by_two_1 PARTITION OF by_two FOR VALUES FROM (1, 'a') TO (1, 'b');
    CREATE TABLE by_nothing (a int) PARTITION BY RANGE (a);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';
    CREATE TRIGGER refuse BEFORE INSERT ON roles EXECUTE FUNCTION refuse();
    CREATE SEQUENCE counter;
"""  # noqa: E501 - one table per line reads better


@pytest.fixture(scope="module")
def template(server: Server) -> Iterator[Sandbox]:
    with Sandbox.from_schema(SCHEMA, server=server) as built:
        assert built.rebuilt is not None
        assert built.rebuilt.failed == ()
        yield built


@pytest.fixture
def sandbox(template: Sandbox) -> Iterator[Sandbox]:
    with Sandbox.clone(template) as copy:
        yield copy


def rows(sandbox: Sandbox, statement: str) -> list[tuple[Any, ...]]:
    with sandbox.connect() as connection:
        return connection.execute(statement).fetchall()


def test_every_type_gets_values(server: Server) -> None:
    script = f"{SCHEMA.split('CREATE TABLE', 1)[0]}" + "".join(
        f"CREATE TABLE t{number} (id int PRIMARY KEY, v {type_} NOT NULL);"
        for number, type_ in enumerate(TYPES)
    )
    with Sandbox.from_schema(script, server=server) as sandbox:
        shapes = {f"public.t{number}": Shape(rows=50) for number in range(len(TYPES))}
        filled = fill.fill(sandbox, shapes)
        wrong = {
            TYPES[int(name.removeprefix("public.t"))]: each.reason
            for name, each in filled.items()
            if each != Filled(rows=50)
        }
        assert wrong == {}


def test_parents_come_first_and_keys_hold(sandbox: Sandbox) -> None:
    filled = fill.fill(
        sandbox,
        {
            "public.lines": Shape(rows=300),
            "public.user_roles": Shape(rows=60),
            "public.orders": Shape(rows=100),
            "public.users": Shape(rows=20),
            "public.roles": Shape(rows=7),
        },
    )
    assert filled["public.lines"] == Filled(rows=300)
    assert filled["public.user_roles"] == Filled(rows=60)
    assert filled["public.roles"] == Filled(rows=7), "its trigger would refuse"
    with sandbox.connect() as connection:
        keys = connection.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f'"
        ).fetchall()
        for table, name in keys:
            connection.execute(f'ALTER TABLE {table} ALTER CONSTRAINT "{name}" DEFERRABLE')
    for child, column, parent in [
        ("user_roles", "user_id", "users"),
        ("user_roles", "role_id", "roles"),
        ("orders", "user_id", "users"),
    ]:
        orphans = (
            f"SELECT * FROM {child} c LEFT JOIN {parent} p ON p.id = c.{column} WHERE p IS NULL"
        )
        assert rows(sandbox, orphans) == []
    orphans = "SELECT * FROM lines WHERE (tenant, order_id) NOT IN (SELECT tenant, id FROM orders)"
    assert rows(sandbox, orphans) == []
    assert rows(sandbox, "SELECT count(DISTINCT user_id) FROM orders") == [(20,)]
    assert rows(sandbox, "SELECT DISTINCT status FROM orders ORDER BY 1") == [
        *(("new",), ("paid",), ("sent",))
    ]
    assert rows(sandbox, "SELECT count(*) FROM users WHERE boss IS NULL OR boss <> id") == [(0,)]


def test_a_needed_parent_is_filled_though_nobody_asked(sandbox: Sandbox) -> None:
    assert fill.fill(sandbox, {"public.orders": Shape(rows=5)})["public.orders"].rows == 5
    assert rows(sandbox, "SELECT count(*) > 0 FROM users") == [(True,)]


def test_cycles_end(sandbox: Sandbox) -> None:
    filled = fill.fill(sandbox, {"public.egg": Shape(rows=10), "public.chicken": Shape(rows=10)})
    assert {each.rows for each in filled.values()} == {10}
    orphans = "SELECT * FROM {} c WHERE NOT EXISTS (SELECT FROM {} p WHERE p.id = c.{})"
    assert rows(sandbox, orphans.format("egg", "chicken", "chicken")) == []
    assert rows(sandbox, orphans.format("chicken", "egg", "egg")) == []


def test_what_refuses_is_told_not_raised(sandbox: Sandbox) -> None:
    filled = fill.fill(
        sandbox,
        {
            "public.odd": Shape(rows=5),
            "public.flags": Shape(rows=5),
            "public.by_nothing": Shape(rows=5),
            "public.gone": Shape(rows=5),
            "public.roles": Shape(rows=5),
        },
    )
    assert filled["public.odd"].rows == 0
    assert "check constraint" in filled["public.odd"].reason
    assert filled["public.flags"].rows == 2
    assert filled["public.flags"].reason
    assert "no partition" in filled["public.by_nothing"].reason
    assert "public.gone" in filled["public.gone"].reason
    assert filled["public.roles"] == Filled(rows=5)


@pytest.mark.parametrize(
    "table", ["by_day", "by_id", "by_date", "by_kind", "by_hash", "by_two", "by_day_1", "booking"]
)
def test_rows_land_in_partitions(table: str, sandbox: Sandbox) -> None:
    assert fill.fill(sandbox, {f"public.{table}": Shape(rows=60)}) == {
        f"public.{table}": Filled(rows=60)
    }
    assert rows(sandbox, f"SELECT count(*) FROM {table}") == [(60,)]
    if table == "by_day":
        used = rows(sandbox, "SELECT DISTINCT tableoid::regclass::text FROM by_day")
        assert {name for (name,) in used} == {"by_day_0", "by_day_1", "by_day_2"}


def test_dead_rows(sandbox: Sandbox) -> None:
    shapes = {
        "public.users": Shape(rows=100, dead=50),
        "public.by_hash": Shape(rows=10, dead=90),
        "public.by_id": Shape(rows=0, dead=10),
    }
    assert fill.fill(sandbox, shapes) == {
        "public.users": Filled(rows=100, dead=50),
        "public.by_hash": Filled(rows=10, dead=90),
        "public.by_id": Filled(rows=0, dead=10),
    }
    assert rows(sandbox, "SELECT count(*), count(DISTINCT id) FROM users") == [(100, 100)]
    assert rows(sandbox, "SELECT count(*) FROM by_hash") == [(10,)]
    with sandbox.connect() as connection:
        said: list[str] = []
        connection.add_notice_handler(lambda notice: said.append(str(notice.message_primary)))
        connection.execute("VACUUM VERBOSE users")
    assert any("50 " in text for text in said), said


def test_more_rows_go_on_where_others_end(sandbox: Sandbox) -> None:
    for _ in range(2):
        assert fill.fill(sandbox, {"public.users": Shape(rows=10)})["public.users"].rows == 10
    assert rows(sandbox, "SELECT count(*), max(id) FROM users") == [(20, 20)]


def test_a_shape_is_cut(sandbox: Sandbox) -> None:
    filled = fill.fill(sandbox, {"public.users": Shape(rows=100)}, most_rows=10)
    assert filled["public.users"] == Filled(rows=10, capped=True)


def test_quoted_names(sandbox: Sandbox) -> None:
    name = 'public."Mixed ""Case"""'
    assert fill.fill(sandbox, {name: Shape(rows=3)})[name].rows == 3
    fill.analyze(sandbox, [name])
    assert rows(sandbox, "SELECT reltuples FROM pg_class WHERE relname LIKE 'Mixed%'")[0] == (3,)


def test_sequences(sandbox: Sandbox) -> None:
    fill.set_sequence(sandbox, "public.counter", 41)
    assert rows(sandbox, "SELECT nextval('counter')") == [(42,)]
    with pytest.raises(BadInput):
        fill.set_sequence(sandbox, "public.gone", 1)


def test_nothing_is_filled_without_the_marker(database: Database) -> None:
    class Unmarked(Sandbox):
        def __init__(self) -> None:
            super().__init__(dsn=database.dsn, name=database.name, server=None)

    with database.connect() as connection:
        connection.execute("CREATE TABLE precious (id int); CREATE SEQUENCE s")
    for attempt in (
        lambda: fill.fill(Unmarked(), {"public.precious": Shape(rows=1)}),
        lambda: fill.set_sequence(Unmarked(), "public.s", 1),
        lambda: fill.analyze(Unmarked(), ["public.precious"]),
    ):
        with pytest.raises(NotASandbox):
            attempt()
    with database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM precious").fetchone() == (0,)
