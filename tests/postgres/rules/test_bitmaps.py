"""Bitmaps below and above what work_mem holds, on real servers."""

from __future__ import annotations

from howdah.check.model import Kind
from howdah.check.rules.bitmaps import lossy_bitmaps
from howdah.testing import Database
from tests.diagnosing import examine, take_picture


def test_bitmaps_below_and_above_the_limit(database: Database) -> None:
    """64 kB hold 1,024 pages exactly; the table has 2,000."""
    with database.connect() as connection:
        connection.execute(
            f"""
            CREATE EXTENSION pg_stat_statements;
            CREATE TABLE t (k int, filler text) WITH (fillfactor = 10);
            INSERT INTO t SELECT g % 10, repeat('x', 700) FROM generate_series(1, 2000) AS g;
            CREATE INDEX t_k ON t (k);
            ALTER DATABASE {database.name} SET work_mem = '64kB';
            """.encode()
        )
        connection.execute("VACUUM ANALYZE t")
        connection.execute("SELECT pg_stat_statements_reset()")
        connection.execute("SELECT count(filler) FROM t WHERE k = 5")
        assert examine(database, lossy_bitmaps).kind is Kind.OK
        connection.execute("SELECT count(filler) FROM t WHERE k < 8")
        asked = lossy_bitmaps.ask(take_picture(database))
        assert [q.statement for q in asked] == ["SELECT count(filler) FROM t WHERE k < $1"]  # type: ignore[union-attr] # it asks for plans only
        assert examine(database, lossy_bitmaps).kind is not Kind.UNKNOWN
