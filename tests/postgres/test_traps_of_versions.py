"""Names that came and went, asked of real servers: the data of tests/renamed.py is not remembered.

Also what follows from them: causes of waits that no server ever reports, settings that are gone.
"""

from __future__ import annotations

import ast
from pathlib import Path

import howdah
from howdah.check.knowledge.wait_causes import _CAUSES
from howdah.postgres import Installation, Server
from howdah.snapshot.collect import take
from howdah.snapshot.facts.counters import IndexStatistics
from howdah.snapshot.model import Snapshot
from howdah.snapshot.options import QUICK
from howdah.testing import Database, wait_until
from tests.renamed import NAMES

# Settings that rules read and that not every major has; a rule must do without them there.
KEYED_SETTINGS = {"reserved_connections": 16, "archive_library": 15}


def test_names_exist_in_the_majors_that_the_table_says(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        columns = connection.execute(
            "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE a.attnum > 0 UNION ALL SELECT '', p.proname FROM pg_proc p"
        ).fetchall()
    there = set(columns)
    for name in NAMES:
        expected = name.since <= database.major <= name.until
        assert ((name.relation, name.name) in there) is expected, name


def test_t10_the_last_use_of_an_index_is_told_since_16(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
        connection.execute("INSERT INTO t SELECT generate_series(1, 100)")
        connection.execute("SET enable_seqscan = off")
        connection.execute("SELECT FROM t WHERE id = 7")
    used = wait_until(lambda: scanned(take(database.dsn, QUICK), "t_pkey"))
    assert (used.last_scan is not None) is (database.major >= 16)


def scanned(snapshot: Snapshot, index: str) -> IndexStatistics | None:
    """The counters of an index that was used; None until they arrive."""
    oid = next(row.oid for row in snapshot.indexes.rows if row.name == index)
    rows = snapshot.index_statistics.rows
    return next((row for row in rows if row.index == oid and row.scans), None)


def test_t3_every_wait_with_a_cause_is_one_that_servers_report(
    server: Server, postgres_installation: Installation
) -> None:
    """A cause keyed by a name that nobody reports is silent for ever."""
    program = (postgres_installation.bindir / "postgres").read_bytes()
    known: set[tuple[str, str]] = set()
    if server.major >= 17:
        with server.connect() as connection:
            known = set(connection.execute("SELECT type, name FROM pg_wait_events").fetchall())
    for kind, event in _CAUSES:
        if event == "*" or (kind, event) in known:
            continue
        # Before 17 there is no list, but the names of lightweight locks are in the program.
        assert server.major < 17, (kind, event)
        assert kind != "LWLock" or b"%s\0" % event.encode() in program, event


def test_t34_rules_read_settings_that_this_server_has(server: Server) -> None:
    with server.connect() as connection:
        there = {name for (name,) in connection.execute("SELECT name FROM pg_settings").fetchall()}
    read = set()
    for path in (Path(howdah.__file__).parent / "check").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("setting", "setting_number", "setting_on")
                and isinstance(node.args[0], ast.Constant)
            ):
                read.add(str(node.args[0].value))
    assert len(read) > 10
    younger = {name for name, since in KEYED_SETTINGS.items() if server.major < since}
    assert read - there == younger
