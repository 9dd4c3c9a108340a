"""The places where tools lie: little privilege, locks, standbys, emptiness, damage.

One property holds them together: what a superuser is told as a finding, nobody is told as *ok*. A
lesser role may be told *unknown*, with the reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from howdah.check.evaluate import evaluate, ranked
from howdah.check.model import Kind, Result
from howdah.check.rules import all_rules
from howdah.postgres import Server
from howdah.snapshot import collect, file
from howdah.snapshot.options import Options
from howdah.snapshot.picture import Picture
from howdah.testing import Database

OPTIONS = Options(sample_seconds=0.3)

ILL = """
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
CREATE EXTENSION IF NOT EXISTS pgstattuple;
CREATE TABLE parents (id int PRIMARY KEY, note text);
CREATE TABLE children (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  parent int NOT NULL REFERENCES parents, extra int);
CREATE INDEX children_extra ON children (extra);
CREATE INDEX children_extra_parent ON children (extra, parent);
CREATE TABLE bloated (id int, filler text) WITH (autovacuum_enabled = false);
CREATE TABLE numbered (id serial PRIMARY KEY);
CREATE TABLE served (parent int NOT NULL REFERENCES parents);
CREATE UNIQUE INDEX served_parent ON served (parent);
ALTER TABLE served REPLICA IDENTITY USING INDEX served_parent;
CREATE TABLE log (at timestamptz NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE log_now PARTITION OF log FOR VALUES FROM ('2000-01-01') TO ('2100-01-01');
INSERT INTO parents SELECT n, 'parent' FROM generate_series(1, 2000) AS n;
INSERT INTO children (parent, extra) SELECT 1 + n % 2000, n FROM generate_series(1, 20000) AS n;
INSERT INTO bloated SELECT n, repeat('x', 200) FROM generate_series(1, 20000) AS n;
INSERT INTO log SELECT now(), 'entry ' || n FROM generate_series(1, 5000) AS n;
SELECT setval('numbered_id_seq', 2140000000);
ALTER TABLE children ADD CONSTRAINT extra_positive CHECK (extra > 0) NOT VALID;
"""


def fall_ill(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(ILL.encode())
        connection.execute("ANALYZE parents, children")
        connection.execute("DELETE FROM bloated WHERE id % 4 > 0")
        connection.execute("CREATE PUBLICATION changes FOR TABLE bloated, served")


def verdicts(dsn: str) -> dict[str, Result]:
    picture = Picture(collect.take(dsn, OPTIONS))
    return {result.rule: result for result in evaluate(picture, all_rules(), {})}


def howdah(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "howdah", *words],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "COLUMNS": "80"} | environment,
    )


def says(ran: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """The command ended in that code, without a traceback, and its output has those words."""
    said = ran.stdout + ran.stderr
    assert "Traceback" not in said, said
    assert ran.returncode == code, said
    for word in words:
        assert word.lower() in said.lower(), said


@pytest.mark.parametrize(
    "groups", [(), ("pg_monitor",), ("pg_read_all_stats",), ("pg_read_all_data",)], ids=str
)
def test_a_lesser_role_is_never_told_ok_where_there_is_a_finding(
    database: Database, groups: tuple[str, ...]
) -> None:
    fall_ill(database)
    full = verdicts(database.dsn)
    found = {rule for rule, result in full.items() if result.kind is Kind.FINDING}
    assert {"redundant-index", "sequence-exhaustion", "dead-rows"} <= found
    lesser = verdicts(database.dsn_of(database.create_role(member_of=groups)))
    for rule in sorted(found):
        result = lesser[rule]
        assert result.kind in (Kind.FINDING, Kind.UNKNOWN), (rule, result.kind, result.reason)
        assert result.kind is Kind.FINDING or result.reason, rule


def test_behind_an_access_exclusive_lock_nothing_is_called_ok_that_is_not(
    database: Database,
) -> None:
    fall_ill(database)
    full = verdicts(database.dsn)
    with database.connect(autocommit=False) as migration:
        migration.execute(
            "LOCK TABLE parents, served, bloated, numbered, log_now IN ACCESS EXCLUSIVE MODE"
        )
        seen = collect.take(database.dsn, OPTIONS)
        locked = {r.rule: r for r in evaluate(Picture(seen), all_rules(), {})}
    for rule, result in full.items():
        if result.kind is not Kind.FINDING or locked[rule].kind is not Kind.OK:
            continue
        # a rule may say ok for what it could examine, if it says what it could not
        assert locked[rule].examined < locked[rule].of, (rule, locked[rule].reason)
    invented = {each.id for each in ranked(locked.values())} - {
        each.id for each in ranked(full.values())
    }
    about_the_lock = ("idle-in-transaction:", "blocking-tree:", "horizon-held:")
    assert not [each for each in invented if not each.startswith(about_the_lock)]
    assert seen.seconds < 2, "the collector waited behind the lock"


def test_on_a_hot_standby(own_server: Callable[..., Server]) -> None:
    primary = own_server(settings={"wal_level": "replica"})
    primary.create_database("shop")
    with primary.connect("shop") as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    standby = primary.standby()
    try:
        found = verdicts(standby.dsn("shop"))
    finally:
        standby.close()
    assert found["unused-index"].kind is not Kind.FINDING
    assert found["redundant-index"].kind is Kind.OK
    assert not [r for r in found.values() if r.kind is Kind.OK and r.examined == 0]


def test_an_empty_database_is_not_declared_healthy_by_silence(database: Database) -> None:
    found = verdicts(database.dsn)
    assert found["redundant-index"].kind is Kind.NOT_APPLICABLE
    assert found["dead-rows"].kind in (Kind.NOT_APPLICABLE, Kind.UNKNOWN)
    assert all(r.examined > 0 for r in found.values() if r.kind is Kind.OK)


@pytest.mark.postgres(newest_by_default=True)
def test_the_command_line_on_an_ill_database(database: Database, tmp_path: Path) -> None:
    fall_ill(database)
    page = tmp_path / "report.html"
    ran = howdah(
        "check",
        database.dsn,
        "--json",
        "--sample-seconds",
        "0.3",
        "--html",
        str(page),
        PATH="/usr/bin:/bin",
    )
    says(ran, 1)
    contract: dict[str, Any] = json.loads(ran.stdout)
    assert contract["schema_version"] == 1
    redundant = next(r for r in contract["results"] if r["rule"] == "redundant-index")
    assert redundant["verdict"] == "finding"
    assert redundant["object"] == "public.children_extra"
    assert redundant["remedies"][0]["proven"] is True, redundant["remedies"][0]
    assert "public.children_extra" in page.read_text()


def test_a_wrong_dsn(tmp_path: Path) -> None:
    says(howdah("check", "postgresql://localhost:port/x"), 2, "try:")
    says(howdah("check", "host=/nonexistent dbname=x"), 2, "try:")
    says(howdah("check", "postgresql://127.0.0.1:1/x?connect_timeout=2"), 2, "try:")


def test_an_unknown_database(server: Server) -> None:
    says(howdah("check", server.dsn("no_such_database")), 2, "no_such_database", "try:")


def test_a_password_is_never_printed() -> None:
    ran = howdah("check", "postgresql://ann:hushhush@127.0.0.1:1/x?connect_timeout=2")
    says(ran, 2)
    assert "hushhush" not in ran.stdout + ran.stderr


def test_a_truncated_or_foreign_file(database: Database, tmp_path: Path) -> None:
    whole = tmp_path / "whole.snap"
    file.write(collect.take(database.dsn, OPTIONS), whole)
    says(howdah("check", str(whole), "--only", "redundant-index"), 0)
    cut = tmp_path / "cut.snap"
    cut.write_bytes(whole.read_bytes()[:-100])
    says(howdah("check", str(cut)), 2, "cut.snap", "try:")
    foreign = tmp_path / "foreign.snap"
    foreign.write_text("not a snapshot")
    says(howdah("check", str(foreign)), 2, "foreign.snap", "try:")
    says(howdah("check", str(tmp_path / "absent.snap")), 2, "absent.snap")


def test_misspelt_words_are_answered_with_the_nearest(server: Server) -> None:
    says(howdah("check", server.dsn(), "--only", "redundant-indexes"), 2, "redundant-index")
    says(howdah("check", "explain", "redundant-indx"), 2, "redundant-index")
