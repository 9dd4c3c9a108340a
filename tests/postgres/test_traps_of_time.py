"""Traps of when: statistics of many moments, frozen activity, counters after an upgrade."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest

from howdah.check.model import Kind
from howdah.check.rules.unused import unused_index
from howdah.clock import SystemClock
from howdah.postgres import Installation, Server
from howdah.snapshot.collect import take
from howdah.snapshot.model import Snapshot
from howdah.snapshot.options import QUICK, Options
from howdah.snapshot.picture import Picture
from howdah.testing import Database
from howdah.testing.fixtures import OwnServer
from howdah.testing.majors import candidates
from tests.looking import look, run
from tests.making import verdict

INSERTED = 5


@pytest.mark.postgres(since=15)
def test_t12_rows_counted_while_we_look_are_not_in_the_picture(database: Database) -> None:
    """With the server's default, each counter is of the moment at which it is first read."""
    with database.connect() as writing:
        writing.execute("CREATE TABLE t (id int)")

        def write(stage: str) -> None:
            if stage == "index_statistics":  # databases are read by now, tables are not
                writing.execute("SELECT pg_stat_force_next_flush()")
                writing.execute("INSERT INTO t SELECT generate_series(1, %s)", [INSERTED])
                writing.execute("SELECT pg_stat_force_next_flush()")

        during = take(database.dsn, QUICK, progress=write)
    assert inserted(during) == 0
    assert inserted(take(database.dsn, QUICK)) == INSERTED


def inserted(snapshot: Snapshot) -> int:
    """The rows inserted into t, as the snapshot counts them."""
    oid = next(row.oid for row in snapshot.relations.rows if row.name == "t")
    return next(row.inserted for row in snapshot.table_statistics.rows if row.relation == oid)


def test_t12_a_busy_sessions_counters_are_late_and_its_index_is_not_called_unused(
    database: Database,
) -> None:
    """The scan below is in no counter while its transaction is open."""
    with database.connect() as busy:
        busy.execute("CREATE TABLE t (id int, k int)")
        busy.execute("INSERT INTO t SELECT i, i FROM generate_series(1, 60000) AS i")
        busy.execute("CREATE INDEX t_k ON t (k)")
        busy.execute("ANALYZE t")
        busy.execute("BEGIN")
        busy.execute("SET LOCAL enable_seqscan = off")
        busy.execute("SELECT FROM t WHERE k = 7")
        snapshot = take(database.dsn, QUICK)
    oid = next(row.oid for row in snapshot.indexes.rows if row.name == "t_k")
    counted = [row.scans for row in snapshot.index_statistics.rows if row.index == oid]
    assert counted == [0]
    assert verdict(unused_index, Picture(snapshot)).kind is Kind.UNKNOWN


class Interrupted(SystemClock):
    """A clock that lets something happen at its second sleep: after the first look at waits."""

    def __init__(self, session: psycopg.Connection) -> None:
        self._session = session
        self._sleeps = 0

    def sleep(self, seconds: float) -> None:
        """Sleep; the second time, open a transaction elsewhere first."""
        self._sleeps += 1
        if self._sleeps == 2:
            self._session.execute("BEGIN")
        super().sleep(seconds)


def test_t13_each_wait_sample_is_a_new_look(database: Database) -> None:
    """Inside one transaction pg_stat_activity would show the same sessions at every tick."""
    with database.connect() as working:
        options = Options(sample_seconds=0.35, measure_megabytes=0, multixact_samples=0)
        snapshot = take(database.dsn, options, clock=Interrupted(working))
    busy = dict.fromkeys(range(3), 0)
    for row in snapshot.wait_samples.rows:
        busy[row.tick] += row.sessions
    assert busy == {0: 0, 1: 1, 2: 1}


@pytest.mark.postgres(newest=True)
def test_t29_counters_begin_anew_with_an_upgrade(
    own_server: OwnServer, postgres_installation: Installation
) -> None:
    """pg_upgrade carries the planner's statistics (18), and neither counters nor reset times.

    What is left are those of the new cluster, which began when it was first started.
    """
    upgrade = postgres_installation.bindir / "pg_upgrade"
    older = older_than(postgres_installation)
    if older is None or not upgrade.exists():
        pytest.skip("needs pg_upgrade and an older major: apt-get install postgresql-15")
    with Server.start(older) as old:
        run(
            old,
            "CREATE TABLE t AS SELECT i FROM generate_series(1, 60000) AS i",
            "CREATE INDEX t_i ON t (i)",
            "ANALYZE t",
        )
        began = datetime.now(UTC)
        new = own_server()
        new.stop()
        old.stop()
        upgraded(old, new)
    new.restart()
    snapshot = take(new.dsn(), QUICK)
    own = next(row for row in snapshot.databases.rows if row.is_current)
    assert own.stats_reset is None
    assert snapshot.window.since is not None
    assert snapshot.window.since >= began
    assert inserted(snapshot) == 0
    assert look(new, unused_index).kind is Kind.UNKNOWN


def older_than(installation: Installation) -> Installation | None:
    """An older tested major with all the programs that an upgrade calls."""
    for each in candidates():
        found = each.installation
        if found and found.major < installation.major and (found.bindir / "pg_resetwal").exists():
            return found
    return None


def upgraded(old: Server, new: Server) -> None:
    """Move the old server's databases into the new one, both stopped."""
    account = new._account  # the account that owns both folders
    into = new.installation.bindir
    account.run([into / "pg_checksums", "--disable", "--pgdata", new.data])  # as the old one
    # pg_upgrade writes into the folder in which it is started.
    done = account.run(
        [
            *("sh", "-c", 'cd "$0" && exec "$@"', new.data, into / "pg_upgrade"),
            *("--old-bindir", old.installation.bindir, "--new-bindir", into),
            *("--old-datadir", old.data, "--new-datadir", new.data),
            *("--username", "postgres", "--socketdir", new.socket_dir, "--no-sync"),
        ]
    )
    assert done.returncode == 0, done.stdout + done.stderr
