"""The live view on real servers: what it shows is what is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from howdah.snapshot.recording import read
from howdah.snapshot.sampler import Sampler
from howdah.testing import Database, wait_until


def test_a_blocker_is_shown_with_who_it_is_and_its_blanked_statement(database: Database) -> None:
    with database.connect() as setup:
        setup.execute("CREATE TABLE t (id int PRIMARY KEY)")
    with (
        database.connect(autocommit=False, application_name="migration") as blocker,
        Sampler(database.dsn) as sampler,
    ):
        blocker.execute("INSERT INTO t SELECT 4711 WHERE 'hidden' <> ''")
        pid = blocker.info.backend_pid
        waiting = subprocess.Popen(
            [sys.executable, "-c", _WAITER, database.dsn], stdin=subprocess.PIPE
        )
        try:
            (seen,) = wait_until(lambda: sampler.tick().blockers)
        finally:
            blocker.rollback()
            waiting.communicate(timeout=20)
    assert seen.pid == pid
    assert seen.who == "migration"
    assert seen.state == "idle in transaction"
    assert "4711" not in seen.statement
    assert "hidden" not in seen.statement
    assert seen.statement.startswith("INSERT INTO t")


def test_the_depth_of_a_queue_is_followed(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE jobs (id int)")
        connection.execute("INSERT INTO jobs SELECT generate_series(1, 500)")
    with Sampler(database.dsn, queues=["public.jobs"]) as sampler:
        depth = wait_until(lambda: next((q for q in sampler.tick().queues if q.live == 500), None))
    assert depth.table == "public.jobs"


_WAITER = "import psycopg, sys; psycopg.connect(sys.argv[1]).execute('INSERT INTO t VALUES (4711)')"


def test_watch_without_a_terminal_prints_one_screen_and_records(
    database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "watch.rec"
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "howdah", "watch", database.dsn),
            *("--seconds", "0.5", "--record", str(file)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "80"},
    )
    assert ran.returncode == 0, ran.stderr
    assert "Waits by share of database time" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80
    recorded = read(file)
    assert recorded.watched.database == database.name
    assert len(recorded.ticks) >= 2
    assert not recorded.is_cut
