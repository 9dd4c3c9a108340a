"""Foreign tables in hot statements, on a server that is foreign to itself."""

from __future__ import annotations

from howdah.check.model import Kind
from howdah.check.rules.foreign_tables import foreign_table_in_hot_query
from howdah.testing import Database
from tests.diagnosing import examine


def test_a_slow_statement_on_a_foreign_table(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements; CREATE EXTENSION postgres_fdw")
        assert examine(database, foreign_table_in_hot_query).kind is Kind.NOT_APPLICABLE
        connection.execute(
            f"""
            CREATE TABLE here (a int);
            INSERT INTO here SELECT generate_series(1, 20000);
            CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (
              host '{database.server.socket_dir}', port '{database.server.port}',
              dbname '{database.name}'
            );
            CREATE USER MAPPING FOR CURRENT_USER SERVER other OPTIONS (user 'postgres');
            CREATE FOREIGN TABLE there (a int) SERVER other OPTIONS (table_name 'here');
            SELECT pg_stat_statements_reset();
            """.encode()
        )
        connection.execute("SELECT count(*) FROM here WHERE a = 5")
        assert examine(database, foreign_table_in_hot_query).kind is Kind.OK
        for _ in range(3):
            connection.execute("SELECT count(*), pg_sleep(0.2) FROM there WHERE a % 2 = 0")
    (finding,) = examine(database, foreign_table_in_hot_query).findings
    assert finding.evidence[0]["foreign_tables"] == ["public.there"]
    assert finding.evidence[0]["servers"] == ["other"]
