"""Components to play with: a toy of four versions, a pet that requires it, and what they look like.

The packages are written into a folder of the test, each version of the library with its own.
"""

from __future__ import annotations

import re
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from howdah.postgres import programs
from howdah.schema import Component
from howdah.testing import Database

PIN = "SET search_path = pg_catalog, pg_temp"

BOX = f"""
CREATE TYPE howdah.toy_mood AS ENUM ('calm', 'wild');
CREATE DOMAIN howdah.toy_size AS int CHECK (VALUE > 0);
CREATE TYPE howdah.toy_pair AS (a int, b howdah.toy_mood);
CREATE SEQUENCE howdah.toy_counter;
CREATE FUNCTION howdah.toy_next() RETURNS bigint LANGUAGE sql {PIN}
  AS $$ SELECT nextval('howdah.toy_counter') $$;
CREATE TABLE howdah.toy_part (k int, v bigint DEFAULT howdah.toy_next()) PARTITION BY LIST (k);
CREATE TABLE howdah.toy_part_1 PARTITION OF howdah.toy_part FOR VALUES IN (1);
CREATE FUNCTION howdah.toy_make(name text) RETURNS void LANGUAGE plpgsql {PIN}
  AS $$ BEGIN
    EXECUTE format('CREATE TABLE howdah.%I (id serial)', 'toy_' || name || '$1');
    EXECUTE format('CREATE FUNCTION howdah.%I() RETURNS int LANGUAGE sql AS %L',
      'toy_' || name || '$f', 'SELECT 1');
  END $$;
CREATE FUNCTION howdah.toy_touched() RETURNS trigger LANGUAGE plpgsql {PIN}
  AS $$ BEGIN RETURN NEW; END $$;
CREATE VIEW howdah.toy_sizes AS SELECT 1::howdah.toy_size AS size, '(1,calm)'::howdah.toy_pair AS p;
CREATE PROCEDURE howdah.toy_rest() LANGUAGE sql {PIN} AS $$ SELECT 1 $$;
"""
TRIGGER = """
CREATE TRIGGER touched BEFORE INSERT ON howdah.toy FOR EACH ROW
  EXECUTE FUNCTION howdah.toy_touched();
"""


def table(columns: str) -> str:
    identity = "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    return f"CREATE TABLE howdah.toy ({identity}, {columns});\n" + TRIGGER


def put(columns: str, values: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION howdah.toy_put(w text) RETURNS void LANGUAGE sql {PIN}"
        f" AS $$ INSERT INTO howdah.toy ({columns}) VALUES ({values}) $$;\n"
    )


SEEN = "CREATE VIEW howdah.toy_seen AS SELECT count(*) AS n FROM howdah.toy;\n"
INDEX = "CREATE INDEX toy_label ON howdah.toy (label);\n"
WHOLE = {
    1: BOX + table("word text") + put("word", "w"),
    2: BOX + table("word text, label text") + put("word, label", "w, w") + INDEX,
    3: BOX + table("label text") + put("label", "w") + INDEX,
    4: BOX + table("label text") + put("label", "w") + INDEX + SEEN,
}
MIGRATIONS = {
    "0001_first.sql": "-- phase: expand\n" + WHOLE[1],
    "0002_label.sql": "-- phase: expand\nALTER TABLE howdah.toy ADD COLUMN label text;\n"
    + put("word, label", "w, w")
    + INDEX,
    "0003_no_word.sql": "-- phase: contract\n"
    + put("label", "w")
    + "ALTER TABLE howdah.toy DROP COLUMN word;\n",
    "0004_seen.sql": "-- phase: expand\n" + SEEN,
}
GRANTS = """
GRANT SELECT ON howdah.toy TO howdah_reader;
GRANT EXECUTE ON FUNCTION howdah.toy_put(text) TO howdah_producer;
GRANT INSERT ON howdah.toy TO howdah_producer;
"""
PET = f"CREATE FUNCTION howdah.feed() RETURNS int LANGUAGE sql {PIN} AS $$ SELECT 1 $$;\n"


class Toyshop:
    """Writes component packages into a folder that Python imports from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def component(
        self,
        name: str,
        version: int,
        whole: str,
        migrations: Mapping[str, str],
        grants: str = "",
        requires: tuple[Component, ...] = (),
    ) -> Component:
        package = f"{name}_{version}_{secrets.token_hex(4)}"
        sql = self._folder / package / "sql"
        sql.mkdir(parents=True)
        (sql / "schema.sql").write_text(whole)
        if grants:
            (sql / "grants.sql").write_text(grants)
        if migrations:
            (sql / "migrations").mkdir()
        for file, text in migrations.items():
            (sql / "migrations" / file).write_text(text)
        return Component(name=name, version=version, package=package, requires=requires)

    def toy(self, version: int) -> Component:
        """The toy as the library of that version has it."""
        first = dict(list(MIGRATIONS.items())[:version]) if version > 1 else {}
        return self.component("toy", version, WHOLE[version], first, GRANTS)

    def pet(self, toy: Component) -> Component:
        return self.component("pet", 1, PET, {}, requires=(toy,))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toyshop:
    monkeypatch.syspath_prepend(str(tmp_path))
    return Toyshop(tmp_path)


def dump(dsn: str, schema: str = "howdah") -> str:
    """Schema, owners and privileges as pg_dump writes them, without its random token."""
    command = [str(programs("pg_dump")), "--schema-only", f"--schema={schema}", dsn]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", made)


def versions(connection: psycopg.Connection[Any]) -> list[tuple[str, int]]:
    query = "SELECT component, version FROM howdah.installed ORDER BY 1, 2"
    return connection.execute(query).fetchall()


def shape(connection: psycopg.Connection[Any]) -> Sequence[tuple[Any, ...]]:
    """Columns, indexes, functions and ledger: a cheap dump, for comparisons in a loop."""
    if connection.execute("SELECT to_regclass('howdah.installed')").fetchone() == (None,):
        return []
    return connection.execute(
        "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a"
        " ON a.attrelid = c.oid WHERE c.relnamespace = 'howdah'::regnamespace AND attnum > 0"
        " AND NOT attisdropped"
        " UNION ALL SELECT oid::regprocedure::text, md5(prosrc) || proacl::text FROM pg_proc"
        " WHERE pronamespace = 'howdah'::regnamespace"
        " UNION ALL SELECT component, version::text FROM howdah.installed ORDER BY 1, 2"
    ).fetchall()


def roles(database: Database) -> set[str]:
    with database.connect() as connection:
        query = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'howdah\\_%'"
        return {name for (name,) in connection.execute(query)}
